//! `[Mesh]`: who and where this mesh is; exactly once in a catalog.

use super::{Document, Place, checked, cx::Cx, fields::Fields, node::Node};
use crate::snapshot::MeshIdentity;
use intentions::DefaultPolicy;
use mesh_id::{Datacenter, DnsDomain, Namespace, Partition, TrustDomain};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MeshDoc {
    pub(crate) identity: MeshIdentity,
    pub(crate) roots: Vec<FileRef>,
    pub(crate) default_policy: DefaultPolicy,
    place: Place,
}

/// A file that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRef {
    /// Below the folder of the file that names it, if it is relative.
    pub(crate) path: PathBuf,
    pub(crate) line: u32,
    /// `Mesh.Roots[0]`
    pub(crate) key: String,
}

impl FileRef {
    pub(super) fn new(text: &str, at: usize, key: String, folder: &Path, cx: &mut Cx<'_>) -> Self {
        Self { path: folder.join(text), line: cx.line(at), key }
    }
}

impl Document for MeshDoc {
    fn name(&self) -> String {
        "Mesh".to_owned()
    }

    fn place(&self) -> Place {
        self.place
    }
}

const KEYS: &[&str] =
    &["Datacenter", "TrustDomain", "Roots", "DefaultPolicy", "Domain", "Partition", "Namespace", "Locality"];

pub(super) fn decode(
    node: Node<'_>,
    place: Place,
    folder: &Path,
    cx: &mut Cx<'_>,
) -> Result<MeshDoc, Option<String>> {
    let name = || Some("Mesh".to_owned());
    let mut fields = Fields::open(node, KEYS, cx).ok_or_else(name)?;
    let text = fields.required_text("Datacenter", cx);
    let datacenter = checked(text, "Datacenter", Datacenter::parse, cx);
    let text = fields.required_text("TrustDomain", cx);
    let trust_domain = checked(text, "TrustDomain", TrustDomain::parse, cx);
    let text = fields.filled_text("Partition", cx);
    let partition = checked(text, "Partition", Partition::parse, cx);
    let text = fields.filled_text("Namespace", cx);
    let namespace = checked(text, "Namespace", Namespace::parse, cx);
    let text = fields.filled_text("Domain", cx).map(|mut text| {
        // Consul itself writes the dot of the DNS root.
        if text.value.ends_with('.') {
            text.value.to_mut().pop();
        }
        text
    });
    let domain = checked(text, "Domain", DnsDomain::parse, cx);
    let roots = file_refs(&mut fields, "Roots", &place.path(), folder, cx);
    let default_policy = default_policy(&mut fields, cx);
    fields.known_only("Locality", &["Region", "Zone"], cx);
    let (Some(datacenter), Some(trust_domain)) = (datacenter, trust_domain) else { return Err(name()) };
    // DNS does not distinguish case, and the same mesh must not have two snapshots.
    let lower = |text: &str, cx: &mut Cx<'_>| cx.shared(&text.to_ascii_lowercase());
    let identity = MeshIdentity {
        datacenter: lower(&datacenter, cx),
        trust_domain: lower(&trust_domain, cx),
        partition: lower(partition.as_deref().unwrap_or(Partition::DEFAULT), cx),
        namespace: lower(namespace.as_deref().unwrap_or(Namespace::DEFAULT), cx),
        domain: lower(domain.as_deref().unwrap_or("consul"), cx),
    };
    Ok(MeshDoc { identity, roots, default_policy, place })
}

/// What holds where no intention decides; `deny` if nothing is written.
fn default_policy(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> DefaultPolicy {
    let Some(policy) = fields.filled_text("DefaultPolicy", cx) else { return DefaultPolicy::Deny };
    match &*policy.value {
        "allow" => DefaultPolicy::Allow,
        "deny" => DefaultPolicy::Deny,
        other => {
            cx.problem(policy.at, "DefaultPolicy", format!("{other:?} is neither \"allow\" nor \"deny\""));
            DefaultPolicy::Deny
        }
    }
}

/// The files of a list.
pub(super) fn file_refs(
    fields: &mut Fields<'_>,
    key: &'static str,
    base: &str,
    folder: &Path,
    cx: &mut Cx<'_>,
) -> Vec<FileRef> {
    let mut files = Vec::new();
    for (index, text) in fields.texts(key, cx).into_iter().enumerate() {
        files.push(FileRef::new(&text.value, text.at, format!("{base}.{key}[{index}]"), folder, cx));
    }
    files
}
