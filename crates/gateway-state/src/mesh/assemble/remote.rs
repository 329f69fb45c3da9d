//! Which gateways lead to another datacenter, of the two lists that there are.
//!
//! The federation states come through the primary datacenter; the other list is asked in that
//! datacenter itself, so its answer comes through the very gateways that it names. After these have
//! moved only the first can be news, and else the second is quicker. The newer one wins, as a whole
//! (mesh-gateway 3.3; indexes are those of that datacenter in both, so they compare).

use crate::mesh::{
    Target,
    compile::answers::{self, Base},
};
use catalog_client::health::HealthEntry;
use mesh_id::Partition;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

#[derive(Debug, Default)]
pub(super) struct Remotes {
    by_datacenter: BTreeMap<Box<str>, Remote>,
    targets: Vec<Arc<Target>>,
}

#[derive(Debug, Default)]
struct Remote {
    /// `/v1/internal/federation-states/mesh-gateways`
    replicated: Vec<HealthEntry>,
    /// `/v1/health/service/<gateway>?dc=`
    asked: Vec<HealthEntry>,
    problems: Vec<String>,
}

impl Remotes {
    /// Takes over the federation states of all datacenters.
    pub(super) fn set_replicated(&mut self, mut gateways: BTreeMap<Box<str>, Vec<HealthEntry>>) {
        for (datacenter, remote) in &mut self.by_datacenter {
            remote.replicated = gateways.remove(datacenter).unwrap_or_default();
        }
        for (datacenter, replicated) in gateways {
            self.by_datacenter.insert(datacenter, Remote { replicated, ..Remote::default() });
        }
    }

    /// Whether a datacenter that has gateways has none in these.
    pub(super) fn lose(&self, states: &BTreeMap<Box<str>, Vec<HealthEntry>>) -> bool {
        self.by_datacenter.iter().any(|(datacenter, remote)| {
            !remote.replicated.is_empty() && states.get(datacenter).is_none_or(Vec::is_empty)
        })
    }

    /// Takes over what one datacenter answered itself.
    pub(super) fn set_asked(&mut self, datacenter: &str, gateways: Vec<HealthEntry>) {
        self.by_datacenter.entry(datacenter.into()).or_default().asked = gateways;
    }

    /// Forgets answers of datacenters that are not in this list. True if there were any.
    pub(super) fn keep(&mut self, datacenters: &BTreeSet<String>) -> bool {
        let mut changed = false;
        for (datacenter, remote) in &mut self.by_datacenter {
            if !remote.asked.is_empty() && !datacenters.contains(&**datacenter) {
                remote.asked.clear();
                changed = true;
            }
        }
        changed
    }

    /// Compiles all of them: they are few. Returns how many differ from before.
    pub(super) fn compile(&mut self, base: Base<'_>, only_first_name: bool) -> u64 {
        self.by_datacenter.retain(|_, remote| !(remote.replicated.is_empty() && remote.asked.is_empty()));
        self.targets.clear();
        let mut compiled = 0;
        for (datacenter, remote) in &mut self.by_datacenter {
            // Names of the own datacenter never lead to a gateway; other datacenters know only the
            // default partition.
            if datacenter.eq_ignore_ascii_case(&base.own.datacenter)
                || *base.own.partition != *Partition::DEFAULT
            {
                continue;
            }
            let rows = newer(&remote.replicated, &remote.asked);
            let lower = datacenter.to_ascii_lowercase();
            let piece = answers::remote(base, &lower, Partition::DEFAULT, rows, only_first_name);
            compiled += piece.compiled;
            self.targets.extend(piece.targets);
            remote.problems = piece.problems;
        }
        compiled
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter()
    }

    /// Endpoint and what is wrong with its answer.
    pub(super) fn problems(&self) -> impl Iterator<Item = (String, &String)> {
        self.by_datacenter.iter().flat_map(|(datacenter, remote)| {
            remote.problems.iter().map(move |problem| (format!("federation-state/{datacenter}"), problem))
        })
    }
}

/// The list with the newest row; of two that are as new the one that was asked.
fn newer<'a>(replicated: &'a [HealthEntry], asked: &'a [HealthEntry]) -> &'a [HealthEntry] {
    let newest = |rows: &[HealthEntry]| rows.iter().map(|row| row.service.modify_index).max();
    if newest(replicated) > newest(asked) { replicated } else { asked }
}
