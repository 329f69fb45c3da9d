//! Texts that are never printed.

use std::fmt;

/// A token or password. `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Credentials of HTTP Basic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user, without a colon.
    pub user: String,
    /// The password; may be empty.
    pub password: Secret,
}

impl BasicAuth {
    /// Reads `user:password` (`CONSUL_HTTP_AUTH`), split at the first colon; without one, the whole
    /// text is the user.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self { user: user.to_owned(), password: Secret::new(password) }
    }
}

#[cfg(test)]
mod tests {
    use super::{BasicAuth, Secret};

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("8f246b77-f3e1-ff88-5b48-8ec93abf3e05");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let auth = BasicAuth { user: "envoy".into(), password: secret };
        assert!(!format!("{auth:#?}").contains("8f246b77"));
    }

    #[test]
    fn basic_auth_is_split_at_the_first_colon() {
        let auth = BasicAuth::parse("me:a:b");
        assert_eq!((auth.user.as_str(), auth.password.reveal()), ("me", "a:b"));
        let auth = BasicAuth::parse("me");
        assert_eq!((auth.user.as_str(), auth.password.reveal()), ("me", ""));
    }
}
