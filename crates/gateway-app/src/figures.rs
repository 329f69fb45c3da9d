//! Figures that somebody else keeps, brought into the metrics when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use catalog_client::registration::State as Registered;
use catalog_client::watch::AgentState;
use gateway_runtime::metrics::{Counter, CounterFamily, Gauge, Metrics};
use gateway_runtime::registry::Registry;
use gateway_state::consul::ConsulView;
use gateway_state::{Snapshot, SourceStatus};
use mesh_forward::dns::NamesCounters;

use crate::parts::Parts;
use crate::run::feed::FeedHandle;

/// Has the metrics ask `parts`, `role`, `registry` and `names` before each scrape.
pub(crate) fn refresh<S: Snapshot, K: Send + Sync + 'static>(
    parts: &Arc<Parts<S>>,
    role: (Arc<K>, fn(&K)),
    registry: &Arc<Registry>,
    names: &Arc<NamesCounters>,
    source: &FeedHandle,
    log_dropped: &Counter,
) {
    // The metrics are a part themselves: a strong handle here would keep both for ever.
    let (from_parts, registry, names) = (Arc::downgrade(parts), Arc::clone(registry), Arc::clone(names));
    let (source, log_dropped) = (source.clone(), log_dropped.clone());
    let shown = parts.metrics.register_counter(
        "gateway_log_dropped",
        "Log lines lost because standard error could not be written in time",
    );
    let of_consul = source.consul().map(|_| ConsulFigures::new(&parts.metrics));
    parts.metrics.refresh_with(move |metrics| {
        set(&metrics.open_connections, registry.open());
        if let Some(parts) = Weak::upgrade(&from_parts) {
            of_parts(metrics, &parts);
        }
        let (kept, refresh) = &role;
        refresh(kept);
        of_source(metrics, &source.status());
        if let (Some(consul), Some(figures)) = (source.consul(), &of_consul) {
            figures.store(&consul.view(0));
        }
        store(&shown, log_dropped.get());
        copy(&metrics.dns_lookups.with("answered"), &names.answered);
        copy(&metrics.dns_lookups.with("not_found"), &names.not_found);
        copy(&metrics.dns_lookups.with("timed_out"), &names.timed_out);
        copy(&metrics.dns_lookups.with("failed"), &names.failed);
        copy(&metrics.dns_lookups.with("refused"), &names.refused);
        copy(&metrics.dns_addresses_left_out.with("guarded"), &names.guarded);
        copy(&metrics.dns_addresses_left_out.with("too_many"), &names.addresses_cut);
    });
}

fn of_parts<S>(metrics: &Metrics, parts: &Parts<S>) {
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

/// What the conversation with Consul comes to. Only where there is one: a gateway of files has no such
/// series.
struct ConsulFigures {
    up: Gauge,
    answers: Counter,
    changes: Counter,
    failures: CounterFamily,
    held_back: Counter,
    outages: Counter,
    probes: Counter,
    early_returns: Counter,
    refused_names: Counter,
    connections: Gauge,
    streams: Gauge,
    waiting: Gauge,
    bytes: Counter,
    capped: Counter,
    budget_lowered: Counter,
    services: Gauge,
    idle: Gauge,
    oldest: Gauge,
    sweep_reads: Counter,
    fast_rounds: Counter,
    queued: Gauge,
    registrations: Counter,
    registered: Gauge,
}

impl ConsulFigures {
    fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register_counter(name, help);
        let gauge = |name, help| metrics.register_gauge(name, help);
        Self {
            up: gauge("gateway_consul_up", "1 while Consul answers, 0 while it cannot be reached"),
            answers: counter("gateway_consul_answers", "Whole answers of Consul"),
            changes: counter("gateway_consul_changes", "Answers that changed a document"),
            failures: metrics.register_counter_family(
                "gateway_consul_failures",
                "Reads that brought no usable answer, by cause",
                "cause",
            ),
            held_back: counter(
                "gateway_consul_held_back",
                "Answers not believed because their index went back",
            ),
            outages: counter("gateway_consul_outages", "Times that Consul could not be reached any more"),
            probes: counter(
                "gateway_consul_probes",
                "Questions whether an agent that was away answers again",
            ),
            early_returns: counter(
                "gateway_consul_early_returns",
                "Held reads that came back before their time and without news",
            ),
            refused_names: counter(
                "gateway_consul_refused_names",
                "Names that were not followed because there are too many",
            ),
            connections: gauge("gateway_consul_connections", "Connections to Consul"),
            streams: gauge("gateway_consul_streams", "Requests to Consul that are under way over HTTP/2"),
            waiting: gauge("gateway_consul_waiting", "Requests that wait for a connection to Consul"),
            bytes: counter("gateway_consul_bytes", "Bytes of bodies that Consul has sent"),
            capped: counter(
                "gateway_consul_capped",
                "Requests that waited because of the cap on queries per second",
            ),
            budget_lowered: counter(
                "gateway_consul_budget_lowered",
                "Times that Consul refused connections and their budget was halved",
            ),
            services: gauge("gateway_consul_names", "Names of Consul that are followed"),
            idle: gauge("gateway_consul_idle_names", "Names without mesh instances among them"),
            oldest: gauge(
                "gateway_consul_oldest_answer_seconds",
                "Age of the oldest answer about a name that is read in turn",
            ),
            sweep_reads: counter("gateway_consul_sweep_reads", "Reads of names in turn"),
            fast_rounds: counter(
                "gateway_consul_fast_rounds",
                "Rounds that were brought forward by a change",
            ),
            queued: gauge("gateway_consul_queued_answers", "Answers that wait to be taken in"),
            registrations: counter(
                "gateway_consul_registrations",
                "Times that the gateway registered itself",
            ),
            registered: gauge(
                "gateway_consul_registered",
                "1 while the gateway's own registration is in place",
            ),
        }
    }

    fn store(&self, view: &ConsulView) {
        let up = view.agent.as_ref().is_some_and(|(state, ..)| *state != AgentState::Down);
        self.up.set(i64::from(up));
        if let Some(plan) = &view.plan {
            let counts = plan.counters();
            store(&self.answers, counts.answers.get());
            store(&self.changes, counts.changes.get());
            store(&self.held_back, counts.backwards.get());
            store(&self.outages, counts.outages.get());
            store(&self.probes, counts.probes.get());
            store(&self.early_returns, counts.early_returns.get());
            let failures = [
                ("transport", &counts.transport_errors),
                ("server", &counts.server_errors),
                ("busy", &counts.busy),
                ("denied", &counts.denied),
                ("unsupported", &counts.unsupported),
                ("mistake", &counts.mistakes),
                ("rejected", &counts.rejected),
            ];
            for (cause, count) in failures {
                store(&self.failures.with(cause), count.get());
            }
        }
        let client = &view.client;
        set(&self.connections, client.open);
        set(&self.streams, client.streams);
        set(&self.waiting, client.waiting);
        store(&self.bytes, client.totals.bytes);
        store(&self.capped, client.totals.rate_capped);
        store(&self.budget_lowered, client.totals.budget_lowered);
        let families = &view.families;
        set(&self.services, families.iter().map(|family| family.names).sum());
        set(&self.idle, families.iter().map(|family| family.idle).sum());
        let oldest = families.iter().filter_map(|family| family.oldest).max().unwrap_or_default();
        self.oldest.set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
        store(&self.refused_names, families.iter().map(|family| family.counts.refused).sum());
        store(&self.sweep_reads, families.iter().map(|family| family.counts.sweep_reads).sum());
        store(&self.fast_rounds, families.iter().map(|family| family.counts.fast_rounds).sum());
        set(&self.queued, view.queued_events);
        if let Some(registration) = &view.registration {
            store(&self.registrations, registration.counts.registered);
            self.registered.set(i64::from(registration.state == Registered::Registered));
        }
    }
}
