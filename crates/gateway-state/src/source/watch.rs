//! Notices that something changed, through the kernel where it tells.
//!
//! Folders are watched, never files: a file that is replaced would take its watch with it. Besides
//! the catalog's folders these are the folders of every link on the way to a file, so that swapping
//! any of them is seen.

use super::{scan::ways, settle::Settle};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};
use tokio::sync::Notify;

/// The watches, and what they have seen.
pub(super) struct Watch {
    /// `None` where the system has no watches to give; the poll has to do then.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeMap<PathBuf, Option<Identity>>,
    /// Folders in which everything matters.
    whole: BTreeSet<PathBuf>,
    /// In the others, the paths that matter.
    points: HashSet<PathBuf>,
    refused: bool,
    seen: Arc<Seen>,
}

/// Filled by the watcher's thread.
#[derive(Default)]
struct Seen {
    events: Mutex<Vec<Change>>,
    wake: Notify,
}

/// Tells a folder from another one that took its path: device, inode, and because inodes are used again
/// soon, when it was made.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// Changes kept until the source takes them; beyond that only that there were more.
const MAX_EVENTS: usize = 65_536;

enum Change {
    Written(PathBuf),
    Replaced(PathBuf),
    /// The kernel lost some.
    Anything,
}

impl Watch {
    pub(super) fn new() -> Self {
        let seen = Arc::new(Seen::default());
        let sink = seen.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| sink.take(event))
            .inspect_err(|error| tracing::warn!(%error, "files cannot be watched, they are polled"))
            .ok();
        Self {
            watcher,
            folders: BTreeMap::new(),
            whole: BTreeSet::new(),
            points: HashSet::new(),
            refused: false,
            seen,
        }
    }

    /// Watches exactly what these need: the folders, and all ways to the paths. True if there is a
    /// folder that was not watched before: something may have happened in it already.
    pub(super) fn cover<'p>(&mut self, folders: &[PathBuf], paths: impl Iterator<Item = &'p Path>) -> bool {
        self.whole = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
        let mut wanted = self.whole.clone();
        self.points.clear();
        for path in paths {
            for way in ways(path) {
                // Of a path that does not exist, what does exist above it.
                let parent = way.ancestors().skip(1).find_map(|parent| parent.canonicalize().ok());
                wanted.extend(parent);
                self.points.insert(way);
            }
        }
        let Some(watcher) = &mut self.watcher else { return false };
        for gone in self.folders.keys().filter(|folder| !wanted.contains(*folder)) {
            // It may be gone already, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        let mut new = false;
        let mut watched = BTreeMap::new();
        for folder in wanted {
            let identity = identity(&folder);
            let known = identity.is_some() && self.folders.get(&folder) == Some(&identity);
            // Again also if it is known: a folder that was removed and made again has lost its watch.
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    new |= !known;
                    watched.insert(folder, identity);
                }
                Err(error) if !self.refused => {
                    self.refused = true;
                    let folder = folder.display();
                    tracing::warn!(%folder, %error, "a folder cannot be watched, it is polled");
                }
                Err(_) => {}
            }
        }
        self.folders = watched;
        new
    }

    /// Waits until something was seen.
    pub(super) async fn changed(&self) {
        self.seen.wake.notified().await;
    }

    /// Hands over what was seen.
    pub(super) fn drain(&self, settle: &mut Settle, now: Instant) {
        let events = std::mem::take(&mut *self.seen.events.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            match event {
                Change::Written(path) if self.matters(&path) => settle.written(path, now),
                Change::Replaced(path) if self.matters(&path) => settle.replaced(path),
                Change::Written(_) | Change::Replaced(_) => {}
                Change::Anything => settle.all_written(now),
            }
        }
    }

    /// The folder of a link may be a busy one, such as /etc or /tmp, of which we want one name.
    fn matters(&self, path: &Path) -> bool {
        self.points.contains(path)
            || self.whole.contains(path)
            || path.parent().is_some_and(|folder| self.whole.contains(folder))
            // Something above what we look for, which did not exist when we began to look.
            || self.points.iter().any(|point| point.starts_with(path))
    }
}

impl Seen {
    fn take(&self, event: notify::Result<Event>) {
        let changes: Vec<Change> = match event {
            Ok(event) if event.need_rescan() => vec![Change::Anything],
            Ok(event) => change(event),
            Err(_) => vec![Change::Anything],
        };
        if changes.is_empty() {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() < MAX_EVENTS {
            events.extend(changes);
        } else if !matches!(events.last(), Some(Change::Anything)) {
            events.push(Change::Anything);
        }
        drop(events);
        self.wake.notify_one();
    }
}

fn change(event: Event) -> Vec<Change> {
    match event.kind {
        // Reading is no change, and we read these files ourselves.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => written(event.paths),
        EventKind::Access(_) => Vec::new(),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            event.paths.into_iter().map(Change::Replaced).collect()
        }
        // The two paths come as one event after the single ones; they say nothing new.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => Vec::new(),
        EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Any
        | EventKind::Other => written(event.paths),
    }
}

fn written(paths: Vec<PathBuf>) -> Vec<Change> {
    paths.into_iter().map(Change::Written).collect()
}
