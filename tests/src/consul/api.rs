//! A small client of the HTTP API for setting a scene and looking at it. It shares nothing with the client that is
//! tested: one request a connection, no TLS. Envoy's admin endpoint is read with it as well.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Place;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// More than an agent holds a request that asks for the longest wait, 10 min and its sixteenth.
const HELD_WITHIN: Duration = Duration::from_secs(650);

/// An agent's API, as one token sees it, in one datacenter.
#[derive(Clone)]
pub struct Api {
    place: Place,
    address: SocketAddr,
    token: Option<String>,
    datacenter: Option<String>,
}

/// An answer, whatever its status.
#[derive(Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names and values of the headers, as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Api {
    /// Anonymous, for the agent's own datacenter.
    pub fn new(place: impl Into<Place>, address: SocketAddr) -> Self {
        Api { place: place.into(), address, token: None, datacenter: None }
    }

    /// With another token; an empty one is none.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned()).filter(|token| !token.is_empty());
        self
    }

    /// With `dc=` on every request.
    #[must_use]
    pub fn datacenter(mut self, datacenter: &str) -> Self {
        self.datacenter = Some(datacenter.to_owned());
        self
    }

    /// Where it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Any request; `path` has its query, encoded.
    ///
    /// # Errors
    /// When there is no answer within 30 s (within 650 s for a request with `index=` or `hash=`), or it is not HTTP.
    pub async fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
        let path = match &self.datacenter {
            Some(dc) => format!("{path}{}dc={dc}", if path.contains('?') { '&' } else { '?' }),
            None => path.to_owned(),
        };
        let token = self.token.as_ref().map(|token| format!("X-Consul-Token: {token}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
            self.address,
            token.unwrap_or_default(),
            body.len()
        );
        let exchange = async {
            let mut stream = self.place.connect(self.address).await?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let held = ["?index=", "&index=", "?hash=", "&hash="].iter().any(|name| path.contains(name));
        let within = if held { HELD_WITHIN } else { ANSWER_WITHIN };
        let what = || format!("{method} http://{}{path}", self.address);
        let answer = tokio::time::timeout(within, exchange).await.with_context(what)?.with_context(what)?;
        Reply::parse(&answer).with_context(what)
    }

    /// GET, JSON of a 200.
    ///
    /// # Errors
    /// When there is no answer, another status (with Consul's text), or a body that is not JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ok("GET", path, b"").await?.json()
    }

    /// PUT of a JSON document.
    ///
    /// # Errors
    /// When there is no answer, or its status is not 200 (with Consul's text).
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        self.ok("PUT", path, &body).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// When there is no answer, or its status is not 200 (with Consul's text).
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.ok("DELETE", path, b"").await
    }

    async fn ok(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
        let reply = self.request(method, path, body).await?;
        if reply.status != 200 {
            bail!("{method} {path} answered {}: {}", reply.status, reply.text().trim());
        }
        Ok(reply)
    }
}

impl Reply {
    /// The value of a header, its name in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `X-Consul-Index`.
    pub fn index(&self) -> Option<u64> {
        self.header("x-consul-index")?.parse().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    fn parse(answer: &[u8]) -> Result<Self> {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end =
            end.with_context(|| format!("not an HTTP answer: {:?}", String::from_utf8_lossy(answer)))?;
        let head = String::from_utf8_lossy(&answer[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split_whitespace().nth(1));
        let status = status.and_then(|code| code.parse().ok()).context("no status in the answer")?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut reply = Reply { status, headers, body: answer[end + 4..].to_vec() };
        if reply.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            reply.body = unchunked(&reply.body).context("chunks that end early")?;
        } else if let Some(length) = reply.header("content-length") {
            ensure!(length.parse() == Ok(reply.body.len()), "{} of {length} bytes came", reply.body.len());
        }
        Ok(reply)
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.is_some();
        write!(f, "Api({}, token: {token}, dc: {:?})", self.address, self.datacenter)
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {:?}, {} bytes)", self.status, self.headers, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_is_none() {
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        let reply = Reply::parse(chunked).unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "abcde"));
        let whole = b"HTTP/1.1 403 Forbidden\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(Reply::parse(whole).unwrap().index(), Some(7));
        for cut in [&chunked[..60], &whole[..whole.len() - 1], b"HTTP/1.1 200 OK\r\n"] {
            assert!(Reply::parse(cut).is_err(), "{}", String::from_utf8_lossy(cut));
        }
    }
}
