//! Two servers of Consul, each a datacenter; two instances of billing behind `consul connect proxy` in dc2; a frontend
//! in dc1 with a leaf that Consul signed; a mesh gateway in each; in dc1 a service outside the mesh and a terminating gateway.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use gateway_testkit::{
    Backend, ClientSidecar, Consul, Fetched, Gateway, IdentityFiles, Leaf, Loopback, MeshIdentity, Program,
    Script, Trust, TwoConsuls, gateway_binary,
};

use super::service::Service;
use super::{by_hand, tour};
use crate::report::Report;
use crate::scene::Scene;
use crate::world::{LEDGER_GREETING, drained, gateway_name, one_died};

/// Everything that runs. What stands first ends first.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) dc1: Gateway,
    pub(crate) dc2: Gateway,
    /// The terminating gateway of dc1.
    pub(crate) egress: Gateway,
    /// A TCP service outside the mesh.
    pub(crate) ledger: Backend,
    /// A service that may not call it.
    pub(crate) batch: Leaf,
    pub(crate) billing: [Service; 2],
    pub(crate) frontend: ClientSidecar,
    pub(crate) frontend_files: IdentityFiles,
    /// Leaf and roots as the sidecars of billing have them.
    pub(crate) billing_identity: MeshIdentity,
    pub(crate) consuls: TwoConsuls,
    pub(crate) program: PathBuf,
    pub(crate) binary: PathBuf,
    /// Connections that the gateway of dc1, and that of dc2, have passed on.
    pub(crate) calls: [AtomicUsize; 2],
    _claims: [Loopback; 3],
}

impl Scene for World {
    async fn start(dir: &Path) -> Result<Self> {
        let (program, binary) = (Fetched::Consul.need()?, gateway_binary()?);
        let server = |dc: &str| {
            let built = Consul::builder(&format!("server-{dc}"), dir.join(format!("consul-{dc}")))?;
            anyhow::Ok(built.datacenter(dc).primary("dc1"))
        };
        let consuls = TwoConsuls::start(server("dc1")?, server("dc2")?).await?;
        // A port that a gateway registers has to be known before it starts.
        let claims = [Loopback::claim()?, Loopback::claim()?, Loopback::claim()?];
        let billing = |id, version| Service::start(&consuls.dc2, "billing", id, version);
        let terminating = Program::TerminatingGw.binary()?;
        let (dc1, dc2, egress, first, second, frontend) = tokio::try_join!(
            gateway(&consuls.dc1, "dc1", &claims[0], dir, &binary, "mesh-gateway"),
            gateway(&consuls.dc2, "dc2", &claims[1], dir, &binary, "mesh-gateway"),
            gateway(&consuls.dc1, "egress", &claims[2], dir, &terminating, "egress"),
            billing("billing-1", "v1"),
            billing("billing-2", "v2"),
            consuls.dc1.identity("frontend"),
        )?;
        Ok(World {
            dc1,
            dc2,
            egress,
            ledger: Backend::local(Script::Greet(LEDGER_GREETING.to_vec()))?,
            batch: consuls.dc1.identity("batch").await?.leaf,
            billing: [first, second],
            frontend_files: frontend.write(&dir.join("certificates"), "frontend")?,
            frontend: ClientSidecar::with(&frontend.trust, frontend.leaf),
            billing_identity: consuls.dc2.identity("billing").await?,
            consuls,
            program,
            binary,
            calls: Default::default(),
            _claims: claims,
            dir: dir.to_owned(),
        })
    }

    fn introduce(&self, report: &mut Report) {
        let version = Consul::version().map(|version| version.to_string()).unwrap_or_default();
        report.heading(&format!(
            "Two datacenters on this machine, each with a server of Consul {version} and a mesh gateway"
        ));
        for consul in [&self.consuls.dc1, &self.consuls.dc2] {
            let (name, http, pid) = (consul.datacenter(), consul.http(), consul.pid());
            let primary = if name == "dc1" { ", primary" } else { ", joined over the WAN" };
            report.hop(&format!("consul {name}"), format!("http://{http}   process {pid}{primary}"));
        }
        for gateway in [&self.dc1, &self.dc2, &self.egress] {
            if let (Ok(address), Ok(admin)) = (gateway.address(), gateway.admin()) {
                let role = if gateway.name() == "egress" { "   terminating-gw in dc1" } else { "" };
                report.hop(
                    &gateway_name(gateway),
                    format!(
                        "{address}   admin http://{}/   process {}{role}",
                        admin.address(),
                        gateway.pid()
                    ),
                );
            }
        }
        for service in &self.billing {
            report.hop(
                service.id,
                format!(
                    "{} behind `consul connect proxy` at {}, Meta.version {}, in dc2",
                    service.address,
                    service.sidecar.address(),
                    service.version
                ),
            );
        }
        report.hop("frontend", "client sidecar in dc1 with a leaf that Consul signed");
        report.more(format!("trust domain of the mesh, from Consul's CA: {}", self.trust().domain()));
        report.more("that trust domain is TD below");
        report.more(format!("certificates, data and logs: {}", self.dir.display()));
        report.shorten(self.trust().domain(), "TD");
    }

    async fn tour(&self, report: &mut Report) -> Result<()> {
        tour::run(self, report).await
    }

    fn print_commands(&self, report: &Report) -> Result<()> {
        by_hand::print(self, report)
    }

    async fn check_commands(&self, report: &mut Report) -> Result<()> {
        by_hand::check(self, report).await
    }

    async fn gateway_died(&self) -> String {
        one_died(&[&self.dc1, &self.dc2, &self.egress]).await
    }

    async fn stop(self, report: &mut Report) -> Result<()> {
        report.text("");
        drained(&[&self.dc1, &self.dc2, &self.egress], report).await?;
        for consul in [&self.consuls.dc1, &self.consuls.dc2] {
            // A person may have killed it.
            let Ok(rows) = consul.api().get("/v1/agent/services").await else { continue };
            let rows_of = rows.as_object().context("no list of services")?;
            let left = ["mesh-gateway", "egress"].iter().any(|id| rows_of.contains_key(*id));
            report.expect(
                !left,
                &format!("the gateways of {} have taken themselves out of Consul", consul.datacenter()),
                &rows,
            );
        }
        Ok(())
    }
}

impl World {
    /// The roots of the mesh.
    pub(crate) fn trust(&self) -> &Trust {
        &self.billing_identity.trust
    }

    /// Both gateways, in the order of their datacenters.
    pub(crate) fn gateways(&self) -> (&Gateway, &Gateway) {
        (&self.dc1, &self.dc2)
    }

    /// Counts a connection that the gateway of dc1, and that of dc2, passed on.
    pub(crate) fn count(&self, dc1: bool, dc2: bool) {
        for (calls, passed) in self.calls.iter().zip([dc1, dc2]) {
            calls.fetch_add(usize::from(passed), Ordering::Relaxed);
        }
    }
}

/// As an operator starts it: where the agent is, where to listen, how others reach it.
async fn gateway(
    consul: &Consul,
    name: &str,
    claim: &Loopback,
    dir: &Path,
    binary: &Path,
    service: &str,
) -> Result<Gateway> {
    let address = claim.at(0);
    let flags = [
        "--register".to_owned(),
        format!("--service={service}"),
        format!("--http-addr={}", consul.http()),
        format!("--wan-address={address}"),
        // Consul's rule: of 127.0.0.0/8 only 127.0.0.1 is an address of this host, so where to listen is said, too.
        format!("--bind-address=default={address}"),
        "--deregister-on-exit".to_owned(),
    ];
    let built = Gateway::builder(name, dir.join(format!("gateway-{name}"))).binary(binary).address(address);
    flags.iter().fold(built, |built, flag| built.argument(flag)).start().await
}
