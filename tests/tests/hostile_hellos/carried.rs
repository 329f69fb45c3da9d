//! Hellos that a strict reader must still take: every one is found at the server bit by bit.

use std::time::Duration;

use gateway_testkit::{Hello, group, pause, trickle};

use crate::world::{DOMAIN, World, billing};

#[tokio::test]
async fn t20_names_are_compared_without_case() {
    let world = World::start(&[]).await;
    for (name, service) in [
        (format!("BILLING.Default.DC1.internal.{DOMAIN}"), "billing"),
        (billing().to_uppercase(), "billing"),
        // Registered as `Ledger`.
        (format!("ledger.default.dc1.internal.{DOMAIN}"), "Ledger"),
        (format!("Ledger.default.dc1.internal.{DOMAIN}"), "Ledger"),
    ] {
        let record = world.carries(&name, &Hello::new(&name).bytes(), &world.near).await;
        assert_eq!(
            record["service"].as_str().map(str::to_lowercase),
            Some(service.to_lowercase()),
            "{record}"
        );
        assert_eq!(record["sni"], name.to_lowercase(), "{record}");
    }
    let name = format!("LEDGER.default.AMS2.internal.{DOMAIN}");
    world.carries("a name of another datacenter", &Hello::new(&name).bytes(), &world.far).await;
}

#[tokio::test]
async fn t24_one_byte_in_each_segment_is_a_hello_all_the_same() {
    let world = World::start(&[]).await;
    let wire = Hello::new(&billing()).alpn(&["h2"]).bytes();
    let mut client = world.connect().await;
    trickle(&mut client.stream, &wire, 1, async |_| pause(Duration::from_millis(2)).await).await.unwrap();
    let record = client.carried(&wire, &world.near).await;
    assert_eq!((&record["reason"], &record["alpn"]), (&"closed".into(), &"h2".into()));
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn t25_records_of_one_byte_and_empty_ones_make_a_hello_too() {
    let world = World::start(&[]).await;
    let hello = Hello::new(&billing());
    for (what, hello) in [
        ("records of one byte", hello.clone().record_size(1)),
        ("records of seven bytes", hello.clone().record_size(7)),
        ("an empty record first", hello.clone().empty_records_first(1)),
        ("three empty records, then small ones", hello.clone().empty_records_first(3).record_size(100)),
    ] {
        world.carries(what, &hello.bytes(), &world.near).await;
    }
    // Cut at both layers at once, and never where a record ends.
    let wire = hello.record_size(5).bytes();
    let mut client = world.connect().await;
    trickle(&mut client.stream, &wire, 73, async |_| pause(Duration::from_millis(2)).await).await.unwrap();
    client.carried(&wire, &world.near).await;
}

#[tokio::test]
async fn t26_large_hellos_with_the_name_at_the_end() {
    let world = World::start(&[]).await;
    for size in [4, 9, 16].map(|kib| kib * 1024) {
        let wire = Hello::new(&billing()).names_last().padded_to(size).bytes();
        assert_eq!(wire.len(), size);
        world.carries(&format!("{size} bytes"), &wire, &world.near).await;
    }
    let wire = Hello::new(&billing()).names_last().padding(60_000).record_size(16_000).bytes();
    world.carries("60,000 bytes in four records", &wire, &world.near).await;
}

#[tokio::test]
async fn t32_every_record_version_of_tls_is_taken() {
    let world = World::start(&[]).await;
    for version in 0x0300..=0x0304 {
        let wire = Hello::new(&billing()).record_version(version).bytes();
        world.carries(&format!("record version {version:#06x}"), &wire, &world.near).await;
    }
    for version in [0x0301, 0x0302, 0x0303, 0x0304, 0x0305] {
        let wire = Hello::new(&billing()).hello_version(version).versions(&[]).bytes();
        world.carries(&format!("hello version {version:#06x}"), &wire, &world.near).await;
    }
}

#[tokio::test]
async fn t33_what_a_reader_need_not_understand_is_passed_on_as_it_is() {
    let world = World::start(&[]).await;
    let hello = Hello::new(&billing());
    let both = [group::X25519_MLKEM768, group::X25519];
    for (what, hello) in [
        ("GREASE", hello.clone().grease()),
        ("GREASE ECH", hello.clone().ech(160)),
        ("unknown extensions", hello.clone().extension(0xfafb, vec![0xff; 300]).extension(0x4469, vec![])),
        ("a post-quantum key share", hello.clone().groups(&both)),
        (
            "all of it",
            hello.grease().ech(220).groups(&both).alpn(&["h2", "http/1.1"]).extension(41, vec![9; 60]),
        ),
    ] {
        world.carries(what, &hello.bytes(), &world.near).await;
    }
}

#[tokio::test]
async fn t33_ech_goes_by_its_outer_name() {
    let world = World::start(&[]).await;
    world.carries("a known outer name", &Hello::new(&billing()).ech(200).bytes(), &world.near).await;
    let outer = Hello::new("public.example").ech(200);
    let record = world.refuses("an unknown outer name", &outer.bytes(), "unknown_sni").await;
    assert_eq!(record["sni"], "public.example");
}

/// What current clients send, in as many segments as a small path makes of it; each comes only when the gateway has
/// taken all before it.
#[tokio::test]
async fn t33_a_post_quantum_hello_comes_in_several_segments_with_pauses_between() {
    let world = World::start(&[]).await;
    for segment in [1400, 536, 1, 700] {
        let groups = [group::X25519_MLKEM768, group::X25519_KYBER768, group::X25519];
        let wire = Hello::new(&billing()).groups(&groups).grease().names_last().bytes();
        assert!(wire.len() > 2500, "not several segments: {}", wire.len());
        let cuts: Vec<usize> = match segment {
            // The first byte alone, and the last.
            1 => vec![1, wire.len() - 1],
            _ => (segment..wire.len()).step_by(segment).collect(),
        };
        let mut client = world.connect().await;
        let mut sent = 0;
        for cut in cuts {
            client.send(&wire[sent..cut]).await;
            client.until_read().await;
            sent = cut;
            assert!(world.near.seen().iter().all(|seen| seen.end.is_some()), "dialled with half a hello");
        }
        client.send(&wire[sent..]).await;
        let record = client.carried(&wire, &world.near).await;
        assert_eq!(record["reason"], "closed", "{record}");
    }
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn what_follows_the_hello_at_once_goes_with_it() {
    let world = World::start(&[]).await;
    let hello = Hello::new(&billing()).bytes();
    let early_data = [b"\x17\x03\x03\x40\x00".to_vec(), vec![0xe5; 16_384]].concat();
    let more = [hello.clone(), early_data.clone()].concat();
    world.carries("in the same segment", &more, &world.near).await;

    // The last byte of the hello comes with what follows it.
    let mut client = world.connect().await;
    let (half, rest) = more.split_at(hello.len() - 1);
    client.send(half).await;
    client.until_read().await;
    client.send(rest).await;
    client.carried(&more, &world.near).await;

    // More than one read of the gateway takes.
    let bulk = [hello.clone(), vec![0x7a; 200_000]].concat();
    let mut client = world.connect().await;
    client.send(&bulk[..hello.len() - 1]).await;
    client.until_read().await;
    let (mut reader, mut writer) = client.stream.split();
    let mut back = vec![0; bulk.len()];
    let both = async {
        tokio::try_join!(
            tokio::io::AsyncWriteExt::write_all(&mut writer, &bulk[hello.len() - 1..]),
            tokio::io::AsyncReadExt::read_exact(&mut reader, &mut back),
        )
    };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("the echo comes in time").unwrap();
    assert!(back == bulk, "the bytes that came back differ");
    world.wait_hello_memory(|bytes| bytes == 0.0).await;
}
