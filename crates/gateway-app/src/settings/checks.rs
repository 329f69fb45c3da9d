//! Whether a value for the conversation with Consul can be one. No message has a secret in it.

use std::net::IpAddr;

use catalog_client::config::{Address, BasicAuth, ConfigError, Secret, TlsFiles};

/// Addresses of agents or servers; none of them empty.
pub(super) fn addresses(items: &[String]) -> Result<Vec<String>, String> {
    if items.is_empty() {
        return Err("there is no address in it; write it like \"127.0.0.1:8500\"".to_owned());
    }
    for item in items {
        Address::parse(item, None).map_err(|error| match error {
            ConfigError::Address { text, reason } => format!("{text:?}: {reason}"),
            other => other.to_string(),
        })?;
    }
    Ok(items.to_vec())
}

/// A token as a header may carry it.
pub(super) fn token(token: &Secret) -> Result<(), String> {
    match token.reveal().bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) => Err(format!(
            "byte {} of it is a space, a line end or no ASCII; a token has none of these",
            at + 1
        )),
        None => Ok(()),
    }
}

/// User and password, split at the first colon; without one there is no password.
pub(super) fn basic_auth(text: &Secret) -> Result<BasicAuth, String> {
    if text.reveal().chars().any(char::is_control) {
        return Err("it has a line end or another control character in it".to_owned());
    }
    Ok(BasicAuth::parse(text.reveal()))
}

/// A name of a certificate: a `:PORT` behind it is cut off, as Consul's own client does.
pub(super) fn server_name(text: &str) -> Result<String, String> {
    let name = TlsFiles::default().with_server_name(text).server_name.unwrap_or_default();
    if name.parse::<IpAddr>().is_ok() || mesh_id::is_valid_sni_host(&name).is_ok() {
        return Ok(name);
    }
    Err(format!("{text:?} is not a host name"))
}
