//! The two datacenters: a CA, three sidecars in dc2, one in dc1, a gateway in each.

use std::path::{Path, PathBuf};

use anyhow::Result;
use gateway_testkit::{
    CatalogDir, ClientSidecar, Deadline, Document, Gateway, GatewayBuilder, LeafFiles, Pki, ServerSidecar,
    Sidecar, Signal, gateway_binary,
};

use crate::report::Report;
use crate::scene::Scene;
use crate::{LOOK, by_hand, tour};

/// Everything that runs.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) pki: Pki,
    pub(crate) binary: PathBuf,
    pub(crate) dc1: Gateway,
    pub(crate) dc2: Gateway,
    pub(crate) servers: Vec<ServerSidecar>,
    pub(crate) frontend: ClientSidecar,
    pub(crate) frontend_files: LeafFiles,
    pub(crate) roots: PathBuf,
}

/// The instances in dc2.
const SERVERS: [(&str, &str); 3] = [("billing", "billing-1"), ("billing", "billing-2"), ("web", "web-1")];

impl Scene for World {
    async fn start(dir: &Path) -> Result<Self> {
        let binary = gateway_binary()?;
        let pki = Pki::development()?;
        let certificates = dir.join("certificates");
        let roots = certificates.join("roots.pem");
        pki.write_root(&roots)?;
        let frontend = ClientSidecar::new(&pki, "frontend", "dc1")?;
        let frontend_files = frontend.leaf().write(&certificates, "frontend")?;

        let start = |(service, instance)| ServerSidecar::start(&pki, Sidecar::new(service, instance, "dc2"));
        let servers = SERVERS.into_iter().map(start).collect::<Result<Vec<_>>>()?;

        let mut dc2_catalog = mesh(&pki, "dc2");
        for ((service, instance), server) in SERVERS.iter().zip(&servers) {
            dc2_catalog = dc2_catalog.sidecar(service, instance, server.address());
        }
        let dc2 = gateway("dc2", dir, &dc2_catalog)?.binary(&binary).start().await?;
        // All that dc1 knows of dc2 is the address of its gateway.
        let dc1_catalog = mesh(&pki, "dc1").mesh_gateway("dc2", dc2.address()?);
        let dc1 = gateway("dc1", dir, &dc1_catalog)?.binary(&binary).start().await?;
        let dir = dir.to_owned();
        Ok(World { dir, pki, binary, dc1, dc2, servers, frontend, frontend_files, roots })
    }

    fn introduce(&self, report: &mut Report) {
        report.heading("Two datacenters on this machine, joined by their mesh gateways");
        for gateway in [&self.dc1, &self.dc2] {
            if let (Ok(address), Ok(admin)) = (gateway.address(), gateway.admin()) {
                let pid = gateway.pid();
                report.hop(
                    &format!("gateway {}", gateway.name()),
                    format!("{address}   admin http://{}/   process {pid}", admin.address()),
                );
            }
        }
        for ((_, instance), server) in SERVERS.iter().zip(&self.servers) {
            report.hop(instance, format!("{}   sidecar in dc2", server.address()));
        }
        report.hop("frontend", "client sidecar in dc1");
        report.more(format!("development CA of the mesh: spiffe://{}", self.pki.trust_domain()));
        report.more("that trust domain is TD below");
        report.more(format!("certificates, catalogs and logs: {}", self.dir.display()));
        report.shorten(self.pki.trust_domain(), "TD");
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
        one_died(&[&self.dc1, &self.dc2]).await
    }

    async fn stop(self, report: &mut Report) -> Result<()> {
        report.text("");
        drained(&[&self.dc1, &self.dc2], report).await
    }
}

impl World {
    /// The sidecar of an instance, by the name that it greets with.
    pub(crate) fn server(&self, instance: &str) -> Option<&ServerSidecar> {
        SERVERS.iter().position(|(_, name)| *name == instance).and_then(|index| self.servers.get(index))
    }
}

/// Comes back when one has ended by itself, with the end of its log.
pub(crate) async fn one_died(gateways: &[&Gateway]) -> String {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        if let Some(gateway) = gateways.iter().find(|gateway| !gateway.is_running()) {
            return format!("gateway {} has ended:\n{}", gateway.name(), gateway.log_tail(20));
        }
    }
}

/// Ends them together, in order.
pub(crate) async fn drained(gateways: &[&Gateway], report: &mut Report) -> Result<()> {
    for gateway in gateways {
        gateway.signal(Signal::TERM)?;
    }
    let mut codes = Vec::new();
    for gateway in gateways {
        codes.push(gateway.exit_code(Deadline::usual()).await?);
    }
    let good = codes.iter().all(|code| *code == 0);
    report.expect(good, "SIGTERM drains both gateways, which end with code 0", format!("{codes:?}"));
    Ok(())
}

fn mesh(pki: &Pki, datacenter: &str) -> Document {
    let roots = "Roots = [\"../../certificates/roots.pem\"]";
    Document::new().mesh(datacenter, pki.trust_domain()).text(roots)
}

fn gateway(name: &str, dir: &Path, catalog: &Document) -> Result<GatewayBuilder> {
    let dir = dir.join(name);
    let folder = CatalogDir::new(dir.join("catalog"))?;
    folder.write("mesh.toml", catalog)?;
    Ok(Gateway::builder(name, &dir).catalog(folder.path()))
}
