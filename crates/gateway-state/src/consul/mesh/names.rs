//! Which names of the catalog may stand for services of the mesh.
//!
//! `catalog/services` lists everything by name: services, their sidecars, gateways, Consul itself. A
//! name that has no mesh instance costs a read now and then and is in no table. Most of these are
//! sidecars; what they are called is learned from the rows of the services that they serve, and
//! presumed from the name that Consul gives them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// What Consul appends to the name of a service for that of its sidecar.
const SIDECAR: &str = "-sidecar-proxy";

/// The names of a datacenter.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The gateway's own, which nobody calls.
    own: Box<str>,
    known: BTreeMap<Arc<str>, Known>,
    /// Names that sidecars were seen to have.
    proxies: HashSet<Box<str>>,
    /// What [`waiting`](Self::waiting) says: it is asked for after each answer of the start.
    waiting: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    answered: bool,
    empty: bool,
}

/// How a list of names differs from the one before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) added: Vec<Arc<str>>,
    pub(super) removed: Vec<Arc<str>>,
}

impl Names {
    /// No name yet. `own` is the gateway's.
    pub(super) fn new(own: &str) -> Self {
        Self { own: own.into(), ..Self::default() }
    }

    /// Takes over the list of all names.
    pub(super) fn set<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Delta {
        let mut delta = Delta::default();
        let mut before = std::mem::take(&mut self.known);
        for name in names.filter(|name| *name != "consul") {
            match before.remove_entry(name) {
                Some((name, known)) => drop(self.known.insert(name, known)),
                None => {
                    let name: Arc<str> = name.into();
                    delta.added.push(name.clone());
                    self.known.insert(name, Known::default());
                }
            }
        }
        self.proxies.retain(|proxy| self.known.contains_key(&**proxy));
        delta.removed.extend(before.into_keys());
        let waits = |(name, known): &(&Arc<str>, &Known)| !known.answered && !self.is_uncalled(name);
        self.waiting = self.known.iter().filter(waits).count();
        delta
    }

    /// All names, those that nobody calls last: where there are too many to be read, these can be missed.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        let of = |uncalled: bool| self.known.keys().filter(move |name| self.is_uncalled(name) == uncalled);
        of(false).chain(of(true))
    }

    /// Whether there is such a name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Whether nobody calls this name: it is the gateway's own, or one of sidecars.
    pub(super) fn is_uncalled(&self, name: &str) -> bool {
        *name == *self.own || self.is_proxy(name)
    }

    /// Whether a name is that of sidecars, as far as one can tell without asking.
    fn is_proxy(&self, name: &str) -> bool {
        self.proxies.contains(name)
            || name.strip_suffix(SIDECAR).is_some_and(|served| self.known.contains_key(served))
    }

    /// A service has answered, or will not: it holds up nothing any more.
    pub(super) fn answered(&mut self, name: &str, empty: bool) {
        let Some(known) = self.known.get_mut(name) else { return };
        let first = !std::mem::replace(known, Known { answered: true, empty }).answered;
        if first && !self.is_uncalled(name) {
            self.waiting -= 1;
        }
    }

    /// Sidecars were seen under this name.
    pub(super) fn seen_proxy(&mut self, name: &str) {
        let Some(known) = self.known.get(name).filter(|_| !self.proxies.contains(name)) else { return };
        if !known.answered && !self.is_uncalled(name) {
            self.waiting -= 1;
        }
        self.proxies.insert(name.into());
    }

    /// How many names have not answered and may be services.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Names without mesh instances that may get their first one, unless they are more than `most`.
    pub(super) fn idle(&self, most: usize) -> Vec<Arc<str>> {
        let idle = self.known.iter().filter(|(name, known)| known.empty && !self.is_uncalled(name));
        let names: Vec<_> = idle.map(|(name, _)| name.clone()).take(most + 1).collect();
        if names.len() > most { Vec::new() } else { names }
    }

    /// Names without mesh instances that one of `added` may be a sidecar of.
    pub(super) fn served_by(&self, added: &[Arc<str>]) -> Vec<Arc<str>> {
        let base = |proxy: &Arc<str>| {
            let served = proxy.strip_suffix(SIDECAR)?;
            self.known.get_key_value(served).filter(|(_, known)| known.empty).map(|(name, _)| name.clone())
        };
        added.iter().filter_map(base).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> (Names, Delta) {
        let mut names = Names::default();
        let delta = names.set(list.iter().copied());
        (names, delta)
    }

    fn texts(names: &[Arc<str>]) -> Vec<&str> {
        names.iter().map(|name| &**name).collect()
    }

    #[test]
    fn a_list_is_compared_with_the_one_before() {
        let (mut names, delta) = names(&["consul", "web", "web-sidecar-proxy"]);
        assert_eq!(texts(&delta.added), ["web", "web-sidecar-proxy"]);
        let delta = names.set(["api", "web"].into_iter());
        assert_eq!((texts(&delta.added), texts(&delta.removed)), (vec!["api"], vec!["web-sidecar-proxy"]));
        assert_eq!(names.set(["api", "web"].into_iter()), Delta::default());
    }

    #[test]
    fn sidecars_hold_up_nothing() {
        let (mut names, _) = names(&["web", "web-sidecar-proxy", "lone-sidecar-proxy", "envoy-of-web"]);
        assert!(names.is_proxy("web-sidecar-proxy") && !names.is_proxy("lone-sidecar-proxy"));
        assert_eq!(names.waiting(), 3);
        names.answered("web", false);
        names.seen_proxy("envoy-of-web");
        names.seen_proxy("not a name of the catalog");
        assert!(names.is_proxy("envoy-of-web") && !names.is_proxy("not a name of the catalog"));
        assert_eq!(names.waiting(), 1);
    }

    #[test]
    fn the_gateway_itself_holds_up_nothing() {
        let mut names = Names::new("mesh-gateway");
        names.set(["mesh-gateway", "web"].into_iter());
        assert!(names.is_uncalled("mesh-gateway") && !names.is_uncalled("web"));
        names.answered("mesh-gateway", true);
        assert_eq!((names.waiting(), names.idle(10).len()), (1, 0));
    }

    #[test]
    fn the_first_sidecar_of_a_service_is_noticed_by_its_name() {
        let (mut names, _) = names(&["web", "api", "api-sidecar-proxy"]);
        names.answered("web", true);
        names.answered("api", false);
        names.answered("api-sidecar-proxy", true);
        let delta = names.set(["web", "web-sidecar-proxy", "api", "api-sidecar-proxy"].into_iter());
        assert_eq!(texts(&names.served_by(&delta.added)), ["web"]);
        assert_eq!(texts(&names.idle(10)), ["web"]);
        assert!(names.idle(0).is_empty(), "too many are left to the slow round");
    }

    #[test]
    fn what_waits_is_counted_whatever_comes_in_whatever_order() {
        let lists = [
            &["a", "a-sidecar-proxy", "b", "c", "envoy"][..],
            &["a", "a-sidecar-proxy-sidecar-proxy", "envoy"],
            &["a-sidecar-proxy", "b", "envoy", "d"],
        ];
        let mut names = Names::default();
        for round in 0..600_usize {
            let list = lists[round / 7 % lists.len()];
            let name = list[round * 5 % list.len()];
            match round % 7 {
                0 => drop(names.set(list.iter().copied())),
                1 | 4 => names.seen_proxy(name),
                _ => names.answered(name, round % 2 == 0),
            }
            let waits = |(name, known): &(&Arc<str>, &Known)| !known.answered && !names.is_proxy(name);
            assert_eq!(names.waiting(), names.known.iter().filter(waits).count(), "round {round}");
        }
    }

    #[test]
    fn names_of_sidecars_come_last() {
        let (mut names, _) = names(&["a", "a-sidecar-proxy", "b", "lone-sidecar-proxy", "envoy"]);
        names.seen_proxy("envoy");
        let all: Vec<_> = names.all().map(|name| &**name).collect();
        assert_eq!(all, ["a", "b", "lone-sidecar-proxy", "a-sidecar-proxy", "envoy"]);
    }

    #[test]
    fn what_is_gone_and_comes_again_has_not_answered() {
        let (mut names, _) = names(&["web"]);
        names.answered("web", false);
        names.set(std::iter::empty());
        names.set(["web"].into_iter());
        assert_eq!(names.waiting(), 1);
    }
}
