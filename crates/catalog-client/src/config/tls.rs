//! The files and names of TLS towards an agent.

use std::path::PathBuf;

use super::ConfigError;

/// Whom to trust, and who we are. Files are read by [`Client::new`](crate::Client::new) and again by
/// [`Client::reload`](crate::Client::reload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with one or more CA certificates; they replace the system's.
    pub ca_file: Option<PathBuf>,
    /// Folder of such files, walked with its folders: *every* file in it must be PEM. Ignored beside
    /// `ca_file`.
    pub ca_path: Option<PathBuf>,
    /// PEM certificate, with its chain, for agents that ask for one. Needs `client_key`.
    pub client_cert: Option<PathBuf>,
    /// PEM key of `client_cert`.
    pub client_key: Option<PathBuf>,
    /// The name to ask for and to verify instead of the address's host.
    pub server_name: Option<String>,
    /// Whether the agent's certificate and its name are verified.
    pub verify: bool,
}

impl Default for TlsFiles {
    /// The system's CA certificates, no certificate of our own, everything verified.
    fn default() -> Self {
        Self {
            ca_file: None,
            ca_path: None,
            client_cert: None,
            client_key: None,
            server_name: None,
            verify: true,
        }
    }
}

impl TlsFiles {
    /// Sets the name to verify; a port behind it is cut off, as Consul's tools do.
    #[must_use]
    pub fn with_server_name(mut self, name: &str) -> Self {
        self.server_name = Some(without_port(name).to_owned()).filter(|name| !name.is_empty());
        self
    }

    /// Certificate and key, or none of them.
    pub(crate) fn pair(&self) -> Result<Option<(&PathBuf, &PathBuf)>, ConfigError> {
        match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(ConfigError::Pair { given: "certificate", missing: "key" }),
            (None, Some(_)) => Err(ConfigError::Pair { given: "key", missing: "certificate" }),
        }
    }

    /// The name without a port, whoever set it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.server_name.as_deref().map(without_port).filter(|name| !name.is_empty())
    }
}

fn without_port(name: &str) -> &str {
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(host, _)| host);
    match bracketed {
        Some(host) => host,
        // More than one colon is an IPv6 address.
        None if name.matches(':').count() > 1 => name,
        None => name.split_once(':').map_or(name, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, TlsFiles};

    #[test]
    fn a_port_behind_the_server_name_is_cut_off() {
        for (given, expected) in [
            ("server.dc1.consul", Some("server.dc1.consul")),
            ("server.dc1.consul:8501", Some("server.dc1.consul")),
            ("[::1]:8501", Some("::1")),
            ("::1", Some("::1")),
            ("", None),
            (":8501", None),
        ] {
            let files = TlsFiles::default().with_server_name(given);
            assert_eq!(files.name(), expected, "{given}");
            let files = TlsFiles { server_name: Some(given.into()), ..Default::default() };
            assert_eq!(files.name(), expected, "{given}");
        }
    }

    #[test]
    fn a_certificate_without_key_is_refused_and_a_key_without_certificate() {
        let files = TlsFiles { client_cert: Some("/c".into()), ..Default::default() };
        assert_eq!(files.pair(), Err(ConfigError::Pair { given: "certificate", missing: "key" }));
        let files = TlsFiles { client_key: Some("/k".into()), ..Default::default() };
        let error = files.pair().unwrap_err().to_string();
        assert!(error.contains("a client key without its certificate"), "{error}");
        assert!(error.contains("CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY"), "{error}");
    }
}
