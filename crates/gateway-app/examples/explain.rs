//! Says where server names would go, from a catalog, without starting anything:
//!
//! ```sh
//! cargo run -p gateway-app --example explain                              # a small catalog of its own
//! cargo run -p gateway-app --example explain -- CATALOG NAME...
//! ```

use std::ffi::OsString;
use std::io;

use gateway_app::cli::{Call, Invocation, invoke};
use gateway_app::settings::Role;

const CATALOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/catalog");
const NAMES: [&str; 4] = [
    "billing.default.fra1.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul",
    "ledger.default.ams2.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul",
    "shop.legacy.example.com",
    "biling.default.fra1.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul",
];

fn main() {
    let mut given = std::env::args_os().skip(1);
    let catalog = given.next().unwrap_or_else(|| CATALOG.into());
    let mut names: Vec<OsString> = given.collect();
    if names.is_empty() {
        names = NAMES.iter().map(OsString::from).collect();
    }
    for name in names {
        // The same call as `mesh-gw explain --catalog CATALOG NAME`, with the output handed in.
        let arguments: Vec<OsString> =
            vec!["mesh-gw".into(), "explain".into(), "--catalog".into(), catalog.clone(), name];
        let (mut out, mut err) = (io::stdout(), io::stderr());
        let environment = Vec::new();
        match invoke(Call { role: Role::Mesh, arguments, environment, out: &mut out, err: &mut err }) {
            Invocation::Finished(_code) => {}
            Invocation::Run(_) => unreachable!("explain never serves"),
        }
    }
}
