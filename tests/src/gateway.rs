//! A gateway as a real process, started as a user starts it, and everything that a test reads from it: log, access log,
//! admin pages, exit code, memory.

mod admin;
mod binary;
mod process;
mod samples;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Deadline, JsonLines, wait_for};

pub use admin::{Admin, Answer};
pub use binary::{Program, gateway_binary};
pub use process::Memory;
pub use rustix::process::Signal;
pub use samples::Samples;
pub use start::GatewayBuilder;

pub(crate) use process::Process;

/// A running (or ended) gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    name: String,
    dir: PathBuf,
    process: Process,
    place: crate::Place,
    log: JsonLines,
    records: JsonLines,
    admin: OnceLock<Admin>,
}

impl Gateway {
    /// A gateway to be started with `dir` for its logs.
    pub fn builder(name: &str, dir: impl Into<PathBuf>) -> GatewayBuilder {
        GatewayBuilder::new(name, dir.into())
    }

    /// Its name in the test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it logs.
    pub fn log(&self) -> &JsonLines {
        &self.log
    }

    /// Its access log: one record for each connection that has ended.
    pub fn records(&self) -> &JsonLines {
        &self.records
    }

    /// Where the default listener is.
    ///
    /// # Errors
    /// When it has not said so.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener("default")
    }

    /// Where a listener is.
    ///
    /// # Errors
    /// When it has not said so.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let line = self.log.find(0, |line| line["message"] == "listening" && line["listener"] == name);
        parse_address(&line.with_context(|| format!("{} has no listener {name}", self.name))?)
    }

    /// Its admin endpoint.
    ///
    /// # Errors
    /// When it has not said where that is.
    pub fn admin(&self) -> Result<&Admin> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin);
        }
        let line = self.log.find(0, |line| line["message"] == "admin endpoint");
        let address = parse_address(&line.with_context(|| format!("{} has no admin endpoint", self.name))?)?;
        Ok(self.admin.get_or_init(|| Admin::new(self.place.clone(), address)))
    }

    /// Waits for an access-log record.
    ///
    /// # Errors
    /// When none comes by the deadline.
    pub async fn wait_record(
        &self,
        deadline: Deadline,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.records.wait(0, deadline, &format!("{}: record {what}", self.name), wanted).await
    }

    /// Waits for a log line.
    ///
    /// # Errors
    /// When none comes by the deadline.
    pub async fn wait_log(
        &self,
        deadline: Deadline,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.log.wait(0, deadline, &format!("{}: log line {what}", self.name), wanted).await
    }

    /// Waits until the sum of a metric's series with these labels is as `wanted`; a metric without a series counts 0.
    ///
    /// # Errors
    /// When it is not by the deadline, with the last value seen.
    pub async fn wait_metric(
        &self,
        deadline: Deadline,
        metric: &str,
        labels: &[(&str, &str)],
        wanted: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let admin = self.admin()?;
        let mut last = None;
        let what = format!("{}: metric {metric} {labels:?}", self.name);
        let waited = wait_for(deadline, &what, async || {
            last = admin.metrics().await.ok().map(|samples| samples.sum(metric, labels));
            last.filter(|value| wanted(*value))
        });
        let waited = waited.await;
        waited.with_context(|| format!("the last value of {metric} was {last:?}"))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end and gives the exit code; a death by signal is 128 + its number, as a shell has it.
    ///
    /// # Errors
    /// When it has not ended by the deadline.
    pub async fn exit_code(&self, deadline: Deadline) -> Result<i32> {
        let what = format!("{}: end of the process", self.name);
        Ok(wait_for(deadline, &what, async || self.process.exit_code()).await?)
    }

    /// Whether it is still running.
    pub fn is_running(&self) -> bool {
        self.process.exit_code().is_none()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its memory now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        self.process.memory()
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it has ended.
    pub fn descriptors(&self) -> Result<usize> {
        self.process.descriptors()
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(self.log.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

fn parse_address(line: &Value) -> Result<SocketAddr> {
    let text = line["address"].as_str().with_context(|| format!("no address in {line}"))?;
    text.parse().with_context(|| format!("not an address: {text}"))
}
