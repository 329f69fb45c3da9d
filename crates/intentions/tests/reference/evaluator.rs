//! The specification's evaluation, in its own order and without any index.

use intentions::{DefaultPolicy, Protocol};

use crate::model::{Header, Identity, ModelCaller, PEERS, Permission, Request, Row, Rule};
use crate::support::TRUST_DOMAIN;

pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a ModelCaller,
    pub(crate) protocol: Protocol,
    pub(crate) request: &'a Request,
}

pub(crate) struct Expected {
    pub(crate) allowed: bool,
    pub(crate) why: String,
}

fn answer(allowed: bool, why: &str) -> Expected {
    let action = if allowed { "allow" } else { "deny" };
    Expected { allowed, why: format!("{why}: {action}") }
}

pub(crate) fn decide(rows: &[Row], default: DefaultPolicy, asked: &Asked<'_>) -> Expected {
    let default = default == DefaultPolicy::Allow;
    let mut list: Vec<&Row> = rows.iter().filter(|row| applies(row)).filter(|row| !harmless(row)).collect();
    // Of equals the closed one first; which of two closed ones does not matter.
    list.sort_by_key(|row| (9 - row.precedence(), !closed(row, rows)));
    for row in list {
        if !row.odd_source && !source_matches(row, asked) {
            continue;
        }
        if closed(row, rows) {
            return answer(false, "not understood");
        }
        if asked.protocol == Protocol::Http && row.jwt {
            return answer(false, "token");
        }
        let permissions = match &row.rule {
            Rule::Allow => return answer(true, &row.text()),
            Rule::Deny => return answer(false, &row.text()),
            Rule::Unknown => return answer(false, "not understood"),
            Rule::Permissions(permissions) => permissions,
        };
        if asked.protocol == Protocol::Tcp {
            return answer(false, "permissions");
        }
        for (index, permission) in permissions.iter().enumerate() {
            if http_matches(permission, asked.request) {
                let allows = permission.action == "allow" && !permission.jwt && !not_understood(permission);
                return answer(allows, &format!("{}, permission {}", row.text(), index + 1));
            }
        }
        return answer(default, &format!("{} has no permission that matches, default policy", row.text()));
    }
    let service = matches!(asked.caller.certificate, Identity::Service { .. })
        || matches!(believed(asked), Some(Identity::Service { .. }));
    let who = if service { "default policy" } else { "the caller is no service, default policy" };
    answer(default, who)
}

fn applies(row: &Row) -> bool {
    (row.destination == "*" || row.destination == "api")
        && (row.destination_ns == "*" || row.destination_ns == "default")
        && row.destination_partition.is_none_or(|partition| partition == "default")
}

/// An allowing row of which it is not known whom it allows.
fn harmless(row: &Row) -> bool {
    row.odd_source && row.rule == Rule::Allow && !row.jwt
}

/// It is not understood, or contradicted by another one.
fn closed(row: &Row, rows: &[Row]) -> bool {
    let contradicts = |other: &Row| {
        applies(other)
            && !other.odd_source
            && same_names(row, other)
            && (row.rule != other.rule || row.jwt != other.jwt)
    };
    row.odd_source || row.rule == Rule::Unknown || rows.iter().any(contradicts)
}

pub(crate) fn same_names(row: &Row, other: &Row) -> bool {
    let names = |row: &Row| {
        let partition = row.peer.map_or(row.source_partition.unwrap_or("default"), |_| "");
        (row.source_ns, row.source, partition, row.peer, row.destination_ns, row.destination)
    };
    names(row) == names(other)
}

/// The identity in the header, if it is believed.
fn believed(asked: &Asked<'_>) -> Option<Identity> {
    let own = Identity::MeshGateway { domain: TRUST_DOMAIN, partition: "default" };
    if asked.protocol == Protocol::Http && asked.caller.certificate == own {
        asked.caller.header?
    } else {
        None
    }
}

fn source_matches(row: &Row, asked: &Asked<'_>) -> bool {
    let certificate = asked.caller.certificate;
    match row.peer {
        None => matches(row, certificate, TRUST_DOMAIN, row.source_partition.unwrap_or("default")),
        Some(peer) => PEERS.iter().filter(|(name, _, _)| *name == peer).any(|(_, domain, partition)| {
            let identity = if asked.protocol == Protocol::Tcp { Some(certificate) } else { believed(asked) };
            identity.is_some_and(|identity| matches(row, identity, domain, partition))
        }),
    }
}

fn matches(row: &Row, identity: Identity, its_domain: &str, its_partition: &str) -> bool {
    let Identity::Service { domain, partition, namespace, name } = identity else { return false };
    domain == its_domain
        && partition == its_partition
        && (row.source_ns == "*" || row.source_ns == namespace)
        && (row.source == "*" || row.source == name)
}

fn not_understood(permission: &Permission) -> bool {
    let broken = |test: &str, text: &str| test.ends_with("Regex") && text == "(";
    permission.odd
        || (permission.path.is_none() && permission.methods.is_empty() && permission.headers.is_empty())
        || permission.path.is_some_and(|(kind, text)| broken(kind, text))
        || permission.headers.iter().any(|header| broken(header.test, header.value))
}

fn http_matches(permission: &Permission, request: &Request) -> bool {
    // What takes something away matches in doubt.
    let closes = permission.action != "allow" || permission.jwt;
    if not_understood(permission) {
        return closes;
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let path_matches = permission.path.is_none_or(|(kind, text)| match kind {
        "PathExact" => path == text,
        "PathPrefix" => path.starts_with(text),
        _ => regex(text, path),
    });
    path_matches
        && (permission.methods.is_empty() || permission.methods.contains(&request.method))
        && permission.headers.iter().all(|header| header_matches(header, request, closes))
}

/// The expressions that occur, by hand.
fn regex(pattern: &str, text: &str) -> bool {
    match pattern {
        "/v[12]" => text == "/v1" || text == "/v2",
        "/a.*" => text.starts_with("/a"),
        "o.s" => text.chars().count() == 3 && text.starts_with('o') && text.ends_with('s'),
        other => panic!("{other}"),
    }
}

fn header_matches(header: &Header, request: &Request, closes: bool) -> bool {
    let lines: Vec<&[u8]> =
        request.headers.iter().filter(|(name, _)| *name == header.name).map(|(_, value)| *value).collect();
    if header.test == "Present" {
        return lines.is_empty() == header.invert;
    }
    if lines.is_empty() {
        return false;
    }
    let single: Vec<Option<bool>> = lines.iter().map(|line| passes(header, line)).collect();
    let any = if single.contains(&Some(true)) {
        Some(true)
    } else if single.contains(&None) {
        None
    } else {
        Some(false)
    };
    let joined = passes(header, &lines.join(&b","[..]));
    let inverted = |passes: Option<bool>| passes.map_or(closes, |passes| passes != header.invert);
    inverted(any) || (closes && inverted(joined))
}

/// `None`: not text, so an expression says nothing about it.
fn passes(header: &Header, value: &[u8]) -> Option<bool> {
    if header.test == "Regex" {
        let text = std::str::from_utf8(value).ok()?;
        return Some(regex(header.value, text.trim_matches([' ', '\t'])));
    }
    // Every byte as one character: then text is compared as bytes are.
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    let mut text = text.trim_matches([' ', '\t']).to_owned();
    let mut wanted = header.value.to_owned();
    if header.folds() {
        text.make_ascii_lowercase();
        wanted.make_ascii_lowercase();
    }
    Some(match header.test {
        "Exact" => text == wanted,
        "Prefix" => text.starts_with(&wanted),
        "Suffix" => text.ends_with(&wanted),
        "Contains" => text.contains(&wanted),
        other => panic!("{other}"),
    })
}
