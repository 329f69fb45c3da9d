//! Which files a catalog consists of.

use super::fingerprint::Fingerprint;
use crate::document::Format;
use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Deepest folder below the catalog's path.
const MAX_DEPTH: usize = 32;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The files and what they are now.
    pub(super) files: BTreeMap<PathBuf, Fingerprint>,
    /// All folders, the catalog's own included.
    pub(super) folders: Vec<PathBuf>,
    /// Paths that are links: what they lead to has to be watched as well.
    pub(super) links: Vec<PathBuf>,
    /// Folders and files that could not be looked at; what is known of them stays.
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// Why there is nothing to take from a scan.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error("cannot be read: {0}")]
    Root(io::Error),
    #[error("expected a folder, or a file whose name ends in .toml or .json")]
    Format,
    #[error("has more than {0} files; split it, or raise the limit")]
    TooMany(usize),
    #[error("has more than {0} bytes in its files; split it, or raise the limit")]
    TooLarge(u64),
}

/// Looks at everything below `root`, without opening a file.
pub(super) fn scan(root: &Path, max_files: usize, max_bytes: u64) -> Result<Scan, ScanError> {
    let metadata = fs::metadata(root).map_err(ScanError::Root)?;
    let mut scan = Scan::default();
    if metadata.is_dir() {
        let mut walk = Walk { scan: &mut scan, seen: HashSet::new(), max_files };
        walk.folder(root, &metadata, 0)?;
        if let Some((path, _)) = scan.unreadable.first()
            && path == root
        {
            let error = fs::read_dir(root).err().unwrap_or_else(|| io::Error::other("try again"));
            return Err(ScanError::Root(error));
        }
    } else {
        Format::of(root).ok_or(ScanError::Format)?;
        scan.files.insert(root.to_owned(), Fingerprint::of(&metadata));
    }
    scan.links.push(root.to_owned());
    let bytes: u64 = scan.files.values().map(|file| file.size).fold(0, u64::saturating_add);
    if bytes > max_bytes {
        return Err(ScanError::TooLarge(max_bytes));
    }
    Ok(scan)
}

struct Walk<'s> {
    scan: &'s mut Scan,
    /// Device and inode of the folders, so that a link to a folder above does not go round.
    seen: HashSet<(u64, u64)>,
    max_files: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, metadata: &fs::Metadata, depth: usize) -> Result<(), ScanError> {
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.scan.unreadable.push((folder.to_owned(), error.to_string()));
                return Ok(());
            }
        };
        self.scan.folders.push(folder.to_owned());
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry, depth)?,
                Err(error) => self.scan.unreadable.push((folder.to_owned(), error.to_string())),
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, depth: usize) -> Result<(), ScanError> {
        // Hidden names are those of editors, version control, and the folders behind Kubernetes' links.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(());
        }
        let path = entry.path();
        let kind = entry.file_type();
        let is_link = kind.as_ref().is_ok_and(fs::FileType::is_symlink);
        let may_be_folder = is_link || kind.as_ref().is_ok_and(fs::FileType::is_dir);
        let is_catalog = Format::of(&path).is_some();
        if !may_be_folder && !is_catalog {
            return Ok(());
        }
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Removed since it was listed, or a link to nothing, which editors make as locks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.scan.unreadable.push((path, error.to_string()));
                return Ok(());
            }
        };
        if metadata.is_dir() {
            if depth >= MAX_DEPTH {
                let message = format!("more than {MAX_DEPTH} folders deep");
                self.scan.unreadable.push((path, message));
                return Ok(());
            }
            if is_link {
                self.scan.links.push(path.clone());
            }
            return self.folder(&path, &metadata, depth + 1);
        }
        if is_catalog {
            if self.scan.files.len() >= self.max_files {
                return Err(ScanError::TooMany(self.max_files));
            }
            if is_link {
                self.scan.links.push(path.clone());
            }
            self.scan.files.insert(path, Fingerprint::of(&metadata));
        }
        Ok(())
    }
}

/// The ways by which a path is reached: itself in its real folder, each link on the way, and what it
/// really is. An event about any of them is about the path.
pub(super) fn ways(path: &Path) -> Vec<PathBuf> {
    /// As the kernel's own limit.
    const MAX_LINKS: usize = 40;
    let mut ways = Vec::new();
    let mut rest = path.to_owned();
    if let Ok(absolute) = std::path::absolute(&rest) {
        rest = absolute;
    }
    'links: for _ in 0..MAX_LINKS {
        let parts: Vec<_> = rest.components().collect();
        let mut real = PathBuf::new();
        for (index, part) in parts.iter().enumerate() {
            if matches!(part, std::path::Component::ParentDir) {
                real.pop();
                continue;
            }
            let parent = real.clone();
            real.push(part);
            let Ok(target) = fs::read_link(&real) else { continue };
            ways.push(real);
            let tail: PathBuf = parts.get(index + 1..).unwrap_or_default().iter().collect();
            rest = parent.join(target).join(tail);
            continue 'links;
        }
        ways.push(real);
        break;
    }
    ways
}
