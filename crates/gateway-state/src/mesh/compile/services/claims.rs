//! Which instance stands behind which service.

use crate::{
    catalog::{In, Merged, is_local, wildcard},
    compile::{Member, is},
    document::{Body, Entry, Instance, Kind, Link},
    filter::Filter,
    mesh::{MeshIdentity, TargetEndpoint},
};
use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

/// An instance that stands behind a service.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) namespace: &'a str,
    pub(super) service: &'a Arc<str>,
    pub(super) instance: In<'a, Instance>,
}

impl Member for Claim<'_> {
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String> {
        self.instance.document.endpoint(wan, only_passing)
    }

    fn matches(&self, filter: &Filter, own: &MeshIdentity) -> bool {
        self.instance.document.matches(filter, own)
    }
}

impl Claim<'_> {
    /// By service; equal for two claims on one. Ignores case as it goes, without copies.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        fn lower(text: &str) -> impl Iterator<Item = u8> {
            text.bytes().map(|byte| byte.to_ascii_lowercase())
        }
        lower(self.namespace)
            .cmp(lower(other.namespace))
            .then_with(|| lower(self.service).cmp(lower(other.service)))
    }
}

/// All claims, those on one service next to each other.
pub(super) fn of<'a>(merged: &Merged<'a>, own: &'a MeshIdentity) -> Vec<Claim<'a>> {
    let mut claims = Vec::with_capacity(merged.instances.len());
    let mut gateways: Vec<In<'a, Instance>> = Vec::new();
    for it in merged.instances.iter().filter(|it| is_local(it.document, own)) {
        match it.document.kind {
            Kind::ConnectProxy => claims.push(claim(*it, own)),
            Kind::Plain if it.document.native => claims.push(claim(*it, own)),
            Kind::TerminatingGateway => gateways.push(*it),
            Kind::Plain | Kind::MeshGateway | Kind::IngressGateway => {}
        }
    }
    if !gateways.is_empty() {
        linked(merged, own, &gateways, &mut claims);
    }
    // The order of files must not show, not even in which spelling of a name is the label.
    claims.sort_by(|a, b| a.order(b).then_with(|| a.service.cmp(b.service)));
    claims
}

fn claim<'a>(instance: In<'a, Instance>, own: &'a MeshIdentity) -> Claim<'a> {
    let namespace = instance.document.namespace().unwrap_or(&own.namespace);
    Claim { namespace, service: &instance.document.service, instance }
}

/// Instances of terminating gateways stand behind each service that their entry links.
fn linked<'a>(
    merged: &Merged<'a>,
    own: &'a MeshIdentity,
    gateways: &[In<'a, Instance>],
    claims: &mut Vec<Claim<'a>>,
) {
    for entry in &merged.entries {
        let entry: &'a Entry = entry.document;
        let Body::Terminating(links) = &entry.body else { continue };
        if !is(entry.partition.as_ref(), &own.partition) {
            continue;
        }
        let mut services: BTreeMap<(String, String), (&'a str, &'a Arc<str>)> = BTreeMap::new();
        for Link { name, namespace, .. } in links {
            let namespace = namespace.as_ref().or(entry.namespace.as_ref()).unwrap_or(&own.namespace);
            let mut add = |service: &'a Arc<str>| {
                let key = (namespace.to_ascii_lowercase(), service.to_ascii_lowercase());
                services.entry(key).or_insert((namespace, service));
            };
            if **name == *"*" {
                wildcard(merged, own, namespace).for_each(&mut add);
            } else {
                add(name);
            }
        }
        for gateway in gateways.iter().filter(|it| it.document.service.eq_ignore_ascii_case(&entry.name)) {
            let of = |&(namespace, service)| Claim { namespace, service, instance: *gateway };
            claims.extend(services.values().map(of));
        }
    }
}
