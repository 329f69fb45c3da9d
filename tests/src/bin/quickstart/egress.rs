//! A mesh service reaches a TCP service outside the mesh through the terminating gateway: one source may, another may
//! not, and when the intention changes the open connection goes. Told by what the gateway itself says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway_testkit::{Deadline, MeshCaller, MeshConnection, Upstream, wait_for};
use serde_json::Value;

use crate::commands::Typed;
use crate::evidence::{Expected, address, far_peer, open_connection, show_hop, text};
use crate::report::Report;
use crate::world::{LEDGER_GREETING, World};

/// A change of intentions has this long to reach open connections.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// All steps.
pub(crate) async fn run(world: &World, report: &mut Report) -> Result<()> {
    report
        .step("frontend calls ledger, which is not in the mesh: through both gateways, then through egress");
    let open = allowed(world, report).await?;
    report.step("batch calls ledger: no intention lets it");
    denied(world, report).await?;
    report.step("why, as terminating-gw explains it from the same files");
    explained(world, report, "frontend", "allow").await?;
    explained(world, report, "batch", "deny").await?;
    report.step("the intention for frontend is taken out while its connection is open");
    changed(world, report, open).await?;
    report.step("what egress counts");
    figures(world, report).await
}

/// The call stays open; gives it.
async fn allowed(world: &World, report: &mut Report) -> Result<MeshConnection> {
    let sni = sni(world);
    let dc1 = world.dc1.address()?;
    let caller = MeshCaller::new(&world.pki, world.frontend.leaf())?;
    let mut call = caller.connect(dc1, &sni).await?;
    let greeting = call.line().await?;
    call.echo(b"a line there and back\n").await?;
    report.hop("frontend", format!("{} dials {dc1} with SNI {sni}", call.local));

    let mut peer = call.local;
    let near: Expected = ("service", "ledger".to_owned());
    let far: Expected = ("remote_datacenter", "dc:dc2".to_owned());
    for (gateway, expected, next) in
        [(&world.dc1, far, world.dc2.address()?), (&world.dc2, near, world.egress.address()?)]
    {
        let row = open_connection(gateway, peer, &sni).await?;
        show_hop(report, gateway, &row, &expected, next);
        let behind = if gateway.name() == "dc1" { &world.dc2 } else { &world.egress };
        peer = far_peer(behind, &sni).await?;
    }
    let row = open_connection(&world.egress, peer, &sni).await?;
    report.hop(
        "egress",
        format!("from {} to {}, which is ledger", text(&row, "source"), text(&row, "endpoint")),
    );
    report.more(format!("{}: {}", text(&row, "verdict"), text(&row, "intention")));
    report
        .more(format!("read from http://{}/connections while it was open", world.egress.admin()?.address()));
    let frontend = world.pki.service_id("frontend", "dc1");
    report.expect(
        text(&row, "source") == frontend && text(&row, "verdict") == "allow",
        "egress knows who calls, and which intention lets it",
        &row,
    );
    report.expect(address(&row, "endpoint") == Some(world.ledger.address()), "and dialled ledger", &row);
    report.hop("ledger", format!("greeted with {greeting:?}, in clear: it knows nothing of the mesh"));
    report.expect(
        greeting.as_bytes() == LEDGER_GREETING.trim_ascii_end(),
        "the greeting came through",
        &greeting,
    );
    let ledger = world.pki.service_id("ledger", "dc2");
    report.hop("frontend", format!("saw {}", call.presented));
    report.expect(call.presented == ledger, "egress answers as ledger, not as itself", &call.presented);
    Ok(call)
}

async fn denied(world: &World, report: &mut Report) -> Result<()> {
    let (sni, dials) = (sni(world), world.ledger.seen().len());
    let caller = MeshCaller::new(&world.pki, world.batch.leaf())?;
    let mut call = caller.connect(world.egress.address()?, &sni).await?;
    let peer = call.local;
    let (came, _) = call.ended().await?;
    report.hop("batch", format!("{peer} was closed after {} bytes", came.len()));
    let mine = |line: &Value| address(line, "peer") == Some(peer);
    let record = world.egress.wait_record(Deadline::usual(), &format!("of {peer}"), mine).await?;
    show_verdict(report, &record);
    report.expect(text(&record, "reason") == "denied", "the access log says so", &record);
    let (attempts, now) = (&record["attempts"], world.ledger.seen().len());
    report.expect(
        came.is_empty() && *attempts == 0 && now == dials,
        "ledger was never dialled, and batch saw nothing of it",
        format!("{} bytes, {attempts} attempts, {} connections", came.len(), now - dials),
    );
    Ok(())
}

async fn explained(world: &World, report: &mut Report, from: &str, verdict: &str) -> Result<()> {
    let explain = explain(world, from);
    let (code, text) = explain.outcome().await?;
    report.quote(&text);
    let good = text.contains(&format!("verdict: {verdict}")) && (code == Some(0)) == (verdict == "allow");
    report.expect(good, &format!("{from} to ledger: {verdict}"), format!("code {code:?}"));
    Ok(())
}

async fn changed(world: &World, report: &mut Report, mut open: MeshConnection) -> Result<()> {
    open.echo(b"still there\n").await.context("the connection of frontend has ended before its time")?;
    let peer = far_peer(&world.egress, &sni(world)).await?;
    world.intentions(&[])?;
    let written = Instant::now();
    report.hop("operator", "rewrites the file with the intentions of ledger");
    report.more(world.intentions_file().display());
    open.ended().await?;
    let took = written.elapsed();
    report.hop("frontend", format!("its open connection ended {} ms later", took.as_millis()));
    report.expect(took < CUT_WITHIN, "within a second", format!("{took:?}"));
    let mine = |line: &Value| address(line, "peer") == Some(peer);
    let record = world.egress.wait_record(Deadline::usual(), &format!("of {peer}"), mine).await?;
    show_verdict(report, &record);
    report.expect(text(&record, "reason") == "intention_changed", "the access log says why", &record);
    report.more(world.egress.records().path().display());
    let again = MeshCaller::new(&world.pki, world.frontend.leaf())?;
    let (came, _) = again.connect(world.dc1.address()?, &sni(world)).await?.ended().await?;
    report.expect(came.is_empty(), "a new call is denied as well", String::from_utf8_lossy(&came));
    world.intentions(&["frontend"])?;
    let back = wait_for(Deadline::usual(), "frontend is let in again", async || {
        let mut call = again.connect(world.dc1.address().ok()?, &sni(world)).await.ok()?;
        call.line().await.ok()?;
        Some(call)
    });
    back.await?.close().await?;
    report.expect(true, "with the intention back, the next call goes through", "");
    Ok(())
}

async fn figures(world: &World, report: &mut Report) -> Result<()> {
    let samples = world.egress.admin()?.metrics().await?;
    for reason in ["closed", "denied", "intention_changed"] {
        let labels = [("service", "ledger"), ("reason", reason)];
        let count = samples.sum("gateway_connections_total", &labels);
        report.hop(
            "egress",
            format!("gateway_connections_total{{service=\"ledger\",reason=\"{reason}\"}} {count}"),
        );
        report.expect(count >= 1.0, "it counts this one by its reason", count);
    }
    for verdict in ["allow", "deny"] {
        let labels = [("service", "ledger"), ("verdict", verdict)];
        let count = samples.sum(VERDICTS, &labels);
        report.hop("egress", format!("{VERDICTS}{{service=\"ledger\",verdict=\"{verdict}\"}} {count}"));
        report.expect(count >= 1.0, "and by its verdict", count);
    }
    Ok(())
}

const VERDICTS: &str = "gateway_verdicts_total";

fn show_verdict(report: &mut Report, record: &Value) {
    report.hop("egress", format!("access log: {}, from {}", text(record, "reason"), text(record, "source")));
    report.more(format!("{}: {}", text(record, "verdict"), text(record, "intention")));
}

/// The question that a person would ask.
pub(crate) fn explain(world: &World, from: &str) -> Typed {
    let words = [
        world.egress_binary.display().to_string(),
        "explain".to_owned(),
        "--service".to_owned(),
        "egress".to_owned(),
        "--catalog".to_owned(),
        world.dc2_catalog.path().display().to_string(),
        "--from".to_owned(),
        from.to_owned(),
        "--to".to_owned(),
        "ledger".to_owned(),
    ];
    Typed::new(words)
}

fn sni(world: &World) -> String {
    Upstream::new("ledger", "dc2").sni(world.pki.trust_domain())
}
