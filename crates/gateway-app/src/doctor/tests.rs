//! Tests of `doctor`: each finding with the host pretended where it matters.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use super::host::PipeRules;
use super::remote::Network;
use super::*;
use crate::admin_client::fake::{FakeAdmin, closed_port};
use crate::testing::{Catalog, printed};

pub(super) fn reported(run: impl FnOnce(&mut Report<'_>)) -> (bool, String) {
    printed(|out| {
        let mut report = Report::new(out);
        run(&mut report);
        report.is_good()
    })
}

#[test]
fn free_addresses_are_bound_and_released() {
    let catalog = Catalog::example();
    let mut settings = catalog.settings(&[]);
    settings.listen = vec![("lan".to_owned(), closed_port())];
    settings.admin_bind = closed_port();
    for _ in 0..2 {
        let (good, text) =
            reported(|report| addresses::try_all(&settings, &settings.listen, PATIENCE, report));
        assert!(good && text.contains("OK    listener: lan: 127.0.0.1:"), "{text}");
    }
}

#[test]
fn taken_addresses_fail_unless_the_gateway_itself_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let catalog = Catalog::example();
    let mut settings = catalog.settings(&[]);
    settings.listen = vec![("lan".to_owned(), taken.local_addr().unwrap())];
    settings.admin_bind = closed_port();
    let (good, text) = reported(|report| addresses::try_all(&settings, &settings.listen, PATIENCE, report));
    assert!(!good && text.contains("FAIL  listener: ") && text.contains("another process"), "{text}");

    let running = FakeAdmin::answering("HTTP/1.0 200 OK\r\n\r\nlive".to_owned());
    settings.admin_bind = running.address;
    let (good, text) = reported(|report| addresses::try_all(&settings, &settings.listen, PATIENCE, report));
    assert!(
        good && text.contains("WARN  listener: lan: ") && text.contains("a running gateway answers"),
        "{text}"
    );
    assert_eq!(running.asked(), "GET /live HTTP/1.0");

    settings.listen = vec![("far".to_owned(), "192.0.2.77:8443".parse().unwrap())];
    settings.admin_bind = closed_port();
    let (good, text) = reported(|report| addresses::try_all(&settings, &settings.listen, PATIENCE, report));
    assert!(!good && text.contains("no interface of this host"), "{text}");
}

#[test]
fn an_open_admin_endpoint_and_a_missing_token_are_told() {
    let catalog = Catalog::example();
    let mut settings = catalog.settings(&[("GATEWAY_ADMIN_TOKEN_FILE", "/nowhere/token")]);
    settings.listen = Vec::new();
    settings.admin_bind = SocketAddr::from(([0, 0, 0, 0], closed_port().port()));
    let (good, text) = reported(|report| addresses::try_all(&settings, &settings.listen, PATIENCE, report));
    assert!(!good && text.contains("FAIL  admin token: ") && text.contains("/nowhere/token"), "{text}");
    assert!(text.contains("WARN  admin endpoint: ") && text.contains("bind it to loopback"), "{text}");
}

#[test]
fn descriptors_are_compared_with_what_connections_need() {
    let catalog = Catalog::example();
    let said = |limit: Option<u64>, wanted: &str| {
        let settings = catalog.settings(&[("GATEWAY_LIMITS_MAX_CONNECTIONS", wanted)]);
        let (good, text) = reported(|report| host::descriptors(&settings, limit, report));
        assert!(good, "it starts with less, too");
        text
    };
    assert!(said(Some(524_288), "0").starts_with("OK    descriptors: 524288 open files, enough for 261952"));
    assert!(said(Some(1024), "0").starts_with("WARN  descriptors: 1024 open files, enough for 320"));
    assert!(said(Some(1024), "100").starts_with("OK  "));
    assert!(said(Some(1024), "1000").contains("needs 2384 open files, 1024 are allowed; raise LimitNOFILE"));
    assert!(said(None, "0").contains("unlimited open files"));
}

#[test]
fn pipe_memory_is_compared_with_what_the_kernel_grants() {
    let catalog = Catalog::example();
    let settings = catalog.settings(&[]);
    let said = |rules: PipeRules| reported(|report| host::pipes(&settings, &rules, report)).1;
    let ordinary = PipeRules { exempt: false, user_bytes: Some(64 << 20), pipe_bytes: Some(1 << 20) };
    assert!(said(ordinary).starts_with("OK    pipe memory: 48MiB in pipes of 512KiB"));
    let small = PipeRules { user_bytes: Some(16 << 20), pipe_bytes: Some(64 << 10), ..ordinary };
    assert_eq!(said(small).matches("WARN  pipe memory: ").count(), 2, "{}", said(small));
    assert!(said(small).contains("raise fs.pipe-user-pages-soft"));
    assert!(said(PipeRules { exempt: true, ..small }).starts_with("OK  "));
    assert!(
        said(PipeRules { user_bytes: Some(0), pipe_bytes: None, ..small }).starts_with("OK  "),
        "0 is no bound"
    );
    let off = catalog.settings(&[("GATEWAY_LIMITS_PIPE_MEMORY", "0")]);
    assert!(reported(|report| host::pipes(&off, &small, report)).1.contains("bulk is copied"));
}

fn network(
    resolve: impl Fn(&str) -> Result<Vec<IpAddr>, String> + Sync + 'static,
    connect: impl Fn(SocketAddr) -> io::Result<()> + Sync + 'static,
) -> Network {
    Network { resolve: Box::new(resolve), connect: Box::new(connect) }
}

fn remote(gateways: &[&str], network: &Network) -> (bool, String) {
    let rows: String = gateways
        .iter()
        .enumerate()
        .map(|(i, wan)| {
            format!(
                "[[Instance]]\nService = \"mesh-gateway\"\nID = \"gw-{i}\"\nKind = \"mesh-gateway\"\n\
                 Datacenter = \"use1\"\nAddress = \"10.9.0.{i}\"\nPort = 8443\nWanAddress = \"{wan}\"\n"
            )
        })
        .collect();
    let catalog = Catalog::with(&rows);
    reported(|report| remote::try_all(&catalog.snapshot(), network, report))
}

#[test]
fn gateways_of_other_datacenters_are_resolved_and_dialled() {
    let two: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
    let one_answers = network(
        move |host| if host == "gw.example.net" { Ok(two.to_vec()) } else { Err("no such name".to_owned()) },
        |address| match address.to_string().as_str() {
            "192.0.2.2:443" | "198.51.100.20:443" => Ok(()),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        },
    );
    let (good, text) = remote(&["gw.example.net:443"], &one_answers);
    assert!(good, "{text}");
    assert!(text.contains("gateway gw.example.net port 443 of dc:use1 answers at 192.0.2.2:443"), "{text}");
    assert!(text.contains("gateway 198.51.100.20 port 443 of dc:ams2 answers"), "{text}");

    let (good, text) = remote(&["lost.example.net:443", "203.0.113.9:443"], &one_answers);
    assert!(!good, "{text}");
    assert!(
        text.contains("FAIL  other datacenters: gateway lost.example.net port 443 of dc:use1: no such name;")
    );
    assert!(text.contains("gateway 203.0.113.9 port 443 of dc:use1: 203.0.113.9:443: "), "{text}");
}

#[test]
fn no_more_gateways_are_tried_than_the_bound() {
    let many: Vec<String> = (0..100).map(|i| format!("203.0.113.{i}:443")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all_answer = network(|_| Err(String::new()), |_| Ok(()));
    let (good, text) = remote(&many, &all_answer);
    assert!(good);
    assert_eq!(text.matches(" answers at ").count(), 64);
    assert!(text.contains("WARN  other datacenters: 37 more gateways were not tried"), "{text}");
}

#[test]
fn the_real_network_connects_and_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let network = Network::system(&Catalog::example().settings(&[]));
    assert!((network.connect)(listener.local_addr().unwrap()).is_ok());
    assert!((network.connect)(closed_port()).is_err());
    assert_eq!((network.resolve)("127.0.0.1"), Ok(vec!["127.0.0.1".parse().unwrap()]));
}

#[test]
fn a_broken_catalog_fails_and_the_rest_is_still_looked_at() {
    let catalog = Catalog::with("Servce = 1");
    let mut settings = catalog.settings(&[]);
    settings.listen = vec![("lan".to_owned(), closed_port())];
    settings.admin_bind = closed_port();
    let (good, text) = printed(|out| doctor(&settings, out));
    assert!(!good && text.contains("FAIL  catalog: "), "{text}");
    assert!(
        text.contains("listener: lan") && text.contains("descriptors: ") && text.contains("pipe memory: ")
    );
}
