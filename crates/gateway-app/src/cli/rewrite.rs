//! Arguments as Consul's own commands take them: long flags with one dash.
//!
//! Flags that need a Consul are known by name, so that somebody who swaps commands is told what to
//! do instead of "unexpected argument".

use std::ffi::OsString;

/// Flags of `consul connect envoy` that ask something of a Consul.
const NEEDS_CONSUL: [&str; 22] = [
    "ca-file",
    "ca-path",
    "client-cert",
    "client-key",
    "datacenter",
    "deregister-after-critical",
    "deregister-on-exit",
    "expose-servers",
    "grpc-addr",
    "grpc-ca-file",
    "grpc-ca-path",
    "http-addr",
    "login-bearer-token-file",
    "login-meta",
    "login-method",
    "namespace",
    "partition",
    "register",
    "state-dir",
    "tls-server-name",
    "token",
    "token-file",
];

/// The arguments with two dashes in front of every long flag.
///
/// `-h`, `-V`, a lone `-`, numbers and everything after `--` stay as they are.
pub(super) fn rewrite(arguments: &[OsString]) -> Result<Vec<OsString>, String> {
    let mut rewritten = Vec::with_capacity(arguments.len());
    let mut flags_may_follow = true;
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        flags_may_follow &= text != "--";
        let long = flags_may_follow.then(|| long_flag(text)).flatten();
        let name = long.map(|flag| flag.split_once('=').map_or(flag, |(name, _)| name));
        if let Some(name) = name.filter(|name| NEEDS_CONSUL.contains(name)) {
            return Err(format!(
                "--{name} needs a Consul; this program reads static files only in this version; use --catalog"
            ));
        }
        rewritten.push(match long {
            Some(flag) => format!("--{flag}").into(),
            None => argument.clone(),
        });
    }
    Ok(rewritten)
}

/// The flag without its dashes, if it is a long one.
fn long_flag(text: &str) -> Option<&str> {
    let name = match text.strip_prefix("--") {
        Some(name) => name,
        None => text.strip_prefix('-').filter(|name| name.len() > 1)?,
    };
    name.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(name)
}
