//! Networks of their own, for tests in which addresses matter: a namespace, and two datacenters made of four.
//!
//! A namespace lives as long as a descriptor to it is open, so nothing is left behind, however a test ends. Root makes
//! namespaces at once; an ordinary user runs the same test a second time inside a user namespace
//! ([`may_use_namespaces`]), where it is root as far as networks go.

mod datacenters;
mod permission;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Tool;

pub use datacenters::{Site, TwoDatacenters};
pub use permission::may_use_namespaces;

/// A network namespace; gone with the last clone and the last process and socket in it.
#[derive(Debug, Clone)]
pub struct Netns {
    name: Arc<str>,
    link: Arc<File>,
}

impl Netns {
    /// A new one, with its loopback up. `name` is for messages only.
    ///
    /// # Errors
    /// When the kernel does not let us, or `unshare` or `ip` is missing.
    pub fn new(name: &str) -> Result<Self> {
        let link = fresh_link().with_context(|| format!("cannot make the network namespace {name}"))?;
        let netns = Netns { name: name.into(), link: Arc::new(link) };
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread of its own inside. Sockets made there stay there, and so do processes.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` panicked.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let link = self.link.clone();
        // tokio sockets register with the runtime of the thread that makes them.
        let runtime = tokio::runtime::Handle::try_current();
        let inside = std::thread::spawn(move || {
            let _guard = runtime.as_ref().map(tokio::runtime::Handle::enter);
            move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        inside.join().unwrap_or_else(|_| Err(io::Error::other("what ran in the namespace panicked")))
    }

    /// Runs `ip` inside.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        let ip = Tool::Ip.path().context("`ip` is missing (apt install iproute2)")?;
        let mut command = Command::new(ip);
        command.args(arguments);
        let output = self.run(move || command.output())??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip {} in {}: {}", arguments.join(" "), self.name, said.trim());
        Ok(())
    }

    /// Joins it with `other` by a cable that is called `device` at both ends.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn cable(&self, other: &Netns, device: &str) -> Result<()> {
        let far = format!("/proc/{}/fd/{}", std::process::id(), other.link.as_raw_fd());
        self.ip(&["link", "add", "name", device, "type", "veth", "peer", "name", device, "netns", &far])?;
        self.ip(&["link", "set", device, "up"])?;
        other.ip(&["link", "set", device, "up"])
    }

    /// Gives `device` an address such as `10.1.0.2/24`.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn address(&self, device: &str, address: &str) -> Result<()> {
        self.ip(&["address", "add", address, "dev", device])
    }
}

/// Opens the namespace of a process that was started in a new one. `cat` is that process: it answers once it is inside,
/// and ends with its input, even if this process is killed.
fn fresh_link() -> Result<File> {
    let unshare = Tool::Unshare.path().context("`unshare` is missing (apt install util-linux)")?;
    let mut command = Command::new(unshare);
    command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let link = || -> Result<File> {
        let (input, output) =
            (child.stdin.as_mut().context("no input")?, child.stdout.as_mut().context("no output")?);
        let mut answer = [0];
        if input.write_all(b".").is_err() || output.read_exact(&mut answer).is_err() {
            let mut said = String::new();
            child.stderr.as_mut().context("no errors")?.read_to_string(&mut said)?;
            anyhow::bail!("{}", said.trim());
        }
        Ok(File::open(format!("/proc/{}/ns/net", child.id()))?)
    }();
    drop(child.stdin.take());
    child.wait()?;
    link
}
