//! The services of a terminating gateway: whether each would be served, and whether it can be reached.

use std::collections::BTreeSet;

use gateway_state::terminating::{Origination, TerminatingSnapshot};

use super::remote::{self, Network};
use super::report::Report;
use crate::live::why_not_served;
use crate::settings::Settings;

pub(super) fn try_all(settings: &Settings, snapshot: &TerminatingSnapshot, report: &mut Report<'_>) {
    let what = "service";
    for service in &*snapshot.services {
        match (why_not_served(service), &service.origination) {
            (Some(why), _) => report.warn(what, format!("{} is not served: {why}", service.key)),
            (None, Some(Origination::Broken { why })) => {
                report.fail(what, format!("{} cannot be connected to: {why}", service.key));
            }
            (None, _) if service.dry_run => {
                report.warn(what, format!("{}: nothing is enforced (dry_run)", service.key));
            }
            (None, _) => report.ok(what, format!("{} would be served", service.key)),
        }
    }
    let endpoints: BTreeSet<_> = snapshot
        .targets
        .iter()
        .flat_map(|target| {
            target.endpoints.iter().map(|endpoint| (&*target.service, &endpoint.host, endpoint.port))
        })
        .collect();
    if endpoints.is_empty() {
        report.warn("instances", "no linked service has an instance");
    }
    remote::try_each("instances", "instance", endpoints, &Network::system(settings), report);
}
