//! The `CONSUL_*` variables (consul-api 1.1, 1.2).

use super::{Address, BasicAuth, ClientConfig, ConfigError, Secret, TokenSource, parse_go_bool};

impl ClientConfig {
    /// The defaults, changed by the variables that Consul's own tools know. `lookup` gives the value of
    /// a variable; an empty one counts as unset.
    ///
    /// Stricter than those tools in one thing: an unreadable `CONSUL_HTTP_SSL` or
    /// `CONSUL_HTTP_SSL_VERIFY` is an error. There the one means plain HTTP and the other *no
    /// verification*.
    ///
    /// # Errors
    /// A variable cannot be understood.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let boolean = |name: &str| match text(name) {
            None => Ok(None),
            Some(value) => match parse_go_bool(&value) {
                Some(flag) => Ok(Some(flag)),
                None => Err(ConfigError::Boolean { name: name.to_owned(), value }),
            },
        };
        let mut config = Self::default();
        let ssl = boolean("CONSUL_HTTP_SSL")?;
        let address = text("CONSUL_HTTP_ADDR").unwrap_or_else(|| Address::local().to_string());
        config.addresses = vec![Address::parse(&address, ssl)?];
        config.tls.ca_file = text("CONSUL_CACERT").map(Into::into);
        config.tls.ca_path = text("CONSUL_CAPATH").map(Into::into);
        config.tls.client_cert = text("CONSUL_CLIENT_CERT").map(Into::into);
        config.tls.client_key = text("CONSUL_CLIENT_KEY").map(Into::into);
        config.tls.verify = boolean("CONSUL_HTTP_SSL_VERIFY")?.unwrap_or(true);
        if let Some(name) = text("CONSUL_TLS_SERVER_NAME") {
            config.tls = config.tls.with_server_name(&name);
        }
        // Strongest first; the last is consul-template's older name.
        config.tokens = [
            text("CONSUL_HTTP_TOKEN_FILE").map(|path| TokenSource::File(path.into())),
            text("CONSUL_HTTP_TOKEN").map(|token| TokenSource::Value(Secret::new(token))),
            text("CONSUL_TOKEN").map(|token| TokenSource::Value(Secret::new(token))),
        ]
        .into_iter()
        .flatten()
        .collect();
        config.basic_auth = text("CONSUL_HTTP_AUTH").map(|auth| BasicAuth::parse(&auth));
        config.namespace = text("CONSUL_NAMESPACE");
        config.partition = text("CONSUL_PARTITION");
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientConfig, ConfigError, TokenSource};

    fn from(variables: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
        ClientConfig::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_the_default() {
        let config = from(&[("CONSUL_HTTP_ADDR", ""), ("CONSUL_HTTP_SSL", "")]).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", ClientConfig::default()));
        assert_eq!(config.addresses.first().unwrap().to_string(), "127.0.0.1:8500");
    }

    #[test]
    fn every_variable() {
        let config = from(&[
            ("CONSUL_HTTP_ADDR", "http://agent:8500"),
            ("CONSUL_HTTP_SSL", "1"),
            ("CONSUL_HTTP_SSL_VERIFY", "F"),
            ("CONSUL_CACERT", "/ca.pem"),
            ("CONSUL_CAPATH", "/ca"),
            ("CONSUL_CLIENT_CERT", "/cert.pem"),
            ("CONSUL_CLIENT_KEY", "/key.pem"),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul:8501"),
            ("CONSUL_HTTP_TOKEN", "two"),
            ("CONSUL_HTTP_TOKEN_FILE", "/token"),
            ("CONSUL_TOKEN", "three"),
            ("CONSUL_HTTP_AUTH", "me:hidden"),
            ("CONSUL_NAMESPACE", "team"),
            ("CONSUL_PARTITION", "part"),
        ])
        .unwrap();
        assert_eq!(config.addresses.first().unwrap().to_string(), "https://agent:8500");
        let path = |path: &Option<std::path::PathBuf>| path.as_ref().unwrap().display().to_string();
        assert!(!config.tls.verify);
        assert_eq!((path(&config.tls.ca_file), path(&config.tls.ca_path)), ("/ca.pem".into(), "/ca".into()));
        assert_eq!(path(&config.tls.client_cert), "/cert.pem");
        assert_eq!(path(&config.tls.client_key), "/key.pem");
        assert_eq!(config.tls.server_name.as_deref(), Some("server.dc1.consul"));
        let tokens: Vec<String> = config
            .tokens
            .iter()
            .map(|source| match source {
                TokenSource::File(path) => path.display().to_string(),
                TokenSource::Value(secret) => secret.reveal().to_owned(),
            })
            .collect();
        assert_eq!(tokens, ["/token", "two", "three"]);
        assert_eq!(config.basic_auth.as_ref().unwrap().user, "me");
        assert_eq!(config.namespace.as_deref(), Some("team"));
        assert_eq!(config.partition.as_deref(), Some("part"));
        let shown = format!("{config:?}");
        assert!(!shown.contains("two") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_truth_value_that_is_none_is_an_error_that_names_the_variable() {
        for name in ["CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY"] {
            let error = from(&[(name, "maybe")]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=\"maybe\"")), "{error}");
        }
    }

    #[test]
    fn a_scheme_without_tls_yields_to_the_variable() {
        let config = from(&[("CONSUL_HTTP_ADDR", "http://h:1"), ("CONSUL_HTTP_SSL", "true")]).unwrap();
        assert_eq!(config.addresses.first().unwrap().to_string(), "https://h:1");
    }
}
