//! First bytes that lead nowhere, each with its reason. Names are made so that a reader less strict would find a way:
//! the wrong part is always beside a name that exists.

use gateway_testkit::{Hello, Stranger};

use crate::world::{DOMAIN, World, billing};

/// The `server_name` extensions of a hello: each a list of (type, name).
type Names = Vec<Vec<(u8, Vec<u8>)>>;

#[tokio::test]
async fn t21_names_that_no_host_has_are_unknown() {
    let world = World::start(&[]).await;
    let endpoint = world.near.address();
    let names = [
        format!("{}.", billing()),
        format!("x.ams2.internal.{DOMAIN}."),
        "old.legacy.example.com.".to_owned(),
        "127.0.0.1".to_owned(),
        endpoint.to_string(),
        "::1".to_owned(),
        "[::1]".to_owned(),
        "0x7f000001".to_owned(),
    ];
    for name in &names {
        let record = world.refuses(name, &Hello::new(name).bytes(), "unknown_sni").await;
        assert_eq!(record["sni"], **name);
    }
    world.wait_counted("unknown_sni", names.len()).await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t21_without_a_name_there_is_no_default() {
    let world = World::start(&[]).await;
    world.refuses("no name", &Hello::nameless().bytes(), "no_sni").await;
    world
        .refuses("no name but ALPN", &Hello::nameless().alpn(&["consul/rpc-single"]).bytes(), "no_sni")
        .await;
    world.refuses("an empty name", &Hello::new("").bytes(), "hello_malformed").await;
    world
        .refuses("an empty list", &Hello::nameless().raw_names(vec![vec![]]).bytes(), "hello_malformed")
        .await;
    world
        .refuses("an empty extension", &Hello::nameless().extension(0, vec![]).bytes(), "hello_malformed")
        .await;
    world.wait_counted("no_sni", 2).await;
    world.wait_counted("hello_malformed", 3).await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t22_a_name_that_could_be_read_in_two_ways_is_malformed() {
    let world = World::start(&[]).await;
    let good = billing();
    let raw = |names: Names| Hello::nameless().raw_names(names);
    let host = |name: &str| vec![(0, name.as_bytes().to_vec())];
    let longest = format!("{}ams2.internal.{DOMAIN}", "a.".repeat(99));
    assert_eq!(longest.len(), 255);
    let cases = [
        ("256 bytes below a wildcard", Hello::new(&format!("a{longest}"))),
        ("60,000 bytes", Hello::new(&"a".repeat(60_000))),
        ("NUL behind the name", Hello::new(&format!("{good}\0"))),
        ("NUL between two names", Hello::new(&format!("{good}\0.evil.example"))),
        ("NUL first", Hello::new(&format!("\0{good}"))),
        ("two extensions, the same name", Hello::new(&good).and_extension_with_name(&good)),
        ("two extensions, two names", Hello::new(&good).and_extension_with_name("evil.example")),
        ("two names, the good one first", Hello::new(&good).and_name("evil.example")),
        ("two names, the good one last", Hello::new("evil.example").and_name(&good)),
        ("name type 1", raw(vec![vec![(1, good.clone().into_bytes())]])),
        ("name type 1, then a good one", raw(vec![[vec![(1, vec![1])], host(&good)].concat()])),
        ("a good one, then name type 1", raw(vec![[host(&good), vec![(1, vec![1])]].concat()])),
        ("an empty label first", Hello::new(&format!(".{good}"))),
        ("an empty label within", Hello::new(&format!("x..ams2.internal.{DOMAIN}"))),
        ("a label of 64 bytes", Hello::new(&format!("{}.ams2.internal.{DOMAIN}", "a".repeat(64)))),
        ("two dots at the end", Hello::new(&format!("{good}.."))),
        ("a blank", Hello::new(&format!("{good} "))),
        ("a tab", Hello::new(&format!("\t{good}"))),
        ("a line end", Hello::new(&format!("{good}\r\n"))),
        ("DEL", Hello::new(&format!("{good}\u{7f}"))),
        ("letters beyond ASCII", Hello::new(&format!("b\u{131}lling.default.ams2.internal.{DOMAIN}"))),
        ("bytes that are no text", raw(vec![vec![(0, b"\xff\xfe.ams2.internal.consul".to_vec())]])),
        ("any extension twice", Hello::new(&good).extension(0xfafa, vec![]).extension(0xfafa, vec![])),
        ("a name that is longer than it says", Hello::nameless().extension(0, server_name(&good, -1, 0))),
        ("a name that is shorter than it says", Hello::nameless().extension(0, server_name(&good, 1, 0))),
        ("a list that is shorter than it says", Hello::nameless().extension(0, server_name(&good, 0, 1))),
        ("a list that is longer than it says", Hello::nameless().extension(0, server_name(&good, 0, -1))),
    ];
    for (what, hello) in &cases {
        let record = world.refuses(what, &hello.bytes(), "hello_malformed").await;
        assert!(record["sni"].is_null() && !record["detail"].is_null(), "{what}: {record}");
    }
    world.wait_counted("hello_malformed", cases.len()).await;
    world.assert_nothing_came_through();
    world.carries("255 bytes below a wildcard", &Hello::new(&longest).bytes(), &world.far).await;
}

/// The content of a `server_name` extension with one name, whose two inner lengths are wrong by so much.
fn server_name(name: &str, name_wrong_by: i32, list_wrong_by: i32) -> Vec<u8> {
    let length = |length: usize, wrong_by: i32| (length as i32 + wrong_by).to_be_bytes()[2..].to_vec();
    let list = length(name.len() + 3, list_wrong_by);
    [list, vec![0], length(name.len(), name_wrong_by), name.as_bytes().to_vec()].concat()
}

/// The reference proxy takes an unknown name for the name of one of its own endpoint sets; here a name is in the table
/// or leads nowhere, whatever the process uses it for elsewhere.
#[tokio::test]
async fn t23_names_of_the_process_itself_lead_nowhere() {
    let world = World::start(&[]).await;
    // Figures, targets and pages have names by now.
    world.carries("a good one", &Hello::new(&billing()).bytes(), &world.near).await;
    world.carries("a route", &Hello::new("a.legacy.example.com").bytes(), &world.far).await;
    let names: Vec<String> = [
        "local_agent",
        "exported~billing.default.default.east.external",
        "self_admin",
        "prometheus_backend",
        "localhost",
        "admin",
        "metrics",
        "default",
        "billing",
        "dc:ams2",
        "dc1",
        "legacy.example.com",
        "*",
        "*.example.com",
        "_",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("exported~{}", billing()),
        format!("ams2.internal.{DOMAIN}"),
        format!("dc1.internal.{DOMAIN}"),
        format!("internal.{DOMAIN}"),
        format!("*.internal.{DOMAIN}"),
        format!("*.dc1.internal.{DOMAIN}"),
        format!("mesh-gateway.default.dc1.internal.{DOMAIN}"),
        format!("nobody.default.dc1.internal.{DOMAIN}"),
        format!("v9.{}", billing()),
        format!("billing.default.dc1.internal-v1.{DOMAIN}"),
        "billing.default.dc1.internal.99999999-2222-3333-4444-555555555555.consul".to_owned(),
        format!("geo-db.default.dc1.query.{DOMAIN}"),
        "server.dc1.consul".to_owned(),
        format!("server.dc1.peering.{DOMAIN}"),
    ])
    .collect();
    for name in &names {
        let record = world.refuses(name, &Hello::new(name).bytes(), "unknown_sni").await;
        assert_eq!((&record["sni"], &record["service"]), (&(&**name).into(), &serde_json::Value::Null));
    }
    world.wait_counted("unknown_sni", names.len()).await;
    assert_eq!((world.near.seen().len(), world.far.seen().len()), (1, 1), "only the good ones");
}

/// A star in a hello is a letter: it stands for no row, and is one label in front of a suffix like any other.
#[tokio::test]
async fn t23_a_star_in_a_hello_stands_for_nothing() {
    let world = World::start(&[]).await;
    for name in [format!("*.default.dc1.internal.{DOMAIN}"), "*.*".into(), "*.com".into(), "*.consul".into()]
    {
        world.refuses(&name, &Hello::new(&name).bytes(), "unknown_sni").await;
    }
    world.assert_nothing_came_through();
    for name in ["*.legacy.example.com", "route:*.legacy.example.com"] {
        let record = world.carries(name, &Hello::new(name).bytes(), &world.far).await;
        assert_eq!(
            (&record["sni"], &record["service"]),
            (&name.into(), &"route:*.legacy.example.com".into())
        );
    }
    assert!(world.near.seen().is_empty());
}

#[tokio::test]
async fn t31_who_does_not_speak_tls_is_sent_away_at_once() {
    let world = World::start(&[]).await;
    for stranger in Stranger::ALL {
        let reason = if stranger == Stranger::ServerHello { "hello_malformed" } else { "not_tls" };
        let record = world.refuses(&format!("{stranger:?}"), stranger.bytes(), reason).await;
        assert!(!record["detail"].is_null(), "{stranger:?}: the record does not say what came: {record}");
    }
    world.wait_counted("not_tls", Stranger::ALL.len() - 1).await;
    world.assert_nothing_came_through();
}

/// The client sends nothing more and waits: as many protocols do whose server speaks next.
#[tokio::test]
async fn t31_the_first_byte_is_enough_to_know() {
    let world = World::start(&[]).await;
    for first in (0..=u8::MAX).filter(|first| *first != 22) {
        world.refuses(&format!("first byte {first:#04x}"), &[first], "not_tls").await;
    }
    world.wait_counted("not_tls", 255).await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t31_a_hello_that_turns_into_something_else_is_malformed() {
    let world = World::start(&[]).await;
    let whole = Hello::new(&billing()).record_size(40).bytes();
    let first_records = &whole[..2 * 45];
    for (what, next) in [
        ("an alert", &b"\x15\x03\x01\x00\x02\x02\x28"[..]),
        ("application data", b"\x17\x03\x03\x00\x05hello"),
        ("text", b"GET / HTTP/1.1\r\n\r\n"),
        ("a record of another version", b"\x16\x05\x05\x00\x28"),
        ("a record above 16 KiB", b"\x16\x03\x01\x40\x01"),
    ] {
        let wire = [first_records, next].concat();
        world.refuses(&format!("two records, then {what}"), &wire, "hello_malformed").await;
    }
    let endless = Hello::new(&billing()).empty_records_first(1000).bytes();
    world.refuses("a thousand empty records", &endless, "hello_malformed").await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t32_ssl_3_and_record_versions_that_are_not_tls_are_refused() {
    let world = World::start(&[]).await;
    let hello = Hello::new(&billing());
    let ssl3 = hello.clone().hello_version(0x0300).record_version(0x0300).versions(&[]);
    world.refuses("SSL 3", &ssl3.bytes(), "hello_malformed").await;
    let ssl3 = hello.clone().hello_version(0x0300);
    world.refuses("SSL 3 that offers more in an extension", &ssl3.bytes(), "hello_malformed").await;
    world.refuses("SSL 2", &hello.clone().hello_version(0x0002).bytes(), "hello_malformed").await;
    for version in [0x0505, 0x0203, 0x0403, 0xffff, 0x0003] {
        let wire = hello.clone().record_version(version).bytes();
        world.refuses(&format!("record version {version:#06x}"), &wire, "not_tls").await;
    }
    world.assert_nothing_came_through();
}
