//! What must hold for any request target. The fuzz target and the replay of its corpus run this same function.

use http::Method;
use intentions::{EscapedSlashes, Normalization, NormalizedPath, Outcome};

/// Panics if a rule is broken. The first byte chooses method and options.
pub(crate) fn check(input: &[u8]) {
    let Some((&choice, target)) = input.split_first() else { return };
    let Ok(target) = std::str::from_utf8(target) else { return };
    let method = [Method::GET, Method::OPTIONS, Method::CONNECT][usize::from(choice >> 4) % 3].clone();
    let slashes = [
        EscapedSlashes::KeepUnchanged,
        EscapedSlashes::RejectRequest,
        EscapedSlashes::UnescapeAndRedirect,
        EscapedSlashes::UnescapeAndForward,
    ];
    let options = Normalization {
        normalize_path: choice & 1 != 0,
        merge_slashes: choice & 2 != 0,
        escaped_slashes: slashes[usize::from(choice >> 2) & 3],
        ..Normalization::default()
    };
    match NormalizedPath::normalize(&method, target, &options) {
        Outcome::Path(path) => check_path(&method, target, &options, &path),
        Outcome::Redirect(redirect) => {
            assert_eq!(options.escaped_slashes, EscapedSlashes::UnescapeAndRedirect);
            let location = redirect.location();
            assert!(location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\"));
        }
        Outcome::Reject(why) => assert!(!why.to_string().is_empty()),
    }
}

fn check_path(method: &Method, target: &str, options: &Normalization, path: &NormalizedPath) {
    let text = path.as_str();
    assert!(text.starts_with('/') || text == "*" || text.is_empty());
    assert!(!text.contains(['#', '?', ' ', '\r', '\n', '\0']));
    let whole = path.query().map_or(text.to_owned(), |query| format!("{text}?{query}"));
    assert_eq!(path.path_and_query(), whole);
    assert_eq!(
        path.query(),
        target.split_once('?').map(|(_, query)| query).filter(|_| !text.is_empty() && text != "*")
    );
    if options.normalize_path {
        assert!(!text.contains('\\') && !text.contains("%00"));
        assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
        if text.starts_with('/') {
            // The next proxy finds nothing to change.
            let again = Normalization { escaped_slashes: EscapedSlashes::KeepUnchanged, ..*options };
            let Outcome::Path(again) = NormalizedPath::normalize(method, path.path_and_query(), &again)
            else {
                panic!("{path} is refused the second time")
            };
            assert!(!again.is_changed(), "{path} became {again}");
        }
    }
    if options.merge_slashes && text != "*" {
        assert!(!text.contains("//"));
    }
}
