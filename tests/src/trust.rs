//! The roots of a mesh: what both ends of a call check each other against.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::Pki;

/// The roots of one trust domain, of a development CA or of a real Consul.
#[derive(Debug, Clone)]
pub struct Trust {
    domain: Arc<str>,
    roots: Arc<[CertificateDer<'static>]>,
    pem: Arc<str>,
}

impl Trust {
    /// From one or more certificates in PEM.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn from_pem(domain: &str, pem: &str) -> Result<Self> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let roots = roots.context("roots that are no PEM")?;
        ensure!(!roots.is_empty(), "no root of {domain}");
        Ok(Trust { domain: domain.into(), roots: roots.into(), pem: pem.into() })
    }

    /// The trust domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The SPIFFE id of `service` in `datacenter`.
    pub fn service_id(&self, service: &str, datacenter: &str) -> String {
        format!("spiffe://{}/ns/default/dc/{datacenter}/svc/{service}", self.domain)
    }

    /// All of them in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes them to `path`, making its folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        crate::pki::write(path, &self.pem, false)
    }

    /// For rustls.
    ///
    /// # Errors
    /// When one is no certificate authority's.
    pub(crate) fn store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        for root in self.roots.iter() {
            store.add(root.clone())?;
        }
        Ok(store)
    }
}

impl From<&Pki> for Trust {
    fn from(pki: &Pki) -> Self {
        Trust {
            domain: pki.trust_domain().into(),
            roots: Arc::new([pki.root().clone()]),
            pem: pki.root_pem().into(),
        }
    }
}

impl From<&Trust> for Trust {
    fn from(trust: &Trust) -> Self {
        trust.clone()
    }
}
