//! Why a name is not in the table: the first of its parts that does not fit.

use gateway_runtime::reason::Reason;
use gateway_state::mesh::{MeshSnapshot, Rule};
use mesh_id::MeshSni;

/// A name that no ClientHello can carry, with the reason that a connection would get.
pub(super) fn unsendable(name: &str) -> Option<(Reason, String)> {
    let because = if name.is_empty() {
        return Some((Reason::NoSni, "the name is empty".to_owned()));
    } else if name.len() > 255 {
        format!("the name has {} bytes, a server name has 255 at most", name.len())
    } else if let Some(wrong) = name.chars().find(|c| !c.is_ascii_graphic()) {
        format!(
            "{wrong:?} cannot stand in a server name; names outside of ASCII are sent in their \"xn--\" form"
        )
    } else if name
        .strip_suffix('.')
        .unwrap_or(name)
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        "each part between dots has 1 to 63 bytes".to_owned()
    } else {
        return None;
    };
    Some((Reason::HelloMalformed, because))
}

/// What is missing for a name that is in no rule, of a catalog of files or of a Consul.
pub(super) fn diagnose(snapshot: &MeshSnapshot, sni: Option<&MeshSni>, from_consul: bool) -> String {
    let mesh = &snapshot.mesh;
    let who = if from_consul { "Consul" } else { "the catalog" };
    let Some(sni) = sni else {
        if from_consul {
            return "it is not a name of the mesh".to_owned();
        }
        return "it is not a name of the mesh, and no [[Route]] of the catalog has it".to_owned();
    };
    let (trust_domain, datacenter) = match sni {
        MeshSni::Service { trust_domain, datacenter, .. }
        | MeshSni::Gateways { trust_domain, datacenter, .. } => (trust_domain.as_str(), datacenter.as_str()),
        MeshSni::PreparedQuery { .. } => {
            return "prepared queries are dialled directly; no mesh gateway routes them".to_owned();
        }
        other if from_consul => return format!("names of this form ({}) are not routed", other.form()),
        other => return format!("names of this form ({}) are not made from a static catalog", other.form()),
    };
    if trust_domain != &*mesh.trust_domain.to_ascii_lowercase() {
        return format!("its trust domain is {trust_domain}, this mesh is {}", mesh.trust_domain);
    }
    if datacenter != mesh.datacenter.to_ascii_lowercase() {
        return format!("{who} has no usable mesh gateway of datacenter {datacenter}");
    }
    let MeshSni::Service { service, partition, subset, .. } = sni else {
        return "the gateways of this datacenter are no destination of their own".to_owned();
    };
    if partition.as_str() != mesh.partition.to_ascii_lowercase() {
        return format!("{who} has no usable mesh gateway of partition {partition}");
    }
    let mut whole = sni.clone();
    if let MeshSni::Service { subset, .. } = &mut whole {
        *subset = None;
    }
    let known = snapshot.table.lookup(&whole.to_string()).is_some_and(|found| found.rule == Rule::Service);
    match subset {
        Some(subset) if known => format!("the service-resolver of {service} has no subset {subset}"),
        _ if from_consul => format!("Consul has no instance of {service} in the mesh in this datacenter"),
        _ => format!(
            "the catalog has no instance of {service} in the mesh (Kind = \"connect-proxy\", or Native = true) \
             in this datacenter"
        ),
    }
}
