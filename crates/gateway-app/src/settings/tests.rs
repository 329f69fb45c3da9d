//! Tests of the settings: every default, every source, every kind of mistake.

use std::time::Duration;

use catalog_client::config::{Address, ClientLimits, ClientTimers, TlsFiles};
use catalog_client::planner::PlanConfig;
use catalog_client::registration::RegistrarConfig;

use super::*;

mod consul;
mod precedence;
mod registration;
mod terminating;

use terminating::terminating_defaults;

/// Sources as a test writes them.
#[derive(Default)]
struct Given {
    sources: Sources,
    folder: Option<tempfile::TempDir>,
}

impl Given {
    fn file(mut self, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gw.toml");
        std::fs::write(&path, text).unwrap();
        self.sources.config = Some(path);
        self.folder = Some(folder);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &'static str, value: &str) -> Self {
        self.sources.flags.push((key, value.to_owned()));
        self
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load(Role::Mesh, &self.sources)
    }

    fn good(&self) -> Settings {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems, without the folder of the file.
    fn problems(&self) -> Vec<String> {
        let folder = self.folder.as_ref().map(|folder| format!("{}/", folder.path().display()));
        let error = self.load().expect_err("there must be a problem");
        let lines = error.problems.iter().map(ToString::to_string);
        lines.map(|line| folder.as_ref().map_or(line.clone(), |folder| line.replace(folder, ""))).collect()
    }
}

fn given() -> Given {
    Given::default()
}

/// The one table of all defaults: a change of a default is a change of this test.
#[test]
fn every_default_is_this() {
    let settings = given().good();
    let expected = [
        ("catalog", ""),
        ("service", "mesh-gateway"),
        ("http_addr", "127.0.0.1:8500"),
        ("token", ""),
        ("token_file", ""),
        ("ca_file", ""),
        ("ca_path", ""),
        ("client_cert", ""),
        ("client_key", ""),
        ("tls_server_name", ""),
        ("datacenter", ""),
        ("namespace", ""),
        ("partition", ""),
        ("http_ssl", "false"),
        ("http_ssl_verify", "true"),
        ("http_auth", ""),
        ("register", "false"),
        ("proxy_id", ""),
        ("node_name", ""),
        ("deregister_after_critical", "6h"),
        ("deregister_on_exit", "false"),
        ("address", "0.0.0.0:8443"),
        ("wan_address", ""),
        ("bind_address", ""),
        ("admin_bind", "127.0.0.1:19000"),
        ("admin_token_file", ""),
        ("log_level", "info"),
        ("log_format", "text"),
        ("access_log", "problems"),
        ("access_log_file", ""),
        ("drain_time", "30s"),
        ("workers", "0"),
        ("timers.hello", "10s"),
        ("timers.connect", "5s"),
        ("timers.idle", "1h"),
        ("timers.max_age", "0s"),
        ("timers.sweep", "1s"),
        ("timers.catalog_settle", "50ms"),
        ("timers.catalog_poll", "30s"),
        ("timers.dns_refresh", "10s"),
        ("timers.dns_lookup", "10s"),
        ("timers.dns_retry", "1s"),
        ("timers.dns_retry_max", "30s"),
        ("timers.accept_backoff", "100ms"),
        ("timers.closing_tick", "8ms"),
        ("timers.remote_keepalive", "0s"),
        ("timers.remote_keepalive_interval", "15s"),
        ("timers.admin_request", "10s"),
        ("timers.admin_connection", "30s"),
        ("timers.log_quiet", "10s"),
        ("timers.last_words", "1s"),
        ("timers.consul_wait", "1m"),
        ("timers.consul_connect", "5s"),
        ("timers.consul_keepalive", "20s"),
        ("timers.consul_ping", "30s"),
        ("timers.consul_ping_answer", "10s"),
        ("timers.consul_read", "15s"),
        ("timers.consul_read_large", "1m"),
        ("timers.consul_slack", "15s"),
        ("timers.consul_place", "15s"),
        ("timers.consul_idle", "30s"),
        ("timers.consul_recovery", "10s"),
        ("timers.consul_backoff", "1s"),
        ("timers.consul_backoff_max", "1m"),
        ("timers.consul_denied", "5s"),
        ("timers.consul_mistake", "1m"),
        ("timers.consul_unsupported", "1h"),
        ("timers.consul_absent", "2s"),
        ("timers.consul_round", "1s"),
        ("timers.consul_slow_round", "15s"),
        ("timers.consul_change", "100ms"),
        ("timers.consul_guard", "5s"),
        ("timers.consul_degraded", "10s"),
        ("timers.consul_probe", "500ms"),
        ("timers.consul_probe_verdict", "1s"),
        ("timers.consul_probe_timeout", "3s"),
        ("timers.consul_resume", "5s"),
        ("timers.consul_abandon", "3s"),
        ("timers.consul_few", "2s"),
        ("timers.consul_some", "10s"),
        ("timers.consul_many", "1m"),
        ("timers.consul_fast_round", "2s"),
        ("timers.consul_quiet", "2s"),
        ("timers.consul_check", "500ms"),
        ("timers.consul_read_now", "1s"),
        ("timers.consul_poll_datacenters", "30s"),
        ("timers.consul_settle", "10ms"),
        ("timers.consul_ready", "10s"),
        ("timers.consul_register", "1m"),
        ("timers.consul_register_unreachable", "5s"),
        ("timers.consul_register_pause", "10s"),
        ("timers.consul_agentless_refresh", "10s"),
        ("timers.consul_look", "2s"),
        ("timers.consul_deregister", "5s"),
        ("limits.hello_bytes", "64KiB"),
        ("limits.hello_memory", "64MiB"),
        ("limits.max_connections", "0"),
        ("limits.connections_per_service", "0"),
        ("limits.pending_per_service", "0"),
        ("limits.pipe_memory", "48MiB"),
        ("limits.pipe_size", "512KiB"),
        ("limits.pipe_spare", "32"),
        ("limits.closing_per_tick", "16"),
        ("limits.admin_connections", "64"),
        ("limits.services_in_metrics", "2000"),
        ("limits.names", "4096"),
        ("limits.catalog_files", "20000"),
        ("limits.catalog_bytes", "256MiB"),
        ("limits.access_log_per_second", "100"),
        ("limits.remote_keepalive_probes", "4"),
        ("limits.consul_connections", "64"),
        ("limits.consul_reserved", "8"),
        ("limits.consul_idle_connections", "32"),
        ("limits.consul_streams", "200"),
        ("limits.consul_answer_bytes", "64MiB"),
        ("limits.consul_queries_per_second", "2000"),
        ("limits.consul_burst", "500"),
        ("limits.consul_requests", "256"),
        ("limits.consul_resets_per_second", "10"),
        ("limits.consul_addresses_per_name", "8"),
        ("limits.consul_rounds_at_once", "3"),
        ("limits.consul_early_returns", "10"),
        ("limits.consul_changes_at_once", "20"),
        ("limits.consul_looks", "5"),
        ("limits.consul_events", "1024"),
        ("limits.consul_reads", "32"),
        ("limits.consul_turns", "8"),
        ("limits.consul_quiet_burst", "3"),
        ("limits.consul_watched_names", "40"),
        ("limits.consul_watched_again", "30"),
        ("limits.consul_few_names", "100"),
        ("limits.consul_some_names", "1000"),
        ("limits.consul_idle_names", "5"),
        ("limits.consul_names", "20000"),
        ("limits.consul_mode", "auto"),
        ("ejection.consecutive_failures", "5"),
        ("ejection.base", "30s"),
        ("ejection.max", "5m"),
        ("ejection.max_percent", "10"),
        ("ejection.panic_threshold", "0"),
    ];
    let shown: Vec<_> = settings.shown().iter().map(|shown| (shown.key, shown.value.as_str())).collect();
    assert_eq!(shown, expected);
    assert!(settings.shown().iter().all(|shown| shown.origin == Origin::Default));
}

/// The same defaults where the process reads them.
#[test]
fn every_default_arrives_in_its_field() {
    let (second, ms) = (Duration::from_secs(1), Duration::from_millis(1));
    let expected = Settings {
        role: Role::Mesh,
        service: "mesh-gateway".to_owned(),
        source: Source::Consul(Box::new(ConsulSettings {
            addresses: vec![Address::local()],
            tls: TlsFiles::default(),
            tokens: Vec::new(),
            basic_auth: None,
            datacenter: None,
            namespace: None,
            partition: None,
            own: OwnService::OnlyOne,
            tuning: ConsulTuning {
                // Here the libraries have the last word, and their tests.
                timers: ClientTimers::default(),
                limits: ClientLimits::default(),
                plan: PlanConfig::default(),
                registrar: RegistrarConfig::default(),
                poll_datacenters: 30 * second,
                settle: 10 * ms,
                ready: 10 * second,
            },
        })),
        listen: vec![("default".to_owned(), "0.0.0.0:8443".parse().unwrap())],
        wan_address: None,
        admin_bind: "127.0.0.1:19000".parse().unwrap(),
        admin_token_file: None,
        log_level: "info".to_owned(),
        log_format: LogFormat::Text,
        access_log: AccessLogMode::Problems,
        access_log_file: None,
        drain_time: 30 * second,
        workers: std::thread::available_parallelism().unwrap().get(),
        panic_threshold: 0,
        timers: Timers {
            hello: 10 * second,
            connect: 5 * second,
            idle: 3600 * second,
            max_age: Duration::ZERO,
            sweep: second,
            catalog_settle: 50 * ms,
            catalog_poll: 30 * second,
            dns_refresh: 10 * second,
            dns_lookup: 10 * second,
            dns_retry: second,
            dns_retry_max: 30 * second,
            accept_backoff: 100 * ms,
            closing_tick: 8 * ms,
            remote_keepalive: Duration::ZERO,
            remote_keepalive_interval: 15 * second,
            admin_request: 10 * second,
            admin_connection: 30 * second,
            log_quiet: 10 * second,
            last_words: second,
        },
        limits: Limits {
            hello_bytes: 65_536,
            hello_memory: 64 << 20,
            max_connections: 0,
            connections_per_service: 0,
            pending_per_service: 0,
            pipe_memory: 48 << 20,
            pipe_size: 512 << 10,
            pipe_spare: 32,
            closing_per_tick: 16,
            admin_connections: 64,
            services_in_metrics: 2_000,
            names: 4_096,
            catalog_files: 20_000,
            catalog_bytes: 256 << 20,
            access_log_per_second: 100,
            remote_keepalive_probes: 4,
        },
        ejection: Ejection { consecutive_failures: 5, base: 30 * second, max: 300 * second, max_percent: 10 },
        terminating: terminating_defaults(),
        notes: Vec::new(),
        warnings: Vec::new(),
        shown: given().good().shown,
    };
    assert_eq!(given().good(), expected);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let file = given().file("service = \"file\"\n[timers]\nhello = \"1s\"\n");
    assert_eq!(file.good().service, "file");
    assert!(file.good().origin("service").unwrap().to_string().ends_with("gw.toml:1"));
    assert!(file.good().origin("timers.hello").unwrap().to_string().ends_with("gw.toml:3"));

    let environment = file.variable("GATEWAY_SERVICE", "env").variable("GATEWAY_TIMERS_HELLO", "2s");
    assert_eq!(environment.good().service, "env");
    assert_eq!(environment.good().timers.hello, Duration::from_secs(2));
    assert_eq!(
        environment.good().origin("timers.hello").unwrap().to_string(),
        "environment GATEWAY_TIMERS_HELLO"
    );

    let flag = environment.flag("service", "flag");
    assert_eq!(flag.good().service, "flag");
    assert_eq!(flag.good().origin("service").unwrap().to_string(), "--service");
    assert_eq!(flag.good().origin("workers"), Some(&Origin::Default));
    assert_eq!(flag.good().origin("nonsense"), None);
}

/// Every key can be set in each place where it may be, and arrives with that origin.
#[test]
fn every_key_can_be_set_from_every_source() {
    let another = |key: &Key| match key.name {
        "catalog" | "admin_token_file" | "access_log_file" | "token_file" | "ca_file" | "ca_path"
        | "client_cert" | "client_key" => "/tmp/x",
        "service" | "token" | "tls_server_name" | "datacenter" | "namespace" | "partition" | "http_auth"
        | "proxy_id" | "node_name" => "other",
        "http_addr" => "127.0.0.9:8500",
        "http_ssl" | "register" | "deregister_on_exit" => "true",
        "http_ssl_verify" => "false",
        "limits.consul_mode" => "sweep",
        "address" | "wan_address" | "admin_bind" => "127.0.0.9:7",
        "bind_address" => "lan=127.0.0.9:8",
        "log_level" => "debug",
        "log_format" => "json",
        "access_log" => "all",
        "limits.pipe_size" => "131072",
        name if name.starts_with("limits.") && key.default.ends_with("iB") => "1048576",
        name if name.starts_with("limits.") || name.ends_with("percent") => "7",
        "workers" | "ejection.consecutive_failures" | "ejection.panic_threshold" => "7",
        "timers.catalog_settle" | "timers.accept_backoff" | "timers.closing_tick" => "7ms",
        "timers.consul_agentless_refresh" | "timers.consul_settle" => "7s",
        "timers.consul_check" => "70ms",
        "deregister_after_critical" => "2m",
        _ => "45s",
    };
    for key in Key::all(Role::Mesh) {
        let value = another(key);
        // Two settings of one file may not contradict each other.
        let calm = || given().variable("GATEWAY_EJECTION_MAX", "2h");
        let company = || match key.name {
            "client_cert" => given().variable("GATEWAY_CLIENT_KEY", "/tmp/x"),
            "client_key" => given().variable("GATEWAY_CLIENT_CERT", "/tmp/x"),
            "node_name" | "deregister_on_exit" | "deregister_after_critical" => {
                given().variable("GATEWAY_REGISTER", "true")
            }
            "limits.consul_connections" => given().variable("GATEWAY_LIMITS_CONSUL_RESERVED", "1"),
            "limits.consul_watched_names" => given().variable("GATEWAY_LIMITS_CONSUL_WATCHED_AGAIN", "1"),
            "limits.consul_some_names" => given().variable("GATEWAY_LIMITS_CONSUL_FEW_NAMES", "1"),
            "ejection.max" => given(),
            _ => calm(),
        };
        let by_variable = company().variable(&key.variable(), value).good();
        assert_eq!(by_variable.origin(key.name), Some(&Origin::Environment(key.variable())), "{}", key.name);
        let bare = value.bytes().all(|b| b.is_ascii_digit()) || matches!(value, "true" | "false");
        let quoted = if bare { value.to_owned() } else { format!("\"{value}\"") };
        let line = match key.name.split_once('.') {
            Some((table, name)) => format!("[{table}]\n{name} = {quoted}"),
            None => format!("{} = {quoted}", key.flag()),
        };
        let by_file = company().file(&line).good();
        assert!(matches!(by_file.origin(key.name), Some(Origin::File { .. })), "{}", key.name);
        if Key::flags(Role::Mesh).any(|flag| flag.name == key.name) {
            let by_flag = company().flag(key.name, value).good();
            assert_eq!(by_flag.origin(key.name), Some(&Origin::Flag(key.flag())));
        }
        let alone = matches!(key.name, "client_cert" | "client_key");
        let without = if alone { given() } else { company() };
        let without = Settings { shown: Vec::new(), ..without.good() };
        assert_ne!(Settings { shown: Vec::new(), ..by_variable }, without, "{} changes something", key.name);
    }
}

#[test]
fn all_problems_of_all_sources_are_told_at_once() {
    let given = given()
        .file(
            "servce = \"x\"\n\
             workers = \"two\"\n\
             log-level = \"loud\"\n\
             hello = \"10s\"\n\
             [timers]\n\
             hello = 10\n\
             idle = \"1 hour\"\n\
             [limits]\n\
             pipe_size = \"100KiB\"\n\
             hello_bytes = true\n\
             [tmers]\n\
             idle = \"1s\"\n",
        )
        .variable("GATEWAY_TIMERS_HELO", "1s")
        .variable("GATEWAY_ADMIN_BIND", "localhost:1")
        .flag("drain_time", "soon");
    let expected = [
        "gw.toml:1: servce: unknown key (did you mean service?)",
        "gw.toml:2: workers: this is a string, it must be an integer",
        "gw.toml:3: log_level: \"loud\" is not one of error, warn, info, debug, trace",
        "gw.toml:4: hello: unknown key (did you mean timers.hello?)",
        "gw.toml:6: timers.hello: \"10\" has no unit; write it like \"10s\" or \"10ms\"",
        "gw.toml:7: timers.idle: \"1 hour\" is not a duration; write it like \"10s\", \"500ms\" or \"1m30s\"",
        "gw.toml:9: limits.pipe_size: 100KiB is not a power of two, and the kernel takes no other",
        "gw.toml:10: limits.hello_bytes: this is a boolean, it must be an integer, or a string like \"64KiB\"",
        "gw.toml:11: tmers: unknown key (did you mean timers?)",
        "environment GATEWAY_ADMIN_BIND: \"localhost:1\" is not an IP address with a port; write it like \
         \"0.0.0.0:8443\" or \"[::]:8443\" (host names are not resolved here)",
        "environment GATEWAY_TIMERS_HELO: no setting has this variable (did you mean GATEWAY_TIMERS_HELLO?)",
        "--drain-time: \"soon\" is not a duration; write it like \"10s\", \"500ms\" or \"1m30s\"",
    ];
    let mut found = given.problems();
    found[9..11].sort();
    assert_eq!(found, expected);
    assert!(!given.load().unwrap_err().is_usage());
}

#[test]
fn a_wrong_flag_alone_is_a_usage_error() {
    assert!(given().flag("workers", "many").load().unwrap_err().is_usage());
}

#[test]
fn values_out_of_range_are_refused_with_the_reason() {
    for (variable, value, words) in [
        ("GATEWAY_TIMERS_HELLO", "0", "without a deadline a silent client"),
        ("GATEWAY_TIMERS_CONNECT", "0s", "without a deadline a silent endpoint"),
        ("GATEWAY_TIMERS_SWEEP", "2m", "cut this late at most"),
        ("GATEWAY_LIMITS_PIPE_SIZE", "32KiB", "no faster than copying"),
        ("GATEWAY_LIMITS_PIPE_SIZE", "2MiB", "refused to ordinary users"),
        ("GATEWAY_LIMITS_PIPE_SIZE", "96KiB", "not a power of two"),
        ("GATEWAY_LIMITS_HELLO_BYTES", "100", "ordinary clients"),
        ("GATEWAY_LIMITS_HELLO_BYTES", "2MiB", "no ClientHello"),
        ("GATEWAY_EJECTION_MAX_PERCENT", "101", "a percentage"),
        ("GATEWAY_WORKERS", "-1", "not a whole number"),
        ("GATEWAY_WORKERS", "1025", "number of CPUs"),
    ] {
        let problems = given().variable(variable, value).problems();
        assert!(problems.len() == 1 && problems[0].contains(words), "{variable}={value}: {problems:?}");
    }
    for (variable, value) in [
        ("GATEWAY_TIMERS_IDLE", "0"),
        ("GATEWAY_LIMITS_PIPE_MEMORY", "0"),
        ("GATEWAY_LIMITS_PIPE_SIZE", "1MiB"),
        ("GATEWAY_DRAIN_TIME", "0"),
    ] {
        given().variable(variable, value).good();
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused_where_they_stand() {
    let given = given()
        .file("[limits]\nhello_memory = \"64KiB\"\nhello_bytes = \"128KiB\"\npipe_memory = 65536\n[ejection]\nmax = \"1s\"\n")
        .flag("bind_address", "a=127.0.0.1:1")
        .flag("bind_address", "a=127.0.0.1:1")
        .flag("admin_bind", "127.0.0.1:1");
    assert_eq!(
        given.problems(),
        [
            "gw.toml:2: limits.hello_memory: it is less than four times limits.hello_bytes: no ClientHello of that size would fit into a quarter",
            "gw.toml:4: limits.pipe_memory: it is less than limits.pipe_size; 0 turns pipes off",
            "gw.toml:6: ejection.max: it is less than ejection.base",
            "--bind-address: two listeners are called \"a\"",
            "--bind-address: listeners \"a\" and \"a\" have the same address 127.0.0.1:1",
            "--admin-bind: 127.0.0.1:1 is the address of a listener",
        ]
    );
}

#[test]
fn listeners_come_from_address_or_with_names() {
    let listen = |given: Given| -> Vec<String> {
        given.good().listen.iter().map(|(name, address)| format!("{name}={address}")).collect()
    };
    assert_eq!(listen(given().flag("address", "10.0.0.1")), ["default=10.0.0.1:8443"]);
    assert_eq!(listen(given().flag("address", "::1")), ["default=[::1]:8443"]);
    assert_eq!(listen(given().flag("address", "[::1]:7")), ["default=[::1]:7"]);
    let both = given()
        .flag("address", "10.0.0.1")
        .flag("bind_address", "lan=10.0.0.1:7")
        .flag("bind_address", "wan=::1");
    assert_eq!(listen(both), ["lan=10.0.0.1:7", "wan=[::1]:8443"]);
    let file = "bind_address = [\"lan=10.0.0.1:7\", \"wan=10.0.0.2:7\"]";
    assert_eq!(listen(given().file(file)), ["lan=10.0.0.1:7", "wan=10.0.0.2:7"]);
    let variable = given().file(file).variable("GATEWAY_BIND_ADDRESS", "x=1.2.3.4, y=1.2.3.5:1");
    assert_eq!(listen(variable), ["x=1.2.3.4:8443", "y=1.2.3.5:1"]);
    for wrong in ["10.0.0.1:7", "=10.0.0.1:7", "a b=10.0.0.1:7", "lan=host:7"] {
        assert_eq!(given().flag("bind_address", wrong).problems().len(), 1, "{wrong}");
    }
}

#[test]
fn a_wan_address_may_be_a_name() {
    let wan =
        |text: &str| given().flag("wan_address", text).load().map(|settings| settings.wan_address.unwrap());
    assert_eq!(wan("198.51.100.7").unwrap(), "198.51.100.7:8443");
    assert_eq!(wan("GW.example.net:443").unwrap(), "gw.example.net:443");
    assert_eq!(wan("2001:db8::1").unwrap(), "[2001:db8::1]:8443");
    for wrong in ["", "a b", "gw.example.net:https", "gw.example.net:"] {
        assert!(wan(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| {
        let sources = Sources { config: Some(folder.path().join(name)), ..Sources::default() };
        Settings::load(Role::Mesh, &sources).unwrap_err().to_string()
    };
    assert!(load("none.toml").contains("none.toml: no such file"), "{}", load("none.toml"));
    assert!(load(".").contains("this is a folder"));
    std::fs::write(folder.path().join("binary"), b"a = \"\xff\"").unwrap();
    assert!(load("binary").contains("not UTF-8 from byte 5 on"));
    std::fs::write(folder.path().join("syntax"), "service = \"x\"\nworkers = = 2\nlog_level = \"lo\n")
        .unwrap();
    let syntax = load("syntax");
    assert!(syntax.contains("syntax:2: ") && syntax.contains("syntax:3: "), "{syntax}");
    std::fs::write(folder.path().join("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load("large").contains("too many"));
    assert!(load("/dev/zero").contains("too many"), "a device has no length");
}

#[test]
fn a_key_may_be_written_with_hyphens_but_once() {
    assert_eq!(given().file("log-level = \"warn\"").good().log_level, "warn");
    let twice = given().file("log-level = \"warn\"\nlog_level = \"info\"").problems();
    assert_eq!(twice, ["gw.toml:2: log_level: this key is set twice"]);
    let same = given().file("workers = 1\nworkers = 2").problems();
    assert!(same.len() == 1 && same[0].starts_with("gw.toml:2: "), "{same:?}");
    assert_eq!(given().file("timers = 3").problems(), ["gw.toml:1: timers: this must be a table: [timers]"]);
    assert_eq!(given().file("limits.names = 0x10").good().limits.names, 16);
}

#[test]
fn the_environment_names_the_file_and_may_hold_what_kubernetes_puts_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gw.toml");
    std::fs::write(&path, "workers = 3").unwrap();
    let given = given()
        .variable("GATEWAY_CONFIG", path.to_str().unwrap())
        .variable("GATEWAY_PORT", "tcp://10.0.0.1:443")
        .variable("GATEWAY_SERVICE_HOST", "10.0.0.1")
        .variable("GATEWAY_SERVICE_PORT_HTTPS", "443")
        .variable("GATEWAY_PORT_443_TCP", "tcp://10.0.0.1:443")
        .variable("GATEWAY_PORT_443_TCP_ADDR", "10.0.0.1")
        .variable("GATEWAYS", "1")
        .variable("PATH", "/bin");
    assert_eq!(given.good().workers, 3);
    assert_eq!(super::tests::given().variable("GATEWAY_PORT", "443").problems().len(), 1);
}

#[test]
fn the_limit_of_connections_follows_the_descriptors() {
    let limits = given().good().limits;
    assert_eq!(limits.connections(Some(1024)), 320, "two for each, after 96 pipes and own files");
    assert_eq!(limits.connections(Some(524_288)), 261_952);
    assert_eq!(limits.connections(Some(10)), 1, "never none");
    assert_eq!(limits.connections(None), 1_000_000);
    assert!(limits.descriptors_for(limits.connections(Some(1024))) <= 1024);
    let set = Limits { max_connections: 7, ..limits };
    assert_eq!(set.connections(Some(1024)), 7);
}

#[test]
fn the_reference_has_every_key() {
    let reference = settings_reference(Role::Mesh);
    assert_eq!(reference.lines().count(), Key::all(Role::Mesh).count() + 2);
    for key in Key::all(Role::Mesh) {
        assert!(reference.contains(&format!("| `{}` | {} |", key.name, key.kind.name())), "{}", key.name);
    }
    assert!(reference.lines().all(|line| line.matches('|').count() == 6), "{reference}");
}
