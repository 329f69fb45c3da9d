//! An application behind Consul's own sidecar: says who it is, then sends back what it gets. It speaks plain TCP; TLS and
//! intentions are the sidecar's.

use std::net::SocketAddr;

use anyhow::Result;
use gateway_testkit::{ConnectProxy, Consul, Instance};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// An instance of a service: application, sidecar and registration. All end when dropped.
pub(crate) struct Service {
    pub(crate) id: &'static str,
    pub(crate) version: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) sidecar: ConnectProxy,
    _application: JoinSet<()>,
}

impl Service {
    /// Starts application and sidecar, and registers both with the agent.
    pub(crate) async fn start(
        consul: &Consul,
        service: &'static str,
        id: &'static str,
        version: &'static str,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut application = JoinSet::new();
        application.spawn(listen(listener, service, id));
        let sidecar = ConnectProxy::start(consul, service, address).await?;
        let instance = Instance::new(service, id, sidecar.address()).meta("version", version);
        consul.register_instance(&instance).await?;
        Ok(Service { id, version, address, sidecar, _application: application })
    }
}

async fn listen(listener: TcpListener, service: &'static str, id: &'static str) {
    // The set ends its connections when this task is aborted.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(async move {
                    // How a connection ends is the client's to judge.
                    let _ = serve(stream, service, id).await;
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, service: &str, id: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(format!("{}\n", json!({"service": service, "instance": id})).as_bytes()).await?;
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}
