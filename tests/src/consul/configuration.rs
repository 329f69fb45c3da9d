//! The agent's configuration file. What every version from 1.8 on takes, and two settings by version.

use serde_json::{Value, json};

use super::start::{GRPC, HTTP, HTTPS, Role, SERF_LAN, SERF_WAN, SERVER};
use super::{ConsulBuilder, Version};

impl ConsulBuilder {
    pub(super) fn standard(&self) -> Value {
        let ip = self.address.ip().to_string();
        let mut all = json!({
            "node_name": self.name,
            "datacenter": self.datacenter,
            "data_dir": self.data_dir(),
            "bind_addr": ip,
            "client_addr": ip,
            "ports": self.ports(),
            "log_level": "INFO",
            "disable_update_check": true,
            "disable_anonymous_signature": true,
            // A restart is not a leave, also on SIGTERM of a server.
            "performance": {"raft_multiplier": 1, "leave_drain_time": "0s"},
            // A killed agent is found dead after 2 s, a held-up one on a busy machine is not.
            "gossip_lan": gossip(),
            "gossip_wan": gossip(),
            "retry_interval": "500ms",
            "retry_interval_wan": "500ms",
            // A check's output reaches the catalog at once.
            "check_update_interval": "0s",
            "connect": {"enabled": self.connect},
            "retry_join": self.join.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        if let Some(wan) = self.wan {
            all["bind_addr"] = "0.0.0.0".into();
            all["advertise_addr"] = ip.as_str().into();
            all["advertise_addr_wan"] = wan.to_string().into();
        }
        match self.role {
            Role::Server(count) => {
                all["server"] = true.into();
                all["bootstrap_expect"] = count.into();
                let wan = self.join_wan.iter().map(ToString::to_string).collect::<Vec<_>>();
                all["retry_join_wan"] = wan.into();
            }
            Role::Client => all["server"] = false.into(),
        }
        if let Some(primary) = &self.primary {
            all["primary_datacenter"] = primary.as_str().into();
        }
        if let Some(path) = self.socket_path() {
            all["addresses"] = json!({"http": format!("{ip} unix://{}", path.display())});
        }
        if let Some(tls) = &self.tls {
            let (certificate, key) = tls.server_files();
            all["ca_file"] = json!(tls.ca_file());
            all["cert_file"] = json!(certificate);
            all["key_file"] = json!(key);
            all["verify_incoming_https"] = self.verify_clients.into();
        }
        if let Some(management) = &self.management {
            all["acl"] = self.acl(&management.0);
        }
        all
    }

    fn ports(&self) -> Value {
        let port = |offset| self.address.port(offset);
        let mut ports = json!({
            "dns": -1,
            "http": port(HTTP),
            "https": if self.tls.is_some() { i32::from(port(HTTPS)) } else { -1 },
            "grpc": port(GRPC),
            "serf_lan": port(SERF_LAN),
            "serf_wan": port(SERF_WAN),
            "server": port(SERVER),
        });
        if self.version >= Version(1, 14, 0) {
            ports["grpc_tls"] = (-1).into();
        }
        ports
    }

    fn acl(&self, management: &str) -> Value {
        // Renamed in 1.11.
        let first = if self.version >= Version(1, 11, 0) { "initial_management" } else { "master" };
        let secondary = self.is_secondary();
        let mut tokens = json!({"agent": management});
        if secondary {
            tokens["replication"] = management.into();
        } else if matches!(self.role, Role::Server(_)) {
            tokens[first] = management.into();
        }
        json!({
            "enabled": true,
            "default_policy": "deny",
            "enable_token_replication": secondary,
            "tokens": tokens,
        })
    }
}

fn gossip() -> Value {
    json!({"gossip_interval": "100ms", "probe_interval": "500ms", "probe_timeout": "400ms", "suspicion_mult": 3})
}
