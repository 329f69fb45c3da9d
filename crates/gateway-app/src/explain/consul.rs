//! From a Consul to an explanation: reads what the name needs, once, and says what cannot be seen.

use catalog_client::config::TokenSource;
use catalog_client::error::Class;
use catalog_client::query::{CatalogServices, HealthConnect, HealthService, StatusLeader, TokenSelf};
use catalog_client::{Error, Query};
use gateway_runtime::reason::Reason;
use gateway_state::consul::Like;
use mesh_id::{MeshSni, ServiceName};

use super::explain_name;
use super::model::Explanation;
use crate::catalog::once::{Asking, Read};
use crate::role::MeshGateway;
use crate::settings::{ConsulSettings, Settings};

/// Services with names like the one that is asked about that are read beside it.
const NEAR: usize = 8;
/// Every server is registered under this name, in every datacenter.
const SERVERS: &str = "consul";

/// Explains a name.
///
/// # Errors
/// What Consul says, or that it says nothing, with the way out.
pub(super) fn explanation(
    settings: &Settings,
    consul: &ConsulSettings,
    asked: &str,
) -> Result<Explanation, String> {
    let asking = Asking::new(settings, consul)?;
    let said = |error: Error| error.to_string();
    // An agent that is away is told at once, and not when a start would lose its patience.
    asking.ask(&StatusLeader).map_err(said)?;
    if has_token(consul)
        && let Err(error) = asking.ask(&TokenSelf)
        && error.class() == Class::TokenUnknown
    {
        return Err(said(error));
    }
    let sni = MeshSni::parse(&asked.to_ascii_lowercase(), SERVERS);
    let read: Read<MeshGateway> =
        asking.read(like(asked, sni.as_ref().ok())).map_err(|lines| lines.join("\n"))?;
    let mut explanation = explain_name(settings, &read.snapshot, asked);
    let service = match &sni {
        Ok(MeshSni::Service { service, datacenter, .. })
            if datacenter.as_str() == &*read.snapshot.mesh.datacenter =>
        {
            Some(service)
        }
        _ => None,
    };
    if let (Some(service), Some(refused)) = (service, explanation.refused.as_mut())
        && refused.reason == Reason::UnknownSni.as_str()
        && !refused.because.contains("has no subset")
        && !refused.because.contains("its trust domain")
    {
        if let Some(error) = failed(&read, service) {
            return Err(error);
        }
        let seen = look(&asking, consul, service).map_err(said)?;
        refused.because = format!("{}: {}", refused.because, why_missing(service, seen));
    }
    explanation.notes.extend(notes(&read, service));
    Ok(explanation)
}

pub(crate) fn has_token(consul: &ConsulSettings) -> bool {
    matches!(TokenSource::first(&consul.tokens), Ok(Some(_)))
}

/// Which services the explanation of a name needs.
fn like(asked: &str, sni: Option<&MeshSni>) -> Like {
    let names = match sni {
        Some(MeshSni::Service { service, .. }) => vec![service.to_string()],
        Some(_) => Vec::new(),
        // Of what is no name of the mesh the first parts may be meant as subset and service.
        None => asked.split('.').take(2).map(str::to_owned).collect(),
    };
    Like { names, near: NEAR }
}

/// The error, if it was the service itself that could not be read.
fn failed(read: &Read<MeshGateway>, service: &ServiceName) -> Option<String> {
    let of = |name: &str| <HealthConnect>::new(name).path();
    let wanted = of(service.as_str());
    let row = read.failed.iter().find(|row| row.path.eq_ignore_ascii_case(&wanted))?;
    row.error.clone()
}

/// What of a missing service is there to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// Its name is in the list of names.
    listed: bool,
    /// So is the name of the servers.
    lists_servers: bool,
    /// The servers have endpoints.
    shows_servers: bool,
    /// Consul says that it left something out.
    filtered: bool,
}

fn look(asking: &Asking<'_>, consul: &ConsulSettings, service: &ServiceName) -> Result<Seen, Error> {
    let (names, filtered) = asking.ask_all(&CatalogServices::new())?;
    let listed = |wanted: &str| names.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    // The servers are in the default partition only.
    let elsewhere = consul.partition.is_some();
    let (servers, _) = asking.ask_all(&<HealthService>::new(SERVERS))?;
    Ok(Seen {
        listed: listed(service.as_str()),
        lists_servers: elsewhere || listed(SERVERS),
        shows_servers: elsewhere || !servers.is_empty(),
        filtered,
    })
}

/// What a token may not see is left out without a word.
fn why_missing(service: &ServiceName, seen: Seen) -> String {
    let Seen { listed, lists_servers, shows_servers, filtered } = seen;
    if !listed && (filtered || !lists_servers) {
        format!(
            "the token does not see such a service, and Consul leaves out what a token may not see; it needs \
             service_prefix \"\" {{ policy = \"read\" }} (or at least service_prefix \"{service}\") and \
             node_prefix \"\" {{ policy = \"read\" }}"
        )
    } else if !listed {
        "no service of this name is registered here".to_owned()
    } else if lists_servers && !shows_servers {
        "it is registered, but the token sees no endpoint at all, not even the servers'; it needs \
         node_prefix \"\" { policy = \"read\" }"
            .to_owned()
    } else {
        "it is registered, but without a sidecar, Connect.Native or a terminating gateway that links it, as far as \
         this token sees"
            .to_owned()
    }
}

/// What was asked in vain, what cannot be used, what is doubtful.
fn notes(read: &Read<MeshGateway>, service: Option<&ServiceName>) -> Vec<String> {
    let mut notes: Vec<_> =
        read.failed.iter().filter_map(|row| Some(format!("not known: {}", row.error.as_ref()?))).collect();
    notes.dedup();
    let concerns = |text: &str| service.is_some_and(|service| text.contains(service.as_str()));
    let rejected = read.snapshot.rejected.iter().filter(|rejected| concerns(&rejected.document));
    notes.extend(rejected.map(|rejected| format!("not in use: {}", rejected.problem)));
    let warnings = read.snapshot.warnings.iter().map(ToString::to_string);
    notes.extend(warnings.filter(|warning| concerns(warning)));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sni(name: &str) -> Option<MeshSni> {
        MeshSni::parse(name, SERVERS).ok()
    }

    #[test]
    fn only_what_the_name_needs_is_read() {
        let names = |name: &str| like(name, sni(name).as_ref()).names;
        let td = "internal.11111111-2222-3333-4444-555555555555.consul";
        assert_eq!(names(&format!("billing.default.dc1.{td}")), ["billing"]);
        assert_eq!(names(&format!("v2.billing.default.dc1.{td}")), ["billing"]);
        assert!(names(&format!("dc2.{td}")).is_empty());
        assert_eq!(names("v2.billing.example.com"), ["v2", "billing"]);
    }

    #[test]
    fn a_service_that_may_be_hidden_is_told_from_one_that_is_not_there() {
        let service = ServiceName::parse("billing").unwrap();
        let all = Seen { listed: true, lists_servers: true, shows_servers: true, filtered: false };
        let why = |seen: Seen| why_missing(&service, seen);
        assert!(why(Seen { listed: false, ..all }).contains("no service of this name"));
        let hidden = [Seen { filtered: true, ..all }, Seen { lists_servers: false, ..all }];
        for seen in hidden {
            assert!(
                why(Seen { listed: false, ..seen }).contains("service_prefix \"\" { policy = \"read\" }")
            );
        }
        assert!(why(Seen { shows_servers: false, ..all }).contains("node_prefix \"\" { policy = \"read\" }"));
        assert!(why(all).contains("without a sidecar"));
    }
}
