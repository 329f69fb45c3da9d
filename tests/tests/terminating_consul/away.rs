//! Consul is killed: verdicts, certificates and traffic stay as they were (row 47).

use gateway_testkit::{Consul, eventually};
use serde_json::json;

use crate::world::{Acls, World, external, soon};

#[tokio::test]
async fn a_consul_that_is_killed_changes_no_verdict() {
    if !Consul::available() {
        return;
    }
    for acls in [Acls::Off, Acls::On] {
        let (world, billing) = World::billing(acls).await;
        let search = external("search-1");
        world.instance("search", search.address()).await;
        world.intention("cron", "billing", "deny").await;
        world.intention("*", "search", "allow").await;
        world.link(&json!([{"Name": "billing"}, {"Name": "search"}])).await;
        world.until_answers("cron", "search", "search-1").await;
        world.until_refused("cron", "billing").await;
        let (web, cron) = (world.caller("web").await, world.caller("cron").await);
        let mut open = world.connect(&web, "billing").await.unwrap();
        open.line().await.unwrap();

        world.consul.kill().await.unwrap();
        let missed = |line: &serde_json::Value| {
            line["message"].as_str().is_some_and(|it| it.contains("cannot be reached"))
        };
        world.gateway.wait_log(soon(), "that Consul is away", missed).await.unwrap();
        for _ in 0..5 {
            assert!(world.is_allowed(&web, "billing").await, "{acls:?}");
            assert!(!world.is_allowed(&cron, "billing").await, "{acls:?}");
            assert!(world.is_allowed(&cron, "search").await, "{acls:?}");
        }
        open.echo(b"not disturbed").await.unwrap();
        assert!(billing.seen().len() >= 6);

        world.consul.restart().await.unwrap();
        world.intention("cron", "billing", "allow").await;
        let allowed = async || world.who(&cron, "billing").await.is_ok();
        eventually(soon(), "news after it is back", allowed).await;
        open.echo(b"and still there").await.unwrap();
    }
}
