//! From a query to an HTTP request (consul-api 1.4).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::credentials::Credentials;
use super::places::Want;
use super::write::Write;
use crate::config::{ClientConfig, ClientTimers, ConfigError};
use crate::query::{Ask, Query};

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// What is the same in all requests of a client.
#[derive(Debug)]
pub(super) struct Scope {
    user_agent: HeaderValue,
    /// `ns`, `partition` and `dc`, as far as they are configured: name and coded value.
    parameters: Vec<(&'static str, String)>,
}

/// One request, as often as it must be sent.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) want: Want,
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) body: Option<Bytes>,
    pub(super) endpoint: &'static str,
    /// The body of the answer may be megabytes.
    pub(super) large: bool,
    /// A 404 about an object is an answer.
    pub(super) may_be_absent: bool,
    /// Until the last byte of the answer.
    pub(super) longest: Duration,
}

impl Scope {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|_| ConfigError::Header { what: "the user agent" })?;
        let parameters =
            [("ns", &config.namespace), ("partition", &config.partition), ("dc", &config.datacenter)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_deref().filter(|value| !value.is_empty())?)))
                .map(|(name, value)| (name, utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()))
                .collect();
        Ok(Self { user_agent, parameters })
    }

    pub(super) fn read<Q: Query>(
        &self,
        query: &Q,
        ask: &Ask,
        wait: Duration,
        timers: &ClientTimers,
    ) -> Result<Call, String> {
        let mut target = self.scoped(query.path());
        let mut want = Want::Read;
        match ask {
            Ask::Now if query.from_servers() => add(&mut target, "consistent"),
            Ask::Stale if query.from_servers() => add(&mut target, "stale"),
            Ask::Now | Ask::Leader | Ask::Stale => {}
            Ask::Above(index) => {
                want = Want::Blocking;
                add(&mut target, &format!("index={index}&wait={}", GoDuration(wait)));
            }
            Ask::Unlike(hash) => {
                want = Want::Blocking;
                let hash = utf8_percent_encode(hash, NON_ALPHANUMERIC);
                add(&mut target, &format!("hash={hash}&wait={}", GoDuration(wait)));
            }
        }
        let large = query.large();
        let longest = match want {
            Want::Blocking => wait + wait / 16 + timers.blocking_grace,
            Want::Read if large => timers.large_read,
            Want::Read => timers.read,
        };
        Ok(Call {
            want,
            method: Method::GET,
            target: uri(target)?,
            body: None,
            endpoint: query.endpoint(),
            large,
            may_be_absent: query.may_be_absent(),
            longest,
        })
    }

    pub(super) fn write(&self, write: &Write, timers: &ClientTimers) -> Result<Call, String> {
        let method = match write.method {
            super::write::Method::Put => Method::PUT,
            super::write::Method::Post => Method::POST,
            super::write::Method::Delete => Method::DELETE,
        };
        Ok(Call {
            want: Want::Read,
            method,
            target: uri(self.scoped(write.path.clone()))?,
            body: write.body.clone(),
            endpoint: write.endpoint,
            large: false,
            may_be_absent: false,
            longest: timers.read,
        })
    }

    /// The path with what is configured, except what it says itself.
    fn scoped(&self, mut path: String) -> String {
        for (name, value) in &self.parameters {
            if !has(&path, name) {
                add(&mut path, name);
                path.push('=');
                path.push_str(value);
            }
        }
        path
    }

    pub(super) fn request(&self, call: &Call, credentials: &Credentials) -> Request<Full<Bytes>> {
        let has_body = call.body.is_some();
        let mut request = Request::new(Full::new(call.body.clone().unwrap_or_default()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.target.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        let encoding = if call.large { "gzip" } else { "identity" };
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        if let Some(token) = &credentials.token {
            headers.insert(TOKEN, token.clone());
        }
        if let Some(basic) = &credentials.basic {
            headers.insert(header::AUTHORIZATION, basic.clone());
        }
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

/// Path and query of a request as errors name it: without the query.
pub(super) fn label(method: &str, path: &str) -> String {
    format!("{method} {}", path.split('?').next().unwrap_or_default())
}

fn uri(target: String) -> Result<Uri, String> {
    if !target.starts_with('/') {
        return Err("its path does not begin with a slash".into());
    }
    Uri::from_maybe_shared(Bytes::from(target)).map_err(|error| format!("its path cannot be sent: {error}"))
}

fn add(path: &mut String, parameter: &str) {
    path.push(if path.contains('?') { '&' } else { '?' });
    path.push_str(parameter);
}

fn has(path: &str, name: &str) -> bool {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|part| part.split('=').next() == Some(name))
}

/// A duration in Go's notation, whole milliseconds at least.
struct GoDuration(Duration);

impl std::fmt::Display for GoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        match millis % 1000 {
            0 if millis > 0 => write!(f, "{}s", millis / 1000),
            // Consul takes nothing for its default of minutes.
            _ => write!(f, "{}ms", millis.max(1)),
        }
    }
}

#[cfg(test)]
mod tests;
