//! `service-resolver`: subsets, the default one, the time to connect, the balancer.
//!
//! Redirect and failover are checked and then left alone: whoever dials through a mesh gateway has
//! followed them already.

use super::super::{
    cx::Cx,
    fields::{Fields, Located, nearest},
    node::Node,
};
use crate::{
    compile::{check_filter, check_filter_of_answers},
    filter::Filter,
};
use mesh_endpoints::Balancer;
use std::{borrow::Cow, sync::Arc, time::Duration};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolver {
    /// `None` = the process's own.
    pub(crate) connect_timeout: Option<Duration>,
    /// `None` = the process's own.
    pub(crate) balancer: Option<Choice>,
    pub(crate) default_subset: Option<Arc<str>>,
    /// Sorted by name.
    pub(crate) subsets: Box<[Subset]>,
}

/// How instances are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    By(Balancer),
    /// By something in a request; what stands for it where there is none depends on the gateway.
    Hash,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subset {
    pub(crate) name: Arc<str>,
    pub(crate) filter: Filter,
    pub(crate) only_passing: bool,
}

const KEYS: &[&str] = &[
    "ConnectTimeout",
    "RequestTimeout",
    "Subsets",
    "DefaultSubset",
    "Redirect",
    "Failover",
    "LoadBalancer",
    "PrioritizeByLocality",
];
const TARGET: &[&str] =
    &["Service", "ServiceSubset", "Namespace", "Partition", "Datacenter", "Peer", "SamenessGroup"];
const FAILOVER: &[&str] =
    &["Service", "ServiceSubset", "Namespace", "Datacenters", "Targets", "Policy", "SamenessGroup"];

pub(super) fn decode(node: Node<'_>, cx: &mut Cx<'_>) -> Option<Resolver> {
    let mut fields = Fields::open_entry(node, KEYS, cx)?;
    let connect_timeout = fields.duration("ConnectTimeout", cx).filter(|timeout| !timeout.is_zero());
    fields.duration("RequestTimeout", cx);
    let mut subsets = subsets(&mut fields, cx);
    subsets.sort_by(|a, b| a.name.cmp(&b.name));
    let known = |name: &str| subsets.iter().any(|subset| *subset.name == *name);

    let default = fields.filled_text("DefaultSubset", cx);
    if let Some(default) = &default
        && !known(&default.value)
    {
        no_subset(default, "DefaultSubset", &subsets, cx);
    }
    let redirect = fields.table("Redirect", TARGET, cx, |_, _| ()).is_some();
    let mut failover = false;
    fields.map("Failover", cx, |name, node, cx| {
        failover = true;
        if name.value != "*" && !known(&name.value) {
            no_subset(&name, "", &subsets, cx);
        }
        if let Some(mut fields) = Fields::open(node, FAILOVER, cx) {
            fields.list("Targets", cx, |node, cx| {
                Fields::open(node, TARGET, cx);
            });
            fields.known_only("Policy", &["Mode", "Regions"], cx);
        }
    });
    if redirect && failover {
        cx.problem(fields.at, "Failover", "cannot be set together with Redirect");
    }
    let balancer = fields.table("LoadBalancer", LOAD_BALANCER, cx, balancer).flatten();
    fields.known_only("PrioritizeByLocality", &["Mode"], cx);
    let default_subset = default.map(|default| cx.shared(&default.value));
    Some(Resolver { connect_timeout, balancer, default_subset, subsets: subsets.into() })
}

fn subsets(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Vec<Subset> {
    let mut subsets = Vec::new();
    fields.map("Subsets", cx, |name, node, cx| {
        if !is_subset_name(&name.value) {
            cx.problem(name.at, "", "a subset's name has only a-z, 0-9 and - inside, at most 63");
        }
        let Some(mut fields) = Fields::open(node, &["Filter", "OnlyPassing"], cx) else { return };
        let only_passing = fields.flag("OnlyPassing", cx).unwrap_or(false);
        let text = fields.text("Filter", cx).unwrap_or(Located { at: fields.at, value: Cow::Borrowed("") });
        match read_filter(&text.value, cx.lenient) {
            Ok(filter) => subsets.push(Subset { name: cx.shared(&name.value), filter, only_passing }),
            Err(message) => cx.problem(text.at, "Filter", message),
        }
    });
    subsets
}

/// `answers`: it will be asked about rows of Consul's answers, which have more than those of files.
fn read_filter(text: &str, answers: bool) -> Result<Filter, String> {
    let filter = Filter::parse(text).map_err(|error| error.to_string())?;
    // Consul finds these only when it asks its catalog; then nobody watches.
    let check = if answers { check_filter_of_answers } else { check_filter };
    check(&filter).map_err(|error| error.to_string())?;
    Ok(filter)
}

fn is_subset_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| fine(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn no_subset(name: &Located<Cow<'_, str>>, key: &str, subsets: &[Subset], cx: &mut Cx<'_>) {
    let hint = nearest(&name.value, subsets.iter().map(|subset| &*subset.name)).map(str::to_owned);
    cx.problem_with_hint(name.at, key, format!("there is no subset {:?} in Subsets", name.value), hint);
}

const LOAD_BALANCER: &[&str] = &["Policy", "RingHashConfig", "LeastRequestConfig", "HashPolicies"];
const POLICIES: [&str; 6] = ["", "round_robin", "random", "least_request", "ring_hash", "maglev"];

fn balancer(mut fields: Fields<'_>, cx: &mut Cx<'_>) -> Option<Choice> {
    let mut choice_count = 2;
    let config = fields.table("LeastRequestConfig", &["ChoiceCount"], cx, |mut fields, cx| {
        fields.number("ChoiceCount", 0..=i64::from(u32::MAX), cx)
    });
    if let Some(count) = config.flatten() {
        choice_count = u32::try_from(count).unwrap_or(u32::MAX).max(2);
    }
    fields.known_only("RingHashConfig", &["MinimumRingSize", "MaximumRingSize"], cx);
    fields.list("HashPolicies", cx, |node, cx| {
        let keys = &["Field", "FieldValue", "CookieConfig", "SourceIP", "Terminal"];
        if let Some(mut fields) = Fields::open(node, keys, cx) {
            fields.known_only("CookieConfig", &["Session", "TTL", "Path"], cx);
        }
    });
    let policy = fields.filled_text("Policy", cx)?;
    Some(Choice::By(match &*policy.value {
        "round_robin" => Balancer::RoundRobin,
        "random" => Balancer::Random,
        "least_request" => Balancer::LeastRequest { choice_count },
        "ring_hash" | "maglev" => {
            let message = format!(
                "{:?} needs requests to hash; connections that pass through a mesh gateway are spread \
                 by round_robin, those of TCP through a terminating gateway at random",
                policy.value
            );
            cx.warning(policy.at, "Policy", message);
            return Some(Choice::Hash);
        }
        other => {
            let hint = nearest(other, POLICIES.into_iter().skip(1)).map(str::to_owned);
            cx.problem_with_hint(policy.at, "Policy", format!("there is no policy {other:?}"), hint);
            Balancer::RoundRobin
        }
    }))
}
