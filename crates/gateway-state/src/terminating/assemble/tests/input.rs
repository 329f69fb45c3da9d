//! What tests put in.

use super::super::{LeafInput, LinkRow, MeshIdentity, ServiceKey, TerminatingAssembler};
use crate::{
    bytes::FileBytes,
    terminating::{LinkKind, SetPolicy, TerminatingOptions, TerminatingSnapshot},
};
use catalog_client::health::HealthEntry;
use intentions::{Intention, parse_list};
use mtls::UnixTime;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(super) const TD: &str = "11111111-2222-3333-4444-555555555555.consul";
/// Some moment, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const DAY: u64 = 86_400;

/// A moment as rcgen wants it.
macro_rules! time {
    ($second:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs($second)
    };
}

pub(super) fn at(second: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(second))
}

pub(super) fn sni(name: &str) -> String {
    format!("{name}.default.dc1.internal.{TD}")
}

pub(super) fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

pub(super) fn link(name: &str) -> LinkRow {
    LinkRow { key: key(name), kind: LinkKind::Service, from_wildcard: false, host_rewrite: true, tls: None }
}

/// A row of `/v1/health/service/<service>`, as measured on 1.10.1.
pub(super) fn row(service: &str, address: &str, more: Value) -> HealthEntry {
    let mut row = json!({
        "Node": { "ID": "", "Node": "ext-1", "Address": "127.0.0.1", "Datacenter": "dc1", "Meta": { "external-node": "true" } },
        "Service": { "ID": format!("{service}-{address}"), "Service": service, "Address": address, "Port": 46002,
                     "Meta": { "version": "v1" }, "Weights": { "Passing": 1, "Warning": 1 }, "Connect": {} },
        "Checks": [],
    });
    if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
        row.extend(more);
    }
    serde_json::from_value(row).unwrap()
}

pub(super) fn intention(source: &str, destination: &str, action: &str) -> Arc<Intention> {
    let row = json!([{ "SourceNS": "default", "SourceName": source, "DestinationNS": "default",
        "DestinationName": destination, "SourceType": "consul", "Action": action, "Precedence": 9 }]);
    parse_list(row.to_string().as_bytes()).unwrap().intentions.remove(0)
}

fn ca(name: &str, from: u64, to: u64) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (time!(from), time!(to));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{TD}").try_into().unwrap())];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A root that holds from one moment to another.
pub(super) fn root(name: &str, from: u64, to: u64) -> FileBytes {
    ca(name, from, to).pem().into_bytes().into()
}

/// A mesh with its CA.
pub(super) struct Mesh(CertifiedIssuer<'static, KeyPair>);

impl Mesh {
    pub(super) fn new() -> Self {
        Self(ca("mesh", NOW - DAY, NOW + 3650 * DAY))
    }

    pub(super) fn identity(&self) -> MeshIdentity {
        MeshIdentity {
            datacenter: "dc1".into(),
            trust_domain: TD.into(),
            partition: "default".into(),
            namespace: "default".into(),
            domain: "consul".into(),
        }
    }

    pub(super) fn roots(&self) -> Vec<FileBytes> {
        vec![self.0.pem().into_bytes().into()]
    }

    /// A leaf as Consul makes it: three days.
    pub(super) fn leaf(&self, service: &str) -> LeafInput {
        self.leaf_valid(service, NOW - 60, NOW + 3 * DAY)
    }

    pub(super) fn leaf_valid(&self, service: &str, from: u64, to: u64) -> LeafInput {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        (params.not_before, params.not_after) = (time!(from), time!(to));
        let uri = format!("spiffe://{TD}/ns/default/dc/dc1/svc/{service}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap().pem();
        LeafInput::Pem { cert: cert.into_bytes().into(), key: key.serialize_pem().into_bytes().into() }
    }
}

/// A mesh whose gateway knows everything about some services.
pub(super) struct World {
    pub(super) mesh: Mesh,
    pub(super) it: TerminatingAssembler<HealthEntry>,
    leaves: BTreeMap<String, LeafInput>,
}

impl World {
    pub(super) fn new(services: &[&str]) -> Self {
        let mesh = Mesh::new();
        let leaves = services.iter().map(|name| ((*name).to_owned(), mesh.leaf(name))).collect();
        let it = TerminatingAssembler::new(SetPolicy::default(), TerminatingOptions::default());
        let mut world = Self { mesh, it, leaves };
        world.it.set_mesh(world.mesh.identity(), world.mesh.roots());
        world.put_in_all();
        world
    }

    /// Everything about the services, as at the start.
    pub(super) fn put_in_all(&mut self) {
        let it = &mut self.it;
        it.set_links(self.leaves.keys().map(|name| link(name)).collect());
        for (name, leaf) in &self.leaves {
            it.set_instances(&key(name), vec![row(name, "10.0.0.1", json!({}))]);
            it.set_intentions(&key(name), Vec::new());
            it.set_leaf(&key(name), leaf.clone());
        }
    }

    pub(super) fn build(&mut self) -> Arc<TerminatingSnapshot> {
        self.it.build(at(NOW)).expect("something has changed")
    }
}
