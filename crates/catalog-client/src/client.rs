//! Sends queries to an agent, within the budget of connections.

mod status;
mod write;

use crate::config::{ClientConfig, ConfigError};
use crate::error::Error;
use crate::query::{Answer, Ask, Query};
use bytes::Bytes;
use std::time::Duration;

pub use status::{Capacity, ClientStatus, Protocol, Totals};
pub use write::{Method, Write};

/// A client of Consul's HTTP API. Clones share everything.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// A client of this configuration. Reads its files, opens no socket and needs no runtime.
    ///
    /// # Errors
    /// [`ConfigError`] says what to change.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self {})
    }

    /// Sends one read and waits for its whole answer. `wait` is how long a blocking read may be held by
    /// the agent; it is not used otherwise.
    ///
    /// # Errors
    /// Everything but a 200 and a usable 404.
    pub async fn ask<Q: Query>(&self, query: &Q, ask: &Ask, wait: Duration) -> Result<Answer, Error> {
        let _ = (query, ask, wait);
        std::future::pending().await
    }

    /// Sends one write and waits for its whole answer. It is not sent twice, except where it is certain
    /// that the agent has not seen it.
    ///
    /// # Errors
    /// Everything but a 2xx.
    pub async fn write(&self, write: &Write) -> Result<Bytes, Error> {
        let _ = write;
        std::future::pending().await
    }

    /// Reads token and TLS files again. What cannot be read keeps what works.
    ///
    /// # Errors
    /// What is wrong with the files now.
    pub fn reload(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// What the client does at this moment, and what it did. From any thread.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        ClientStatus::default()
    }

    /// How much may be asked at a time, as far as is known now.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        Capacity { multiplexed: None, blocking: 0, reads: 0 }
    }
}
