//! A connection from its hello to its relay: handshake, verdict, upstream.
//!
//! Nothing is connected to the outside before the caller has been permitted: the one function that
//! dials takes the permit ([`crate::upstream::connect`]), and only the check of the intentions makes
//! one. An open connection holds its authorization in its registration, where a change of the rules
//! finds it.

use std::sync::Arc;

use gateway_app::hello::cut;
use gateway_app::live::why_not_served;
use gateway_app::reasons;
use gateway_app::terminating::{Permit, is_judged_by, judge};
use gateway_runtime::metrics::tls::{KeyExchange, TlsVersion};
use gateway_runtime::reason::Reason;
use gateway_runtime::record::Verdict;
use gateway_runtime::registry::{Authorization, ConnGuard, ConnRoute, Refusal};
use mesh_forward::tcp::{Side, StreamRelay};
use mesh_id::SpiffeId;
use mtls::{Accepted, HandshakeFacts, ProtocolVersion};
use sni_peek::Rewind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::flow::{Asked, Client, Gateway};
use crate::streams::{Counted, FromMesh, Upstream};
use crate::upstream;

/// The relay of a connection.
pub(crate) type Relayed = StreamRelay<FromMesh, Upstream, Counted>;

/// Takes a connection from its hello to its relay; `None`: it was refused, and recorded.
pub(crate) async fn open(
    gateway: &Gateway,
    client: Client,
    hello: Vec<u8>,
    mut asked: Asked,
) -> Option<Relayed> {
    let Client { stream, guard, deadline } = client;
    let accepted = tokio::select! {
        biased;
        reason = cut(&guard) => Err((reason, None)),
        accepted = timeout_at(deadline, handshake(gateway, stream, hello, &asked)) => {
            accepted.unwrap_or(Err((Reason::HandshakeTimeout, None)))
        }
    };
    let Accepted { stream, peer, facts, .. } = match accepted {
        Ok(accepted) => *accepted,
        Err((reason, detail)) => {
            guard.refuse(reason, Refusal { detail: detail.as_deref(), ..asked.refusal() });
            return None;
        }
    };
    count(gateway, &facts);
    let mut from_mesh = FromMesh(Box::new(stream));
    let permit = match permitted(gateway, &guard, peer.id(), &mut asked) {
        Ok(permit) => permit,
        Err(refused) => {
            close(gateway, &mut from_mesh, &guard).await;
            refused.record(guard, &asked);
            return None;
        }
    };
    let outcome = tokio::select! {
        biased;
        reason = cut(&guard) => Err(upstream::Failed::plain(reason)),
        // A client that only ends its side still wants the answer; one that resets does not.
        _ = from_mesh.socket().ready(Interest::ERROR) => Err(upstream::Failed::plain(Reason::ClientReset)),
        connected = upstream::connect(gateway, &permit, &asked) => connected,
    };
    match outcome {
        Ok(connected) => {
            let upstream::Connected { stream, pick, attempts, took } = connected;
            guard.set_route(ConnRoute {
                sni: asked.sni,
                alpn: asked.alpn,
                service: asked.figures,
                rule: asked.rule.as_str(),
                endpoint: pick.address(),
                attempts,
                connect: took,
            });
            Some(StreamRelay::new(from_mesh, stream, pick, Counted::new(guard)))
        }
        Err(failed) => {
            // Nothing was sent to the client: an end without close_notify says that this is none.
            from_mesh.reset_on_close();
            failed.record(guard, &asked);
            None
        }
    }
}

type NotAccepted = (Reason, Option<String>);

/// Ends TLS as the service that was asked for.
async fn handshake(
    gateway: &Gateway,
    stream: TcpStream,
    hello: Vec<u8>,
    asked: &Asked,
) -> Result<Box<Accepted<Rewind<TcpStream>>>, NotAccepted> {
    let Some(_inside) = gateway.kept.handshakes.enter() else {
        stream.reset_on_close();
        return Err((Reason::HandshakeLimit, None));
    };
    let acceptor = match gateway.kept.certificates.acceptor(&asked.service.leaf_key) {
        Ok(acceptor) => acceptor,
        Err(why) => {
            stream.reset_on_close();
            return Err((Reason::ServiceNotReady, Some(why.to_string())));
        }
    };
    match acceptor.accept(Rewind::new(stream, hello)).await {
        Ok(accepted) => Ok(Box::new(accepted)),
        Err(error) => Err((reasons::of_handshake(&error), Some(error.to_string()))),
    }
}

/// Why a caller is not let in.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    authorization: Option<Authorization>,
    detail: Option<String>,
}

impl Refused {
    fn record(self, guard: ConnGuard, asked: &Asked) {
        let refusal = Refusal {
            authorization: self.authorization.as_ref(),
            detail: self.detail.as_deref(),
            ..asked.refusal()
        };
        guard.refuse(self.reason, refusal);
    }
}

/// Judges a caller by the rules as they are when it is let in: a change that comes between the look and
/// the note of it is looked at, too, and one that comes later finds the note.
pub(crate) fn permitted(
    gateway: &Gateway,
    guard: &ConnGuard,
    source: &SpiffeId,
    asked: &mut Asked,
) -> Result<Permit, Refused> {
    loop {
        let judged = judge(&asked.service, source);
        let Some(permit) = judged.permit else {
            asked.figures.judged(Verdict::Deny, judged.kind);
            return Err(Refused {
                reason: Reason::Denied,
                authorization: Some(judged.authorization),
                detail: None,
            });
        };
        let (verdict, authorization) = (judged.authorization.verdict, judged.authorization.clone());
        guard.authorize(judged.authorization);
        let live = gateway.parts.live.load();
        let key = &asked.service.key;
        let Some(latest) = live.snapshot().service(Some(&key.namespace), &key.name) else {
            return Err(Refused { reason: Reason::Unlinked, authorization: None, detail: None });
        };
        if let Some(why) = why_not_served(latest) {
            return Err(Refused { reason: Reason::ServiceNotReady, authorization: None, detail: Some(why) });
        }
        let settled = is_judged_by(&authorization, latest);
        asked.service = Arc::clone(latest);
        if settled {
            asked.figures.judged(verdict, judged.kind);
            if verdict == Verdict::WouldDeny {
                would_deny(gateway, &authorization, asked);
            }
            return Ok(permit);
        }
    }
}

/// Says what a dry run lets pass; in the access log it stands when the connection has ended.
fn would_deny(gateway: &Gateway, authorization: &Authorization, asked: &Asked) {
    let service = asked.figures.name();
    gateway.parts.say(&format!("dry-run:{service}:{}", authorization.source), |suppressed| {
        tracing::warn!(
            source = &*authorization.source,
            destination = service,
            intention = &*authorization.intention,
            suppressed,
            "dry run: this connection would be denied"
        );
    });
}

/// Ends a connection in an orderly way: `close_notify` and FIN, and nothing that came is left unread,
/// which would make it a reset. But not for longer than the settings say.
async fn close(gateway: &Gateway, from_mesh: &mut FromMesh, guard: &ConnGuard) {
    let drain = async {
        if from_mesh.shutdown().await.is_ok() {
            let mut void = [0; 1024];
            while from_mesh.read(&mut void).await.is_ok_and(|n| n > 0) {}
        }
    };
    tokio::select! {
        _ = cut(guard) => {}
        _ = timeout(gateway.kept.settings.denied_close, drain) => {}
    }
}

fn count(gateway: &Gateway, facts: &HandshakeFacts) {
    let version = match facts.version {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let key_exchange = match facts.group {
        None => KeyExchange::None,
        Some(_) if facts.is_post_quantum() => KeyExchange::PostQuantum,
        Some(_) => KeyExchange::Classic,
    };
    gateway.kept.tls.handshakes.count(version, key_exchange, facts.resumed);
}
