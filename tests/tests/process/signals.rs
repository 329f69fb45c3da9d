//! Signals: SIGTERM and SIGINT drain, a second one ends at once, SIGHUP opens the access log again.

use gateway_testkit::{
    ClientSidecar, Deadline, Document, Gateway, JsonLines, Lab, Pki, Place, ServerSidecar, Sidecar, Signal,
    Upstream, Via, eventually, gateway_binary,
};
use tokio::io::AsyncWriteExt;

use crate::program::{small_catalog, text};

/// A gateway with one service, and somebody who calls it.
struct World {
    gateway: Gateway,
    frontend: ClientSidecar,
    _billing: ServerSidecar,
    lab: Lab,
}

impl World {
    async fn start(drain_time: &str) -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let billing = ServerSidecar::start(&pki, Sidecar::new("billing", "billing-1", "dc1")).unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        let mesh = Document::new().mesh("dc1", pki.trust_domain());
        catalog.write("mesh.toml", mesh.sidecar("billing", "billing-1", billing.address())).unwrap();
        let gateway =
            lab.gateway("gateway").catalog(catalog.path()).argument("--drain-time").argument(drain_time);
        let gateway = gateway.start().await.unwrap();
        let frontend = ClientSidecar::new(&pki, "frontend", "dc1").unwrap();
        World { gateway, frontend, _billing: billing, lab }
    }

    async fn call(&self) -> anyhow::Result<gateway_testkit::Call> {
        let via = Via::Local(self.gateway.address().unwrap());
        let upstream = Upstream::new("billing", "dc1");
        let call = self.frontend.call(&upstream, via);
        tokio::time::timeout(Deadline::usual().remaining(), call).await?
    }

    async fn until_refused(&self) {
        let address = self.gateway.address().unwrap();
        let refused = async || Place::Here.connect(address).await.is_err();
        eventually(Deadline::usual(), "new connections to be refused", refused).await;
    }
}

#[tokio::test]
async fn a_drain_waits_for_who_is_there_and_takes_nobody_new() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::start("60s").await;
        let mut call = world.call().await.unwrap();
        world.gateway.signal(signal).unwrap();
        world.until_refused().await;
        let ready = world.gateway.admin().unwrap().get("/ready").await.unwrap();
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("draining"), "{}", ready.body);
        call.echo(&vec![3; 100_000]).await.unwrap();
        assert!(world.gateway.is_running());
        call.close().await.unwrap();
        assert_eq!(world.gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
        let record = world.gateway.records().find(0, |record| record["service"] == "billing");
        assert_eq!(record.unwrap()["reason"], "closed", "what was buffered is written before the end");
    }
}

#[tokio::test]
async fn who_stays_longer_than_the_drain_is_cut_and_reported() {
    let world = World::start("300ms").await;
    let mut call = world.call().await.unwrap();
    world.gateway.signal(Signal::TERM).unwrap();
    assert_eq!(world.gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
    call.ended().await;
    let record = world.gateway.records().find(0, |record| record["service"] == "billing").unwrap();
    assert_eq!(record["reason"], "drain_cut");
    let ended = world.gateway.log().find(0, |line| line["message"] == "ended").unwrap();
    assert_eq!(ended["cut"], 1);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::TERM, Signal::INT)] {
        // Longer than anybody waits here.
        let world = World::start("1h").await;
        let mut call = world.call().await.unwrap();
        world.gateway.signal(first).unwrap();
        world.until_refused().await;
        assert!(world.gateway.is_running());
        world.gateway.signal(second).unwrap();
        assert_eq!(world.gateway.exit_code(Deadline::usual()).await.unwrap(), 0);
        call.ended().await;
        let record = world.gateway.records().find(0, |record| record["service"] == "billing").unwrap();
        assert_eq!(record["reason"], "drain_cut");
    }
}

#[tokio::test]
async fn the_access_log_may_be_moved_away() {
    let world = World::start("1s").await;
    let gateway = &world.gateway;
    let file = gateway.records().path().to_owned();
    let moved = world.lab.dir().join("access.1.log");
    world.call().await.unwrap().close().await.unwrap();
    gateway.wait_record(Deadline::usual(), "of the first call", |_| true).await.unwrap();

    // As logrotate does it: until the signal comes, records go where the file went.
    std::fs::rename(&file, &moved).unwrap();
    let (before, after) = (JsonLines::new(&moved), JsonLines::new(&file));
    world.call().await.unwrap().close().await.unwrap();
    eventually(Deadline::usual(), "the second record in the moved file", async || before.count() == 2).await;
    assert!(!file.exists());

    let mut open = world.call().await.unwrap();
    gateway.signal(Signal::HUP).unwrap();
    eventually(Deadline::usual(), "a new file", async || file.exists()).await;
    open.echo(b"not disturbed").await.unwrap();
    open.close().await.unwrap();
    eventually(Deadline::usual(), "the third record in the new file", async || after.count() == 1).await;
    assert_eq!(before.count(), 2, "no record twice, none in the old file");
    let ids: Vec<_> = before.all().iter().chain(&after.all()).map(|record| record["id"].clone()).collect();
    assert!(ids.windows(2).all(|pair| pair[0].as_u64() < pair[1].as_u64()), "{ids:?}");
    assert!(gateway.is_running());
}

/// Log and records share standard error where no file is given: threads must not wait for each other there.
#[tokio::test]
async fn records_and_log_share_standard_error_by_default() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let log = lab.dir().join("stderr.log");
    let mut command = tokio::process::Command::new(gateway_binary().unwrap());
    command.args([
        "--catalog",
        text(catalog.path()),
        "--address",
        "127.0.0.1:0",
        "--admin-bind",
        "127.0.0.1:0",
    ]);
    command.args(["--log-format", "json"]).stderr(std::fs::File::create(&log).unwrap()).kill_on_drop(true);
    let mut gateway = command.spawn().unwrap();
    let lines = JsonLines::new(&log);
    let listening =
        lines.wait(0, Deadline::usual(), "listening", |line| line["message"] == "listening").await.unwrap();
    let address = listening["address"].as_str().unwrap().parse().unwrap();
    for round in 1..=3 {
        let mut stranger = Place::Here.connect(address).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let refused = async || lines.all().iter().filter(|line| line["reason"] == "not_tls").count() == round;
        eventually(Deadline::usual(), "the record of a stranger", refused).await;
    }
    let pid = rustix::process::Pid::from_raw(gateway.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Deadline::usual().remaining(), gateway.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    lines.wait(0, Deadline::usual(), "the end", |line| line["message"] == "ended").await.unwrap();
}
