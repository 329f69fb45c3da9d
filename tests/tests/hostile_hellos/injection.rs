//! Names and protocols that mean something to whoever reads logs, metrics and pages: they stay text.

use gateway_testkit::{Deadline, Hello, wait_for};
use serde_json::Value;

use crate::world::{World, billing};

/// All pass a strict reader: visible ASCII, labels of at most 63 bytes.
const NAMES: [&str; 9] = [
    r#"x","reason":"closed","service":"billing","y":".example"#,
    r#"x"}.{"log":"access","reason":"closed"}"#,
    r"a\n{\u0022reason\u0022:\u0022closed\u0022}.example",
    r"back\slash\.example\",
    "${jndi:ldap://evil.example/x}",
    "%0d%0a%1b[2J.example",
    "<script>alert(1)</script>.example",
    r#"a{service="billing"}.example"#,
    "';DROP-TABLE-services;--.example",
];

/// Protocols may be any bytes.
const PROTOCOLS: [&str; 6] = [
    "h2\n{\"log\":\"access\",\"reason\":\"closed\",\"sni\":\"forged\"}\n",
    "h2\r\nGET / HTTP/1.1\r\n\r\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\0",
    "\u{202e}2h\u{2028}\u{feff}",
    "\" service=\"billing",
];

#[tokio::test]
async fn a_name_cannot_break_out_of_its_record() {
    let world = World::start(&[]).await;
    for name in NAMES {
        let record = world.refuses(name, &Hello::new(name).bytes(), "unknown_sni").await;
        assert_eq!((record["sni"].as_str(), &record["service"]), (Some(name), &Value::Null), "{record}");
    }
    assert_lines_are_whole(&world, NAMES.len()).await;
    let metrics = world.gateway.admin().unwrap().get("/metrics").await.unwrap();
    assert!(!metrics.body.contains("example"), "a client's text became a label:\n{}", metrics.body);
    world.assert_nothing_came_through();
}

/// Below a wildcard such a name is carried: it is up to the server behind. The log and the pages still hold it as text.
#[tokio::test]
async fn a_name_cannot_break_out_of_a_page() {
    let world = World::start(&[]).await;
    let admin = world.gateway.admin().unwrap();
    for name in [r#"x","state":"open"}.legacy.example.com"#, "<script>alert(1)</script>.legacy.example.com"] {
        let wire = Hello::new(name).alpn(&[PROTOCOLS[0]]).bytes();
        let mut client = world.connect().await;
        client.send(&wire).await;
        let shown = async || {
            let page = admin.connections().await.ok()?;
            page["connections"].as_array()?.iter().find(|row| row["sni"] == name).cloned()
        };
        let row = wait_for(Deadline::usual(), "the name on /connections", shown).await.unwrap();
        assert!(PROTOCOLS[0].starts_with(row["alpn"].as_str().unwrap()), "{row}");
        let record = client.carried(&wire, &world.far).await;
        assert_eq!(record["sni"], name);
    }
    assert_lines_are_whole(&world, 2).await;
    let home = admin.get("/").await.unwrap();
    assert!(!home.body.contains("alert(1)"), "{}", home.body);
}

#[tokio::test]
async fn a_protocol_cannot_break_out_of_its_record() {
    let world = World::start(&[]).await;
    for protocol in PROTOCOLS {
        let hello = Hello::new("nobody.example").alpn(&[protocol, "h2"]);
        let record = world.refuses(protocol, &hello.bytes(), "unknown_sni").await;
        assert_eq!(record["alpn"], protocol);
        let hello = Hello::new(&billing()).alpn(&[protocol]);
        let record = world.carries(protocol, &hello.bytes(), &world.near).await;
        let kept: String = protocol.chars().take(64).collect();
        assert_eq!(record["alpn"], kept);
    }
    let no_text = Hello::new("nobody.example").extension(16, b"\x00\x04\x03\xff\xfe\x80".to_vec());
    world.refuses("bytes that are no text", &no_text.bytes(), "unknown_sni").await;
    assert_lines_are_whole(&world, 2 * PROTOCOLS.len() + 1).await;
}

/// One line for each connection, every one JSON, and no character in it that would not print as itself.
async fn assert_lines_are_whole(world: &World, connections: usize) {
    let records = world.gateway.records();
    let written = async || (records.count() == connections).then_some(());
    wait_for(Deadline::usual(), "one record for each connection", written).await.unwrap();
    let text = std::fs::read_to_string(records.path()).unwrap();
    assert_eq!(text.lines().count(), connections, "{text}");
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(record["log"], "access");
        let hidden = line.chars().find(|c| c.is_control() || "\u{202e}\u{2028}\u{feff}".contains(*c));
        assert_eq!(hidden, None, "{line}");
    }
}
