//! The series of one service: connections by reason, open ones, bytes, time to connect, ejections.
//!
//! One small block of atomics per service in place of a map from label sets to counters: a reason is an index, so the
//! hot path needs no look-up, and a service costs less than half a KiB whatever it has seen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::reasons::ReasonCounts;
use super::verdicts::Verdicts;
use super::{NONE, OTHER};
use crate::reason::Reason;
use crate::record::{ConnRecord, Verdict};

/// Upper bounds of the connect histogram in seconds: half decades, because each bucket is a series of each service.
const CONNECT_BOUNDS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// The metrics of one service. A handle: it takes its place among the series with the first connection, not before.
pub struct ServiceMetrics {
    name: Box<str>,
    series: OnceLock<Arc<Series>>,
    services: Arc<Services>,
}

impl ServiceMetrics {
    pub(super) fn new(name: &str, services: Arc<Services>) -> ServiceMetrics {
        ServiceMetrics { name: name.into(), series: OnceLock::new(), services }
    }

    /// The value of the label `service`, whether or not it has series of its own.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection has been joined to an endpoint of this service: it is open until it is
    /// [`finished`](ServiceMetrics::finished) with a connect time in its record.
    pub fn opened(&self) {
        self.series().open.fetch_add(1, Relaxed);
    }

    /// Counts a connection that has ended: its reason, bytes and connect time. A record without connect time is of a
    /// connection that was never [`opened`](ServiceMetrics::opened), and leaves the number of open ones alone.
    pub fn finished(&self, record: &ConnRecord<'_>) {
        let series = self.series();
        series.reasons.add(record.reason);
        if let Some(connect) = record.connect {
            series.open.fetch_sub(1, Relaxed);
            series.connect.observe(connect);
        }
        if record.bytes_up > 0 {
            series.received.fetch_add(record.bytes_up, Relaxed);
        }
        if record.bytes_down > 0 {
            series.sent.fetch_add(record.bytes_down, Relaxed);
        }
    }

    /// Connections that have ended, for whatever reason.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.series.get().map_or(0, |series| series.reasons.sum())
    }

    /// Connections that have ended for one of these reasons.
    #[must_use]
    pub fn ended_by(&self, reasons: &[Reason]) -> u64 {
        let count = |series: &Arc<Series>| reasons.iter().map(|reason| series.reasons.get(*reason)).sum();
        self.series.get().map_or(0, count)
    }

    /// Connections that are joined to an endpoint now.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.series.get().map_or(0, |series| series.open.load(Relaxed))
    }

    /// An endpoint of this service was taken out after failures.
    pub fn ejected(&self) {
        self.series().ejections.fetch_add(1, Relaxed);
    }

    /// Something was decided about a client of this service, by a rule of this kind (a short list in code).
    pub fn judged(&self, verdict: Verdict, kind: &'static str) {
        self.series().verdicts.get_or_init(Box::default).add(verdict, kind);
    }

    fn series(&self) -> &Series {
        self.series.get_or_init(|| self.services.series(&self.name))
    }
}

impl fmt::Debug for ServiceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceMetrics").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The numbers behind one value of the label `service`.
#[derive(Debug)]
struct Series {
    name: Arc<str>,
    reasons: ReasonCounts,
    /// Only where clients are judged.
    verdicts: OnceLock<Box<Verdicts>>,
    open: AtomicI64,
    received: AtomicU64,
    sent: AtomicU64,
    ejections: AtomicU64,
    connect: Connect,
}

/// What a service costs once it has been used, its name aside.
#[cfg(test)]
pub(super) const SERIES_BYTES: usize = size_of::<Series>();

impl Series {
    fn new(name: Arc<str>) -> Series {
        Series {
            name,
            reasons: ReasonCounts::default(),
            verdicts: OnceLock::new(),
            open: AtomicI64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            connect: Connect::default(),
        }
    }
}

/// Histogram of the time to connect.
#[derive(Debug, Default)]
struct Connect {
    buckets: [AtomicU64; CONNECT_BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Connect {
    fn observe(&self, value: Duration) {
        let seconds = value.as_secs_f64();
        let bucket = CONNECT_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Sum in seconds, number of observations, and the observations of each bucket alone.
    fn read(&self) -> (f64, u64, [(f64, u64); CONNECT_BOUNDS.len() + 1]) {
        let mut buckets = [(f64::INFINITY, 0); CONNECT_BOUNDS.len() + 1];
        let mut count = 0;
        for (place, bucket) in buckets.iter_mut().enumerate() {
            let bound = CONNECT_BOUNDS.get(place).copied().unwrap_or(f64::INFINITY);
            let observed = self.buckets[place].load(Relaxed);
            *bucket = (bound, observed);
            count += observed;
        }
        (Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64(), count, buckets)
    }
}

/// All services that have been seen, by name, so that two scrapes have the same order.
#[derive(Debug)]
pub(super) struct Services {
    max: usize,
    by_name: RwLock<BTreeMap<Arc<str>, Arc<Series>>>,
}

impl Services {
    pub(super) fn new(max: usize) -> Services {
        Services { max, by_name: RwLock::default() }
    }

    /// Keeps what `keep` wants and what a handle still counts into.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.retain(|name, series| {
            // No handle can appear meanwhile: handles are given out under the same lock.
            Arc::strong_count(series) > 1 || matches!(&**name, NONE | OTHER) || keep(name)
        });
    }

    fn series(&self, name: &str) -> Arc<Series> {
        if let Some(known) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        // The two shared labels come on top of the bound.
        let own = by_name.keys().filter(|known| !matches!(&***known, NONE | OTHER)).count();
        let name = if own < self.max || name == NONE || by_name.contains_key(name) { name } else { OTHER };
        if let Some(known) = by_name.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        let new = Arc::new(Series::new(Arc::clone(&name)));
        by_name.insert(name, Arc::clone(&new));
        new
    }

    /// A copy of the list, so that a scrape does not keep the first connection of a new service waiting.
    fn list(&self) -> Vec<Arc<Series>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Sums over all services, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that are joined to an endpoint now.
    pub open: u64,
    /// Connections that have ended, by reason; those that have happened, in the order of [`Reason::ALL`].
    pub ended: Vec<(Reason, u64)>,
    /// Bytes from clients, of ended connections.
    pub received: u64,
    /// Bytes to clients, of ended connections.
    pub sent: u64,
}

impl Services {
    pub(super) fn totals(&self) -> Totals {
        let services = self.list();
        let sum = |value: &dyn Fn(&Series) -> u64| services.iter().map(|series| value(series)).sum();
        let by_reason = |reason: &Reason| (*reason, sum(&|series| series.reasons.get(*reason)));
        Totals {
            open: sum(&|series| u64::try_from(series.open.load(Relaxed)).unwrap_or(0)),
            ended: Reason::ALL.iter().map(by_reason).filter(|(_, count)| *count > 0).collect(),
            received: sum(&|series| series.received.load(Relaxed)),
            sent: sum(&|series| series.sent.load(Relaxed)),
        }
    }
}

/// Writes the series of all services. A number that is still zero is not a series yet, the open connections excepted.
#[derive(Debug)]
pub(super) struct ServiceCollector(pub(super) Arc<Services>);

impl Collector for ServiceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let services = self.0.list();
        encode_reasons(&services, &mut encoder)?;
        encode_verdicts(&services, &mut encoder)?;
        encode_open(&services, &mut encoder)?;
        for (name, help, value) in COUNTERS {
            encode_counter(&services, &mut encoder, name, help, value)?;
        }
        encode_connect(&services, &mut encoder)
    }
}

type Read = fn(&Series) -> u64;

const COUNTERS: [(&str, &str, Read); 3] = [
    (
        "gateway_received_bytes",
        "Bytes received from clients and passed to endpoints, counted when the connection ends.",
        |series| series.received.load(Relaxed),
    ),
    (
        "gateway_sent_bytes",
        "Bytes received from endpoints and sent to clients, counted when the connection ends.",
        |series| series.sent.load(Relaxed),
    ),
    ("gateway_ejections", "Endpoints taken out after failures.", |series| series.ejections.load(Relaxed)),
];

fn encode_reasons(services: &[Arc<Series>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Connections that have ended, by reason.";
    let mut family = encoder.encode_descriptor("gateway_connections", help, None, MetricType::Counter)?;
    for series in services {
        for reason in Reason::ALL {
            let count = series.reasons.get(*reason);
            if count > 0 {
                let labels = [("service", &*series.name), ("reason", reason.as_str())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
            }
        }
    }
    Ok(())
}

/// Not even a name where nobody is judged.
fn encode_verdicts(services: &[Arc<Series>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let judged: Vec<_> =
        services.iter().filter_map(|series| Some((series, series.verdicts.get()?.rows()))).collect();
    if judged.is_empty() {
        return Ok(());
    }
    let help = "What was decided about clients, by what kind of rule.";
    let mut family = encoder.encode_descriptor("gateway_verdicts", help, None, MetricType::Counter)?;
    for (series, rows) in &judged {
        for (verdict, kind, count) in rows {
            let labels = [("service", &*series.name), ("verdict", verdict.as_str()), ("reason", kind)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(count, None)?;
        }
    }
    Ok(())
}

fn encode_open(services: &[Arc<Series>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Connections of the service that are open now.";
    let mut family = encoder.encode_descriptor("gateway_connections_open", help, None, MetricType::Gauge)?;
    for series in services {
        // The two sides of the balance are not read at one instant: below zero means zero.
        let open = series.open.load(Relaxed).max(0);
        family.encode_family(&[("service", &*series.name)])?.encode_gauge(&open)?;
    }
    Ok(())
}

fn encode_counter(
    services: &[Arc<Series>],
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Read,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for series in services {
        let count = value(series);
        if count > 0 {
            let labels = [("service", &*series.name)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
    }
    Ok(())
}

fn encode_connect(services: &[Arc<Series>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Time from the first dial to the connection that was used, failed attempts included.";
    let name = "gateway_upstream_connect_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for series in services {
        let (sum, count, buckets) = series.connect.read();
        if count > 0 {
            let labels = [("service", &*series.name)];
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
    }
    Ok(())
}
