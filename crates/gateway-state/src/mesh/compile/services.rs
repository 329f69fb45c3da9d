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
use std::{collections::HashMap, fmt::Write};

pub(super) fn compile(merged: &Merged<'_>, compiler: &mut Compiler<'_>) {
    let claims = claims::of(merged, compiler.own);
    let resolvers = resolvers(merged, compiler.own);
    let mut id = String::new();
    for group in claims.chunk_by(|a, b| a.order(b).is_eq()) {
        let Some(first) = group.first() else { continue };
        let resolver = if resolvers.is_empty() {
            None
        } else {
            let key = (first.namespace.to_ascii_lowercase(), first.service.to_ascii_lowercase());
            resolvers.get(&key).copied()
        };
        if let Err(error) = service(group, first, resolver, &mut id, compiler) {
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

/// One service: its own name, and one for each subset.
fn service(
    group: &[Claim<'_>],
    first: &Claim<'_>,
    resolver: Option<&Resolver>,
    id: &mut String,
    compiler: &mut Compiler<'_>,
) -> Result<(), NameError> {
    let mut name = name(first, compiler.own)?;
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
        if let (Rule::Subset, Some(wanted), MeshSni::Service { subset, .. }) = (rule, subset, &mut name) {
            *subset = Some(SubsetName::parse(&wanted.name)?);
        }
        id.clear();
        // Writing to a String does not fail.
        let _ = write!(id, "{name}");
        id.make_ascii_lowercase();
        mesh_id::is_valid_sni_host(id)?;
        for claim in group {
            let instance = claim.instance.document;
            if subset.is_none_or(|subset| takes(subset, instance, compiler.own)) {
                compiler.endpoint(instance, false, subset.is_some_and(|subset| subset.only_passing));
            }
        }
        let service = Label::Shared(first.service);
        compiler.finish(None, &Layout { id, service, rule, connect_timeout, policy: &policy });
    }
    Ok(())
}

fn takes(subset: &Subset, instance: &Instance, own: &MeshIdentity) -> bool {
    // A filter that cannot be answered was refused when its document was read.
    subset.filter.matches_all() || subset.filter.matches(&Row::new(instance, Some(own))).unwrap_or(false)
}

fn name(first: &Claim<'_>, own: &MeshIdentity) -> Result<MeshSni, NameError> {
    Ok(MeshSni::Service {
        service: ServiceName::parse(first.service)?,
        namespace: Namespace::parse(first.namespace)?,
        partition: Partition::parse(&own.partition)?,
        datacenter: Datacenter::parse(&own.datacenter)?,
        trust_domain: TrustDomain::parse(&own.trust_domain)?,
        subset: None,
    })
}
