//! The pool of kernel pipes that bulk connections are spliced through.
//!
//! A pipe is lent only while bytes are under way: it comes back as soon as the source has nothing
//! more to give. Their memory is bounded for the whole process, because the kernel bounds it per
//! *user*: `pipe-user-pages-soft` lets an ordinary user hold 64 MiB, after which it refuses to
//! enlarge a pipe (`EPERM`) and hands out new ones of two pages. Where no pipe of a useful size is
//! to be had the connection is copied instead, and counted.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Below this a pipe moves bytes no faster than a copy does (64 KiB still takes 0.6 of its time).
const USEFUL: usize = 64 * 1024;

/// Bounds of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipeConfig {
    /// Capacity of one pipe in bytes, a power of two; default 512 KiB.
    pub size: usize,
    /// Capacity of all pipes together in bytes; 0 turns splicing off. Default 48 MiB, which stays
    /// below the 64 MiB that Linux grants to an ordinary user.
    pub memory: usize,
    /// Pipes that are kept open while nobody uses them; default 32.
    pub spare: usize,
}

impl Default for PipeConfig {
    fn default() -> Self {
        Self { size: 512 * 1024, memory: 48 * 1024 * 1024, spare: 32 }
    }
}

/// What the pool has counted since the start.
#[derive(Debug, Default)]
pub struct PipeCounters {
    /// Times a pipe was lent.
    pub lent: AtomicU64,
    /// Times it was copied because all pipes of the pool were in use.
    pub refused_by_bound: AtomicU64,
    /// Times it was copied because the kernel gave no pipe of a useful size.
    pub refused_by_kernel: AtomicU64,
    /// Times it was copied because no descriptor was left.
    pub refused_by_descriptors: AtomicU64,
}

/// The pool; one per process, shared by the workers.
#[derive(Debug)]
pub struct Pipes {
    config: PipeConfig,
    spare: Mutex<Vec<Pipe>>,
    bytes: AtomicUsize,
    counters: PipeCounters,
}

/// Why no pipe was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPipe {
    Bound,
    Kernel,
    Descriptors,
}

/// Two descriptors. Only an empty one may go back to the pool.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) read: OwnedFd,
    pub(crate) write: OwnedFd,
}

impl Pipes {
    /// An empty pool; pipes are made on demand.
    #[must_use]
    pub fn new(config: PipeConfig) -> Self {
        Self {
            config,
            spare: Mutex::new(Vec::new()),
            bytes: AtomicUsize::new(0),
            counters: PipeCounters::default(),
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &PipeCounters {
        &self.counters
    }

    /// Capacity of all pipes that exist now, in bytes, each as large as it was asked for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether this pool splices at all.
    pub(crate) fn enabled(&self) -> bool {
        self.config.memory >= self.config.size
    }

    /// Lends an empty pipe.
    pub(crate) fn lend(&self) -> Result<Pipe, NoPipe> {
        let spare = self.lock().pop();
        let lent = match spare {
            Some(pipe) => Ok(pipe),
            None => self.make(),
        };
        if lent.is_ok() {
            self.counters.lent.fetch_add(1, Ordering::Relaxed);
        }
        lent.inspect_err(|why| {
            let counter = match why {
                NoPipe::Bound => &self.counters.refused_by_bound,
                NoPipe::Kernel => &self.counters.refused_by_kernel,
                NoPipe::Descriptors => &self.counters.refused_by_descriptors,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Takes a pipe back. One with bytes in it would give them to a stranger: it is closed.
    pub(crate) fn take_back(&self, pipe: Pipe, empty: bool) {
        if empty {
            let mut spare = self.lock();
            if spare.len() < self.config.spare {
                spare.push(pipe);
                return;
            }
        }
        drop(pipe);
        self.bytes.fetch_sub(self.config.size, Ordering::Relaxed);
    }

    fn make(&self) -> Result<Pipe, NoPipe> {
        let size = self.config.size;
        let reserved = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
            bytes.checked_add(size).filter(|sum| *sum <= self.config.memory)
        });
        if reserved.is_err() {
            return Err(NoPipe::Bound);
        }
        let made = open(size);
        if made.is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        made
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pipe>> {
        // A list of descriptors cannot be left half-changed by a panic.
        self.spare.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn open(size: usize) -> Result<Pipe, NoPipe> {
    let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).map_err(|errno| match errno {
        Errno::MFILE | Errno::NFILE => NoPipe::Descriptors,
        _ => NoPipe::Kernel,
    })?;
    let capacity = match fcntl_setpipe_size(&write, size) {
        Ok(capacity) => capacity,
        // The user holds too many pipe pages: the new pipe has the kernel's default or two pages.
        Err(_) => fcntl_getpipe_size(&write).map_err(|_| NoPipe::Kernel)?,
    };
    if capacity < USEFUL.min(size) {
        return Err(NoPipe::Kernel);
    }
    // Charged in full even if the kernel gave less: the account bounds descriptors as well.
    Ok(Pipe { read, write })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(pipes: usize) -> Pipes {
        Pipes::new(PipeConfig { size: 64 * 1024, memory: pipes * 64 * 1024, spare: 1 })
    }

    #[test]
    fn the_bound_holds_and_is_counted() {
        let pipes = pool(2);
        let (one, two) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        assert_eq!(pipes.lend().unwrap_err(), NoPipe::Bound);
        assert_eq!(pipes.counters().refused_by_bound.load(Ordering::Relaxed), 1);
        assert_eq!(pipes.bytes(), 2 * 64 * 1024);
        pipes.take_back(one, true);
        pipes.take_back(two, true);
        assert_eq!(pipes.bytes(), 64 * 1024, "one is spare, the other was closed");
        assert!(pipes.lend().is_ok());
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_never_lent_again() {
        let pipes = pool(1);
        let pipe = pipes.lend().unwrap();
        rustix::io::write(&pipe.write, b"secret of another connection").unwrap();
        pipes.take_back(pipe, false);
        let next = pipes.lend().unwrap();
        let mut buffer = [0u8; 64];
        assert_eq!(rustix::io::read(&next.read, &mut buffer).unwrap_err(), Errno::AGAIN);
    }

    #[test]
    fn no_memory_means_no_splicing() {
        assert!(!Pipes::new(PipeConfig { memory: 0, ..PipeConfig::default() }).enabled());
        assert!(Pipes::new(PipeConfig::default()).enabled());
    }
}
