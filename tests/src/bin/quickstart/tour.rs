//! The calls, and what each hop has to say about them: the gateways in their admin pages while the connection is open
//! and in their access logs when it has ended, the two ends by what they saw of each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use gateway_testkit::{Call, Deadline, Gateway, Upstream, Via, wait_for};
use serde_json::Value;

use crate::report::Report;
use crate::world::World;

/// All steps.
pub(crate) async fn run(world: &World, report: &mut Report) -> Result<()> {
    let (dc1, dc2) = (world.dc1.address()?, world.dc2.address()?);
    let billing = Upstream::new("billing", "dc2");

    report.step("frontend calls billing in dc2, mode local: through the gateway of dc1, then that of dc2");
    let first = call(world, report, &billing, Via::Local(dc1)).await?;

    report.step("once more: the gateway of dc2 picks the other instance");
    let second = call(world, report, &billing, Via::Local(dc1)).await?;
    let used = BTreeSet::from([first.as_str(), second.as_str()]);
    report.expect(used.len() == 2, "both instances of billing had a call", format!("only {first}"));

    report.step("frontend calls web in dc2, mode local");
    call(world, report, &Upstream::new("web", "dc2"), Via::Local(dc1)).await?;

    report.step("frontend calls billing in dc2, mode remote: straight through the gateway of dc2");
    let before = world.dc1.records().count();
    call(world, report, &billing, Via::Remote(dc2)).await?;
    let new = world.dc1.records().count() - before;
    report.expect(new == 0, "the gateway of dc1 had no part in it", format!("it has {new} new records"));

    report.step("frontend calls a service that dc2 does not have");
    refused(world, report, dc1).await?;

    report.step("what the gateways count");
    figures(world, report).await
}

/// One call, told hop by hop; gives the instance that answered.
async fn call(world: &World, report: &mut Report, upstream: &Upstream, via: Via) -> Result<String> {
    let mut call = world.frontend.call(upstream, via).await?;
    call.echo(b"one line there and back\n").await?;
    let greeting = call.greeting.clone();
    report
        .hop("frontend", format!("{} dials {} with SNI {}", call.local, via.address(), sni(world, upstream)));

    let mut peer = call.local;
    let mut rows = Vec::new();
    for (gateway, rule) in hops(world, via) {
        let row = open_connection(gateway, peer, &sni(world, upstream)).await?;
        show_hop(report, gateway, &row);
        let endpoint = address(&row, "endpoint");
        report.expect(
            text(&row, "rule") == rule.0 && text(&row, "service") == rule.1(upstream),
            &format!("gateway {} went by the name alone", gateway.name()),
            &row,
        );
        let next = if gateway.name() == "dc1" { world.dc2.address()? } else { greeting.address };
        report.expect(
            endpoint == Some(next),
            "and dialled who must come next",
            format!("{endpoint:?}, not {next}"),
        );
        rows.push((gateway, peer));
        // Where this gateway's own connection comes from, only the next hop can tell.
        peer = match gateway.name() {
            "dc1" => far_peer(&world.dc2, &sni(world, upstream)).await?,
            _ => greeting.peer,
        };
    }
    both_ends(world, report, upstream, &call);
    call.close().await?;
    for (gateway, peer) in rows {
        record(report, gateway, peer, &sni(world, upstream)).await?;
    }
    Ok(greeting.instance)
}

/// The rule that decides in a gateway, and the service that it counts the connection for.
type Expected = (&'static str, fn(&Upstream) -> String);

fn hops(world: &World, via: Via) -> Vec<(&Gateway, Expected)> {
    let far: Expected = ("remote_datacenter", |upstream| format!("dc:{}", upstream.datacenter));
    let near: Expected = ("service", |upstream| upstream.service.clone());
    match via {
        Via::Local(_) => vec![(&world.dc1, far), (&world.dc2, near)],
        Via::Remote(_) => vec![(&world.dc2, near)],
        Via::Direct(_) => Vec::new(),
    }
}

fn show_hop(report: &Report, gateway: &Gateway, row: &Value) {
    report.hop(
        &format!("gateway {}", gateway.name()),
        format!(
            "from {} to {}: rule {}, service {}",
            text(row, "peer"),
            text(row, "endpoint"),
            text(row, "rule"),
            text(row, "service")
        ),
    );
    if let Ok(admin) = gateway.admin() {
        report.more(format!("read from http://{}/connections while it was open", admin.address()));
    }
}

fn both_ends(world: &World, report: &mut Report, upstream: &Upstream, call: &Call) {
    let greeting = &call.greeting;
    report.hop(&greeting.instance, format!("saw {} from {}", greeting.identity, greeting.peer));
    report.hop("frontend", format!("saw {}", call.identity));
    let frontend = world.pki.service_id("frontend", "dc1");
    report.expect(greeting.identity == frontend, "the server knows who calls", &greeting.identity);
    let sni = sni(world, upstream);
    let seen = greeting.sni.as_deref();
    report.expect(seen == Some(&sni), "the SNI came through as it was sent", format!("{seen:?}"));
    let server = world.server(&greeting.instance);
    report.expect(
        server.is_some_and(|server| *server.certificate() == call.certificate),
        "the client saw the server's own certificate: no gateway ended TLS",
        &call.identity,
    );
}

async fn record(report: &mut Report, gateway: &Gateway, peer: SocketAddr, sni: &str) -> Result<()> {
    let mine = |line: &Value| address(line, "peer") == Some(peer) && text(line, "sni") == sni;
    let record = gateway.wait_record(Deadline::usual(), &format!("of {sni} from {peer}"), mine).await?;
    report.hop(
        &format!("gateway {}", gateway.name()),
        format!(
            "access log: reason {}, {} bytes up, {} down, endpoint {}",
            text(&record, "reason"),
            record["bytes_up"],
            record["bytes_down"],
            text(&record, "endpoint")
        ),
    );
    report.more(gateway.records().path().display());
    report.expect(text(&record, "reason") == "closed", "it ended as it should", &record);
    Ok(())
}

async fn refused(world: &World, report: &mut Report, dc1: SocketAddr) -> Result<()> {
    let nobody = Upstream::new("nobody", "dc2");
    let sni = sni(world, &nobody);
    let outcome = world.frontend.call(&nobody, Via::Local(dc1)).await;
    report.hop(
        "frontend",
        match &outcome {
            Ok(_) => "was connected".to_owned(),
            Err(error) => format!("{error:#}"),
        },
    );
    report.expect(outcome.is_err(), "there was nobody to talk to", "the call went through");
    let mine = |line: &Value| text(line, "sni") == sni;
    let record = world.dc2.wait_record(Deadline::usual(), &format!("of {sni}"), mine).await?;
    report
        .hop("gateway dc2", format!("access log: {} for {}", text(&record, "reason"), text(&record, "sni")));
    report.expect(text(&record, "reason") == "unknown_sni", "the gateway of dc2 says why", &record);
    Ok(())
}

async fn figures(world: &World, report: &mut Report) -> Result<()> {
    // Each call above, and none other. A call that ended is counted a moment after its end.
    let expected = [
        (&world.dc1, "dc:dc2", "closed", 4.0),
        (&world.dc2, "billing", "closed", 3.0),
        (&world.dc2, "web", "closed", 1.0),
    ];
    for (gateway, service, reason, calls) in expected {
        let labels = [("service", service), ("reason", reason)];
        // In dc1 the refused call was closed by the other side, in order or not.
        let labels = if gateway.name() == "dc1" { &labels[..1] } else { &labels[..] };
        let counted = gateway
            .wait_metric(Deadline::usual(), "gateway_connections_total", labels, |value| value == calls);
        let counted = counted.await;
        let who = format!("gateway {}", gateway.name());
        let shown: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        report.hop(&who, format!("gateway_connections_total{{{}}} {calls}", shown.join(",")));
        report.expect(
            counted.is_ok(),
            "/metrics counts every call once",
            counted.err().map(|error| format!("{error:#}")).unwrap_or_default(),
        );
    }
    Ok(())
}

/// The row of `/connections` for a connection from `peer` that has found its endpoint.
async fn open_connection(gateway: &Gateway, peer: SocketAddr, sni: &str) -> Result<Value> {
    let mine = |row: &Value| address(row, "peer") == Some(peer) && text(row, "sni") == sni;
    row(gateway, &format!("connection from {peer}"), mine).await
}

/// Where the only open connection with this name comes from.
async fn far_peer(gateway: &Gateway, sni: &str) -> Result<SocketAddr> {
    let row = row(gateway, &format!("connection for {sni}"), |row| text(row, "sni") == sni).await?;
    address(&row, "peer").with_context(|| format!("no peer in {row}"))
}

async fn row(gateway: &Gateway, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let admin = gateway.admin()?;
    let what = format!("gateway {}: {what} on /connections", gateway.name());
    let look = async || {
        let page = admin.connections().await.ok()?;
        page["connections"].as_array()?.iter().find(|row| wanted(row)).cloned()
    };
    Ok(wait_for(Deadline::usual(), &what, look).await?)
}

fn sni(world: &World, upstream: &Upstream) -> String {
    upstream.sni(world.pki.trust_domain())
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

fn address(row: &Value, key: &str) -> Option<SocketAddr> {
    row[key].as_str()?.parse().ok()
}
