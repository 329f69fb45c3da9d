//! Passive ejection: an endpoint whose connects fail in a row is left out for a while.

use gateway_testkit::{Deadline, Lab, Place, wait_for};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{LOOPBACK, WithWeb, echo, gateway, mesh, refusing, row, said, visit};

const LEFT_OUT: &str = "endpoint is left out";

async fn visits(gateway: &gateway_testkit::Gateway, calls: usize) -> Vec<Value> {
    let mut records = Vec::new();
    for _ in 0..calls {
        records.push(visit(gateway, "web").await);
    }
    records
}

#[tokio::test]
async fn five_failures_in_a_row_leave_an_endpoint_out() {
    let lab = Lab::new().unwrap();
    let (dead, alive) = (refusing(), echo());
    let document = mesh().web(dead.address(), "").web(alive.address(), "");
    let (_catalog, gateway) =
        gateway(&lab, document, &[("EJECTION_BASE", "1h"), ("EJECTION_MAX", "2h")]).await;
    // How often it is the first choice depends on its place in the round.
    let failed = async |failures: u64| {
        let mut calls = 0;
        loop {
            let row = row(&gateway, "web", dead.address()).await.unwrap();
            if row["failures"] == failures {
                return row;
            }
            calls += 1;
            assert!(calls <= 20, "{failures} failures do not come: {row}");
            assert_eq!(visit(&gateway, "web").await["reason"], "closed");
        }
    };
    let four = failed(4).await;
    assert_eq!((&four["ejected"], &four["consecutive_failures"]), (&false.into(), &4.into()), "{four}");
    let out = failed(5).await;
    assert_eq!(out["ejected"], true, "{out}");
    assert!(out["ejected_for_seconds"].as_f64().unwrap() > 3_000.0, "{out}");
    for record in visits(&gateway, 6).await {
        assert_eq!((&record["reason"], &record["attempts"]), (&"closed".into(), &1.into()), "{record}");
    }
    let web = [("service", "web")];
    gateway
        .wait_metric(Deadline::usual(), "gateway_ejections_total", &web, |count| count == 1.0)
        .await
        .unwrap();
    let line = gateway.wait_log(Deadline::usual(), "of the ejection", |line| {
        line["message"].as_str().is_some_and(|m| m.contains(LEFT_OUT))
    });
    let line = line.await.unwrap();
    assert_eq!(
        (&line["service"], &line["endpoint"]),
        (&"web".into(), &dead.address().to_string().into()),
        "{line}"
    );
    assert_eq!(said(&gateway, LEFT_OUT), 1);
}

#[tokio::test]
async fn the_last_endpoint_is_never_left_out() {
    let lab = Lab::new().unwrap();
    let (one, two) = (refusing(), refusing());
    let document = mesh().web(one.address(), "").web(two.address(), "");
    let settings = [("EJECTION_BASE", "1h"), ("EJECTION_MAX", "2h"), ("EJECTION_MAX_PERCENT", "100")];
    let (_catalog, gateway) = gateway(&lab, document, &settings).await;
    for record in visits(&gateway, 20).await {
        assert_eq!(record["reason"], "connect_refused", "somebody was tried: {record}");
    }
    let mut out = 0;
    for endpoint in [&one, &two] {
        let row = row(&gateway, "web", endpoint.address()).await.unwrap();
        out += usize::from(row["ejected"] == true);
    }
    assert_eq!(out, 1);
    assert_eq!(said(&gateway, LEFT_OUT), 1);
}

#[tokio::test]
async fn an_endpoint_comes_back_when_its_time_is_over() {
    let lab = Lab::new().unwrap();
    // Bound and not listening: its port refuses until somebody listens, and nobody else can take it.
    let socket = Place::Here.bind(LOOPBACK.into()).unwrap();
    let address = socket.local_addr().unwrap();
    let alive = echo();
    let document = mesh().web(address, "").web(alive.address(), "");
    let settings = [("EJECTION_BASE", "500ms"), ("EJECTION_CONSECUTIVE_FAILURES", "2")];
    let (_catalog, gateway) = gateway(&lab, document, &settings).await;
    visits(&gateway, 4).await;
    gateway
        .wait_metric(Deadline::usual(), "gateway_ejections_total", &[], |count| count == 1.0)
        .await
        .unwrap();

    let listener = socket.listen(64).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut read, mut write) = stream.split();
            // How such a connection ends is in the gateway's record.
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = stream.shutdown().await;
        }
    });
    let back = async || {
        let record = visit(&gateway, "web").await;
        assert_eq!(record["reason"], "closed", "{record}");
        (record["endpoint"] == address.to_string()).then_some(())
    };
    wait_for(Deadline::usual(), "a connection to the recovered endpoint", back).await.unwrap();
    let row = row(&gateway, "web", address).await.unwrap();
    assert_eq!((&row["ejected"], &row["consecutive_failures"]), (&false.into(), &0.into()), "{row}");
}
