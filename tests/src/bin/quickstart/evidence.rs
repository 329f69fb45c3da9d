//! What a gateway says about a connection: in its admin pages while it is open, in its access log when it has ended.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use gateway_testkit::{Deadline, Gateway, LeafFiles, Upstream, Via, wait_for};
use serde_json::Value;

use crate::commands::Typed;
use crate::report::Report;

/// The rule that decides in a gateway, and the service that it counts the connection for.
pub(crate) type Expected = (&'static str, String);

/// The gateways that a call passes, in order, with what is expected of each.
pub(crate) fn hops<'a>(
    (dc1, dc2): (&'a Gateway, &'a Gateway),
    upstream: &Upstream,
    via: Via,
) -> Vec<(&'a Gateway, Expected)> {
    let far = ("remote_datacenter", format!("dc:{}", upstream.datacenter));
    let near = (if upstream.subset.is_some() { "subset" } else { "service" }, upstream.service.clone());
    match via {
        Via::Local(_) => vec![(dc1, far), (dc2, near)],
        Via::Remote(_) => vec![(dc2, near)],
        Via::Direct(_) => Vec::new(),
    }
}

/// Shows a hop of an open connection, and whether it went as expected to `next`.
pub(crate) fn show_hop(
    report: &mut Report,
    gateway: &Gateway,
    row: &Value,
    expected: &Expected,
    next: SocketAddr,
) {
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
    report.expect(
        text(row, "rule") == expected.0 && text(row, "service") == expected.1,
        &format!("gateway {} went by the name alone", gateway.name()),
        row,
    );
    let endpoint = address(row, "endpoint");
    report.expect(
        endpoint == Some(next),
        "and dialled who must come next",
        format!("{endpoint:?}, not {next}"),
    );
}

/// Shows the record of a call that has ended in order.
pub(crate) async fn show_record(
    report: &mut Report,
    gateway: &Gateway,
    peer: SocketAddr,
    sni: &str,
) -> Result<()> {
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

/// Waits until a gateway counts so many connections, and shows it.
pub(crate) async fn show_count(
    report: &mut Report,
    gateway: &Gateway,
    labels: &[(&str, &str)],
    calls: usize,
) {
    let wanted = |value: f64| value == calls as f64;
    let counted = gateway.wait_metric(Deadline::usual(), "gateway_connections_total", labels, wanted).await;
    let shown: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let line = format!("gateway_connections_total{{{}}} {calls}", shown.join(","));
    report.hop(&format!("gateway {}", gateway.name()), line);
    let instead = counted.err().map(|error| format!("{error:#}")).unwrap_or_default();
    report.expect(instead.is_empty(), "/metrics counts every call once", instead);
}

/// The row of `/connections` for a connection from `peer` that has found its endpoint.
pub(crate) async fn open_connection(gateway: &Gateway, peer: SocketAddr, sni: &str) -> Result<Value> {
    let mine = |row: &Value| address(row, "peer") == Some(peer) && text(row, "sni") == sni;
    row(gateway, &format!("connection from {peer}"), mine).await
}

/// Where the only open connection with this name comes from.
pub(crate) async fn far_peer(gateway: &Gateway, sni: &str) -> Result<SocketAddr> {
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

/// The command that makes a person the frontend.
pub(crate) fn openssl(gateway: SocketAddr, sni: &str, leaf: &LeafFiles, roots: &Path) -> Typed {
    let path = |path: &Path| path.display().to_string();
    let mut words = ["openssl", "s_client", "-quiet", "-verify_return_error"].map(str::to_owned).to_vec();
    for (option, value) in [
        ("-connect", gateway.to_string()),
        ("-servername", sni.to_owned()),
        ("-cert", path(&leaf.cert)),
        ("-key", path(&leaf.key)),
        ("-CAfile", path(roots)),
    ] {
        words.extend([option.to_owned(), value]);
    }
    Typed::new(words)
}

/// A text of a row.
pub(crate) fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

/// An address of a row.
pub(crate) fn address(row: &Value, key: &str) -> Option<SocketAddr> {
    row[key].as_str()?.parse().ok()
}
