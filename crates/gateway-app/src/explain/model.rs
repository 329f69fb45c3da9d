//! The answer as a value. Its JSON is part of the interface.

use serde::Serialize;

/// What a connection with one server name meets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The name that was asked for.
    pub asked: String,
    /// The name as it is looked up.
    pub name: String,
    /// What the parts of the name mean; empty if it is not a name of the mesh.
    pub parts: Vec<Part>,
    /// Why it is not a name of the mesh, if it is not. A `[[Route]]` may still have it.
    pub not_of_the_mesh: Option<String>,
    /// Where it leads.
    pub routed: Option<Routed>,
    /// Why it leads nowhere.
    pub refused: Option<Refusal>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// One part of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `service`, `datacenter` …
    pub part: &'static str,
    /// Its value in this name.
    pub value: String,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Routed {
    /// The name of the table that matched; of a wildcard with its `*.`.
    pub name: String,
    /// The kind of rule that put it there, as in logs and metrics.
    pub rule: &'static str,
    /// What that rule says, for a person.
    pub because: String,
    /// The label of logs and metrics.
    pub service: String,
    /// How an endpoint is chosen.
    pub balancer: String,
    /// Time for connecting, all attempts together.
    pub connect_timeout: Sourced,
    /// Open connections of the name, `none` without a limit.
    pub max_connections: Sourced,
    /// Connections of the name that wait for their endpoint.
    pub max_pending: Sourced,
    /// When an endpoint is left out.
    pub ejection: String,
    /// All endpoints, those that are not used included; at most 1,000.
    pub endpoints: Vec<ExplainedEndpoint>,
    /// How many there are.
    pub endpoints_total: usize,
    /// How many of them are healthy.
    pub endpoints_healthy: usize,
    /// The row of `/endpoints` of the running gateway, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<serde_json::Value>,
}

/// A value with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sourced {
    /// As a person writes it.
    pub value: String,
    /// The document or the origin of the setting.
    pub from: String,
}

impl Sourced {
    pub(super) fn new(value: impl Into<String>, from: impl Into<String>) -> Self {
        Self { value: value.into(), from: from.into() }
    }
}

/// One endpoint, as the documents have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedEndpoint {
    /// Address or host name, with its port.
    pub address: String,
    /// Id of the instance.
    pub instance: String,
    /// Share of the connections.
    pub weight: u16,
    /// Whether its checks let it be used.
    pub healthy: bool,
    /// Whether a new connection may be given to it.
    pub used: bool,
    /// Why, or why not.
    pub why: &'static str,
}

/// Why a name leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The reason, as in logs and metrics.
    pub reason: &'static str,
    /// What that reason means.
    pub meaning: &'static str,
    /// What is missing, as far as it can be told.
    pub because: String,
    /// Known names that look like it.
    pub near: Vec<String>,
}
