//! Names of a Consul service mesh, exactly as Consul writes them.
//!
//! Three kinds of text carry identity between the parts of a mesh, and this crate reads and writes all three:
//!
//! * the names themselves ([`ServiceName`], [`Datacenter`], [`TrustDomain`] …), each one its own type, so that a
//!   datacenter cannot be passed where a partition is meant;
//! * the SPIFFE URI inside a certificate ([`SpiffeId`]);
//! * the TLS server name by which a mesh gateway routes ([`MeshSni`]).
//!
//! It decides what is well formed and what each part means. It does not decide who may do what, and it knows no
//! sockets, clocks or TLS.
//!
//! ```
//! use mesh_id::MeshSni;
//!
//! let name = "v2.billing.default.fra1.internal.6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";
//! let sni = MeshSni::parse(name, "consul")?;
//! let MeshSni::Service { service, subset, datacenter, .. } = &sni else { unreachable!() };
//! assert_eq!((service.as_str(), datacenter.as_str()), ("billing", "fra1"));
//! assert_eq!(subset.as_ref().map(|s| s.as_str()), Some("v2"));
//! assert_eq!(sni.to_string(), name);
//! # Ok::<(), mesh_id::SniError>(())
//! ```

mod host;
mod names;
mod sni;
mod spiffe;

pub use host::{MAX_HOST, MAX_LABEL, NameError, is_valid_sni_host};
pub use names::{
    Datacenter, DnsDomain, Namespace, NodeName, Partition, PeerName, QueryName, ServiceName, SubsetName,
    TrustDomain,
};
pub use sni::{MeshSni, SniError, explain_parts};
pub use spiffe::{Element, MAX_SPIFFE_URI, SpiffeError, SpiffeId};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
