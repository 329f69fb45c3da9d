//! The snapshot in use, joined with what lives longer than a snapshot: endpoint sets with their
//! ejections and counts, and the figures of each service.
//!
//! Workers read it through one swap cell, once per connection, without a lock. The only way from a
//! name to an endpoint set is [`LiveState::lookup`], and the only way from a set to a connection is a
//! pick of it: what the table does not hold cannot be dialled.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use gateway_runtime::metrics::{Metrics, ServiceMetrics};
use gateway_state::mesh::MeshSnapshot;
use gateway_state::terminating::{LinkedService, Lookup, TerminatingSnapshot};
use gateway_state::{Host, Rule, Target, TargetEndpoint};
use mesh_endpoints::{Endpoint, EndpointSet, MAX_WEIGHT, SetPolicy};

/// The cell that workers read and the reconciler writes.
#[derive(Debug)]
pub struct Live<S = MeshSnapshot> {
    cell: ArcSwap<LiveState<S>>,
}

/// One published state.
#[derive(Debug)]
pub struct LiveState<S = MeshSnapshot> {
    snapshot: Arc<S>,
    /// By the snapshot's target index.
    routes: Vec<Arc<LiveRoute>>,
}

/// The state of a mesh gateway.
pub type LiveMesh = LiveState<MeshSnapshot>;
/// The state of a terminating gateway.
pub type LiveTerminating = LiveState<TerminatingSnapshot>;

/// A target of the table with its endpoint set and its figures. Both are made on first use: of many
/// services most are idle.
#[derive(Debug)]
pub struct LiveRoute {
    target: Arc<Target>,
    defaults: Arc<SetPolicy>,
    set: OnceLock<Arc<EndpointSet>>,
    figures: OnceLock<Arc<ServiceMetrics>>,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// The name as the table has it; of a wildcard with its `*.`.
    pub name: &'a Arc<str>,
    /// The rule that put it there.
    pub rule: Rule,
    /// Where it leads.
    pub route: &'a Arc<LiveRoute>,
}

/// What a name leads to at a terminating gateway.
#[derive(Clone, Copy, Debug)]
pub enum MatchedService<'a> {
    /// A linked service that is served.
    Served {
        /// The name, the rule that put it there and where it leads.
        matched: Matched<'a>,
        /// Whose name it is.
        service: &'a Arc<LinkedService>,
    },
    /// A linked service that is not served now.
    NotServed {
        /// Which one.
        service: &'a Arc<LinkedService>,
    },
    /// No linked service has this name.
    Unknown,
}

impl<S> Live<S> {
    /// A cell with its first state.
    #[must_use]
    pub fn new(first: LiveState<S>) -> Self {
        Self { cell: ArcSwap::from_pointee(first) }
    }

    /// The state in use, for the length of one decision.
    pub fn load(&self) -> Guard<Arc<LiveState<S>>> {
        self.cell.load()
    }

    /// The state in use, to keep.
    #[must_use]
    pub fn current(&self) -> Arc<LiveState<S>> {
        self.cell.load_full()
    }

    pub(crate) fn publish(&self, next: LiveState<S>) {
        self.cell.store(Arc::new(next));
    }
}

impl<S> LiveState<S> {
    pub(crate) fn new(snapshot: Arc<S>, routes: Vec<Arc<LiveRoute>>) -> Self {
        Self { snapshot, routes }
    }

    /// What this state was made from.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<S> {
        &self.snapshot
    }

    /// All routes, in the order of the snapshot's targets.
    #[must_use]
    pub fn routes(&self) -> &[Arc<LiveRoute>] {
        &self.routes
    }
}

impl LiveState<TerminatingSnapshot> {
    /// The service and the route of a lower-cased name.
    #[must_use]
    pub fn lookup(&self, sni: &str) -> MatchedService<'_> {
        match self.snapshot.lookup(sni) {
            Lookup::Found(linked) => match self.routes.get(linked.index) {
                Some(route) if why_not_served(linked.service).is_none() => MatchedService::Served {
                    matched: Matched { name: linked.name, rule: linked.rule, route },
                    service: linked.service,
                },
                _ => MatchedService::NotServed { service: linked.service },
            },
            Lookup::NotReady { service, .. } => MatchedService::NotServed { service },
            Lookup::Unknown => MatchedService::Unknown,
        }
    }
}

/// Why connections to a linked service are not accepted, if they are not: what it lacks, or what this
/// version cannot do for it. A service whose requests must be judged is never let through as a stream
/// of bytes.
#[must_use]
pub fn why_not_served(service: &LinkedService) -> Option<String> {
    match &service.not_ready {
        Some(why) => Some(why.to_string()),
        None if service.is_http() => Some(format!("protocol {} is not served yet", service.protocol)),
        None => None,
    }
}

impl LiveState<MeshSnapshot> {
    /// The route of a lower-cased name.
    #[must_use]
    pub fn lookup(&self, sni: &str) -> Option<Matched<'_>> {
        let found = self.snapshot.table.lookup(sni)?;
        let route = self.routes.get(found.index)?;
        Some(Matched { name: found.name, rule: found.rule, route })
    }
}

impl LiveRoute {
    /// `defaults` are what the settings add to the policy of the documents.
    pub(crate) fn new(target: Arc<Target>, defaults: &Arc<SetPolicy>) -> Self {
        Self { target, defaults: Arc::clone(defaults), set: OnceLock::new(), figures: OnceLock::new() }
    }

    /// The same endpoint set and figures under the target's new version; `endpoints` are its
    /// addresses as they are now; without them the set stays as it is.
    pub(crate) fn with_target(
        &self,
        target: Arc<Target>,
        endpoints: Option<impl FnOnce() -> Vec<Endpoint>>,
    ) -> Self {
        let figures =
            if self.target.service == target.service { self.figures.clone() } else { OnceLock::new() };
        let next = Self { target, defaults: Arc::clone(&self.defaults), set: self.set.clone(), figures };
        if let (Some(set), Some(endpoints)) = (next.set.get(), endpoints) {
            set.update(next.policy(), endpoints());
        }
        next
    }

    /// Gives the set these endpoints, making it if need be.
    pub(crate) fn update(&self, endpoints: Vec<Endpoint>) {
        match self.set.get() {
            Some(set) => set.update(self.policy(), endpoints),
            None => drop(self.set.set(EndpointSet::new(self.policy(), endpoints))),
        }
    }

    /// Whether the set has been made.
    pub(crate) fn has_set(&self) -> bool {
        self.set.get().is_some()
    }

    /// The documents' view of it.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Its endpoints, as they are now.
    pub fn set(&self) -> &Arc<EndpointSet> {
        // A target with names has had its set made by the reconciler, which resolves them.
        self.set.get_or_init(|| EndpointSet::new(self.policy(), endpoints(&self.target, |_| Vec::new())))
    }

    /// What the documents say, and where they are silent, the settings.
    fn policy(&self) -> SetPolicy {
        let mut policy = self.target.policy.clone();
        policy.ejection = self.defaults.ejection;
        policy.panic_threshold = self.defaults.panic_threshold;
        policy.limits.max_connections =
            policy.limits.max_connections.or(self.defaults.limits.max_connections);
        policy.limits.max_pending = policy.limits.max_pending.or(self.defaults.limits.max_pending);
        policy
    }

    /// The figures of its service; made on first use, because most of many services are idle.
    pub fn figures(&self, metrics: &Metrics) -> &Arc<ServiceMetrics> {
        self.figures.get_or_init(|| metrics.service(&self.target.service))
    }

    /// The figures of its service, if it has had a connection.
    pub(crate) fn used_figures(&self) -> Option<&Arc<ServiceMetrics>> {
        self.figures.get()
    }

    /// Time for connecting: the resolver's, or the process's.
    #[must_use]
    pub fn connect_timeout(&self, default: Duration) -> Duration {
        self.target.connect_timeout.unwrap_or(default)
    }
}

/// The addresses of a target. A name's weight is shared by its addresses (terminating-gateway 6.3): one
/// with four of them gets no more than an address of the same weight. Where only one name is asked for, it
/// is the first healthy one, or else the last.
pub(crate) fn endpoints(target: &Target, resolve: impl Fn(&Arc<str>) -> Vec<IpAddr>) -> Vec<Endpoint> {
    let only = target.only_first_name.then(|| first_name(target)).flatten();
    let used = target.endpoints.iter().filter(|it| only.is_none_or(|only| std::ptr::eq(*it, only)));
    let addresses = used.map(|endpoint| match &endpoint.host {
        Host::Ip(ip) => (endpoint, vec![*ip]),
        Host::Name(name) => (endpoint, resolve(name)),
    });
    let addresses: Vec<_> = addresses.filter(|(_, ips)| !ips.is_empty()).collect();
    let shares = Shares::of(addresses.iter().map(|(endpoint, ips)| (endpoint.weight, ips.len())));
    let mut all = Vec::with_capacity(target.endpoints.len());
    for (endpoint, ips) in addresses {
        let weight = shares.each(endpoint.weight, ips.len());
        all.extend(ips.into_iter().map(|ip| Endpoint {
            address: SocketAddr::new(ip, endpoint.port),
            weight,
            healthy: endpoint.healthy,
            label: Some(Arc::clone(&endpoint.label)),
        }));
    }
    all
}

/// Whole numbers for weights that are shared: as they are where that comes to the same, else as near to the
/// true proportions as the largest weight allows.
#[derive(Clone, Copy, Debug)]
struct Shares {
    /// The largest share; `None`: all have the same, or nobody shares.
    largest: Option<f64>,
}

impl Shares {
    /// Weights, each with the number of addresses that have it together.
    fn of(weights: impl Iterator<Item = (u16, usize)>) -> Self {
        let (mut shared, mut largest, mut least) = (false, 0.0, f64::MAX);
        for (weight, addresses) in weights {
            let each = share(weight, addresses);
            shared |= addresses > 1;
            largest = f64::max(largest, each);
            least = f64::min(least, each);
        }
        Self { largest: (shared && least < largest).then_some(largest) }
    }

    /// The weight of each of so many addresses.
    fn each(self, weight: u16, addresses: usize) -> u16 {
        let Some(largest) = self.largest else { return weight };
        let most = f64::from(MAX_WEIGHT);
        (share(weight, addresses) / largest * most).round().clamp(1.0, most) as u16
    }
}

fn share(weight: u16, addresses: usize) -> f64 {
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
    f64::from(weight) / f64::from(addresses)
}

/// What Consul calls "logical DNS" (mesh-gateway 3.3).
fn first_name(target: &Target) -> Option<&TargetEndpoint> {
    let mut names = target.endpoints.iter().filter(|endpoint| matches!(endpoint.host, Host::Name(_)));
    names.clone().find(|endpoint| endpoint.healthy).or_else(|| names.next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(parts: &[(u16, usize)]) -> Vec<u16> {
        let shares = Shares::of(parts.iter().copied());
        parts.iter().map(|(weight, addresses)| shares.each(*weight, *addresses)).collect()
    }

    #[test]
    fn a_names_weight_is_shared_by_its_addresses() {
        assert_eq!(weights(&[(1, 4), (1, 1)]), [32, 128], "an IP gets as much as all four together");
        assert_eq!(weights(&[(10, 2), (5, 1), (10, 1)]), [64, 64, 128]);
        assert_eq!(weights(&[(1, 300), (128, 1)]), [1, 128], "nobody is left without");
    }

    #[test]
    fn weights_stay_as_they_are_where_nothing_has_to_be_shared() {
        assert_eq!(weights(&[(10, 1), (2, 1)]), [10, 2]);
        assert_eq!(weights(&[(3, 4)]), [3], "one name alone");
        assert_eq!(weights(&[(2, 2), (1, 1)]), [2, 1], "the same for each address");
        assert!(weights(&[]).is_empty());
    }
}
