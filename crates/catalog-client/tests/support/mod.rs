//! A scripted agent, and small things that all tests of the client share.

#![allow(dead_code, reason = "each test file uses its own part of the support code")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its support fails")]

pub(crate) mod agent;
pub(crate) mod pki;

use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog_client::config::{Address, ClientLimits, ClientTimers};
use catalog_client::query::{Ask, Query};
use catalog_client::{Client, ClientConfig, Error};

/// A read of any path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Get {
    pub(crate) path: String,
    pub(crate) large: bool,
    pub(crate) may_be_absent: bool,
}

pub(crate) fn get(path: &str) -> Get {
    Get { path: path.into(), ..Get::default() }
}

impl Query for Get {
    type Document = Bytes;

    fn endpoint(&self) -> &'static str {
        "test"
    }

    fn path(&self) -> String {
        self.path.clone()
    }

    fn large(&self) -> bool {
        self.large
    }

    fn may_be_absent(&self) -> bool {
        self.may_be_absent
    }

    fn rule(&self) -> String {
        "service \"x\" { policy = \"read\" }".into()
    }

    fn decode(&self, body: &Bytes) -> Result<Bytes, String> {
        Ok(body.clone())
    }
}

/// A client of these addresses, with the defaults.
pub(crate) fn config(addresses: &[&str]) -> ClientConfig {
    let addresses = addresses.iter().map(|text| Address::parse(text, None).unwrap()).collect();
    ClientConfig { addresses, ..ClientConfig::default() }
}

pub(crate) fn client(address: &str) -> Client {
    Client::new(config(&[address])).unwrap()
}

pub(crate) fn client_with(
    address: &str,
    timers: impl FnOnce(&mut ClientTimers),
    limits: impl FnOnce(&mut ClientLimits),
) -> Client {
    let mut config = config(&[address]);
    timers(&mut config.timers);
    limits(&mut config.limits);
    Client::new(config).unwrap()
}

/// One read that does not wait.
pub(crate) async fn read(client: &Client, path: &str) -> Result<Bytes, Error> {
    let answer = client.ask(&get(path), &Ask::Now, Duration::ZERO).await?;
    Ok(answer.body.unwrap_or_default())
}

/// One read that the agent holds until it is released.
pub(crate) fn hold(client: &Client, path: &str) -> tokio::task::JoinHandle<Result<Bytes, Error>> {
    let (client, query) = (client.clone(), get(path));
    tokio::spawn(async move {
        let answer = client.ask(&query, &Ask::Above(1), Duration::from_secs(60)).await?;
        Ok(answer.body.unwrap_or_default())
    })
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}
