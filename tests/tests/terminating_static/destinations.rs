//! `Destination` of service-defaults: addresses without instances (row 50).

use gateway_testkit::{Document, LeafSpec, Pki, TlsService};

use crate::world::{Plan, external, soon};

fn defaults(service: &str, addresses: &str, port: u16) -> Document {
    Document::new().text(&format!(
        "[[Entry]]\nKind = \"service-defaults\"\nName = {service:?}\nProtocol = \"tcp\"\n\
         Destination = {{ Addresses = [{addresses}], Port = {port} }}\n"
    ))
}

#[tokio::test]
async fn each_address_of_a_destination_has_a_name_and_nothing_else_has() {
    let (mut plan, billing) = Plan::billing();
    let ca = Pki::new("ext.example").unwrap();
    let certificate = ca.issue(&LeafSpec::new().name("www.ext.example").server_only()).unwrap();
    let www = TlsService::start("www-1", &certificate, None).unwrap();
    let ca_file = plan.lab.dir().join("certs/ext-ca.pem");
    ca.write_root(&ca_file).unwrap();
    plan.link("www", &format!("CAFile = {ca_file:?}, SNI = \"www.ext.example\""));
    plan.leaf("www");
    plan.allow("web", "www");
    plan.catalog
        .write("www.toml", defaults("www", "\"127.0.0.1\", \"localhost\"", www.address().port()))
        .unwrap();
    let world = plan.start_with(|gateway| gateway.setting("DNS_GUARD", "none")).await;
    for name in ["destination.127-0-0-1.www", "destination.LOCALHOST.www"] {
        world
            .until_page("/snapshot", "the service", |page| {
                page["services"].to_string().contains("destination")
            })
            .await;
        let mut connection = None;
        gateway_testkit::eventually(soon(), name, async || {
            let Ok(mut it) = world.connect(&world.caller("web"), name).await else { return false };
            let line = it.line().await;
            connection = line.is_ok().then_some((it, line.unwrap_or_default()));
            connection.is_some()
        })
        .await;
        let (connection, line) = connection.unwrap();
        assert!(line.contains("\"sni\":\"www.ext.example\""), "{name}: {line}");
        assert_eq!(
            connection.presented,
            world.pki.service_id("www", "dc1"),
            "one certificate for all addresses"
        );
    }
    for name in [
        "www",
        "destination.www-example-com.www",
        "destination.127-0-0-2.www",
        "destination.127-0-0-1.billing",
    ] {
        assert_eq!(world.refused_hello(&world.sni(name)).await["reason"], "unknown_sni", "{name}");
    }
    let (record, _) = world.refusal(&world.caller("cron"), "destination.127-0-0-1.www").await;
    assert_eq!((&record["reason"], &record["service"]), (&"denied".into(), &"www".into()));
    assert_eq!(billing.seen().len(), 0);
}

/// A service of the catalog wins over a destination of the same name.
#[tokio::test]
async fn a_service_of_the_catalog_comes_before_a_destination() {
    let (mut plan, _billing) = Plan::billing();
    let (there, here) = (external("destination"), external("instance"));
    plan.link("both", "");
    plan.leaf("both");
    plan.allow("web", "both");
    plan.catalog.write("both.toml", defaults("both", "\"127.0.0.1\"", there.address().port())).unwrap();
    plan.catalog.write("instance.toml", Document::new().external("both", here.address(), "")).unwrap();
    let world = plan.start().await;
    assert_eq!(world.who("web", "both").await, "instance");
    assert_eq!(world.refused_hello(&world.sni("destination.127-0-0-1.both")).await["reason"], "unknown_sni");
    world.catalog.remove("instance.toml").unwrap();
    world.until_answers("web", "destination.127-0-0-1.both", "destination").await;
    assert_eq!(world.refused_hello(&world.sni("both")).await["reason"], "unknown_sni");
}
