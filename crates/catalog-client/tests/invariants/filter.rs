//! What holds for every filter.

use catalog_client::{
    filter::{Filter, MAX_LENGTH},
    health::HealthEntry,
};
use std::sync::LazyLock;

/// A row with something everywhere, and an empty one.
static ROWS: LazyLock<[HealthEntry; 2]> = LazyLock::new(|| {
    let full = r#"{
        "Node": {"Node": "n1", "Meta": {"rack": "a"}, "TaggedAddresses": {"wan": "192.0.2.1"}},
        "Service": {"Kind": "connect-proxy", "ID": "web-1", "Service": "web", "Tags": ["v1", "grün"], "Port": 8443,
            "Meta": {"version": "1", "a b": "x\ny"}, "TaggedAddresses": {"wan": {"Address": "198.51.100.1", "Port": 443}},
            "Proxy": {"Upstreams": [{"DestinationName": "db"}, {"DestinationName": "cache"}]}},
        "Checks": [{"CheckID": "a", "Status": "passing", "Output": "ok"}, {"CheckID": "b", "Status": "warning"}]}"#;
    [serde_json::from_str(full).unwrap_or_default(), HealthEntry::default()]
});

/// Panics if one of the rules does not hold.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    assert_eq!(filter.matches_all(), text.is_empty());

    let printed = filter.to_string();
    if printed.len() <= MAX_LENGTH {
        assert_eq!(Filter::parse(&printed).as_ref(), Ok(&filter), "printed as {printed:?}");
    }
    let opposite = Filter::parse(&format!("not ({text})"));
    let checks = filter.check(&ROWS[0]);
    assert_eq!(checks, filter.check(&ROWS[1]), "whether a filter fits does not depend on the row");
    for row in &*ROWS {
        let answer = filter.matches(row);
        if checks.is_ok() {
            assert!(answer.is_ok(), "{answer:?} although it fits");
        }
        if let (Ok(is), Ok(opposite)) = (&answer, &opposite) {
            assert_eq!(opposite.matches(row), Ok(!is));
        }
        assert_eq!(answer, filter.matches(row));
    }
}
