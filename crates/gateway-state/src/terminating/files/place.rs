//! Where in the files something wrong was written.

use super::{ServiceKey, catalog::Catalog, links::Expanded};
use crate::{
    catalog::{In, problem_at},
    document::{Body, Document, Entry},
    problem::Problem,
    terminating::{About, Trouble},
};
use std::path::Path;

pub(super) struct Places<'c, 'a> {
    pub(super) catalog: &'c Catalog<'a>,
    pub(super) links: &'c Expanded<'a>,
    pub(super) root: &'c Path,
}

impl Places<'_, '_> {
    /// The document that is wrong, and the problem at its place.
    pub(super) fn of(&self, trouble: &Trouble) -> (String, Problem) {
        let message = trouble.message.clone();
        match &trouble.about {
            About::Roots => match self.catalog.merged.mesh_at {
                Some(mesh) => (mesh.document.name(), problem_at(mesh.file, mesh.document, "Roots", message)),
                None => ("Mesh".to_owned(), self.nowhere(message)),
            },
            About::MeshTls => {
                self.at(self.entry(|entry| matches!(entry.body, Body::Mesh(_))), "TLS", message)
            }
            About::Link(key) | About::Instances(key) => self.at_link(key, "", message),
            About::Files(key) => self.at_link(key, "CAFile", message),
            About::Leaf(key) => match self
                .catalog
                .merged
                .leaves
                .iter()
                .find(|it| it.document.service.eq_ignore_ascii_case(&key.name))
            {
                Some(leaf) => {
                    (leaf.document.name(), problem_at(leaf.file, leaf.document, "CertFile", message))
                }
                None => self.at_link(key, "Name", message),
            },
            About::Intentions(key) => match self.catalog.intentions_entry(key) {
                Some(entry) => self.at(Some(entry), "", message),
                None => self.at_link(key, "", message),
            },
            About::Destination(key) => {
                let is = |entry: &Entry| {
                    matches!(&entry.body, Body::Defaults(_)) && entry.name.eq_ignore_ascii_case(&key.name)
                };
                self.at(self.entry(is), "Destination", message)
            }
        }
    }

    fn entry(&self, is: impl Fn(&Entry) -> bool) -> Option<In<'_, Entry>> {
        self.catalog.merged.entries.iter().find(|it| is(it.document)).copied()
    }

    fn at(&self, entry: Option<In<'_, Entry>>, key: &str, message: String) -> (String, Problem) {
        match entry {
            Some(it) => (it.document.name(), problem_at(it.file, it.document, key, message)),
            None => (String::new(), self.nowhere(message)),
        }
    }

    fn at_link(&self, key: &ServiceKey, field: &str, message: String) -> (String, Problem) {
        let Some(one) = self.links.get(key) else { return (String::new(), self.nowhere(message)) };
        let document = self.links.entry().map(|entry| entry.document.name()).unwrap_or_default();
        (document, self.links.problem(one.link, field, format!("service {key}: {message}"), self.root))
    }

    fn nowhere(&self, message: String) -> Problem {
        Problem { file: self.root.to_owned(), line: None, path: String::new(), message, hint: None }
    }
}
