//! The calls, and what each hop has to say about them: the gateways in their admin pages while the connection is open
//! and in their access logs when it has ended, the two ends by what they saw of each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use gateway_testkit::{Call, Deadline, Upstream, Via};
use serde_json::Value;

use crate::egress;
use crate::evidence::{far_peer, hops, open_connection, show_count, show_hop, show_record, text};
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
    figures(world, report).await;
    egress::run(world, report).await
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
    for (gateway, expected) in hops((&world.dc1, &world.dc2), upstream, via) {
        let row = open_connection(gateway, peer, &sni(world, upstream)).await?;
        let next = if gateway.name() == "dc1" { world.dc2.address()? } else { greeting.address };
        show_hop(report, gateway, &row, &expected, next);
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
        show_record(report, gateway, peer, &sni(world, upstream)).await?;
    }
    Ok(greeting.instance)
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

async fn figures(world: &World, report: &mut Report) {
    // Each call above, and none other. A call that ended is counted a moment after its end. In dc1 the refused call
    // was closed by the other side, in order or not.
    show_count(report, &world.dc1, &[("service", "dc:dc2")], 4).await;
    for (service, calls) in [("billing", 3), ("web", 1)] {
        show_count(report, &world.dc2, &[("service", service), ("reason", "closed")], calls).await;
    }
}

fn sni(world: &World, upstream: &Upstream) -> String {
    upstream.sni(world.pki.trust_domain())
}
