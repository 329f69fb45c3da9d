//! What the token may: each rule that the gateway needs, granted or missing.
//!
//! Consul is asked rule by rule where it answers that (`internal/acl/authorize`, from 1.8, no promise
//! of Consul's); else what can be seen decides: reads that the token may not make are answered with
//! less, and not with an error.

use catalog_client::Error;
use catalog_client::capability::{Capabilities, TokenFacts};
use catalog_client::client::{Method, Write};
use catalog_client::error::Class;
use catalog_client::query::{CatalogServices, HealthService, decode_json};
use serde::{Deserialize, Serialize};

use super::super::report::Report;
use crate::catalog::once::Asking;
use crate::settings::{ConsulSettings, OwnService, Register, Role};

/// Every server is registered under this name, in every datacenter.
const SERVERS: &str = "consul";

/// A rule, and what goes wrong without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    resource: &'static str,
    /// The name that the rule is about; empty: all of them.
    name: String,
    access: &'static str,
    /// What fails without it.
    without: &'static str,
}

impl Need {
    fn new(resource: &'static str, name: &str, access: &'static str, without: &'static str) -> Self {
        Self { resource, name: name.to_owned(), access, without }
    }

    /// As Consul writes rules.
    fn rule(&self) -> String {
        let Self { resource, name, access, .. } = self;
        let prefix = if name.is_empty() { "_prefix" } else { "" };
        format!("{resource}{prefix} {name:?} {{ policy = \"{access}\" }}")
    }
}

/// What a gateway needs.
pub(super) fn needs(role: Role, service: &str, own: &OwnService) -> Vec<Need> {
    let mut needs = vec![
        Need::new("service", "", "read", "services that the token may not read are left out without a word"),
        Need::new("node", "", "read", "endpoints on nodes that it may not read are left out without a word"),
    ];
    if role == Role::Terminating {
        needs.push(Need::new(
            "service",
            "",
            "write",
            "linked services that the token may not write get no certificate, so they are not served; a rule for each \
             linked service does, too",
        ));
    }
    if let OwnService::Register(Register { node, .. }) = own {
        needs.push(Need::new("service", service, "write", "the gateway cannot register"));
        if let Some(node) = node {
            needs.push(Need::new(
                "node",
                node,
                "write",
                "the gateway cannot enter its node into the catalog",
            ));
        }
    }
    needs
}

/// What is known of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Granted {
    Yes,
    No,
    /// For some names it is there and for others not.
    Partly,
    /// Nothing is to be seen, for want of it or of the other reading rule.
    Hidden,
    Unknown,
}

/// What the token gets to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The servers' name among all names.
    name: bool,
    /// The servers' endpoints.
    endpoints: bool,
    /// Consul says that names or endpoints were left out.
    filtered: bool,
}

pub(super) fn look(
    asking: &Asking<'_>,
    consul: &ConsulSettings,
    needs: &[Need],
    capabilities: &Capabilities,
    report: &mut Report<'_>,
) {
    if capabilities.token == TokenFacts::AclsOff {
        return;
    }
    let answers = authorize(asking, needs);
    let seen = match seen(asking) {
        Ok(seen) => Some(seen),
        Err(error) => {
            report.fail("right", error.to_string());
            None
        }
    };
    // The servers are in the default partition only.
    let seen = seen.filter(|_| consul.partition.is_none());
    for (at, need) in needs.iter().enumerate() {
        let answer = answers.as_ref().ok().and_then(|answers| answers.get(at).copied());
        say(need, judge(need, answer, seen), report);
    }
    if let Err(error) = answers
        && !matches!(error.class(), Class::Unsupported)
    {
        report.warn("right", format!("Consul does not say what the token may: {error}"));
    }
}

fn say(need: &Need, granted: Granted, report: &mut Report<'_>) {
    let (what, rule) = ("right", need.rule());
    match granted {
        Granted::Yes => report.ok(what, format!("{rule} is granted")),
        Granted::No => {
            report.fail(what, format!("{rule} is missing: {}; add it to a policy of the token", need.without));
        }
        Granted::Partly => report.warn(
            what,
            format!(
                "{rule} is granted for some and not for all: {}; add it to a policy of the token",
                need.without
            ),
        ),
        Granted::Hidden => report.fail(
            what,
            format!(
                "nothing is to be seen: {rule} is missing, or the other rule for reading; add both to a policy of the \
                 token"
            ),
        ),
        Granted::Unknown => report.warn(
            what,
            format!("{rule} is needed, and this Consul does not tell without a try whether it is granted"),
        ),
    }
}

/// Puts together what Consul says about a rule and what can be seen. Newer versions show no name without
/// the right to a node that has it.
fn judge(need: &Need, answer: Option<bool>, seen: Option<Seen>) -> Granted {
    let read = |resource| need.resource == resource && need.name.is_empty() && need.access == "read";
    let evidence = match seen {
        Some(Seen { name, filtered, .. }) if read("service") => Some((name, filtered)),
        Some(Seen { endpoints, .. }) if read("node") => Some((endpoints, false)),
        _ => None,
    };
    let names = seen.is_some_and(|seen| seen.name);
    match (answer, evidence) {
        (Some(true) | None, Some((true, true))) | (Some(false), Some((true, _))) => Granted::Partly,
        (Some(true), _) | (None, Some((true, false))) => Granted::Yes,
        (Some(false), _) => Granted::No,
        // The name without its endpoints: it is the node.
        (None, Some((false, _))) if names => Granted::No,
        (None, Some((false, _))) => Granted::Hidden,
        (None, None) => Granted::Unknown,
    }
}

fn seen(asking: &Asking<'_>) -> Result<Seen, Error> {
    let (names, names_filtered) = asking.ask_all(&CatalogServices::new())?;
    let (servers, _) = asking.ask_all(&<HealthService>::new(SERVERS))?;
    Ok(Seen {
        name: names.iter().any(|(name, _)| name == SERVERS),
        endpoints: !servers.is_empty(),
        filtered: names_filtered,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    resource: &'a str,
    segment: &'a str,
    access: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Allowed {
    allow: bool,
}

/// Asks about each rule; the answers are in the order of the questions.
fn authorize(asking: &Asking<'_>, needs: &[Need]) -> Result<Vec<bool>, Error> {
    let questions: Vec<_> = needs
        .iter()
        .map(|need| Question { resource: need.resource, segment: &need.name, access: need.access })
        .collect();
    // Strings are always JSON.
    let body = serde_json::to_vec(&questions).unwrap_or_default();
    let endpoint = "internal/acl/authorize";
    let question = Write {
        method: Method::Post,
        path: format!("/v1/{endpoint}"),
        body: Some(body.into()),
        rule: String::new(),
        endpoint,
    };
    let answer = asking.post(&question)?;
    let allowed: Vec<Allowed> = decode_json(&answer).unwrap_or_default();
    Ok(allowed.into_iter().map(|allowed| allowed.allow).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::reported;
    use super::*;

    const ALL: Seen = Seen { name: true, endpoints: true, filtered: false };

    fn register(node: Option<&str>) -> OwnService {
        OwnService::Register(Register {
            id: "gw".to_owned(),
            node: node.map(str::to_owned),
            address: None,
            deregister_after_critical: std::time::Duration::from_secs(3600),
            deregister_on_exit: false,
        })
    }

    #[test]
    fn the_rules_are_those_of_what_is_done() {
        let rules = |own: &OwnService| {
            needs(Role::Mesh, "mesh-gateway", own).iter().map(Need::rule).collect::<Vec<_>>()
        };
        let read = ["service_prefix \"\" { policy = \"read\" }", "node_prefix \"\" { policy = \"read\" }"];
        assert_eq!(rules(&OwnService::OnlyOne), read);
        assert_eq!(rules(&register(None))[2..], ["service \"mesh-gateway\" { policy = \"write\" }"]);
        assert_eq!(rules(&register(Some("edge")))[3..], ["node \"edge\" { policy = \"write\" }"]);
    }

    #[test]
    fn what_is_seen_and_what_is_said_decide_together() {
        let needs = needs(Role::Mesh, "mesh-gateway", &register(None));
        let (service, node, write) = (&needs[0], &needs[1], &needs[2]);
        let blind = Seen::default();
        let no_nodes = Seen { endpoints: false, ..ALL };
        for (need, answer, seen, granted) in [
            (service, Some(true), Some(ALL), Granted::Yes),
            (service, Some(false), Some(blind), Granted::No),
            (service, Some(false), Some(ALL), Granted::Partly),
            (service, Some(true), Some(Seen { filtered: true, ..ALL }), Granted::Partly),
            (service, None, Some(ALL), Granted::Yes),
            (service, None, Some(blind), Granted::Hidden),
            (service, Some(true), Some(blind), Granted::Yes),
            (node, Some(false), Some(no_nodes), Granted::No),
            (node, None, Some(no_nodes), Granted::No),
            (node, None, Some(ALL), Granted::Yes),
            (node, None, Some(blind), Granted::Hidden),
            (node, None, None, Granted::Unknown),
            (node, Some(true), None, Granted::Yes),
            (write, Some(true), Some(ALL), Granted::Yes),
            (write, Some(false), Some(ALL), Granted::No),
            (write, None, Some(ALL), Granted::Unknown),
        ] {
            assert_eq!(judge(need, answer, seen), granted, "{need:?} {answer:?} {seen:?}");
        }
    }

    #[test]
    fn a_missing_rule_fails_with_its_text() {
        let need = &needs(Role::Mesh, "mesh-gateway", &OwnService::OnlyOne)[1];
        let (good, text) = reported(|report| say(need, Granted::No, report));
        assert!(!good, "{text}");
        assert!(
            text.starts_with("FAIL  right: node_prefix \"\" { policy = \"read\" } is missing: "),
            "{text}"
        );
        assert!(reported(|report| say(need, Granted::Unknown, report)).0, "it is not known to be missing");
    }
}
