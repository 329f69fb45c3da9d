//! What a hello may cost: bytes, time, and the memory of all that are incomplete.

use std::time::{Duration, Instant};

use gateway_testkit::{Hello, pause, trickle};
use tokio::io::AsyncWriteExt as _;

use crate::world::{Client, World, billing};

/// A hello of exactly that many bytes, whatever records it needs.
fn of_size(total: usize) -> Vec<u8> {
    const RECORD: usize = 16 * 1024;
    let sized =
        |padding: usize| Hello::new(&billing()).names_last().padding(padding).record_size(RECORD).bytes();
    let shortest = sized(0).len();
    let headers = (total / (RECORD + 5)) * 5;
    sized(total - shortest - headers)
}

#[tokio::test]
async fn t27_a_hello_of_the_limit_passes_and_one_byte_more_does_not() {
    let world = World::start(&[("LIMITS_HELLO_BYTES", "4KiB")]).await;
    world.carries("4,096 bytes", &of_size(4096), &world.near).await;
    let record = world.refuses("4,097 bytes", &of_size(4097), "hello_too_large").await;
    assert!(record["detail"].as_str().unwrap().contains("4096"), "{record}");
    // Data behind the hello does not count.
    let more = [of_size(4096), vec![7; 9000]].concat();
    world.carries("4,096 bytes and more behind them", &more, &world.near).await;
    world.wait_counted("hello_too_large", 1).await;
}

#[tokio::test]
async fn t27_the_limit_is_64_kib_unless_set() {
    let world = World::start(&[]).await;
    let (most, above) = (of_size(65_536), of_size(65_537));
    assert_eq!((most.len(), above.len()), (65_536, 65_537));
    world.carries("65,536 bytes", &most, &world.near).await;
    world.refuses("65,537 bytes", &above, "hello_too_large").await;
    world.wait_counted("hello_too_large", 1).await;
}

/// The gateway does not wait for bytes that it would not take, and record headers count like the rest.
#[tokio::test]
async fn t27_a_length_above_the_limit_is_refused_when_it_is_announced() {
    let world = World::start(&[("LIMITS_HELLO_BYTES", "4KiB")]).await;
    let record = world.refuses("the first nine bytes", &of_size(4097)[..9], "hello_too_large").await;
    assert!(record["duration_ms"].as_f64().unwrap() < 9000.0, "{record}");
    let announced = b"\x16\x03\x01\x00\x04\x01\xff\xff\xff";
    world.refuses("16 MiB announced in nine bytes", announced, "hello_too_large").await;
    let expanded = Hello::new(&billing()).padding(700).record_size(1).bytes();
    assert!(expanded.len() > 4096);
    world.refuses("one byte in each record", &expanded, "hello_too_large").await;
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
    world.wait_counted("hello_too_large", 3).await;
    world.assert_nothing_came_through();
}

const DEADLINE: (&str, &str) = ("TIMERS_HELLO", "1s");

fn assert_cut_at_the_deadline(record: &serde_json::Value) {
    assert_eq!(record["reason"], "hello_timeout", "{record}");
    let lived = record["duration_ms"].as_f64().unwrap();
    assert!((1000.0..9000.0).contains(&lived), "cut after {lived} ms: {record}");
}

/// 600 bytes, one every 20 ms: it would be whole after 12 s, and no pause is anywhere near the deadline.
#[tokio::test]
async fn t28_the_deadline_does_not_move_with_the_bytes() {
    let world = World::start(&[DEADLINE]).await;
    let wire = Hello::new(&billing()).padded_to(600).bytes();
    let mut client = world.connect().await;
    let started = Instant::now();
    let slow = trickle(&mut client.stream, &wire, 1, async |_| pause(Duration::from_millis(20)).await).await;
    assert!(slow.is_err(), "all of it was taken, in {:?}", started.elapsed());
    assert_cut_at_the_deadline(&client.refused().await);
    world.wait_counted("hello_timeout", 1).await;
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t29_silence_ends_at_the_deadline() {
    let world = World::start(&[DEADLINE]).await;
    let wire = Hello::new(&billing()).bytes();
    let silent = async |bytes: &[u8]| assert_cut_at_the_deadline(&world.refusal_of(bytes).await);
    tokio::join!(silent(&[]), silent(&wire[..1]), silent(&wire[..60]), silent(&wire[..wire.len() - 1]));
    world.wait_counted("hello_timeout", 4).await;
    world.assert_nothing_came_through();
}

/// The deadline is for the hello alone: what comes after it has all the time.
#[tokio::test]
async fn t29_a_hello_in_time_has_no_deadline_any_more() {
    let world = World::start(&[("TIMERS_HELLO", "300ms")]).await;
    let wire = Hello::new(&billing()).bytes();
    let mut client = world.connect().await;
    client.send(&wire[..50]).await;
    client.send(&wire[50..]).await;
    let silent = world.refusal_of(b"").await;
    assert_eq!(silent["reason"], "hello_timeout", "a younger connection has met its deadline");
    let record = client.carried(&wire, &world.near).await;
    assert_eq!(record["reason"], "closed", "{record}");
}

#[tokio::test]
async fn t30_half_a_hello_and_an_end_is_closed_at_once() {
    let world = World::start(&[]).await;
    let wire = Hello::new(&billing()).bytes();
    for length in [1, 5, 60, wire.len() - 1] {
        let mut client = world.connect().await;
        client.send(&wire[..length]).await;
        client.stream.shutdown().await.unwrap();
        let record = client.refused().await;
        assert_eq!(record["reason"], "hello_eof", "{length} bytes: {record}");
    }
    // A health check: no problem, and its own word.
    let mut client = world.connect().await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.refused().await["reason"], "probe");
    world.wait_counted("hello_eof", 4).await;
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
    world.assert_nothing_came_through();
}

#[tokio::test]
async fn t30_half_a_hello_and_a_reset_is_the_clients_doing() {
    let world = World::start(&[]).await;
    let mut client = world.connect().await;
    client.send(&Hello::new(&billing()).bytes()[..60]).await;
    client.until_read().await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    world.wait_counted("client_reset", 1).await;
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
    world.assert_nothing_came_through();
}

/// Three quarters of the setting: the rest is for whole hellos whose endpoint is being dialled.
const BUDGET: f64 = 48.0 * 1024.0;
const HALF: usize = 12_000;

/// Begins hellos of 16 KiB until one is refused for the memory of all.
async fn fill<'a>(world: &'a World, wire: &[u8]) -> Vec<Client<'a>> {
    let mut held: Vec<Client<'_>> = Vec::new();
    loop {
        assert!(held.len() * HALF <= 4 * BUDGET as usize, "nobody is refused");
        let mut client = world.connect().await;
        client.send(&wire[..HALF]).await;
        let wanted = (held.len() + 1) * HALF;
        if wanted as f64 > BUDGET {
            let record = client.refused().await;
            assert_eq!(record["reason"], "hello_memory", "{} are held: {record}", held.len());
            return held;
        }
        world.wait_hello_memory(|bytes| bytes >= wanted as f64 && bytes <= BUDGET).await;
        held.push(client);
    }
}

#[tokio::test]
async fn the_memory_of_all_incomplete_hellos_has_one_bound() {
    let world = World::start(&[("LIMITS_HELLO_BYTES", "16KiB"), ("LIMITS_HELLO_MEMORY", "64KiB")]).await;
    let wire = of_size(16 * 1024);
    let mut held = fill(&world, &wire).await;
    assert_eq!(held.len(), 4);
    assert!(world.wait_hello_memory(|_| true).await <= BUDGET);
    world.wait_counted("hello_memory", 1).await;
    world.assert_nothing_came_through();

    // Who leaves makes room for others, and who was there first is not disturbed.
    drop(held.pop());
    world.wait_hello_memory(|bytes| bytes == 3.0 * HALF as f64).await;
    let mut later = world.connect().await;
    later.send(&wire[..HALF]).await;
    world.wait_hello_memory(|bytes| bytes == 4.0 * HALF as f64).await;
    drop(later);
    world.wait_hello_memory(|bytes| bytes == 3.0 * HALF as f64).await;
    for mut client in held.drain(..).rev().take(1) {
        client.send(&wire[HALF..]).await;
        let record = client.carried(&wire, &world.near).await;
        assert_eq!(record["reason"], "closed", "{record}");
    }
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
}

/// A hello that comes in one piece needs no memory of its own.
#[tokio::test]
async fn a_whole_hello_is_served_while_that_memory_is_taken() {
    let world = World::start(&[("LIMITS_HELLO_BYTES", "16KiB"), ("LIMITS_HELLO_MEMORY", "64KiB")]).await;
    let held = fill(&world, &of_size(16 * 1024)).await;
    let whole = of_size(8 * 1024);
    for _ in 0..4 {
        // As over any network: accepted first, and the hello a moment later.
        let mut client = world.connect().await;
        client.until_accepted().await;
        client.send(&whole).await;
        let record = client.carried(&whole, &world.near).await;
        assert_eq!(record["reason"], "closed", "{record}");
    }
    drop(held);
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
}
