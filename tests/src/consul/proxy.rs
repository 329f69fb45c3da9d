//! Consul's own sidecar, `consul connect proxy`, in front of a service. Only as the called side: as a caller it sends no
//! server name, which a gateway needs.

use std::net::SocketAddr;

use anyhow::Result;

use super::Consul;
use super::start::HTTP;
use crate::child::Child;
use crate::{Deadline, Fetched, Loopback};

/// A running sidecar; killed when dropped.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    _claim: Loopback,
    _child: Child,
}

impl ConnectProxy {
    /// Starts the sidecar of `service` with identity and intentions from `consul`, in front of `backend`, and waits until
    /// it listens. It registers nothing.
    ///
    /// # Errors
    /// When it ends or takes longer than 10 s, with the end of its log.
    pub async fn start(consul: &Consul, service: &str, backend: SocketAddr) -> Result<Self> {
        let claim = Loopback::claim()?;
        let address = claim.at(HTTP);
        let name = format!("proxy-{service}-{}", claim.ip());
        let mut arguments = vec!["connect".to_owned(), "proxy".to_owned()];
        let agent = consul.http().to_string();
        let pairs = [
            ("-http-addr", agent.as_str()),
            ("-service", service),
            ("-service-addr", &backend.to_string()),
            ("-listen", &address.to_string()),
            ("-log-level", "INFO"),
        ];
        arguments.extend(pairs.iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(token) = consul.management() {
            let file = consul.dir().join(format!("{name}.token"));
            crate::pki::write(&file, token, true)?;
            arguments.push(format!("-token-file={}", file.display()));
        }
        let log = consul.dir().join(format!("{name}.log"));
        let child = Child::spawn(&name, consul.place(), &Fetched::Consul.need()?, arguments, &log)?;
        // It opens its port as soon as it has a leaf.
        let up = async || consul.place().connect(address).await.ok().map(drop);
        child.up(Deadline::usual(), "listening", up).await?;
        Ok(ConnectProxy { address, _claim: claim, _child: child })
    }

    /// Where its callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
