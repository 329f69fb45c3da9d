//! What a gateway registers is what Consul's own command registers for the same flags.

use gateway_testkit::{Backend, Consul, Fetched, Gateway, Lab, Place, eventually};
use serde_json::Value;

use crate::server::{Of, Server};
use crate::world::{id, soon};

/// Service and checks, as the agent has them; what time makes of a check is left out.
async fn registered(consul: &Consul, id: &str) -> Option<(Value, Vec<Value>)> {
    let api = consul.api();
    let mut service = api.get(&format!("/v1/agent/service/{id}")).await.ok()?;
    for counted in ["CreateIndex", "ModifyIndex"] {
        service.as_object_mut()?.remove(counted);
    }
    let checks = api.get("/v1/agent/checks").await.ok()?;
    let checks = checks.as_object()?.values().filter(|check| check["ServiceID"] == *id).cloned();
    let timeless = checks.map(|mut check| {
        for key in ["Status", "Output"] {
            check[key] = Value::Null;
        }
        check
    });
    Some((service, timeless.collect()))
}

async fn by_consul(consul: &Consul, flags: &[String]) {
    let mut command = tokio::process::Command::new(Fetched::Consul.need().unwrap());
    command.args(["connect", "envoy", "-gateway=mesh", "-register", "-bootstrap"]).args(flags);
    command.arg(format!("-http-addr={}", consul.http()));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_registration_is_that_of_consuls_own_command() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let server = Server::shared(Of::All).await;
    // Consul's command takes no other address of the loopback network. A port that is held like this may be listened
    // on all the same.
    let held = || Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let held = [held(), held(), held()];
    let at = |port: usize| held[port].address();
    let (lan, wan) = (format!("-address={}", at(0)), at(1));
    let cases: &[(&str, &[String])] = &[
        ("lan", std::slice::from_ref(&lan)),
        ("both", &[lan.clone(), format!("-wan-address={wan}")]),
        ("far", &[lan.clone(), "-wan-address=192.0.2.1:443".to_owned()]),
        ("name", &[lan.clone(), "-service=mesh-gateway-of-the-edge".to_owned()]),
        (
            "bind",
            &[
                "-address=192.0.2.5:443".to_owned(),
                format!("-bind-address=a={}", at(2)),
                format!("-bind-address=b={wan}"),
            ],
        ),
        ("after", &[lan.clone(), "-deregister-after-critical=90s".to_owned()]),
    ];
    for (case, flags) in cases {
        let id = id(&format!("line-{case}"));
        let flags: Vec<_> = flags.iter().cloned().chain([format!("-proxy-id={id}")]).collect();
        by_consul(&server, &flags).await;
        let theirs = registered(&server, &id).await.unwrap();
        server.deregister(&id).await.unwrap();
        assert!(theirs.1.len() == 1 && registered(&server, &id).await.is_none());

        let gateway = lab.gateway(case).address_as_registered().consul(&server).register();
        let gateway = flags.iter().fold(gateway, |it, flag| it.argument(format!("-{flag}")));
        let gateway: Gateway = gateway.spawn().unwrap();
        let there = async || registered(&server, &id).await.is_some();
        eventually(soon(), "the gateway's own registration", there).await;
        assert_eq!(registered(&server, &id).await.unwrap(), theirs, "{case}");
        let ready = async || match gateway.admin() {
            Ok(admin) => admin.is_ready().await.unwrap_or_default(),
            Err(_) => false,
        };
        eventually(soon(), "the gateway to be ready", ready).await;
        let mut addresses: Vec<_> = gateway.log().all();
        addresses.retain(|line| line["message"] == "listening");
        let mut addresses: Vec<_> =
            addresses.iter().map(|line| line["address"].as_str().unwrap().to_owned()).collect();
        addresses.sort();
        let listens: &[_] = match *case {
            "both" => &[at(0), at(1)],
            "bind" => &[at(1), at(2)],
            _ => &[at(0)],
        };
        let mut listens: Vec<_> = listens.iter().map(ToString::to_string).collect();
        listens.sort();
        assert_eq!(addresses, listens, "{case} (T65)");
        drop(gateway);
        server.deregister(&id).await.unwrap();
    }
}
