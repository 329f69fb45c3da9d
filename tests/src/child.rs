//! A process that does not outlive its test: dropped with its owner, and killed by the kernel should the test program
//! itself be killed. Its output goes to a file of the test's folder.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::gateway::Process;
use crate::{Deadline, Place, Tool, wait_for};

/// A running or ended process.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    log: PathBuf,
    process: Process,
    // Dropped after the process: its parent thread ends with it.
    _parent: mpsc::Sender<()>,
}

impl Child {
    /// Starts `program` in `place`. What it prints is added to `log`. The tester's own settings for Consul stay out.
    ///
    /// # Errors
    /// When it cannot be started, or `log` cannot be written.
    pub(crate) fn spawn<S: AsRef<OsStr>>(
        name: &str,
        place: &Place,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        log: &Path,
    ) -> Result<Self> {
        let setpriv = Tool::Setpriv.path().context("`setpriv` is missing (apt install util-linux)")?;
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let file = || {
            let file = std::fs::File::options().create(true).append(true).open(log);
            file.with_context(|| format!("cannot write {}", log.display()))
        };
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONSUL_"))
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(file()?).stderr(file()?).process_group(0);
        let (child, parent) = born_of_a_lasting_thread(place.clone(), command)
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Child {
            name: name.to_owned(),
            log: log.to_owned(),
            process: Process::new(child),
            _parent: parent,
        })
    }

    /// `None` while it runs.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.process.exit_code()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal).with_context(|| format!("signal to {}", self.name))
    }

    /// Whether a stop signal has reached all of its threads; each goes on until it looks.
    pub(crate) fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        threads.into_iter().flatten().flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // After the name, which is in brackets and may have any character.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    }

    /// Waits until `up` gives something, as long as the process runs.
    ///
    /// # Errors
    /// When it ends first, or the deadline passes; with the end of its log.
    pub(crate) async fn up<T>(
        &self,
        deadline: Deadline,
        what: &str,
        mut up: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T> {
        let what = format!("{}: {what}", self.name);
        let look = async || {
            if let Some(found) = up().await {
                return Some(Ok(found));
            }
            self.exit_code().map(Err)
        };
        match wait_for(deadline, &what, look).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(code)) => anyhow::bail!("{what}: it ended with {code}:\n{}", self.log_tail(20)),
            Err(timeout) => anyhow::bail!("{timeout}\n{}", self.log_tail(20)),
        }
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// The kernel ends a child when the *thread* ends that made it (prctl(2), PR_SET_PDEATHSIG), and a test's threads come
/// and go. So the child has a thread to itself, which waits until the sender is dropped. setpriv sets the signal,
/// because doing so between fork and exec would need unsafe code.
fn born_of_a_lasting_thread(
    place: Place,
    mut command: Command,
) -> io::Result<(std::process::Child, mpsc::Sender<()>)> {
    let (born, birth) = mpsc::channel();
    let (parent, end) = mpsc::channel::<()>();
    let failed = born.clone();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let work = move || {
            // Whoever asked is gone when this fails, and takes the child along.
            let _ = born.send(command.spawn());
            let _ = end.recv();
        };
        if let Err(error) = place.run(work) {
            let _ = failed.send(Err(error));
        }
    })?;
    let child = birth.recv().map_err(|_| io::Error::other("the thread that starts it ended"))??;
    Ok((child, parent))
}
