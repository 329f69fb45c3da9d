//! The one map from what libraries report to the reasons that operators see.

use gateway_runtime::reason::Reason;
use mesh_endpoints::Refused;
use mesh_forward::tcp::{DialError, End};
use mtls::HandshakeError;
use sni_peek::Parsed;

/// Why a dial failed.
#[must_use]
pub fn of_dial(error: &DialError) -> Reason {
    match error {
        DialError::NoEndpoint(refused) => of_refused(refused),
        DialError::Loop(_) => Reason::ForwardingLoop,
        DialError::Failed(_, errno) if *errno == rustix::io::Errno::CONNREFUSED => Reason::ConnectRefused,
        DialError::TimedOut(_) => Reason::ConnectTimeout,
        DialError::Source { .. } => Reason::SourceAddress,
        _ => Reason::ConnectFailed,
    }
}

/// Why no endpoint was picked.
#[must_use]
pub fn of_refused(refused: &Refused) -> Reason {
    match refused {
        Refused::Connections { .. } => Reason::ConnectionLimit,
        Refused::Pending { .. } => Reason::PendingLimit,
        _ => Reason::NoEndpoint,
    }
}

/// Why a TLS handshake with a client failed. The words are those of the library.
#[must_use]
pub fn of_handshake(error: &HandshakeError) -> Reason {
    let same_word = |reason: &&Reason| reason.as_str() == error.reason();
    match error {
        HandshakeError::NotReady { .. } => Reason::ServiceNotReady,
        _ => Reason::ALL.iter().find(same_word).copied().unwrap_or(Reason::Internal),
    }
}

/// How a relay ended; `cut` is the reason of whoever cut it.
#[must_use]
pub fn of_end(end: End, cut: Option<Reason>) -> Reason {
    match end {
        End::Closed => Reason::Closed,
        End::ClientReset => Reason::ClientReset,
        End::UpstreamReset => Reason::UpstreamReset,
        End::ClientTruncated => Reason::ClientTruncated,
        End::UpstreamTruncated => Reason::UpstreamTruncated,
        End::ClientBroken => Reason::ClientTls,
        End::UpstreamBroken => Reason::UpstreamTls,
        End::Cut => cut.unwrap_or(Reason::Internal),
        End::Internal => Reason::Internal,
    }
}

/// Why bytes that are not a whole, valid hello are refused; `None` for those that may still become
/// one.
#[must_use]
pub fn of_hello(parsed: &Parsed<'_>) -> Option<Reason> {
    match parsed {
        Parsed::Hello(_) | Parsed::NeedMore { .. } => None,
        Parsed::NotTls(_) => Some(Reason::NotTls),
        Parsed::Malformed(_) => Some(Reason::HelloMalformed),
        Parsed::TooLarge { .. } => Some(Reason::HelloTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use mtls::{IdentityError, PeerError};

    use super::*;

    /// A word of the library that is in no list would reach operators as a bug of the gateway.
    #[test]
    fn every_failure_of_a_handshake_has_its_reason() {
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let peer = [
            PeerError::NoCertificate,
            PeerError::Identity(IdentityError::Malformed(String::new())),
            PeerError::Identity(IdentityError::NoUri),
            PeerError::Identity(IdentityError::SeveralUris(2)),
            PeerError::Identity(IdentityError::NotCanonical { uri: "".into(), canonical: "".into() }),
            PeerError::UnknownIssuer,
            PeerError::Expired,
            PeerError::NotYetValid,
            PeerError::WrongPurpose,
            PeerError::BadSignature,
            PeerError::RootsExpired,
            PeerError::StaleSession,
            PeerError::Invalid(mtls::CertificateError::Revoked),
        ];
        let all = peer.into_iter().map(HandshakeError::Peer).chain([
            HandshakeError::Alert(mtls::AlertDescription::UnknownCA),
            HandshakeError::Incompatible(String::new()),
            HandshakeError::Protocol(String::new()),
            HandshakeError::Eof,
            HandshakeError::Io(io()),
        ]);
        for error in all {
            assert_eq!(of_handshake(&error).as_str(), error.reason(), "{error:?}");
        }
        for word in ["bad_spiffe_id", "foreign_trust_domain", "not_a_service", "own_certificate_expired"] {
            assert!(Reason::ALL.iter().any(|reason| reason.as_str() == word), "{word}");
        }
    }
}
