//! Text of a file -> documents that are whole and valid each, and everything that is wrong with the rest.
//!
//! Pure: no file is opened here. One strict decoder reads TOML and JSON alike; a document with any
//! problem is left out and remembered as broken, so that whoever holds an older version of it can
//! keep that.

mod address;
mod cx;

mod entry;
mod fields;
mod gateway;
mod instance;
mod json;
mod mesh;
mod node;
mod route;
mod toml;

use crate::problem::Problem;
pub(crate) use address::host;
use cx::{Cx, Found};
pub(crate) use entry::{
    Body, Choice, Destination, Entry, Intentions, Link, LinkTls, MeshOptions, Resolver, ServiceDefaults,
    Subset,
};
pub(crate) use fields::nearest;
pub(crate) use gateway::{Leaf, Peer, Server};
pub(crate) use instance::{Instance, Kind, More, Status};
pub(crate) use mesh::{FileRef, MeshDoc};
use node::{Key, Node, Piece, same_key};
pub(crate) use route::Route;
use std::{borrow::Cow, path::Path, sync::Arc};

/// The tables of a catalog.
pub(crate) const TABLES: [&str; 7] = ["Mesh", "Leaf", "Instance", "Server", "Peer", "Entry", "Route"];

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Json,
}

impl Format {
    /// What the end of a file's name says.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "toml" => Some(Format::Toml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Where in its file a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    /// Position among those of its table in this file; `None`: the file is nothing but this document.
    pub(crate) index: Option<u32>,
    /// `Instance`, or empty for a document that is not in a table.
    pub(crate) table: &'static str,
}

impl Place {
    /// As it is written in problems.
    pub(crate) fn path(&self) -> String {
        self.index.map_or_else(|| self.table.to_owned(), |index| format!("{}[{index}]", self.table))
    }
}

/// What all documents have.
pub(crate) trait Document: Clone {
    /// The word for it in messages, unique for what may exist once: `Instance web-1`.
    fn name(&self) -> String;
    /// Where it was found.
    fn place(&self) -> Place;
    /// Whether it is used although something in it is wrong: what is wrong closes something, so an older
    /// version must not keep it open.
    fn denies(&self) -> bool {
        false
    }
}

/// The documents of one file that are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    pub(crate) meshes: Vec<MeshDoc>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) servers: Vec<Server>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) routes: Vec<Route>,
}

impl Documents {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.meshes.len()
            + self.leaves.len()
            + self.instances.len()
            + self.servers.len()
            + self.peers.len()
            + self.entries.len()
            + self.routes.len()
    }

    /// The names of all of them.
    pub(crate) fn names(&self) -> Vec<String> {
        fn add(names: &mut Vec<String>, documents: &[impl Document]) {
            names.extend(documents.iter().map(Document::name));
        }
        let mut names = Vec::with_capacity(self.count());
        add(&mut names, &self.meshes);
        add(&mut names, &self.leaves);
        add(&mut names, &self.instances);
        add(&mut names, &self.servers);
        add(&mut names, &self.peers);
        add(&mut names, &self.entries);
        add(&mut names, &self.routes);
        names
    }

    fn shrink(&mut self) {
        self.instances.shrink_to_fit();
        self.routes.shrink_to_fit();
        self.entries.shrink_to_fit();
    }
}

/// A document that is wrong, and so not in use for the most part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its table; `None` when not even that is known.
    pub(crate) table: Option<&'static str>,
    /// [`Document::name`], if what makes it up could be read.
    pub(crate) name: Option<String>,
    /// What is wrong with it, as positions in [`Parsed::problems`].
    pub(crate) problems: std::ops::Range<usize>,
    /// It is in use all the same, see [`Document::denies`].
    pub(crate) in_use: bool,
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parsed {
    /// The valid documents; none if `unreadable`.
    pub(crate) documents: Documents,
    pub(crate) broken: Vec<Broken>,
    /// In the order of reading.
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// The text is no TOML or no JSON, so nothing of it counts.
    pub(crate) unreadable: bool,
}

/// Reads the text of a file. `file` is its path for problems; paths in it are relative to its folder.
pub(crate) fn parse(file: &Path, format: Format, bytes: &[u8]) -> Parsed {
    read(file, format, bytes, None)
}

/// Reads a list of config entries as a Consul of any version answers it: only entries of these kinds
/// count, and keys that are not known are ignored. `name` stands for the file in problems.
pub(crate) fn parse_answer(name: &Path, bytes: &[u8], kinds: &[&str]) -> Parsed {
    read(name, Format::Json, bytes, Some(kinds))
}

fn read(file: &Path, format: Format, bytes: &[u8], kinds: Option<&[&str]>) -> Parsed {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = "not UTF-8 text".to_owned();
            let found = Found {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                path: String::new(),
                message,
                hint: None,
            };
            return Parsed { problems: vec![found.of(file)], unreadable: true, ..Parsed::default() };
        }
    };
    let mut decoder = Decoder {
        cx: if kinds.is_some() { Cx::of_answer(text) } else { Cx::new(text) },
        kinds,
        folder: file.parent().unwrap_or(Path::new("")),
        documents: Documents::default(),
        broken: Vec::new(),
        rows: [0; TABLES.len()],
        unknown: Vec::new(),
    };
    let read = match format {
        Format::Toml => toml::read(text, &mut |piece| decoder.piece(piece)),
        Format::Json => json::read(text, &mut |piece| decoder.piece(piece)).map_err(|error| vec![error]),
    };
    decoder.finish(file, read.err().unwrap_or_default())
}

struct Decoder<'t> {
    cx: Cx<'t>,
    /// Kinds of entries that count; `None` = all.
    kinds: Option<&'t [&'t str]>,
    folder: &'t Path,
    documents: Documents,
    broken: Vec<Broken>,
    /// Rows so far, by position in [`TABLES`].
    rows: [u32; TABLES.len()],
    /// Unknown keys of the top level, so that a list is reported once and not with each row.
    unknown: Vec<String>,
}

impl Decoder<'_> {
    fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Entry(node) => self.document("", None, node),
            Piece::ListedEntry(node) if !self.counts(&node) => {
                self.count("Entry");
            }
            Piece::ListedEntry(node) => {
                let index = self.count("Entry");
                self.document("", Some(index), node);
            }
            Piece::Single(key, node) => match table(&key.name) {
                Some("Mesh") => self.document("Mesh", None, node),
                Some(table) => {
                    self.cx.start("", None);
                    let before = self.cx.problems.len();
                    let message = format!("expected a list of tables: write [[{table}]]");
                    self.cx.problem(node.at, table, message);
                    self.reject(Some(table), None, before);
                }
                None => self.unknown_key(&key),
            },
            Piece::Row(key, node) => match table(&key.name) {
                Some("Mesh") => {
                    self.cx.start("", None);
                    let before = self.cx.problems.len();
                    self.cx.problem(node.at, "Mesh", "expected one table: write [Mesh]");
                    self.reject(Some("Mesh"), None, before);
                }
                Some(table) => {
                    let index = self.count(table);
                    self.document(table, Some(index), node);
                }
                None => self.unknown_key(&key),
            },
        }
    }

    fn counts(&self, entry: &Node<'_>) -> bool {
        let Some(kinds) = self.kinds else { return true };
        entry::kind_of(entry).is_some_and(|kind| kinds.contains(&kind))
    }

    fn count(&mut self, table: &str) -> u32 {
        let position = TABLES.iter().position(|name| *name == table);
        match position.and_then(|position| self.rows.get_mut(position)) {
            Some(rows) => {
                *rows += 1;
                *rows - 1
            }
            None => 0,
        }
    }

    fn document(&mut self, table: &'static str, index: Option<u32>, node: Node<'_>) {
        let place = Place { line: self.cx.line(node.at), index, table };
        self.cx.start(table, index);
        let (before, first) = (self.cx.count(), self.cx.problems.len());
        let (cx, documents) = (&mut self.cx, &mut self.documents);
        let table = if table.is_empty() { "Entry" } else { table };
        // A decoder answers with what it could read, so that a broken document still has its name.
        let name = match table {
            "Mesh" => keep(mesh::decode(node, place, self.folder, cx), before, cx, &mut documents.meshes),
            "Leaf" => keep(gateway::leaf(node, place, self.folder, cx), before, cx, &mut documents.leaves),
            "Instance" => keep(instance::decode(node, place, cx), before, cx, &mut documents.instances),
            "Server" => keep(gateway::server(node, place, cx), before, cx, &mut documents.servers),
            "Peer" => keep(gateway::peer(node, place, self.folder, cx), before, cx, &mut documents.peers),
            "Route" => keep(route::decode(node, place, cx), before, cx, &mut documents.routes),
            _ => {
                let entry = entry::decode(node, place, self.folder, cx);
                keep(entry, before, cx, &mut documents.entries)
            }
        };
        match name {
            Ok(Kept::Whole) => {}
            Ok(Kept::Denying(name)) => {
                let problems = first..self.cx.problems.len();
                self.broken.push(Broken { table: Some(table), name: Some(name), problems, in_use: true });
            }
            Err(name) => self.reject(Some(table), name, first),
        }
    }

    fn reject(&mut self, table: Option<&'static str>, name: Option<String>, first: usize) {
        let problems = first..self.cx.problems.len();
        self.broken.push(Broken { table, name, problems, in_use: false });
    }

    fn unknown_key(&mut self, key: &Key<'_>) {
        if self.unknown.iter().any(|known| *known == key.name) {
            return;
        }
        self.unknown.push(key.name.clone().into_owned());
        let hint = fields::nearest(&key.name, TABLES.into_iter()).map(str::to_owned);
        self.cx.start("", None);
        let first = self.cx.problems.len();
        self.cx.problem_with_hint(key.at, &key.name, "unknown table", hint);
        self.reject(None, None, first);
    }

    fn finish(mut self, file: &Path, syntax: Vec<node::SyntaxError>) -> Parsed {
        let unreadable = !syntax.is_empty();
        if unreadable {
            // What was decoded before the mistake was found says nothing certain.
            self.cx.problems.clear();
            self.cx.warnings.clear();
            self.cx.start("", None);
            for error in syntax {
                self.cx.problem(error.at, "", error.message);
            }
            self.documents = Documents::default();
            self.broken = Vec::new();
            self.cx.more = 0;
        }
        let mut problems: Vec<Problem> = self.cx.problems.into_iter().map(|found| found.of(file)).collect();
        if self.cx.more > 0 {
            problems.push(Problem {
                file: file.to_owned(),
                line: None,
                path: String::new(),
                message: format!("{} more problems", self.cx.more),
                hint: None,
            });
        }
        let warnings = self.cx.warnings.into_iter().map(|found| found.of(file)).collect();
        self.documents.shrink();
        Parsed { documents: self.documents, broken: self.broken, problems, warnings, unreadable }
    }
}

/// A document that is in use.
enum Kept {
    Whole,
    /// In spite of what is wrong with it; its name.
    Denying(String),
}

/// Keeps a document if nothing was found wrong with it; else answers with its name as far as known.
fn keep<D: Document>(
    read: Result<D, Option<String>>,
    before: usize,
    cx: &Cx<'_>,
    list: &mut Vec<D>,
) -> Result<Kept, Option<String>> {
    let document = read?;
    let kept = match (cx.count() > before, document.denies()) {
        (false, _) => Kept::Whole,
        (true, true) => Kept::Denying(document.name()),
        (true, false) => return Err(Some(document.name())),
    };
    list.push(document);
    Ok(kept)
}

fn table(key: &str) -> Option<&'static str> {
    TABLES.into_iter().find(|table| same_key(table, key))
}

impl Found {
    fn of(self, file: &Path) -> Problem {
        let Found { line, path, message, hint } = self;
        Problem { file: file.to_owned(), line: Some(line), path, message, hint }
    }
}

/// A name that is checked by `mesh-id`, shared with all other documents of the file.
fn checked<T>(
    text: Option<fields::Located<Cow<'_, str>>>,
    key: &str,
    parse: fn(&str) -> Result<T, mesh_id::NameError>,
    cx: &mut Cx<'_>,
) -> Option<Arc<str>> {
    let text = text?;
    match parse(&text.value) {
        Ok(_) => Some(cx.shared(&text.value)),
        Err(error) => {
            cx.problem(text.at, key, format!("{:?} cannot be used here: {error}", text.value));
            None
        }
    }
}
