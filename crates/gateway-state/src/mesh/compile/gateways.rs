//! Other datacenters and partitions: every name there leads to the mesh gateways there, by the
//! address that they have for the outside.

use super::Rejected;
use crate::{
    catalog::{In, Merged, problem_at},
    compile::{Compiler, Label, Layout, Member},
    document::{Document, Instance, Kind},
    mesh::Rule,
};
use mesh_id::{Datacenter, MeshSni, NameError, Partition, TrustDomain};
use std::collections::BTreeMap;

pub(super) fn compile(merged: &Merged<'_>, compiler: &mut Compiler<'_>) {
    let own = compiler.own;
    let mut places: BTreeMap<(String, String), Vec<In<'_, Instance>>> = BTreeMap::new();
    for it in &merged.instances {
        let instance = it.document;
        if instance.kind != Kind::MeshGateway || instance.peer().is_some() {
            continue;
        }
        let datacenter = instance.datacenter().unwrap_or(&own.datacenter).to_ascii_lowercase();
        let elsewhere = datacenter != *own.datacenter;
        // A row that names no partition is in that of the mesh, and in another datacenter in its default one.
        let home = if elsewhere { Partition::DEFAULT } else { &own.partition };
        let partition = instance.partition().map_or(home, |name| name).to_ascii_lowercase();
        // Only default partitions of different datacenters know each other.
        let reachable = !elsewhere || *own.partition == *Partition::DEFAULT;
        if reachable && (elsewhere || partition != *own.partition) {
            places.entry((datacenter, partition)).or_default().push(*it);
        }
    }
    for ((datacenter, partition), gateways) in &places {
        let members: Vec<&Instance> = gateways.iter().map(|it| it.document).collect();
        if let Err(error) = place(datacenter, partition, &members, compiler)
            && let Some(it) = gateways.first()
        {
            let message = no_host_names(&error);
            let problem = problem_at(it.file, it.document, "Datacenter", message);
            compiler.rejected.push(Rejected { document: it.document.name(), kept: false, problem });
        }
    }
}

/// What to say of a datacenter that cannot be in the table.
pub(super) fn no_host_names(error: &NameError) -> String {
    format!("the names of this datacenter would be no host names: {error}")
}

/// One datacenter or partition: all names there.
pub(super) fn place<M: Member>(
    datacenter: &str,
    partition: &str,
    gateways: &[&M],
    compiler: &mut Compiler<'_>,
) -> Result<(), NameError> {
    let suffix = MeshSni::Gateways {
        datacenter: Datacenter::parse(datacenter)?,
        partition: Partition::parse(partition)?,
        trust_domain: TrustDomain::parse(&compiler.own.trust_domain)?,
    };
    let suffix = suffix.to_string().to_ascii_lowercase();
    mesh_id::is_valid_sni_host(&suffix)?;
    let id = format!("*.{suffix}");
    for gateway in gateways {
        compiler.endpoint(*gateway, true, false);
    }
    let (rule, word, of) = match (datacenter == &*compiler.own.datacenter, partition) {
        (true, partition) => (Rule::RemotePartition, "partition:", partition.to_owned()),
        (false, Partition::DEFAULT) => (Rule::RemoteDatacenter, "dc:", datacenter.to_owned()),
        (false, partition) => (Rule::RemoteDatacenter, "dc:", format!("{datacenter}/{partition}")),
    };
    let policy = compiler.policy.clone();
    let service = Label::Joined(word, &of);
    let only_first_name = compiler.only_first_name;
    let layout = Layout { id: &id, service, rule, connect_timeout: None, policy: &policy, only_first_name };
    compiler.finish(None, &layout);
    Ok(())
}
