//! What can be wrong with a configuration.

use std::path::PathBuf;

/// A client cannot be made of this configuration; trying again does not help. Every one says what to
/// change. None contains a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address of an agent cannot be used.
    #[error("address {text:?} of the Consul agent (--http-addr, CONSUL_HTTP_ADDR): {reason}")]
    Address {
        /// As written.
        text: String,
        /// What is wrong and what to write.
        reason: String,
    },
    /// A variable is no truth value.
    #[error("{name}={value:?}: neither true (1 t T TRUE true True) nor false (0 f F FALSE false False)")]
    Boolean {
        /// The variable.
        name: String,
        /// As written.
        value: String,
    },
    /// A file cannot be read, or is not what it should be.
    #[error("{what} {}: {reason}", .path.display())]
    File {
        /// What the file is for, with its settings.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A client certificate needs its key, and a key its certificate.
    #[error(
        "a client {given} without its {missing}: give both (--client-cert and --client-key, \
         CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY) or none"
    )]
    Pair {
        /// `certificate` or `key`.
        given: &'static str,
        /// The other one.
        missing: &'static str,
    },
    /// There is nothing to verify an agent's certificate with.
    #[error("no CA certificate on this system: name the one of the agent (--ca-file, CONSUL_CACERT){0}")]
    NoRoots(String),
    /// Key and certificate, or the TLS settings as a whole, do not fit.
    #[error("TLS towards Consul: {0}")]
    Tls(String),
    /// A text that must go into a request cannot.
    #[error("{what} has characters that an HTTP header cannot carry")]
    Header {
        /// Which text.
        what: &'static str,
    },
    /// A number makes no sense.
    #[error("{name}: {reason}")]
    Number {
        /// The field of [`ClientLimits`](super::ClientLimits) or [`ClientTimers`](super::ClientTimers).
        name: &'static str,
        /// What would.
        reason: String,
    },
}
