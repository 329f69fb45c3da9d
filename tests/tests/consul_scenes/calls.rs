//! A service of each datacenter calls one of the other.

use gateway_testkit::{Backend, ConnectProxy, Consul, Envoy, Place, Script, Upstream, Via};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::both::{Both, call, soon};

/// T07, T08: mode local, through both gateways, and mode remote, through the far one; by WAN addresses.
#[tokio::test]
async fn services_call_each_other_across_datacenters_in_both_modes() {
    if !Consul::available() || !Envoy::available() {
        return;
    }
    let both = Both::take().await;
    let (one, two) = tokio::join!(both.edge("dc1", "edge"), both.edge("dc2", "edge"));
    let _web = both.service("dc1", "web").await;
    let ledger = both.service("dc2", "ledger").await;
    // Sidecars of other makes at the far end.
    let backend = Backend::local(Script::Echo).unwrap();
    let consuls = ConnectProxy::start(both.consul("dc2"), "billing", backend.address()).await.unwrap();
    both.register("dc2", "billing", consuls.address()).await;
    let (shop, frontend) = (both.identity("dc2", "shop").await, both.identity("dc1", "frontend").await);
    let anywhere = ([127, 0, 0, 1], 0).into();
    let envoy = both.lab.envoy("envoy").called("shop", &shop, anywhere, backend.address()).unwrap();
    let upstream = |service: &str| Upstream::new(service, "dc2");
    let envoy = envoy.caller("local", &frontend, &upstream("billing"), one.lan).unwrap();
    let envoy = envoy.caller("remote", &frontend, &upstream("billing"), two.wan).unwrap();
    let envoy = envoy.start().await.unwrap();
    both.register("dc2", "shop", envoy.listener("shop").unwrap()).await;

    both.until_leads(&one, "dc2", &[two.wan]).await;
    both.until_leads(&two, "dc1", &[one.wan]).await;
    both.until_knows(&one, "dc1", "web").await;
    for service in ["ledger", "billing", "shop"] {
        both.until_knows(&two, "dc2", service).await;
    }

    let client = both.caller("dc1", "frontend").await;
    let local = call(&client, "ledger", "dc2", Via::Local(one.lan)).await.unwrap();
    let (near, far) = (local.local, local.greeting.peer);
    assert_eq!((&*local.greeting.instance, &*local.greeting.datacenter), ("ledger-1", "dc2"));
    assert_eq!(local.greeting.identity, client.leaf().uri, "the caller is seen through both gateways");
    assert_eq!(local.identity, frontend.trust.service_id("ledger", "dc2"));
    local.close().await.unwrap();
    let record = one.record(near).await;
    assert_eq!(record["endpoint"], two.wan.to_string(), "{record:#}");
    let sni = upstream("ledger").sni(&both.trust_domain);
    let record = two.gateway.wait_record(soon(), "of the far gateway", |it| it["sni"] == *sni).await.unwrap();
    assert_eq!(
        (&record["endpoint"], &record["service"]),
        (&ledger.address().to_string().into(), &"ledger".into())
    );
    assert_ne!(record["peer"], far.to_string());

    let calls_before = one.gateway.records().count();
    let remote = call(&client, "ledger", "dc2", Via::Remote(two.wan)).await.unwrap();
    let near = remote.local;
    remote.close().await.unwrap();
    assert_eq!(two.record(near).await["service"], "ledger");
    assert_eq!(one.gateway.records().count(), calls_before, "the near gateway has no part in it");

    // The other way, from a leaf with an intermediate certificate.
    let client = both.caller("dc2", "backoffice").await;
    for via in [Via::Local(two.lan), Via::Remote(one.wan)] {
        let call = call(&client, "web", "dc1", via).await.unwrap();
        assert_eq!(
            (&*call.greeting.instance, &*call.greeting.identity),
            ("web-1", &*client.leaf().uri),
            "{via}"
        );
        call.close().await.unwrap();
    }

    // Other makes: Consul's sidecar and Envoy are called by ours, Consul's by Envoy.
    let client = both.caller("dc1", "frontend").await;
    for service in ["billing", "shop"] {
        for via in [Via::Local(one.lan), Via::Remote(two.wan)] {
            let mut stream = client.open(&upstream(service), via).await.unwrap();
            echo(&mut stream).await.unwrap();
        }
    }
    for mode in ["local", "remote"] {
        let mut stream = Place::Here.connect(envoy.listener(mode).unwrap()).await.unwrap();
        echo(&mut stream).await.unwrap();
    }
    // A name of the other datacenter that is nobody's ends at the far gateway.
    assert!(call(&client, "nobody", "dc2", Via::Local(one.lan)).await.is_err());
    let sni = upstream("nobody").sni(&both.trust_domain);
    let refused = two.gateway.wait_record(soon(), "of nobody", |it| it["sni"] == *sni).await.unwrap();
    assert_eq!(refused["reason"], "unknown_sni");
    both.deregister("dc1", &["web"]).await;
    both.deregister("dc2", &["ledger", "billing", "shop"]).await;
    tokio::join!(one.end(), two.end());
}

pub(crate) async fn echo(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut back = [0; 5];
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"hello");
    Ok(())
}

/// Whether the kernel probes an idle connection of a process to `to`.
fn probes(pid: u32, to: std::net::SocketAddr) -> Option<bool> {
    let std::net::SocketAddr::V4(to) = to else { return None };
    let far = format!("{:08X}:{:04X}", u32::from_le_bytes(to.ip().octets()), to.port());
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let sockets: Vec<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| {
        row.get(2).is_some_and(|it| *it == far)
            && row.get(9).is_some_and(|inode| sockets.contains(&format!("socket:[{inode}]")))
    })?;
    // 02 is the keepalive timer.
    Some(row.get(5)?.starts_with("02"))
}

/// T66: as the registration says; only ways to other datacenters are probed.
#[tokio::test]
async fn keepalive_is_for_other_datacenters_only() {
    if !Consul::available() {
        return;
    }
    let both = Both::take().await;
    let options = json!({
        "envoy_gateway_remote_tcp_enable_keepalive": true, "envoy_gateway_remote_tcp_keepalive_time": 120,
    });
    let (one, two) = tokio::join!(both.edge_registered("dc1", "alive", &options), both.edge("dc2", "alive"));
    let (near, _far) = (both.service("dc1", "near").await, both.service("dc2", "far").await);
    both.until_leads(&one, "dc2", &[two.wan]).await;
    both.until_knows(&one, "dc1", "near").await;
    both.until_knows(&two, "dc2", "far").await;
    let client = both.caller("dc1", "frontend").await;
    let local = call(&client, "near", "dc1", Via::Local(one.lan)).await.unwrap();
    let remote = call(&client, "far", "dc2", Via::Local(one.lan)).await.unwrap();
    let pid = one.gateway.pid();
    assert_eq!((probes(pid, near.address()), probes(pid, two.wan)), (Some(false), Some(true)));
    local.close().await.unwrap();
    remote.close().await.unwrap();
    both.consul("dc1").deregister("alive").await.unwrap();
    both.deregister("dc1", &["near"]).await;
    both.deregister("dc2", &["far"]).await;
    tokio::join!(one.end(), two.end());
}
