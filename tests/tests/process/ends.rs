//! Exit codes: 0 clean, 1 settings or own files, 2 usage, 3 own address, 4 a fault of the process or its system.

use std::net::TcpListener;

use gateway_testkit::{Deadline, Gateway, Lab, Signal};

use crate::program::{Ran, run, run_in_shell, small_catalog, text};

/// The one error line of a gateway that ended at its start.
async fn ended(gateway: &Gateway, code: i32) -> String {
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), code, "{}", gateway.log_tail(20));
    let errors: Vec<_> = gateway.log().all().into_iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "one message: {errors:#?}");
    errors[0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_clean_end_is_0() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    for (name, signal) in [("term", Signal::TERM), ("int", Signal::INT)] {
        let gateway = lab.gateway(name).catalog(catalog.path()).start().await.unwrap();
        gateway.signal(signal).unwrap();
        assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 0, "{name}");
        assert!(gateway.log().find(0, |line| line["message"] == "ended").is_some());
    }
}

#[tokio::test]
async fn wrong_use_is_2_and_says_what_would_be_right() {
    let cases: [(&[&str], &str); 8] = [
        (&["--catalgo", "x"], "--catalog"),
        (&["servve"], "unrecognized subcommand"),
        (&["run", "-sidecar-for", "web"], "use --proxy-id"),
        (&["run", "--catalog", "x", "--drain-time", "soon"], "--drain-time"),
        (&["run", "--catalog", "x", "--address", "nowhere"], "--address"),
        (&["run", "--catalog", "x", "--log-level", "loud"], "error, warn, info, debug"),
        (&["run", "--catalog", "x", "--http-addr", "127.0.0.1:8501"], "give one of the two"),
        (&["explain", "--catalog", "x"], "<NAME>"),
    ];
    for (arguments, words) in cases {
        let Ran { code, out, err } = run(arguments, &[]).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?} said {err}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_3_and_named_with_the_way_out() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let gateway = lab.gateway("default").catalog(catalog.path()).address(address).spawn().unwrap();
    let message = ended(&gateway, 3).await;
    let beginning = format!("listener default: cannot bind {address}: Address already in use");
    assert!(message.starts_with(&beginning) && message.contains("choose another address"), "{message}");

    let named =
        lab.gateway("named").catalog(catalog.path()).argument("--bind-address").argument("lan=127.0.0.1:0");
    let named = named.argument("--bind-address").argument(format!("wan={address}")).spawn().unwrap();
    let message = ended(&named, 3).await;
    assert!(message.starts_with(&format!("listener wan: cannot bind {address}: ")), "{message}");

    let gateway = lab.gateway("admin").catalog(catalog.path()).admin(address).spawn().unwrap();
    let message = ended(&gateway, 3).await;
    let beginning = format!("admin endpoint: cannot bind {address}: Address already in use");
    assert!(message.starts_with(&beginning) && message.contains("--admin-bind"), "{message}");
}

#[tokio::test]
async fn an_address_of_another_host_is_3() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    // For documentation (RFC 5737): nobody has it.
    let foreign = "192.0.2.1:8443".parse().unwrap();
    let gateway = lab.gateway("foreign").catalog(catalog.path()).address(foreign).spawn().unwrap();
    let message = ended(&gateway, 3).await;
    assert!(message.contains("192.0.2.1:8443") && message.contains("no interface of this host"), "{message}");
}

/// The second one must not share the port, which the kernel would allow to sockets of one user.
#[tokio::test]
async fn a_second_gateway_on_the_same_port_ends_and_the_first_one_goes_on() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let first = lab.gateway("first").catalog(catalog.path()).start().await.unwrap();
    let address = first.address().unwrap();
    let second = lab.gateway("second").catalog(catalog.path()).address(address).spawn().unwrap();
    assert!(ended(&second, 3).await.contains(&address.to_string()));
    assert!(first.admin().unwrap().is_ready().await.unwrap());
}

/// Where the system gives no descriptors there is no address in use and nothing wrong with a file.
#[tokio::test]
async fn a_system_that_gives_nothing_is_4() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    // Enough for the loader and for nothing else.
    let ran = run_in_shell(
        "ulimit -n 4; exec \"$0\" \"$@\"",
        &["--catalog", text(catalog.path()), "--address", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"],
    )
    .await;
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("cannot start the control thread: Too many open files"), "{ran:?}");
}
