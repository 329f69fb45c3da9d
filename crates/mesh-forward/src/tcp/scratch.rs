//! The one buffer that all connections of a thread read into.
//!
//! Bytes stay in it only between a read and the write that follows at once, so an idle connection
//! holds no buffer at all, and a busy one finds the buffer warm in the cache.

use std::cell::RefCell;

/// Size of the buffer in bytes. Larger reads are bulk, and bulk is spliced.
pub(crate) const SCRATCH: usize = 64 * 1024;

/// Size of the buffer for what cannot be spliced, in bytes. Most threads never make one.
pub(crate) const LARGE_SCRATCH: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
    static LARGE: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGE_SCRATCH].into_boxed_slice());
}

/// Lends the thread's buffer (64 KiB, contents undefined) to `use_it`.
///
/// A call from within `use_it` gets a fresh buffer of its own instead of a panic.
pub fn with_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => use_it(&mut buffer),
        Err(_) => use_it(&mut vec![0; SCRATCH]),
    })
}

/// Lends the thread's large buffer (256 KiB, contents undefined) to `use_it`; otherwise as
/// [`with_scratch`].
pub(crate) fn with_large_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    LARGE.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => use_it(&mut buffer),
        Err(_) => use_it(&mut vec![0; LARGE_SCRATCH]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_use_gets_its_own_buffer() {
        with_scratch(|outer| {
            outer[0] = 7;
            with_scratch(|inner| inner[0] = 9);
            assert_eq!(outer[0], 7);
        });
    }
}
