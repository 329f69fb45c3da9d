//! Limits of a service, from the `service-defaults` that is named like the gateway.

use gateway_testkit::{Deadline, Lab, wait_for};

use crate::{WithWeb, black_hole, echo, end_of, gateway, mesh, name, open, said, say_hello, visit};

fn limits(keys: &str) -> String {
    format!(
        "[[Entry]]\nKind = \"service-defaults\"\nName = \"mesh-gateway\"\n[Entry.UpstreamConfig.Defaults.Limits]\n{keys}\n"
    )
}

#[tokio::test]
async fn one_connection_more_than_the_limit_is_closed_at_once() {
    let lab = Lab::new().unwrap();
    let (web, other) = (echo(), echo());
    let document = mesh()
        .web(web.address(), "")
        .sidecar("other", "other-1", other.address())
        .text(&limits("MaxConnections = 1"));
    let (_catalog, gateway) = gateway(&lab, document, &[]).await;
    let first = open(&gateway, "web").await;
    for _ in 0..3 {
        let record = visit(&gateway, "web").await;
        assert_eq!(
            (&record["reason"], &record["bytes_down"]),
            (&"connection_limit".into(), &0.into()),
            "{record}"
        );
    }
    assert_eq!(visit(&gateway, "other").await["reason"], "closed", "each service has its own limit");
    assert_eq!(said(&gateway, "connection refused"), 1, "said once, not for each");
    drop(first);
    let admitted = async || (visit(&gateway, "web").await["reason"] == "closed").then_some(());
    wait_for(Deadline::usual(), "a place for the next connection", admitted).await.unwrap();
}

#[tokio::test]
async fn one_more_that_waits_for_an_endpoint_than_the_limit_is_closed_at_once() {
    let lab = Lab::new().unwrap();
    let silent = black_hole().await;
    let document = mesh().web(silent.address(), "").text(&limits("MaxPendingRequests = 1"));
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "3s")]).await;
    let first = say_hello(&gateway, "web").await;
    let admin = gateway.admin().unwrap();
    let pending = async || {
        let page = admin.json(&format!("/endpoints?name={}", name("web"))).await.ok()?;
        (page["services"][0]["pending"] == 1).then_some(())
    };
    wait_for(Deadline::usual(), "the first to wait for its endpoint", pending).await.unwrap();
    let (second, third) = tokio::join!(visit(&gateway, "web"), visit(&gateway, "web"));
    for record in [second, third] {
        assert_eq!(record["reason"], "pending_limit", "{record}");
    }
    assert_eq!(end_of(&gateway, first).await["reason"], "connect_timeout");
}
