//! The name that an external server must have.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::{DnsName, ServerName};
use x509_parser::extensions::GeneralName;

use crate::PeerError;
use crate::certificate::{Parsed, ip_name};

/// What `SNI` of a link says. Some subject alternative name of the certificate must be equal to it: a URI or an e-mail
/// address to the letter, a DNS name whatever the case and with a wildcard for its first label, an IP address by its
/// value. The common name is never looked at.
#[derive(Debug)]
pub(crate) struct Wanted {
    name: Arc<str>,
    ip: Option<IpAddr>,
}

impl Wanted {
    /// `None` for an empty name: nothing is checked then.
    pub(crate) fn new(sni: &str) -> Option<Self> {
        (!sni.is_empty()).then(|| Self { name: sni.into(), ip: sni.parse().ok() })
    }

    /// What goes into the extension: host names only (RFC 6066, section 3).
    pub(crate) fn to_send(&self) -> Option<ServerName<'static>> {
        if self.ip.is_some() {
            return None;
        }
        DnsName::try_from(&*self.name).ok().map(|name| ServerName::DnsName(name.to_owned()))
    }

    pub(crate) fn check(&self, certificate: &Parsed<'_>) -> Result<(), PeerError> {
        let names = certificate.names()?;
        if names.iter().any(|name| self.is(name)) {
            Ok(())
        } else {
            Err(PeerError::NameMismatch { expected: Arc::clone(&self.name), found: shown(names) })
        }
    }

    fn is(&self, name: &GeneralName<'_>) -> bool {
        match name {
            GeneralName::URI(text) | GeneralName::RFC822Name(text) => *text == &*self.name,
            GeneralName::DNSName(pattern) => dns_matches(pattern, &self.name),
            GeneralName::IPAddress(bytes) => self.ip.is_some() && ip_name(bytes) == self.ip,
            _ => false,
        }
    }
}

/// Names that are shown of a certificate, and characters of each: who wrote them is not trusted.
const SHOWN: usize = 4;
const SHOWN_CHARACTERS: usize = 80;

fn shown(names: &[GeneralName<'_>]) -> Box<str> {
    let mut found: Vec<String> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(text) | GeneralName::RFC822Name(text) | GeneralName::DNSName(text) => {
                Some(format!("{:?}", text.chars().take(SHOWN_CHARACTERS).collect::<String>()))
            }
            GeneralName::IPAddress(bytes) => ip_name(bytes).map(|ip| ip.to_string()),
            _ => None,
        })
        .collect();
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    match (found.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => found.join(", ").into(),
        (false, more) => format!("{} and {more} more", found.join(", ")).into(),
    }
}

/// A wildcard is the whole first label and stands for exactly one.
fn dns_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(name),
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
    }
}
