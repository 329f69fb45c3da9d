//! What the reader sees: headings, hops, and expectations that held or not. Colours only for a terminal, and not with
//! `NO_COLOR`.

use std::fmt::Display;
use std::io::IsTerminal;

use gateway_testkit::Gateway;

use crate::world::gateway_name;

const NAME_WIDTH: usize = 12;

/// Prints, and counts what was not as expected.
pub(crate) struct Report {
    colours: bool,
    /// A long word that is written short, and how.
    short: Option<(String, &'static str)>,
    held: usize,
    broken: Vec<String>,
    step: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = std::io::stdout().is_terminal() && !unwanted;
        Report { colours, short: None, held: 0, broken: Vec::new(), step: 0 }
    }

    /// From now on `long` is written as `short`, except in [`text`](Self::text), which is for copying.
    pub(crate) fn shorten(&mut self, long: &str, short: &'static str) {
        self.short = Some((long.to_owned(), short));
    }

    /// A numbered step of the tour.
    pub(crate) fn step(&mut self, what: &str) {
        self.step += 1;
        println!("\n{}", self.paint("1", &format!("{}. {what}", self.step)));
    }

    /// A heading without a number.
    pub(crate) fn heading(&self, what: &str) {
        println!("\n{}", self.paint("1", what));
    }

    /// Plain text.
    pub(crate) fn text(&self, text: &str) {
        println!("{text}");
    }

    /// What one party did or saw.
    pub(crate) fn hop(&self, who: &str, what: impl Display) {
        println!("   {}  {}", self.paint("36", &format!("{who:<NAME_WIDTH$}")), self.brief(&what));
    }

    /// A further line of the same party.
    pub(crate) fn more(&self, what: impl Display) {
        println!("   {:NAME_WIDTH$}  {}", "", self.paint("2", &what.to_string()));
    }

    /// What a program printed, word for word.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.lines() {
            println!("   {}", self.paint("2", &format!("| {}", self.brief(&line))));
        }
    }

    /// Where the gateways' pages are, and how all this ends.
    pub(crate) fn admin_pages(&self, gateways: &[&Gateway]) {
        self.heading("Admin pages");
        for gateway in gateways {
            if let Ok(admin) = gateway.admin() {
                self.hop(&gateway_name(gateway), format!("http://{}/", admin.address()));
            }
        }
        self.text("\nEverything runs until Ctrl-C, and is removed then.");
    }

    /// An expectation; `instead` is shown if it does not hold.
    pub(crate) fn expect(&mut self, holds: bool, what: &str, instead: impl Display) {
        if holds {
            self.held += 1;
            println!("   {} {what}", self.paint("32", "ok"));
        } else {
            println!("   {} {what}: {}", self.paint("31", "NOT"), self.brief(&instead));
            self.broken.push(format!("{what}: {instead}"));
        }
    }

    /// Whether all expectations held so far.
    pub(crate) fn is_good(&self) -> bool {
        self.broken.is_empty()
    }

    /// The last line.
    pub(crate) fn summary(&self) {
        if self.is_good() {
            println!("\n{}", self.paint("32", &format!("All {} expectations held.", self.held)));
        } else {
            let count = self.held + self.broken.len();
            println!(
                "\n{}",
                self.paint("31", &format!("{} of {count} expectations did not hold:", self.broken.len()))
            );
            self.broken.iter().for_each(|what| println!("   {what}"));
        }
    }

    fn brief(&self, text: &dyn Display) -> String {
        match &self.short {
            Some((long, short)) => text.to_string().replace(long, short),
            None => text.to_string(),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
