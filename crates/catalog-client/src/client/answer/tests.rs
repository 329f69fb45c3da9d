//! Statuses, headers and texts as Consul sends them.

use super::{answer, judge, one_line};
use crate::error::{Cause, Class, Error};
use bytes::Bytes;
use hyper::Response;

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn class(response: &Response<Bytes>, may_be_absent: bool) -> Option<Class> {
    let cause = judge(response, may_be_absent).err()?;
    Some(Error { request: String::new(), agent: String::new(), cause, rule: String::new() }.class())
}

#[test]
fn the_headers_of_an_answer() {
    let whole = answer(response(
        200,
        &[
            ("X-Consul-Index", "4742"),
            ("X-Consul-ContentHash", "4880515c59bc477d"),
            ("X-Consul-Knownleader", "true"),
            ("X-Consul-Lastcontact", "15523"),
            ("X-Consul-Query-Backend", "streaming"),
            ("X-Consul-Results-Filtered-By-ACLs", "true"),
            ("X-Consul-Default-Acl-Policy", "deny"),
            ("X-Cache", "HIT"),
            ("Age", "17"),
        ],
        "[]",
    ));
    assert_eq!(whole.cache_age, Some(17));
    assert_eq!(whole.body.as_deref(), Some(b"[]".as_slice()));
    assert_eq!(whole.index, Some(4742));
    assert_eq!(whole.content_hash.as_deref(), Some("4880515c59bc477d"));
    assert_eq!((whole.known_leader, whole.last_contact), (Some(true), Some(15523)));
    assert!(whole.streaming && whole.filtered);
    assert_eq!(whole.default_deny, Some(true));

    let bare = answer(response(200, &[("X-Consul-Default-Acl-Policy", "allow")], "null"));
    assert_eq!((bare.index, bare.content_hash, bare.known_leader), (None, None, None));
    assert!(!bare.streaming && !bare.filtered);
    assert_eq!(bare.default_deny, Some(false));
    assert_eq!(bare.cache_age, None);
    let odd =
        answer(response(200, &[("X-Consul-Index", "-1"), ("X-Consul-Query-Backend", "blocking-query")], ""));
    // Just fetched: of no age, whatever a proxy says beside it.
    let fetched = answer(response(200, &[("X-Cache", "MISS"), ("Age", "9")], "{}"));
    assert_eq!(fetched.cache_age, None);
    assert_eq!(answer(response(200, &[("X-Cache", "HIT")], "{}")).cache_age, Some(0));
    assert_eq!((odd.index, odd.streaming), (None, false));
}

#[test]
fn three_meanings_of_404() {
    let policy = [("X-Consul-Default-Acl-Policy", "allow")];
    let indexed = [("X-Consul-Index", "7")];
    let plain = [("Content-Type", "text/plain; charset=utf-8")];
    // Absent: the headers, or a text of its own (1.8.7 has no header there).
    for absent in [
        response(404, &policy, "Config entry not found for \"service-resolver\" / \"nope\""),
        response(404, &indexed, ""),
        response(404, &plain, "unknown service ID: x"),
        response(404, &[], "unknown service ID: x\n"),
    ] {
        assert_eq!(class(&absent, true), None);
        assert_eq!(class(&absent, false), Some(Class::Mistake));
        assert_eq!(answer(absent).body, None);
    }
    assert_eq!(answer(response(404, &indexed, "")).index, Some(7));
    // Not an endpoint of this version, or of no Consul at all.
    for unknown in [
        response(404, &[], ""),
        response(404, &plain, "Invalid URL path: not a recognized HTTP API endpoint"),
        response(404, &plain, "404 page not found\n"),
        response(404, &[("Content-Type", "text/html")], "<html>nothing here</html>"),
    ] {
        assert_eq!(class(&unknown, true), Some(Class::Unsupported));
        assert_eq!(class(&unknown, false), Some(Class::Unsupported));
    }
}

#[test]
fn every_class_of_status() {
    for (status, text, expected) in [
        (400, "Bad request", Class::Mistake),
        (401, "ACL support disabled", Class::Mistake),
        (405, "", Class::Mistake),
        (301, "", Class::Mistake),
        (403, "Permission denied", Class::Denied),
        (403, "rpc error: code = Unknown desc = ACL not found", Class::TokenUnknown),
        (429, "", Class::Busy),
        (503, "can only be performed by the leader", Class::Busy),
        (500, "No cluster leader", Class::Server),
        (500, "rpc error making call: invalid config entry kind: mesh", Class::Unsupported),
        (502, "", Class::Server),
    ] {
        assert_eq!(class(&response(status, &[], text), true), Some(expected), "{status} {text}");
    }
    assert_eq!(class(&response(200, &[], ""), false), None);
    assert_eq!(class(&response(204, &[], ""), false), None);
}

#[test]
fn what_only_enterprise_has_names_the_setting() {
    let text = |body: &str| match judge(&response(400, &[], body), false) {
        Err(cause @ Cause::Status { .. }) => cause.to_string(),
        other => panic!("{other:?}"),
    };
    let ns = "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature";
    assert!(text(ns).starts_with(&format!("400: {ns}; ")), "{}", text(ns));
    assert!(text(ns).contains("--namespace") && !text(ns).contains("--partition"));
    let partition = "Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature";
    assert!(text(partition).contains("--partition") && !text(partition).contains("--namespace"));
    let other = text("that is a Consul Enterprise feature");
    assert!(other.contains("--partition") && other.contains("--namespace"));
    assert!(text("Client sent an HTTP request to an HTTPS server.\n").contains("https://"));
    assert_eq!(text("Invalid index"), "400: Invalid index");
}

#[test]
fn texts_are_one_line_of_printable_letters_and_bounded() {
    assert_eq!(one_line(b" a\r\nb\n"), "a b");
    assert_eq!(one_line(b"\x1b[31mred\x07\x00"), "\\u{1b}[31mred\\u{7}\\u{0}");
    assert_eq!(one_line(&[b'x'; 500]).len(), 200);
    let cut = format!("{}\u{e4}", "x".repeat(199));
    assert_eq!(one_line(cut.as_bytes()), "x".repeat(199));
    assert_eq!(one_line(&[0xff, b'a']), "\u{fffd}a");
}
