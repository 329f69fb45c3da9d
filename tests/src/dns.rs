//! A name server with a handful of names that change while it runs (RFC 1035, UDP, one question a message).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tokio::net::UdpSocket;

use crate::Place;
use crate::task::Owned;

const A: u16 = 1;
const AAAA: u16 = 28;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// What is answered to questions for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    /// These addresses, to be kept for so many seconds; those of the kind that was asked for.
    Addresses(Vec<IpAddr>, u32),
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Silence,
}

/// A running name server; ends when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    names: Arc<Mutex<Names>>,
    _serving: Owned,
}

#[derive(Debug, Default)]
struct Names {
    answers: HashMap<String, DnsAnswer>,
    asked: HashMap<String, usize>,
}

impl DnsServer {
    /// Answers at `bind`; a name that it was not told does not exist.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(place: &Place, bind: SocketAddr) -> Result<Self> {
        let socket = place.run(move || std::net::UdpSocket::bind(bind))?;
        let socket = socket.with_context(|| format!("cannot bind {bind}"))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let socket = UdpSocket::from_std(socket)?;
        let names = Arc::new(Mutex::new(Names::default()));
        let serving = Owned::spawn(serve(socket, names.clone()));
        Ok(DnsServer { address, names, _serving: serving })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers so from now on.
    pub fn set(&self, name: &str, answer: DnsAnswer) {
        lock(&self.names).answers.insert(name.to_ascii_lowercase(), answer);
    }

    /// Addresses for a second.
    pub fn addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.set(name, DnsAnswer::Addresses(addresses.to_vec(), 1));
    }

    /// How often it was asked for a name.
    pub fn asked(&self, name: &str) -> usize {
        lock(&self.names).asked.get(&name.to_ascii_lowercase()).copied().unwrap_or_default()
    }
}

fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(socket: UdpSocket, names: Arc<Mutex<Names>>) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(question) = Question::parse(&buffer[..length]) else { continue };
        let answer = {
            let mut names = lock(&names);
            *names.asked.entry(question.name.clone()).or_default() += 1;
            names.answers.get(&question.name).cloned()
        };
        let message = match answer {
            Some(DnsAnswer::Silence) => continue,
            Some(DnsAnswer::Failure) => question.answer(SERVFAIL, &[], 0),
            Some(DnsAnswer::Addresses(addresses, ttl)) => question.answer(0, &addresses, ttl),
            None => question.answer(NXDOMAIN, &[], 0),
        };
        // The other end may be gone; it asks again or does not.
        let _ = socket.send_to(&message, from).await;
    }
}

struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it was asked, to be repeated.
    bytes: Vec<u8>,
}

impl Question {
    fn parse(message: &[u8]) -> Option<Self> {
        let id = [*message.first()?, *message.get(1)?];
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = message.get(at..at + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
        let bytes = message.get(12..at + 4)?.to_vec();
        Some(Question { id, name: labels.join("."), kind, bytes })
    }

    fn answer(&self, code: u8, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
        let wanted = |address: &&IpAddr| match address {
            IpAddr::V4(_) => self.kind == A,
            IpAddr::V6(_) => self.kind == AAAA,
        };
        let addresses: Vec<_> = addresses.iter().filter(wanted).collect();
        let count = u16::try_from(addresses.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut message = Vec::from(self.id);
        // An answer, with recursion; one question, so many answers.
        message.extend([0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0]);
        message.extend(&self.bytes);
        for address in addresses {
            // The name is the one of the question, at offset 12.
            message.extend([0xc0, 12]);
            message.extend(self.kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(ttl.to_be_bytes());
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            message.extend(u16::try_from(octets.len()).unwrap_or_default().to_be_bytes());
            message.extend(octets);
        }
        message
    }
}
