//! What a relay between TLS and an upstream, TLS or not, does with bytes, ends, resets and cuts.

#![allow(clippy::unwrap_used, reason = "a test ends where its support fails")]

mod support;

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_forward::tcp::dial::Dialled;
use mesh_forward::tcp::socket::reset_on_close;
use mesh_forward::tcp::streams::MOST_BYTES_AT_A_TIME;
use mesh_forward::tcp::{End, Side, StreamRelay};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use support::{Counts, Seen, TestMeter, connect, dial, eventually, plan, set_of};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The gateway's end of a TLS connection.
struct Tls(TlsStream<TcpStream>);

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Side for Tls {
    fn reset_on_close(&self) {
        reset_on_close(self.0.get_ref().0);
    }
}

fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(vec!["gw.example".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server.unwrap())), TlsConnector::from(Arc::new(client)))
}

/// Both ends of a TLS connection over TCP: who connected, who accepted.
async fn pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (acceptor, connector) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = connect(listener.local_addr().unwrap());
    let (accepted, _) = listener.accept().await.unwrap();
    over(acceptor, connector, client, accepted).await
}

async fn over(
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    client: TcpStream,
    accepted: TcpStream,
) -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let name = ServerName::try_from("gw.example").unwrap();
    let (client, mut server) =
        tokio::try_join!(connector.connect(name, client), acceptor.accept(accepted)).unwrap();
    server.get_mut().1.set_buffer_limit(Some(2 * MOST_BYTES_AT_A_TIME));
    (client.into(), server.into())
}

/// A TLS client and an upstream with a relay between them.
struct Joined<U> {
    client: TlsStream<TcpStream>,
    upstream: U,
    counts: Arc<Counts>,
    relay: JoinHandle<()>,
}

async fn dialled() -> (Dialled, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let set = set_of(&[listener.local_addr().unwrap()]);
    let dialled = dial(&set, &plan(Duration::from_secs(5)), b"", &Seen::default()).await.unwrap();
    let (upstream, _) = listener.accept().await.unwrap();
    assert_eq!((dialled.sent, dialled.attempts), (0, 1));
    (dialled, upstream)
}

async fn to_plain() -> Joined<TcpStream> {
    let (dialled, upstream) = dialled().await;
    let (client, server) = pair().await;
    let meter = TestMeter::default();
    let counts = Arc::clone(&meter.0);
    let relay = StreamRelay::new(Tls(server), dialled.socket.watch().unwrap(), dialled.pick, meter);
    Joined { client, upstream, counts, relay: tokio::spawn(relay) }
}

async fn to_tls() -> Joined<TlsStream<TcpStream>> {
    let (dialled, upstream) = dialled().await;
    let (acceptor, connector) = tls();
    let (mut originated, upstream) =
        over(acceptor, connector, dialled.socket.watch().unwrap(), upstream).await;
    let TlsStream::Client(inner) = &mut originated else { unreachable!() };
    inner.get_mut().1.set_buffer_limit(Some(2 * MOST_BYTES_AT_A_TIME));
    let (client, server) = pair().await;
    let meter = TestMeter::default();
    let counts = Arc::clone(&meter.0);
    let relay = StreamRelay::new(Tls(server), Tls(originated), dialled.pick, meter);
    Joined { client, upstream, counts, relay: tokio::spawn(relay) }
}

impl<U> Joined<U> {
    async fn end(self) -> End {
        tokio::time::timeout(Duration::from_secs(10), self.relay).await.unwrap().unwrap();
        self.counts.end().unwrap()
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test]
async fn small_exchanges_go_both_ways() {
    let mut j = to_plain().await;
    let mut buffer = [0u8; 3];
    for _ in 0..100 {
        j.client.write_all(b"abc").await.unwrap();
        j.upstream.read_exact(&mut buffer).await.unwrap();
        j.upstream.write_all(b"def").await.unwrap();
        j.client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"def");
    }
    assert_eq!((j.counts.up.load(Relaxed), j.counts.down.load(Relaxed)), (300, 300));
    j.client.shutdown().await.unwrap();
    j.upstream.shutdown().await.unwrap();
    assert_eq!(j.end().await, End::Closed);
}

async fn bulk<U: AsyncRead + AsyncWrite + Unpin>(j: Joined<U>) {
    let (up, down) = (pattern(8 << 20), pattern(12 << 20));
    let (mut client_read, mut client_write) = tokio::io::split(j.client);
    let (mut upstream_read, mut upstream_write) = tokio::io::split(j.upstream);
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let all = async {
        tokio::try_join!(
            async {
                client_write.write_all(&up).await?;
                client_write.shutdown().await
            },
            async {
                upstream_write.write_all(&down).await?;
                upstream_write.shutdown().await
            },
            upstream_read.read_to_end(&mut got_up),
            client_read.read_to_end(&mut got_down),
        )
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap().unwrap();
    assert!(got_up == up, "every byte went up in order");
    assert!(got_down == down, "every byte came down in order");
    tokio::time::timeout(Duration::from_secs(10), j.relay).await.unwrap().unwrap();
    assert_eq!(j.counts.end(), Some(End::Closed));
    assert_eq!((j.counts.up.load(Relaxed), j.counts.down.load(Relaxed)), (8 << 20, 12 << 20));
}

#[tokio::test]
async fn bulk_is_complete_to_a_plain_upstream() {
    bulk(to_plain().await).await;
}

#[tokio::test]
async fn bulk_is_complete_to_a_tls_upstream() {
    bulk(to_tls().await).await;
}

#[tokio::test]
async fn an_end_of_the_client_is_passed_on_and_the_answer_still_comes() {
    let mut j = to_tls().await;
    j.client.write_all(b"question").await.unwrap();
    j.client.shutdown().await.unwrap();
    let mut got = Vec::new();
    // Complete: a TLS stream without close_notify would be an error.
    j.upstream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"question");
    j.upstream.write_all(b"answer").await.unwrap();
    j.upstream.shutdown().await.unwrap();
    got.clear();
    j.client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"answer");
    assert_eq!(j.end().await, End::Closed);
}

#[tokio::test]
async fn an_end_of_the_upstream_is_passed_on_and_the_client_goes_on() {
    let mut j = to_plain().await;
    j.upstream.write_all(b"greeting").await.unwrap();
    j.upstream.shutdown().await.unwrap();
    let mut got = Vec::new();
    j.client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"greeting");
    j.client.write_all(b"late").await.unwrap();
    j.client.shutdown().await.unwrap();
    got.clear();
    j.upstream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"late");
    assert_eq!(j.end().await, End::Closed);
}

#[tokio::test]
async fn a_client_that_just_closes_after_the_upstream_has_ended_is_an_ordinary_end() {
    let mut j = to_plain().await;
    j.upstream.shutdown().await.unwrap();
    let mut got = Vec::new();
    j.client.read_to_end(&mut got).await.unwrap();
    // FIN without close_notify.
    j.client.get_mut().0.shutdown().await.unwrap();
    assert_eq!(j.end().await, End::Closed);
}

#[tokio::test]
async fn a_cut_stream_of_the_client_never_looks_complete() {
    let mut j = to_plain().await;
    j.client.write_all(b"half of").await.unwrap();
    let mut got = [0u8; 7];
    j.upstream.read_exact(&mut got).await.unwrap();
    j.client.get_mut().0.shutdown().await.unwrap();
    let error = j.upstream.read(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(j.end().await, End::ClientTruncated);
}

#[tokio::test]
async fn a_cut_stream_of_the_upstream_arrives_and_does_not_look_complete() {
    let mut j = to_tls().await;
    j.upstream.write_all(b"half of").await.unwrap();
    j.upstream.get_mut().0.shutdown().await.unwrap();
    let mut got = Vec::new();
    let error = j.client.read_to_end(&mut got).await.unwrap_err();
    assert_eq!((error.kind(), &*got), (ErrorKind::UnexpectedEof, &b"half of"[..]));
    assert_eq!(j.end().await, End::UpstreamTruncated);
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let mut j = to_plain().await;
    reset_on_close(&j.upstream);
    drop(j.upstream);
    let error = j.client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    tokio::time::timeout(Duration::from_secs(10), j.relay).await.unwrap().unwrap();
    assert_eq!(j.counts.end(), Some(End::UpstreamReset));
}

#[tokio::test]
async fn what_is_no_tls_breaks_the_connection_and_says_why() {
    let mut j = to_plain().await;
    j.client.get_mut().0.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(j.upstream.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let counts = Arc::clone(&j.counts);
    assert_eq!(j.end().await, End::ClientBroken);
    assert!(counts.error.lock().unwrap().is_some());
}

#[tokio::test]
async fn a_cut_resets_both_sides() {
    let mut j = to_plain().await;
    j.client.write_all(b"x").await.unwrap();
    j.upstream.read_exact(&mut [0; 1]).await.unwrap();
    j.counts.cut.store(true, Relaxed);
    // The meter of these tests wakes nobody: a byte does. Of the client nothing is left unread, which would be a
    // reset by itself.
    j.upstream.write_all(b"y").await.unwrap();
    eventually("the relay ends", || j.relay.is_finished()).await;
    assert_eq!(j.client.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(j.counts.end(), Some(End::Cut));
}
