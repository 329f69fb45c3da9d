//! The writes themselves: path, body, the right they need.

use super::{body, gateway::GatewayRegistration};
use crate::client::{Method, Write};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;

/// Whom the gateway registers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The agent of this host, which runs the check and keeps the registration.
    Agent,
    /// The catalog itself, on a node of its own: nobody else runs the check or removes it.
    Catalog {
        /// Node name. Must not be the name of an agent.
        node: String,
        /// Address of the node.
        address: String,
        /// Meta data of the node.
        node_meta: BTreeMap<String, String>,
    },
}

impl Place {
    /// Registers. `failure` makes the check critical where nobody else runs it ([`Place::Catalog`]).
    #[must_use]
    pub fn register(&self, it: &GatewayRegistration, failure: Option<&str>) -> Write {
        match self {
            // Without the parameter checks of an older registration stay, maintenance above all.
            Self::Agent => Write {
                body: Some(body::agent_service(it)),
                ..put(
                    "agent/service/register",
                    "agent/service/register?replace-existing-checks=true",
                    it.rule(),
                )
            },
            Self::Catalog { node, address, node_meta } => {
                let body = body::catalog_service(it, node, address, node_meta, failure);
                Write {
                    body: Some(body),
                    ..put("catalog/register", "catalog/register", catalog_rule(it, node))
                }
            }
        }
    }

    /// Removes the service. A 404 is as good as a 200.
    #[must_use]
    pub fn deregister(&self, it: &GatewayRegistration) -> Write {
        match self {
            Self::Agent => {
                let path = format!("agent/service/deregister/{}", encoded(&it.id));
                put("agent/service/deregister", &path, it.rule())
            }
            Self::Catalog { node, .. } => removal(it, node, Some(&it.id)),
        }
    }
}

/// Removes a node with whatever is on it.
pub(super) fn remove_node(it: &GatewayRegistration, node: &str) -> Write {
    removal(it, node, None)
}

/// Switches the agent's maintenance mode of the service on (with a reason) or off.
pub(super) fn maintenance(it: &GatewayRegistration, reason: Option<&str>) -> Write {
    let id = encoded(&it.id);
    let path = match reason {
        Some(reason) => {
            format!("agent/service/maintenance/{id}?enable=true&reason={}", encoded(reason))
        }
        None => format!("agent/service/maintenance/{id}?enable=false"),
    };
    put("agent/service/maintenance", &path, it.rule())
}

/// As a segment of a path, or a value of a parameter; dots too, so that `..` is a name.
pub(super) fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn removal(it: &GatewayRegistration, node: &str, service: Option<&str>) -> Write {
    let body: Bytes = body::catalog_removal(node, service);
    Write { body: Some(body), ..put("catalog/deregister", "catalog/deregister", catalog_rule(it, node)) }
}

fn put(endpoint: &'static str, path: &str, rule: String) -> Write {
    Write { method: Method::Put, path: format!("/v1/{path}"), body: None, rule, endpoint }
}

fn catalog_rule(it: &GatewayRegistration, node: &str) -> String {
    format!("node {node:?} {{ policy = \"write\" }} {}", it.rule())
}
