//! The two datacenters: a CA, three sidecars in dc2, two in dc1, a mesh gateway in each; in dc2 a service outside the
//! mesh and a terminating gateway for it. Both gateways of dc2 read one folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use gateway_testkit::{
    Backend, CatalogDir, ClientSidecar, Deadline, Document, Gateway, LeafFiles, Pki, Program, Script,
    ServerSidecar, Sidecar, Signal, gateway_binary,
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
    /// The terminating gateway of dc2.
    pub(crate) egress: Gateway,
    pub(crate) egress_binary: PathBuf,
    pub(crate) dc2_catalog: CatalogDir,
    /// A TCP service outside the mesh.
    pub(crate) ledger: Backend,
    /// A service that no intention lets call ledger.
    pub(crate) batch: ClientSidecar,
    pub(crate) servers: Vec<ServerSidecar>,
    pub(crate) frontend: ClientSidecar,
    pub(crate) frontend_files: LeafFiles,
    pub(crate) roots: PathBuf,
}

/// What it says first.
pub(crate) const LEDGER_GREETING: &[u8] = b"ledger is ready\n";
/// Who may call ledger: a file of its own, because it is what changes.
const INTENTIONS: &str = "ledger-intentions.toml";
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

        let mut document = mesh(&pki, "dc2");
        for ((service, instance), server) in SERVERS.iter().zip(&servers) {
            document = document.sidecar(service, instance, server.address());
        }
        let ledger = Backend::local(Script::Greet(LEDGER_GREETING.to_vec()))?;
        let ledger_files = pki.service("ledger", "dc2")?.write(&certificates, "ledger")?;
        let dc2_catalog = CatalogDir::new(dir.join("dc2").join("catalog"))?;
        dc2_catalog.write("mesh.toml", &document)?;
        dc2_catalog.write("ledger.toml", outside(&ledger, &ledger_files))?;
        dc2_catalog.write(INTENTIONS, intentions(&["frontend"]))?;

        let egress_binary = Program::TerminatingGw.binary()?;
        let egress = Gateway::builder("egress", dir.join("egress")).binary(&egress_binary);
        let egress = egress.flag("service", "egress").catalog(dc2_catalog.path()).start().await?;
        // From here on the sidecars of dc1 find ledger behind egress.
        let row = Document::new().instance("egress", "terminating-gateway", egress.address()?, "");
        dc2_catalog.write("egress.toml", &row)?;
        let dc2 = Gateway::builder("dc2", dir.join("dc2")).binary(&binary).catalog(dc2_catalog.path());
        let dc2 = dc2.start().await?;
        // All that dc1 knows of dc2 is the address of its gateway.
        let dc1_catalog = CatalogDir::new(dir.join("dc1").join("catalog"))?;
        dc1_catalog.write("mesh.toml", mesh(&pki, "dc1").mesh_gateway("dc2", dc2.address()?))?;
        let dc1 = Gateway::builder("dc1", dir.join("dc1")).binary(&binary).catalog(dc1_catalog.path());
        Ok(World {
            dc1: dc1.start().await?,
            dc2,
            egress,
            egress_binary,
            dc2_catalog,
            ledger,
            batch: ClientSidecar::new(&pki, "batch", "dc2")?,
            dir: dir.to_owned(),
            pki,
            binary,
            servers,
            frontend,
            frontend_files,
            roots,
        })
    }

    fn introduce(&self, report: &mut Report) {
        report.heading("Two datacenters on this machine, joined by their mesh gateways");
        for gateway in [&self.dc1, &self.dc2, &self.egress] {
            if let (Ok(address), Ok(admin)) = (gateway.address(), gateway.admin()) {
                let pid = gateway.pid();
                let role = if gateway.name() == "egress" { "   terminating-gw in dc2" } else { "" };
                report.hop(
                    &gateway_name(gateway),
                    format!("{address}   admin http://{}/   process {pid}{role}", admin.address()),
                );
            }
        }
        for ((_, instance), server) in SERVERS.iter().zip(&self.servers) {
            report.hop(instance, format!("{}   sidecar in dc2", server.address()));
        }
        report.hop("ledger", format!("{}   plain TCP, outside the mesh", self.ledger.address()));
        report.hop("frontend", "client sidecar in dc1");
        report.hop("batch", "client sidecar in dc2");
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
        one_died(&[&self.dc1, &self.dc2, &self.egress]).await
    }

    async fn stop(self, report: &mut Report) -> Result<()> {
        report.text("");
        drained(&[&self.dc1, &self.dc2, &self.egress], report).await
    }
}

impl World {
    /// Lets these services call ledger, and no others: the file is rewritten.
    pub(crate) fn intentions(&self, sources: &[&str]) -> Result<()> {
        self.dc2_catalog.write(INTENTIONS, intentions(sources))
    }

    /// That file.
    pub(crate) fn intentions_file(&self) -> PathBuf {
        self.dc2_catalog.file(INTENTIONS)
    }

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
    report.expect(good, "SIGTERM drains the gateways, which end with code 0", format!("{codes:?}"));
    Ok(())
}

fn mesh(pki: &Pki, datacenter: &str) -> Document {
    let roots = "Roots = [\"../../certificates/roots.pem\"]";
    Document::new().mesh(datacenter, pki.trust_domain()).text(roots)
}

/// The service outside the mesh: where it is, the identity that egress has for it, and that it is linked.
fn outside(ledger: &Backend, leaf: &LeafFiles) -> Document {
    Document::new()
        .external("ledger", ledger.address(), "")
        .leaf("ledger", leaf)
        .links("egress", &["{ Name = \"ledger\" }"])
}

fn intentions(sources: &[&str]) -> Document {
    let sources: Vec<_> =
        sources.iter().map(|name| format!("{{ Name = {name:?}, Action = \"allow\" }}")).collect();
    let sources: Vec<_> = sources.iter().map(String::as_str).collect();
    Document::new().intentions("ledger", &sources)
}

/// As it is called in the report.
pub(crate) fn gateway_name(gateway: &Gateway) -> String {
    match gateway.name() {
        "egress" => "egress".to_owned(),
        name => format!("gateway {name}"),
    }
}
