//! From an HTTP response to an answer, or to an error that says what Consul said
//! (consul-api 2.2, 2.8, 6).

use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Response, StatusCode};

use crate::error::Cause;
use crate::query::Answer;

/// How much of Consul's text is kept, in bytes.
const TEXT: usize = 200;

/// Whether a response can be used: any 2xx, and a 404 about an object where the query expects it.
pub(super) fn judge(response: &Response<Bytes>, may_be_absent: bool) -> Result<(), Cause> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let is_absent = status == StatusCode::NOT_FOUND && is_about_an_object(response);
    if is_absent && may_be_absent {
        return Ok(());
    }
    let mut text = one_line(response.body());
    if status == StatusCode::BAD_REQUEST {
        text.push_str(way_out(&text));
    }
    Err(Cause::Status {
        status: status.as_u16(),
        text,
        unknown_endpoint: status == StatusCode::NOT_FOUND && !is_absent,
    })
}

/// A 404 has three meanings. An endpoint that this version lacks answers without any `X-Consul-*`
/// header, and with no text or one text; an object that is absent has the headers, or a text of its own
/// (`unknown service ID: x`). A page of a proxy on the way is about neither.
fn is_about_an_object(response: &Response<Bytes>) -> bool {
    if response.headers().keys().any(|name| name.as_str().starts_with("x-consul-")) {
        return true;
    }
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| !value.as_bytes().starts_with(b"text/plain"));
    let text = response.body().trim_ascii();
    !is_page && !text.is_empty() && !text.starts_with(b"Invalid URL path") && text != b"404 page not found"
}

/// The way out where a community agent is asked for what only Enterprise has, or TLS is missing.
fn way_out(text: &str) -> &'static str {
    if text.contains("HTTP request to an HTTPS server") {
        "; write https:// in front of the address, or set CONSUL_HTTP_SSL=true"
    } else if !text.contains("Consul Enterprise feature") {
        ""
    } else if text.contains("\"ns\"") || text.contains("Namespace") {
        "; this Consul has no namespaces: leave out --namespace (CONSUL_NAMESPACE)"
    } else if text.contains("artition") {
        "; this Consul has no partitions: leave out --partition (CONSUL_PARTITION)"
    } else {
        "; leave out --namespace and --partition (CONSUL_NAMESPACE, CONSUL_PARTITION)"
    }
}

/// The first bytes of a text, on one line, fit for a log.
fn one_line(body: &[u8]) -> String {
    let start = body.get(..TEXT.min(body.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(start);
    let mut line = String::with_capacity(text.len());
    // A letter that the cut went through is left out.
    let text = if body.len() > TEXT { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
    for char in text.trim().chars() {
        match char {
            '\n' => line.push(' '),
            '\r' => {}
            char if char.is_control() => line.extend(char.escape_default()),
            char => line.push(char),
        }
    }
    line
}

/// The answer of a response that can be used.
pub(super) fn answer(response: Response<Bytes>) -> Answer {
    let (parts, body) = response.into_parts();
    let headers = &parts.headers;
    Answer {
        body: (parts.status != StatusCode::NOT_FOUND).then_some(body),
        index: number(headers, "x-consul-index"),
        content_hash: text(headers, "x-consul-contenthash").map(str::to_owned),
        streaming: text(headers, "x-consul-query-backend") == Some("streaming"),
        filtered: text(headers, "x-consul-results-filtered-by-acls") == Some("true"),
        default_deny: text(headers, "x-consul-default-acl-policy").and_then(|policy| match policy {
            "deny" => Some(true),
            "allow" => Some(false),
            _ => None,
        }),
        last_contact: number(headers, "x-consul-lastcontact"),
        known_leader: text(headers, "x-consul-knownleader").and_then(|known| known.parse().ok()),
        cache_age: (text(headers, "x-cache") == Some("HIT")).then(|| number(headers, "age").unwrap_or(0)),
        by_leader: text(headers, "x-consul-effective-consistency") == Some("leader"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests;
