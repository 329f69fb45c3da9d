//! What several unit tests need: a catalog on disk and settings that name it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_state::mesh::MeshSnapshot;

use crate::settings::{Role, Settings, Sources};

pub(crate) const TRUST_DOMAIN: &str = "6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

/// A folder with a catalog, removed at the end.
pub(crate) struct Catalog {
    folder: tempfile::TempDir,
}

impl Catalog {
    /// The catalog of the examples.
    pub(crate) fn example() -> Self {
        Self::of(include_str!("../examples/catalog/mesh.toml"))
    }

    pub(crate) fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mesh.toml"), text).unwrap();
        Self { folder }
    }

    /// The catalog of the examples and this.
    pub(crate) fn with(more: &str) -> Self {
        let catalog = Self::example();
        fs::write(catalog.path().join("more.toml"), more).unwrap();
        catalog
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Settings that name it, and what else a test wants, as variables.
    pub(crate) fn settings(&self, variables: &[(&str, &str)]) -> Settings {
        let mut sources = Sources::default();
        sources.flags.push(("catalog", self.path().display().to_string()));
        sources.environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::load(Role::Mesh, &sources).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn snapshot(&self) -> Arc<MeshSnapshot> {
        crate::catalog::load::<crate::role::MeshGateway>(&self.settings(&[]), &self.path())
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// `billing.default.fra1.internal.<trust domain>`.
pub(crate) fn sni(front: &str) -> String {
    format!("{front}.internal.{TRUST_DOMAIN}")
}

/// What a command prints.
pub(crate) fn printed(run: impl FnOnce(&mut Vec<u8>) -> bool) -> (bool, String) {
    let mut out = Vec::new();
    let good = run(&mut out);
    (good, String::from_utf8(out).unwrap())
}
