//! What a link of a terminating gateway leads to.

use super::Merged;
use crate::{
    compile::is,
    document::{Body, Instance, Kind},
    snapshot::MeshIdentity,
};
use std::sync::Arc;

/// What `*` stands for: services that are neither proxy nor gateway and not wholly in the mesh
/// already, and destinations outside. `consul` itself is none.
pub(crate) fn wildcard<'m, 'a>(
    merged: &'m Merged<'a>,
    own: &'m MeshIdentity,
    namespace: &'m str,
) -> impl Iterator<Item = &'a Arc<str>> + use<'m, 'a> {
    let services = merged.instances.iter().map(|it| it.document).filter(move |it| {
        it.kind == Kind::Plain
            && !it.native
            && is_local(it, own)
            && it.namespace().unwrap_or(&own.namespace).eq_ignore_ascii_case(namespace)
    });
    let destinations = merged.entries.iter().map(|it| it.document).filter(move |it| {
        matches!(&it.body, Body::Defaults(defaults) if defaults.destination.is_some())
            && is(it.partition.as_ref(), &own.partition)
            && it.namespace.as_ref().unwrap_or(&own.namespace).eq_ignore_ascii_case(namespace)
    });
    let names = services.map(|it| &it.service).chain(destinations.map(|it| &it.name));
    names.filter(|name| !name.eq_ignore_ascii_case("consul"))
}

/// Whether it is of this datacenter and partition.
pub(crate) fn is_local(instance: &Instance, own: &MeshIdentity) -> bool {
    is(instance.datacenter(), &own.datacenter)
        && is(instance.partition(), &own.partition)
        && instance.peer().is_none()
}
