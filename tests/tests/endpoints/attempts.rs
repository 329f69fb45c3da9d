//! A record of a refused connection tells how many endpoints were tried, as that of an open one does.

use gateway_testkit::Lab;

use crate::{WithWeb, black_hole, gateway, mesh, refusing, visit};

#[tokio::test]
async fn all_endpoints_that_refused_are_counted() {
    let lab = Lab::new().unwrap();
    let (one, two) = (refusing(), refusing());
    let (_catalog, gateway) = gateway(&lab, mesh().web(one.address(), "").web(two.address(), ""), &[]).await;
    let record = visit(&gateway, "web").await;
    assert_eq!((&record["reason"], &record["attempts"]), (&"connect_refused".into(), &2.into()), "{record}");
}

#[tokio::test]
async fn all_endpoints_that_stayed_silent_are_counted() {
    let lab = Lab::new().unwrap();
    let (one, two) = (black_hole().await, black_hole().await);
    let document = mesh().web(one.address(), "").web(two.address(), "");
    let (_catalog, gateway) = gateway(&lab, document, &[("TIMERS_CONNECT", "600ms")]).await;
    let record = visit(&gateway, "web").await;
    assert_eq!((&record["reason"], &record["attempts"]), (&"connect_timeout".into(), &2.into()), "{record}");
}
