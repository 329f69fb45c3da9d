//! Services of the gateway's own datacenter.

use gateway_testkit::{
    Backend, ClientSidecar, Deadline, End, Lab, Pki, Place, Script, ServerSidecar, Sidecar, Upstream, Via,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{echo, gateway, in_use, internal, mesh, say_hello, turned_away, visit};

const VERSIONS: &str = r#"
[[Entry]]
Kind = "service-resolver"
Name = "billing"
Subsets.v1.Filter = "Service.Meta.version == v1"
Subsets.v2.Filter = "Service.Meta.version == v2"
"#;

#[tokio::test]
async fn a_service_is_reached_and_both_ends_see_each_other() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc1")).unwrap();
    let (_catalog, gateway) = gateway(&lab, mesh().sidecar("billing", "billing-1", billing.address())).await;
    let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    let upstream = Upstream::new("billing", "dc1");
    let mut call = frontend.call(&upstream, Via::Local(gateway.address().unwrap())).await.unwrap();
    call.echo(&vec![0x42; 100_000]).await.unwrap();
    assert_eq!(call.greeting.identity, pki.service_id("frontend", "dc1"), "whom the server saw");
    assert_eq!(call.identity, pki.service_id("billing", "dc1"), "whom the client saw");
    assert_eq!(&call.certificate, billing.certificate(), "nobody ended the handshake between them");
    assert_eq!(call.greeting.sni, Some(upstream.sni(pki.trust_domain())));
    assert_ne!(call.greeting.peer, call.local, "the gateway is between them");
    let client = call.local.to_string();
    call.close().await.unwrap();

    let record =
        gateway.wait_record(Deadline::usual(), "of the call", |r| r["peer"] == *client).await.unwrap();
    assert_eq!((&record["reason"], &record["rule"]), (&"closed".into(), &"service".into()), "{record}");
    assert_eq!(record["endpoint"], billing.address().to_string());
    assert!(record["bytes_down"].as_u64().unwrap() > 100_000, "{record}");
}

#[tokio::test]
async fn names_are_compared_without_case() {
    let lab = Lab::new().unwrap();
    let billing = echo();
    let (_catalog, gateway) = gateway(&lab, mesh().sidecar("Billing", "billing-1", billing.address())).await;
    for name in [internal("BILLING.Default.DC1"), internal("billing.default.dc1").to_ascii_uppercase()] {
        let record = visit(&gateway, &name).await;
        assert_eq!(record["sni"], name.to_ascii_lowercase(), "{record}");
        assert_eq!(record["endpoint"], billing.address().to_string(), "{record}");
    }
}

#[tokio::test]
async fn a_subset_has_the_instances_that_its_filter_takes() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let instance = |id: &str| ServerSidecar::start(&pki, Sidecar::new("billing", id, "dc1")).unwrap();
    let (one, two) = (instance("one"), instance("two"));
    let document = mesh()
        .instance("billing", "connect-proxy", one.address(), "Meta = { version = \"v1\" }")
        .instance("billing", "connect-proxy", two.address(), "Meta = { version = \"v2\" }")
        .text(VERSIONS);
    let (_catalog, gateway) = gateway(&lab, document).await;
    let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
    let via = Via::Local(gateway.address().unwrap());
    for (subset, only) in [(Some("v1"), Some("one")), (Some("v2"), Some("two")), (None, None)] {
        let upstream = Upstream { subset: subset.map(str::to_owned), ..Upstream::new("billing", "dc1") };
        let mut reached = Vec::new();
        for _ in 0..4 {
            let call = frontend.call(&upstream, via).await.unwrap();
            assert_eq!(call.greeting.identity, pki.service_id("frontend", "dc1"));
            reached.push(call.greeting.instance.clone());
            call.close().await.unwrap();
        }
        reached.sort();
        let expected = only.map_or(["one", "one", "two", "two"], |only| [only; 4]);
        assert_eq!(reached, expected, "{subset:?}");
    }
    let record = turned_away(&gateway, &internal("v9.billing.default.dc1")).await;
    assert_eq!(record["reason"], "unknown_sni", "there is no such subset: {record}");
}

#[tokio::test]
async fn the_unnamed_set_is_that_of_the_default_subset() {
    let lab = Lab::new().unwrap();
    let (one, two) = (echo(), echo());
    let document = mesh()
        .instance("billing", "connect-proxy", one.address(), "Meta = { version = \"v1\" }")
        .instance("billing", "connect-proxy", two.address(), "Meta = { version = \"v2\" }")
        .text(&format!("{VERSIONS}DefaultSubset = \"v1\"\n"));
    let (_catalog, gateway) = gateway(&lab, document).await;
    for _ in 0..4 {
        let record = visit(&gateway, &internal("billing.default.dc1")).await;
        assert_eq!(record["endpoint"], one.address().to_string(), "{record}");
    }
    assert_eq!((one.seen().len(), two.seen().len()), (4, 0));
}

#[tokio::test]
async fn a_name_that_no_document_declares_leads_nowhere() {
    let lab = Lab::new().unwrap();
    let (billing, far) = (echo(), echo());
    let document = mesh()
        .sidecar("billing", "billing-1", billing.address())
        .mesh_gateway("dc2", far.address())
        .instance("plain", "", billing.address(), "ID = \"plain-1\"");
    let (_catalog, gateway) = gateway(&lab, document).await;
    for name in [
        "billing.default.dc1.internal.00000000-2222-3333-4444-555555555555.consul".to_owned(),
        format!("geo-db.default.dc1.query.{}", crate::TD),
        internal("unknown.default.dc1"),
        internal("plain.default.dc1"),
        internal("billing.other.dc1"),
        internal("billing.default.dc9"),
        internal("billing.dc1"),
        "billing".to_owned(),
        "local_agent".to_owned(),
    ] {
        let record = turned_away(&gateway, &name).await;
        assert_eq!(record["reason"], "unknown_sni", "{record}");
        assert_eq!(record["sni"], *name, "{record}");
        assert!(record["endpoint"].is_null() && record["service"].is_null(), "{record}");
    }
    assert_eq!((billing.seen().len(), far.seen().len()), (0, 0), "nobody was asked");
}

#[tokio::test]
async fn a_service_goes_with_its_last_instance_and_its_connections_stay() {
    let lab = Lab::new().unwrap();
    let billing = echo();
    let (catalog, gateway) = gateway(&lab, mesh().sidecar("billing", "billing-1", billing.address())).await;
    let name = internal("billing.default.dc1");
    let mut open = say_hello(gateway.address().unwrap(), &name).await;
    open.read_exact(&mut [0; 100]).await.unwrap();

    catalog.write("mesh.toml", mesh()).unwrap();
    in_use(&gateway, 2).await;
    assert_eq!(turned_away(&gateway, &name).await["reason"], "unknown_sni");
    open.write_all(b"still here").await.unwrap();
    open.shutdown().await.unwrap();
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"still here"));
    let seen = billing.wait(Deadline::usual(), "its end", |seen| seen.end.is_some()).await.unwrap();
    assert_eq!(seen.end, Some(End::Eof));
}

#[tokio::test]
async fn a_call_within_the_datacenter_takes_the_address_of_the_lan() {
    let lab = Lab::new().unwrap();
    let billing = echo();
    let wan = Backend::start(&Place::Here, ([127, 0, 0, 1], 0).into(), Script::Echo).unwrap();
    let tagged = format!("WanAddress = \"{}\"", wan.address());
    let document = mesh().instance("billing", "connect-proxy", billing.address(), &tagged);
    let (_catalog, gateway) = gateway(&lab, document).await;
    for _ in 0..2 {
        let record = visit(&gateway, &internal("billing.default.dc1")).await;
        assert_eq!(record["endpoint"], billing.address().to_string(), "{record}");
    }
    assert!(wan.seen().is_empty());
}
