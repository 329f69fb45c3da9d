//! Deadlines and periods of the conversation with Consul.

use super::*;

pub(super) static TIMERS: &[Key] = &[
    key!(
        "timers.consul_wait",
        Time(
            span(
                Duration::from_secs(5),
                Duration::from_secs(600),
                "shorter waits are a flood of requests, and Consul holds none for longer"
            ),
            |s, v| s.tuning.plan.watch.wait = v
        ),
        "1m",
        "How long Consul may hold a read until there is something new. It also bounds how long a wrong answer can last."
    ),
    key!(
        "timers.consul_connect",
        Time(span(MS, MINUTE, "an agent gives up a handshake after 5s"), |s, v| s.tuning.timers.connect = v),
        "5s",
        "Time for connecting to Consul, TLS included."
    ),
    key!(
        "timers.consul_keepalive",
        Time(span(SECOND, DAY, "the kernel counts it in seconds"), |s, v| s.tuning.timers.keepalive = v),
        "20s",
        "Silence after which TCP asks whether Consul is still there (keepalive)."
    ),
    key!(
        "timers.consul_ping",
        Time(span(TENTH, DAY, "more often is a load"), |s, v| s.tuning.timers.ping = v),
        "30s",
        "Silence after which HTTP/2 asks it (ping)."
    ),
    key!(
        "timers.consul_ping_answer",
        Time(span(TENTH, HOUR, "a busy agent needs a moment"), |s, v| s.tuning.timers.ping_answer = v),
        "10s",
        "How long such a ping may stay without an answer."
    ),
    key!(
        "timers.consul_read",
        Time(span(TENTH, HOUR, "an agent without a leader answers after 7s only"), |s, v| s
            .tuning
            .timers
            .read = v),
        "15s",
        "Time for a whole answer that Consul does not hold back, and for a write."
    ),
    key!(
        "timers.consul_read_large",
        Time(span(TENTH, HOUR, "an agent cuts its servers' answers after 60s"), |s, v| s
            .tuning
            .timers
            .large_read = v),
        "1m",
        "The same for the few answers that hold the whole catalog."
    ),
    key!(
        "timers.consul_slack",
        Time(span(TENTH, HOUR, "an agent without a leader keeps trying for 7s after the wait"), |s, v| s
            .tuning
            .timers
            .blocking_grace =
            v),
        "15s",
        "How much later than `timers.consul_wait` and a sixteenth of it an answer may come."
    ),
    key!(
        "timers.consul_place",
        Time(
            span(
                TENTH,
                HOUR,
                "without an end a request would wait for ever while all connections are in use"
            ),
            |s, v| s.tuning.timers.place = v
        ),
        "15s",
        "How long a request waits for a connection, or for its turn in `limits.consul_queries_per_second`."
    ),
    key!(
        "timers.consul_idle",
        Time(
            span(TENTH, DAY, "a connection takes a place at the agent also while it does nothing"),
            |s, v| s.tuning.timers.idle = v
        ),
        "30s",
        "How long a connection to Consul is kept without work."
    ),
    key!(
        "timers.consul_recovery",
        Time(span(TENTH, HOUR, "more often would meet the agent's limit again and again"), |s, v| s
            .tuning
            .timers
            .recovery =
            v),
        "10s",
        "After an agent has refused connections: time from one step to the next on the way back to all of them."
    ),
    key!(
        "timers.consul_backoff",
        Time(span(MS, HOUR, "a shorter pause is a flood of requests"), |s, v| {
            s.tuning.plan.watch.retry = v;
            s.tuning.registrar.retry = v;
        }),
        "1s",
        "Pause after a read or a registration that failed; it doubles up to `timers.consul_backoff_max`."
    ),
    key!(
        "timers.consul_backoff_max",
        Time(span(MS, DAY, "it bounds how late a Consul that answers well again is noticed"), |s, v| {
            s.tuning.plan.watch.retry_max = v;
            s.tuning.registrar.retry_max = v;
        }),
        "1m",
        "Longest such pause."
    ),
    key!(
        "timers.consul_denied",
        Time(span(MS, HOUR, "a right is not given within moments"), |s, v| {
            s.tuning.plan.watch.retry_denied = v;
            s.tuning.registrar.refused_retry = v;
        }),
        "5s",
        "First pause after Consul has refused a read, or a registration that it took before."
    ),
    key!(
        "timers.consul_mistake",
        Time(span(MS, DAY, "the same request gets the same answer"), |s, v| s
            .tuning
            .plan
            .watch
            .retry_mistake = v),
        "1m",
        "Pause after an answer that the request was wrong."
    ),
    key!(
        "timers.consul_unsupported",
        Time(span(SECOND, WEEK, "a Consul is not renewed more often"), |s, v| s
            .tuning
            .plan
            .watch
            .retry_unsupported = v),
        "1h",
        "How often a Consul is asked again for what its version does not have."
    ),
    key!(
        "timers.consul_absent",
        Time(span(TENTH, HOUR, "each time is a request"), |s, v| s.tuning.plan.watch.absent_every = v),
        "2s",
        "How often something is asked for that does not exist, where Consul cannot hold the read until it does."
    ),
    key!(
        "timers.consul_round",
        Time(span(MS, HOUR, "shorter is a flood of requests"), |s, v| s.tuning.plan.watch.round_every = v),
        "1s",
        "Time between two answers of one read without news, once `limits.consul_rounds_at_once` are used up."
    ),
    key!(
        "timers.consul_slow_round",
        Time(span(MS, HOUR, "it bounds how late a change is seen after a time of false alarms"), |s, v| s
            .tuning
            .plan
            .watch
            .slow_every =
            v),
        "15s",
        "The same after `limits.consul_early_returns` in a row."
    ),
    key!(
        "timers.consul_change",
        Time(span(MS, MINUTE, "it bounds how late a change is seen in a storm of them"), |s, v| s
            .tuning
            .plan
            .watch
            .change_every =
            v),
        "100ms",
        "Time between two changes of one read, once `limits.consul_changes_at_once` are used up; Consul sums up those between."
    ),
    key!(
        "timers.consul_guard",
        Time(span(MS, HOUR, "a server that has just started answers from half of its data"), |s, v| s
            .tuning
            .plan
            .watch
            .guard =
            v),
        "5s",
        "How long an answer older than the last one must stay the same before it is believed."
    ),
    key!(
        "timers.consul_degraded",
        Time(span(TENTH, DAY, "an answer of the leader is worth a moment"), |s, v| s
            .tuning
            .plan
            .watch
            .degraded_after = v),
        "10s",
        "At the start, when nothing is known: without an answer of the leader for this long any server does."
    ),
    key!(
        "timers.consul_probe",
        Time(span(MS, HOUR, "it bounds how late an agent that is back is noticed"), |s, v| s
            .tuning
            .plan
            .watch
            .probe_every =
            v),
        "500ms",
        "How often an agent that cannot be reached is tried, by one probe for all reads."
    ),
    key!(
        "timers.consul_probe_verdict",
        Time(span(MS, MINUTE, "longer leaves all reads waiting"), |s, v| s.tuning.plan.watch.probe_verdict =
            v),
        "1s",
        "An agent that does not answer the first probe for this long counts as away."
    ),
    key!(
        "timers.consul_probe_timeout",
        Time(span(MS, HOUR, "a hung agent would hold the probe for ever"), |s, v| s
            .tuning
            .plan
            .watch
            .probe_timeout = v),
        "3s",
        "Time after which a probe is given up; later ones do not wait for it."
    ),
    key!(
        "timers.consul_resume",
        Time(
            Span {
                zero: Some("all at once"),
                least: MS,
                most: HOUR,
                why: "reads that have not begun again show nothing new"
            },
            |s, v| s.tuning.plan.watch.resume_over = v
        ),
        "5s",
        "Over how long the reads that nobody waits for begin again when the agent is back."
    ),
    key!(
        "timers.consul_abandon",
        Time(span(MS, HOUR, "a connection may be dead without anybody knowing"), |s, v| s
            .tuning
            .plan
            .watch
            .abandon_after =
            v),
        "3s",
        "Reads that were under way are begun anew after an agent was away for this long."
    ),
    key!(
        "timers.consul_few",
        Time(span(TENTH, HOUR, "each read is work for the agent"), |s, v| s.tuning.plan.rounds.few_every = v),
        "2s",
        "Where names are read in turn: how old what is known of one may be, with up to `limits.consul_few_names`."
    ),
    key!(
        "timers.consul_some",
        Time(span(TENTH, HOUR, "each read is work for the agent"), |s, v| s.tuning.plan.rounds.some_every =
            v),
        "10s",
        "The same with up to `limits.consul_some_names`."
    ),
    key!(
        "timers.consul_many",
        Time(span(TENTH, DAY, "each read is work for the agent"), |s, v| s.tuning.plan.rounds.many_every = v),
        "1m",
        "The same with more."
    ),
    key!(
        "timers.consul_fast_round",
        Time(span(MS, HOUR, "each reads all names"), |s, v| s.tuning.plan.fast_every = v),
        "2s",
        "Shortest time between two rounds that read all names with traffic at once, because something has changed; with fewer than 500 of them in proportion."
    ),
    key!(
        "timers.consul_quiet",
        Time(span(MS, HOUR, "each lists all names"), |s, v| s.tuning.plan.quiet_every = v),
        "2s",
        "Where each name has a waiting read: shortest time between two lists of 1,000 names or more that bring no new name; with fewer in proportion. One that comes among them is seen that much later."
    ),
    key!(
        "timers.consul_check",
        Time(
            Span {
                zero: Some("each"),
                least: MS,
                most: SECOND,
                why: "a server that was killed is started again and elected within it"
            },
            |s, v| s.tuning.plan.check_reaches = v
        ),
        "500ms",
        "How long a read that a quorum of servers has checked speaks for first reads of names that begin after it."
    ),
    key!(
        "timers.consul_read_now",
        Time(span(MS, HOUR, "an endpoint that fails would be a flood of requests"), |s, v| s
            .tuning
            .plan
            .read_now_every =
            v),
        "1s",
        "Shortest time between two reads of a name that something else asks for, such as an endpoint that failed."
    ),
    key!(
        "timers.consul_poll_datacenters",
        Time(span(TENTH, DAY, "Consul holds no such read back, so each is a request"), |s, v| s
            .tuning
            .poll_datacenters =
            v),
        "30s",
        "How often the names of all datacenters are read."
    ),
    key!(
        "timers.consul_settle",
        Time(
            Span {
                zero: Some("not at all"),
                least: MS,
                most: MINUTE,
                why: "it bounds how late a change is seen while there are others"
            },
            |s, v| s.tuning.settle = v
        ),
        "10ms",
        "How long changes that follow another one are collected before they go live together; the first goes at once."
    ),
    key!(
        "timers.consul_ready",
        Time(
            Span {
                zero: Some("at once"),
                least: MS,
                most: DAY,
                why: "a service that cannot be read would keep the gateway from serving the others"
            },
            |s, v| s.tuning.ready = v
        ),
        "10s",
        "After this time the gateway is ready without the services whose reads keep failing."
    ),
];

/// Of the registration.
pub(super) static REGISTRATION: &[Key] = &[
    key!(
        "timers.consul_register",
        Time(span(TENTH, DAY, "the process neither serves nor ends in this time"), |s, v| s
            .tuning
            .registrar
            .start_patience =
            v),
        "1m",
        "How long the first registration may be answered with errors before the process ends with exit code 3. A Consul that does not answer at all is waited for."
    ),
    key!(
        "timers.consul_register_unreachable",
        Time(span(TENTH, HOUR, "it bounds how late a gateway is registered again"), |s, v| s
            .tuning
            .registrar
            .unreachable_retry_max =
            v),
        "5s",
        "Longest pause between two tries to register while Consul cannot be reached."
    ),
    key!(
        "timers.consul_register_pause",
        Time(
            span(MS, HOUR, "two gateways with one ID would take it from each other all the time"),
            |s, v| s.tuning.registrar.guard_interval = v
        ),
        "10s",
        "Shortest time between two registrations."
    ),
    key!(
        "timers.consul_agentless_refresh",
        Time(
            span(TENTH, Duration::from_secs(30), "nobody else tells Consul that the gateway is alive"),
            |s, v| s.tuning.registrar.refresh = v
        ),
        "10s",
        "How often a gateway that no agent knows renews its check."
    ),
    key!(
        "timers.consul_look",
        Time(span(MS, HOUR, "a registration takes a moment to reach the catalog"), |s, v| s
            .tuning
            .registrar
            .look_after =
            v),
        "2s",
        "When to look, after a registration, whether the token can see it; again after each miss."
    ),
    key!(
        "timers.consul_deregister",
        Time(span(MS, MINUTE, "longer keeps a supervisor waiting"), |s, v| s.tuning.registrar.end_patience =
            v),
        "5s",
        "How long, at the end, switching maintenance on and deregistering are tried."
    ),
];
