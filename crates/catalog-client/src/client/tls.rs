//! TLS towards an agent: files become a configuration of rustls.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::{ConfigError, TlsFiles};
use named::Named;

mod named;

const CA_FILE: &str = "CA file (--ca-file, CONSUL_CACERT)";
const CA_PATH: &str = "file in the CA folder (--ca-path, CONSUL_CAPATH)";
const CERT: &str = "client certificate (--client-cert, CONSUL_CLIENT_CERT)";
const KEY: &str = "client key (--client-key, CONSUL_CLIENT_KEY)";

/// Bounds of a CA folder: deeper or fuller ones were named by mistake.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 4096;

/// Longest PEM file in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads all that is named, and the system's CA certificates if they are needed.
pub(super) fn load(files: &TlsFiles, needed: bool) -> Result<Option<Arc<rustls::ClientConfig>>, ConfigError> {
    let pair = files.pair()?;
    let named = named_roots(files)?;
    let pair = match pair {
        None => None,
        Some((cert, key)) => Some((certificates(CERT, cert)?, private_key(key)?, cert)),
    };
    if !needed {
        return Ok(None);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let wrong = |error: rustls::Error| ConfigError::Tls(error.to_string());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let builder = if files.verify {
        match named {
            None => builder.with_root_certificates(system_roots()?),
            Some((roots, named)) => {
                let named = Named::new(roots, named, provider).map_err(ConfigError::Tls)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(named))
            }
        }
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    let mut config = match pair {
        None => builder.with_no_client_auth(),
        Some((chain, key, path)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            ConfigError::File { what: CERT, path: path.clone(), reason: format!("with its key: {error}") }
        })?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Roots, and the certificates that they were made of.
type Roots = (RootCertStore, HashSet<CertificateDer<'static>>);

fn named_roots(files: &TlsFiles) -> Result<Option<Roots>, ConfigError> {
    let paths = match (&files.ca_file, &files.ca_path) {
        (Some(file), _) => vec![(CA_FILE, file.clone())],
        (None, Some(folder)) => {
            let mut found = Vec::new();
            walk(folder, 0, &mut found)?;
            found.sort();
            found.into_iter().map(|path| (CA_PATH, path)).collect()
        }
        (None, None) => return Ok(None),
    };
    let (mut roots, mut named) = (RootCertStore::empty(), HashSet::new());
    for (what, path) in paths {
        for certificate in certificates(what, &path)? {
            named.insert(certificate.clone());
            let added = roots.add(certificate);
            added.map_err(|error| ConfigError::File {
                what,
                path: path.clone(),
                reason: error.to_string(),
            })?;
        }
    }
    match &files.ca_path {
        Some(folder) if roots.is_empty() => Err(ConfigError::File {
            what: "CA folder (--ca-path, CONSUL_CAPATH)",
            path: folder.clone(),
            reason: "holds no file".into(),
        }),
        _ => Ok(Some((roots, named))),
    }
}

/// All files below the folder. A link to a file is one; a link to a folder is not followed: in a mounted
/// secret it leads to files that are found without it.
fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ConfigError> {
    let wrong = |path: &Path, reason: String| ConfigError::File {
        what: "CA folder (--ca-path, CONSUL_CAPATH)",
        path: path.to_owned(),
        reason,
    };
    if depth > MAX_DEPTH {
        return Err(wrong(folder, format!("more than {MAX_DEPTH} folders deep")));
    }
    for entry in fs::read_dir(folder).map_err(|error| wrong(folder, error.to_string()))? {
        let path = entry.map_err(|error| wrong(folder, error.to_string()))?.path();
        let is_link =
            fs::symlink_metadata(&path).map_err(|error| wrong(&path, error.to_string()))?.is_symlink();
        let is_folder = fs::metadata(&path).map_err(|error| wrong(&path, error.to_string()))?.is_dir();
        match (is_folder, is_link) {
            (true, true) => {}
            (true, false) => walk(&path, depth + 1, found)?,
            (false, _) if found.len() >= MAX_FILES => {
                return Err(wrong(folder, format!("more than {MAX_FILES} files")));
            }
            (false, _) => found.push(path),
        }
    }
    Ok(())
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let wrong = |reason: String| ConfigError::File { what, path: path.to_owned(), reason };
    let text = read(what, path)?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong("no PEM certificate in it".into()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = read(KEY, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| ConfigError::File {
        what: KEY,
        path: path.to_owned(),
        reason: match error {
            PemError::NoItemsFound => "no PEM private key in it".into(),
            error => format!("not PEM: {error}"),
        },
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let wrong = |reason: String| ConfigError::File { what, path: path.to_owned(), reason };
    let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(wrong(format!("{length} bytes are too many")));
    }
    fs::read(path).map_err(|error| wrong(error.to_string()))
}

fn system_roots() -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(ConfigError::NoRoots(why));
    }
    Ok(roots)
}

/// The name to verify: the setting, or the host of the address.
pub(super) fn server_name(files: &TlsFiles, host: &str) -> Result<ServerName<'static>, ConfigError> {
    let name = files.name().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        ConfigError::Tls(format!(
            "{name:?} is no name that a certificate can have; set --tls-server-name (CONSUL_TLS_SERVER_NAME)"
        ))
    })
}

/// Takes any certificate, as `CONSUL_HTTP_SSL_VERIFY=false` asks for. Whoever presents it must still
/// own its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
