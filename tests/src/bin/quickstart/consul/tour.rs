//! The calls, and what the gateways, Consul and both ends have to say about them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use gateway_testkit::{Consul, Deadline, Gateway, Upstream, Via, wait_for};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::world::World;
use super::{changes, egress, outage};
use crate::evidence::{far_peer, hops, open_connection, show_count, show_hop, show_record, text};
use crate::report::Report;

/// Consul runs the check of a gateway every 10 s, the first time at a random moment.
const CHECK_WITHIN: Duration = Duration::from_secs(25);

/// All steps.
pub(crate) async fn run(world: &World, report: &mut Report) -> Result<()> {
    let (near, far) = (Via::Local(world.dc1.address()?), Via::Remote(world.dc2.address()?));
    let billing = Upstream::new("billing", "dc2");

    report.step("each gateway has registered itself, and found the other through Consul");
    for (gateway, consul) in [(&world.dc1, &world.consuls.dc1), (&world.dc2, &world.consuls.dc2)] {
        registered(report, gateway, consul).await?;
    }
    far_gateway_known(world, report).await?;
    let name = billing.sni(world.trust().domain());
    let endpoints = changes::wait_names(&world.dc2, &name, 2).await?;
    report.hop("gateway dc2", format!("{name} leads to {endpoints}"));

    report.step("frontend calls billing in dc2, mode local: through the gateway of dc1, then that of dc2");
    let first = call(world, report, &billing, near).await?;
    report.step("frontend calls billing in dc2, mode remote: straight through the gateway of dc2");
    let before = world.dc1.records().count();
    let second = call(world, report, &billing, far).await?;
    let new = world.dc1.records().count() - before;
    report.expect(new == 0, "the gateway of dc1 had no part in it", format!("it has {new} new records"));
    report.expect(first != second, "the gateway of dc2 took both instances in turn", &first);

    report.step("a resolver with subsets, written through Consul's API: the next call follows it");
    changes::subsets(world, report, near).await?;
    report.step("an instance turns critical, and passing again");
    changes::health(world, report, near).await?;

    egress::run(world, report).await?;

    report.step("Consul's own checks reach both gateways");
    for (gateway, consul) in [(&world.dc1, &world.consuls.dc1), (&world.dc2, &world.consuls.dc2)] {
        passing(report, gateway, consul).await?;
    }

    report.step("the Consul of dc1 is killed: traffic goes on; started again, it is followed again");
    outage::run(world, report, near).await?;

    report.step("what the gateways count");
    let [dc1, dc2] = [0, 1].map(|gateway: usize| world.calls[gateway].load(Ordering::Relaxed));
    show_count(report, &world.dc1, &[("service", "dc:dc2")], dc1).await;
    show_count(report, &world.dc2, &[("service", "billing"), ("reason", "closed")], dc2).await;
    consul_figures(world, report).await
}

/// What the gateway says about its registration, and what Consul says about the gateway.
async fn registered(report: &mut Report, gateway: &Gateway, consul: &Consul) -> Result<()> {
    let snapshot = gateway.admin()?.snapshot().await?;
    let registration = &snapshot["consul"]["registration"];
    let who = format!("gateway {}", gateway.name());
    report
        .hop(&who, format!("registration: {}, id {}", text(registration, "state"), text(registration, "id")));
    report.more(format!("read from http://{}/snapshot", gateway.admin()?.address()));
    report.expect(text(registration, "state") == "registered", "it says that it is registered", registration);
    let row = row_of(gateway, consul, |_| true).await?;
    let service = &row["Service"];
    let (lan, wan) = (&service["Address"], &service["TaggedAddresses"]["wan"]);
    report.hop(
        &format!("consul {}", consul.datacenter()),
        format!(
            "{} {}: address {}:{}, for other datacenters {}:{}",
            text(service, "Kind"),
            text(service, "ID"),
            lan.as_str().unwrap_or("-"),
            service["Port"],
            text(wan, "Address"),
            wan["Port"]
        ),
    );
    report.more(format!("read from http://{}/v1/health/service/mesh-gateway", consul.http()));
    let address = gateway.address()?;
    report.expect(
        *lan == address.ip().to_string().as_str() && service["Port"] == address.port(),
        "Consul has the address that it listens on",
        service,
    );
    Ok(())
}

/// The gateway of dc1 has the one of dc2 as its way there.
async fn far_gateway_known(world: &World, report: &mut Report) -> Result<()> {
    let name = format!("*.dc2.internal.{}", world.trust().domain());
    let far = world.dc2.address()?.to_string();
    let admin = world.dc1.admin()?;
    let look = async || {
        let page = admin.endpoints().await.ok()?;
        let rows = page["services"].as_array()?.clone();
        let row = rows.into_iter().find(|row| text(row, "name").eq_ignore_ascii_case(&name))?;
        Some(row).filter(|row| row["endpoints"].as_array().is_some_and(|all| !all.is_empty()))
    };
    let row = wait_for(Deadline::usual(), &format!("gateway dc1: an endpoint for {name}"), look).await?;
    let endpoint = text(&row["endpoints"][0], "address");
    report.hop("gateway dc1", format!("{name} leads to {endpoint}"));
    report.more(format!("read from http://{}/endpoints", admin.address()));
    report.expect(
        endpoint == far,
        "what Consul tells of dc2 is its gateway",
        format!("{endpoint}, not {far}"),
    );
    Ok(())
}

async fn passing(report: &mut Report, gateway: &Gateway, consul: &Consul) -> Result<()> {
    let all_pass = |row: &Value| checks(row).all(|check| text(check, "Status") == "passing");
    let row = row_of(gateway, consul, all_pass).await?;
    let shown: Vec<_> =
        checks(&row).map(|check| format!("{}: {}", text(check, "Name"), text(check, "Status"))).collect();
    report.hop(&format!("consul {}", consul.datacenter()), shown.join(", "));
    let listening = |check: &Value| text(check, "Name") == "mesh-gateway listening";
    report.expect(checks(&row).any(listening), "the check connects to the gateway", &row["Checks"]);
    Ok(())
}

/// Consul's row about a gateway, once it is as wanted.
async fn row_of(gateway: &Gateway, consul: &Consul, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let (api, what) = (consul.api(), format!("gateway {} in Consul, its checks passing", gateway.name()));
    let look = async || {
        let rows = api.get("/v1/health/service/mesh-gateway").await.ok()?;
        rows.as_array()?.iter().find(|row| wanted(row)).cloned()
    };
    Ok(wait_for(Deadline::after(CHECK_WITHIN), &what, look).await?)
}

fn checks(row: &Value) -> impl Iterator<Item = &Value> {
    row["Checks"].as_array().into_iter().flatten()
}

/// One call, told hop by hop; gives the instance that answered.
async fn call(world: &World, report: &mut Report, upstream: &Upstream, via: Via) -> Result<String> {
    let sni = upstream.sni(world.trust().domain());
    let mut stream = BufReader::new(world.frontend.open(upstream, via).await?);
    let instance = greeting(&mut stream).await?;
    let local = stream.get_ref().get_ref().0.local_addr()?;
    report.hop("frontend", format!("{local} dials {} with SNI {sni}", via.address()));

    let service =
        world.billing.iter().find(|service| service.id == instance).context("a stranger answers")?;
    let mut peer = local;
    let mut rows = Vec::new();
    for (gateway, expected) in hops(world.gateways(), upstream, via) {
        let row = open_connection(gateway, peer, &sni).await?;
        let last = gateway.name() == "dc2";
        let next = if last { service.sidecar.address() } else { world.dc2.address()? };
        show_hop(report, gateway, &row, &expected, next);
        rows.push((gateway, peer));
        if !last {
            // Where this gateway's own connection comes from, only the next hop can tell.
            peer = far_peer(&world.dc2, &sni).await?;
        }
    }
    report.hop(&instance, "answers through its sidecar");
    let presented = stream.get_ref().get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let identity = world.trust().service_id("billing", "dc2");
    report.hop("frontend", format!("saw {identity}"));
    report.expect(
        presented.as_ref() == Some(&world.billing_identity.leaf.cert),
        "the client saw the leaf that Consul signed for billing: no gateway ended TLS",
        "another certificate",
    );
    closed(stream).await?;
    world.count(matches!(via, Via::Local(_)), true);
    for (gateway, peer) in rows {
        show_record(report, gateway, peer, &sni).await?;
    }
    Ok(instance)
}

/// One call without its story; gives the instance that answered.
pub(super) async fn quick_call(world: &World, upstream: &Upstream, via: Via) -> Result<String> {
    let mut stream = BufReader::new(world.frontend.open(upstream, via).await?);
    let instance = greeting(&mut stream).await?;
    closed(stream).await?;
    world.count(matches!(via, Via::Local(_)), true);
    Ok(instance)
}

type Stream = BufReader<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

/// The first line of the application, once a line has gone there and back.
async fn greeting(stream: &mut Stream) -> Result<String> {
    let exchange = async {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let greeting: Value =
            serde_json::from_str(&line).with_context(|| format!("not a greeting: {line:?}"))?;
        stream.write_all(b"there and back\n").await?;
        stream.flush().await?;
        line.clear();
        stream.read_line(&mut line).await?;
        anyhow::ensure!(line == "there and back\n", "sent back {line:?}");
        Ok(text(&greeting, "instance").to_owned())
    };
    tokio::time::timeout(Deadline::usual().remaining(), exchange).await.context("no answer of billing")?
}

/// Ends the connection from this side, and waits for the other's end.
async fn closed(mut stream: Stream) -> Result<()> {
    stream.shutdown().await?;
    let end = async {
        let mut rest = String::new();
        // Consul's sidecar ends TLS without a word of farewell.
        let _ = stream.read_line(&mut rest).await;
    };
    tokio::time::timeout(Deadline::usual().remaining(), end).await.context("no end of the connection")
}

async fn consul_figures(world: &World, report: &mut Report) -> Result<()> {
    for (gateway, outages) in [(&world.dc1, 1.0), (&world.dc2, 0.0)] {
        let samples = gateway.admin()?.metrics().await?;
        let sum = |name: &str| samples.sum(&format!("gateway_consul_{name}"), &[]);
        report.hop(
            &format!("gateway {}", gateway.name()),
            format!(
                "gateway_consul_up {}, outages {}, answers {}, changes {}, connections {}, registrations {}",
                sum("up"),
                sum("outages_total"),
                sum("answers_total"),
                sum("changes_total"),
                sum("connections"),
                sum("registrations_total")
            ),
        );
        report.expect(
            (sum("up"), sum("outages_total"), sum("registered")) == (1.0, outages, 1.0),
            "/metrics knows how Consul is",
            format!("up {}, outages {}, registered {}", sum("up"), sum("outages_total"), sum("registered")),
        );
    }
    Ok(())
}
