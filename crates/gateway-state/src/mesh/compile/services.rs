//! Services of this datacenter and partition, and their subsets.
//!
//! Behind the name of a service are its sidecars, its instances that speak mTLS themselves, and the
//! terminating gateways that are linked to it: what Consul answers to `/v1/health/connect/<service>`.
//! A service without any of these has no name at all.

mod claims;

use super::{Compiler, Label, Layout, Rejected, is, problem_at};
use crate::{
    catalog::Merged,
    document::{Body, Document, Entry, Instance, Resolver, Subset},
    mesh::{MeshIdentity, Rule, row::Row},
};
use claims::Claim;
use mesh_id::{Datacenter, MeshSni, NameError, Namespace, Partition, ServiceName, SubsetName, TrustDomain};
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
        if let Err(error) = service(group, first, resolver, here.as_deref(), &mut id, compiler) {
            let message = format!("the name of this service in the mesh would be no host name: {error}");
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

/// One service: its own name, and one for each subset. `here` is what such names end in.
fn service(
    group: &[Claim<'_>],
    first: &Claim<'_>,
    resolver: Option<&Resolver>,
    here: Result<&str, &NameError>,
    id: &mut String,
    compiler: &mut Compiler<'_>,
) -> Result<(), NameError> {
    let here = here.map_err(Clone::clone)?;
    let mut policy = compiler.policy.clone();
    let mut default = None;
    if let Some(resolver) = resolver {
        let wanted = resolver.default_subset.as_deref();
        default = resolver.subsets.iter().find(|subset| Some(&*subset.name) == wanted);
        policy.balancer = resolver.balancer.unwrap_or(policy.balancer);
    }
    let connect_timeout = resolver.and_then(|resolver| resolver.connect_timeout);
    let all = resolver.map_or(&[][..], |resolver| &resolver.subsets);
    let unnamed = std::iter::once((Rule::Service, default));
    for (rule, subset) in unnamed.chain(all.iter().map(|subset| (Rule::Subset, Some(subset)))) {
        let named = subset.filter(|_| rule == Rule::Subset).map(|subset| &*subset.name);
        write_name(id, named, first, here);
        // What stands in the older table was checked then. A dot would move the borders of the parts.
        let plain = !first.service.contains('.') && !first.namespace.contains('.');
        if !(plain && compiler.knows(id)) {
            check_name(id, named, first)?;
        }
        for claim in group {
            let instance = claim.instance.document;
            if subset.is_none_or(|subset| takes(subset, instance, compiler.own)) {
                compiler.endpoint(instance, false, subset.is_some_and(|subset| subset.only_passing));
            }
        }
        let service = Label::Shared(first.service);
        compiler.finish(None, &Layout { id: id.as_str(), service, rule, connect_timeout, policy: &policy });
    }
    Ok(())
}

fn takes(subset: &Subset, instance: &Instance, own: &MeshIdentity) -> bool {
    // A filter that cannot be answered was refused when its document was read.
    subset.filter.matches_all() || subset.filter.matches(&Row::new(instance, Some(own))).unwrap_or(false)
}

/// What the names of this datacenter and partition end in: the name of its gateways.
fn here(own: &MeshIdentity) -> Result<String, NameError> {
    let gateways = MeshSni::Gateways {
        datacenter: Datacenter::parse(&own.datacenter)?,
        partition: Partition::parse(&own.partition)?,
        trust_domain: TrustDomain::parse(&own.trust_domain)?,
    };
    Ok(gateways.to_string().to_ascii_lowercase())
}

/// The parts of [`MeshSni::Service`] in its order, without an allocation for each.
fn write_name(id: &mut String, subset: Option<&str>, first: &Claim<'_>, here: &str) {
    id.clear();
    for part in subset.into_iter().chain([&**first.service, first.namespace]) {
        id.push_str(part);
        id.push('.');
    }
    id.make_ascii_lowercase();
    id.push_str(here);
}

fn check_name(id: &str, subset: Option<&str>, first: &Claim<'_>) -> Result<(), NameError> {
    ServiceName::parse(first.service)?;
    Namespace::parse(first.namespace)?;
    subset.map(SubsetName::parse).transpose()?;
    mesh_id::is_valid_sni_host(id)
}
