//! Weights, balancers, and endpoints by host name.

use gateway_testkit::{Deadline, Lab, wait_for};

use crate::{WithWeb, echo, gateway, mesh, open, resolver, said, spread};

#[tokio::test]
async fn weights_are_shares_of_the_connections() {
    let lab = Lab::new().unwrap();
    let (heavy, light) = (echo(), echo());
    let document = mesh()
        .web(heavy.address(), "Weights = { Passing = 5 }")
        .web(light.address(), "Weights = { Passing = 1 }");
    let (_catalog, gateway) = gateway(&lab, document, &[]).await;
    assert_eq!(spread(&gateway, "web", 60, [heavy.address(), light.address()]).await, [50, 10]);
}

#[tokio::test]
async fn a_balancer_that_needs_requests_is_round_robin_here() {
    for policy in ["ring_hash", "maglev"] {
        let lab = Lab::new().unwrap();
        let (one, two) = (echo(), echo());
        let document = mesh()
            .web(one.address(), "")
            .web(two.address(), "")
            .text(&resolver(&format!("LoadBalancer = {{ Policy = {policy:?} }}")));
        let (_catalog, gateway) = gateway(&lab, document, &[]).await;
        assert_eq!(spread(&gateway, "web", 12, [one.address(), two.address()]).await, [6, 6]);
        assert_eq!(said(&gateway, policy), 1, "it says that it does not hash");
    }
}

#[tokio::test]
async fn random_and_least_request_use_all_endpoints() {
    for policy in ["random", "least_request"] {
        let lab = Lab::new().unwrap();
        let (one, two) = (echo(), echo());
        let document = mesh()
            .web(one.address(), "")
            .web(two.address(), "")
            .text(&resolver(&format!("LoadBalancer = {{ Policy = {policy:?} }}")));
        let (_catalog, gateway) = gateway(&lab, document, &[]).await;
        let mut held = Vec::new();
        // By chance alone one of them would be left out once in a billion runs.
        for _ in 0..30 {
            held.push(open(&gateway, "web").await);
        }
        let (one, two) = (one.seen().len(), two.seen().len());
        assert!(one > 0 && two > 0 && one + two == 30, "{policy}: {one} and {two}");
        if policy == "least_request" {
            assert!(one.abs_diff(two) <= 12, "{policy}: {one} and {two} that stay open");
        }
    }
}

#[tokio::test]
async fn a_host_name_is_resolved_and_used() {
    let lab = Lab::new().unwrap();
    let here = echo();
    let document = mesh().text(&format!(
        "[[Instance]]\nService = \"web\"\nKind = \"connect-proxy\"\nAddress = \"localhost\"\nPort = {}\n",
        here.address().port()
    ));
    let (_catalog, gateway) = gateway(&lab, document, &[]).await;
    let resolved = async || crate::row(&gateway, "web", here.address()).await;
    wait_for(Deadline::usual(), "an answer for localhost", resolved).await.unwrap();
    // The name may have an IPv6 address too, where nobody listens: the other one is tried then.
    for _ in 0..3 {
        drop(open(&gateway, "web").await);
    }
    assert_eq!(here.seen().len(), 3);
    let answered = gateway.wait_metric(
        Deadline::usual(),
        "gateway_dns_lookups_total",
        &[("result", "answered")],
        |lookups| lookups >= 1.0,
    );
    answered.await.unwrap();
}
