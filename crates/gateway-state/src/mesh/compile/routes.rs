//! `[[Route]]`: names of the outside. None of them may be, or cover, a name of the mesh.

use super::Rejected;
use crate::{
    catalog::{Merged, problem_at},
    compile::{Compiler, Label, Layout},
    document::{Document, Route},
    mesh::{Host, Rule, TargetEndpoint},
};

pub(super) fn compile(merged: &Merged<'_>, compiler: &mut Compiler<'_>) {
    let policy = compiler.policy.clone();
    for it in &merged.routes {
        let route = it.document;
        if covers_mesh(&route.sni, &compiler.own.trust_domain) {
            let message = format!(
                "{:?} is a name of the mesh, or covers such names: they end in {:?} and follow from the \
                 other documents",
                route.sni, compiler.own.trust_domain
            );
            let problem = problem_at(it.file, route, "SNI", message);
            compiler.rejected.push(Rejected { document: route.name(), kept: false, problem });
            continue;
        }
        endpoints(route, &mut compiler.endpoints);
        let service = Label::Joined("route:", &route.sni);
        let rule = Rule::StaticRoute;
        let layout = Layout {
            id: &route.sni,
            service,
            rule,
            connect_timeout: None,
            policy: &policy,
            only_first_name: false,
        };
        compiler.finish(Some(&route.sni), &layout);
    }
}

fn endpoints(route: &Route, endpoints: &mut Vec<TargetEndpoint>) {
    endpoints.extend(route.to.iter().map(|(host, port)| TargetEndpoint {
        label: match host {
            Host::Name(name) => name.clone(),
            Host::Ip(_) => route.sni.clone(),
        },
        host: host.clone(),
        port: *port,
        weight: 1,
        healthy: true,
    }));
}

/// A name of the trust domain that no other document declares must lead nowhere (it is an unknown
/// service, or another cluster's idea of one), so not even a wildcard above it may take it.
fn covers_mesh(sni: &str, trust_domain: &str) -> bool {
    let below = |name: &str, suffix: &str| {
        name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    match sni.strip_prefix("*.") {
        Some(suffix) => below(suffix, trust_domain) || below(trust_domain, suffix),
        None => below(sni, trust_domain),
    }
}
