//! Contents of files that may be keys.

use std::{fmt, sync::Arc};

/// Bytes that no log shows. Cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FileBytes(Arc<[u8]>);

impl FileBytes {
    /// Hands them out.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether the two are equal; quick where they are one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_log_shows_what_is_in_them() {
        let key = FileBytes::from(b"-----BEGIN PRIVATE KEY-----".to_vec());
        assert_eq!(format!("{key:?}"), "FileBytes(27 bytes)");
    }
}
