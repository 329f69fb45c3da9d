//! A catalog with a terminating gateway, and looking at what becomes of it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its help ends")]

use super::pki::{Ca, Issued};
use crate::support::{Catalog, Followed, TD, config};
use gateway_state::{
    FileSource, Problems, SourceConfig,
    terminating::{
        LeafState, LinkedService, Lookup, Origination, TerminatingOptions, TerminatingRole,
        TerminatingSnapshot,
    },
};
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

/// A catalog whose gateway is `egress`, with a CA of its own.
pub(crate) struct Egress {
    pub(crate) catalog: Catalog,
    pub(crate) ca: Ca,
}

pub(crate) const MESH: &str = "[Mesh]\nDatacenter = \"fra1\"\n\
     TrustDomain = \"6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul\"\nRoots = [\"ca/roots.pem\"]\n";

impl Egress {
    /// Links these services, each with its leaf, and has `rest` in a file of its own.
    pub(crate) fn new(services: &[&str], rest: &str) -> Self {
        let names: Vec<String> = services.iter().map(|name| format!("{{ Name = \"{name}\" }}")).collect();
        Self::with_entry(services, &format!("Services = [{}]\n", names.join(", ")), rest)
    }

    /// The same with an entry of one's own, and leaves of these services.
    pub(crate) fn with_entry(leaves: &[&str], entry: &str, rest: &str) -> Self {
        let egress = Self { catalog: Catalog::new(&[("mesh.toml", MESH)]), ca: Ca::new("mesh") };
        egress.catalog.write("ca/roots.pem", &egress.ca.pem());
        egress.catalog.write("egress.toml", &own_entry(entry));
        for service in leaves {
            egress.leaf(service, &egress.ca.leaf(service));
        }
        let text: String = leaves.iter().map(|service| leaf_table(service)).collect();
        egress.catalog.write("leaves.toml", &text);
        egress.catalog.write("rest.toml", rest);
        egress
    }

    /// Writes the files of a leaf.
    pub(crate) fn leaf(&self, service: &str, issued: &Issued) {
        self.private(&format!("certs/{service}-key.pem"), &issued.key);
        self.catalog.write(&format!("certs/{service}.pem"), &issued.cert);
    }

    /// A file that only its owner may read.
    pub(crate) fn private(&self, name: &str, text: &str) {
        self.catalog.write(name, text);
        let path = self.catalog.path(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
    }

    pub(crate) fn load(&self) -> Result<Arc<TerminatingSnapshot>, Problems> {
        self.load_with(TerminatingOptions::default())
    }

    pub(crate) fn load_with(&self, role: TerminatingOptions) -> Result<Arc<TerminatingSnapshot>, Problems> {
        let loaded = FileSource::<TerminatingRole>::load(&self.catalog.path(""), &as_egress(role))?;
        Ok(loaded.reader.current())
    }

    pub(crate) fn snapshot(&self) -> Arc<TerminatingSnapshot> {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// All problems, one a line, with paths from the catalog's folder.
    pub(crate) fn problems(&self) -> String {
        let problems = self.load().expect_err("a problem");
        self.plain(&problems.to_string())
    }

    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.catalog.path("").display()), "")
    }

    pub(crate) fn follow(&self) -> Followed<TerminatingSnapshot> {
        self.catalog.follow_as::<TerminatingRole>(&as_egress(TerminatingOptions::default()))
    }
}

pub(crate) fn own_entry(rest: &str) -> String {
    format!("[[Entry]]\nKind = \"terminating-gateway\"\nName = \"egress\"\n{rest}")
}

pub(crate) fn leaf_table(service: &str) -> String {
    format!(
        "[[Leaf]]\nService = \"{service}\"\nCertFile = \"certs/{service}.pem\"\nKeyFile = \"certs/{service}-key.pem\"\n"
    )
}

pub(crate) fn as_egress(role: TerminatingOptions) -> SourceConfig<TerminatingOptions> {
    let base = config();
    SourceConfig {
        service: "egress".to_owned(),
        settle: base.settle,
        poll: base.poll,
        max_files: base.max_files,
        max_bytes: base.max_bytes,
        policy: base.policy,
        role,
    }
}

/// An instance outside the mesh.
pub(crate) fn outside(service: &str, address: &str, more: &str) -> String {
    let (host, port) = address.rsplit_once(':').expect("a port");
    format!("[[Instance]]\nService = \"{service}\"\nAddress = \"{host}\"\nPort = {port}\n{more}\n")
}

/// `<name>.default.fra1.internal.<trust domain>`
pub(crate) fn sni(name: &str) -> String {
    format!("{name}.default.fra1.internal.{TD}")
}

/// What is behind a name, in one line: `10.0.0.1:1 w5, db.example:1 w1 down`; or why nothing is.
pub(crate) fn behind(snapshot: &TerminatingSnapshot, name: &str) -> String {
    match snapshot.lookup(name) {
        Lookup::Unknown => "unknown".to_owned(),
        Lookup::NotReady { why, .. } => format!("not ready: {why}"),
        Lookup::Found(found) => {
            let endpoints = found.target.endpoints.iter().map(|endpoint| {
                let down = if endpoint.healthy { "" } else { " down" };
                format!("{endpoint} w{}{down}", endpoint.weight)
            });
            endpoints.collect::<Vec<_>>().join(", ")
        }
    }
}

pub(crate) fn service<'s>(snapshot: &'s TerminatingSnapshot, name: &str) -> &'s Arc<LinkedService> {
    snapshot.service(None, name).unwrap_or_else(|| panic!("{name} is not linked: {:#?}", snapshot.services))
}

pub(crate) fn serial(snapshot: &TerminatingSnapshot, name: &str) -> Option<String> {
    match &service(snapshot, name).leaf {
        LeafState::Ready(leaf) => Some(leaf.fingerprint().to_string()),
        LeafState::Missing { .. } => None,
    }
}

/// `clear`, `tls`, or why it is broken.
pub(crate) fn origination(snapshot: &TerminatingSnapshot, name: &str) -> String {
    match &service(snapshot, name).origination {
        None => "clear".to_owned(),
        Some(Origination::Ready(_)) => "tls".to_owned(),
        Some(Origination::Broken { why }) => format!("broken: {why}"),
    }
}

pub(crate) fn rejected(snapshot: &TerminatingSnapshot) -> String {
    let line = |it: &gateway_state::Rejected| {
        let kept = if it.kept { " (kept)" } else { "" };
        format!("{}{kept}: {}\n", it.document, it.problem)
    };
    snapshot.rejected.iter().map(line).collect()
}

pub(crate) fn warnings(snapshot: &TerminatingSnapshot) -> String {
    snapshot.warnings.iter().map(|it| format!("{it}\n")).collect()
}
