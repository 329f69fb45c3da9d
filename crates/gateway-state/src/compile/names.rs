//! How host names among the addresses of instances are used.

use crate::target::{Host, TargetEndpoint};

/// What becomes of instances that have a host name for an address (`envoy_dns_discovery_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NameMode {
    /// All instances are used, those with names by all addresses of their names. What holds where nothing
    /// else is written.
    #[default]
    All,
    /// `logical_dns`: where one has a name, the first healthy one of those is used alone.
    LogicalDns,
    /// `strict_dns`: where one has a name, those with addresses are not used.
    StrictDns,
}

impl NameMode {
    pub(super) const WARNING: &str =
        "envoy_dns_discovery_type is set: of instances with and without host names not all are used";

    /// Leaves only the endpoints that count, given in Consul's order. True if some were dropped that would
    /// count without this mode.
    pub(super) fn drops_addresses(self, endpoints: &mut Vec<TargetEndpoint>) -> bool {
        let is_name = |endpoint: &TargetEndpoint| matches!(endpoint.host, Host::Name(_));
        if self == Self::All || !endpoints.iter().any(is_name) {
            return false;
        }
        let all = endpoints.len();
        endpoints.retain(is_name);
        if self == Self::LogicalDns {
            let healthy = endpoints.iter().position(|endpoint| endpoint.healthy);
            let one = healthy.unwrap_or_else(|| endpoints.len().saturating_sub(1));
            endpoints.swap(0, one);
            endpoints.truncate(1);
        }
        endpoints.len() < all
    }
}
