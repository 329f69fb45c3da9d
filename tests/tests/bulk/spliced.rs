//! What is spliced, what is not, and that pipes come back.

use gateway_testkit::Lab;

use crate::{MIB, assert_whole, close, exchange, metric, open, prepare, turn};

#[tokio::test]
async fn bulk_is_spliced_both_ways_and_arrives_as_it_was_sent() {
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    let gateway = builder.start().await.unwrap();
    let mut stream = open(&gateway).await;
    exchange(&mut stream, 64 * MIB).await;
    let record = close(&gateway, stream).await;
    assert_whole(&record, 64 * MIB);
    assert_eq!(record["spliced"], true, "{record}");
    metric(&gateway, "gateway_splice_fallback_total", &[], |count| count == 0.0).await;
}

#[tokio::test]
async fn small_exchanges_are_copied_and_take_no_pipe() {
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    let gateway = builder.start().await.unwrap();
    let mut stream = open(&gateway).await;
    for _ in 0..300 {
        exchange(&mut stream, 1_000).await;
    }
    let record = close(&gateway, stream).await;
    assert_whole(&record, 300_000);
    assert_eq!(record["spliced"], false, "{record}");
    metric(&gateway, "gateway_pipe_bytes", &[], |bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn pipes_come_back_and_only_the_spare_ones_are_kept() {
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    let builder = builder.setting("LIMITS_PIPE_SPARE", "1").setting("LIMITS_PIPE_SIZE", "256KiB");
    let gateway = builder.start().await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&gateway).await);
    }
    let [one, two, three] = &mut streams[..] else { unreachable!("there are three") };
    tokio::join!(exchange(one, 8 * MIB), exchange(two, 8 * MIB), exchange(three, 8 * MIB));
    // While they are open: an idle connection holds no pipe.
    let spare = |bytes: f64| bytes == 256.0 * 1024.0;
    metric(&gateway, "gateway_pipe_bytes", &[], spare).await;
    for stream in streams {
        let record = close(&gateway, stream).await;
        assert_whole(&record, 8 * MIB);
        assert_eq!(record["spliced"], true, "{record}");
    }
    metric(&gateway, "gateway_pipe_bytes", &[], spare).await;
}
