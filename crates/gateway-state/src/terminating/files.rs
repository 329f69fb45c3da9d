//! Files of a catalog -> snapshots of a terminating gateway.

mod catalog;
mod links;
mod place;

use super::{
    LeafInput, LinkFiles, LinkRow, NamedFile, ServiceKey, TerminatingAssembler, TerminatingOptions,
    TerminatingSnapshot, Weight,
};
use crate::{
    bytes::FileBytes,
    catalog::References,
    document::{FileRef, Instance, LinkTls, MeshDoc},
    role::{Compile, Input, Outcome, Role},
    snapshot::{Head, Rejected},
    source::SourceConfig,
};
use catalog::Catalog;
use links::{Expanded, expand};
use mtls::UnixTime;
use place::Places;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Terminating gateways: the services that they stand for.
#[derive(Debug)]
#[non_exhaustive]
pub struct TerminatingRole;

impl Role for TerminatingRole {
    type Snapshot = TerminatingSnapshot;
    type Options = TerminatingOptions;
    type Compiler = TerminatingCompiler;
}

/// Hands the documents of files to the assembler, and says where in the files it finds something wrong.
#[derive(Debug)]
pub struct TerminatingCompiler {
    service: String,
    options: TerminatingOptions,
    assembler: TerminatingAssembler<Instance>,
}

impl Compile<TerminatingRole> for TerminatingCompiler {
    fn new(config: &SourceConfig<TerminatingOptions>) -> Self {
        let (policy, options) = (config.policy.clone(), config.role.clone());
        let assembler = TerminatingAssembler::new(policy, options.clone());
        Self { service: config.service.clone(), options, assembler }
    }

    fn compile(&mut self, input: Input<'_>) -> Outcome {
        let Input { merged, mesh: Some(mesh), root, first, references, now } = input else {
            // Without a mesh nothing has a name, and such a catalog is refused.
            return Outcome::default();
        };
        let catalog = Catalog::of(merged, mesh, &self.service);
        let links = expand(&catalog, mesh);
        self.put_in(&catalog, &links, mesh, references);
        let step = self.assembler.compile(unix(now));
        let keys = links.keys(references);
        let identity = self.assembler.identity().filter(|in_use| **in_use != mesh.identity).cloned();
        let mut outcome = Outcome {
            changed: step.changed,
            compiled: step.compiled,
            identity,
            rejected: Vec::new(),
            warnings: links.warnings(&catalog, &self.service, &self.options, mesh, root),
        };
        outcome.warnings.extend(keys);
        let places = Places { catalog: &catalog, links: &links, root };
        for trouble in self.assembler.troubles() {
            let (document, problem) = places.of(trouble);
            match trouble.weight {
                Weight::Rejected { kept } => outcome.rejected.push(Rejected { document, kept, problem }),
                Weight::NotAtStart if first => {
                    outcome.rejected.push(Rejected { document, kept: false, problem });
                }
                Weight::NotAtStart | Weight::Warning => outcome.warnings.push(problem),
            }
        }
        outcome
    }

    fn snapshot(&self, head: Head) -> TerminatingSnapshot {
        self.assembler.snapshot_of(head)
    }

    fn next_change(&self) -> Option<SystemTime> {
        let at = self.assembler.next_change()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(at.as_secs()))
    }
}

impl TerminatingCompiler {
    fn put_in(
        &mut self,
        catalog: &Catalog<'_>,
        links: &Expanded<'_>,
        mesh: &MeshDoc,
        references: &mut dyn References,
    ) {
        let assembler = &mut self.assembler;
        // A file that cannot be read is reported where the documents are merged; until then the roots stay.
        let roots: Result<Vec<FileBytes>, String> =
            mesh.roots.iter().map(|file| references.bytes(file)).collect();
        if let Ok(roots) = roots {
            assembler.set_mesh(mesh.identity.clone(), roots);
        }
        assembler.set_default_policy(mesh.default_policy);
        assembler.set_config(catalog.config.clone());
        // Many links may name the same files.
        let mut read = Files { references, known: HashMap::new() };
        let rows: Vec<LinkRow> = links.all().map(|link| link.row(&mut |tls| read.link(tls))).collect();
        let keys: Vec<ServiceKey> = rows.iter().map(|row| row.key.clone()).collect();
        assembler.set_links(rows);
        for key in &keys {
            let instances = catalog.instances(key).map(|it| it.document.clone()).collect();
            assembler.set_instances(key, instances);
            assembler.set_intentions(key, catalog.intentions(key));
            let leaf = match catalog.leaf(key, &mesh.identity) {
                Some(leaf) => {
                    let (cert, private) = (&leaf.document.cert, &leaf.document.key);
                    match (read.bytes(cert), read.bytes(private)) {
                        (Ok(cert), Ok(key)) => LeafInput::Pem { cert, key },
                        (Err(why), _) | (_, Err(why)) => LeafInput::Failed(why),
                    }
                }
                None => LeafInput::Gone("there is no [[Leaf]] for it".into()),
            };
            assembler.set_leaf(key, leaf);
        }
    }
}

/// Reads each file once.
struct Files<'r> {
    references: &'r mut dyn References,
    known: HashMap<PathBuf, Result<FileBytes, Arc<str>>>,
}

impl Files<'_> {
    fn bytes(&mut self, file: &FileRef) -> Result<FileBytes, Arc<str>> {
        if let Some(known) = self.known.get(&file.path) {
            return known.clone();
        }
        let read = self.references.bytes(file).map_err(Arc::from);
        self.known.insert(file.path.clone(), read.clone());
        read
    }

    fn named(&mut self, file: &FileRef) -> NamedFile {
        NamedFile { path: file.path.to_string_lossy().into(), contents: self.bytes(file) }
    }

    fn link(&mut self, tls: &LinkTls) -> LinkFiles {
        let client = tls.client.as_ref().map(|(cert, key)| (self.named(cert), self.named(key)));
        LinkFiles { ca: self.named(&tls.ca), client, sni: tls.sni.clone() }
    }
}

fn unix(now: SystemTime) -> UnixTime {
    // A clock before 1970 has every certificate begin in the future.
    UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default())
}
