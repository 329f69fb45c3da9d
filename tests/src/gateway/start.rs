//! Starting a gateway: its command line, its environment, its log files.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::Process;
use super::{Gateway, Program};
use crate::{Consul, Deadline, JsonLines, Place, Tool, wait_for};

const START_WITHIN: Duration = Duration::from_secs(20);

/// How to start a gateway. Ports are the kernel's choice, logs are JSON, every connection has a record.
#[derive(Debug, Clone)]
pub struct GatewayBuilder {
    name: String,
    dir: PathBuf,
    program: Program,
    binary: Option<PathBuf>,
    resolv_conf: Option<PathBuf>,
    place: Place,
    address: Option<SocketAddr>,
    admin: SocketAddr,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl GatewayBuilder {
    pub(super) fn new(name: &str, dir: PathBuf) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        GatewayBuilder {
            name: name.to_owned(),
            dir,
            program: Program::MeshGw,
            binary: None,
            resolv_conf: None,
            place: Place::Here,
            address: Some(loopback),
            admin: loopback,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Another gateway than mesh-gw.
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// Sees `file` in place of `/etc/resolv.conf`, in a mount namespace of its own:
    /// `if !may_use_namespaces() { return; }` goes before.
    #[must_use]
    pub fn resolv_conf(mut self, file: impl Into<PathBuf>) -> Self {
        self.resolv_conf = Some(file.into());
        self
    }

    /// Another file than cargo builds.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Where it lives.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>) -> Self {
        self.place = place.into();
        self
    }

    /// `--address`.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// No `--address`: it listens where its registration, made elsewhere, says.
    #[must_use]
    pub fn address_as_registered(mut self) -> Self {
        self.address = None;
        self
    }

    /// `--admin-bind`.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = address;
        self
    }

    /// `--catalog`.
    #[must_use]
    pub fn catalog(self, path: impl AsRef<Path>) -> Self {
        self.argument("--catalog").argument(path.as_ref())
    }

    /// `--http-addr`: the plain HTTP API of `consul`. No token: [`flag`](Self::flag) or
    /// [`variable`](Self::variable) give one.
    #[must_use]
    pub fn consul(self, consul: &Consul) -> Self {
        self.flag("http-addr", &consul.http().to_string())
    }

    /// `--register`.
    #[must_use]
    pub fn register(self) -> Self {
        self.argument("--register")
    }

    /// `--<name> <value>`.
    #[must_use]
    pub fn flag(self, name: &str, value: &str) -> Self {
        self.argument(format!("--{name}")).argument(value)
    }

    /// `--config`.
    #[must_use]
    pub fn config(self, path: impl AsRef<Path>) -> Self {
        self.argument("--config").argument(path.as_ref())
    }

    /// Any further argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// A setting by its variable: `setting("TIMERS_HELLO", "300ms")` sets `GATEWAY_TIMERS_HELLO`.
    #[must_use]
    pub fn setting(self, key: &str, value: &str) -> Self {
        self.variable(&format!("GATEWAY_{key}"), value)
    }

    /// Any environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the process and does not wait: for tests of how it fails.
    ///
    /// # Errors
    /// When the program cannot be built or started.
    pub fn spawn(self) -> Result<Gateway> {
        let binary = self.binary.clone().map_or_else(|| self.program.binary(), Ok)?;
        std::fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let (log, records) = (self.dir.join("gateway.log"), self.dir.join("access.log"));
        let mut command = match &self.resolv_conf {
            None => Command::new(&binary),
            Some(file) => with_resolv_conf(file, &binary)?,
        };
        command.arg("run");
        if let Some(address) = self.address {
            command.arg("--address").arg(address.to_string());
        }
        command.arg("--admin-bind").arg(self.admin.to_string());
        command.args(["--log-format", "json", "--access-log", "all", "--access-log-file"]).arg(&records);
        command.args(&self.arguments);
        // The tester's own settings stay out.
        for (name, _) in std::env::vars_os() {
            if ["GATEWAY_", "CONSUL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C in the terminal is the test's (or the quickstart's) to pass on.
        command.stdin(Stdio::null()).stdout(log_file(&self.dir, "stdout.log")?);
        command.stderr(log_file(&self.dir, "gateway.log")?).process_group(0);
        let child =
            self.place.spawn(command).with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Gateway {
            name: self.name,
            dir: self.dir,
            process: Process::new(child),
            place: self.place,
            log: JsonLines::new(log),
            records: JsonLines::new(records),
            admin: OnceLock::new(),
        })
    }

    /// Starts it and waits until its default listener and its admin endpoint are there.
    ///
    /// # Errors
    /// When it ends or takes longer than 20 s, with the end of its log.
    pub async fn start(self) -> Result<Gateway> {
        let gateway = self.spawn()?;
        let up = async || {
            // Looked at in this order: what it logged before it ended is in the file.
            let ended = gateway.process.exit_code();
            match (gateway.address().is_ok() && gateway.admin().is_ok(), ended) {
                (true, None) => Some(Ok(())),
                (_, Some(code)) => Some(Err(code)),
                (false, None) => None,
            }
        };
        let name = &gateway.name;
        match wait_for(Deadline::after(START_WITHIN), &format!("{name}: listening"), up).await {
            Ok(Ok(())) => Ok(gateway),
            Ok(Err(code)) => bail!("{name} ended with {code} at its start:\n{}", gateway.log_tail(20)),
            Err(timeout) => bail!("{timeout}\n{}", gateway.log_tail(20)),
        }
    }
}

/// The process that is started becomes the gateway, so that its id is the gateway's.
fn with_resolv_conf(file: &Path, binary: &Path) -> Result<Command> {
    let unshare = Tool::Unshare.path().context("`unshare` is missing (apt install util-linux)")?;
    let mut command = Command::new(unshare);
    command.args(["--mount", "sh", "-c", r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#]);
    command.arg(file).arg(binary);
    Ok(command)
}

fn log_file(dir: &Path, name: &str) -> Result<std::fs::File> {
    let path = dir.join(name);
    // Appended to: a gateway that is started again in the same folder adds to the story.
    let file = std::fs::File::options().create(true).append(true).open(&path);
    file.with_context(|| format!("cannot write {}", path.display()))
}
