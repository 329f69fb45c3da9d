//! PEM, as Consul, operators and editors leave it: several blocks in one text, text around them, and two texts joined
//! without a line break between them.

use std::borrow::Cow;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Material};

/// Largest PEM text that is read, in bytes. All CA certificates of an operating system together have about 250 KiB.
pub const MAX_PEM_BYTES: usize = 4 * 1024 * 1024;

/// Where one certificate ends and the next begins on the same line.
const JOINED: &[u8] = b"----------BEGIN ";

/// Every certificate of `pem`, in order. At least one, nothing but certificates.
pub(crate) fn certificates(what: Material, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut found = Vec::new();
    for block in blocks(what, pem)? {
        match block {
            (SectionKind::Certificate, der) => found.push(CertificateDer::from(der)),
            (kind, _) => return Err(Error::ForeignBlock { what, label: label(kind) }),
        }
    }
    if found.is_empty() {
        return Err(Error::NoPem { what, wanted: "CERTIFICATE" });
    }
    Ok(found)
}

/// The one private key of `pem`: SEC 1, PKCS #1 or PKCS #8, not encrypted. Certificates beside it are passed over,
/// since operators keep both in one file.
pub(crate) fn private_key(what: Material, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    let mut keys =
        blocks(what, pem)?.into_iter().filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    let key = keys.next().ok_or(Error::NoPem { what, wanted: "PRIVATE KEY" })?;
    if keys.next().is_some() {
        return Err(Error::SeveralKeys { what });
    }
    Ok(key)
}

fn blocks(what: Material, pem: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, Error> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(Error::TooLarge { what, bytes: pem.len(), limit: MAX_PEM_BYTES });
    }
    let pem = split_joined(pem);
    <(SectionKind, Vec<u8>)>::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Pem { what, why: error.to_string() })
}

fn split_joined(pem: &[u8]) -> Cow<'_, [u8]> {
    if !pem.windows(JOINED.len()).any(|window| window == JOINED) {
        return Cow::Borrowed(pem);
    }
    let mut split = Vec::with_capacity(pem.len() + 16);
    let mut rest = pem;
    while let Some(at) = rest.windows(JOINED.len()).position(|window| window == JOINED) {
        let (before, after) = rest.split_at(at + JOINED.len() / 3);
        split.extend_from_slice(before);
        split.push(b'\n');
        rest = after;
    }
    split.extend_from_slice(rest);
    Cow::Owned(split)
}

fn label(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "CERTIFICATE",
        SectionKind::PublicKey => "PUBLIC KEY",
        SectionKind::RsaPrivateKey => "RSA PRIVATE KEY",
        SectionKind::PrivateKey => "PRIVATE KEY",
        SectionKind::EcPrivateKey => "EC PRIVATE KEY",
        SectionKind::Crl => "X509 CRL",
        SectionKind::Csr => "CERTIFICATE REQUEST",
        _ => "another",
    }
}
