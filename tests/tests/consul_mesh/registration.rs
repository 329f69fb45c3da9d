//! A gateway that registers itself: it stays registered, and says so when it is about to end.

use std::time::{Duration, Instant};

use gateway_testkit::{Consul, Deadline, Gateway, Place, Signal, eventually, wait_for};
use serde_json::Value;

use crate::world::{World, call, id, soon, who};

/// The statuses of a gateway's checks as everybody sees them; `None` if the catalog has no such gateway.
async fn checks(consul: &Consul, service: &str, id: &str) -> Option<Vec<(String, String)>> {
    let rows = consul.api().get(&format!("/v1/health/service/{service}")).await.ok()?;
    let row = rows.as_array()?.iter().find(|row| row["Service"]["ID"] == *id)?;
    let own = row["Checks"].as_array()?.iter().filter(|check| check["ServiceID"] == *id);
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    Some(own.map(|check| (text(check, "CheckID"), text(check, "Status"))).collect())
}

fn in_maintenance(checks: Option<Vec<(String, String)>>) -> bool {
    let is = |(id, status): &(String, String)| id.contains("maintenance") && status == "critical";
    checks.is_some_and(|checks| checks.iter().any(is))
}

/// Row 35: whoever takes it out, it comes back, and calls do not notice.
#[tokio::test]
async fn a_registration_that_is_lost_is_made_again() {
    if !Consul::available() {
        return;
    }
    let pause =
        |it: gateway_testkit::GatewayBuilder| it.register().setting("TIMERS_CONSUL_REGISTER_PAUSE", "1s");
    let world = World::start_with("guard", pause).await;
    let _one = world.instance("guard", "guard-1", |it| it).await;
    world.until_answers("guard", "guard-1").await;
    let before = world.own("guard").await.unwrap();
    assert_eq!(before["Port"], world.gateway.address().unwrap().port(), "the port that it really has");
    for round in 1..=2 {
        world.server.deregister(&id("guard")).await.unwrap();
        let began = Instant::now();
        let back = async || world.own("guard").await.ok();
        let after = wait_for(soon(), "the registration again", back).await.unwrap();
        eprintln!("measured: registered again after {:?}", began.elapsed());
        assert_eq!(after, before);
        assert_eq!(world.who("guard").await, "guard-1");
        let page = world.until_snapshot("that it is registered", |page| {
            page["consul"]["registration"]["registrations"] == round + 1
        });
        assert_eq!(page.await["consul"]["registration"]["state"], "registered");
    }
    let lost = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("registering again"));
    assert_eq!(world.gateway.log().all().iter().filter(|line| lost(line)).count(), 2);
    assert!(world.admin().is_ready().await.unwrap());
    world.end().await;
}

/// Consul is told first, then the listener closes, then what is open is waited for; the registration stays. The next
/// process under its ID clears it (row 40).
#[tokio::test]
async fn a_gateway_that_drains_says_so_at_once() {
    if !Consul::available() {
        return;
    }
    let world = World::start("drain").await;
    let (server, id) = (&world.server, &id("drain"));
    let _one = world.instance("drain", "drain-1", |it| it).await;
    world.until_answers("drain", "drain-1").await;
    let registered = async || checks(server, "mesh-gateway", id).await.is_some();
    eventually(soon(), "the gateway in the catalog", registered).await;
    let address = world.gateway.address().unwrap();
    let mut open = world.call("drain").await.unwrap();
    world.gateway.signal(Signal::TERM).unwrap();
    let began = Instant::now();
    let told = async || in_maintenance(checks(server, "mesh-gateway", id).await);
    eventually(Deadline::after(Duration::from_secs(2)), "maintenance in Consul", told).await;
    eprintln!("measured: critical in Consul {:?} after SIGTERM", began.elapsed());
    let refused = async || Place::Here.connect(address).await.is_err();
    eventually(soon(), "the port to be closed", refused).await;
    assert!(world.gateway.is_running());
    open.echo(&vec![1; 200_000]).await.unwrap();
    open.close().await.unwrap();
    assert_eq!(world.gateway.exit_code(soon()).await.unwrap(), 0);
    assert!(
        in_maintenance(checks(server, "mesh-gateway", id).await),
        "still there, and still not to be used"
    );

    let next = world.lab.gateway("next").consul(server).register().flag("proxy-id", id).address(address);
    let next = next.start().await.unwrap();
    let passing = async || {
        let checks = checks(server, "mesh-gateway", id).await.unwrap_or_default();
        !in_maintenance(Some(checks.clone())) && checks.iter().all(|(_, status)| status == "passing")
    };
    let passing = async || passing().await.then_some(());
    let passes = wait_for(Deadline::after(Duration::from_secs(25)), "a passing check", passing).await;
    let (mine, all) = (server.api().get("/v1/agent/checks").await, checks(server, "mesh-gateway", id).await);
    assert!(passes.is_ok(), "{passes:?}: {all:?}, of the agent: {mine:#?}");
    assert_eq!(who(call(&world.frontend, &next, "drain").await.unwrap()).await.unwrap(), "drain-1");
    world.end().await;
}

#[tokio::test]
async fn a_gateway_may_take_itself_out_at_its_end() {
    if !Consul::available() {
        return;
    }
    let leave = |it: gateway_testkit::GatewayBuilder| it.register().argument("--deregister-on-exit");
    let world = World::start_with("leave", leave).await;
    let _one = world.instance("leave", "leave-1", |it| it).await;
    world.until_answers("leave", "leave-1").await;
    let open = world.call("leave").await.unwrap();
    world.gateway.signal(Signal::TERM).unwrap();
    let told = async || in_maintenance(checks(&world.server, "mesh-gateway", &id("leave")).await);
    eventually(soon(), "maintenance in Consul", told).await;
    // While somebody is connected it stays.
    assert!(world.own("leave").await.is_ok());
    open.close().await.unwrap();
    assert_eq!(world.gateway.exit_code(soon()).await.unwrap(), 0);
    let gone = world.own("leave").await.unwrap_err();
    assert!(gone.to_string().contains("404"), "{gone}");
    world.end().await;
}

/// The end does not wait for a Consul that does not answer.
#[tokio::test]
async fn a_gateway_ends_without_consul_as_well() {
    if !Consul::available() {
        return;
    }
    let lab = gateway_testkit::Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let gateway = |name: &str| {
        let gateway = lab.gateway(name).consul(&consul).register().flag("proxy-id", name);
        gateway.argument("--deregister-on-exit").setting("TIMERS_LAST_WORDS", "1s")
    };
    let (held, refused) = tokio::try_join!(gateway("held").start(), gateway("refused").start()).unwrap();
    consul.stop().await.unwrap();
    let ends = async |gateway: &Gateway| {
        gateway.signal(Signal::TERM).unwrap();
        assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 0, "{}", gateway.log_tail(20));
    };
    ends(&held).await;
    consul.kill().await.unwrap();
    ends(&refused).await;
}
