//! The process itself: its end, its signals, and what /proc says of it.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// What a process holds in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All that is resident, its program text included.
    pub resident: u64,
    /// What it allocated itself: the part that grows with connections.
    pub anonymous: u64,
}

#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    child: Mutex<Child>,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Process { pid: Pid::from_child(&child), child: Mutex::new(child) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().ok().flatten()?;
        status.code().or_else(|| status.signal().map(|signal| 128 + signal))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // Not after its end was collected: the id may be somebody else's by then.
        anyhow::ensure!(self.exit_code().is_none(), "the process has ended");
        Ok(kill_process(self.pid, signal)?)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            Ok(kib.with_context(|| format!("no {name} in /proc"))?.parse::<u64>()? * 1024)
        };
        Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
    }

    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Both fail only for a process that has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
