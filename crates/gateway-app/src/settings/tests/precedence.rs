//! Which source wins for what Consul's own commands have variables for.

use catalog_client::config::{Scheme, TokenSource};

use super::*;

/// Every variable of Consul's commands that has a key: the key, a value of it, another one.
const VARIABLES: [(&str, &str, &str, &str); 12] = [
    ("CONSUL_HTTP_ADDR", "http_addr", "10.0.0.1:1", "10.0.0.2:2"),
    ("CONSUL_HTTP_SSL", "http_ssl", "true", "false"),
    ("CONSUL_HTTP_SSL_VERIFY", "http_ssl_verify", "false", "true"),
    ("CONSUL_CACERT", "ca_file", "/a", "/b"),
    ("CONSUL_CAPATH", "ca_path", "/a", "/b"),
    ("CONSUL_TLS_SERVER_NAME", "tls_server_name", "a.example", "b.example"),
    ("CONSUL_HTTP_TOKEN", "token", "one", "two"),
    ("CONSUL_TOKEN", "token", "one", "two"),
    ("CONSUL_HTTP_TOKEN_FILE", "token_file", "/a", "/b"),
    ("CONSUL_NAMESPACE", "namespace", "a", "b"),
    ("CONSUL_PARTITION", "partition", "a", "b"),
    ("CONNECT_PROXY_ID", "proxy_id", "a", "b"),
];

fn consul(given: &Given) -> ConsulSettings {
    given.good().consul().expect("it runs from Consul").clone()
}

fn file_line(key: &str, value: &str) -> String {
    let bare = matches!(value, "true" | "false");
    if bare { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") }
}

#[test]
fn a_variable_of_consul_is_above_the_file_and_below_our_own() {
    for (variable, key, one, other) in VARIABLES {
        let ours = format!("GATEWAY_{}", key.to_uppercase());
        let alone = given().variable(variable, one);
        let by = |given: &Given| given.good().origin(key).unwrap().to_string();
        assert_eq!(by(&alone), format!("environment {variable}"));
        assert_ne!(consul(&alone), consul(&given()), "{variable} changes something");

        // What holds is seen in the values, not only in what is said of them.
        let same = |given: Given, value: &str, why: &str| {
            let expected = consul(&super::given().file(&file_line(key, value)));
            let found = consul(&given);
            if key.starts_with("token") {
                assert_eq!(found.tokens[0], expected.tokens[0], "{variable} {why}");
            } else {
                assert_eq!(found, expected, "{variable} {why}");
            }
        };
        let file = || given().file(&file_line(key, other));
        same(file().variable(variable, one), one, "beats the file");
        same(file().variable(variable, ""), other, "counts as unset when it is empty");
        same(file().variable(variable, other).variable(&ours, one), one, "gives way to our own");
        same(given().variable(&ours, "").variable(variable, one), one, "holds beside an empty one of ours");
        if Key::flags(Role::Mesh).any(|flag| flag.name == key) {
            let key = Key::named(Role::Mesh, key).unwrap().name;
            let flag = file().variable(variable, other).variable(&ours, other).flag(key, one);
            assert_eq!(flag.good().origin(key), Some(&Origin::Flag(key.replace('_', "-"))));
            same(flag, one, "gives way to a flag");
            same(given().variable(variable, one).flag(key, ""), one, "holds beside an empty flag");
        }
    }
}

#[test]
fn a_client_certificate_comes_from_two_variables() {
    let both = given().variable("CONSUL_CLIENT_CERT", "/c").variable("CONSUL_CLIENT_KEY", "/k");
    let tls = consul(&both).tls;
    assert_eq!((tls.client_cert, tls.client_key), (Some("/c".into()), Some("/k".into())));
}

#[test]
fn user_and_password_come_from_a_variable() {
    let auth = |text: &str| {
        let auth = consul(&given().variable("CONSUL_HTTP_AUTH", text)).basic_auth.unwrap();
        (auth.user, auth.password.reveal().to_owned())
    };
    assert_eq!(auth("me:pass:word"), ("me".into(), "pass:word".into()));
    assert_eq!(auth("me"), ("me".into(), String::new()));
}

/// The order of consul-api 1.2: all places, strongest first.
#[test]
fn tokens_are_looked_for_by_source_and_in_one_source_the_file_first() {
    let given = given()
        .file("token = \"in-file\"\ntoken_file = \"/of-file\"\n")
        .variable("CONSUL_TOKEN", "old-name")
        .variable("CONSUL_HTTP_TOKEN", "consul")
        .variable("CONSUL_HTTP_TOKEN_FILE", "/consul")
        .variable("GATEWAY_TOKEN", "ours")
        .variable("GATEWAY_TOKEN_FILE", "/ours")
        .flag("token", "flag")
        .flag("token_file", "/flag");
    let places: Vec<_> = consul(&given)
        .tokens
        .iter()
        .map(|place| match place {
            TokenSource::File(path) => path.display().to_string(),
            TokenSource::Value(token) => token.reveal().to_owned(),
        })
        .collect();
    let expected = ["/flag", "flag", "/ours", "ours", "/consul", "consul", "old-name", "/of-file", "in-file"];
    assert_eq!(places, expected);
}

/// Rows 5 and 6 of consul-api 7.
#[test]
fn a_flag_beats_a_token_file_of_the_environment_and_a_blank_file_the_next_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (full, blank) = (file("full", " from-file\n"), file("blank", " \n"));
    let token = |given: Given| {
        let token = TokenSource::first(&consul(&given).tokens).unwrap();
        token.map(|token| token.reveal().to_owned())
    };
    let environment = || given().variable("CONSUL_HTTP_TOKEN_FILE", &full);
    assert_eq!(token(environment()).as_deref(), Some("from-file"));
    assert_eq!(token(environment().flag("token", "flag")).as_deref(), Some("flag"));
    assert_eq!(token(environment().flag("token_file", &blank)).as_deref(), Some("from-file"));
    assert_eq!(token(given().flag("token_file", &blank)), None);
    let both = given().variable("CONSUL_HTTP_TOKEN_FILE", &blank).variable("CONSUL_HTTP_TOKEN", "next");
    assert_eq!(token(both).as_deref(), Some("next"));
}

/// Row 4 of consul-api 7, and the forms of 1.3.
#[test]
fn tls_is_decided_by_address_and_variable_together() {
    let first = |given: Given| {
        let address = consul(&given).addresses[0].clone();
        (address.scheme, address.to_string())
    };
    let address = |text: &str| given().flag("http_addr", text);
    let ssl = |text: &str| address(text).variable("CONSUL_HTTP_SSL", "1");
    assert_eq!(first(address("http://h:1")), (Scheme::Http, "h:1".into()));
    assert_eq!(first(ssl("http://h:1")), (Scheme::Https, "https://h:1".into()));
    assert_eq!(first(ssl("h:1")), (Scheme::Https, "https://h:1".into()));
    assert_eq!(first(address("https://h/consul/")), (Scheme::Https, "https://h:443/consul".into()));
    assert_eq!(first(address("h")), (Scheme::Http, "h:80".into()));
    assert_eq!(first(ssl("unix:///s")).0, Scheme::Https);
}

#[test]
fn several_addresses_come_from_flags_a_list_or_the_file() {
    let shown =
        |given: Given| -> Vec<String> { consul(&given).addresses.iter().map(ToString::to_string).collect() };
    let expected = ["a:1", "https://b:2"];
    assert_eq!(shown(given().flag("http_addr", "a:1").flag("http_addr", "https://b:2")), expected);
    assert_eq!(shown(given().variable("GATEWAY_HTTP_ADDR", "a:1, https://b:2")), expected);
    assert_eq!(shown(given().file("http_addr = [\"a:1\", \"https://b:2\"]")), expected);
    assert_eq!(shown(given().file("http_addr = \"a:1\"").flag("http_addr", "c:3")), ["c:3"]);
}
