//! The one list of reasons why a connection ended.
//!
//! The access log, the metric label, the admin pages and `explain` all use the same word, and the documentation has
//! one paragraph for each. A reason is a small number, so that it can index an array of counters.

use std::fmt;

use serde::{Serialize, Serializer};

/// Makes the enum, its words, its sentences and [`Reason::ALL`] from one table, so that none can be forgotten.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $describe:literal;)*) => {
        /// Why a connection was refused, cut or ended.
        ///
        /// The word of a reason ([`Reason::as_str`]) is part of the interface: dashboards and alerts name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* #[doc = $describe] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The word for logs, metric labels and pages: snake case, stable.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $word,)*
                }
            }

            /// One sentence for a person: what happened.
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Reason::$variant => $describe,)*
                }
            }
        }
    };
}

reasons! {
    Closed = "closed", "Both sides finished in the usual way.";
    Probe = "probe", "The client connected and left again without sending a byte, as TCP health checks do.";
    IdleLimit = "idle_limit", "No byte moved in either direction for the idle limit.";
    MaxAge = "max_age", "The connection reached the maximum age that the settings allow.";
    DrainCut = "drain_cut", "The connection was still open when the time for draining had passed.";
    HelloTimeout = "hello_timeout", "The client did not send a whole TLS ClientHello in time.";
    HelloEof = "hello_eof", "The client closed in the middle of its TLS ClientHello.";
    HelloTooLarge = "hello_too_large", "The TLS ClientHello is larger than the limit.";
    HelloMemory = "hello_memory", "The memory that all incomplete TLS ClientHellos may use together is taken.";
    HelloMalformed = "hello_malformed", "The TLS ClientHello breaks the rules of TLS.";
    NotTls = "not_tls", "The first bytes of the client are not TLS.";
    NoSni = "no_sni", "The TLS ClientHello names no server.";
    UnknownSni = "unknown_sni", "No service, datacenter or route of this gateway has the requested server name.";
    ServiceNotReady = "service_not_ready", "The service is known but lacks something without which it must not be served, such as its certificate or its intentions.";
    HandshakeLimit = "handshake_limit", "As many TLS handshakes are under way as a worker may have.";
    HandshakeTimeout = "handshake_timeout", "The client did not finish its TLS handshake in time.";
    HandshakeEof = "handshake_eof", "The client closed in the middle of its TLS handshake.";
    HandshakeIo = "handshake_io", "The connection of the client broke in the middle of its TLS handshake.";
    TlsAlert = "tls_alert", "The client ended its TLS handshake with an alert: it refused the certificate of the service, or gave up.";
    TlsIncompatible = "tls_incompatible", "The client and the gateway have no TLS version, cipher suite or key exchange in common.";
    TlsProtocolError = "tls_protocol_error", "The client broke the rules of TLS during the handshake.";
    NoClientCertificate = "no_client_certificate", "The client presented no certificate.";
    CertificateMalformed = "certificate_malformed", "The certificate of the client cannot be read.";
    NoSpiffeId = "no_spiffe_id", "The certificate of the client has no URI name, so it does not say who it is in the mesh.";
    SeveralUriSans = "several_uri_sans", "The certificate of the client has more than one URI name.";
    BadSpiffeId = "bad_spiffe_id", "The URI name in the certificate of the client is no identity of a mesh.";
    SpiffeIdNotCanonical = "spiffe_id_not_canonical", "The identity in the certificate of the client is not written as Consul writes it.";
    ForeignTrustDomain = "foreign_trust_domain", "The certificate of the client is of a trust domain that is not trusted here.";
    NotAService = "not_a_service", "The certificate of the client is that of an agent, a server or a certificate authority.";
    UnknownIssuer = "unknown_issuer", "The certificate of the client leads to no root that is trusted here.";
    CertificateExpired = "certificate_expired", "The certificate of the client, or one of its chain, has expired.";
    CertificateNotYetValid = "certificate_not_yet_valid", "The certificate of the client, or one of its chain, is not valid yet.";
    CertificateWrongPurpose = "certificate_wrong_purpose", "The certificate of the client was not made for clients.";
    BadSignature = "bad_signature", "A signature of the client or in its certificates is wrong.";
    NoValidRoot = "no_valid_root", "Every root certificate that is trusted here has expired.";
    StaleSession = "stale_session", "The client resumed a session that began under other roots or for another service.";
    CertificateInvalid = "certificate_invalid", "The certificate of the client breaks another rule of X.509.";
    OwnCertificateExpired = "own_certificate_expired", "The certificate of the service has expired here.";
    Denied = "denied", "The intentions of the service do not let the client in.";
    IntentionChanged = "intention_changed", "The connection was open when the intentions of the service changed, and they do not allow it any more.";
    Unlinked = "unlinked", "The service is no longer linked to this gateway, and the time that its connections are left has passed.";
    NoEndpoint = "no_endpoint", "The service is known but has no endpoint that may be used.";
    ConnectionLimit = "connection_limit", "The service has as many open connections as its limit allows.";
    PendingLimit = "pending_limit", "The service has as many pending connects as its limit allows.";
    ConnectRefused = "connect_refused", "The last endpoint that was tried refused the connection.";
    ConnectTimeout = "connect_timeout", "No endpoint that was tried answered within the connect timeout.";
    ConnectFailed = "connect_failed", "The connection to the endpoint failed for another reason than refusal or silence.";
    SourceAddress = "source_address", "The address that connections to the endpoint are to leave from cannot be used.";
    UpstreamTls = "upstream_tls", "The TLS connection to the endpoint failed: its certificate was refused, or it refused ours, or it does not speak TLS.";
    ForwardingLoop = "forwarding_loop", "The endpoint is this gateway itself.";
    ClientReset = "client_reset", "The client reset the connection.";
    UpstreamReset = "upstream_reset", "The endpoint reset the connection.";
    ClientTruncated = "client_truncated", "The client closed without ending its TLS stream, so what it sent may be incomplete.";
    UpstreamTruncated = "upstream_truncated", "The endpoint closed without ending its TLS stream, so what it sent may be incomplete.";
    ClientTls = "client_tls", "The TLS stream of the client broke after the handshake.";
    Internal = "internal", "The gateway failed; the log has the details and the failure is a bug to report.";
}

impl Reason {
    /// How many reasons there are: the length of an array that [`Reason::index`] may index.
    pub const COUNT: usize = Self::ALL.len();

    /// The number of this reason, below [`Reason::COUNT`]. It may differ between versions; the word does not.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether an operator may want to hear of it: everything but an ordinary end and a health check.
    /// The access log in its default mode, `problems`, writes exactly these.
    pub const fn is_problem(self) -> bool {
        !matches!(self, Reason::Closed | Reason::Probe)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_unique_and_snake_case() {
        let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::COUNT);
        for word in words {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
        }
    }

    #[test]
    fn the_word_is_the_name_of_the_variant() {
        for reason in Reason::ALL {
            let variant = format!("{reason:?}").to_lowercase();
            assert_eq!(reason.as_str().replace('_', ""), variant);
        }
    }

    #[test]
    fn every_reason_has_one_sentence() {
        for reason in Reason::ALL {
            let sentence = reason.describe();
            assert!(sentence.ends_with('.') && sentence.len() > 20, "{reason}: {sentence}");
            assert!(!sentence.contains(". "), "{reason}: one sentence only: {sentence}");
        }
    }

    #[test]
    fn the_index_is_the_place_in_the_list() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
        }
    }

    #[test]
    fn only_ordinary_ends_and_health_checks_are_no_problem() {
        let quiet: Vec<_> = Reason::ALL.iter().filter(|reason| !reason.is_problem()).collect();
        assert_eq!(quiet, [&Reason::Closed, &Reason::Probe]);
    }

    #[test]
    fn serializes_as_its_word() {
        assert_eq!(serde_json::to_string(&Reason::UnknownSni).unwrap(), r#""unknown_sni""#);
        assert_eq!(format!("{:>8}", Reason::Closed), "  closed");
    }
}
