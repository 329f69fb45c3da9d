//! Counters that differ in one label, with a bound on the values of that label.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;

use super::OTHER;

/// Causes and results are short lists in code; more values than this are a mistake and share [`OTHER`].
const MAX_VALUES: usize = 64;

/// Counters with one label, for example `cause`. A clone counts into the same series.
#[derive(Debug, Clone)]
pub struct CounterFamily {
    label: &'static str,
    counters: Arc<RwLock<BTreeMap<Box<str>, Counter>>>,
}

impl CounterFamily {
    pub(super) fn new(label: &'static str) -> CounterFamily {
        CounterFamily { label, counters: Arc::default() }
    }

    /// The counter of one value of the label, made on first use. A lock and a look-up: where it is hot, keep the counter.
    pub fn with(&self, value: &str) -> Counter {
        if let Some(known) = self.counters.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return known.clone();
        }
        let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        let value = if counters.len() < MAX_VALUES { value } else { OTHER };
        counters.entry(value.into()).or_default().clone()
    }
}

impl EncodeMetric for CounterFamily {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, counter) in self.counters.read().unwrap_or_else(PoisonError::into_inner).iter() {
            encoder
                .encode_family(&[(self.label, &**value)])?
                .encode_counter::<NoLabelSet, u64, f64>(&counter.get(), None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
