//! What `check` says of a catalog beyond its documents.

use gateway_state::terminating::TerminatingSnapshot;

use crate::check::count;
use crate::live::why_not_served;

/// What is doubtful about a good catalog, and what it comes to.
#[must_use]
pub fn checked(snapshot: &TerminatingSnapshot) -> (Vec<String>, String) {
    let services = &*snapshot.services;
    let mut doubtful = Vec::new();
    for service in services {
        if let Some(why) = why_not_served(service) {
            doubtful.push(format!("service {} is not served: {why}", service.key));
        } else if service.dry_run {
            doubtful.push(format!(
                "service {}: what its intentions deny is reported and let pass (dry_run)",
                service.key
            ));
        }
    }
    let served = services.iter().filter(|service| why_not_served(service).is_none()).count();
    let summary = format!(
        "{} linked, {served} served, {}, {}",
        count(services.len(), "service"),
        count(snapshot.table.len(), "name"),
        count(snapshot.warnings.len() + doubtful.len(), "warning")
    );
    (doubtful, summary)
}
