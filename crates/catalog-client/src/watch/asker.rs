//! Who answers a watch: the client; in tests, a script.

use crate::{
    Client, Error, Query,
    client::Capacity,
    error::Class,
    query::{Answer, Ask},
};
use bytes::Bytes;
use std::{future::Future, time::Duration};

/// Sends reads to an agent. The [`Client`] does; a test may answer from a script instead.
///
/// Clones share everything.
pub trait Asker: Clone + Send + Sync + 'static {
    /// One read, until its whole answer is there. `wait` is how long the agent may hold a blocking read.
    ///
    /// # Errors
    /// Everything but a 200 and a usable 404.
    fn ask<Q: Query>(
        &self,
        query: &Q,
        ask: &Ask,
        wait: Duration,
    ) -> impl Future<Output = Result<Answer, Error>> + Send;

    /// What may be asked at a time. It may change: the protocol is known after the first connection.
    fn capacity(&self) -> Capacity;

    /// Whether anybody answers: any answer will do, also one that says "no".
    ///
    /// # Errors
    /// Nobody does.
    fn probe(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            match self.ask(&Leader, &Ask::Now, Duration::ZERO).await {
                Err(error) if error.class() == Class::Transport => Err(error),
                _ => Ok(()),
            }
        }
    }
}

impl Asker for Client {
    async fn ask<Q: Query>(&self, query: &Q, ask: &Ask, wait: Duration) -> Result<Answer, Error> {
        Self::ask(self, query, ask, wait).await
    }

    fn capacity(&self) -> Capacity {
        Self::capacity(self)
    }
}

/// `status/leader`: needs no token, costs nothing, and answers also without a leader.
#[derive(Clone, Debug)]
pub(super) struct Leader;

impl Query for Leader {
    type Document = ();

    fn endpoint(&self) -> &'static str {
        "status/leader"
    }

    fn path(&self) -> String {
        "/v1/status/leader".to_owned()
    }

    fn blocking(&self) -> crate::query::Blocking {
        crate::query::Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn decode(&self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

/// The discovery chain of the service that a query of `health/connect` or `health/ingress` is about.
/// It answers 403 where those answer with an empty list (consul-api 2.12).
#[derive(Clone, Debug)]
pub(crate) struct Chain(String);

impl Chain {
    pub(crate) fn beside(query: &impl Query) -> Option<Self> {
        let path = query.path();
        let (place, parameters) = path.split_once('?').unwrap_or((&path, ""));
        let name = place.strip_prefix("/v1/health/connect/").or(place.strip_prefix("/v1/health/ingress/"))?;
        let dc = parameters.split('&').find(|parameter| parameter.starts_with("dc="));
        Some(Self(match dc {
            Some(dc) => format!("/v1/discovery-chain/{name}?{dc}"),
            None => format!("/v1/discovery-chain/{name}"),
        }))
    }
}

impl Query for Chain {
    type Document = ();

    fn endpoint(&self) -> &'static str {
        "discovery-chain"
    }

    fn path(&self) -> String {
        self.0.clone()
    }

    fn decode(&self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}
