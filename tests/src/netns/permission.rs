//! Whether this process may make network namespaces, and the second run of a test that makes it so.

use std::process::{Command, Stdio};

use crate::lab::NAME_VARIABLE;
use crate::requires::{have, not_run};
use crate::{Tool, test_name};

/// Set in the second run: what is not allowed now will not be allowed in a third.
const INSIDE_VARIABLE: &str = "TESTKIT_IN_USER_NAMESPACE";

/// First line of a test that uses [`Netns`](crate::Netns): `if !may_use_namespaces() { return; }`.
///
/// As root it says yes. As an ordinary user it runs the same test again inside a user namespace, waits for it, and says
/// no: there is nothing left to do. Where neither is possible it says so, and no.
///
/// # Panics
/// When that second run failed; in CI also when the machine allows neither way.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn may_use_namespaces() -> bool {
    if !have(&[Tool::Ip, Tool::Unshare]) {
        return false;
    }
    if unshare(&["--net"]) {
        return true;
    }
    let as_user = ["--user", "--map-root-user", "--net"];
    if std::env::var_os(INSIDE_VARIABLE).is_some() || !unshare(&as_user) {
        return not_run(
            "this user may not make network namespaces (kernel.unprivileged_userns_clone, AppArmor)",
        );
    }
    let test = test_name();
    let status = std::env::current_exe().and_then(|exe| {
        Command::new("unshare")
            .args(as_user)
            .arg(exe)
            .args(["--exact", &test, "--nocapture"])
            .env(INSIDE_VARIABLE, "1")
            .env(NAME_VARIABLE, &test)
            .status()
    });
    match status {
        Ok(status) if status.success() => false,
        Ok(status) => panic!("{test} failed inside a user namespace ({status}); its output is above"),
        Err(error) => panic!("cannot run {test} inside a user namespace: {error}"),
    }
}

fn unshare(kinds: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    command.args(kinds).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
