//! No pipe within the gateway's own bounds: bulk is copied, and counted.

use gateway_testkit::Lab;

use crate::{MIB, assert_whole, close, exchange, metric, open, prepare, turn};

#[tokio::test]
async fn beyond_the_bound_of_pipe_memory_bulk_is_copied() {
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    // One pipe for four directions that are bulk at the same time.
    let builder = builder.setting("LIMITS_PIPE_MEMORY", "64KiB").setting("LIMITS_PIPE_SIZE", "64KiB");
    let gateway = builder.start().await.unwrap();
    let (mut one, mut two) = (open(&gateway).await, open(&gateway).await);
    tokio::join!(exchange(&mut one, 16 * MIB), exchange(&mut two, 16 * MIB));
    for stream in [one, two] {
        assert_whole(&close(&gateway, stream).await, 16 * MIB);
    }
    metric(&gateway, "gateway_splice_fallback_total", &[("cause", "bound")], |count| count >= 1.0).await;
    metric(&gateway, "gateway_splice_fallback_total", &[("cause", "kernel")], |count| count == 0.0).await;
    metric(&gateway, "gateway_pipe_bytes", &[], |bytes| bytes <= 64.0 * 1024.0).await;
}

#[tokio::test]
async fn with_no_pipe_memory_all_is_copied_and_nothing_is_refused() {
    let _turn = turn().await;
    let lab = Lab::new().unwrap();
    let (_backend, builder) = prepare(&lab, "dc1");
    let gateway = builder.setting("LIMITS_PIPE_MEMORY", "0").start().await.unwrap();
    let mut stream = open(&gateway).await;
    exchange(&mut stream, 16 * MIB).await;
    let record = close(&gateway, stream).await;
    assert_whole(&record, 16 * MIB);
    assert_eq!(record["spliced"], false, "{record}");
    metric(&gateway, "gateway_splice_fallback_total", &[], |count| count == 0.0).await;
    metric(&gateway, "gateway_pipe_bytes", &[], |bytes| bytes == 0.0).await;
}
