//! Paths and parameters, percent-encoded, and ACL rules, quoted.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 leaves as it is everywhere.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path with parameters, put together from left to right.
pub(super) struct Url {
    text: String,
    parameters: bool,
}

impl Url {
    /// From a path that needs no encoding.
    pub(super) fn new(path: &str) -> Self {
        Self { text: path.to_owned(), parameters: false }
    }

    /// Adds `/` and a name.
    pub(super) fn segment(mut self, name: &str) -> Self {
        self.text.push('/');
        // A name of dots would be a step in the tree of paths; encoded it is a name.
        match name {
            "." => self.text.push_str("%2E"),
            ".." => self.text.push_str("%2E%2E"),
            _ => self.text.extend(utf8_percent_encode(name, ENCODED)),
        }
        self
    }

    /// Adds a parameter.
    pub(super) fn parameter(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.parameters { '&' } else { '?' });
        self.parameters = true;
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// Adds a parameter if there is one. An empty one is none.
    pub(super) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.parameter(name, value),
            _ => self,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `service "web" { policy = "read" }`; the resource is `service`, `service_prefix` and so on.
pub(super) fn rule(resource: &str, name: &str, policy: &str) -> String {
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{resource} \"{name}\" {{ policy = \"{policy}\" }}")
}

/// The right to read all services.
pub(super) const ALL_SERVICES: &str = "service_prefix \"\" { policy = \"read\" }";

/// The right to read all nodes.
pub(super) const ALL_NODES: &str = "node_prefix \"\" { policy = \"read\" }";

/// The right to read entries of the mesh; before 1.12 `operator` has it.
pub(super) const MESH: &str = "mesh = \"read\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_whatever_they_are() {
        let url = |name: &str| Url::new("/v1/health/connect").segment(name).finish();
        assert_eq!(url("web-1.a_b~c"), "/v1/health/connect/web-1.a_b~c");
        assert_eq!(url("a/b?c#d%e f"), "/v1/health/connect/a%2Fb%3Fc%23d%25e%20f");
        assert_eq!(url("ä\r\n"), "/v1/health/connect/%C3%A4%0D%0A");
        assert_eq!(url(".."), "/v1/health/connect/%2E%2E");
        assert_eq!(url("."), "/v1/health/connect/%2E");
    }

    #[test]
    fn parameters_follow_each_other() {
        let url = Url::new("/x")
            .optional("dc", None)
            .optional("dc", Some(""))
            .parameter("a", "1 + 2")
            .optional("b", Some("=&"));
        assert_eq!(url.finish(), "/x?a=1%20%2B%202&b=%3D%26");
    }

    #[test]
    fn rules_are_quoted() {
        assert_eq!(rule("service", "web", "read"), "service \"web\" { policy = \"read\" }");
        assert_eq!(rule("service", "a\"b\\", "write"), "service \"a\\\"b\\\\\" { policy = \"write\" }");
    }
}
