//! The types of settings: how a value is read, which values are allowed, how it is shown.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::format::{parse_bytes, parse_duration, show_bytes, show_duration};
use super::{DEFAULT_PORT, Settings};

/// A value as it was written, before its key says what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Of a flag or a variable: text that may stand for anything.
    Loose(String),
    /// A string of the file.
    Text(String),
    /// An integer of the file.
    Integer(String),
    /// An array of strings of the file, or a repeated flag.
    List(Vec<String>),
    /// Anything else of the file, by the name of its type.
    Other(&'static str),
}

/// Type of a key, and where its value goes.
pub(super) enum Kind {
    /// A name or other text that says of itself what is wrong with it.
    Text(fn(&mut Settings, &str) -> Result<(), String>),
    /// A file or folder.
    Path(fn(&mut Settings, &Path)),
    /// One of a few words.
    Choice(&'static [&'static str], fn(&mut Settings, &str)),
    /// `IP:PORT`.
    Address(fn(&mut Settings, SocketAddr)),
    /// `IP` or `IP:PORT`, with the port of a mesh gateway where none is written.
    OwnAddress(fn(&mut Settings, SocketAddr)),
    /// `NAME=IP:PORT`, any number of them.
    Listeners(fn(&mut Settings, Vec<(String, SocketAddr)>)),
    /// A length of time.
    Duration(Span<Duration>, fn(&mut Settings, Duration)),
    /// A number of bytes.
    Bytes(Span<u64>, fn(&mut Settings, u64)),
    /// A number of bytes that is a power of two.
    PowerOfTwo(Span<u64>, fn(&mut Settings, u64)),
    /// A number of things.
    Count(Span<u64>, fn(&mut Settings, u64)),
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
    pub(super) fn apply(&self, settings: &mut Settings, raw: &Raw) -> Result<String, String> {
        match self {
            Self::Listeners(set) => {
                let listeners = listeners(&self.list(raw)?)?;
                let shown: Vec<_> =
                    listeners.iter().map(|(name, address)| format!("{name}={address}")).collect();
                set(settings, listeners);
                return Ok(shown.join(","));
            }
            Self::Count(span, set) => {
                let text = match raw {
                    Raw::Integer(text) | Raw::Loose(text) => text,
                    _ => return Err(self.mismatch(raw)),
                };
                let count = span.check(number(text)?, |value| value.to_string())?;
                set(settings, count);
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
                set(settings, bytes);
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
            Self::Text(set) => set(settings, text).map(|()| text.to_owned()),
            Self::Path(set) => {
                set(settings, Path::new(text));
                Ok(text.to_owned())
            }
            Self::Choice(words, set) => {
                let Some(word) = words.iter().find(|word| **word == text) else {
                    return Err(format!("\"{text}\" is not one of {}", words.join(", ")));
                };
                set(settings, word);
                Ok(text.to_owned())
            }
            Self::Address(set) => {
                let address = address(text, None)?;
                set(settings, address);
                Ok(address.to_string())
            }
            Self::OwnAddress(set) => {
                let address = address(text, Some(DEFAULT_PORT))?;
                set(settings, address);
                Ok(address.to_string())
            }
            Self::Duration(span, set) => {
                let duration = span.check(parse_duration(text)?, show_duration)?;
                set(settings, duration);
                Ok(show_duration(duration))
            }
            _ => Err(self.mismatch(raw)),
        }
    }

    /// The word of the reference for this type.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Path(_) => "path",
            Self::Choice(..) => "word",
            Self::Address(_) => "IP:PORT",
            Self::OwnAddress(_) => "IP[:PORT]",
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
            Raw::Other(name) => name,
        };
        let wanted = match self {
            Self::Listeners(_) => "an array of strings like [\"default=0.0.0.0:8443\"]",
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

/// `IP:PORT`; where a port is given for it, also `IP` alone.
pub(super) fn address(text: &str, port: Option<u16>) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let ip = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    match (ip.parse::<IpAddr>(), port) {
        (Ok(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        (Ok(_), None) => Err(format!("\"{text}\" has no port; write it like \"127.0.0.1:8443\"")),
        (Err(_), _) => Err(format!(
            "\"{text}\" is not an IP address with a port; write it like \"0.0.0.0:8443\" or \"[::]:8443\" \
             (host names are not resolved here)"
        )),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a whole number of 0 or more"))
}

fn listeners(items: &[String]) -> Result<Vec<(String, SocketAddr)>, String> {
    items
        .iter()
        .map(|item| {
            let (name, text) = item
                .split_once('=')
                .ok_or_else(|| format!("\"{item}\" has no name; write it like \"wan=192.0.2.10:8443\""))?;
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || name.len() > 63 || !name.bytes().all(word) {
                return Err(format!(
                    "\"{name}\" is not a name of a listener: 1 to 63 letters, digits, '-' and '_' are"
                ));
            }
            Ok((name.to_owned(), address(text, Some(DEFAULT_PORT))?))
        })
        .collect()
}
