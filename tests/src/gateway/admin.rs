//! The admin endpoint as its users see it: plain HTTP over TCP, one request a connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Samples;
use crate::Place;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A gateway's admin endpoint.
#[derive(Debug, Clone)]
pub struct Admin {
    place: Place,
    address: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Admin {
    pub(super) fn new(place: Place, address: SocketAddr) -> Self {
        Admin { place, address }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Any request; `headers` are whole lines without their ends.
    ///
    /// # Errors
    /// When there is no answer within 10 s, or it is not HTTP.
    pub async fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Result<Answer> {
        let exchange = async {
            let mut stream = self.place.connect(self.address).await?;
            let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            // HTTP/1.0: the answer ends with the connection and comes in one piece.
            let request = format!(
                "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                self.address,
                body.len()
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let what = || format!("{method} http://{}{path}", self.address);
        let answer =
            tokio::time::timeout(ANSWER_WITHIN, exchange).await.with_context(what)?.with_context(what)?;
        Answer::parse(&String::from_utf8_lossy(&answer)).with_context(what)
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.request("GET", path, &[], "").await
    }

    /// Whether `/ready` says 200.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn is_ready(&self) -> Result<bool> {
        Ok(self.get("/ready").await?.status == 200)
    }

    /// `/metrics`.
    ///
    /// # Errors
    /// When there is no answer, or it is not 200.
    pub async fn metrics(&self) -> Result<Samples> {
        Ok(Samples::parse(&self.ok("/metrics").await?))
    }

    /// `/snapshot`.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON with 200.
    pub async fn snapshot(&self) -> Result<Value> {
        self.json("/snapshot").await
    }

    /// `/endpoints`.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON with 200.
    pub async fn endpoints(&self) -> Result<Value> {
        self.json("/endpoints").await
    }

    /// `/connections`.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON with 200.
    pub async fn connections(&self) -> Result<Value> {
        self.json("/connections").await
    }

    /// Any page of JSON.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON with 200.
    pub async fn json(&self, path: &str) -> Result<Value> {
        let body = self.ok(path).await?;
        serde_json::from_str(&body).with_context(|| format!("{path} is not JSON: {body}"))
    }

    async fn ok(&self, path: &str) -> Result<String> {
        let answer = self.get(path).await?;
        ensure!(answer.status == 200, "{path} answered {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }
}

impl Answer {
    fn parse(text: &str) -> Result<Self> {
        let (head, body) =
            text.split_once("\r\n\r\n").with_context(|| format!("not an HTTP answer: {text:?}"))?;
        let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }
}
