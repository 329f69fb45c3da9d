//! One linked service: everything that is known of it -> itself, its names and what is behind them.

use super::{
    About, LeafState, LinkKind, LinkedService, NotReady, Rule, SetPolicy, Target, TargetEndpoint,
    TerminatingOptions, Trouble,
    config::{Config, ServiceConfig},
    slot::ServiceSlot,
    trust::{Mesh, TlsSlot},
};
use crate::{
    compile::{self, Before, Compiler, Label, Layout, Member, NameMode},
    document::Destination,
    target::Host,
};
use intentions::{DefaultPolicy, RuleSet};
use mesh_endpoints::Balancer;
use mesh_id::{Namespace, ServiceName, SpiffeId};
use mtls::{LeafKey, UnixTime};
use std::{net::IpAddr, sync::Arc};

/// What all services start from.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) tls: &'a TlsSlot,
    pub(super) default_policy: DefaultPolicy,
    pub(super) config: &'a Config,
    pub(super) policy: &'a SetPolicy,
    pub(super) names: NameMode,
    pub(super) options: &'a TerminatingOptions,
    /// Equal targets are taken from here.
    pub(super) before: &'a dyn Before,
    pub(super) now: UnixTime,
}

/// What came of one service.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) service: Arc<LinkedService>,
    /// Each with the rule that makes it; the first is the service's own. In the order of the service's targets.
    pub(super) names: Vec<(Arc<str>, Rule)>,
    /// One for each name, or none.
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) troubles: Vec<Trouble>,
    /// The service or one of its targets is another one than before.
    pub(super) changed: bool,
}

/// Compiles one service. `None`: its names cannot be read, so it cannot have a certificate.
pub(super) fn service<M: Member>(base: Base<'_>, slot: &mut ServiceSlot<M>) -> Option<Piece> {
    let key = slot.link.key.clone();
    let name = ServiceName::parse(&key.name).ok()?;
    let namespace = Namespace::parse(&key.namespace).ok()?;
    let mesh = base.mesh;
    let config = base.config.of_service(&key.namespace, &key.name);
    let mut troubles = Vec::new();

    let expected =
        SpiffeId::service(mesh.trust_domain.clone(), &mesh.partition, &namespace, &mesh.datacenter, &name);
    let leaf = slot.leaf.refresh(&expected, base.now);
    slot.leaf.troubles(&key, slot.link.from_wildcard, &mesh.roots, base.now, &mut troubles);
    let origination = slot.origination.refresh(slot.link.tls.as_ref(), base.now);
    slot.origination.troubles(&key, &mut troubles);
    let destination = intentions::Destination {
        name: name.clone(),
        namespace: namespace.clone(),
        partition: mesh.partition.clone(),
    };
    let rules = slot.rules(&destination, base.default_policy, mesh);
    trouble_of_rules(&rules, &key, &mut troubles);

    let Behind { names, targets, compiled, why } = behind(base, slot, config, &mut troubles);
    let not_ready = not_ready(base, slot, config, &leaf).or(why);
    let targets = if not_ready.is_none() { targets } else { Vec::new() };
    // The other one has them.
    let names = if slot.same_name.is_none() { names } else { Vec::new() };
    let options = base.options.of(&key.namespace, &key.name, &mesh.identity.namespace);
    let service = LinkedService {
        partition: mesh.identity.partition.clone(),
        from_wildcard: slot.link.from_wildcard,
        kind: slot.link.kind,
        protocol: base.config.protocol(config),
        leaf_key: LeafKey { partition: mesh.partition.clone(), namespace, service: name },
        leaf,
        rules,
        origination,
        host_rewrite: slot.link.host_rewrite && slot.link.kind == LinkKind::Service,
        source_address: options.source_address,
        dry_run: options.dry_run,
        targets: targets.iter().map(|target| target.id.clone()).collect(),
        not_ready,
        key,
    };
    let before = slot.piece.as_ref().map(|piece| &piece.service).filter(|before| before.is_same(&service));
    let changed = before.is_none() || compiled > 0;
    let service = before.cloned().unwrap_or_else(|| Arc::new(service));
    Some(Piece { service, names, targets, troubles, changed })
}

fn trouble_of_rules(rules: &RuleSet, key: &super::ServiceKey, troubles: &mut Vec<Trouble>) {
    let about = || About::Intentions(key.clone());
    troubles.extend(rules.problems().iter().map(|problem| Trouble::warning(about(), problem.to_string())));
    for pair in rules.shadowed() {
        let message = format!(
            "intention {} decides, where Envoy with the rules that Consul makes for it would follow {} \
             (intention_precedence_shadowed)",
            pair.wins, pair.hidden
        );
        troubles.push(Trouble::warning(about(), message));
    }
}

/// Why nothing is accepted for a service, whatever is behind its names.
fn not_ready<M>(
    base: Base<'_>,
    slot: &ServiceSlot<M>,
    config: Option<&ServiceConfig>,
    leaf: &LeafState,
) -> Option<NotReady> {
    if let Some(what) = &slot.waiting {
        return Some(NotReady::Waiting(what.clone()));
    }
    if let Some(other) = &slot.same_name {
        return Some(NotReady::SameName(other.clone()));
    }
    if base.tls.is_refused() {
        return Some(NotReady::NotUnderstood("mesh entry".into()));
    }
    if let Some(kind) = config.and_then(|config| config.not_understood) {
        return Some(NotReady::NotUnderstood(kind.into()));
    }
    if slot.intentions.is_none() {
        return Some(NotReady::NoIntentions);
    }
    match leaf {
        LeafState::Missing { why } => Some(NotReady::NoLeaf(why.clone())),
        LeafState::Ready(_) => None,
    }
}

/// The names of a service and what is behind each.
#[derive(Default)]
struct Behind {
    names: Vec<(Arc<str>, Rule)>,
    targets: Vec<Arc<Target>>,
    /// Targets that are not as before.
    compiled: u64,
    why: Option<NotReady>,
}

fn behind<M: Member>(
    base: Base<'_>,
    slot: &ServiceSlot<M>,
    config: Option<&ServiceConfig>,
    troubles: &mut Vec<Trouble>,
) -> Behind {
    let key = &slot.link.key;
    let mut compiler = Compiler::new(&base.mesh.identity, base.before, base.policy.clone());
    compiler.hashing = Balancer::Random;
    compiler.names = base.names;
    let why = match slot.link.kind {
        LinkKind::Service => {
            let resolver = config.and_then(|config| config.resolver.as_deref());
            let named = compile::Named { service: &key.name, namespace: &key.namespace };
            let rows = slot.instances.as_deref().unwrap_or_default();
            let mut id = String::new();
            let done = compile::service(rows, named, resolver, Ok(&base.mesh.suffix), &mut id, &mut compiler);
            match (done, &slot.instances) {
                (Err(error), _) => Some(NotReady::NoHostName(error.to_string().into())),
                (Ok(()), None) => Some(NotReady::Waiting("its instances are not known yet".into())),
                (Ok(()), Some(rows)) if rows.is_empty() => Some(NotReady::NoInstances),
                (Ok(()), Some(_)) => None,
            }
        }
        LinkKind::Destination => {
            let defaults = config.and_then(|config| config.defaults.as_ref());
            let destination = defaults.and_then(|defaults| defaults.destination.as_ref());
            addresses(base, key, destination, &mut compiler, troubles)
        }
    };
    let mut unusable = std::mem::take(&mut compiler.unusable);
    // A row stands in the unnamed set and in subsets.
    unusable.sort_unstable();
    unusable.dedup();
    troubles.extend(unusable.into_iter().map(|text| Trouble::warning(About::Instances(key.clone()), text)));
    match &why {
        Some(NotReady::NoHostName(why)) => {
            let message = format!("the name of this service in the mesh would be no host name: {why}");
            troubles.push(Trouble::rejected(About::Link(key.clone()), false, message));
            // Half of its names may be fine; a service has all of them or none.
            Behind { why: Some(NotReady::NoHostName(why.clone())), ..Behind::default() }
        }
        Some(NotReady::NoInstances) => {
            let message = "the service has no instance: nothing is accepted for it until one comes";
            troubles.push(Trouble::warning(About::Instances(key.clone()), message));
            with_names(compiler, why)
        }
        _ => with_names(compiler, why),
    }
}

fn with_names(compiler: Compiler<'_>, why: Option<NotReady>) -> Behind {
    let Compiler { targets, compiled, .. } = compiler;
    let names = targets.iter().map(|target| (target.id.clone(), target.rule)).collect();
    Behind { names, targets, compiled, why }
}

/// One name for each address of a destination: `destination.<address>.<service>. ...`, dots and colons of the
/// address written as hyphens. Two that are the same then are one, the first.
fn addresses(
    base: Base<'_>,
    key: &super::ServiceKey,
    destination: Option<&Destination>,
    compiler: &mut Compiler<'_>,
    troubles: &mut Vec<Trouble>,
) -> Option<NotReady> {
    let about = || About::Destination(key.clone());
    let Some(destination) = destination else {
        return Some(NotReady::Waiting("the addresses of its Destination are not known".into()));
    };
    let mut seen: Vec<(String, &Arc<str>)> = Vec::new();
    for (address, host) in &destination.addresses {
        let label = written(host).replace(['.', ':'], "-");
        let id = format!("destination.{label}.{}.{}.{}", key.name, key.namespace, base.mesh.suffix);
        let id = id.to_ascii_lowercase();
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == id) {
            let message =
                format!("address {address:?} has the same name in the mesh as {first:?}, which has it");
            troubles.push(Trouble::warning(about(), message));
            continue;
        }
        if let Err(error) = mesh_id::is_valid_sni_host(&id) {
            let message = format!("address {address:?} would have a name that is no host name: {error}");
            troubles.push(Trouble::warning(about(), message));
            continue;
        }
        compiler.endpoints.push(TargetEndpoint {
            host: host.clone(),
            port: destination.port,
            weight: 1,
            healthy: true,
            label: address.clone(),
        });
        compiler.finish(
            None,
            &Layout {
                id: &id,
                service: Label::Shared(&key.name),
                rule: Rule::Destination,
                connect_timeout: None,
                policy: base.policy,
                only_first_name: false,
            },
        );
        seen.push((id, address));
    }
    seen.is_empty().then(|| NotReady::NoHostName("none of its addresses has a name".into()))
}

fn written(host: &Host) -> String {
    match host {
        // Dialers write the address as it is in the document; both forms of it are one address here.
        Host::Ip(ip @ (IpAddr::V4(_) | IpAddr::V6(_))) => ip.to_string(),
        Host::Name(name) => name.to_string(),
    }
}
