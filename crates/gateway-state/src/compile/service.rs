//! The names of one service: its own, and one for each subset.

use super::{Compiler, Label, Layout, Member};
use crate::{
    document::{Choice, Resolver, Subset},
    snapshot::MeshIdentity,
    target::Rule,
};
use mesh_id::{Datacenter, MeshSni, NameError, Namespace, Partition, ServiceName, SubsetName, TrustDomain};
use std::sync::Arc;

/// A service by the spelling that labels have.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) service: &'a Arc<str>,
    pub(crate) namespace: &'a str,
}

/// What to say of a service that cannot be in the table.
pub(crate) fn no_host_name(error: &NameError) -> String {
    format!("the name of this service in the mesh would be no host name: {error}")
}

/// One service: its own name, and one for each subset. `here` is what such names end in.
pub(crate) fn service(
    members: &[impl Member],
    name: Named<'_>,
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
        policy.balancer = match resolver.balancer {
            Some(Choice::By(balancer)) => balancer,
            Some(Choice::Hash) => compiler.hashing,
            None => policy.balancer,
        };
    }
    let connect_timeout = resolver.and_then(|resolver| resolver.connect_timeout);
    let all = resolver.map_or(&[][..], |resolver| &resolver.subsets);
    let unnamed = std::iter::once((Rule::Service, default));
    for (rule, subset) in unnamed.chain(all.iter().map(|subset| (Rule::Subset, Some(subset)))) {
        let named = subset.filter(|_| rule == Rule::Subset).map(|subset| &*subset.name);
        write_name(id, named, name, here);
        // What stands in the older table was checked then. A dot would move the borders of the parts.
        let plain = !name.service.contains('.') && !name.namespace.contains('.');
        if !(plain && compiler.knows(id)) {
            check_name(id, named, name)?;
        }
        for member in members {
            if subset.is_none_or(|subset| takes(subset, member, compiler.own)) {
                compiler.endpoint(member, false, subset.is_some_and(|subset| subset.only_passing));
            }
        }
        let service = Label::Shared(name.service);
        let id = id.as_str();
        let only_first_name = false;
        compiler
            .finish(None, &Layout { id, service, rule, connect_timeout, policy: &policy, only_first_name });
    }
    Ok(())
}

fn takes(subset: &Subset, member: &impl Member, own: &MeshIdentity) -> bool {
    // A filter that cannot be answered was refused when its document was read.
    subset.filter.matches_all() || member.matches(&subset.filter, own)
}

/// What the names of this datacenter and partition end in: the name of its gateways.
pub(crate) fn here(own: &MeshIdentity) -> Result<String, NameError> {
    let gateways = MeshSni::Gateways {
        datacenter: Datacenter::parse(&own.datacenter)?,
        partition: Partition::parse(&own.partition)?,
        trust_domain: TrustDomain::parse(&own.trust_domain)?,
    };
    Ok(gateways.to_string().to_ascii_lowercase())
}

/// The parts of [`MeshSni::Service`] in its order, without an allocation for each.
fn write_name(id: &mut String, subset: Option<&str>, name: Named<'_>, here: &str) {
    id.clear();
    for part in subset.into_iter().chain([&**name.service, name.namespace]) {
        id.push_str(part);
        id.push('.');
    }
    id.make_ascii_lowercase();
    id.push_str(here);
}

fn check_name(id: &str, subset: Option<&str>, name: Named<'_>) -> Result<(), NameError> {
    ServiceName::parse(name.service)?;
    Namespace::parse(name.namespace)?;
    subset.map(SubsetName::parse).transpose()?;
    mesh_id::is_valid_sni_host(id)
}
