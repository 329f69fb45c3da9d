//! Bounds of what one document may make us hold. Consul limits a config entry to 512 KiB (a Raft log entry), so none of
//! these is met by an entry that a person wrote. What exceeds one is not understood, and so denies.

/// Permissions of one intention.
pub const MAX_PERMISSIONS: usize = 1_000;
/// Header criteria of one permission.
pub const MAX_HEADER_MATCHES: usize = 100;
/// Methods of one permission.
pub const MAX_METHODS: usize = 100;
/// Bytes in any one text: a name, a path, a header value.
pub const MAX_TEXT: usize = 8_192;
/// Bytes in one regular expression.
pub const MAX_PATTERN: usize = 4_096;
/// Bytes that one compiled regular expression may take, and again its cache.
pub const MAX_PATTERN_SIZE: usize = 1 << 20;
/// Different regular expressions in one [`RuleSet`](crate::RuleSet).
pub const MAX_PATTERNS: usize = 500;
/// [`Shadowed`](crate::Shadowed) pairs that are kept; all are counted.
pub(crate) const MAX_SHADOWED: usize = 100;
