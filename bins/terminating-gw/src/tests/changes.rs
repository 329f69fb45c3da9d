//! What becomes of open connections when documents change.

use std::io::ErrorKind;
use std::sync::Arc;

use gateway_app::live::MatchedService;
use gateway_app::terminating::judge;
use gateway_runtime::reason::Reason;
use gateway_runtime::record::Verdict;
use mesh_id::SpiffeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clients::{Sidecar, web};
use super::world::{Catalog, Outside, World, eventually, sni, spiffe, within};
use crate::flow::{Asked, Gateway};
use crate::session::permitted;

/// An open connection of `web`: the client's end and the server's.
async fn open(world: &World, outside: &Outside) -> (mtls::ClientStream<TcpStream>, TcpStream) {
    let mut client = web(world).await.stream;
    let mut server = outside.accept().await;
    talk(&mut client, &mut server).await;
    (client, server)
}

async fn talk(client: &mut mtls::ClientStream<TcpStream>, server: &mut TcpStream) {
    let mut byte = [0];
    client.write_all(b"q").await.unwrap();
    within(server.read_exact(&mut byte)).await.unwrap();
    server.write_all(b"a").await.unwrap();
    within(client.read_exact(&mut byte)).await.unwrap();
}

#[tokio::test]
async fn what_is_denied_now_is_cut_on_both_sides() {
    let outside = Outside::new().await;
    let mut world = World::new(Catalog::billing(&[outside.address])).await;
    let (mut client, mut server) = open(&world, &outside).await;
    world.catalog.allow("nobody");
    world.reload();
    assert_eq!(within(client.read(&mut [0])).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(within(server.read(&mut [0])).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let record = world.record().await;
    assert_eq!((record.reason, record.verdict), (Reason::IntentionChanged, Some(Verdict::Deny)));
    assert_eq!(record.intention.as_deref(), Some("default policy: deny"));
    assert_eq!(world.metric(r#"gateway_reauthorized_connections_total{result="cut"}"#), Some(1));
}

#[tokio::test]
async fn what_is_still_allowed_stays_by_the_new_word() {
    let outside = Outside::new().await;
    let mut world = World::new(Catalog::billing(&[outside.address])).await;
    let (mut client, mut server) = open(&world, &outside).await;
    world.catalog.allow("*");
    world.reload();
    talk(&mut client, &mut server).await;
    let rows = world.registry.view(10);
    let intention = &rows[0].authorization.as_ref().unwrap().intention;
    assert_eq!(&**intention, "intention * => billing (precedence 8): allow");
}

#[tokio::test]
async fn the_setting_keeps_open_connections_as_consul_documents_it() {
    let outside = Outside::new().await;
    let mut world = World::with(Catalog::billing(&[outside.address]), &[("REAUTHORIZE_TCP", "keep")]).await;
    let (mut client, mut server) = open(&world, &outside).await;
    world.catalog.allow("nobody");
    world.reload();
    talk(&mut client, &mut server).await;
    drop((client, server));
    // A new one is denied.
    drop(Sidecar::new(&world.catalog.ca, "web", "billing").connect(&world).await);
    assert_eq!(world.record_number(1).await.reason, Reason::Denied);
}

#[tokio::test]
async fn new_certificates_and_roots_cut_nothing() {
    let outside = Outside::new().await;
    let mut world = World::new(Catalog::billing(&[outside.address])).await;
    let (mut client, mut server) = open(&world, &outside).await;
    let serial = |world: &World| world.kept.certificates.leaves().values().next().unwrap().serial().clone();
    let before = serial(&world);
    world.catalog.new_leaf("billing");
    let another = super::world::Ca::new(&format!("spiffe://{}", super::world::TRUST_DOMAIN));
    let both = format!("{}{}", world.catalog.ca.pem, another.pem);
    world.catalog.write("roots.pem", &both);
    world.reload();
    assert_ne!(serial(&world), before, "the next handshake has the new one");
    talk(&mut client, &mut server).await;
    let (mut second, mut its_server) = open(&world, &outside).await;
    talk(&mut second, &mut its_server).await;
    assert_eq!(world.registry.open(), 2);
}

#[tokio::test]
async fn a_service_that_is_unlinked_drains() {
    let outside = Outside::new().await;
    let mut catalog = Catalog::billing(&[outside.address]);
    catalog.service("other", &[outside.address]);
    let mut world = World::with(catalog, &[("TIMERS_UNLINKED", "50ms")]).await;
    let (mut client, mut server) = open(&world, &outside).await;
    world.catalog.unlink("billing");
    world.reload();
    talk(&mut client, &mut server).await;
    eventually("its time passes", || world.sweep() > 0).await;
    assert_eq!(within(client.read(&mut [0])).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(world.record().await.reason, Reason::Unlinked);
}

#[tokio::test]
async fn a_service_that_is_linked_again_in_time_keeps_its_connections() {
    let outside = Outside::new().await;
    let mut catalog = Catalog::billing(&[outside.address]);
    catalog.service("other", &[outside.address]);
    let mut world = World::with(catalog, &[("TIMERS_UNLINKED", "1m")]).await;
    let (mut client, mut server) = open(&world, &outside).await;
    world.catalog.unlink("billing");
    world.reload();
    world.catalog.service("billing", &[outside.address]);
    world.reload();
    world.sweep();
    talk(&mut client, &mut server).await;
    assert_eq!(world.metric(r#"gateway_reauthorized_connections_total{result="expiring"}"#), Some(1));
}

/// The rules change after a connection has read them and before it is noted by whose word it is open.
#[tokio::test]
async fn no_change_slips_in_between_the_look_and_the_note_of_it() {
    let outside = Outside::new().await;
    let mut world = World::new(Catalog::billing(&[outside.address])).await;
    let asked = asked(&world);
    world.catalog.allow("nobody");
    world.reload();
    // Judged by the old rules it would be let in, and no later change would find it.
    let web = SpiffeId::parse(&spiffe("web")).unwrap();
    assert!(judge(&asked.service, &web).permit.is_some());
    let guard = world.registry.register(0, &"default".into(), world.address).unwrap();
    let gateway = Gateway { parts: Arc::clone(&world.gateway), kept: Arc::clone(&world.kept) };
    let refused = permitted(&gateway, &guard, &web, &mut { asked }).map(drop);
    assert_eq!(refused.map_err(|refused| refused.reason), Err(Reason::Denied));
}

/// What a hello for `billing` asks for now.
fn asked(world: &World) -> Asked {
    let live = world.gateway.live.load();
    let MatchedService::Served { matched, service } = live.lookup(&sni("billing")) else { panic!() };
    Asked {
        sni: Arc::clone(matched.name),
        alpn: None,
        rule: matched.rule,
        route: Arc::clone(matched.route),
        service: Arc::clone(service),
        figures: Arc::clone(matched.route.figures(&world.gateway.metrics)),
    }
}
