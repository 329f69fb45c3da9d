//! Settings from a TOML file, each value with its line.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, near};
use super::kind::Raw;
use super::origin::Origin;
use super::problem::SettingProblem;
use super::sources::Given;
use super::{Role, ServiceSettings, terminating};

/// The table of what single services have of their own.
const SERVICES: &str = "services";
pub(super) const TABLES: [&str; 3] = ["timers", "limits", "ejection"];
/// A settings file is written by hand; one this large is something else.
const MOST_BYTES: u64 = 1 << 20;

/// Adds what the file sets to `given`, and what is wrong with it to `problems`.
/// Settings of single services go to `services`.
pub(super) fn read(
    path: &Path,
    role: Role,
    given: &mut Vec<Given>,
    services: &mut BTreeMap<String, ServiceSettings>,
    problems: &mut Vec<SettingProblem>,
) {
    let whole = Origin::File { path: path.to_owned(), line: None };
    let text = match text(path) {
        Ok(text) => text,
        Err(message) => return problems.push(SettingProblem::new(whole, "", message)),
    };
    let mut file = File { path, role, text: &text, given, services, problems };
    // What the parser guessed behind a mistake would be reported as a second one.
    let (table, errors) = DeTable::parse_recoverable(&text);
    let broken = !errors.is_empty();
    for error in &errors {
        let origin = file.origin(error.span());
        file.problems.push(SettingProblem::new(origin, "", error.message()));
    }
    if !broken {
        file.table("", table.get_ref());
    }
}

fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "no such file; --config or GATEWAY_CONFIG names it".to_owned(),
        ErrorKind::PermissionDenied => "this user may not read it; change its owner or mode".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let status = fs::metadata(path).map_err(cannot)?;
    if status.is_dir() {
        return Err("this is a folder; --config takes a file, --catalog takes folders".to_owned());
    }
    let mut bytes = Vec::new();
    // Bounded while reading: a device or a growing file does not tell its length.
    let file = fs::File::open(path).map_err(cannot)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("more than {MOST_BYTES} bytes are too many for a settings file"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

struct File<'a> {
    path: &'a Path,
    role: Role,
    text: &'a str,
    given: &'a mut Vec<Given>,
    services: &'a mut BTreeMap<String, ServiceSettings>,
    problems: &'a mut Vec<SettingProblem>,
}

impl File<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let origin = self.origin(Some(name.span()));
            match (value.get_ref(), Key::named(self.role, &full)) {
                (DeValue::Table(inner), None) if self.role == Role::Terminating && full == SERVICES => {
                    self.services(inner);
                }
                // The contents of `[service."NAME"]` beside the name of the gateway itself.
                (DeValue::Table(_), Some(key)) if self.role == Role::Terminating && key.name == "service" => {
                    let message = "this is the name of the gateway, a string; what a linked service has of its own \
                                   stands below [services.\"NAME\"]";
                    self.problems.push(SettingProblem::new(origin, &full, message));
                }
                (DeValue::Table(inner), None) if TABLES.contains(&full.as_str()) => self.table(&full, inner),
                (value, Some(key)) => self.value(key, origin, value),
                (_, None) if TABLES.contains(&full.as_str()) => {
                    self.problems.push(SettingProblem::new(
                        origin,
                        &full,
                        format!("this must be a table: [{full}]"),
                    ));
                }
                (_, None) => {
                    self.problems
                        .push(SettingProblem::new(origin, &full, "unknown key").hint(near(self.role, &full)));
                }
            }
        }
    }

    /// `[services."NAME"]`, each.
    fn services(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let full = format!("{SERVICES}.{:?}", name.get_ref());
            let DeValue::Table(fields) = value.get_ref() else {
                let origin = self.origin(Some(name.span()));
                let message = format!("this must be a table: [{full}]");
                self.problems.push(SettingProblem::new(origin, &full, message));
                continue;
            };
            let mut settings = ServiceSettings::default();
            for (field, value) in fields {
                let read = match &**field.get_ref() {
                    "dry_run" | "dry-run" => match value.get_ref() {
                        DeValue::Boolean(yes) => {
                            settings.dry_run = Some(*yes);
                            Ok(())
                        }
                        _ => Err("this must be true or false".to_owned()),
                    },
                    "source_address" | "source-address" => match value.get_ref() {
                        DeValue::String(text) => terminating::source_address(text)
                            .map(|address| settings.source_address = Some(address)),
                        _ => Err("this must be a string like \"10.0.0.5\"".to_owned()),
                    },
                    _ => Err("unknown key; a service has dry_run and source_address".to_owned()),
                };
                if let Err(message) = read {
                    let origin = self.origin(Some(field.span()));
                    let full = format!("{full}.{}", field.get_ref());
                    self.problems.push(SettingProblem::new(origin, &full, message));
                }
            }
            self.services.insert(name.get_ref().to_string(), settings);
        }
    }

    fn value(&mut self, key: &'static Key, origin: Origin, value: &DeValue<'_>) {
        // TOML refuses the same key twice, but not `log-level` beside `log_level`.
        let twice = self.given.iter().any(|other| std::ptr::eq(other.key, key));
        if twice {
            self.problems.push(SettingProblem::new(origin, key.name, "this key is set twice"));
            return;
        }
        self.given.push(Given { key, raw: raw(value), origin });
    }

    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let line = span.map(|span| {
            let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
            before.iter().filter(|byte| **byte == b'\n').count() + 1
        });
        Origin::File { path: self.path.to_owned(), line }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    let string = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Integer(number.as_str().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number.to_string()),
            Err(_) => Raw::Other("an integer that is too large"),
        },
        DeValue::Array(items) => match items.iter().map(string).collect() {
            Some(items) => Raw::List(items),
            None => Raw::Other("an array of other things than strings"),
        },
        DeValue::Boolean(yes) => Raw::Bool(*yes),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
