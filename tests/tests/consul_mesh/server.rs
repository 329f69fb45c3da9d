//! The server that tests share: it takes longer to start than most of them to run.

use std::ops::Deref;
use std::sync::{Arc, Weak};

use gateway_testkit::{Consul, Trust, target_dir};
use tokio::sync::Mutex;

/// A single server of `dc1`. It goes with the last test that has it; the next one starts another.
pub(crate) struct Server {
    consul: Consul,
    pub(crate) trust: Trust,
}

/// What tests must not disturb each other's.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Of {
    /// Most.
    All,
    /// Those who need an agent without gateways.
    NoGateways,
    /// Those with ACLs on and everything denied.
    Acls,
}

static SHARED: [Mutex<(u32, Weak<Server>)>; 3] = [const { Mutex::const_new((0, Weak::new())) }; 3];

impl Server {
    pub(crate) async fn shared(of: Of) -> Arc<Server> {
        let mut shared = SHARED[of as usize].lock().await;
        if let Some(server) = shared.1.upgrade() {
            return server;
        }
        shared.0 += 1;
        let dir = format!("consul_mesh/server-{}-{}", of as usize, shared.0);
        let dir = target_dir().unwrap().join("test-logs").join(dir);
        let _ = std::fs::remove_dir_all(&dir);
        let builder = Consul::builder("shared", dir).unwrap();
        let builder = if of == Of::Acls { builder.acls() } else { builder };
        let consul = builder.start().await.unwrap();
        let server = Arc::new(Server { trust: consul.trust().await.unwrap(), consul });
        shared.1 = Arc::downgrade(&server);
        server
    }
}

impl Deref for Server {
    type Target = Consul;

    fn deref(&self) -> &Consul {
        &self.consul
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of a test that failed its log stays.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(self.consul.dir());
        }
    }
}
