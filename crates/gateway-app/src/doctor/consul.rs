//! What a gateway needs of its Consul: an agent that answers, a token that may, a registration that is
//! taken. Only questions are asked.

use std::net::SocketAddr;
use std::sync::Arc;

use catalog_client::capability::Capabilities;
use gateway_state::Snapshot;
use gateway_state::consul::Like;

use super::report::Report;
use crate::catalog::once::{Asking, Read};
use crate::role::{AppRole, SnapshotOf};
use crate::settings::{ConsulSettings, OwnService, Settings};

mod agent;
mod reach;
mod registration;
mod rights;

/// What is known for the rest of the report.
pub(super) struct Found<R: AppRole> {
    /// Where the gateway would listen.
    pub(super) listeners: Vec<(String, SocketAddr)>,
    /// The mesh without its services.
    pub(super) snapshot: Option<Arc<SnapshotOf<R>>>,
}

pub(super) fn try_all<R: AppRole>(
    settings: &Settings,
    consul: &ConsulSettings,
    report: &mut Report<'_>,
) -> Found<R> {
    // Where somebody else's registration says where to listen, nothing is known before it is read.
    let registered_elsewhere = !matches!(consul.own, OwnService::Register(_));
    let by_settings = !(registered_elsewhere && settings.listens_by_default());
    let mut found = Found { listeners: Vec::new(), snapshot: None };
    if by_settings {
        found.listeners.clone_from(&settings.listen);
    }
    for warning in &settings.warnings {
        report.warn("settings", warning);
    }
    let asking = match Asking::new(settings, consul) {
        Ok(asking) => asking,
        Err(error) => {
            report.fail("Consul", error);
            return found;
        }
    };
    let wanted = registration::wanted(settings, consul, report);
    if let Some(wanted) = &wanted {
        let more = crate::consul::listeners(wanted);
        let known: Vec<_> = found.listeners.iter().map(|(_, address)| *address).collect();
        found.listeners.extend(more.into_iter().filter(|(_, address)| !known.contains(address)));
    }
    if !reach::try_each(settings, consul, &asking, report) {
        return found;
    }
    let capabilities = asking.wait(Capabilities::probe(asking.client(), &settings.service));
    if !agent::look(&asking, consul, &capabilities, report) {
        return found;
    }
    let needs = rights::needs(R::ROLE, &settings.service, &consul.own);
    rights::look(&asking, consul, &needs, &capabilities, report);
    let node =
        capabilities.agent.as_ref().map(|agent| &*agent.info.node_name).filter(|name| !name.is_empty());
    registration::look(&asking, settings, consul, wanted.as_ref(), node, report);
    match asking.read::<R>(Like::default()) {
        Ok(read) => {
            mesh(&read, report);
            let bound = read.snapshot.own().listeners.iter().flatten();
            if !by_settings {
                found.listeners.extend(bound.map(|(name, address)| (name.to_string(), *address)));
            }
            found.snapshot = Some(read.snapshot);
        }
        Err(lines) => lines.iter().for_each(|line| report.fail("mesh", line)),
    }
    found
}

/// What was read, as far as it is not about single services.
fn mesh<R: AppRole>(read: &Read<R>, report: &mut Report<'_>) {
    let mesh = read.snapshot.mesh();
    report.ok("mesh", format!("datacenter {}, trust domain {}", mesh.datacenter, mesh.trust_domain));
    for error in read.failed.iter().filter_map(|row| row.error.as_ref()) {
        report.fail("mesh", error);
    }
    for rejected in read.snapshot.rejected() {
        report.warn("mesh", format!("not in use: {}", rejected.problem));
    }
    for warning in read.snapshot.warnings() {
        report.warn("mesh", warning.to_string());
    }
}
