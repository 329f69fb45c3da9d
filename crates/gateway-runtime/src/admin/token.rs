//! The token that allows to change something.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hyper::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq;

/// Longest token file that is read.
const MAX_BYTES: u64 = 4096;

/// The token of a file. The file is read for each check, so that a new token counts at once.
#[derive(Debug, Clone)]
pub struct AdminToken {
    file: PathBuf,
}

/// Why a token file cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read admin token file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no token, which would allow everybody everything.
    #[error("admin token file {} is empty: write a long random word into it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is no token file.
    #[error("admin token file {} is larger than 4096 bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl AdminToken {
    /// The token in `file`: its content without white space around it.
    ///
    /// # Errors
    /// The file cannot be read, is empty or is too large.
    pub fn from_file(file: &Path) -> Result<AdminToken, TokenError> {
        let token = AdminToken { file: file.to_owned() };
        token.read()?;
        Ok(token)
    }

    /// Whether the request carries the token: `Authorization: Bearer <token>` (RFC 6750). The comparison takes the same
    /// time wherever the first wrong byte is.
    ///
    /// # Errors
    /// The file is no longer usable: then nobody has the token.
    pub(super) fn allows(&self, headers: &HeaderMap) -> Result<bool, TokenError> {
        let token = self.read()?;
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let Some((scheme, given)) = given.and_then(|value| value.split_at_checked("Bearer ".len())) else {
            return Ok(false);
        };
        Ok(scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(given.trim_ascii().ct_eq(&token)))
    }

    fn read(&self) -> Result<Vec<u8>, TokenError> {
        let path = || self.file.clone();
        let read = |source| TokenError::Read { path: path(), source };
        if fs::metadata(&self.file).map_err(read)?.len() > MAX_BYTES {
            return Err(TokenError::TooLarge { path: path() });
        }
        let content = fs::read(&self.file).map_err(read)?;
        match content.trim_ascii() {
            [] => Err(TokenError::Empty { path: path() }),
            token => Ok(token.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "s3cret\n").unwrap();
        let token = AdminToken::from_file(&file).unwrap();
        assert!(token.allows(&bearer("Bearer s3cret")).unwrap());
        assert!(token.allows(&bearer("bearer s3cret")).unwrap());
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Bearer", "Basic s3cret", "s3cret", ""] {
            assert!(!token.allows(&bearer(wrong)).unwrap(), "{wrong}");
        }
        assert!(!token.allows(&HeaderMap::new()).unwrap());
    }

    #[test]
    fn a_new_token_counts_at_once_and_a_lost_one_allows_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "old").unwrap();
        let token = AdminToken::from_file(&file).unwrap();
        fs::write(&file, "new").unwrap();
        assert!(!token.allows(&bearer("Bearer old")).unwrap());
        assert!(token.allows(&bearer("Bearer new")).unwrap());
        fs::write(&file, "").unwrap();
        assert!(matches!(token.allows(&bearer("Bearer ")), Err(TokenError::Empty { .. })));
        fs::remove_file(&file).unwrap();
        assert!(matches!(token.allows(&bearer("Bearer new")), Err(TokenError::Read { .. })));
    }

    #[test]
    fn a_bad_file_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(matches!(AdminToken::from_file(&file), Err(TokenError::Read { .. })));
        fs::write(&file, " \n").unwrap();
        assert!(matches!(AdminToken::from_file(&file), Err(TokenError::Empty { .. })));
        fs::write(&file, "x".repeat(5000)).unwrap();
        assert!(matches!(AdminToken::from_file(&file), Err(TokenError::TooLarge { .. })));
    }
}
