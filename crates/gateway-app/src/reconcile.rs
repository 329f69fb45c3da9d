//! From a new snapshot to what workers use: endpoint sets that keep their state, names that are
//! resolved, one publication.
//!
//! Runs on the control thread. A target that did not change keeps its route as it is; one that
//! changed keeps its endpoint set, so that ejections and counts survive; connections keep what they
//! started with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gateway_state::{Host, Snapshot, Target, TargetEndpoint};
use mesh_endpoints::{Endpoint, SetPolicy};
use mesh_forward::dns::{NameWatch, Names};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::live::{self, Live, LiveRoute, LiveState};

/// Turns snapshots into published states.
#[derive(Debug)]
pub struct Reconciler {
    names: Names,
    /// Ejection, and the limits of sets whose documents name none.
    defaults: Arc<SetPolicy>,
    watched: HashMap<Arc<str>, Watched>,
    answers: Arc<Notify>,
}

/// A host name that some target uses.
#[derive(Debug)]
struct Watched {
    name: NameWatch,
    follower: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Reconciler {
    /// A reconciler that resolves with `names`.
    #[must_use]
    pub fn new(names: Names, defaults: SetPolicy) -> Self {
        Self { names, defaults: Arc::new(defaults), watched: HashMap::new(), answers: Arc::default() }
    }

    /// The first state. Call it within the control thread's runtime.
    pub fn first<S: Snapshot>(&mut self, snapshot: Arc<S>) -> LiveState<S> {
        self.build(snapshot, &[])
    }

    /// Publishes the state that follows from `snapshot`.
    pub fn apply<S: Snapshot>(&mut self, live: &Live<S>, snapshot: Arc<S>) {
        let before = live.current();
        let next = self.build(snapshot, before.routes());
        live.publish(next);
    }

    /// Waits until an answer for some name has changed; then call [`resolved`](Self::resolved).
    pub async fn names_changed(&self) {
        self.answers.notified().await;
    }

    /// Brings the endpoint sets that use names up to date.
    pub fn resolved<S: Snapshot>(&self, live: &Live<S>) {
        let live = live.current();
        let named =
            live.routes().iter().filter(|route| uses_names(route.target()) && self.knows(route.target()));
        for route in named {
            route.update(self.endpoints(route.target()));
        }
    }

    fn build<S: Snapshot>(&mut self, snapshot: Arc<S>, before: &[Arc<LiveRoute>]) -> LiveState<S> {
        let targets = snapshot.targets();
        if !same_names(targets, before) {
            self.follow_names(targets);
        }
        // Most of the table stands where it stood; only if not, it is searched by id.
        let mut by_id = None;
        let mut known = |index: usize, target: &Arc<Target>| {
            if let Some(route) = before.get(index).filter(|route| route.target().id == target.id) {
                return Some(route);
            }
            let by_id = by_id.get_or_insert_with(|| {
                before.iter().map(|route| (&*route.target().id, route)).collect::<HashMap<_, _>>()
            });
            by_id.get(&*target.id).copied()
        };
        let routes = targets.iter().enumerate().map(|(index, target)| match known(index, target) {
            Some(route) if Arc::ptr_eq(route.target(), target) => Arc::clone(route),
            Some(route) => {
                let endpoints = self.knows(target).then_some(|| self.endpoints(target));
                Arc::new(self.resolved_if_named(route.with_target(Arc::clone(target), endpoints)))
            }
            None => Arc::new(self.resolved_if_named(LiveRoute::new(Arc::clone(target), &self.defaults))),
        });
        let routes = routes.collect();
        LiveState::new(snapshot, routes)
    }

    /// Watches exactly the names that these targets use.
    fn follow_names(&mut self, targets: &[Arc<Target>]) {
        // One that was refused because there were too many may have its turn now.
        self.watched.retain(|_, watched| watched.name.is_followed());
        let endpoints = targets.iter().flat_map(|target| &target.endpoints);
        let wanted: HashSet<&Arc<str>> = endpoints.filter_map(host_name).collect();
        self.watched.retain(|host, _| wanted.contains(host));
        for host in wanted {
            if self.watched.contains_key(host) {
                continue;
            }
            let name = self.names.watch(host);
            let (mut changes, answers) = (name.another(), Arc::clone(&self.answers));
            let follower = tokio::spawn(async move {
                loop {
                    changes.changed().await;
                    answers.notify_one();
                }
            });
            self.watched.insert(Arc::clone(host), Watched { name, follower });
        }
    }

    /// Only this side knows what names stand for: such a set is made here, not on first use.
    fn resolved_if_named(&self, route: LiveRoute) -> LiveRoute {
        if uses_names(route.target()) && (self.knows(route.target()) || !route.has_set()) {
            route.update(self.endpoints(route.target()));
        }
        route
    }

    /// Waits until every name has been looked up once, well or not.
    pub async fn names_settled(&self) {
        for watched in self.watched.values() {
            watched.name.settled().await;
        }
    }

    /// Whether every name of a target has been looked up. Until then its endpoints are not known, and
    /// a set that works is left alone.
    fn knows(&self, target: &Target) -> bool {
        let known = |name| self.watched.get(name).is_none_or(|watched| watched.name.state().is_settled());
        target.endpoints.iter().filter_map(host_name).all(known)
    }

    fn endpoints(&self, target: &Target) -> Vec<Endpoint> {
        live::endpoints(target, |name| {
            self.watched.get(name).map(|watched| watched.name.current().to_vec()).unwrap_or_default()
        })
    }
}

/// Whether what differs between the two has nothing to do with names: then nothing has to be looked
/// for in a table of thousands of endpoints, of which most changes touch a few.
fn same_names(targets: &[Arc<Target>], before: &[Arc<LiveRoute>]) -> bool {
    targets.len() == before.len()
        && targets.iter().zip(before).all(|(target, route)| {
            Arc::ptr_eq(target, route.target()) || !(uses_names(target) || uses_names(route.target()))
        })
}

fn uses_names(target: &Target) -> bool {
    target.endpoints.iter().any(|endpoint| host_name(endpoint).is_some())
}

fn host_name(endpoint: &TargetEndpoint) -> Option<&Arc<str>> {
    match &endpoint.host {
        Host::Name(name) => Some(name),
        Host::Ip(_) => None,
    }
}
