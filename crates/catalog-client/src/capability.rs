//! What this Consul can do, found by asking and not by its version (consul-api 4.4 and 9).
//!
//! [`Capabilities::probe`] asks about each [`Feature`] once: at the start, and again when the agent
//! came back, since it may be another. [`Known`] decides what of the findings is acted upon: what got
//! lost at once, what is new only when it stays (consul-api 5.6). A failed question is no answer; it
//! is asked again.

mod classify;
mod facts;
mod known;
mod probe;

pub use classify::{Finding, Verdict};
pub use facts::{AgentFacts, TokenFacts};
pub use known::{CapabilityConfig, Known};

use std::collections::BTreeMap;

/// Something that not every Consul can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `config/` without a kind lists the entries of all kinds.
    AllKinds,
    /// The config entry `mesh` (1.10).
    MeshEntry,
    /// Intentions are config entries (1.9).
    IntentionEntries,
    /// Cluster peering (1.13), and it is switched on.
    Peering,
    /// `exported-services` as an endpoint (1.17.3).
    ExportedServices,
    /// `catalog/services` honours `?filter=ServiceKind ...` (1.14, whole since 1.17).
    KindFilter,
    /// `internal/federation-states/mesh-gateways` (1.8).
    FederationStates,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AllKinds,
        Self::MeshEntry,
        Self::IntentionEntries,
        Self::Peering,
        Self::ExportedServices,
        Self::KindFilter,
        Self::FederationStates,
    ];

    /// The word for pages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllKinds => "all_kinds",
            Self::MeshEntry => "mesh_entry",
            Self::IntentionEntries => "intention_entries",
            Self::Peering => "peering",
            Self::ExportedServices => "exported_services",
            Self::KindFilter => "kind_filter",
            Self::FederationStates => "federation_states",
        }
    }
}

/// What was found, or is acted upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    features: BTreeMap<Feature, Finding>,
    /// What the agent says about itself; `None` where the token may not ask, or it failed.
    pub agent: Option<AgentFacts>,
    /// Whether and why [`agent`](Self::agent) is known.
    pub agent_self: Finding,
    /// What is known of the token.
    pub token: TokenFacts,
}

/// A line of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The feature.
    pub name: &'static str,
    /// `yes`, `no`, `not_permitted` or `unknown`.
    pub verdict: &'static str,
    /// What Consul said; may be empty.
    pub detail: String,
}

impl Capabilities {
    /// What was found about a feature.
    #[must_use]
    pub fn finding(&self, feature: Feature) -> &Finding {
        const NOTHING: &Finding = &Finding { verdict: Verdict::Unknown, detail: String::new() };
        self.features.get(&feature).unwrap_or(NOTHING)
    }

    /// Whether the feature can be used.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.finding(feature).verdict == Verdict::Yes
    }

    /// Sets a finding: by a probe, or by whoever uses the feature and learned better.
    pub fn set(&mut self, feature: Feature, finding: Finding) {
        self.features.insert(feature, finding);
    }

    /// Whether every question is answered. Those that are not are asked again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let features = Feature::ALL.iter().all(|feature| self.finding(*feature).verdict != Verdict::Unknown);
        features && self.agent_self.verdict != Verdict::Unknown && self.token != TokenFacts::Unknown
    }

    /// One row for each feature, the agent and the token.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let row = |name, finding: &Finding| Row {
            name,
            verdict: finding.verdict.as_str(),
            detail: finding.detail.clone(),
        };
        let mut rows: Vec<_> =
            Feature::ALL.iter().map(|feature| row(feature.as_str(), self.finding(*feature))).collect();
        let mut agent = row("agent_self", &self.agent_self);
        if let Some(facts) = &self.agent {
            agent.detail = facts.to_string();
        }
        rows.push(agent);
        rows.push(Row { name: "token", verdict: self.token.verdict(), detail: self.token.to_string() });
        rows
    }
}
