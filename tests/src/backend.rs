//! A plain TCP server that behaves as told, for everything that a TLS server would hide: half-close, reset, silence.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::task::Owned;
use crate::{Deadline, Place, wait_for};

/// How much of what a connection sent is kept for a test to look at.
const KEPT: usize = 256 * 1024;
/// A connect over a working path is done in far less; one that takes longer is not answered at all.
pub const BLACK_HOLE_PROBE: Duration = Duration::from_millis(200);

/// What the server does with each connection.
#[derive(Debug, Clone)]
pub enum Script {
    /// Sends back what comes, until the client ends its side; then ends its own.
    Echo,
    /// Speaks first: sends this, then sends back what comes, as [`Script::Echo`].
    Greet(Vec<u8>),
    /// Sends this and ends its side at once, then reads to the client's end.
    HalfCloseFirst(Vec<u8>),
    /// Waits for the client's end of stream, then sends this and ends its own side.
    AnswerAfterEof(Vec<u8>),
    /// Resets the connection as soon as this many bytes have come.
    ResetAfter(usize),
    /// Accepts and never reads nor writes.
    Silent,
    /// Sends this many bytes, ends its side, then reads to the client's end.
    Send(u64),
    /// Reads to the client's end, then sends one byte and ends its side.
    Sink,
}

/// How a connection ended, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client ended its side in order.
    Eof,
    /// The connection was cut.
    Cut,
    /// The script ended it.
    Script,
}

/// One connection, as far as it has come.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where it came from.
    pub peer: SocketAddr,
    /// The first 256 KiB that came.
    pub received: Vec<u8>,
    /// How many bytes came in all.
    pub total: u64,
    /// How it ended; `None` while it is open.
    pub end: Option<End>,
}

/// A running server; ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _kept: Kept,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for what ends when they are dropped")]
enum Kept {
    Task(Owned),
    Bound(TcpSocket),
    Full(TcpListener, Vec<TcpStream>),
}

impl Backend {
    /// Listens on `bind` and follows `script` on each connection.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(place: &Place, bind: SocketAddr, script: Script) -> Result<Self> {
        let listener = place.listen(bind).with_context(|| format!("cannot listen on {bind}"))?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let address = listener.local_addr()?;
        let task = Owned::spawn(accept(listener, script, seen.clone()));
        Ok(Backend { address, seen, _kept: Kept::Task(task) })
    }

    /// On a port of 127.0.0.1 that the kernel chooses.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn local(script: Script) -> Result<Self> {
        Self::start(&Place::Here, SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// An address where every connection is refused. The port is held, so nobody else can come to listen there.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn refusing(place: &Place, bind: SocketAddr) -> Result<Self> {
        let socket = place.bind(bind)?;
        Ok(Backend { address: socket.local_addr()?, seen: Arc::default(), _kept: Kept::Bound(socket) })
    }

    /// An address that answers no connection attempt at all: its queue is full and nobody takes from it.
    ///
    /// # Errors
    /// When the kernel still answers with a full queue.
    pub async fn black_hole(place: &Place, bind: SocketAddr) -> Result<Self> {
        let listener = place.bind(bind)?.listen(0)?;
        let address = listener.local_addr()?;
        let mut held = Vec::new();
        for _ in 0..16 {
            match tokio::time::timeout(BLACK_HOLE_PROBE, place.connect(address)).await {
                Ok(stream) => held.push(stream?),
                Err(_) => {
                    return Ok(Backend { address, seen: Arc::default(), _kept: Kept::Full(listener, held) });
                }
            }
        }
        bail!("{address} still answers after {} connections that nobody took", held.len())
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All connections so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Waits until some connection looks as `wanted`.
    ///
    /// # Errors
    /// When none does by the deadline.
    pub async fn wait(&self, deadline: Deadline, what: &str, wanted: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let look = async || lock(&self.seen).iter().find(|seen| wanted(seen)).cloned();
        Ok(wait_for(deadline, what, look).await?)
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, script: Script, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                let index = {
                    let mut seen = lock(&seen);
                    seen.push(Seen { peer, received: Vec::new(), total: 0, end: None });
                    seen.len() - 1
                };
                let (script, seen) = (script.clone(), seen.clone());
                connections.spawn(async move {
                    let note = Note { seen: &seen, index };
                    let end = follow(stream, &script, &note).await.unwrap_or(End::Cut);
                    note.change(|seen| seen.end = Some(end));
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

struct Note<'a> {
    seen: &'a Mutex<Vec<Seen>>,
    index: usize,
}

impl Note<'_> {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut lock(self.seen)[self.index]);
    }

    fn received(&self, bytes: &[u8]) -> u64 {
        let mut seen = lock(self.seen);
        let seen = &mut seen[self.index];
        let room = KEPT - seen.received.len();
        seen.received.extend_from_slice(&bytes[..bytes.len().min(room)]);
        seen.total += bytes.len() as u64;
        seen.total
    }
}

async fn follow(mut stream: TcpStream, script: &Script, note: &Note<'_>) -> std::io::Result<End> {
    stream.set_nodelay(true)?;
    match script {
        Script::Echo | Script::Greet(_) => {
            if let Script::Greet(bytes) = script {
                stream.write_all(bytes).await?;
            }
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n = stream.read(&mut buffer).await?;
                if n == 0 {
                    break;
                }
                note.received(&buffer[..n]);
                stream.write_all(&buffer[..n]).await?;
            }
            stream.shutdown().await?;
            Ok(End::Eof)
        }
        Script::HalfCloseFirst(bytes) => {
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            drain(&mut stream, note).await
        }
        Script::AnswerAfterEof(bytes) => {
            let end = drain(&mut stream, note).await?;
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            Ok(end)
        }
        Script::ResetAfter(bytes) => {
            let mut buffer = vec![0; 16 * 1024];
            let mut total = 0;
            while total < *bytes as u64 {
                let n = stream.read(&mut buffer).await?;
                if n == 0 {
                    return Ok(End::Eof);
                }
                total = note.received(&buffer[..n]);
            }
            // Closing with no time to linger is how a reset is sent.
            stream.set_zero_linger()?;
            Ok(End::Script)
        }
        Script::Silent => std::future::pending().await,
        Script::Send(total) => {
            let chunk = vec![0x5a; 256 * 1024];
            let mut left = *total;
            while left > 0 {
                let n = left.min(chunk.len() as u64);
                stream.write_all(&chunk[..n as usize]).await?;
                left -= n;
            }
            stream.shutdown().await?;
            drain(&mut stream, note).await
        }
        Script::Sink => {
            let end = drain(&mut stream, note).await?;
            stream.write_all(b".").await?;
            stream.shutdown().await?;
            Ok(end)
        }
    }
}

async fn drain(stream: &mut TcpStream, note: &Note<'_>) -> std::io::Result<End> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(End::Eof),
            n => note.received(&buffer[..n]),
        };
    }
}
