//! What the process counts, and its text for Prometheus.
//!
//! Every metric of the process is listed in [`Metrics`], so that a reader finds all of them in one place. Whoever counts
//! keeps a handle and adds to it: a relaxed atomic, no lock, no look-up. Only a scrape walks the registry.
//!
//! The number of series is bounded: a series exists from its first use on, at most `max_services` services have series
//! of their own, and no label carries an address.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::{prometheus_text, text};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use self::family::CounterFamily;
use self::service::Services;
pub use self::service::{ServiceMetrics, Totals};

mod family;
mod process;
mod reasons;
mod service;
pub mod tls;
mod verdicts;

/// Label value of everything that has no series of its own because the bound is reached.
pub const OTHER: &str = "other";

/// Label value of connections that ended before a service was known.
pub const NONE: &str = "none";

/// All metrics of the process. Shared by reference or `Arc`; the fields are handles that may be cloned.
pub struct Metrics {
    /// `gateway_accept_paused_total{cause}`: how often accepting paused, for example out of file descriptors.
    pub accept_paused: CounterFamily,
    /// `gateway_open_connections`: client connections that are open now.
    pub open_connections: Gauge,
    /// `gateway_splice_fallback_total{cause}`: connections that went on copying because the kernel refused to splice.
    pub splice_fallback: CounterFamily,
    /// `gateway_hello_buffer_bytes`: memory of incomplete hellos.
    pub hello_buffer_bytes: Gauge,
    /// `gateway_pipe_bytes`: memory of the pipes that splicing holds.
    pub pipe_bytes: Gauge,
    /// `gateway_catalog_generation`: number of the snapshot in use.
    pub catalog_generation: Gauge,
    /// `gateway_catalog_reloads_total{result}`: how reading the catalog again went.
    pub catalog_reloads: CounterFamily,
    /// `gateway_catalog_rejected`: documents that are rejected now, their last good version in use.
    pub catalog_rejected: Gauge,
    /// `gateway_compiled_services_total`: services that were compiled anew because a document of theirs changed.
    pub compiled_services: Counter,
    /// `gateway_dns_lookups_total{result}`: look-ups of endpoint names.
    pub dns_lookups: CounterFamily,
    /// `gateway_dns_addresses_left_out_total{cause}`: addresses of endpoint names that are not used.
    pub dns_addresses_left_out: CounterFamily,
    /// `gateway_log_suppressed_total`: log lines not written because their like had just been written.
    pub log_suppressed: Counter,
    /// `gateway_access_log_suppressed_total`: access records above the rate limit.
    pub access_log_suppressed: Counter,
    /// `gateway_access_log_dropped_total`: access records lost because the file could not keep up or refused them.
    pub access_log_dropped: Counter,
    max_services: usize,
    services: Arc<Services>,
    registry: Mutex<Registered>,
    refresh: OnceLock<Refresh>,
}

/// Brings gauges up to date before a scrape.
type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// The registry with the handles by name, so that a name is never exposed twice.
#[derive(Default)]
struct Registered {
    registry: Registry,
    handles: BTreeMap<String, Handle>,
}

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Family(CounterFamily),
    Info,
}

impl Metrics {
    /// All metrics at zero. `max_services` services have series of their own, the others share [`OTHER`].
    pub fn new(max_services: usize) -> Metrics {
        let services = Arc::new(Services::new(max_services));
        let mut all = Registered::default();
        all.registry.register_collector(Box::new(service::ServiceCollector(Arc::clone(&services))));
        all.registry.register_collector(Box::new(process::ProcessCollector));
        Metrics {
            accept_paused: all.family("gateway_accept_paused", "Pauses of accepting connections", "cause"),
            open_connections: all.gauge("gateway_open_connections", "Client connections that are open now"),
            splice_fallback: all.family(
                "gateway_splice_fallback",
                "Connections that went on copying because the kernel refused to splice",
                "cause",
            ),
            hello_buffer_bytes: all
                .gauge("gateway_hello_buffer_bytes", "Memory held for incomplete TLS ClientHellos"),
            pipe_bytes: all.gauge("gateway_pipe_bytes", "Memory of the pipes that splicing holds"),
            catalog_generation: all.gauge("gateway_catalog_generation", "Number of the snapshot in use"),
            catalog_reloads: all.family(
                "gateway_catalog_reloads",
                "Readings of the catalog after the first, by result",
                "result",
            ),
            catalog_rejected: all.gauge("gateway_catalog_rejected", "Documents that are rejected now"),
            compiled_services: all
                .counter("gateway_compiled_services", "Services compiled because a document changed"),
            dns_lookups: all.family("gateway_dns_lookups", "Look-ups of endpoint names, by result", "result"),
            dns_addresses_left_out: all.family(
                "gateway_dns_addresses_left_out",
                "Addresses of endpoint names that are not used, by cause, at each look-up",
                "cause",
            ),
            log_suppressed: all
                .counter("gateway_log_suppressed", "Log lines left out because their like was just written"),
            access_log_suppressed: all
                .counter("gateway_access_log_suppressed", "Access records above the rate limit"),
            access_log_dropped: all.counter(
                "gateway_access_log_dropped",
                "Access records lost because the log could not be written in time",
            ),
            max_services,
            services,
            registry: Mutex::new(all),
            refresh: OnceLock::new(),
        }
    }

    /// The metrics of a service. Costs no series before the first connection; keep the handle.
    /// Two handles of one name count into the same series.
    pub fn service(&self, name: &str) -> Arc<ServiceMetrics> {
        Arc::new(ServiceMetrics::new(name, Arc::clone(&self.services)))
    }

    /// The metrics of connections that end before a service is known: label [`NONE`].
    pub fn no_service(&self) -> Arc<ServiceMetrics> {
        self.service(NONE)
    }

    /// Forgets the series of services that nobody holds a handle of and that `keep` does not want, so that a process that
    /// sees many services come and go does not end with all of them under [`OTHER`].
    pub fn forget_services(&self, keep: impl Fn(&str) -> bool) {
        self.services.retain(keep);
    }

    /// Sums over all services, for people. Brings the gauges up to date as a scrape does.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.be_fresh();
        self.services.totals()
    }

    /// Says who we are: `gateway_build_info{version,role} 1`. The first call counts.
    pub fn set_build_info(&self, version: &str, role: &str) {
        let mut all = self.registered();
        if all.handles.insert("gateway_build".to_owned(), Handle::Info).is_none() {
            let labels = vec![("version", version.to_owned()), ("role", role.to_owned())];
            all.registry.register("gateway_build", "Version and role of this process", Info::new(labels));
        }
    }

    /// A counter of the caller's own. `name` has the unit but no `_total`, which the text adds; `help` is a sentence
    /// without the full stop. The same name gives the same counter.
    pub fn register_counter(&self, name: &str, help: &str) -> Counter {
        self.registered().counter(name, help)
    }

    /// A gauge of the caller's own, see [`Metrics::register_counter`].
    pub fn register_gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered().gauge(name, help)
    }

    /// Counters of the caller's own with one label, see [`Metrics::register_counter`].
    pub fn register_counter_family(&self, name: &str, help: &str, label: &'static str) -> CounterFamily {
        self.registered().family(name, help, label)
    }

    /// A gauge of the caller's own with one label, read at each scrape. At most as many values are shown as there may be
    /// services with series. The first one of a name counts.
    pub fn register_gauge_family(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, i64)> + Send + Sync + 'static,
    ) {
        let family = tls::GaugeFamily {
            name: name.to_owned(),
            help: format!("{help}."),
            label,
            most: self.max_services,
            read: Box::new(read),
        };
        let mut all = self.registered();
        if all.handles.insert(name.to_owned(), Handle::Info).is_none() {
            all.registry.register_collector(Box::new(family));
        }
    }

    /// Has `refresh` called before each scrape and before [`Metrics::totals`], for figures that somebody else keeps. The first call counts.
    pub fn refresh_with(&self, refresh: impl Fn(&Metrics) + Send + Sync + 'static) {
        // A second owner of the same figures would be a mistake of ours, and harmless.
        let _ = self.refresh.set(Box::new(refresh));
    }

    /// Everything as OpenMetrics text 1.0.0, see [`Metrics::OPEN_METRICS`].
    pub fn encode(&self) -> String {
        self.be_fresh();
        let mut body = String::new();
        // Writing to a String cannot fail; a collector that gives up leaves the text without its end mark, which a
        // scraper refuses as a whole.
        let _ = text::encode(&mut body, &self.registered().registry);
        body
    }

    /// Everything as the older Prometheus text 0.0.4, see [`Metrics::PROMETHEUS_TEXT`].
    pub fn encode_prometheus_text(&self) -> String {
        self.be_fresh();
        let mut body = String::new();
        let _ = prometheus_text::encode(&mut body, &self.registered().registry);
        body
    }

    /// Content type of [`Metrics::encode`].
    pub const OPEN_METRICS: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Content type of [`Metrics::encode_prometheus_text`].
    pub const PROMETHEUS_TEXT: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    fn be_fresh(&self) {
        if let Some(refresh) = self.refresh.get() {
            refresh(self);
        }
    }

    fn registered(&self) -> std::sync::MutexGuard<'_, Registered> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Registered {
    fn counter(&mut self, name: &str, help: &str) -> Counter {
        match self.handles.get(name) {
            Some(Handle::Counter(known)) => known.clone(),
            Some(_) => Counter::default(),
            None => {
                let new = Counter::default();
                self.registry.register(name, help, new.clone());
                self.handles.insert(name.to_owned(), Handle::Counter(new.clone()));
                new
            }
        }
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        match self.handles.get(name) {
            Some(Handle::Gauge(known)) => known.clone(),
            Some(_) => Gauge::default(),
            None => {
                let new = Gauge::default();
                self.registry.register(name, help, new.clone());
                self.handles.insert(name.to_owned(), Handle::Gauge(new.clone()));
                new
            }
        }
    }

    fn family(&mut self, name: &str, help: &str, label: &'static str) -> CounterFamily {
        match self.handles.get(name) {
            Some(Handle::Family(known)) => known.clone(),
            Some(_) => CounterFamily::new(label),
            None => {
                let new = CounterFamily::new(label);
                self.registry.register(name, help, new.clone());
                self.handles.insert(name.to_owned(), Handle::Family(new.clone()));
                new
            }
        }
    }
}

#[cfg(test)]
mod tests;
