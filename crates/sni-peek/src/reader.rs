//! Reads a hello that comes in pieces.

use crate::records::Scan;
use crate::{Limits, Parsed};

/// Collects the first bytes of a connection until they are a hello, or cannot become one.
///
/// The work in all is proportional to the bytes in all, however they are cut and whatever records they are in. The
/// memory is what was pushed (up to twice that while the buffer grows) and, for a hello in several records, its
/// message once more while the answer is alive. A length that the client only announces costs nothing.
///
/// ```
/// use sni_peek::{HelloReader, Limits, Parsed};
///
/// let mut reader = HelloReader::new(Limits::default());
/// assert_eq!(reader.push(&[22]), Parsed::NeedMore { at_least: 2 });
/// assert_eq!(reader.push(&[3, 1, 2]), Parsed::NeedMore { at_least: 5 });
/// assert_eq!(reader.bytes(), [22, 3, 1, 2]);
/// ```
#[derive(Debug)]
pub struct HelloReader {
    bytes: Vec<u8>,
    scan: Scan,
    limits: Limits,
}

impl HelloReader {
    /// A reader that has seen nothing and holds no memory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { bytes: Vec::new(), scan: Scan::default(), limits }
    }

    /// Takes the next bytes and says what all bytes so far are. The verdict is the one that [`crate::parse`] gives for
    /// the same bytes at once.
    ///
    /// Stop when it is no longer [`Parsed::NeedMore`]: the verdict does not change any more, and finding it again
    /// costs as much as the first time. `more` may reach beyond the hello; bound it by the size of the read buffer.
    pub fn push(&mut self, more: &[u8]) -> Parsed<'_> {
        self.bytes.extend_from_slice(more);
        self.judge()
    }

    /// All bytes that were pushed, to be sent on as they came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes that were pushed; ends the reader.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Memory that the reader holds, in bytes, for a budget over many connections.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn judge(&mut self) -> Parsed<'_> {
        let step = self.scan.advance(&self.bytes, self.limits.max_bytes);
        self.scan.verdict(step, &self.bytes, &self.limits)
    }
}

#[cfg(feature = "tokio")]
impl HelloReader {
    /// The buffer with room for at least one more byte: a read appends to it, [`Self::judge_appended`] looks at it.
    /// The room doubles, so that filling it stays proportional, and ends at the limit.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        let length = self.bytes.len();
        if length == self.bytes.capacity() {
            let below_limit = self.limits.max_bytes.saturating_sub(length).max(1);
            self.bytes.reserve_exact(length.max(512).min(below_limit));
        }
        &mut self.bytes
    }

    /// As [`Self::push`], for bytes that were appended in place.
    pub(crate) fn judge_appended(&mut self) -> Parsed<'_> {
        self.judge()
    }
}

#[cfg(test)]
mod tests;
