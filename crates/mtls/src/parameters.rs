//! TLS versions and cipher suites, as the mesh entry sets them for each direction.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use crate::{Error, TlsDirectionDocument, provider};

/// Versions and cipher suites of one direction.
///
/// The default is TLS 1.2 to 1.3 with every suite that is supported: ECDHE with AES-GCM or ChaCha20-Poly1305.
#[derive(Clone)]
pub struct TlsParameters {
    versions: &'static [&'static SupportedProtocolVersion],
    provider: Arc<CryptoProvider>,
    warnings: Vec<ParameterWarning>,
}

/// What was set and is not done to the letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterWarning {
    /// A lowest version below TLS 1.2 was set; 1.2 is the lowest.
    RaisedToTls12 {
        /// As set.
        set: Box<str>,
    },
    /// A cipher suite that is not supported, or that is always on.
    SkippedSuite {
        /// As set.
        set: Box<str>,
    },
}

impl fmt::Display for ParameterWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaisedToTls12 { set } => {
                write!(f, "TLSMinVersion {set} is treated as TLSv1_2, the lowest supported")
            }
            Self::SkippedSuite { set } if set.starts_with("TLS13_") || is_tls13(set) => {
                write!(f, "cipher suite {set} is skipped: those of TLS 1.3 are always on")
            }
            Self::SkippedSuite { set } => {
                write!(
                    f,
                    "cipher suite {set} is skipped: only ECDHE with AES-GCM or ChaCha20-Poly1305 is supported"
                )
            }
        }
    }
}

static TLS12_ONLY: &[&SupportedProtocolVersion] = &[&TLS12];
static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

impl Default for TlsParameters {
    fn default() -> Self {
        Self { versions: BOTH, provider: Arc::clone(provider::get()), warnings: Vec::new() }
    }
}

impl TlsParameters {
    /// Reads what the mesh entry says of one direction.
    ///
    /// # Errors
    ///
    /// [`Error::Versions`] for an unknown version, a highest one below TLS 1.2 or below the lowest;
    /// [`Error::CipherSuites`] when none of the suites is supported, or when they are set although only TLS 1.3 is
    /// allowed. Keep the last good parameters then.
    pub fn from_document(document: &TlsDirectionDocument) -> Result<Self, Error> {
        let versions = |why: &'static str| Error::Versions {
            min: document.tls_min_version.as_str().into(),
            max: document.tls_max_version.as_str().into(),
            why,
        };
        let unknown = || versions("the versions are TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2 and TLSv1_3");
        let min = version(&document.tls_min_version, 2).ok_or_else(unknown)?;
        let max = version(&document.tls_max_version, 3).ok_or_else(unknown)?;
        if max < 2 {
            return Err(versions("TLS 1.2 is the lowest version that is supported"));
        }
        if max < min {
            return Err(versions("the highest version is below the lowest"));
        }
        let mut warnings = Vec::new();
        if min < 2 {
            warnings.push(ParameterWarning::RaisedToTls12 { set: document.tls_min_version.as_str().into() });
        }
        let provider = match document.cipher_suites.as_slice() {
            [] => Arc::clone(provider::get()),
            set => Arc::new(with_suites(set, min, &mut warnings)?),
        };
        let versions = match (min, max) {
            (3, _) => TLS13_ONLY,
            (_, 2) => TLS12_ONLY,
            _ => BOTH,
        };
        Ok(Self { versions, provider, warnings })
    }

    /// What was set and is not done to the letter. Log it.
    #[must_use]
    pub fn warnings(&self) -> &[ParameterWarning] {
        &self.warnings
    }

    pub(crate) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        self.versions
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    fn suites(&self) -> impl Iterator<Item = CipherSuite> {
        self.provider.cipher_suites.iter().map(|suite| suite.suite())
    }
}

/// The same versions and suites; how they were written does not matter.
impl PartialEq for TlsParameters {
    fn eq(&self, other: &Self) -> bool {
        self.versions.iter().map(|v| v.version).eq(other.versions.iter().map(|v| v.version))
            && self.suites().eq(other.suites())
    }
}

impl fmt::Debug for TlsParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsParameters")
            .field("versions", &self.versions.iter().map(|v| v.version).collect::<Vec<_>>())
            .field("cipher_suites", &self.suites().collect::<Vec<_>>())
            .finish()
    }
}

/// The minor number of a version, `auto` for what leaves the choice to us.
fn version(text: &str, auto: u8) -> Option<u8> {
    match text {
        "" | "TLS_AUTO" => Some(auto),
        "TLSv1_0" => Some(0),
        "TLSv1_1" => Some(1),
        "TLSv1_2" => Some(2),
        "TLSv1_3" => Some(3),
        _ => None,
    }
}

fn with_suites(
    set: &[String],
    min: u8,
    warnings: &mut Vec<ParameterWarning>,
) -> Result<CryptoProvider, Error> {
    let wrong = |why: &'static str| Error::CipherSuites { set: set.to_vec(), why };
    if min > 2 {
        return Err(wrong("they cannot be chosen where TLS 1.3 is the lowest version"));
    }
    let mut provider = CryptoProvider::clone(provider::get());
    for name in set {
        let known = provider::get().cipher_suites.iter();
        let tls12 = known.filter(|suite| suite.tls13().is_none()).map(|suite| suite.suite());
        if !tls12.into_iter().any(|suite| suite.as_str() == Some(name.as_str())) {
            warnings.push(ParameterWarning::SkippedSuite { set: name.as_str().into() });
        }
    }
    // TLS 1.3 has no suites to choose from; of those of TLS 1.2 what is named stays, in the order of the provider.
    let named = |suite: CipherSuite| suite.as_str().is_some_and(|name| set.iter().any(|one| one == name));
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || named(suite.suite()));
    if provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()) {
        return Err(wrong("none of them is supported; use ECDHE with AES-GCM or ChaCha20-Poly1305"));
    }
    Ok(provider)
}

fn is_tls13(name: &str) -> bool {
    matches!(name, "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256")
}
