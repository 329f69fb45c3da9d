//! Leaves and roots that a real Consul signed, for sidecars that are not its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Consul;
use crate::{Leaf, LeafFiles, Pki, Trust};

/// What a sidecar of a service has from its agent: a leaf of that service, and the roots.
#[derive(Debug, Clone)]
pub struct MeshIdentity {
    /// The leaf, with the certificates between it and a root.
    pub leaf: Leaf,
    /// All roots of the mesh.
    pub trust: Trust,
}

/// Where [`MeshIdentity::write`] put it.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    /// Leaf and key.
    pub leaf: LeafFiles,
    /// All roots, PEM.
    pub roots: PathBuf,
}

impl MeshIdentity {
    /// One of a development CA.
    ///
    /// # Errors
    /// When a name cannot stand in a URI.
    pub fn development(pki: &Pki, service: &str, datacenter: &str) -> Result<Self> {
        Ok(MeshIdentity { leaf: pki.service(service, datacenter)?, trust: pki.into() })
    }

    /// Writes `<name>.pem`, `<name>-key.pem` and `<name>-roots.pem` into `dir`, for sidecars that read files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<IdentityFiles> {
        let roots = dir.join(format!("{name}-roots.pem"));
        self.trust.write(&roots)?;
        Ok(IdentityFiles { leaf: self.leaf.write(dir, name)?, roots })
    }
}

impl Consul {
    /// Leaf and roots of `service`, registered or not.
    ///
    /// # Errors
    /// When Consul does not sign.
    pub async fn identity(&self, service: &str) -> Result<MeshIdentity> {
        let path = format!("/v1/agent/connect/ca/leaf/{service}");
        let leaf = self.api().get(&path).await?;
        let text = |name: &str| leaf[name].as_str().with_context(|| format!("{path}: no {name}"));
        let leaf = Leaf::from_pem(text("CertPEM")?, text("PrivateKeyPEM")?)?;
        Ok(MeshIdentity { leaf, trust: self.trust().await? })
    }

    /// The roots of the mesh, as this agent has them.
    ///
    /// # Errors
    /// When Consul has no CA.
    pub async fn trust(&self) -> Result<Trust> {
        let roots = self.api().get("/v1/agent/connect/ca/roots").await?;
        let domain = roots["TrustDomain"].as_str().context("roots without TrustDomain")?;
        let mut pem = String::new();
        for root in roots["Roots"].as_array().context("no Roots")? {
            pem.push_str(root["RootCert"].as_str().context("a root without RootCert")?);
            if !pem.ends_with('\n') {
                pem.push('\n');
            }
        }
        Trust::from_pem(domain, &pem)
    }
}
