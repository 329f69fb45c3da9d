//! What the gateway serves.

use super::*;

pub(super) static SOURCE: &[Key] = &[
    key!(
        "catalog",
        Path(|s, v| s.catalog = v.into()),
        "",
        "File or folder with a static catalog, in place of Consul. It is watched: changes go live with no connection cut."
    ),
    key!(
        "service",
        Text(|s, v| name(v).map(|v| s.service = v)),
        "",
        "Name of the gateway's own service. It is registered under this name, and limits come from the `service-defaults` of this name."
    ),
];
