//! Services of this datacenter and partition, and their subsets.
//!
//! Behind the name of a service are its sidecars, its instances that speak mTLS themselves, and the
//! terminating gateways that are linked to it: what Consul answers to `/v1/health/connect/<service>`.
//! A service without any of these has no name at all.

mod claims;

use super::Rejected;
use crate::{
    catalog::{Merged, problem_at},
    compile::{Compiler, Named, here, is, no_host_name, service},
    document::{Body, Document, Entry, Resolver},
    mesh::MeshIdentity,
};
use std::collections::HashMap;

pub(super) fn compile(merged: &Merged<'_>, compiler: &mut Compiler<'_>) {
    let claims = claims::of(merged, compiler.own);
    let resolvers = resolvers(merged, compiler.own);
    let here = here(compiler.own);
    let mut id = String::new();
    for group in claims.chunk_by(|a, b| a.order(b).is_eq()) {
        let Some(first) = group.first() else { continue };
        let resolver = if resolvers.is_empty() {
            None
        } else {
            let key = (first.namespace.to_ascii_lowercase(), first.service.to_ascii_lowercase());
            resolvers.get(&key).copied()
        };
        let named = Named { service: first.service, namespace: first.namespace };
        if let Err(error) = service(group, named, resolver, here.as_deref(), &mut id, compiler) {
            let message = no_host_name(&error);
            let it = first.instance;
            let problem = problem_at(it.file, it.document, "Service", message);
            compiler.rejected.push(Rejected { document: it.document.name(), kept: false, problem });
        }
    }
}

fn resolvers<'a>(merged: &Merged<'a>, own: &MeshIdentity) -> HashMap<(String, String), &'a Resolver> {
    let mut resolvers = HashMap::new();
    for entry in &merged.entries {
        let entry: &'a Entry = entry.document;
        if let Body::Resolver(resolver) = &entry.body
            && is(entry.partition.as_ref(), &own.partition)
        {
            let namespace = entry.namespace.as_ref().unwrap_or(&own.namespace).to_ascii_lowercase();
            resolvers.entry((namespace, entry.name.to_ascii_lowercase())).or_insert(&**resolver);
        }
    }
    resolvers
}
