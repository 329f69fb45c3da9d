//! The record layer: finds where the hello message begins and ends, record by record.
//!
//! The state is a few numbers, and every step moves forward, so bytes that come one by one cost no more in all than
//! bytes that come at once. Each check happens at a position that the bytes determine, which is why verdicts do
//! not depend on how the bytes are cut.

use std::borrow::Cow;

use crate::{ClientHello, Limits, Malformed, NotTls, Parsed, body};

const HEADER: usize = 5;
/// Most content bytes in one record without encryption (RFC 8446, section 5.1).
const MAX_CONTENT: usize = 1 << 14;
/// Records without content are accepted because some clients send one, but each costs a step and brings nothing.
const MAX_EMPTY: u8 = 32;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Type and 24-bit length in front of every handshake message.
const MESSAGE_HEADER: usize = 4;

/// How far the bytes have been understood.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Offset of the first byte that has not been judged.
    at: usize,
    /// Content bytes of the current record that lie at or after `at`; 0 between two records.
    left: usize,
    /// Message bytes passed so far, its header included.
    have: usize,
    /// The length field of the message, as far as it has been read.
    length: usize,
    /// Offset of the first message byte.
    start: usize,
    /// Records that hold a part of the message.
    fragments: usize,
    empty: u8,
    /// Loop passes, to test that the work is proportional to the bytes.
    #[cfg(test)]
    pub(crate) steps: usize,
}

/// Why the scan stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Complete,
    NeedMore(usize),
    NotTls(NotTls),
    Malformed(Malformed),
    TooLarge,
}

impl Scan {
    /// Goes on from where it stood; after a verdict it stands still and gives the same one again.
    ///
    /// `bytes` are all bytes from the first on; those already seen must not change.
    pub(crate) fn advance(&mut self, bytes: &[u8], max: usize) -> Step {
        loop {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let moved = match self.rest() {
                Some(0) => return Step::Complete,
                _ if self.left == 0 => self.record_header(bytes, max),
                None => self.message_header(bytes, max),
                Some(rest) => self.message_body(rest, bytes, max),
            };
            if let Err(step) = moved {
                return step;
            }
        }
    }

    /// Turns a standstill into the answer for the caller; a complete message is read now.
    pub(crate) fn verdict<'a>(&self, step: Step, bytes: &'a [u8], limits: &Limits) -> Parsed<'a> {
        match step {
            Step::NeedMore(at_least) => Parsed::NeedMore { at_least },
            Step::NotTls(why) => Parsed::NotTls(why),
            Step::Malformed(why) => Parsed::Malformed(why),
            Step::TooLarge => Parsed::TooLarge { limit: limits.max_bytes },
            Step::Complete => {
                let message = self.message(bytes);
                match body::read(&message) {
                    Ok(fields) => Parsed::Hello(ClientHello::new(message, fields, self.at)),
                    Err(why) => Parsed::Malformed(why),
                }
            }
        }
    }

    /// Message bytes that are still missing; `None` while the length is not known.
    fn rest(&self) -> Option<usize> {
        (self.have >= MESSAGE_HEADER).then(|| MESSAGE_HEADER + self.length - self.have)
    }

    fn record_header(&mut self, bytes: &[u8], max: usize) -> Result<(), Step> {
        let at = self.at;
        let useful = match self.rest() {
            Some(rest) => end_if_packed(at, rest),
            // The first bytes may prove that this is not TLS, so they are judged one by one.
            None if at == 0 => 0,
            None => at + HEADER + 1,
        };
        if useful > max {
            return Err(Step::TooLarge);
        }
        let content_type = byte(bytes, at, useful, max)?;
        if content_type != HANDSHAKE {
            return Err(if at == 0 {
                Step::NotTls(NotTls::from_first(content_type))
            } else {
                Step::Malformed(Malformed::RecordType { content_type })
            });
        }
        let major = byte(bytes, at + 1, useful, max)?;
        if major != 3 {
            return Err(if at == 0 {
                Step::NotTls(NotTls::RecordVersion { major })
            } else {
                Step::Malformed(Malformed::RecordVersion { major })
            });
        }
        let low = byte(bytes, at + 4, useful, max)?;
        let length = usize::from(byte(bytes, at + 3, useful, max)?) << 8 | usize::from(low);
        if length > MAX_CONTENT {
            return Err(Step::Malformed(Malformed::RecordLength { length }));
        }
        if length > 0 {
            self.fragments += 1;
        } else if self.empty < MAX_EMPTY {
            self.empty += 1;
        } else {
            return Err(Step::Malformed(Malformed::EmptyRecords));
        }
        self.at += HEADER;
        self.left = length;
        Ok(())
    }

    /// One byte of the message's type and length; they too may be cut anywhere.
    fn message_header(&mut self, bytes: &[u8], max: usize) -> Result<(), Step> {
        let value = byte(bytes, self.at, 0, max)?;
        if self.have == 0 {
            self.start = self.at;
            if value != CLIENT_HELLO {
                return Err(Step::Malformed(Malformed::HandshakeType { handshake_type: value }));
            }
        } else {
            self.length = self.length << 8 | usize::from(value);
        }
        self.pass(1);
        Ok(())
    }

    fn message_body(&mut self, rest: usize, bytes: &[u8], max: usize) -> Result<(), Step> {
        let here = rest.min(self.left);
        let end = self.at + here;
        let useful = end_if_packed(end, rest - here);
        if useful > max {
            return Err(Step::TooLarge);
        }
        if bytes.len() < end {
            return Err(Step::NeedMore(useful));
        }
        self.pass(here);
        Ok(())
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
        self.left -= count;
        self.have += count;
    }

    /// The complete message without record headers: borrowed when it lies in one piece, else joined.
    fn message<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.fragments == 1 {
            return Cow::Borrowed(bytes.get(self.start..self.at).unwrap_or_default());
        }
        let mut message = Vec::with_capacity(self.have);
        let mut records = bytes.get(..self.at).unwrap_or_default();
        while let Some((header, rest)) = records.split_first_chunk::<HEADER>() {
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let (content, rest) = rest.split_at(length.min(rest.len()));
            message.extend_from_slice(content);
            records = rest;
        }
        Cow::Owned(message)
    }
}

/// Offset at which the message ends if its other `rest` bytes come in records as large as allowed.
fn end_if_packed(at: usize, rest: usize) -> usize {
    at + rest + rest.div_ceil(MAX_CONTENT) * HEADER
}

fn byte(bytes: &[u8], at: usize, useful: usize, max: usize) -> Result<u8, Step> {
    if at >= max {
        return Err(Step::TooLarge);
    }
    bytes.get(at).copied().ok_or(Step::NeedMore(useful.max(at + 1)))
}
