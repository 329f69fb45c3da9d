//! Consul's documents about certificates, and the constructors for those that come from files.
//!
//! Fields that are not needed are not read; unknown ones are ignored, because each version of Consul adds some.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Answer of `GET /v1/agent/connect/ca/roots` (and `/v1/connect/ca/roots`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootsDocument {
    /// Id of the root that signs now. When it changes, leaves will be renewed.
    #[serde(default, rename = "ActiveRootID", deserialize_with = "or_default")]
    pub active_root_id: String,
    /// `<cluster id>.consul`.
    #[serde(default, deserialize_with = "or_default")]
    pub trust_domain: String,
    /// Every root, in no order. Empty while the CA is not ready.
    #[serde(default, deserialize_with = "or_default")]
    pub roots: Vec<RootDocument>,
}

/// One root of a [`RootsDocument`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootDocument {
    /// SHA-1 of the certificate as colon-hex; empty where the roots come from files.
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// Subject key id of what signs leaves in this datacenter.
    #[serde(default, rename = "SigningKeyID", deserialize_with = "or_default")]
    pub signing_key_id: String,
    /// One or more certificates as PEM.
    #[serde(default, deserialize_with = "or_default")]
    pub root_cert: String,
    /// Certificates that lead to the root, as PEM. They are no roots.
    #[serde(default, deserialize_with = "or_default")]
    pub intermediate_certs: Vec<String>,
    /// Whether it signs now.
    #[serde(default, deserialize_with = "or_default")]
    pub active: bool,
}

impl RootsDocument {
    /// Roots from files: `pems` are the texts of one file each.
    #[must_use]
    pub fn from_pem(trust_domain: &str, pems: impl IntoIterator<Item = String>) -> Self {
        let roots =
            pems.into_iter().map(|root_cert| RootDocument { root_cert, ..RootDocument::default() }).collect();
        Self { active_root_id: String::new(), trust_domain: trust_domain.to_owned(), roots }
    }
}

/// Answer of `GET /v1/agent/connect/ca/leaf/<service>`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LeafDocument {
    /// The leaf and what leads to a root, as PEM.
    #[serde(default, rename = "CertPEM", deserialize_with = "or_default")]
    pub cert_pem: String,
    /// Its private key, as PEM.
    #[serde(default, rename = "PrivateKeyPEM", deserialize_with = "or_default")]
    pub private_key_pem: SecretPem,
    /// Name of the service; empty for other kinds.
    #[serde(default, deserialize_with = "or_default")]
    pub service: String,
    /// Identity in the leaf; empty for other kinds and for files.
    #[serde(default, rename = "ServiceURI", deserialize_with = "or_default")]
    pub service_uri: String,
}

impl LeafDocument {
    /// A leaf from files.
    #[must_use]
    pub fn from_pem(cert_pem: String, private_key_pem: String) -> Self {
        Self {
            cert_pem,
            private_key_pem: SecretPem(private_key_pem),
            service: String::new(),
            service_uri: String::new(),
        }
    }
}

/// A private key as PEM, which no log shows.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct SecretPem(String);

impl SecretPem {
    /// Keeps it.
    #[must_use]
    pub fn new(pem: String) -> Self {
        Self(pem)
    }

    /// Hands it out.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem(..)")
    }
}

/// TLS settings of one direction in the mesh entry: `TLS.Incoming` or `TLS.Outgoing`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct TlsDirectionDocument {
    /// `TLS_AUTO` or empty, `TLSv1_0` to `TLSv1_3`.
    #[serde(default, rename = "TLSMinVersion", deserialize_with = "or_default")]
    pub tls_min_version: String,
    /// The same.
    #[serde(default, rename = "TLSMaxVersion", deserialize_with = "or_default")]
    pub tls_max_version: String,
    /// IANA names, for TLS up to 1.2.
    #[serde(default, rename = "CipherSuites", deserialize_with = "or_default")]
    pub cipher_suites: Vec<String>,
}

/// Go writes an empty list as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}
