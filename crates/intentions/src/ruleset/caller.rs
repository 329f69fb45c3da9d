//! Which identity of a source counts for which rules.

use mesh_id::{Element, Partition, SpiffeId, TrustDomain};

use crate::mesh::{LocalMesh, Protocol};
use crate::source::Source;

/// A caller, as rules see it.
pub(super) struct Caller<'a> {
    /// For rules about local sources: the holder of the certificate, if it is a service of the own trust domain.
    pub(super) local: Option<Service<'a>>,
    /// For rules about sources of a peer: who that would be.
    pub(super) of_peer: Option<Service<'a>>,
    certificate: &'a SpiffeId,
    /// The identity in a header that is believed.
    origin: Option<&'a SpiffeId>,
    own_gateway: bool,
}

/// A service's identity in parts. The datacenter does not count: a service is the same one everywhere.
#[derive(Clone, Copy)]
pub(super) struct Service<'a> {
    pub(super) trust_domain: &'a TrustDomain,
    pub(super) partition: &'a Element,
    pub(super) namespace: &'a Element,
    pub(super) name: &'a Element,
}

impl<'a> Service<'a> {
    fn of(id: &'a SpiffeId) -> Option<Self> {
        match id {
            SpiffeId::Service { trust_domain, partition, namespace, service, .. } => {
                Some(Self { trust_domain, partition, namespace, name: service })
            }
            _ => None,
        }
    }
}

impl<'a> Caller<'a> {
    pub(super) fn of(source: Source<'a>, protocol: Protocol, mesh: &LocalMesh) -> Self {
        let certificate = source.certificate();
        let service = Service::of(certificate);
        let own_gateway = protocol == Protocol::Http && is_own_gateway(certificate, mesh);
        let origin = match source {
            // From anybody else the header is not read.
            Source::ViaGateway { origin, .. } if own_gateway => origin,
            _ => None,
        };
        let of_peer = match protocol {
            // The peer's service reaches us itself.
            Protocol::Tcp => service,
            // The mesh gateway has ended the peer's TLS and speaks for it.
            Protocol::Http => origin.and_then(Service::of),
        };
        let local = service.filter(|service| *service.trust_domain == mesh.trust_domain);
        Self { local, of_peer, certificate, origin, own_gateway }
    }

    /// Whether all that is known of it is written as Consul writes it.
    pub(super) fn is_exact(&self) -> bool {
        self.certificate.is_exact() && self.origin.is_none_or(SpiffeId::is_exact)
    }

    /// Whether it is a service, ours or not.
    pub(super) fn is_service(&self) -> bool {
        Service::of(self.certificate).is_some() || self.of_peer.is_some()
    }

    pub(super) fn is_own_gateway(&self) -> bool {
        self.own_gateway
    }
}

fn is_own_gateway(certificate: &SpiffeId, mesh: &LocalMesh) -> bool {
    match certificate {
        SpiffeId::MeshGateway { trust_domain, partition, .. } => {
            *trust_domain == mesh.trust_domain && is_partition(partition, &mesh.partition)
        }
        _ => false,
    }
}

/// Whether a certificate's partition is `own`, which certificates write in lower case.
fn is_partition(certificate: &Element, own: &Partition) -> bool {
    let own = own.as_str().bytes().map(|byte| byte.to_ascii_lowercase());
    certificate.as_str().bytes().eq(own)
}

/// As certificates write it.
pub(super) fn own_partition(partition: &Partition) -> Element {
    Element::from(partition)
}
