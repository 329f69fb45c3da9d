//! Ends and originates TLS as an identity of a Consul service mesh.
//!
//! A mesh gives every service a certificate whose only URI says who it is, short-lived and issued by a CA whose roots
//! change under way. This crate holds these certificates ([`CertStore`]), lets services accept ([`Acceptor`]) and connect
//! ([`Connector`]) with them, and says for sure who is at the far end ([`Peer`]). It also speaks TLS to servers outside
//! the mesh ([`Originator`]).
//!
//! It gets bytes and never opens a file; sockets, deadlines and what a peer may do are the caller's. Time comes from a
//! clock that can be replaced.
//!
//! * What is published was verified: roots that can be read and are valid, a leaf whose key fits and that names the wanted
//!   service. What is bad is refused with a reason, and what was there before stays.
//! * A change of leaf, roots or parameters counts for the next handshake and cuts no connection.
//! * A session never outlives the trust that it began under.

mod accept;
mod anchors;
mod bundle;
mod certificate;
mod chain;
mod connect;
mod document;
mod error;
mod facts;
mod leaf;
mod names;
mod originate;
mod parameters;
mod peer;
mod pem;
mod provider;
mod sessions;
mod store;
mod tickets;
mod trust;
mod verified;
mod verifier;

pub use accept::{Accepted, Acceptor, ServerStream};
pub use bundle::{Anchor, Fingerprint, LeftOut, TrustBundle, WhyLeftOut};
pub use certificate::{SerialNumber, Validity};
pub use connect::{ClientStream, ConnectTarget, Connected, Connector};
pub use document::{LeafDocument, RootDocument, RootsDocument, SecretPem, TlsDirectionDocument};
pub use error::{Error, HandshakeError, IdentityError, Material, NotReady, PeerError};
pub use facts::HandshakeFacts;
pub use leaf::{Leaf, LeafAge, LeafKey, LeafWarning, MAX_CLOCK_SKEW};
pub use originate::{ClientPem, Originated, OriginationSettings, Originator};
pub use parameters::{ParameterWarning, TlsParameters};
pub use peer::{Peer, PeerKind};
pub use pem::MAX_PEM_BYTES;
pub use sessions::SessionLimits;
pub use store::{CertStore, CertWatch, Edit, Generations, MeshTls, Published, StoreOptions};
pub use trust::{TrustSet, Trusts};

/// Types of rustls that occur in this crate's own.
pub use rustls::{
    AlertDescription, CertificateError, CipherSuite, NamedGroup, ProtocolVersion,
    time_provider::{DefaultTimeProvider, TimeProvider},
};
pub use rustls_pki_types::{CertificateDer, UnixTime};

/// How much a stream holds back while the far end does not take it, in bytes. Above the largest buffer of a relay
/// (256 KiB), so that one write of it is one write to the socket.
pub const BUFFER_LIMIT: usize = 288 * 1024;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
