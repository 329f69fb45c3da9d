//! The table of all settings, in groups by subject.
//!
//! Flags, variables, keys of the file and the reference are made from these rows.

use std::time::Duration;

use super::Role;
use super::keys::{Group, Key};
use super::kind::{Kind, Span};
use Kind::{
    Address, Bool, Bytes, Choice, Count, Duration as Time, Ip, Listeners, OwnAddress, Path, PowerOfTwo,
    Secret, Text, Texts,
};

macro_rules! key {
    ($name:literal, $kind:expr, $default:expr, $meaning:literal $(, $consul:literal)*) => {
        Key { name: $name, kind: $kind, default: $default, meaning: $meaning, consul: &[$($consul),*] }
    };
}

mod addresses;
mod consul;
mod consul_limits;
mod consul_timers;
mod ejection;
mod limits;
mod output;
mod registration;
mod source;
mod terminating;
mod timers;

/// All groups, in the order of the reference and of the help text.
pub(super) static GROUPS: &[Group] = &[
    Group { heading: "What it serves", keys: source::SOURCE, flags: true, consul: false, only: None },
    Group {
        heading: "Its services",
        keys: terminating::SERVICES,
        flags: true,
        consul: false,
        only: Some(Role::Terminating),
    },
    Group { heading: "Consul", keys: consul::CONNECTION, flags: true, consul: true, only: None },
    Group {
        heading: "Consul, by variable or file",
        keys: consul::UNFLAGGED,
        flags: false,
        consul: true,
        only: None,
    },
    Group {
        heading: "Its service in Consul",
        keys: registration::REGISTRATION,
        flags: true,
        consul: true,
        only: None,
    },
    Group { heading: "Addresses", keys: addresses::ADDRESSES, flags: true, consul: false, only: None },
    Group { heading: "Log", keys: output::OUTPUT, flags: true, consul: false, only: None },
    Group { heading: "Process", keys: output::PROCESS, flags: true, consul: false, only: None },
    Group { heading: "Timers", keys: timers::TIMERS, flags: false, consul: false, only: None },
    Group {
        heading: "Timers",
        keys: terminating::TIMERS,
        flags: false,
        consul: false,
        only: Some(Role::Terminating),
    },
    Group { heading: "Timers", keys: consul_timers::TIMERS, flags: false, consul: false, only: None },
    Group { heading: "Timers", keys: consul_timers::REGISTRATION, flags: false, consul: false, only: None },
    Group { heading: "Limits", keys: limits::LIMITS, flags: false, consul: false, only: None },
    Group {
        heading: "Limits",
        keys: terminating::LIMITS,
        flags: false,
        consul: false,
        only: Some(Role::Terminating),
    },
    Group { heading: "Limits", keys: consul_limits::LIMITS, flags: false, consul: false, only: None },
    Group { heading: "Ejection", keys: ejection::EJECTION, flags: false, consul: false, only: None },
];

const MS: Duration = Duration::from_millis(1);
const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const U32: u64 = u32::MAX as u64;

/// `least` to `most`, where zero is like any other value.
const fn span<T: Copy>(least: T, most: T, why: &'static str) -> Span<T> {
    Span { zero: None, least, most, why }
}

// The spans of the table keep values within these types; the fall-backs are never used.
fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn word(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn percent(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(100)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 255 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{text:?} is not a name: 1 to 255 bytes without spaces are"));
    }
    Ok(text.to_owned())
}
