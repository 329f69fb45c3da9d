//! Random input: a lookup is what a slow and simple one says, and no bytes make the reader panic.

use crate::support::{Catalog, MESH};
use crate::terminating::shared::as_egress;
use gateway_state::{
    FileSource,
    mesh::{Host, MeshTable, Rule, SetPolicy, Target, TargetEndpoint},
    terminating::{TerminatingOptions, TerminatingRole},
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use std::sync::Arc;

fn target(name: &str) -> Arc<Target> {
    let endpoint = TargetEndpoint {
        host: Host::Name("host".into()),
        port: 1,
        weight: 1,
        healthy: true,
        label: "label".into(),
    };
    Arc::new(Target {
        id: name.into(),
        service: name.into(),
        rule: Rule::StaticRoute,
        endpoints: vec![endpoint],
        connect_timeout: None,
        policy: SetPolicy::default(),
        remote: false,
        only_first_name: false,
    })
}

/// Exact, else the longest wildcard with at least one whole label in its place.
fn slow(names: &[String], sni: &str) -> Option<String> {
    if !sni.starts_with("*.") && names.iter().any(|name| name == sni) {
        return Some(sni.to_owned());
    }
    let covers = |name: &&String| {
        let suffix = name.strip_prefix('*')?;
        let front = sni.strip_suffix(suffix)?;
        (!front.is_empty() && !front.ends_with('.')).then_some(())
    };
    names.iter().filter(|name| covers(name).is_some()).max_by_key(|name| name.len()).cloned()
}

fn host() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[ab]", "[a-c]{1,2}"], 1..5).prop_map(|labels| labels.join("."))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![host(), host().prop_map(|host| format!("*.{host}"))]
}

proptest! {
    #[test]
    fn lookups_agree_with_a_simple_one(
        names in prop::collection::vec(name(), 0..12),
        asked in prop::collection::vec(prop_oneof![name(), Just(String::new()), "[ab.*]{0,6}"], 20)
    ) {
        let table = MeshTable::new(names.iter().map(|name| target(name)).collect());
        for sni in names.iter().chain(&asked) {
            let found = table.lookup(sni).map(|found| found.name.to_string());
            prop_assert_eq!(found, slow(&names, sni), "{} in {:?}", sni, names);
        }
    }
}

/// Things that occur in catalogs, to get further than random bytes do.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[[Instance]]\n",
            "[Mesh]\n",
            "[[Entry]]\n",
            "[[Route]]\n",
            "Service = \"web\"\n",
            "Port = 1\n",
            "Port = -1\n",
            "Address = \"a\"\n",
            "Kind = \"service-resolver\"\n",
            "Name = \"web\"\n",
            "Subsets.v1.Filter = \"a in b\"\n",
            "Weights = {}\n",
            "{",
            "}",
            "[",
            "]",
            "\"Instance\":",
            "\"Kind\":",
            "\"mesh\"",
            ",",
            "null",
            "1e999",
            "\"\\ud800\"",
            "99999999999999999999",
            "\"\"\"",
            "'''",
            "=",
            "\n",
            "To = [\"a:1\"]\n",
            "SNI = \"*.a\"\n",
            "Kind = \"terminating-gateway\"\nName = \"egress\"\n",
            "Services = [{ Name = \"web\" }, { Name = \"*\", CAFile = \"a\" }]\n",
            "[[Leaf]]\nService = \"web\"\nCertFile = \"a.toml\"\nKeyFile = \"a.json\"\n",
            "Kind = \"service-intentions\"\n",
            "Sources = [{ Name = \"*\", Action = \"allow\", Permissions = [{}] }]\n",
            "Kind = \"service-defaults\"\n",
            "Destination = { Addresses = [\"::1\"], Port = 1 }\n",
            "Kind = \"proxy-defaults\"\nName = \"global\"\nConfig = { protocol = \"http\" }\n",
            "Kind = \"mesh\"\nTLS.Incoming.TLSMinVersion = \"TLSv1_9\"\n",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_the_reader_panic(
        pieces in prop::collection::vec(fragment(), 0..20),
        bytes in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        let catalog = Catalog::new(&[("mesh.toml", MESH)]);
        let text = pieces.concat();
        for (name, contents) in
            [("a.toml", text.as_bytes()), ("a.json", text.as_bytes()), ("b.toml", &bytes), ("b.json", &bytes)]
        {
            std::fs::write(catalog.path(name), contents).expect("a file");
        }
        let _ = catalog.load();
        let _ = FileSource::<TerminatingRole>::load(&catalog.path(""), &as_egress(TerminatingOptions::default()));
    }
}
