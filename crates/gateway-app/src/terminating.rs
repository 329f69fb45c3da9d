//! What only a terminating gateway has: certificates to present, callers to judge, and open connections
//! to judge again when the rules change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_runtime::gate::Gate;
use gateway_runtime::metrics::Metrics;
use gateway_runtime::metrics::tls::TlsMetrics;
use gateway_runtime::registry::Registry;
use gateway_state::terminating::{ServiceKey, TerminatingOptions, TerminatingRole, TerminatingSnapshot};
use mtls::{CertStore, CertWatch, SessionLimits, StoreOptions};
use serde_json::Value;

use crate::live::why_not_served;
use crate::pages::Query;
use crate::role::AppRole;
use crate::settings::{Role, Settings, TerminatingSettings};
use certificates::Installed;

mod certificates;
mod check;
mod explain;
mod judge;
mod pages;
mod reauthorize;
#[cfg(test)]
mod tests;

pub use check::checked;
pub use explain::{Question, explain};
pub use judge::{Judged, Permit, is_judged_by, judge};

/// `terminating-gw`.
#[derive(Debug)]
pub enum TerminatingGateway {}

/// What a terminating gateway keeps for the length of the process.
#[derive(Debug)]
pub struct TerminatingKept {
    /// The certificates in use.
    pub certificates: CertWatch,
    /// What is counted of TLS.
    pub tls: TlsMetrics,
    /// Bounds the handshakes that a worker has under way.
    pub handshakes: Arc<Gate>,
    /// The settings of the role.
    pub settings: TerminatingSettings,
    installed: Mutex<Installed>,
    /// Why services are not served, as it was last logged.
    said: Mutex<HashMap<ServiceKey, String>>,
}

impl AppRole for TerminatingGateway {
    type State = TerminatingRole;
    type Kept = TerminatingKept;

    const ROLE: Role = Role::Terminating;
    const CONDITIONS: &'static [&'static str] = &["certificates"];
    const PAGES: &'static [(&'static str, &'static str)] = &[(
        "/certs",
        "leaf of each service and the roots: serial number, SPIFFE id, expiry (?service=, ?limit=)",
    )];
    const JUDGES: bool = true;

    fn options(settings: &Settings) -> TerminatingOptions {
        settings.terminating.options()
    }

    fn keep(settings: &Settings, metrics: &Arc<Metrics>, workers: usize) -> TerminatingKept {
        TerminatingKept::new(&settings.terminating, metrics, workers)
    }

    fn prepare(kept: &TerminatingKept, snapshot: &TerminatingSnapshot) {
        kept.lock_installed().follow(snapshot);
    }

    fn applied(kept: &TerminatingKept, snapshot: &Arc<TerminatingSnapshot>, registry: &Registry) {
        reauthorize::reauthorize(kept, snapshot, registry);
        kept.say_what_is_not_served(snapshot);
    }

    fn condition(_name: &str, snapshot: &TerminatingSnapshot) -> Result<(), String> {
        match &snapshot.roots {
            Some(_) => Ok(()),
            None => Err("the roots of the mesh are not known, so nobody can be verified".to_owned()),
        }
    }

    fn refresh(kept: &TerminatingKept) {
        kept.tls.in_flight.set(i64::try_from(kept.handshakes.inside()).unwrap_or(i64::MAX));
    }

    fn add_to_snapshot(page: &mut Value, snapshot: &TerminatingSnapshot, query: &Query) {
        pages::add_to_snapshot(page, snapshot, query);
    }

    fn page(
        kept: &TerminatingKept,
        path: &str,
        snapshot: &TerminatingSnapshot,
        query: &Query,
    ) -> Option<Value> {
        (path == "/certs").then(|| pages::certificates(&kept.certificates, snapshot, query))
    }
}

impl TerminatingKept {
    /// What is kept, with these settings, for so many workers.
    #[must_use]
    pub fn new(settings: &TerminatingSettings, metrics: &Arc<Metrics>, workers: usize) -> Self {
        let sessions = SessionLimits {
            total_bytes: settings.session_memory,
            service_bytes: settings.session_memory_per_service,
            lifetime: settings.session,
        };
        let (store, certificates) = CertStore::new(StoreOptions { sessions, ..StoreOptions::default() });
        metrics.register_gauge_family(
            "gateway_leaf_expiry_seconds",
            "Time until the leaf certificate of a service ends, negative once it has",
            "service",
            {
                let certificates = certificates.clone();
                move || certificates::expiries(&certificates)
            },
        );
        Self {
            certificates,
            tls: TlsMetrics::new(metrics),
            handshakes: Gate::new(workers, settings.handshakes),
            settings: settings.clone(),
            installed: Mutex::new(Installed::new(store)),
            said: Mutex::default(),
        }
    }

    fn lock_installed(&self) -> std::sync::MutexGuard<'_, Installed> {
        // What was installed so far is whole at any time.
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once for each service and reason.
    fn say_what_is_not_served(&self, snapshot: &TerminatingSnapshot) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for service in &*snapshot.services {
            match (why_not_served(service), said.get(&service.key)) {
                (Some(why), Some(known)) if why == *known => {}
                (Some(why), _) => {
                    tracing::warn!(service = %service.key, why, "a linked service is not served");
                    said.insert(service.key.clone(), why);
                }
                (None, Some(_)) => {
                    tracing::info!(service = %service.key, "a linked service is served");
                    said.remove(&service.key);
                }
                (None, None) => {}
            }
        }
        said.retain(|key, _| snapshot.service(Some(&key.namespace), &key.name).is_some());
    }
}
