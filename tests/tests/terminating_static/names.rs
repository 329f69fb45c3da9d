//! Instances by host name: the union with addresses (row 24), answers that change, fail and never come (rows 27 to 29), and
//! names that lead where they may not.

use std::net::{IpAddr, SocketAddr};

use gateway_testkit::{
    Backend, DnsAnswer, DnsServer, Document, MeshConnection, Netns, Place, eventually, may_use_namespaces,
    wait_for,
};

use crate::world::{Plan, World, external, greeting, soon};

const FIRST: &str = "203.0.113.1";
const SECOND: &str = "203.0.113.2";
const METADATA: &str = "169.254.169.254";
const PRIVATE: &str = "10.11.12.13";

/// A network with a name server, in which every address is this host's.
struct Net {
    netns: Netns,
    dns: DnsServer,
}

impl Net {
    fn new() -> Self {
        let netns = Netns::new("names").unwrap();
        for address in [FIRST, SECOND, METADATA, PRIVATE] {
            netns.address("lo", &format!("{address}/32")).unwrap();
        }
        let dns = DnsServer::start(&(&netns).into(), SocketAddr::from(([127, 0, 0, 1], 53))).unwrap();
        Net { netns, dns }
    }

    fn place(&self) -> Place {
        (&self.netns).into()
    }

    /// A service at this address; `port` 0 lets the kernel choose.
    fn at(&self, address: &str, port: u16, name: &str) -> Backend {
        Backend::start(&self.place(), SocketAddr::new(ip(address), port), greeting(name)).unwrap()
    }

    async fn start(&self, plan: Plan, settings: &[(&str, &str)]) -> World {
        let file = plan.lab.dir().join("resolv.conf");
        std::fs::write(&file, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
        let world = plan.start_with(|mut gateway| {
            let quick = [
                ("TIMERS_DNS_FLOOR", "100ms"),
                ("TIMERS_DNS_REFRESH", "1s"),
                ("TIMERS_DNS_RETRY", "100ms"),
                ("TIMERS_DNS_RETRY_MAX", "500ms"),
            ];
            for (key, value) in quick.iter().chain(settings) {
                gateway = gateway.setting(key, value);
            }
            gateway.place(&self.netns).resolv_conf(file)
        });
        world.await
    }

    async fn call(&self, world: &World, service: &str) -> anyhow::Result<(MeshConnection, String)> {
        let caller = world.caller("web").place(&self.netns);
        let mut connection = world.connect(&caller, service).await?;
        let line = connection.line().await?;
        Ok((connection, line))
    }

    async fn who(&self, world: &World, service: &str) -> Option<String> {
        let (connection, line) = self.call(world, service).await.ok()?;
        connection.close().await.ok()?;
        Some(line)
    }

    async fn until_answers(&self, world: &World, service: &str, name: &str) {
        let what = format!("{service} to be answered by {name}");
        let answers = async || self.who(world, service).await.filter(|who| who == name);
        wait_for(soon(), &what, answers).await.unwrap();
    }

    /// Waits until the name was asked for twice more, so that an answer from now on has been used.
    async fn asked_again(&self, name: &str) {
        let until = self.dns.asked(name) + 4;
        eventually(soon(), &format!("more questions for {name}"), async || self.dns.asked(name) >= until)
            .await;
    }

    /// The reason for which a call is refused, without a byte.
    async fn reason(&self, world: &World, service: &str) -> String {
        let caller = world.caller("web").place(&self.netns);
        let mut connection = world.connect(&caller, service).await.unwrap();
        assert_eq!(connection.ended().await.unwrap().0, b"");
        let record = world.record_of(connection.local).await;
        record["reason"].as_str().unwrap().to_owned()
    }
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn plan(instances: Document) -> Plan {
    let mut plan = Plan::new();
    plan.service("db", instances);
    plan.allow("web", "*");
    plan
}

/// Row 24, as ours is: the name does not hide the address.
#[tokio::test]
async fn an_address_and_a_name_are_both_used() {
    let (by_address, by_name) = (external("by-address"), external("by-name"));
    let document = Document::new().external("db", by_address.address(), "").external_name(
        "db",
        "localhost",
        by_name.address().port(),
        "",
    );
    let world = plan(document).start_with(|gateway| gateway.setting("DNS_GUARD", "none")).await;
    world.until_answers("web", "db", "by-name").await;
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(world.who("web", "db").await);
    }
    for name in ["by-address", "by-name"] {
        let count = all.iter().filter(|it| *it == name).count();
        assert!((3..=9).contains(&count), "{all:?}");
    }
}

/// Rows 27 and 28.
#[tokio::test]
async fn an_answer_that_changes_is_followed_and_one_that_fails_is_not() {
    if !may_use_namespaces() {
        return;
    }
    let net = Net::new();
    let one = net.at(FIRST, 0, "one");
    let two = net.at(SECOND, one.address().port(), "two");
    net.dns.addresses("db.ext.test", &[ip(FIRST)]);
    let world = net
        .start(plan(Document::new().external_name("db", "db.ext.test", one.address().port(), "")), &[])
        .await;
    net.until_answers(&world, "db", "one").await;
    let (mut old, _) = net.call(&world, "db").await.unwrap();

    net.dns.addresses("db.ext.test", &[ip(SECOND)]);
    net.until_answers(&world, "db", "two").await;
    for _ in 0..4 {
        assert_eq!(net.who(&world, "db").await.as_deref(), Some("two"));
    }
    old.echo(b"old ones live on").await.unwrap();

    for failing in [DnsAnswer::Failure, DnsAnswer::Silence, DnsAnswer::Addresses(Vec::new(), 1)] {
        net.dns.set("db.ext.test", failing.clone());
        net.asked_again("db.ext.test").await;
        assert_eq!(
            net.who(&world, "db").await.as_deref(),
            Some("two"),
            "{failing:?}: the last addresses stay"
        );
    }
    // Both: each is used.
    net.dns.addresses("db.ext.test", &[ip(FIRST), ip(SECOND)]);
    net.until_answers(&world, "db", "one").await;
    net.until_answers(&world, "db", "two").await;
    old.echo(b"and still").await.unwrap();
    drop((one, two));
}

/// Row 29.
#[tokio::test]
async fn a_name_that_is_never_resolved_closes_its_service_alone() {
    if !may_use_namespaces() {
        return;
    }
    let net = Net::new();
    let other = net.at(FIRST, 0, "other");
    let mut plan = plan(Document::new().external_name("db", "nowhere.ext.test", 1, ""));
    plan.service("other", Document::new().external("other", other.address(), ""));
    let world = net.start(plan, &[]).await;
    for _ in 0..3 {
        assert_eq!(net.reason(&world, "db").await, "no_endpoint");
        assert_eq!(net.who(&world, "other").await.as_deref(), Some("other"));
    }
    // It comes after all.
    let late = net.at(SECOND, 0, "late");
    world
        .catalog
        .write("db.toml", Document::new().external_name("db", "nowhere.ext.test", late.address().port(), ""))
        .unwrap();
    net.dns.addresses("nowhere.ext.test", &[ip(SECOND)]);
    net.until_answers(&world, "db", "late").await;
}

/// A name that somebody else controls must not lead to this host or to its credentials. There are servers at both, so
/// that a connection would be seen.
#[tokio::test]
async fn a_name_may_not_stand_for_this_host_or_for_metadata() {
    if !may_use_namespaces() {
        return;
    }
    let net = Net::new();
    let good = net.at(FIRST, 0, "good");
    let port = good.address().port();
    let (metadata, own) = (net.at(METADATA, port, "metadata"), net.at("127.0.0.1", port, "own"));
    let private = net.at(PRIVATE, port, "private");
    let world = net.start(plan(Document::new().external_name("db", "db.ext.test", port, "")), &[]).await;
    for bad in [
        &[METADATA][..],
        &["127.0.0.1"],
        &["127.8.8.8", METADATA],
        &["0.0.0.0"],
        &["::1"],
        &["::ffff:127.0.0.1"],
    ] {
        let bad: Vec<_> = bad.iter().map(|it| ip(it)).collect();
        net.dns.addresses("db.ext.test", &bad);
        net.asked_again("db.ext.test").await;
        assert_eq!(net.reason(&world, "db").await, "no_endpoint", "{bad:?}");
    }
    // One good address among bad ones is used, and it alone.
    net.dns.addresses("db.ext.test", &[ip(METADATA), ip(FIRST), ip("127.0.0.1")]);
    net.until_answers(&world, "db", "good").await;
    for _ in 0..6 {
        assert_eq!(net.who(&world, "db").await.as_deref(), Some("good"));
    }
    // The same name, later, for this host: rebinding.
    net.dns.addresses("db.ext.test", &[ip("127.0.0.1")]);
    net.asked_again("db.ext.test").await;
    for _ in 0..3 {
        let who = net.who(&world, "db").await;
        assert!(who.is_none() || who.as_deref() == Some("good"), "{who:?}");
    }
    assert_eq!((metadata.seen().len(), own.seen().len()), (0, 0), "nobody was led there");
    let left_out = world.metric("gateway_dns_addresses_left_out_total", &[("cause", "guarded")]).await;
    assert!(
        left_out >= 1.0 || world.metric("gateway_dns_addresses_left_out_total", &[]).await >= 1.0,
        "{left_out}"
    );
    // Private networks are what many gateways are for.
    net.dns.addresses("db.ext.test", &[ip(PRIVATE)]);
    net.until_answers(&world, "db", "private").await;
    drop(private);
}

/// The setting: private ones as well, or none. What documents write themselves is not looked at.
#[tokio::test]
async fn the_guard_is_a_setting_and_does_not_judge_addresses() {
    if !may_use_namespaces() {
        return;
    }
    let net = Net::new();
    let private = net.at(PRIVATE, 0, "private");
    net.dns.addresses("db.ext.test", &[ip(PRIVATE)]);
    let document = || Document::new().external_name("db", "db.ext.test", private.address().port(), "");
    {
        let mut plan = plan(document());
        let own = net.at("127.0.0.1", 0, "own");
        plan.service("own", Document::new().external("own", own.address(), ""));
        let world = net.start(plan, &[("DNS_GUARD", "loopback,private")]).await;
        net.asked_again("db.ext.test").await;
        assert_eq!(net.reason(&world, "db").await, "no_endpoint");
        assert_eq!(net.who(&world, "own").await.as_deref(), Some("own"), "an address is meant");
    }
    let own = net.at("127.0.0.1", private.address().port(), "own");
    net.dns.addresses("db.ext.test", &[ip("127.0.0.1")]);
    let world = net.start(plan(document()), &[("DNS_GUARD", "none")]).await;
    net.until_answers(&world, "db", "own").await;
    drop(own);
}
