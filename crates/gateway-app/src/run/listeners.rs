//! The listeners of the process: opened, replaced when documents ask for other addresses, drained.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway_runtime::drain::Drain;
use gateway_runtime::listener::{AcceptConfig, BindError, Bound, Handler};
use gateway_runtime::registry::Registry;
use gateway_runtime::worker::Workers;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What is listened on now.
pub(super) struct Listeners<'a, H> {
    workers: &'a Workers,
    registry: &'a Arc<Registry>,
    handler: Arc<H>,
    accept: AcceptConfig,
    serving: Vec<Serving>,
    /// Addresses that documents ask for and that could not be had, with the reason that was logged.
    missing: Vec<(SocketAddr, String)>,
}

struct Serving {
    name: String,
    /// As it was asked for: port 0 stays port 0.
    asked: SocketAddr,
    address: SocketAddr,
    drain: Drain,
    acceptors: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Whether this is the listener of an address, as it was asked for or as the kernel made it.
    fn is_at(&self, address: SocketAddr) -> bool {
        self.asked == address || self.address == address
    }
}

impl<'a, H: Handler> Listeners<'a, H> {
    pub(super) fn new(
        workers: &'a Workers,
        registry: &'a Arc<Registry>,
        handler: Arc<H>,
        accept: AcceptConfig,
    ) -> Self {
        Self { workers, registry, handler, accept, serving: Vec::new(), missing: Vec::new() }
    }

    /// Listens on what was bound before, each `asked` for by its address.
    ///
    /// # Errors
    /// When somebody else has begun to listen on one of them since.
    pub(super) fn serve(&mut self, bound: Vec<(SocketAddr, Bound)>) -> Result<(), BindError> {
        bound.into_iter().try_for_each(|(asked, bound)| self.open(asked, bound))
    }

    /// Listens on exactly these addresses: new ones are opened first, then those that are gone stop
    /// accepting; connections stay. An address that cannot be had is tried again with the next call.
    pub(super) fn reconcile(&mut self, wanted: &[(Arc<str>, SocketAddr)]) {
        self.missing.retain(|(address, _)| wanted.iter().any(|(_, wanted)| wanted == address));
        for (name, address) in wanted {
            if self.serving.iter().any(|serving| serving.is_at(*address)) {
                continue;
            }
            match Bound::bind(name, *address).and_then(|bound| self.open(*address, bound)) {
                Ok(()) => self.missing.retain(|(missing, _)| missing != address),
                Err(error) => self.missed(*address, &error),
            }
        }
        let (stay, gone) = std::mem::take(&mut self.serving)
            .into_iter()
            .partition(|serving| wanted.iter().any(|(_, address)| serving.is_at(*address)));
        self.serving = stay;
        for Serving { name, address, drain, .. } in gone {
            tracing::info!(listener = name, %address, "no longer listening: no document asks for it");
            drain.start(Instant::now());
        }
    }

    /// Whether all that is asked for is served; if not, why.
    pub(super) fn state(&self) -> Result<(), String> {
        match self.missing.first() {
            Some((_, why)) => Err(why.clone()),
            None if self.serving.is_empty() => Err("no listener yet".to_owned()),
            None => Ok(()),
        }
    }

    /// Where the process listens.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.serving.iter().map(|serving| serving.address)
    }

    /// Stops accepting. The tasks end when the kernel's queues are empty.
    pub(super) fn drain(self, deadline: Instant) -> Vec<JoinHandle<()>> {
        let stop = |serving: Serving| {
            serving.drain.start(deadline);
            serving.acceptors
        };
        self.serving.into_iter().flat_map(stop).collect()
    }

    fn open(&mut self, asked: SocketAddr, bound: Bound) -> Result<(), BindError> {
        let (name, address) = (bound.name().to_owned(), bound.local_addr());
        let (drain, watch) = Drain::new();
        let acceptors = bound.serve(self.workers, self.registry, &self.handler, &watch, &self.accept)?;
        tracing::info!(listener = name, %address, "listening");
        self.serving.push(Serving { name, asked, address, drain, acceptors });
        Ok(())
    }

    fn missed(&mut self, address: SocketAddr, error: &BindError) {
        let why = error.to_string();
        match self.missing.iter_mut().find(|(missing, _)| *missing == address) {
            Some((_, known)) if *known == why => return,
            Some((_, known)) => known.clone_from(&why),
            None => self.missing.push((address, why.clone())),
        }
        tracing::error!("{why}; it is tried again, the others serve");
    }
}
