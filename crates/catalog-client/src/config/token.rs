//! Where the ACL token comes from.

use std::fs;
use std::path::PathBuf;

use super::{ConfigError, Secret};

/// Longest token file in bytes. A token has 36.
const MAX_TOKEN_FILE: u64 = 64 * 1024;

/// One place that may hold the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file with the token; white space around it is cut. A blank file is as if it was not named, a
    /// missing one is an error. Read again by [`Client::reload`](crate::Client::reload).
    File(PathBuf),
    /// The token itself; an empty one is as if it was not given.
    Value(Secret),
}

impl TokenSource {
    /// The token of this source, `None` if it is blank.
    ///
    /// # Errors
    /// The file cannot be read, or is no token file.
    pub fn read(&self) -> Result<Option<Secret>, ConfigError> {
        match self {
            Self::Value(secret) => {
                Ok(Some(secret.clone()).filter(|secret| !secret.reveal().trim().is_empty()))
            }
            Self::File(path) => {
                let wrong = |reason: String| ConfigError::File {
                    what: "token file (--token-file, CONSUL_HTTP_TOKEN_FILE)",
                    path: path.clone(),
                    reason,
                };
                let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
                if length > MAX_TOKEN_FILE {
                    return Err(wrong(format!(
                        "{length} bytes are no token; name the file that holds only it"
                    )));
                }
                let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
                let text = std::str::from_utf8(&text).map_err(|_| wrong("not a text".into()))?.trim();
                Ok((!text.is_empty()).then(|| Secret::new(text)))
            }
        }
    }

    /// The token of the first source that is not blank.
    ///
    /// # Errors
    /// A file before it cannot be read: a weaker source must not stand in for it in silence.
    pub fn first(sources: &[Self]) -> Result<Option<Secret>, ConfigError> {
        for source in sources {
            if let Some(secret) = source.read()? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, TokenSource};
    use std::fs;

    #[test]
    fn the_first_source_that_is_not_blank_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let sources = [TokenSource::File(file.clone()), TokenSource::Value(Secret::new("weaker"))];
        fs::write(&file, "  stronger\n").unwrap();
        assert_eq!(TokenSource::first(&sources).unwrap().unwrap().reveal(), "stronger");
        fs::write(&file, " \n").unwrap();
        assert_eq!(TokenSource::first(&sources).unwrap().unwrap().reveal(), "weaker");
        let blank = [TokenSource::Value(Secret::new("")), TokenSource::File(file)];
        assert_eq!(TokenSource::first(&blank).unwrap(), None);
        assert_eq!(TokenSource::first(&[]).unwrap(), None);
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let sources =
            [TokenSource::File("/nowhere/token".into()), TokenSource::Value(Secret::new("not this one"))];
        let error = TokenSource::first(&sources).unwrap_err().to_string();
        assert!(error.contains("/nowhere/token") && error.contains("--token-file"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, vec![b'a'; 70_000]).unwrap();
        assert!(TokenSource::File(file.clone()).read().unwrap_err().to_string().contains("70000 bytes"));
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(TokenSource::File(file).read().unwrap_err().to_string().contains("not a text"));
    }
}
