//! The files that documents name: read once for each version of them.

use super::fingerprint::{Contents, Fingerprint, read};
use crate::{bytes::FileBytes, catalog::References, document::FileRef};
use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Largest file with certificates, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// What is known of the named files.
#[derive(Debug, Default)]
pub(crate) struct Named {
    known: HashMap<PathBuf, Known>,
    /// Asked for since the last [`Self::start`].
    used: HashSet<PathBuf>,
    /// Files that are being written; what was known of them holds until they settle.
    pub(super) moving: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Known {
    /// What it was when it was looked at.
    fingerprint: Option<Fingerprint>,
    /// `None`: only looked at.
    contents: Option<Result<FileBytes, String>>,
}

impl Named {
    /// All files that the documents of the last round name.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.used.iter().map(PathBuf::as_path)
    }

    /// Starts a round: what is not asked for in it is not named any more.
    pub(crate) fn start(&mut self) {
        self.used.clear();
    }

    /// Drops what the round did not ask for.
    pub(crate) fn finish(&mut self) {
        self.known.retain(|path, _| self.used.contains(path));
    }

    /// Files that are not what they were when they were looked at.
    pub(crate) fn changed(&self) -> Vec<PathBuf> {
        let changed = self.known.iter().filter(|(path, known)| fingerprint(path) != known.fingerprint);
        changed.map(|(path, _)| path.clone()).collect()
    }
}

impl References for Named {
    fn bytes(&mut self, file: &FileRef) -> Result<FileBytes, String> {
        self.used.insert(file.path.clone());
        let now = fingerprint(&file.path);
        if let Some(Known { fingerprint, contents: Some(contents) }) = self.known.get(&file.path)
            && (*fingerprint == now || self.moving.contains(&file.path))
        {
            return contents.clone();
        }
        let (fingerprint, contents) = look(&file.path);
        self.known.insert(file.path.clone(), Known { fingerprint, contents: Some(contents.clone()) });
        contents
    }

    fn key(&mut self, file: &FileRef) -> Option<String> {
        self.used.insert(file.path.clone());
        let metadata = fs::metadata(&file.path).ok()?;
        let fingerprint = Some(Fingerprint::of(&metadata));
        let known = self.known.entry(file.path.clone()).or_insert(Known { fingerprint, contents: None });
        if known.fingerprint != fingerprint && !self.moving.contains(&file.path) {
            *known = Known { fingerprint, contents: None };
        }
        let mode = metadata.mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            let path = file.path.display();
            format!("the key {path} has mode {mode:04o}, others can read it: chmod 0600 {path}")
        })
    }
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|metadata| Fingerprint::of(&metadata))
}

fn look(path: &Path) -> (Option<Fingerprint>, Result<FileBytes, String>) {
    let shown = path.display();
    match read(path, MAX_BYTES) {
        Ok(Contents::Whole(fingerprint, bytes)) => (Some(fingerprint), Ok(bytes.into())),
        // No fingerprint, so that it is looked at again.
        Ok(Contents::Moving) => (None, Err(format!("{shown} is being written"))),
        Err(error) => (fingerprint(path), Err(format!("{shown} cannot be read: {error}"))),
    }
}
