//! The probe against what real Consuls answered.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

use catalog_client::{
    Client, ClientConfig,
    capability::{Capabilities, Feature, TokenFacts, Verdict},
    config::Address,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

#[derive(Deserialize)]
struct Recorded {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

type Recording = BTreeMap<String, Recorded>;

/// An agent that knows the recorded answers and nothing else.
fn replay(recording: &str) -> SocketAddr {
    let recording: Arc<Recording> = Arc::new(serde_json::from_str(recording).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let recording = recording.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &recording));
        }
    });
    address
}

fn answer(stream: TcpStream, recording: &Recording) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let target = request.split(' ').nth(1).unwrap();
    let (path, parameters) = target.split_once('?').unwrap_or((target, ""));
    let filter = parameters.split('&').find_map(|parameter| parameter.strip_prefix("filter="));
    let key = match filter {
        Some(filter) => format!("{path}?filter={}", decoded(filter)),
        None => decoded(path),
    };
    let Recorded { status, headers, body } =
        recording.get(&key).unwrap_or_else(|| panic!("{key} was not recorded"));
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = format!(
        "HTTP/1.1 {status} Recorded\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = stream;
    let _ = stream.write_all(answer.as_bytes());
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

async fn probe(recording: &str) -> Capabilities {
    let address = replay(recording);
    Capabilities::probe(&client(&address.to_string()), "mesh-gateway").await
}

fn client(address: &str) -> Client {
    let addresses = vec![Address::parse(address, None).unwrap()];
    Client::new(ClientConfig { addresses, ..ClientConfig::default() }).unwrap()
}

fn verdicts(found: &Capabilities) -> [Verdict; 7] {
    Feature::ALL.map(|feature| found.finding(feature).verdict)
}

use Verdict::{No, NotPermitted, Unknown, Yes};

#[tokio::test]
async fn each_version_is_known_by_what_it_can() {
    // All kinds, mesh entry, intention entries, peering, exported services, kind filter, federation.
    let table = [
        ("1.8.7", include_str!("capability/1.8.7.json"), [Yes, No, No, No, No, No, Yes]),
        (
            "1.8.7 management",
            include_str!("capability/1.8.7-management.json"),
            [Yes, No, No, No, No, No, Yes],
        ),
        ("1.10.1", include_str!("capability/1.10.1.json"), [Yes, Yes, Yes, No, No, No, Yes]),
        ("1.21", include_str!("capability/1.21.json"), [Yes; 7]),
        ("1.21 management", include_str!("capability/1.21-management.json"), [Yes; 7]),
        ("1.21 off", include_str!("capability/1.21-peering-off.json"), [Yes, Yes, Yes, No, Yes, Yes, Yes]),
    ];
    for (name, recording, expected) in table {
        let found = probe(recording).await;
        assert_eq!(verdicts(&found), expected, "{name}: {:?}", found.rows());
        assert!(found.is_complete(), "{name}");
    }
}

#[tokio::test]
async fn what_a_token_may_not_see_is_not_taken_for_missing() {
    // Nobody sees no service at all, so a filter proves nothing.
    let found = probe(include_str!("capability/1.21-anonymous.json")).await;
    assert_eq!(verdicts(&found), [Yes, Yes, NotPermitted, NotPermitted, NotPermitted, Unknown, Yes]);
    assert_eq!((&found.token, found.agent_self.verdict), (&TokenFacts::Nobody, NotPermitted));
    assert!(!found.is_complete(), "the filter is asked about again");
    let detail = &found.finding(Feature::Peering).detail;
    assert!(detail.contains("lacks permission 'peering:read'"), "{detail}");

    let found = probe(include_str!("capability/1.8.7-anonymous.json")).await;
    assert_eq!(verdicts(&found), [Yes, No, No, No, No, Unknown, Yes]);

    let found = probe(include_str!("capability/1.21-unknown-token.json")).await;
    assert_eq!(verdicts(&found), [NotPermitted; 7]);
    let found = probe(include_str!("capability/1.8.7-unknown-token.json")).await;
    let np = NotPermitted;
    assert_eq!(verdicts(&found), [np, np, np, No, No, np, np]);
}

#[tokio::test]
async fn agents_and_tokens_introduce_themselves() {
    let facts = async |recording| probe(recording).await.agent.unwrap();
    let old = facts(include_str!("capability/1.8.7.json")).await;
    assert_eq!((&*old.info.version, &*old.info.datacenter, &*old.info.node_name), ("1.8.7", "dc1", "old"));
    assert_eq!(old.streaming, None, "there was no choice yet");
    assert_eq!(facts(include_str!("capability/1.10.1.json")).await.streaming, Some(true));
    let new = facts(include_str!("capability/1.21.json")).await;
    assert_eq!(new.to_string(), "Consul 1.21.0, server new in dc1, domain consul., streaming on");

    assert_eq!(probe(include_str!("capability/1.8.7.json")).await.token, TokenFacts::AclsOff);
    let found = probe(include_str!("capability/1.8.7-management.json")).await;
    let TokenFacts::Known { accessor, expires: None, local: false } = &found.token else {
        panic!("{:?}", found.token)
    };
    assert_eq!(accessor.len(), 36);
    let page = format!("{:?} {found:?}", found.rows());
    assert!(page.contains(accessor) && !page.contains("11111111-"), "a secret is shown: {page}");
}

#[tokio::test]
async fn rows_name_everything_once() {
    let rows = probe(include_str!("capability/1.8.7.json")).await.rows();
    let shown: Vec<_> = rows.iter().map(|row| (row.name, row.verdict)).collect();
    let expected = [
        ("all_kinds", "yes"),
        ("mesh_entry", "no"),
        ("intention_entries", "no"),
        ("peering", "no"),
        ("exported_services", "no"),
        ("kind_filter", "no"),
        ("federation_states", "yes"),
        ("agent_self", "yes"),
        ("token", "no"),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn an_agent_that_is_not_there_leaves_everything_open() {
    // Nobody listens on the port any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = Capabilities::probe(&client(&address.to_string()), "mesh-gateway").await;
    assert_eq!(verdicts(&found), [Unknown; 7]);
    assert_eq!((found.agent_self.verdict, &found.token), (Unknown, &TokenFacts::Unknown));
}
