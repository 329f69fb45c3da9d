//! What of the settings for Consul is refused, shown, hidden and noted.

use super::*;

/// Rows 1 and 2 of consul-api 7, and what else must end the process before a socket is opened.
#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (name, value, words) in [
        ("CONSUL_HTTP_SSL_VERIFY", "maybe", "\"maybe\" is not a boolean; write true or false"),
        ("CONSUL_HTTP_SSL", "yes", "\"yes\" is not a boolean"),
        ("CONSUL_HTTP_ADDR", "ftp://h:1", "unknown protocol scheme"),
        ("CONSUL_HTTP_ADDR", "h:0", "not one of 1 to 65535"),
        ("CONSUL_HTTP_ADDR", ",", "there is no address in it"),
        ("CONSUL_CLIENT_CERT", "/c", "give client_key, too"),
        ("CONSUL_CLIENT_KEY", "/k", "give client_cert, too"),
        ("CONSUL_TLS_SERVER_NAME", "a b", "is not a host name"),
        ("CONSUL_NAMESPACE", "a b", "is not a name"),
        ("CONSUL_HTTP_TOKEN", "a-secret\n", "byte 9 of it is a space, a line end or no ASCII"),
        ("CONSUL_HTTP_AUTH", "a-secret\n", "another control character"),
        ("CONNECT_SIDECAR_FOR", "web", "a gateway is no sidecar"),
    ] {
        let problems = given().variable(name, value).problems();
        assert_eq!(problems.len(), 1, "{name}={value}: {problems:?}");
        assert!(problems[0].starts_with(&format!("environment {name}: ")), "{problems:?}");
        assert!(problems[0].contains(words), "{problems:?}");
        assert!(!problems[0].contains("a-secret"), "{problems:?}");
    }
    for (variable, value, words) in [
        ("GATEWAY_TIMERS_CONSUL_WAIT", "1s", "a flood of requests"),
        ("GATEWAY_TIMERS_CONSUL_WAIT", "11m", "5s to 10m"),
        ("GATEWAY_TIMERS_CONSUL_AGENTLESS_REFRESH", "31s", "nobody else tells Consul"),
        ("GATEWAY_DEREGISTER_AFTER_CRITICAL", "59s", "takes no less than one"),
        ("GATEWAY_LIMITS_CONSUL_STREAMS", "251", "250 requests on one connection"),
        ("GATEWAY_LIMITS_CONSUL_RESERVED", "64", "less than limits.consul_connections"),
        ("GATEWAY_LIMITS_CONSUL_WATCHED_AGAIN", "41", "more than limits.consul_watched_names"),
        ("GATEWAY_LIMITS_CONSUL_FEW_NAMES", "1001", "more than limits.consul_some_names"),
        ("GATEWAY_LIMITS_CONSUL_MODE", "poll", "auto, block, sweep"),
    ] {
        let problems = given().variable(variable, value).problems();
        assert!(problems.len() == 1 && problems[0].contains(words), "{variable}={value}: {problems:?}");
    }
}

#[test]
fn no_verification_is_warned_of_with_its_source() {
    let settings = given().variable("CONSUL_HTTP_SSL_VERIFY", "F").good();
    assert!(!settings.consul().unwrap().tls.verify);
    let [warning] = &*settings.warnings else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("is not verified (environment CONSUL_HTTP_SSL_VERIFY)"), "{warning}");
    assert!(given().variable("CONSUL_HTTP_SSL_VERIFY", "true").good().warnings.is_empty());
}

#[test]
fn secrets_are_never_shown() {
    let secret = "c0ffee-c0ffee";
    for given in [
        given().flag("token", secret),
        given().variable("CONSUL_HTTP_TOKEN", secret),
        given().variable("CONSUL_TOKEN", secret),
        given().variable("GATEWAY_TOKEN", secret),
        given().file(&format!("token = \"{secret}\"")),
        given().variable("CONSUL_HTTP_AUTH", &format!("user:{secret}")),
        given().file(&format!("http_auth = \"user:{secret}\"")),
    ] {
        let settings = given.good();
        let consul = settings.consul().unwrap();
        let all = format!(
            "{settings:?} {:#?} {:?} {:?}",
            settings,
            given.sources,
            consul.client_config(settings.role.program())
        );
        assert!(!all.contains(secret), "{all}");
        assert_eq!(settings.shown().iter().filter(|shown| shown.value == "(set)").count(), 1);
    }
    // Neither where something is wrong with one.
    for wrong in [
        given().flag("token", &format!("{secret} x")),
        given().file(&format!("token = [\"{secret}\"]")),
        given().file(&format!("token = \"{secret}\"\ntoken-file = \"/x\"\ntoken_file = \"/y\"")),
        given().variable("CONSUL_HTTP_ADDR", &format!("http://user:{secret}@h:1")),
        given().file(&format!("token = \"{secret}\nservice = 3")),
    ] {
        let error = wrong.load().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
}

#[test]
fn files_and_consul_exclude_each_other_where_somebody_asked_for_both() {
    let catalog = || given().flag("catalog", "/c");
    assert_eq!(catalog().good().catalog_path(), Some("/c".as_ref()));
    assert_eq!(catalog().good().consul(), None);
    assert_eq!(given().good().catalog_path(), None);
    for (key, value, line) in [
        ("http_addr", "h:1", "http_addr = \"h:1\""),
        ("token", "x", "token = \"x\""),
        ("register", "true", "register = true"),
        ("proxy_id", "x", "proxy_id = \"x\""),
    ] {
        let variable = format!("GATEWAY_{}", key.to_uppercase());
        for (given, origin) in [
            (catalog().flag(key, value), format!("--{}", key.replace('_', "-"))),
            (catalog().variable(&variable, value), format!("environment {variable}")),
            (catalog().file(line), "gw.toml:1".to_owned()),
        ] {
            let problems = given.problems();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(&origin), "{origin}: {problems:?}");
            assert!(
                problems[0].contains("a catalog of files (--catalog): give one of the two"),
                "{problems:?}"
            );
        }
    }
    // What says the same as nothing, and what only tunes, may stay in a file for both.
    catalog().file("register = false\n[timers]\nconsul_wait = \"30s\"\n").good();
}

#[test]
fn a_catalog_leaves_the_variables_of_consul_alone_and_says_so() {
    let given = || given().flag("catalog", "/c");
    assert_eq!(given().good().notes, [""; 0]);
    for (name, value) in [
        ("CONSUL_HTTP_ADDR", "h:1"),
        ("CONSUL_HTTP_SSL_VERIFY", "maybe"),
        ("CONSUL_HTTP_TOKEN", "x"),
        ("CONNECT_SIDECAR_FOR", "web"),
    ] {
        let settings = given().variable(name, value).good();
        assert_eq!(settings.catalog_path(), Some("/c".as_ref()));
        let [note] = &*settings.notes else { panic!("{:?}", settings.notes) };
        assert!(note.contains("CONSUL_"), "{note}");
        assert!(
            settings.shown().iter().all(|shown| shown.key == "catalog" || shown.origin == Origin::Default)
        );
    }
}

#[test]
fn variables_for_envoys_configuration_are_noted() {
    for name in ["CONSUL_GRPC_ADDR", "CONSUL_GRPC_CACERT", "CONSUL_GRPC_CAPATH"] {
        let notes = given().variable(name, "x").good().notes;
        assert!(notes.len() == 1 && notes[0].starts_with(&format!("{name} is not used: ")), "{notes:?}");
        assert_eq!(given().variable(name, "").good().notes, [""; 0]);
    }
}

#[test]
fn the_client_is_set_up_with_all_of_it() {
    let settings = given()
        .file(
            "http_addr = [\"a:1\", \"b:2\"]\ntoken = \"t\"\nca_path = \"/d\"\ndatacenter = \"dc2\"\n\
             namespace = \"n\"\npartition = \"p\"\ntls_server_name = \"s:8501\"\n\
             [timers]\nconsul_connect = \"1s\"\nconsul_keepalive = \"2s\"\nconsul_ping = \"3s\"\n\
             consul_ping_answer = \"4s\"\nconsul_read = \"5s\"\nconsul_read_large = \"6s\"\n\
             consul_slack = \"7s\"\nconsul_place = \"8s\"\nconsul_idle = \"9s\"\nconsul_recovery = \"10s\"\n\
             [limits]\nconsul_connections = 11\nconsul_reserved = 2\nconsul_idle_connections = 3\n\
             consul_streams = 4\nconsul_requests = 5\nconsul_answer_bytes = 65536\n\
             consul_queries_per_second = 7\nconsul_burst = 8\nconsul_resets_per_second = 9\n\
             consul_addresses_per_name = 10\n",
        )
        .good();
    let consul = settings.consul().unwrap();
    let config = consul.client_config("mesh-gw");
    assert_eq!((config.addresses.len(), config.tokens.len()), (2, 1));
    assert_eq!((&config.tls.ca_path, config.tls.server_name.as_deref()), (&Some("/d".into()), Some("s")));
    assert_eq!(config.datacenter.as_deref(), Some("dc2"));
    assert_eq!((config.namespace.as_deref(), config.partition.as_deref()), (Some("n"), Some("p")));
    assert!(config.user_agent.starts_with("mesh-gw/0."), "{}", config.user_agent);
    let t = &config.timers;
    let timers = [
        t.connect,
        t.keepalive,
        t.ping,
        t.ping_answer,
        t.read,
        t.large_read,
        t.blocking_grace,
        t.place,
        t.idle,
        t.recovery,
    ];
    assert_eq!(timers.map(|timer| timer.as_secs()), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let l = &config.limits;
    assert_eq!(
        [l.connections, l.reserved, l.idle, l.streams, l.reads, l.answer, l.addresses_per_name],
        [11, 2, 3, 4, 5, 65_536, 10]
    );
    assert_eq!([l.queries_per_second, l.burst, l.resets_per_second], [7, 8, 9]);
    let file = given().file("ca_file = \"/f\"\nca_path = \"/d\"").good();
    let tls = &file.consul().unwrap().tls;
    assert_eq!((&tls.ca_file, &tls.ca_path), (&Some("/f".into()), &Some("/d".into())));
}
