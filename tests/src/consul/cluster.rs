//! More than one agent: servers together, two datacenters.

use anyhow::Result;

use super::{Consul, ConsulBuilder};
use crate::{Deadline, Lab, wait_for};

/// Two datacenters, `dc1` (primary) and `dc2`, one server each, joined over the WAN.
#[derive(Debug)]
pub struct TwoConsuls {
    /// The primary datacenter's server.
    pub dc1: Consul,
    /// The other's.
    pub dc2: Consul,
}

impl Lab {
    /// An agent whose data and log are in this test's folder under `name`; a single server of `dc1`, if nothing else is
    /// said.
    ///
    /// # Errors
    /// When the program is missing, or there is no address for it.
    pub fn consul(&self, name: &str) -> Result<ConsulBuilder> {
        Consul::builder(name, self.dir().join(name))
    }

    /// Two datacenters; `adapt` is asked for each server before both start together.
    ///
    /// # Errors
    /// When one does not come up, or they do not see each other.
    pub async fn two_consuls(
        &self,
        adapt: impl Fn(ConsulBuilder) -> Result<ConsulBuilder>,
    ) -> Result<TwoConsuls> {
        let build = |dc: &str| adapt(self.consul(&format!("server-{dc}"))?.datacenter(dc).primary("dc1"));
        TwoConsuls::start(build("dc1")?, build("dc2")?).await
    }

    /// Three servers of `dc1`, called `a`, `b` and `c`; `adapt` is asked for each before they start together.
    ///
    /// # Errors
    /// When they do not come up.
    pub async fn three_servers(
        &self,
        adapt: impl Fn(ConsulBuilder) -> Result<ConsulBuilder>,
    ) -> Result<[Consul; 3]> {
        let build = |name: &str| adapt(self.consul(name)?.servers(3));
        let (a, b, c) = (build("a")?, build("b")?, build("c")?);
        let (b, c) = (b.join(a.address()), c.join(a.address()));
        let (a, b, c) = tokio::try_join!(a.start(), b.start(), c.start())?;
        Ok([a, b, c])
    }
}

impl TwoConsuls {
    /// Starts both together, each a server of a datacenter with `dc1` as primary.
    ///
    /// # Errors
    /// When one does not come up, or they do not see each other.
    pub async fn start(dc1: ConsulBuilder, dc2: ConsulBuilder) -> Result<Self> {
        let (first, second) = (dc1.wan_address(), dc2.wan_address());
        let (dc1, dc2) = tokio::try_join!(dc1.join_wan(second).start(), dc2.join_wan(first).start())?;
        let both = TwoConsuls { dc1, dc2 };
        both.wait_joined(Deadline::after(super::START_WITHIN)).await?;
        Ok(both)
    }

    /// Waits until each can ask the other's servers.
    ///
    /// # Errors
    /// When they cannot by the deadline.
    pub async fn wait_joined(&self, deadline: Deadline) -> Result<()> {
        let joined = async || {
            for (one, other) in [(&self.dc1, &self.dc2), (&self.dc2, &self.dc1)] {
                let nodes = one.api().datacenter(other.datacenter()).get("/v1/catalog/nodes").await.ok()?;
                nodes.as_array().filter(|nodes| !nodes.is_empty())?;
            }
            Some(())
        };
        Ok(wait_for(deadline, "two datacenters that see each other", joined).await?)
    }
}
