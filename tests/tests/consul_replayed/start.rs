//! A Consul that cannot be used at the start: the gateway lives, says why, and begins when it can.

use std::time::Duration;

use gateway_testkit::{Backend, Fault, Gateway, Lab, On, Place, Replay, Signal, wait_for};

use crate::world::{pki, server, soon, who};

/// Asserts that a gateway lives, is not ready, says why, and takes no connection.
async fn assert_waits(gateway: &Gateway, why: &str) {
    let mut last = String::new();
    let waits = wait_for(soon(), "not to be ready", async || {
        let page = gateway.admin().ok()?.get("/ready").await.ok()?;
        last.clone_from(&page.body);
        (page.status == 503 && page.body.contains(why)).then_some(())
    });
    assert!(waits.await.is_ok(), "{why:?} is not among the reasons: {last}\n{}", gateway.log_tail(10));
    let admin = gateway.admin().unwrap();
    assert_eq!(admin.get("/live").await.unwrap().status, 200);
    let page = admin.snapshot().await.unwrap();
    assert_eq!((&page["consul"]["ready"], &page["names"]["total"]), (&false.into(), &0.into()));
    assert!(gateway.is_running() && gateway.address().is_err());
}

async fn until_ready(gateway: &Gateway) {
    let ready = async || gateway.admin().ok()?.is_ready().await.ok().filter(|ready| *ready);
    let ready = wait_for(soon(), "a ready gateway", ready).await;
    assert!(ready.is_ok(), "{}", gateway.log_tail(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_waits_for_a_consul_that_it_can_use() {
    let lab = Lab::new().unwrap();
    let replay = Replay::of_version("1.21").unwrap().https().start().unwrap();
    let pki = pki(&replay);
    let _one = server(&replay, &pki, "accounts", "accounts-1");
    let frontend = gateway_testkit::ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    replay.refuse();
    let held = Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let hole = Backend::black_hole(&Place::Here, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let gateway = |name: &str, at: &str| {
        let it = lab.gateway(name).register().flag("proxy-id", name).flag("http-addr", at);
        it.setting("TIMERS_CONSUL_CONNECT", "700ms").setting("TIMERS_CONSUL_READ", "1s")
    };
    let http = replay.http().to_string();
    let refused = gateway("refused", &http).address(held.address()).spawn().unwrap();
    let swallowed = gateway("swallowed", &hole.address().to_string()).spawn().unwrap();
    let asked_plainly = gateway("plain-to-tls", &replay.https().unwrap().to_string()).spawn().unwrap();
    let asked_with_tls = gateway("tls-to-plain", &format!("https://{http}")).spawn().unwrap();
    assert_waits(&refused, "onnection refused").await;
    assert_waits(&swallowed, "no connection within").await;
    assert!(Place::Here.connect(held.address()).await.is_err(), "the port refuses");
    replay.listen();
    until_ready(&refused).await;
    assert_eq!(who(&frontend, "accounts", refused.address().unwrap()).await.unwrap(), "accounts-1");
    assert_waits(&asked_with_tls, "TLS").await;
    assert_waits(&asked_plainly, "").await;
    // One line for the outage, whatever waits for it.
    for gateway in [&swallowed, &asked_with_tls, &asked_plainly] {
        let all = gateway.log().all();
        let warns = all.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").count();
        assert!(warns <= 2, "{}: {}", gateway.name(), gateway.log_tail(20));
        gateway.signal(Signal::TERM).unwrap();
        assert_eq!(gateway.exit_code(soon()).await.unwrap(), 0, "{}", gateway.log_tail(20));
    }
}

/// A Consul that answers, but nothing that can be used: waited for as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_waits_for_a_consul_that_has_something_to_say() {
    for (fault, why) in [
        (Fault::no_leader(), "No cluster leader"),
        (Fault::Rubbish, "waiting for Consul to tell"),
        (Fault::Silent, "answer within"),
        (Fault::unknown_token(), "ACL not found"),
    ] {
        let lab = Lab::new().unwrap();
        let replay = Replay::of_version("1.21").unwrap().start().unwrap();
        let found = format!("{fault:?}");
        // Registering is another matter, and ends the process where Consul refuses it.
        replay.register_instance(&gateway_testkit::Instance::new("x", "x-1", ([127, 0, 0, 1], 1).into()));
        replay.fault(On::path("/v1/catalog/"), fault.clone());
        replay.fault(On::path("/v1/config"), fault.clone());
        replay.fault(On::path("/v1/status"), fault);
        let gateway = lab.gateway("gateway").register().flag("http-addr", &replay.http().to_string());
        let gateway = gateway.setting("TIMERS_CONSUL_READ", "500ms").setting("TIMERS_CONSUL_DENIED", "500ms");
        let gateway = gateway.spawn().unwrap();
        assert_waits(&gateway, why).await;
        replay.heal();
        let began = std::time::Instant::now();
        until_ready(&gateway).await;
        eprintln!("measured: {found} at the start, ready {:?} after its end", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5), "{found}: {:?}", began.elapsed());
    }
}

/// Row 7: what only Consul Enterprise has ends the process, with the flag to leave out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_this_consul_does_not_have_is_named() {
    for (version, flag) in
        [("1.8.7", "namespace"), ("1.10.1", "namespace"), ("1.21", "namespace"), ("1.21", "partition")]
    {
        let lab = Lab::new().unwrap();
        let replay = Replay::of_version(version).unwrap().start().unwrap();
        let gateway = lab.gateway("gateway").register().flag("http-addr", &replay.http().to_string());
        let gateway = gateway.flag(flag, "default").spawn().unwrap();
        let code = gateway.exit_code(soon()).await;
        let log = gateway.log_tail(20);
        assert!(matches!(code, Ok(2 | 3)), "{version} {flag}: {code:?} {log}");
        assert!(log.contains(&format!("--{flag}")), "{version}: {log}");
        assert!(gateway.address().is_err());
    }
}
