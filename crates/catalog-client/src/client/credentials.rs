//! What proves who we are: token, password, TLS. Read from files, and read again on request.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::HeaderValue;

use super::tls;
use crate::config::{ClientConfig, ConfigError, Scheme, TokenSource};

#[derive(Clone)]
pub(super) struct Credentials {
    /// Value of `X-Consul-Token`.
    pub(super) token: Option<HeaderValue>,
    /// Value of `Authorization`.
    pub(super) basic: Option<HeaderValue>,
    /// `None`: no address wants TLS.
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Credentials {
    pub(super) fn read(config: &ClientConfig) -> Result<Self, ConfigError> {
        let tls = tls_config(config)?;
        // Said once: files are read again whenever Consul does not know the token.
        if tls.is_some() && !config.tls.verify {
            tracing::warn!(
                "the agent's certificate is not verified (CONSUL_HTTP_SSL_VERIFY): anybody can pose as it"
            );
        }
        Ok(Self { token: token(config)?, basic: basic(config)?, tls })
    }

    /// Reads again. What cannot be read stays as it was, the rest is new; the first error is returned
    /// beside.
    pub(super) fn read_again(&self, config: &ClientConfig) -> (Self, Result<(), ConfigError>) {
        let (token, tls) = (token(config), tls_config(config));
        let outcome = token.as_ref().err().or(tls.as_ref().err()).cloned();
        let new = Self {
            token: token.unwrap_or_else(|_| self.token.clone()),
            basic: self.basic.clone(),
            tls: tls.unwrap_or_else(|_| self.tls.clone()),
        };
        (new, outcome.map_or(Ok(()), Err))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(token: {}, tls: {})", self.token.is_some(), self.tls.is_some())
    }
}

fn token(config: &ClientConfig) -> Result<Option<HeaderValue>, ConfigError> {
    let Some(secret) = TokenSource::first(&config.tokens)? else { return Ok(None) };
    header("the ACL token", secret.reveal()).map(Some)
}

fn basic(config: &ClientConfig) -> Result<Option<HeaderValue>, ConfigError> {
    let Some(auth) = &config.basic_auth else { return Ok(None) };
    let plain = format!("{}:{}", auth.user, auth.password.reveal());
    header("user and password (CONSUL_HTTP_AUTH)", &format!("Basic {}", base64(plain.as_bytes()))).map(Some)
}

fn tls_config(config: &ClientConfig) -> Result<Option<Arc<rustls::ClientConfig>>, ConfigError> {
    let needed = config.addresses.iter().any(|address| address.scheme == Scheme::Https);
    tls::load(&config.tls, needed)
}

/// A value that is never shown, and never kept in HTTP/2's table of headers.
fn header(what: &'static str, text: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError::Header { what })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Base 64 with padding (RFC 4648, section 4). One short text per start is no reason for a crate.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * at)) as usize & 63).copied().unwrap_or(b'=');
            let shown = if at <= three.len() { letter } else { b'=' };
            let _ = text.write_char(char::from(shown));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Credentials, base64};
    use crate::config::{Address, BasicAuth, ClientConfig, Secret, TlsFiles, TokenSource};
    use std::fs;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn token_and_password_become_headers_that_are_not_shown() {
        let config = ClientConfig {
            tokens: vec![TokenSource::Value(Secret::new("8f246b77"))],
            basic_auth: Some(BasicAuth::parse("Aladdin:open sesame")),
            ..Default::default()
        };
        let credentials = Credentials::read(&config).unwrap();
        let token = credentials.token.unwrap();
        assert_eq!(token.as_bytes(), b"8f246b77");
        assert_eq!(format!("{token:?}"), "Sensitive");
        assert_eq!(credentials.basic.unwrap().as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_without_being_shown() {
        let tokens = vec![TokenSource::Value(Secret::new("8f246b77\nX-Other: 1"))];
        let error =
            Credentials::read(&ClientConfig { tokens, ..Default::default() }).unwrap_err().to_string();
        assert!(error.contains("the ACL token") && !error.contains("8f246b77"), "{error}");
    }

    #[test]
    fn reading_again_keeps_what_works() {
        let folder = tempfile::tempdir().unwrap();
        let (token, ca) = (folder.path().join("token"), folder.path().join("ca.pem"));
        fs::write(&token, "one").unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        fs::write(&ca, pem).unwrap();
        let config = ClientConfig {
            addresses: vec![Address::parse("https://127.0.0.1:1", None).unwrap()],
            tokens: vec![TokenSource::File(token.clone())],
            tls: TlsFiles { ca_file: Some(ca.clone()), ..Default::default() },
            ..Default::default()
        };
        let first = Credentials::read(&config).unwrap();
        fs::write(&token, "two").unwrap();
        fs::write(&ca, "rubbish").unwrap();
        let (second, outcome) = first.read_again(&config);
        assert!(outcome.unwrap_err().to_string().contains("ca.pem"));
        assert_eq!(second.token.as_ref().unwrap().as_bytes(), b"two");
        assert!(second.tls.is_some(), "the certificates of before");
        fs::remove_file(&token).unwrap();
        let (third, outcome) = second.read_again(&config);
        assert!(outcome.unwrap_err().to_string().contains("token"));
        assert_eq!(third.token.unwrap().as_bytes(), b"two");
    }
}
