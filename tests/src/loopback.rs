//! Addresses for servers that cannot take a bound socket from us, and that must find their ports again when they are
//! started a second time: Consul, mostly.
//!
//! All of 127.0.0.0/8 is this machine. So such a server gets an address of its own and its ports are always the same
//! ones, below the range from which the kernel hands out ports (32768 on). That leaves no race:
//! - two tests cannot get the same address: who has one listens on its claim port for as long as it lives;
//! - no outgoing connection can be in the way: those have other ports, and 127.0.0.1 as their address;
//! - a server on all addresses (`0.0.0.0`) that has one of the ports is seen when the address is claimed, and the next
//!   block of ports is taken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Ports of one address, counted from `base`.
const BLOCKS: [u16; 4] = [18500, 19500, 20500, 22500];
/// Ports of a block that a server may use.
const BLOCK: u16 = 10;
/// The port, counted from `base`, that says the address is taken.
const CLAIM: u16 = BLOCK;
const FIRST: u32 = u32::from_be_bytes([127, 64, 0, 0]);
const COUNT: u32 = 1 << 20;
const ATTEMPTS: u32 = 1000;

/// An address of 127.0.0.0/8 that no other server has, or a given one, with a block of ten ports. It is free again with
/// the last clone.
#[derive(Debug, Clone)]
pub struct Loopback {
    ip: IpAddr,
    base: u16,
    _claim: Option<Arc<TcpListener>>,
}

impl Loopback {
    /// A free one.
    ///
    /// # Errors
    /// When none is found in a thousand attempts.
    pub fn claim() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Test programs that run at the same time begin at different places.
        let first = std::process::id().wrapping_mul(4099);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let ip = IpAddr::V4(Ipv4Addr::from(FIRST + next));
            for base in BLOCKS {
                match Self::take(ip, base) {
                    Ok(claim) => return Ok(Loopback { ip, base, _claim: Some(Arc::new(claim)) }),
                    Err(error) => last = Some(error),
                }
            }
        }
        bail!("no free address in 127.64.0.0/12; the last attempt: {last:?}")
    }

    /// `ip` in a namespace where nobody else is.
    pub fn alone(ip: IpAddr) -> Self {
        Loopback { ip, base: BLOCKS[0], _claim: None }
    }

    /// The address alone.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The `offset`th port of the block, 0 to 9.
    pub(crate) fn port(&self, offset: u16) -> u16 {
        debug_assert!(offset < BLOCK);
        self.base + offset
    }

    /// The address with that port.
    pub fn at(&self, offset: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port(offset))
    }

    fn take(ip: IpAddr, base: u16) -> std::io::Result<TcpListener> {
        let claim = TcpListener::bind(SocketAddr::new(ip, base + CLAIM))?;
        for port in base..base + BLOCK {
            TcpListener::bind(SocketAddr::new(ip, port))?;
            UdpSocket::bind(SocketAddr::new(ip, port))?;
        }
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_given_once_and_a_server_on_all_addresses_is_passed_by() {
        let (first, second) = (Loopback::claim().unwrap(), Loopback::claim().unwrap());
        assert_ne!(first.ip(), second.ip());
        assert!(Loopback::take(first.ip, first.base).is_err());
        let (ip, base) = (first.ip, first.base);
        drop(first);
        Loopback::take(ip, base).unwrap();

        let everywhere = TcpListener::bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), base + 3)).unwrap();
        let third = Loopback::claim().unwrap();
        assert_ne!(third.base, base, "{everywhere:?}");
    }
}
