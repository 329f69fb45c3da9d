//! A CA for Consul's own HTTPS: nothing to do with the mesh's.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::LeafFiles;
use crate::pki::write;

/// Files of one agent's HTTPS.
pub(crate) struct ConsulTls {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    server: LeafFiles,
}

impl ConsulTls {
    /// A new CA, and a certificate for the names that Consul's own tool gives a server, and for `ip`.
    pub(crate) fn new(dir: &Path, datacenter: &str, ip: IpAddr) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Consul agent CA of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?;
        write(&dir.join("ca.pem"), &ca.pem(), false)?;
        let issuer = Issuer::new(params, key);
        let names = [format!("server.{datacenter}.consul"), "localhost".to_owned()];
        let mut alternatives = vec![SanType::IpAddress(ip)];
        for name in names {
            alternatives.push(SanType::DnsName(name.try_into().context("a name for the certificate")?));
        }
        let server = issue(&issuer, dir, "server", alternatives, ExtendedKeyUsagePurpose::ServerAuth)?;
        Ok(ConsulTls { dir: dir.to_owned(), issuer, server })
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub(crate) fn server_files(&self) -> (&Path, &Path) {
        (&self.server.cert, &self.server.key)
    }

    pub(crate) fn client(&self, name: &str) -> Result<LeafFiles> {
        issue(&self.issuer, &self.dir, name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }
}

fn issue(
    issuer: &Issuer<'static, KeyPair>,
    dir: &Path,
    name: &str,
    names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<LeafFiles> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A server of Consul is a client of others as well.
    params.extended_key_usages = vec![usage, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, issuer)?;
    let files = LeafFiles { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}-key.pem")) };
    write(&files.cert, &cert.pem(), false)?;
    write(&files.key, &key.serialize_pem(), true)?;
    Ok(files)
}

impl std::fmt::Debug for ConsulTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsulTls({})", self.dir.display())
    }
}
