//! The `x-forwarded-client-cert` header: for whom a mesh gateway of ours ended TLS.
//!
//! Envoy writes elements separated by commas, each one hop, and in an element `Key=Value` pairs separated by
//! semicolons; a value with such a character in it stands in double quotes. The first element is the caller's own, what
//! comes later was added by hops after it. Whether the header is believed at all is decided by the check, see
//! [`Source::ViaGateway`](crate::Source::ViaGateway).

use http::HeaderMap;
use mesh_id::{SpiffeError, SpiffeId};

/// Name of the header.
pub const NAME: &str = "x-forwarded-client-cert";

/// Why a header names no caller. Whoever sent it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XfccError {
    /// A value is not text.
    #[error("{NAME} is not visible ASCII")]
    NotText,
    /// The first element is not made of `Key=Value` pairs, or a quote has no end.
    #[error("the first element of {NAME} is not made of Key=Value pairs")]
    Malformed,
    /// The first element has no `URI`.
    #[error("the first element of {NAME} has no URI")]
    NoUri,
    /// The first element has more than one `URI`: which one was checked cannot be known.
    #[error("the first element of {NAME} has several URIs")]
    SeveralUris,
    /// The URI is not an identity of a mesh.
    #[error("the URI in {NAME}: {0}")]
    Identity(#[from] SpiffeError),
}

/// The identity in the first element of the first such header; `None` when there is no such header.
///
/// # Errors
/// When there is a header, but no identity in the first element.
pub fn origin(headers: &HeaderMap) -> Result<Option<SpiffeId>, XfccError> {
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    parse(value.to_str().map_err(|_| XfccError::NotText)?).map(Some)
}

/// The identity in the first element.
///
/// # Errors
/// When there is none in it, or more than one, or the element is malformed.
pub fn parse(value: &str) -> Result<SpiffeId, XfccError> {
    let mut rest = value;
    let mut uri = None;
    loop {
        let (key, after) = rest.split_once('=').ok_or(XfccError::Malformed)?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(XfccError::Malformed);
        }
        let (value, end) = split_value(after).ok_or(XfccError::Malformed)?;
        // Keys have one spelling; another one must not smuggle in a second URI.
        if key.eq_ignore_ascii_case("URI") && uri.replace(value).is_some() {
            return Err(XfccError::SeveralUris);
        }
        match end {
            Some((b';', after)) => rest = after,
            Some(_) | None => break,
        }
    }
    Ok(SpiffeId::parse(uri.ok_or(XfccError::NoUri)?)?)
}

/// The value at the start of `text`, without quotes, and the separator with what comes behind it.
fn split_value(text: &str) -> Option<(&str, Option<(u8, &str)>)> {
    let (value, after) = match text.strip_prefix('"') {
        Some(inside) => {
            let end = end_of_quote(inside)?;
            (inside.get(..end)?, inside.get(end + 1..)?)
        }
        None => {
            let end = text.find([';', ',']).unwrap_or(text.len());
            text.split_at_checked(end)?
        }
    };
    match after.bytes().next() {
        None => Some((value, None)),
        Some(sign @ (b';' | b',')) => Some((value, Some((sign, after.get(1..)?)))),
        Some(_) => None,
    }
}

fn end_of_quote(inside: &str) -> Option<usize> {
    let mut escaped = false;
    inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const WEB: &str = "spiffe://p.consul/ns/default/dc/east/svc/web";

    #[test]
    fn the_first_element_counts() {
        let gateway = "spiffe://t.consul/gateway/mesh/dc/dc1";
        let good = [
            format!("URI={WEB}"),
            format!("By={gateway};Hash=00ff;URI={WEB}"),
            format!("Hash=00ff;URI={WEB};DNS=a.b;DNS=c.d"),
            format!(
                "By={gateway};Hash=1;Subject=\"CN=x,O=a;URI=spiffe://q.consul/ns/a/dc/b/svc/c\";URI={WEB}"
            ),
            format!("Cert=\"a\\\";URI=x\";URI={WEB},By=x;URI=spiffe://q.consul/ns/a/dc/b/svc/c"),
            format!("By={gateway};URI=\"{WEB}\""),
            format!("By=x; URI={WEB}"),
        ];
        for header in good {
            assert_eq!(parse(&header).map(|id| id.to_string()).as_deref(), Ok(WEB), "{header}");
        }
    }

    #[test]
    fn what_is_not_clear_is_nobody() {
        let table = [
            ("", XfccError::Malformed),
            ("By=x;Hash=1", XfccError::NoUri),
            (&format!("By=x,By=y;URI={WEB}"), XfccError::NoUri),
            (&format!("URI={WEB};URI={WEB}"), XfccError::SeveralUris),
            (&format!("uri={WEB};URI={WEB}"), XfccError::SeveralUris),
            (&format!("URI={WEB};"), XfccError::Malformed),
            (&format!(",URI={WEB}"), XfccError::Malformed),
            (&format!("Hash;URI={WEB}"), XfccError::Malformed),
            (&format!("Subject=\"open;URI={WEB}"), XfccError::Malformed),
            (&format!("Subject=\"a\"b;URI={WEB}"), XfccError::Malformed),
            ("URI=http://x", XfccError::Identity(SpiffeError::Scheme)),
        ];
        for (header, expected) in table {
            assert_eq!(parse(header), Err(expected), "{header}");
        }
    }

    #[test]
    fn only_the_first_line_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(origin(&headers), Ok(None));
        headers.append(NAME, HeaderValue::from_static("By=x"));
        headers.append(NAME, HeaderValue::from_str(&format!("URI={WEB}")).unwrap());
        assert_eq!(origin(&headers), Err(XfccError::NoUri));
        headers.insert(NAME, HeaderValue::from_bytes(b"URI=\xff").unwrap());
        assert_eq!(origin(&headers), Err(XfccError::NotText));
    }
}
