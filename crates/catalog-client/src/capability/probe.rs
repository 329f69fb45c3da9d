//! Asks.

use super::{
    Capabilities, Feature,
    classify::Finding,
    facts::{TokenFacts, agent},
};
use crate::{
    Client,
    error::Error,
    query::{
        AgentSelf, Answer, Ask, ConfigEntry, ConfigList, ExportedServices, FederationGateways, Peerings,
        Query, TokenSelf,
    },
};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::IgnoredAny;
use std::time::Duration;

/// No service is of this kind.
const NOTHING: &str = "ServiceKind == \"no-such-kind\"";
/// Its opposite.
const EVERYTHING: &str = "ServiceKind != \"no-such-kind\"";

impl Capabilities {
    /// Asks about everything, once, at most six things at a time. Cheap but for two answers that grow:
    /// all config entries, and the names of all services. `own` is a service name that the token may
    /// read, best the own one.
    ///
    /// It does not fail: what cannot be found out is [`Unknown`](super::Verdict::Unknown).
    pub async fn probe(client: &Client, own: &str) -> Self {
        let (kinds, mesh, intentions, peering, exported, federation) = tokio::join!(
            ask(client, ConfigList::<IgnoredAny>::all()),
            ask(client, ConfigEntry::<IgnoredAny>::new("mesh", "mesh")),
            ask(client, ConfigEntry::<IgnoredAny>::new("service-intentions", own)),
            ask(client, Peerings::<IgnoredAny>::new()),
            ask(client, ExportedServices::<IgnoredAny>::new()),
            ask(client, FederationGateways::<IgnoredAny>::new()),
        );
        let (nothing, everything, itself, token) = tokio::join!(
            ask(client, FilteredServices { filter: NOTHING }),
            ask(client, FilteredServices { filter: EVERYTHING }),
            ask(client, AgentSelf),
            ask(client, TokenSelf),
        );
        let (agent_self, agent) = agent(&itself);
        let mut found = Self { agent, agent_self, token: TokenFacts::of(&token), ..Self::default() };
        found.set(Feature::AllKinds, Finding::of_list(&kinds));
        found.set(Feature::MeshEntry, Finding::of(&mesh));
        found.set(Feature::IntentionEntries, Finding::of(&intentions));
        found.set(Feature::Peering, Finding::of(&peering));
        found.set(Feature::ExportedServices, Finding::of(&exported));
        found.set(Feature::KindFilter, Finding::of_filter(&nothing, &everything));
        found.set(Feature::FederationStates, Finding::of(&federation));
        found
    }
}

async fn ask(client: &Client, query: impl Query) -> Result<Answer, Error> {
    client.ask(&query, &Ask::Now, Duration::ZERO).await
}

/// The names of the services that fit a filter; it is only looked at how many there are.
#[derive(Clone, Debug)]
struct FilteredServices {
    filter: &'static str,
}

impl Query for FilteredServices {
    type Document = Bytes;

    fn endpoint(&self) -> &'static str {
        "catalog/services"
    }

    fn path(&self) -> String {
        format!("/v1/catalog/services?filter={}", utf8_percent_encode(self.filter, NON_ALPHANUMERIC))
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        "service_prefix \"\" { policy = \"read\" }".to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Bytes, String> {
        Ok(body.clone())
    }
}
