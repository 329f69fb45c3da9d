//! What is written about who may call counts within a second, for connections that are open as well.

use std::time::{Duration, Instant};

use gateway_testkit::Consul;

use crate::world::{Acls, World};

const WITHIN: Duration = Duration::from_secs(4);

#[tokio::test]
async fn precedence_is_as_consul_documents_it() {
    if !Consul::available() {
        return;
    }
    for (acls, by_default) in [(Acls::Off, true), (Acls::On, false)] {
        let (world, _billing) = World::billing(acls).await;
        let (web, cron) = (world.caller("web").await, world.caller("cron").await);
        assert!(world.is_allowed(&web, "billing").await);
        assert_eq!(world.is_allowed(&cron, "billing").await, by_default, "{acls:?}: the default policy");
        // The exact one beats the wildcard.
        world.intention("*", "billing", "deny").await;
        world.until_refused("cron", "billing").await;
        assert!(world.is_allowed(&web, "billing").await);
        world.intention("*", "billing", "allow").await;
        world.intention("web", "billing", "deny").await;
        world.until_refused("web", "billing").await;
        world.until_answers("cron", "billing", "billing-1").await;
        // Destination before source: `* => billing` beats `cron => *`.
        world.intention("cron", "*", "deny").await;
        world.delete_intention("web", "billing").await;
        world.until_answers("web", "billing", "billing-1").await;
        assert!(world.is_allowed(&cron, "billing").await, "{acls:?}");
        world.delete_intention("*", "billing").await;
        world.until_refused("cron", "billing").await;
        assert_eq!(world.is_allowed(&web, "billing").await, by_default, "{acls:?}: deleted");
    }
}

/// A caller of a server that speaks first, before and after, and while connected.
#[tokio::test]
async fn an_open_connection_that_is_now_denied_is_closed() {
    if !Consul::available() {
        return;
    }
    for acls in [Acls::Off, Acls::On] {
        let (world, billing) = World::billing(acls).await;
        let web = world.caller("web").await;
        let mut open = world.connect(&web, "billing").await.unwrap();
        assert_eq!(open.line().await.unwrap(), "billing-1");
        let began = Instant::now();
        world.intention("web", "billing", "deny").await;
        open.ended().await.unwrap();
        assert!(began.elapsed() < WITHIN, "{acls:?}: {:?}", began.elapsed());
        let record = world.record_of(open.local).await;
        assert_eq!(record["reason"], "intention_changed", "{acls:?}: {record}");
        let before = billing.seen().len();
        for _ in 0..5 {
            assert!(!world.is_allowed(&web, "billing").await);
        }
        assert_eq!(billing.seen().len(), before, "{acls:?}: the server sees no denied connection");
        // Allowed again, then the intention is deleted under an open connection.
        world.intention("web", "billing", "allow").await;
        world.until_answers("web", "billing", "billing-1").await;
        let mut open = world.connect(&web, "billing").await.unwrap();
        open.line().await.unwrap();
        world.delete_intention("web", "billing").await;
        match acls {
            Acls::On => {
                open.ended().await.unwrap();
                assert_eq!(world.record_of(open.local).await["reason"], "intention_changed");
            }
            Acls::Off => open.echo(b"allowed by default").await.unwrap(),
        }
    }
}
