//! Rows of the scenarios that need a Consul: links that come and go, the node's address, wildcards.

use gateway_testkit::{Consul, eventually};
use serde_json::json;

use crate::world::{Acls, World, external, soon};

#[tokio::test]
async fn a_linked_service_is_called_with_leaves_of_consul() {
    if !Consul::available() {
        return;
    }
    for acls in [Acls::Off, Acls::On] {
        let (world, billing) = World::billing(acls).await;
        let web = world.caller("web").await;
        let mut connection = world.connect(&web, "billing").await.unwrap();
        assert_eq!(connection.line().await.unwrap(), "billing-1");
        let trust = world.consul.trust().await.unwrap();
        assert_eq!(connection.presented, trust.service_id("billing", "dc1"));
        connection.echo(&vec![5; 200_000]).await.unwrap();
        let local = connection.local;
        connection.close().await.unwrap();
        let record = world.record_of(local).await;
        assert_eq!(record["source"], trust.service_id("web", "dc1"), "{acls:?}");
        assert!(record["intention"].as_str().unwrap().contains("web => billing"), "{record}");
        assert_eq!(record["endpoint"], billing.address().to_string(), "the node's address (row 20)");
        // Registered, where Consul's own dialers look for it.
        let listed = async || {
            let rows = world.consul.api().get("/v1/health/connect/billing").await.ok();
            let rows = rows.and_then(|rows| rows.as_array().cloned()).unwrap_or_default();
            rows.iter().any(|row| row["Service"]["Port"] == world.address().port())
        };
        eventually(soon(), "the gateway among the instances of billing", listed).await;
        assert!(world.gateway.admin().unwrap().is_ready().await.unwrap());
    }
}

/// Row 49, and what is unlinked.
#[tokio::test]
async fn links_come_and_go() {
    if !Consul::available() {
        return;
    }
    let (world, _billing) = World::billing(Acls::Off).await;
    let search = external("search-1");
    world.instance("search", search.address()).await;
    world.link(&json!([{"Name": "*"}])).await;
    world.until_answers("web", "search", "search-1").await;
    world.until_answers("web", "billing", "billing-1").await;
    let web = world.caller("web").await;
    let mut open = world.connect(&web, "billing").await.unwrap();
    open.line().await.unwrap();
    world.link(&json!([{"Name": "search"}])).await;
    world.until_refused("web", "billing").await;
    open.echo(b"drains").await.unwrap();
    assert_eq!(world.who(&web, "search").await.unwrap(), "search-1");
}
