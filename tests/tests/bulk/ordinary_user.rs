//! The kernel grants an ordinary user 64 MiB of pipes in all processes together (`pipe-user-pages-soft`). Another
//! process of the user may have taken them: the gateway then copies, and counts that.
//!
//! Root has no such bound. Run by root, the test makes the gateway an ordinary user.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gateway_testkit::{Gateway, GatewayBuilder, Lab, gateway_binary, in_ci};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use tempfile::TempDir;

use crate::{MIB, assert_whole, close, exchange, metric, open, prepare, turn};

/// `nobody` on every distribution; nothing of importance runs as this user.
const NOBODY: u32 = 65_534;
/// Below this the gateway takes no pipe: moving bytes through it would be no faster than copying.
const USEFUL: usize = 64 * 1024;

#[tokio::test]
async fn a_user_without_pipe_memory_left_gets_all_bytes_copied() {
    if !pipes_are_bounded() {
        return;
    }
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    let stage = geteuid().is_root().then(|| Stage::new(&lab));
    let builder = match &stage {
        Some(stage) => stage.ordinary_user(),
        None => builder,
    };
    // Without spare pipes each burst asks the kernel.
    let gateway = builder.setting("LIMITS_PIPE_SPARE", "0").start().await.unwrap();
    assert_eq!(bulk(&gateway).await["spliced"], true, "while there is pipe memory");
    metric(&gateway, "gateway_splice_fallback_total", &[], |count| count == 0.0).await;
    let taken = use_up(stage.is_some().then(|| Uid::from_raw(NOBODY)));
    let copied = bulk(&gateway).await;
    metric(&gateway, "gateway_splice_fallback_total", &[("cause", "kernel")], |count| count >= 1.0).await;
    metric(&gateway, "gateway_pipe_bytes", &[], |bytes| bytes == 0.0).await;
    assert_eq!(copied["spliced"], false, "all of it was copied: {copied}");
    drop(taken);
    assert_eq!(bulk(&gateway).await["spliced"], true, "when it is free again");
}

/// One whole connection with 16 MiB each way.
async fn bulk(gateway: &Gateway) -> serde_json::Value {
    let mut stream = open(gateway).await;
    exchange(&mut stream, 16 * MIB).await;
    let record = close(gateway, stream).await;
    assert_whole(&record, 16 * MIB);
    record
}

/// Whether this kernel bounds the pipes of a user, and so that a test can reach the bound.
fn pipes_are_bounded() -> bool {
    const REACHABLE: u64 = 65_536;
    let pages = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").unwrap();
    let pages: u64 = pages.trim().parse().unwrap();
    if (1..=REACHABLE).contains(&pages) {
        return true;
    }
    let why = format!("fs.pipe-user-pages-soft is {pages}, which is no bound or too high a one");
    assert!(!in_ci(), "{why}");
    // Not with `eprintln`: the test runner keeps back what a passing test prints that way.
    let _ = writeln!(std::io::stderr(), "\nNOT RUN: {}: {why}", gateway_testkit::test_name());
    false
}

/// Takes all pipe memory of a user; of this process's own if none is given. It is free again when the pipes are closed.
fn use_up(user: Option<Uid>) -> Vec<(OwnedFd, OwnedFd)> {
    let take = move || {
        // Of this thread alone. A pipe belongs to the user who makes it, whoever holds it later.
        if let Some(user) = user {
            set_thread_res_uid(user, user, user).unwrap();
        }
        let mut pipes = Vec::new();
        loop {
            let pipe = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let size = fcntl_setpipe_size(&pipe.1, MIB).or_else(|_| fcntl_getpipe_size(&pipe.1)).unwrap();
            pipes.push(pipe);
            if size < USEFUL {
                return pipes;
            }
        }
    };
    std::thread::spawn(take).join().unwrap()
}

/// A folder that an ordinary user can read and write, with the gateway in it: those of the test may be root's alone.
struct Stage<'a> {
    folder: TempDir,
    lab: &'a Lab,
}

impl<'a> Stage<'a> {
    fn new(lab: &'a Lab) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage { folder, lab };
        std::fs::create_dir(stage.logs()).unwrap();
        for open in [stage.folder.path(), &stage.logs()] {
            std::fs::set_permissions(open, PermissionsExt::from_mode(0o777)).unwrap();
        }
        for (from, to) in
            [(gateway_binary().unwrap(), "mesh-gw"), (lab.dir().join("catalog/mesh.toml"), "mesh.toml")]
        {
            std::fs::copy(from, stage.path(to)).unwrap();
        }
        std::fs::set_permissions(stage.path("mesh-gw"), PermissionsExt::from_mode(0o755)).unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    fn ordinary_user(&self) -> GatewayBuilder {
        let wrapper: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "bulk", "as-another-user"].iter().collect();
        Gateway::builder("dc1", self.logs())
            .binary(wrapper)
            .variable("TEST_PROGRAM", self.path("mesh-gw").to_str().unwrap())
            .variable("TEST_UID", &NOBODY.to_string())
            .catalog(self.path("mesh.toml"))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // The logs of a failed test stay with the test's others.
        if std::thread::panicking() {
            let kept = self.lab.dir().join("dc1");
            let _ = std::fs::create_dir_all(&kept);
            for log in ["gateway.log", "access.log", "stdout.log"] {
                let _ = std::fs::copy(self.logs().join(log), kept.join(log));
            }
        }
    }
}
