//! The static configuration: for each listener one cluster, both TCP; for a mesh gateway's one for each of its names.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};

use super::socket_address;
use crate::consul::IdentityFiles;

/// A listener and the cluster behind it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: String,
    bind: SocketAddr,
    to: To,
    // The `transport_socket` of either side; `None` is plain TCP.
    downstream: Option<Value>,
    upstream: Option<Value>,
}

/// Where connections go.
#[derive(Debug)]
enum To {
    One(SocketAddr),
    /// By the name in the hello.
    Named(Vec<(String, SocketAddr)>),
}

impl Listener {
    pub(super) fn gateway(name: &str, bind: SocketAddr, routes: &[(String, SocketAddr)]) -> Self {
        let (name, to) = (name.to_owned(), To::Named(routes.to_vec()));
        Listener { name, bind, to, downstream: None, upstream: None }
    }

    pub(super) fn caller(
        name: &str,
        files: &IdentityFiles,
        sni: &str,
        expected: &str,
        via: SocketAddr,
    ) -> Self {
        let mut common = common(files);
        common["validation_context"]["match_typed_subject_alt_names"] =
            json!([{"san_type": "URI", "matcher": {"exact": expected}}]);
        let context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": sni,
            "common_tls_context": common,
        });
        Listener {
            name: name.to_owned(),
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            to: To::One(via),
            downstream: None,
            upstream: Some(tls(&context)),
        }
    }

    pub(super) fn called(name: &str, files: &IdentityFiles, bind: SocketAddr, backend: SocketAddr) -> Self {
        let context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": true,
            "common_tls_context": common(files),
        });
        let to = To::One(backend);
        Listener { name: name.to_owned(), bind, to, downstream: Some(tls(&context)), upstream: None }
    }

    fn listener(&self, access_log: &Path) -> Value {
        let mut listener = json!({"name": self.name, "address": socket_address(self.bind)});
        let To::Named(routes) = &self.to else {
            let mut chain = json!({"filters": [self.proxy(&self.name, access_log)]});
            if let Some(tls) = &self.downstream {
                chain["transport_socket"] = tls.clone();
            }
            listener["filter_chains"] = json!([chain]);
            return listener;
        };
        listener["listener_filters"] = json!([{"name": "tls_inspector", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        }}]);
        // As Consul has it: one chain for each other datacenter; the rest goes where the name itself is a cluster.
        let others = routes.iter().filter(|(name, _)| name.starts_with("*."));
        let mut chains: Vec<_> = others
            .map(|(name, _)| {
                let proxy = self.proxy(name, access_log);
                json!({"filter_chain_match": {"server_names": [name]}, "filters": [proxy]})
            })
            .collect();
        let by_name = json!({"name": "sni_cluster", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster",
        }});
        chains.push(json!({"filters": [by_name, self.proxy("", access_log)]}));
        listener["filter_chains"] = chains.into();
        listener
    }

    fn proxy(&self, cluster: &str, access_log: &Path) -> Value {
        let proxy = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": self.name,
            "cluster": cluster,
            "access_log": [{"name": "file", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": access_log,
                "log_format": {"json_format": {
                    "listener": self.name,
                    "name": "%REQUESTED_SERVER_NAME%",
                    "flags": "%RESPONSE_FLAGS%",
                    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
                    "upstream": "%UPSTREAM_HOST%",
                    "sent": "%BYTES_SENT%",
                    "received": "%BYTES_RECEIVED%",
                }},
            }}],
        });
        json!({"name": "tcp_proxy", "typed_config": proxy})
    }

    fn clusters(&self) -> Vec<Value> {
        match &self.to {
            To::One(to) => vec![self.cluster(&self.name, *to)],
            To::Named(routes) => routes.iter().map(|(name, to)| self.cluster(name, *to)).collect(),
        }
    }

    fn cluster(&self, name: &str, to: SocketAddr) -> Value {
        let endpoint = json!({"endpoint": {"address": socket_address(to)}});
        let mut cluster = json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        });
        if let Some(tls) = &self.upstream {
            cluster["transport_socket"] = tls.clone();
        }
        cluster
    }
}

pub(super) fn whole(listeners: &[Listener], access_log: &Path) -> Value {
    json!({
        "admin": {"address": socket_address((Ipv4Addr::LOCALHOST, 0).into())},
        "static_resources": {
            "listeners": listeners.iter().map(|listener| listener.listener(access_log)).collect::<Vec<_>>(),
            "clusters": listeners.iter().flat_map(Listener::clusters).collect::<Vec<_>>(),
        },
    })
}

fn common(files: &IdentityFiles) -> Value {
    json!({
        "tls_certificates": [{
            "certificate_chain": {"filename": files.leaf.cert},
            "private_key": {"filename": files.leaf.key},
        }],
        "validation_context": {"trusted_ca": {"filename": files.roots}},
    })
}

fn tls(context: &Value) -> Value {
    json!({"name": "tls", "typed_config": context})
}
