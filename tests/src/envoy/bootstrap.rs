//! The static configuration: for each listener one cluster, both TCP.

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
    to: SocketAddr,
    // The `transport_socket` of either side; `None` is plain TCP.
    downstream: Option<Value>,
    upstream: Option<Value>,
}

impl Listener {
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
            to: via,
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
        Listener { name: name.to_owned(), bind, to: backend, downstream: Some(tls(&context)), upstream: None }
    }

    fn listener(&self, access_log: &Path) -> Value {
        let proxy = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": self.name,
            "cluster": self.name,
            "access_log": [{"name": "file", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": access_log,
                "log_format": {"json_format": {
                    "listener": self.name,
                    "flags": "%RESPONSE_FLAGS%",
                    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
                    "upstream": "%UPSTREAM_HOST%",
                    "sent": "%BYTES_SENT%",
                    "received": "%BYTES_RECEIVED%",
                }},
            }}],
        });
        let mut chain = json!({"filters": [{"name": "tcp_proxy", "typed_config": proxy}]});
        if let Some(tls) = &self.downstream {
            chain["transport_socket"] = tls.clone();
        }
        json!({"name": self.name, "address": socket_address(self.bind), "filter_chains": [chain]})
    }

    fn cluster(&self) -> Value {
        let endpoint = json!({"endpoint": {"address": socket_address(self.to)}});
        let mut cluster = json!({
            "name": self.name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": self.name, "endpoints": [{"lb_endpoints": [endpoint]}]},
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
            "clusters": listeners.iter().map(Listener::cluster).collect::<Vec<_>>(),
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
