//! Everything that is known of one linked service.

use super::{compile::Piece, input::LinkRow, leaf::LeafSlot, origination::OriginationSlot, trust::Mesh};
use intentions::{DefaultPolicy, Destination, Intention, RuleSet};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct ServiceSlot<M> {
    pub(super) link: LinkRow,
    /// `None`: not known yet.
    pub(super) instances: Option<Box<[M]>>,
    /// `None`: not known yet, which is not the same as none.
    pub(super) intentions: Option<Vec<Arc<Intention>>>,
    pub(super) leaf: LeafSlot,
    pub(super) origination: OriginationSlot,
    /// What whoever asks is still waiting for.
    pub(super) waiting: Option<Arc<str>>,
    /// Another link has its name in the mesh.
    pub(super) same_name: Option<Arc<str>>,
    rules: Option<Arc<RuleSet>>,
    /// The intentions are others than those that `rules` were made of.
    pub(super) rules_are_old: bool,
    /// What it came to last.
    pub(super) piece: Option<Piece>,
}

impl<M> ServiceSlot<M> {
    pub(super) fn new(link: LinkRow) -> Self {
        Self {
            link,
            instances: None,
            intentions: None,
            leaf: LeafSlot::default(),
            origination: OriginationSlot::default(),
            waiting: None,
            same_name: None,
            rules: None,
            rules_are_old: true,
            piece: None,
        }
    }

    /// The rules for `destination`; the same allocation as before where they are equal. Intentions that are not
    /// known deny.
    pub(super) fn rules(
        &mut self,
        destination: &Destination,
        default: DefaultPolicy,
        mesh: &Mesh,
    ) -> Arc<RuleSet> {
        if let Some(rules) = self.rules.as_ref().filter(|_| !self.rules_are_old) {
            return rules.clone();
        }
        let rules = match &self.intentions {
            Some(intentions) => RuleSet::compile(destination, intentions, default, &mesh.local),
            None => RuleSet::compile(destination, [], DefaultPolicy::Deny, &mesh.local),
        };
        let same = self.rules.as_ref().filter(|before| {
            ***before == rules
                && before.problems() == rules.problems()
                && before.shadowed() == rules.shadowed()
        });
        let rules = same.cloned().unwrap_or_else(|| Arc::new(rules));
        self.rules = Some(rules.clone());
        self.rules_are_old = false;
        rules
    }
}
