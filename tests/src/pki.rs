//! A development CA in the shape of Consul's built-in one: EC P-256, the root carries the trust domain as its URI SAN,
//! a leaf has one SPIFFE id, an empty subject and both client and server use.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const DAY: i64 = 24 * 3600;

/// So many seconds from now, in the type that certificates want.
macro_rules! moment {
    ($seconds:expr) => {{
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u64::try_from($seconds + i64::try_from(now.as_secs()).unwrap_or_default());
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unwrap_or_default())
    }};
}

/// A mesh CA for one trust domain. Two of them, even for the same trust domain, do not trust each other's leaves.
#[derive(Clone)]
pub struct Pki {
    trust_domain: Arc<str>,
    name: Arc<str>,
    issuer: Arc<Issuer<'static, KeyPair>>,
    root: CertificateDer<'static>,
    root_pem: Arc<str>,
}

/// A certificate of one identity, with its key.
#[derive(Clone)]
pub struct Leaf {
    /// The SPIFFE id.
    pub uri: String,
    /// The certificate.
    pub cert: CertificateDer<'static>,
    /// The same in PEM, followed by the certificates between it and a root.
    pub cert_pem: String,
    /// The key in PEM.
    pub key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Where [`Leaf::write`] put it.
#[derive(Debug, Clone)]
pub struct LeafFiles {
    /// Certificate, PEM.
    pub cert: PathBuf,
    /// Private key, PEM, readable for the owner only.
    pub key: PathBuf,
}

impl Pki {
    /// The trust domain of tests that do not care which it is.
    pub const TRUST_DOMAIN: &'static str = "11111111-2222-3333-4444-555555555555.consul";

    /// A CA for [`Pki::TRUST_DOMAIN`].
    ///
    /// # Errors
    /// When the machine has no randomness for a key.
    pub fn development() -> Result<Self> {
        Self::new(Self::TRUST_DOMAIN)
    }

    /// A new CA with a new key.
    ///
    /// # Errors
    /// When the trust domain cannot stand in a URI.
    pub fn new(trust_domain: &str) -> Result<Self> {
        Self::of_age(trust_domain, -DAY, 3650 * DAY)
    }

    /// A CA whose root begins and ends at these seconds from now.
    ///
    /// # Errors
    /// When the trust domain cannot stand in a URI.
    pub fn of_age(trust_domain: &str, from: i64, to: i64) -> Result<Self> {
        // As with Consul no two roots have the same name, not even of one trust domain.
        let name = format!("pri-{:x}.consul.ca", fastrand::u64(..));
        let mut params = root_params(trust_domain, &name)?;
        (params.not_before, params.not_after) = (moment!(from), moment!(to));
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        Ok(Pki {
            trust_domain: trust_domain.into(),
            name: name.into(),
            root_pem: root.pem().into(),
            root: root.der().clone(),
            issuer: Arc::new(Issuer::new(params, key)),
        })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The SPIFFE id of `service` in `datacenter`.
    pub fn service_id(&self, service: &str, datacenter: &str) -> String {
        format!("spiffe://{}/ns/default/dc/{datacenter}/svc/{service}", self.trust_domain)
    }

    /// A leaf for `service` in `datacenter`.
    ///
    /// # Errors
    /// When a name cannot stand in a URI.
    pub fn service(&self, service: &str, datacenter: &str) -> Result<Leaf> {
        self.leaf(&self.service_id(service, datacenter))
    }

    /// A leaf for any URI, valid from a minute ago for a day.
    ///
    /// # Errors
    /// When the text cannot stand in a certificate.
    pub fn leaf(&self, id: &str) -> Result<Leaf> {
        self.issue(&LeafSpec::new().uri(id))
    }

    /// Any certificate with a new key.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue(&self, spec: &LeafSpec) -> Result<Leaf> {
        let params = spec.params()?;
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            uri: spec.uris.first().cloned().unwrap_or_default(),
            cert: cert.der().clone(),
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            chain: vec![cert.der().clone()],
            key: Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der()).into()),
        })
    }

    /// This CA's certificate signed by another one, so that those who know only that one accept leaves of this one: what
    /// Consul appends to leaves while it changes its root.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn cross_signed(&self, by: &Pki) -> Result<String> {
        let mut params = root_params(&self.trust_domain, &self.name)?;
        (params.not_before, params.not_after) = (moment!(-DAY), moment!(7 * DAY));
        Ok(params.signed_by(self.issuer.key(), &by.issuer)?.pem())
    }

    /// The root.
    pub(crate) fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root in PEM.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Writes the root to `path`, making its folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_root(&self, path: &Path) -> Result<()> {
        write(path, &self.root_pem, false)
    }
}

/// What a certificate says. Without more it names nobody, is valid from a minute ago for a day, and is for clients and
/// servers.
#[derive(Debug, Clone)]
pub struct LeafSpec {
    uris: Vec<String>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    common_name: Option<String>,
    from: i64,
    to: i64,
    usages: Vec<ExtendedKeyUsagePurpose>,
    ca: bool,
}

impl Default for LeafSpec {
    fn default() -> Self {
        Self::new()
    }
}

impl LeafSpec {
    /// A certificate without a name.
    pub fn new() -> Self {
        LeafSpec {
            uris: Vec::new(),
            names: Vec::new(),
            addresses: Vec::new(),
            common_name: None,
            from: -60,
            to: DAY,
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
            ca: false,
        }
    }

    /// A URI; a mesh's leaf has one.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.uris.push(uri.to_owned());
        self
    }

    /// A DNS name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// An IP address.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The subject's common name.
    #[must_use]
    pub fn common_name(mut self, name: &str) -> Self {
        self.common_name = Some(name.to_owned());
        self
    }

    /// Begins and ends at these seconds from now.
    #[must_use]
    pub fn valid(mut self, from: i64, to: i64) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// For servers alone.
    #[must_use]
    pub fn server_only(mut self) -> Self {
        self.usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self
    }

    /// For no purpose in particular.
    #[must_use]
    pub fn any_purpose(mut self) -> Self {
        self.usages.clear();
        self
    }

    /// That of a certificate authority.
    #[must_use]
    pub fn authority(mut self) -> Self {
        self.ca = true;
        self
    }

    fn params(&self) -> Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.common_name.as_deref().map_or_else(DistinguishedName::new, named);
        let names: Result<Vec<_>> = self.uris.iter().map(|it| uri(it)).collect();
        params.subject_alt_names = names?;
        for name in &self.names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        params.is_ca = if self.ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = self.usages.clone();
        (params.not_before, params.not_after) = (moment!(self.from), moment!(self.to));
        Ok(params)
    }
}

impl Leaf {
    /// The same leaf with further certificates behind it.
    ///
    /// # Errors
    /// When they are no PEM.
    pub fn with_chain(mut self, pem: &str) -> Result<Self> {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            self.chain.push(certificate.context("a chain that is no PEM")?);
        }
        self.cert_pem.push_str(pem);
        Ok(self)
    }

    /// A leaf that somebody else signed: its certificate, followed by those between it and a root, and its key.
    ///
    /// # Errors
    /// When either cannot be read, or the certificate is not one of the mesh.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert_pem.as_bytes()).collect();
        let chain = chain.context("a leaf that is no PEM")?;
        let cert = chain.first().context("a leaf without a certificate")?.clone();
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).context("a key that is no PEM")?;
        Ok(Leaf {
            uri: uri_of(&cert)?,
            cert,
            cert_pem: cert_pem.to_owned(),
            key_pem: key_pem.to_owned(),
            chain,
            key: Arc::new(key),
        })
    }

    /// Writes `<name>.pem` and `<name>-key.pem` into `dir`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<LeafFiles> {
        let files =
            LeafFiles { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}-key.pem")) };
        write(&files.cert, &self.cert_pem, false)?;
        write(&files.key, &self.key_pem, true)?;
        Ok(files)
    }

    /// The certificates to present, for rustls.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The private key, for rustls.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Leaf({})", self.uri)
    }
}

/// The one URI SAN of a certificate, as a mesh peer must have it.
pub(crate) fn uri_of(cert: &CertificateDer<'_>) -> Result<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).context("not a certificate")?;
    let names = parsed.subject_alternative_name()?.map(|names| names.value.general_names.as_slice());
    let uris: Vec<_> = names
        .unwrap_or_default()
        .iter()
        .filter_map(|name| match name {
            x509_parser::extensions::GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    ensure!(uris.len() == 1, "a mesh certificate has exactly one URI, this one has {uris:?}");
    Ok(uris[0].to_owned())
}

fn root_params(trust_domain: &str, name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}"))?];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn uri(text: &str) -> Result<SanType> {
    Ok(SanType::URI(text.try_into().with_context(|| format!("{text:?} cannot stand in a certificate"))?))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

pub(crate) fn write(path: &Path, text: &str, secret: bool) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(failed)?;
    }
    let mode = if secret { 0o600 } else { 0o644 };
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(mode).open(path).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}
