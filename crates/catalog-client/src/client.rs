//! Sends queries to an agent, within the budget of connections.
//!
//! [`Client`] is the shell: it makes requests of queries ([`Query`]) and answers of responses. Below it
//! is tower's stack: counted, bounded in number, limited per second, then a connection of the pool,
//! and on that connection a time limit, parking, a size limit and decompression.

mod answer;
mod budget;
mod counters;
mod credentials;
mod exchange;
mod failed;
mod lease;
mod names;
mod parking;
mod places;
mod pool;
mod rate;
mod request;
mod seldom;
mod site;
mod socket;
mod stack;
mod status;
mod tls;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use crate::config::{ClientConfig, ConfigError};
use crate::error::{Cause, Error};
use crate::query::{Answer, Ask, Query, StatusLeader};
use credentials::Credentials;
use places::Want;
use pool::{Pool, locked};
use request::{Call, Scope, label};
use site::Site;
use stack::Stack;

pub use status::{Capacity, ClientStatus, Protocol, Totals};
pub use write::{Method, Write};

/// A client of Consul's HTTP API. Clones share everything; connections end with the last of them.
///
/// It may be used from several tasks at once. Its connections are driven by the runtime that it is used
/// on; a current-thread one will do.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    scope: Arc<Scope>,
    reads: Stack,
    blocking: Stack,
}

impl Client {
    /// A client of this configuration. Reads its files, opens no socket and needs no runtime.
    ///
    /// # Errors
    /// [`ConfigError`] says what to change.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        config.timers.check()?;
        config.limits.check()?;
        if config.addresses.is_empty() {
            let reason = "none is given; write host:port, such as 127.0.0.1:8500".to_owned();
            return Err(ConfigError::Address { text: String::new(), reason });
        }
        let scope = Arc::new(Scope::new(&config)?);
        let site = |address| Site::new(address, &config.tls).map(Arc::new);
        let sites = config.addresses.iter().map(site).collect::<Result<Vec<_>, _>>()?;
        let credentials = Credentials::read(&config)?;
        let limits = config.limits.clone();
        let pool = Arc::new(Pool::new(config, sites, credentials));
        // Those that wait must not keep out those that do not: each kind has its own bound.
        let most_blocking = limits.connections.saturating_mul(limits.streams);
        Ok(Self {
            reads: stack::stack(&pool, &scope, limits.reads),
            blocking: stack::stack(&pool, &scope, most_blocking),
            pool,
            scope,
        })
    }

    /// Sends one read and waits for its whole answer. `wait` is how long a blocking read may be held by
    /// the agent; it is not used otherwise.
    ///
    /// Dropping the future is safe at any time. The connection of a blocking read is then used up until
    /// the agent answers (HTTP/1.1), or its stream is reset (HTTP/2).
    ///
    /// # Errors
    /// Everything but a 200 and a usable 404.
    pub async fn ask<Q: Query>(&self, query: &Q, ask: &Ask, wait: Duration) -> Result<Answer, Error> {
        let call = self.scope.read(query, ask, wait, &self.pool.config.timers);
        let outcome = self.send(call).await;
        outcome.map(answer::answer).map_err(|error| Error {
            request: label("GET", &query.path()),
            rule: query.rule(),
            ..error
        })
    }

    /// Sends one write and waits for its whole answer. It is not sent twice, except where it is certain
    /// that the agent has not seen it.
    ///
    /// # Errors
    /// Everything but a 2xx.
    pub async fn write(&self, write: &Write) -> Result<Bytes, Error> {
        let call = self.scope.write(write, &self.pool.config.timers);
        let outcome = self.send(call).await;
        outcome.map(Response::into_body).map_err(|error| Error {
            request: label(write.method.as_str(), &write.path),
            rule: write.rule.clone(),
            ..error
        })
    }

    /// The agent's clock to the second, as the `Date` header of an answer that needs neither token nor
    /// servers; `None` where a proxy has taken it out.
    ///
    /// # Errors
    /// As of [`ask`](Self::ask).
    pub async fn date(&self) -> Result<Option<String>, Error> {
        let call = self.scope.read(&StatusLeader, &Ask::Now, Duration::ZERO, &self.pool.config.timers);
        let response = self.send(call).await.map_err(|error| Error {
            request: label("GET", &StatusLeader.path()),
            rule: StatusLeader.rule(),
            ..error
        })?;
        let date = response.headers().get(hyper::header::DATE).and_then(|date| date.to_str().ok());
        Ok(date.map(str::to_owned))
    }

    async fn send(&self, call: Result<Call, String>) -> Result<Response<Bytes>, Error> {
        let local = |text: String| Error {
            request: String::new(),
            agent: String::new(),
            cause: Cause::Local(text),
            rule: String::new(),
        };
        let call = call.map_err(|reason| local(format!("not sent: {reason}")))?;
        let (stack, most) = match call.want {
            Want::Read => (&self.reads, "reads"),
            Want::Blocking => (&self.blocking, "blocking reads"),
        };
        let mut stack = stack.clone();
        let longest = self.pool.config.timers.place;
        timeout(longest, stack.ready())
            .await
            .unwrap_or_else(|_| Err(local(format!("not sent: too many {most} for {longest:?}"))))?;
        stack.call(call).await
    }

    /// Reads token and TLS files again. What cannot be read keeps what works. Connections that are open
    /// stay; new requests carry the new token. Says whether that is another one.
    ///
    /// # Errors
    /// What is wrong with the files now.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let current = self.pool.credentials();
        let (new, outcome) = current.read_again(&self.pool.config);
        let changed = new.token != current.token;
        *locked(&self.pool.credentials) = Arc::new(new);
        outcome.map(|()| changed)
    }

    /// What the client does at this moment, and what it did. From any thread.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        self.pool.status()
    }

    /// How much may be asked at a time, as far as is known now.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.pool.capacity()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("addresses", &self.pool.config.addresses).finish_non_exhaustive()
    }
}
