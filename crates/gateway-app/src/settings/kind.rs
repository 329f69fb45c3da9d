//! The types of settings: how a value is read, which values are allowed, how it is shown.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use catalog_client::config::{Secret, parse_go_bool};

use super::address::{self, OwnAddress};
use super::draft::Draft;
use super::format::{parse_bytes, parse_duration, show_bytes, show_duration};
use super::terminating;

/// What stands for a secret wherever settings are shown.
const SECRET: &str = "(set)";

/// A value as it was written, before its key says what it should be. It may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// Of a flag or a variable: text that may stand for anything.
    Loose(String),
    /// A string of the file.
    Text(String),
    /// An integer of the file.
    Integer(String),
    /// An array of strings of the file, or a repeated flag.
    List(Vec<String>),
    /// A boolean of the file.
    Bool(bool),
    /// Anything else of the file, by the name of its type.
    Other(&'static str),
}

/// Type of a key, and where its value goes.
pub(super) enum Kind {
    /// A name or other text that says of itself what is wrong with it.
    Text(fn(&mut Draft, &str) -> Result<(), String>),
    /// Any number of texts, at least one.
    Texts(fn(&mut Draft, &[String]) -> Result<(), String>),
    /// A text that is never shown.
    Secret(fn(&mut Draft, &Secret) -> Result<(), String>),
    /// Yes or no.
    Bool(fn(&mut Draft, bool)),
    /// A file or folder.
    Path(fn(&mut Draft, &Path)),
    /// One of a few words.
    Choice(&'static [&'static str], fn(&mut Draft, &str)),
    /// `IP:PORT`.
    Address(fn(&mut Draft, SocketAddr)),
    /// `IP`, an address of this host.
    Ip(fn(&mut Draft, IpAddr)),
    /// `IP`, `IP:PORT`, `:PORT` or `HOST:PORT`, with the port of a mesh gateway where none is written.
    OwnAddress(fn(&mut Draft, OwnAddress)),
    /// `NAME=IP:PORT`, any number of them.
    Listeners(fn(&mut Draft, Vec<(String, SocketAddr)>)),
    /// A length of time.
    Duration(Span<Duration>, fn(&mut Draft, Duration)),
    /// A number of bytes.
    Bytes(Span<u64>, fn(&mut Draft, u64)),
    /// A number of bytes that is a power of two.
    PowerOfTwo(Span<u64>, fn(&mut Draft, u64)),
    /// A number of things.
    Count(Span<u64>, fn(&mut Draft, u64)),
}

/// Which values are allowed.
pub(super) struct Span<T> {
    /// What zero means; `None` = zero is like any other value.
    pub(super) zero: Option<&'static str>,
    pub(super) least: T,
    pub(super) most: T,
    /// Why values outside are refused.
    pub(super) why: &'static str,
}

impl Kind {
    /// Reads, checks and stores a value; returns it as a person writes it.
    pub(super) fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<String, String> {
        match self {
            Self::Listeners(set) => {
                let listeners = address::listeners(&self.list(raw)?)?;
                let shown: Vec<_> =
                    listeners.iter().map(|(name, address)| format!("{name}={address}")).collect();
                set(draft, listeners);
                return Ok(shown.join(","));
            }
            Self::Texts(set) => {
                let texts = self.list(raw)?;
                set(draft, &texts)?;
                return Ok(texts.join(","));
            }
            Self::Bool(set) => {
                let yes = match raw {
                    Raw::Bool(yes) => *yes,
                    Raw::Loose(text) => boolean(text)?,
                    _ => return Err(self.mismatch(raw)),
                };
                set(draft, yes);
                return Ok(yes.to_string());
            }
            Self::Count(span, set) => {
                let text = match raw {
                    Raw::Integer(text) | Raw::Loose(text) => text,
                    _ => return Err(self.mismatch(raw)),
                };
                let count = span.check(number(text)?, |value| value.to_string())?;
                set(draft, count);
                return Ok(count.to_string());
            }
            Self::Bytes(span, set) | Self::PowerOfTwo(span, set) => {
                let text = match raw {
                    Raw::Integer(text) | Raw::Loose(text) | Raw::Text(text) => text,
                    _ => return Err(self.mismatch(raw)),
                };
                let bytes = span.check(parse_bytes(text)?, show_bytes)?;
                if matches!(self, Self::PowerOfTwo(..)) && !bytes.is_power_of_two() {
                    return Err(format!(
                        "{} is not a power of two, and the kernel takes no other",
                        show_bytes(bytes)
                    ));
                }
                set(draft, bytes);
                return Ok(show_bytes(bytes));
            }
            _ => {}
        }
        let text = match raw {
            Raw::Loose(text) | Raw::Text(text) => text.as_str(),
            Raw::Integer(text) if matches!(self, Self::Duration(..)) => text,
            _ => return Err(self.mismatch(raw)),
        };
        match self {
            Self::Text(set) => set(draft, text).map(|()| text.to_owned()),
            Self::Secret(set) => set(draft, &Secret::new(text)).map(|()| SECRET.to_owned()),
            Self::Path(set) => {
                set(draft, Path::new(text));
                Ok(text.to_owned())
            }
            Self::Choice(words, set) => {
                let Some(word) = words.iter().find(|word| **word == text) else {
                    return Err(format!("\"{text}\" is not one of {}", words.join(", ")));
                };
                set(draft, word);
                Ok(text.to_owned())
            }
            Self::Address(set) => {
                let address = address::address(text, None)?;
                set(draft, address);
                Ok(address.to_string())
            }
            Self::Ip(set) => {
                let address = terminating::source_address(text)?;
                set(draft, address);
                Ok(address.to_string())
            }
            Self::OwnAddress(set) => {
                let address = OwnAddress::parse(text)?;
                let shown = address.to_string();
                set(draft, address);
                Ok(shown)
            }
            Self::Duration(span, set) => {
                let duration = span.check(parse_duration(text)?, show_duration)?;
                set(draft, duration);
                Ok(show_duration(duration))
            }
            _ => Err(self.mismatch(raw)),
        }
    }

    /// The word of the reference for this type.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Texts(_) => "list",
            Self::Secret(_) => "secret",
            Self::Bool(_) => "boolean",
            Self::Path(_) => "path",
            Self::Choice(..) => "word",
            Self::Address(_) => "IP:PORT",
            Self::Ip(_) => "IP",
            Self::OwnAddress(_) => "[IP][:PORT]",
            Self::Listeners(_) => "list of NAME=IP:PORT",
            Self::Duration(..) => "duration",
            Self::Bytes(..) => "bytes",
            Self::PowerOfTwo(..) => "bytes, a power of two",
            Self::Count(..) => "number",
        }
    }

    /// What values are allowed, for the reference; empty where the type says it all.
    pub(super) fn range(&self) -> String {
        match self {
            Self::Choice(words, _) => words.join(", "),
            Self::Bool(_) => "true, false".to_owned(),
            Self::Duration(span, _) => span.describe(show_duration),
            Self::Bytes(span, _) | Self::PowerOfTwo(span, _) => span.describe(show_bytes),
            Self::Count(span, _) => span.describe(|value| value.to_string()),
            _ => String::new(),
        }
    }

    fn list(&self, raw: &Raw) -> Result<Vec<String>, String> {
        match raw {
            Raw::List(items) => Ok(items.clone()),
            Raw::Loose(text) | Raw::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            _ => Err(self.mismatch(raw)),
        }
    }

    fn mismatch(&self, raw: &Raw) -> String {
        let found = match raw {
            Raw::Loose(_) | Raw::Text(_) => "a string",
            Raw::Integer(_) => "an integer",
            Raw::List(_) => "an array",
            Raw::Bool(_) => "a boolean",
            Raw::Other(name) => name,
        };
        let wanted = match self {
            Self::Listeners(_) => "an array of strings like [\"default=0.0.0.0:8443\"]",
            Self::Texts(_) => "a string, or an array of strings",
            Self::Bool(_) => "true or false",
            Self::Duration(..) => "a string like \"10s\"",
            Self::Bytes(..) | Self::PowerOfTwo(..) => "an integer, or a string like \"64KiB\"",
            Self::Count(..) => "an integer",
            _ => "a string",
        };
        format!("this is {found}, it must be {wanted}")
    }
}

impl<T: Copy + PartialOrd + Default> Span<T> {
    fn check(&self, value: T, show: impl Fn(T) -> String) -> Result<T, String> {
        let zero = value == T::default();
        if zero && self.zero.is_some() || value >= self.least && value <= self.most {
            return Ok(value);
        }
        let or_zero = self.zero.map(|means| format!(", or 0 for {means}")).unwrap_or_default();
        Err(format!(
            "{} is out of range, allowed is {} to {}{or_zero}: {}",
            show(value),
            show(self.least),
            show(self.most),
            self.why
        ))
    }

    fn describe(&self, show: impl Fn(T) -> String) -> String {
        let range = format!("{} to {}", show(self.least), show(self.most));
        match self.zero {
            Some(means) => format!("{range}; 0 = {means}"),
            None => range,
        }
    }
}

/// As Go reads booleans, which is how Consul's variables are read.
fn boolean(text: &str) -> Result<bool, String> {
    parse_go_bool(text).ok_or_else(|| format!("\"{text}\" is not a boolean; write true or false"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a whole number of 0 or more"))
}
