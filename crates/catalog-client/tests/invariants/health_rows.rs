//! What holds for every row of the health API.

use bytes::Bytes;
use catalog_client::{
    Query,
    filter::Filter,
    health::{HealthEntry, Interner, Pairs, Status},
    query::HealthConnect,
};
use std::sync::LazyLock;

static FILTERS: LazyLock<Vec<Filter>> = LazyLock::new(|| {
    let texts = [
        "Service.Meta.version == 1 or Service.Tags is empty",
        "Checks.Status != passing and Checks.ServiceTags contains x",
        "Service.Proxy.Upstreams.DestinationName matches `^d` or Service.TaggedAddresses.wan.Port == 443",
        "Node.Meta contains a or Service.Weights.Passing != 1 or Service.Connect.Native == true",
    ];
    texts.iter().filter_map(|text| Filter::parse(text).ok()).collect()
});

/// Panics if one of the rules does not hold.
pub(crate) fn check(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    let Ok(mut rows) = HealthConnect::<HealthEntry>::new("web").decode(&body) else { return };
    let before = rows.clone();
    let mut interner = Interner::new();
    interner.share(&mut rows);
    assert!(rows == before && interner.len() <= rows.len(), "sharing changes nothing");
    for row in &mut rows {
        for only_passing in [false, true] {
            let weight = row.weight(only_passing);
            assert!((1..=128).contains(&weight.value));
            assert!(!weight.healthy || row.status() != Status::Critical);
            assert!(!(only_passing && weight.healthy) || row.status() == Status::Passing);
        }
        for address in [row.lan(), row.best_wan()].into_iter().flatten() {
            assert!(address.port > 0 && !address.host.is_empty());
        }
        sorted(&row.service.meta);
        sorted(&row.node.meta);
        sorted(&row.service.tagged_addresses);
        for filter in &*FILTERS {
            assert!(filter.matches(row).is_ok(), "{filter}");
        }
        row.forget_outputs();
        assert!(row.checks.iter().all(|check| check.output.is_empty()));
    }
}

fn sorted<T: PartialEq + std::fmt::Debug>(pairs: &Pairs<T>) {
    assert!(pairs.iter().zip(pairs.iter().skip(1)).all(|((a, _), (b, _))| a < b));
    for (key, value) in pairs.iter() {
        assert_eq!(pairs.get(key), Some(value));
    }
}
