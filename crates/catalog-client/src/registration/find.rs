//! Which service of an agent the gateway is, when it was told neither name nor ID.

use super::{gateway::GatewayKind, own::OwnService};
use crate::query::AgentServices;

/// What to ask the agent, as Consul's command line does.
#[must_use]
pub fn gateways_of_kind(kind: GatewayKind) -> AgentServices<OwnService> {
    AgentServices::new().filter(&format!("Kind == `{kind}`"))
}

/// Why the agent does not say which service it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None of this kind.
    #[error(
        "no {kind} services registered with this agent: register one with --register, or name one with --proxy-id"
    )]
    None {
        /// The kind.
        kind: GatewayKind,
    },
    /// More than one of this kind.
    #[error(
        "cannot tell which {kind} this is, multiple are registered with the agent ({}): give --proxy-id",
        .ids.join(", ")
    )]
    Several {
        /// The kind.
        kind: GatewayKind,
        /// Their IDs, sorted, at most 10.
        ids: Vec<String>,
    },
}

/// Finds the one service of a kind among those of an agent, whether or not it applied the filter.
///
/// # Errors
/// [`FindError`] when there is none, or more than one.
pub fn only_one<'a>(
    kind: GatewayKind,
    services: impl IntoIterator<Item = &'a OwnService>,
) -> Result<&'a OwnService, FindError> {
    let mut found: Vec<_> = services.into_iter().filter(|service| service.kind == kind.as_str()).collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    match found.as_slice() {
        [] => Err(FindError::None { kind }),
        [only] => Ok(*only),
        several => {
            Err(FindError::Several { kind, ids: several.iter().take(10).map(|own| own.id.clone()).collect() })
        }
    }
}
