//! What a role that ends TLS counts besides: handshakes, and how long certificates last.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{Counter, CounterFamily, Gauge, Metrics};

/// Metrics of a role that ends TLS. They exist from [`TlsMetrics::new`] on.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    /// `gateway_tls_handshakes_total{version,key_exchange,resumed}`: handshakes with clients that succeeded. Those that
    /// failed are connections with their reason.
    pub handshakes: Handshakes,
    /// `gateway_tls_handshakes_in_flight`: handshakes with clients that are under way.
    pub in_flight: Gauge,
    /// `gateway_upstream_tls_handshakes_total`: TLS connections to endpoints that were opened.
    pub upstream_handshakes: Counter,
    /// `gateway_upstream_tls_failures_total{cause}`: TLS connections to endpoints that failed, each endpoint that was
    /// tried.
    pub upstream_failures: CounterFamily,
    /// `gateway_reauthorized_connections_total{result}`: open connections about which the rules say something else since
    /// a change.
    pub reauthorized: CounterFamily,
}

/// Handshakes by what was agreed on: an array of counters, because each connection counts.
#[derive(Debug, Clone, Default)]
pub struct Handshakes(Arc<[[[AtomicU64; 2]; KEY_EXCHANGES.len()]; VERSIONS.len()]>);

/// A version of TLS as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12 = 0,
    /// TLS 1.3.
    Tls13 = 1,
}

/// A kind of key exchange as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// Elliptic curves alone.
    Classic = 0,
    /// ML-KEM, alone or beside a curve: it withstands a quantum computer.
    PostQuantum = 1,
    /// None: a session of TLS 1.2 was resumed.
    None = 2,
}

const VERSIONS: [&str; 2] = ["TLSv1_2", "TLSv1_3"];
const KEY_EXCHANGES: [&str; 3] = ["classic", "post_quantum", "none"];
const RESUMED: [&str; 2] = ["false", "true"];

impl Handshakes {
    /// Counts one.
    pub fn count(&self, version: TlsVersion, key_exchange: KeyExchange, resumed: bool) {
        self.0[version as usize][key_exchange as usize][usize::from(resumed)].fetch_add(1, Relaxed);
    }
}

impl TlsMetrics {
    /// Adds the metrics to those of the process. Call it once: a second set would not be shown.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let handshakes = Handshakes::default();
        metrics.registered().registry.register_collector(Box::new(handshakes.clone()));
        Self {
            handshakes,
            in_flight: metrics
                .register_gauge("gateway_tls_handshakes_in_flight", "TLS handshakes that are under way"),
            upstream_handshakes: metrics.register_counter(
                "gateway_upstream_tls_handshakes",
                "TLS connections to endpoints that were opened",
            ),
            upstream_failures: metrics.register_counter_family(
                "gateway_upstream_tls_failures",
                "TLS connections to endpoints that failed, by cause",
                "cause",
            ),
            reauthorized: metrics.register_counter_family(
                "gateway_reauthorized_connections",
                "Open connections about which a change of rules has decided anew, by result",
                "result",
            ),
        }
    }
}

impl Collector for Handshakes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "TLS handshakes with clients that succeeded.";
        let mut family =
            encoder.encode_descriptor("gateway_tls_handshakes", help, None, MetricType::Counter)?;
        for (version, of_version) in VERSIONS.iter().zip(self.0.iter()) {
            for (key_exchange, of_exchange) in KEY_EXCHANGES.iter().zip(of_version) {
                for (resumed, count) in RESUMED.iter().zip(of_exchange) {
                    let count = count.load(Relaxed);
                    if count > 0 {
                        let labels =
                            [("version", *version), ("key_exchange", *key_exchange), ("resumed", *resumed)];
                        family
                            .encode_family(&labels)?
                            .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a gauge with one label shows: the label's values, and theirs.
pub(super) type Read = Box<dyn Fn() -> Vec<(String, i64)> + Send + Sync>;

/// A gauge with one label that is read when somebody asks.
pub(super) struct GaugeFamily {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) label: &'static str,
    /// Values that are shown at most.
    pub(super) most: usize,
    pub(super) read: Read,
}

impl fmt::Debug for GaugeFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GaugeFamily").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for GaugeFamily {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(&self.name, &self.help, None, MetricType::Gauge)?;
        for (value, number) in (self.read)().iter().take(self.most) {
            family.encode_family(&[(self.label, &**value)])?.encode_gauge(number)?;
        }
        Ok(())
    }
}
