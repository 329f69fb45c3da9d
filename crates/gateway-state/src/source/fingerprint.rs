//! What tells whether a file is still the one that was read.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// Which file it is, how long, and when it was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file's bytes and what it was when they were read.
pub(super) enum Contents {
    Whole(Fingerprint, Vec<u8>),
    /// It was written to while it was read.
    Moving,
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Contents> {
    // Without this, opening a pipe would wait for somebody to write to it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let before = file.metadata()?;
    // A pipe or a device could keep us waiting for ever.
    if !before.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if before.size() > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size()).unwrap_or(0));
    Read::by_ref(&mut file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let (before, after) = (Fingerprint::of(&before), Fingerprint::of(&file.metadata()?));
    let same = before == after && u64::try_from(bytes.len()) == Ok(before.size);
    Ok(if same { Contents::Whole(before, bytes) } else { Contents::Moving })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to hang when the file is opened the usual way.
    #[test]
    fn a_pipe_in_the_catalog_is_an_error_and_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.toml");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let Err(error) = read(&pipe, 1_000) else { panic!("a pipe was read") };
        assert_eq!(error.to_string(), "not a regular file");
    }
}
