//! Who the agent is, what this Consul can, and whether it grants as many connections as are wanted.

use bytes::Bytes;
use catalog_client::Query;
use catalog_client::capability::{Capabilities, Row, TokenFacts, Verdict};
use catalog_client::client::Protocol;
use catalog_client::query::{Blocking, CatalogDatacenters, decode_object};
use serde::Deserialize;

use super::super::report::Report;
use crate::catalog::once::Asking;
use crate::explain::has_token;
use crate::settings::ConsulSettings;

/// Connections that an agent grants one address unless it is told otherwise.
const USUAL: u64 = 200;

/// False if nothing can be asked with this token.
pub(super) fn look(
    asking: &Asking<'_>,
    consul: &ConsulSettings,
    capabilities: &Capabilities,
    report: &mut Report<'_>,
) -> bool {
    let datacenters = asking.ask(&CatalogDatacenters).ok().flatten().unwrap_or_default();
    token(consul, &capabilities.token, datacenters.len(), report);
    if capabilities.token == TokenFacts::Nobody && has_token(consul) {
        return false;
    }
    who(consul, capabilities, report);
    for row in capabilities.rows().iter().filter(|row| !["agent_self", "token"].contains(&row.name)) {
        feature(row, report);
    }
    let granted = asking.ask(&Limits).ok().flatten().flatten();
    budget(consul.tuning.limits.connections as u64, granted, asking.client().status().protocol, report);
    true
}

fn who(consul: &ConsulSettings, capabilities: &Capabilities, report: &mut Report<'_>) {
    let what = "agent";
    let Some(agent) = &capabilities.agent else {
        let why = &capabilities.agent_self.detail;
        let rule = "agent_prefix \"\" { policy = \"read\" }";
        let message = format!("it does not say who it is ({why}): its version is not known");
        return match (capabilities.agent_self.verdict, &consul.datacenter) {
            (Verdict::NotPermitted, Some(datacenter)) => {
                report.ok(what, format!("{message}; the datacenter is {datacenter} by the settings"));
            }
            (Verdict::NotPermitted, None) => report.warn(
                what,
                format!(
                    "{message}, and its datacenter is read of the gateway's registration; give the token {rule}, or \
                     --datacenter"
                ),
            ),
            _ => report.warn(what, format!("{message}; ask again")),
        };
    };
    report.ok(what, agent.to_string());
    let theirs = &*agent.info.datacenter;
    if let Some(wanted) = consul.datacenter.as_deref().filter(|wanted| !wanted.eq_ignore_ascii_case(theirs)) {
        report.warn(
            what,
            format!("it is of datacenter {theirs}, and --datacenter is {wanted}: the gateway serves that from afar; use an agent there"),
        );
    }
}

/// `datacenters`: how many there are.
fn token(consul: &ConsulSettings, facts: &TokenFacts, datacenters: usize, report: &mut Report<'_>) {
    let what = "token";
    match facts {
        TokenFacts::AclsOff => report.ok(what, "ACLs are off: whatever is asked is allowed"),
        TokenFacts::Known { local: true, .. } if datacenters > 1 => report.warn(
            what,
            format!(
                "{facts}: in the {} other datacenters it counts as anonymous, and their gateways may not be seen; use \
                 a global one",
                datacenters - 1
            ),
        ),
        TokenFacts::Known { .. } => report.ok(what, facts.to_string()),
        TokenFacts::Nobody if has_token(consul) => report.fail(
            what,
            "Consul does not know it, or it has expired: give one that exists (--token-file, CONSUL_HTTP_TOKEN_FILE)",
        ),
        TokenFacts::Nobody => report.warn(
            what,
            "none is given, and ACLs are on: the agent's default token, or the anonymous one, decides; give one with \
             --token-file",
        ),
        TokenFacts::Unknown => report.warn(what, "Consul does not say what it is; ask again"),
    }
}

fn feature(row: &Row, report: &mut Report<'_>) {
    let Row { name, verdict, detail } = row;
    let what = "feature";
    let says_nothing = detail.is_empty() || detail.contains("does not have it");
    let detail = if says_nothing { String::new() } else { format!(" ({detail})") };
    match *verdict {
        "yes" => report.ok(what, format!("{name}: there")),
        "no" => report.ok(what, format!("{name}: not in this Consul{detail}; done without")),
        // No feature is needed: without it other questions are asked, or none.
        "not_permitted" => report.ok(what, format!("{name}: the token may not use it{detail}; done without")),
        _ => report.warn(what, format!("{name}: not found out{detail}; ask again")),
    }
}

/// `granted`: to one address; `None`: the agent does not say it.
fn budget(wanted: u64, granted: Option<u64>, protocol: Option<Protocol>, report: &mut Report<'_>) {
    let what = "connections";
    let limit = granted.unwrap_or(USUAL);
    let says = match granted {
        Some(0) => {
            return report.ok(what, format!("up to {wanted}; the agent sets no limit for one address"));
        }
        Some(limit) => format!("the agent grants one address {limit} (limits.http_max_conns_per_client)"),
        None => format!("an agent grants one address {USUAL}, unless it is told otherwise"),
    };
    let way_out = "lower limits.consul_connections, or raise the agent's limit";
    match protocol {
        _ if wanted > limit => report.fail(what, format!("up to {wanted} are wanted, {says}; {way_out}")),
        Some(Protocol::Http2) => report.ok(what, format!("a few, shared by all questions (HTTP/2); {says}")),
        _ if wanted.saturating_mul(2) > limit => report.warn(
            what,
            format!(
                "up to {wanted} are used, {says}: a second gateway on this host has no room beside; {way_out}"
            ),
        ),
        _ => report.ok(what, format!("up to {wanted} are used, {says}")),
    }
}

/// `limits.http_max_conns_per_client`, where the agent tells its configuration.
#[derive(Clone, Copy, Debug)]
struct Limits;

impl Query for Limits {
    type Document = Option<u64>;

    fn endpoint(&self) -> &'static str {
        "agent/self"
    }

    fn path(&self) -> String {
        "/v1/agent/self".to_owned()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Never
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn decode(&self, body: &Bytes) -> Result<Option<u64>, String> {
        #[derive(Deserialize)]
        struct Agent {
            #[serde(rename = "DebugConfig", default)]
            config: Config,
        }
        #[derive(Default, Deserialize)]
        struct Config {
            #[serde(rename = "HTTPMaxConnsPerClient")]
            most: Option<i64>,
        }
        // Zero and below switch it off.
        let most = decode_object::<Agent>(body)?.config.most;
        Ok(most.map(|most| u64::try_from(most).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::reported;
    use super::*;
    use catalog_client::config::{Secret, TokenSource};

    #[test]
    fn the_budget_is_compared_with_what_the_agent_grants() {
        let said = |wanted, granted, protocol| reported(|report| budget(wanted, granted, protocol, report));
        let plain = Some(Protocol::Http1);
        assert!(
            said(64, Some(200), plain)
                .1
                .starts_with("OK    connections: up to 64 are used, the agent grants")
        );
        let (good, text) = said(64, Some(100), plain);
        assert!(good && text.starts_with("WARN") && text.contains("a second gateway"), "{text}");
        let (good, text) = said(64, Some(50), Some(Protocol::Http2));
        assert!(!good && text.contains("raise the agent's limit"), "{text}");
        assert!(said(64, Some(100), Some(Protocol::Http2)).1.contains("shared by all questions"));
        assert!(said(300, Some(0), plain).1.contains("sets no limit"));
        assert!(said(64, None, None).1.contains("grants one address 200, unless"));
    }

    #[test]
    fn the_agents_limit_is_read_where_it_is_told() {
        let read = |text: &'static str| Limits.decode(&Bytes::from_static(text.as_bytes()));
        assert_eq!(read(r#"{"DebugConfig":{"HTTPMaxConnsPerClient":200}}"#), Ok(Some(200)));
        assert_eq!(read(r#"{"DebugConfig":{"HTTPMaxConnsPerClient":-1}}"#), Ok(Some(0)));
        assert_eq!(read(r#"{"Config":{}}"#), Ok(None));
    }

    #[test]
    fn a_token_that_is_nobodys_fails_and_none_is_warned_of() {
        let mut consul = ConsulSettings::default();
        let said = |consul: &ConsulSettings, facts: &TokenFacts, datacenters| {
            reported(|report| token(consul, facts, datacenters, report))
        };
        assert!(said(&consul, &TokenFacts::AclsOff, 1).1.starts_with("OK  "));
        assert!(said(&consul, &TokenFacts::Nobody, 1).1.starts_with("WARN  token: none is given"));
        consul.tokens = vec![TokenSource::Value(Secret::new("8f246b77"))];
        let (good, text) = said(&consul, &TokenFacts::Nobody, 1);
        assert!(!good && text.contains("does not know it") && !text.contains("8f246b77"), "{text}");
        let local = TokenFacts::Known { accessor: "a".to_owned(), expires: None, local: true };
        assert!(said(&consul, &local, 1).1.starts_with("OK  "));
        assert!(said(&consul, &local, 3).1.contains("in the 2 other datacenters it counts as anonymous"));
    }

    #[test]
    fn an_agent_that_may_not_be_asked_costs_the_datacenter_only() {
        let mut consul = ConsulSettings::default();
        let mut unknown = Capabilities::default();
        unknown.agent_self.verdict = Verdict::NotPermitted;
        let said = |consul: &ConsulSettings| reported(|report| who(consul, &unknown, report));
        assert!(said(&consul).1.contains("give the token agent_prefix"), "{}", said(&consul).1);
        consul.datacenter = Some("dc1".to_owned());
        assert!(said(&consul).1.starts_with("OK  "));
    }
}
