//! Figures that somebody else keeps, brought into the metrics when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use gateway_runtime::metrics::{Counter, Gauge, Metrics};
use gateway_runtime::registry::Registry;
use gateway_state::{SourceHandle, SourceStatus};
use mesh_forward::dns::NamesCounters;

use crate::parts::Parts;

/// Has the metrics ask `parts`, `registry` and `names` before each scrape.
pub(crate) fn refresh(
    parts: &Arc<Parts>,
    registry: &Arc<Registry>,
    names: &Arc<NamesCounters>,
    source: &SourceHandle,
    log_dropped: &Counter,
) {
    // The metrics are a part themselves: a strong handle here would keep both for ever.
    let (from_parts, registry, names) = (Arc::downgrade(parts), Arc::clone(registry), Arc::clone(names));
    let (source, log_dropped) = (source.clone(), log_dropped.clone());
    let shown = parts.metrics.register_counter(
        "gateway_log_dropped",
        "Log lines lost because standard error could not be written in time",
    );
    parts.metrics.refresh_with(move |metrics| {
        set(&metrics.open_connections, registry.open());
        if let Some(parts) = Weak::upgrade(&from_parts) {
            of_parts(metrics, &parts);
        }
        of_source(metrics, &source.status());
        store(&shown, log_dropped.get());
        copy(&metrics.dns_lookups.with("answered"), &names.answered);
        copy(&metrics.dns_lookups.with("not_found"), &names.not_found);
        copy(&metrics.dns_lookups.with("timed_out"), &names.timed_out);
        copy(&metrics.dns_lookups.with("failed"), &names.failed);
        copy(&metrics.dns_lookups.with("refused"), &names.refused);
    });
}

fn of_parts(metrics: &Metrics, parts: &Parts) {
    let pipes = &parts.relay.pipes;
    set(&metrics.hello_buffer_bytes, parts.hello_memory.used());
    set(&metrics.pipe_bytes, pipes.bytes());
    let counters = pipes.counters();
    copy(&metrics.splice_fallback.with("bound"), &counters.refused_by_bound);
    copy(&metrics.splice_fallback.with("kernel"), &counters.refused_by_kernel);
    copy(&metrics.splice_fallback.with("descriptors"), &counters.refused_by_descriptors);
}

fn of_source(metrics: &Metrics, status: &SourceStatus) {
    metrics.catalog_generation.set(i64::try_from(status.generation).unwrap_or(i64::MAX));
    metrics.catalog_rejected.set(i64::try_from(status.rejected).unwrap_or(i64::MAX));
    store(&metrics.catalog_reloads.with("ok"), status.reloads_ok);
    store(&metrics.catalog_reloads.with("rejected"), status.reloads_failed);
    store(&metrics.compiled_services, status.compiled_total);
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn copy(counter: &Counter, kept: &AtomicU64) {
    store(counter, kept.load(Ordering::Relaxed));
}

fn store(counter: &Counter, total: u64) {
    counter.inner().store(total, Ordering::Relaxed);
}
