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
            |s, v| s.consul_timers.wait = v
        ),
        "60s",
        "How long Consul may hold a read until there is something new. It also bounds how long a wrong answer can last."
    ),
    key!(
        "timers.consul_connect",
        Time(span(MS, MINUTE, "an agent gives up a handshake after 5s"), |s, v| s.consul_timers.connect = v),
        "5s",
        "Time for connecting to Consul, TLS included."
    ),
    key!(
        "timers.consul_keepalive",
        Time(span(SECOND, DAY, "the kernel counts it in seconds"), |s, v| s.consul_timers.keepalive = v),
        "20s",
        "Silence after which TCP asks whether Consul is still there (keepalive)."
    ),
    key!(
        "timers.consul_ping",
        Time(span(TENTH, DAY, "more often is a load"), |s, v| s.consul_timers.ping = v),
        "30s",
        "Silence after which HTTP/2 asks it (ping)."
    ),
    key!(
        "timers.consul_ping_answer",
        Time(span(TENTH, HOUR, "a busy agent needs a moment"), |s, v| s.consul_timers.ping_answer = v),
        "10s",
        "How long such a ping may stay without an answer."
    ),
    key!(
        "timers.consul_read",
        Time(span(TENTH, HOUR, "an agent without a leader answers after 7s only"), |s, v| s
            .consul_timers
            .read = v),
        "15s",
        "Time for a whole answer that Consul does not hold back, and for a write."
    ),
    key!(
        "timers.consul_read_large",
        Time(span(TENTH, HOUR, "an agent cuts its servers' answers after 60s"), |s, v| s
            .consul_timers
            .read_large = v),
        "60s",
        "The same for the few answers that hold the whole catalog."
    ),
    key!(
        "timers.consul_slack",
        Time(span(TENTH, HOUR, "an agent without a leader keeps trying for 7s after the wait"), |s, v| s
            .consul_timers
            .slack =
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
            |s, v| s.consul_timers.place = v
        ),
        "15s",
        "How long a request waits for a connection, or for its turn in `limits.consul_queries_per_second`."
    ),
    key!(
        "timers.consul_idle",
        Time(
            span(TENTH, DAY, "a connection takes a place at the agent also while it does nothing"),
            |s, v| s.consul_timers.idle = v
        ),
        "30s",
        "How long a connection to Consul is kept without work."
    ),
    key!(
        "timers.consul_recovery",
        Time(span(TENTH, HOUR, "more often would meet the agent's limit again and again"), |s, v| s
            .consul_timers
            .recovery =
            v),
        "10s",
        "After an agent has refused connections: time from one step to the next on the way back to all of them."
    ),
    key!(
        "timers.consul_backoff_max",
        Time(span(TENTH, HOUR, "it bounds how late a Consul that answers again is noticed"), |s, v| s
            .consul_timers
            .backoff_max =
            v),
        "60s",
        "Longest pause after reads that failed; pauses begin at 1s and double."
    ),
    key!(
        "timers.consul_probe",
        Time(span(MS, HOUR, "it bounds how late an agent that is back is noticed"), |s, v| s
            .consul_timers
            .probe = v),
        "1s",
        "How often an agent that cannot be reached is tried; one connection for all reads."
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
            |s, v| s.consul_timers.resume = v
        ),
        "5s",
        "Over how long the reads begin again when the agent is back."
    ),
    key!(
        "timers.consul_register",
        Time(span(TENTH, DAY, "the process neither serves nor ends in this time"), |s, v| s
            .consul_timers
            .register = v),
        "60s",
        "How long registering is tried at the start before the process ends with exit code 3."
    ),
    key!(
        "timers.consul_register_pause",
        Time(
            span(TENTH, HOUR, "two gateways with one ID would take it from each other all the time"),
            |s, v| s.consul_timers.register_pause = v
        ),
        "10s",
        "Shortest time between two registrations."
    ),
    key!(
        "timers.consul_agentless_refresh",
        Time(
            span(TENTH, Duration::from_secs(30), "nobody else tells Consul that the gateway is alive"),
            |s, v| s.consul_timers.agentless_refresh = v
        ),
        "10s",
        "How often a gateway that no agent knows renews its check."
    ),
    key!(
        "timers.consul_guard",
        Time(span(MS, HOUR, "a server that has just started answers from half of its data"), |s, v| s
            .consul_timers
            .guard =
            v),
        "5s",
        "How long an answer older than the last one must stay the same before it is believed."
    ),
    key!(
        "timers.consul_poll_datacenters",
        Time(span(TENTH, DAY, "Consul holds no such read back, so each is a request"), |s, v| s
            .consul_timers
            .poll_datacenters =
            v),
        "30s",
        "How often the names of all datacenters are read."
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
            |s, v| s.consul_timers.ready = v
        ),
        "10s",
        "After this time the gateway is ready without the services whose reads keep failing."
    ),
];
