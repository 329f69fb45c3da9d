//! Ends of streams and resets, each way.

use gateway_testkit::{Backend, Deadline, End, Lab, Script};
use tokio::io::AsyncWriteExt;

use crate::{connect, echo, end, hello, open, prepare, record_of};

async fn behind(lab: &Lab, script: Script) -> (Backend, gateway_testkit::Gateway) {
    let backend = Backend::local(script).unwrap();
    let (_catalog, builder) = prepare(lab, &backend);
    (backend, builder.start().await.unwrap())
}

#[tokio::test]
async fn a_client_that_ends_its_side_first_still_gets_its_answer() {
    let lab = Lab::new().unwrap();
    let answer = vec![0x61; 300_000];
    let (backend, gateway) = behind(&lab, Script::AnswerAfterEof(answer.clone())).await;
    let mut client = connect(&gateway).await;
    client.write_all(&hello()).await.unwrap();
    client.shutdown().await.unwrap();
    let (came, orderly) = end(&mut client).await;
    assert!(came == answer && orderly, "{} bytes, orderly: {orderly}", came.len());
    let record = record_of(&gateway, &client).await;
    assert_eq!((&record["reason"], &record["bytes_down"]), (&"closed".into(), &300_000.into()), "{record}");
    let seen = backend.wait(Deadline::usual(), "its end", |seen| seen.end.is_some()).await.unwrap();
    assert_eq!((&seen.received, seen.end), (&hello(), Some(End::Eof)));
}

#[tokio::test]
async fn a_service_that_ends_its_side_first_still_gets_everything() {
    let lab = Lab::new().unwrap();
    let (backend, gateway) = behind(&lab, Script::HalfCloseFirst(b"bye".to_vec())).await;
    let mut client = connect(&gateway).await;
    client.write_all(&hello()).await.unwrap();
    let (came, orderly) = end(&mut client).await;
    assert!(came == b"bye" && orderly, "{came:?}, orderly: {orderly}");
    let late = vec![0x62; 300_000];
    for piece in late.chunks(10_000) {
        client.write_all(piece).await.unwrap();
    }
    let total = (hello().len() + late.len()) as u64;
    let got = backend.wait(Deadline::usual(), "the late bytes", |seen| seen.total == total).await.unwrap();
    assert_eq!(got.end, None, "the client has not ended yet");
    client.shutdown().await.unwrap();
    let seen = backend.wait(Deadline::usual(), "its end", |seen| seen.end.is_some()).await.unwrap();
    assert_eq!(seen.end, Some(End::Eof));
    let record = record_of(&gateway, &client).await;
    assert_eq!((&record["reason"], &record["bytes_up"]), (&"closed".into(), &total.into()), "{record}");
}

#[tokio::test]
async fn a_reset_of_the_service_is_a_reset_for_the_client() {
    let lab = Lab::new().unwrap();
    let (_backend, gateway) = behind(&lab, Script::ResetAfter(hello().len() + 10)).await;
    let mut client = connect(&gateway).await;
    client.write_all(&hello()).await.unwrap();
    client.write_all(&[1; 10]).await.unwrap();
    let (came, orderly) = end(&mut client).await;
    assert!(came.is_empty() && !orderly, "a cut stream must not look complete: {came:?}, orderly: {orderly}");
    assert_eq!(record_of(&gateway, &client).await["reason"], "upstream_reset");
}

#[tokio::test]
async fn a_reset_of_the_client_is_a_reset_for_the_service() {
    let lab = Lab::new().unwrap();
    let (backend, _catalog, gateway) = echo(&lab, &[]).await;
    let client = open(&gateway).await;
    let peer = client.local_addr().unwrap().to_string();
    // Closing with no time to linger is how a reset is sent.
    client.set_zero_linger().unwrap();
    drop(client);
    let seen = backend.wait(Deadline::usual(), "its end", |seen| seen.end.is_some()).await.unwrap();
    assert_eq!(seen.end, Some(End::Cut), "a cut stream must not look complete");
    let record =
        gateway.wait_record(Deadline::usual(), "of the client", |r| r["peer"] == *peer).await.unwrap();
    assert_eq!(record["reason"], "client_reset", "{record}");
}
