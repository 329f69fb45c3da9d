//! Who the gateway is in Consul, and the addresses that it has there.

use super::*;

fn own(given: &Given) -> OwnService {
    given.good().consul().expect("it runs from Consul").own.clone()
}

fn register(given: Given) -> Register {
    match own(&given.flag("register", "true")) {
        OwnService::Register(register) => register,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_registration_is_found_in_one_of_four_ways() {
    assert_eq!(own(&given()), OwnService::OnlyOne);
    assert_eq!(own(&given().flag("proxy_id", "x")), OwnService::OfAgent { id: "x".into() });
    assert_eq!(
        own(&given().flag("proxy_id", "x").flag("node_name", "n")),
        OwnService::OfNode { id: "x".into(), node: "n".into() }
    );
    let found = register(given());
    assert_eq!((&*found.id, found.node, found.address), ("mesh-gateway", None, None));
    assert_eq!(found.deregister_after_critical, Duration::from_secs(6 * 3600));
    assert!(!found.deregister_on_exit);

    let named = given()
        .flag("service", "edge")
        .flag("node_name", "n")
        .flag("deregister_after_critical", "2m")
        .flag("deregister_on_exit", "true");
    let found = register(named);
    assert_eq!((&*found.id, found.node.as_deref()), ("edge", Some("n")), "the ID is the service's name");
    assert_eq!((found.deregister_after_critical.as_secs(), found.deregister_on_exit), (120, true));
    assert_eq!(register(given().flag("service", "edge").flag("proxy_id", "e1")).id, "e1");
    assert_eq!(own(&given().flag("proxy_id", "x")).id(), Some("x"));
    assert_eq!(own(&given()).id(), None);
}

#[test]
fn what_needs_company_says_of_which() {
    for (key, value, words) in [
        ("node_name", "n", "--node-name: it needs proxy_id, or register"),
        ("deregister_on_exit", "true", "--deregister-on-exit: it needs register"),
    ] {
        let problems = given().flag(key, value).problems();
        assert!(problems.len() == 1 && problems[0].starts_with(words), "{problems:?}");
    }
    assert_eq!(register(given().flag("address", "127.0.0.1:0")).address.as_deref(), Some("127.0.0.1:0"));
    for (address, bind) in [("127.0.0.1:0", "a=127.0.0.1:0"), ("gw.example:0", "a=127.0.0.1:7")] {
        let given = given().flag("register", "true").flag("address", address).flag("bind_address", bind);
        let port = given.problems();
        assert!(port.len() == 1 && port[0].contains("nothing listens on this address"), "{port:?}");
    }
}

/// Address: where the gateway listens, and what it registers.
#[test]
fn an_address_is_listened_on_and_registered() {
    for (text, listen, registered) in [
        ("10.0.0.1", "10.0.0.1:8443", "10.0.0.1:8443"),
        ("10.0.0.1:7", "10.0.0.1:7", "10.0.0.1:7"),
        ("[2001:db8::1]:7", "[2001:db8::1]:7", "[2001:db8::1]:7"),
        ("2001:db8::1", "[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        (":7", "0.0.0.0:7", ":7"),
        ("0.0.0.0:8443", "0.0.0.0:8443", ":8443"),
        ("[::]:7", "[::]:7", ":7"),
    ] {
        let settings = given().flag("address", text).good();
        assert_eq!(settings.listen, [("default".to_owned(), listen.parse().unwrap())], "{text}");
        let found = register(given().flag("address", text));
        assert_eq!(found.address.as_deref(), Some(registered), "{text}");
    }
    for wrong in ["", ":", ":x", ":70000", "nowhere", "a b:1", "gw.example:http", "10.0.0.1:"] {
        let problems = given().flag("address", wrong).problems();
        assert!(problems.len() == 1 && problems[0].starts_with("--address: "), "{wrong}: {problems:?}");
    }
}

/// Which address a template finds depends on the host; what is understood does not.
#[test]
fn templates_stand_for_addresses_of_this_host() {
    let listen = |text: &str| given().flag("address", text).load().map(|settings| settings.listen[0].1);
    match listen("{{ GetPrivateIP }}:7") {
        Ok(address) => assert!(address.port() == 7 && !address.ip().is_loopback(), "{address}"),
        Err(error) => assert!(error.to_string().contains("no interface has a private address"), "{error}"),
    }
    for wrong in ["{{ GetInterfaceIP \"no such\" }}:7", "{{ GetAllInterfaces }}", "{{ GetPrivateIP"] {
        let error = listen(wrong).unwrap_err().to_string();
        assert!(error.starts_with("--address: "), "{error}");
    }
}

#[test]
fn a_name_can_be_registered_where_it_is_not_listened_on() {
    let named = || given().flag("address", "GW.example:7");
    let problems = named().problems();
    assert!(
        problems.len() == 1 && problems[0].contains("say with bind_address where to listen"),
        "{problems:?}"
    );
    let bound = || named().flag("bind_address", "lan=127.0.0.1:9");
    assert_eq!(bound().good().listen, [("lan".to_owned(), "127.0.0.1:9".parse().unwrap())]);
    assert_eq!(register(bound()).address.as_deref(), Some("gw.example:7"));
}

#[test]
fn whether_somebody_said_where_to_listen_is_known() {
    assert!(given().flag("wan_address", "h:1").good().listens_by_default());
    assert!(!given().flag("address", ":8443").good().listens_by_default());
    assert!(!given().flag("bind_address", "a=127.0.0.1:1").good().listens_by_default());
}
