//! Lists of instances that have lost all their rows are held back until it is clear that the token sees nodes.

use super::{super::driver::Core, Answer, Mesh};
use catalog_client::health::HealthEntry;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The gateways of each datacenter.
type States = BTreeMap<Box<str>, Vec<HealthEntry>>;

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    pub(super) services: BTreeSet<Arc<str>>,
    states: Option<States>,
}

impl Mesh {
    /// Whether a service that has lost its last row has to wait until it is clear why.
    pub(super) fn doubts_service(&mut self, core: &mut Core<Answer>, name: &Arc<str>) -> bool {
        if !core.sight.can_doubt() || !self.assembler.has_service(name) {
            return false;
        }
        self.doubt.services.insert(name.clone());
        core.sight.doubt();
        true
    }

    /// The same for the federation states, if another datacenter has lost all its gateways.
    pub(super) fn doubts_states(&mut self, core: &mut Core<Answer>, states: &States) -> bool {
        if !core.sight.can_doubt() || !self.assembler.loses_datacenter(states) {
            self.doubt.states = None;
            return false;
        }
        self.doubt.states = Some(states.clone());
        core.sight.doubt();
        true
    }

    /// It has rows, or is no name any more: there is nothing to doubt.
    pub(super) fn no_doubt_of(&mut self, name: &str) {
        self.doubt.services.remove(name);
    }

    /// The token sees nodes: what is empty is empty.
    pub(super) fn settle_doubt(&mut self, core: &mut Core<Answer>) {
        for name in std::mem::take(&mut self.doubt.services) {
            self.take_rows(core, &name, Vec::new());
        }
        if let Some(states) = self.doubt.states.take() {
            self.assembler.set_federation_states(states);
        }
    }
}
