//! Open connections on the admin page, and under changes of the catalog.

use gateway_testkit::{Backend, Deadline, Gateway, Lab, Script, wait_for};
use serde_json::Value;

use crate::{echo, exchange, hello, mesh, open, record_of};

async fn connections(gateway: &Gateway) -> Value {
    gateway.admin().unwrap().connections().await.unwrap()
}

#[tokio::test]
async fn an_open_connection_is_shown_until_it_ends() {
    let lab = Lab::new().unwrap();
    let (backend, _catalog, gateway) = echo(&lab, &[]).await;
    let mut client = open(&gateway).await;
    exchange(&mut client, &[7; 1000]).await;
    let bytes = hello().len() as u64 + 1000;
    let shown = async || {
        let page = connections(&gateway).await;
        // The last byte is counted a moment after it has arrived.
        (page["connections"][0]["bytes_down"] == bytes).then_some(page)
    };
    let page = wait_for(Deadline::usual(), "the connection's bytes", shown).await.unwrap();
    let row = &page["connections"][0];
    assert_eq!((&page["open"], &page["shown"]), (&1.into(), &1.into()), "{page}");
    assert_eq!((&row["state"], &row["service"]), (&"open".into(), &"web".into()), "{row}");
    assert_eq!(row["peer"], client.local_addr().unwrap().to_string(), "{row}");
    assert_eq!(row["endpoint"], backend.address().to_string(), "{row}");
    assert_eq!((&row["bytes_up"], &row["spliced"]), (&bytes.into(), &false.into()), "{row}");

    let record = {
        tokio::io::AsyncWriteExt::shutdown(&mut client).await.unwrap();
        record_of(&gateway, &client).await
    };
    assert_eq!((&record["id"], &record["bytes_up"]), (&row["id"], &row["bytes_up"]), "the same connection");
    assert_eq!(connections(&gateway).await["open"], 0);
}

#[tokio::test]
async fn connections_survive_every_change_of_the_catalog() {
    let lab = Lab::new().unwrap();
    let (backend, catalog, gateway) = echo(&lab, &[]).await;
    let mut client = open(&gateway).await;
    let other = Backend::local(Script::Echo).unwrap();
    let at = backend.address();
    let states = [
        mesh().sidecar("web", "web-1", at).sidecar("web", "web-2", other.address()),
        mesh().instance("web", "connect-proxy", at, "ID = \"web-1\"\nStatus = \"critical\""),
        mesh().sidecar("web", "web-2", other.address()),
        mesh(),
        mesh().sidecar("web", "web-1", at),
    ];
    for (generation, state) in (2..).zip(states) {
        catalog.write("mesh.toml", state).unwrap();
        let admin = gateway.admin().unwrap();
        let in_use = async || (admin.endpoints().await.ok()?["generation"] == generation).then_some(());
        wait_for(Deadline::usual(), &format!("state {generation}"), in_use).await.unwrap();
        exchange(&mut client, format!("state {generation}").as_bytes()).await;
    }
    catalog.write("mesh.toml", "[[Instance]]\nServce = \"web\"\n").unwrap();
    gateway.wait_metric(Deadline::usual(), "gateway_catalog_rejected", &[], |n| n >= 1.0).await.unwrap();
    exchange(&mut client, b"a broken file").await;
    assert_eq!((backend.seen().len(), connections(&gateway).await["open"].as_u64()), (1, Some(1)));
}
