//! Intentions, callers and requests as plain data, and how they are written.

use intentions::{HeaderField, Normalization};
use mesh_id::SpiffeId;
use serde_json::{Value, json};

use crate::support::{self, PEER_DOMAIN, TRUST_DOMAIN};

/// Name, trust domain and exporting partition of the peers with a bundle. Two share a trust domain.
pub(crate) const PEERS: [(&str, &str, &str); 2] =
    [("peer1", PEER_DOMAIN, "default"), ("peer2", PEER_DOMAIN, "part1")];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) source_ns: &'static str,
    pub(crate) source: &'static str,
    pub(crate) source_partition: Option<&'static str>,
    pub(crate) peer: Option<&'static str>,
    pub(crate) destination_ns: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) destination_partition: Option<&'static str>,
    pub(crate) rule: Rule,
    pub(crate) jwt: bool,
    /// Whether `Precedence` is written.
    pub(crate) numbered: bool,
    /// The source is written so that it cannot be read.
    pub(crate) odd_source: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    Allow,
    Deny,
    /// An action that does not exist.
    Unknown,
    Permissions(Vec<Permission>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Permission {
    /// `allow`, `deny`, or what does not exist.
    pub(crate) action: &'static str,
    pub(crate) path: Option<(&'static str, &'static str)>,
    pub(crate) methods: Vec<&'static str>,
    pub(crate) headers: Vec<Header>,
    pub(crate) jwt: bool,
    /// There is a key that is not known.
    pub(crate) odd: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    pub(crate) test: &'static str,
    pub(crate) value: &'static str,
    pub(crate) ignore_case: bool,
    pub(crate) invert: bool,
}

impl Row {
    pub(crate) fn precedence(&self) -> u8 {
        let destination = match (self.destination, self.destination_ns) {
            ("*", "*") => 3,
            ("*", _) => 6,
            _ => 9,
        };
        let source = match (self.source, self.source_ns) {
            _ if self.odd_source => 0,
            ("*", "*") => 2,
            ("*", _) => 1,
            _ => 0,
        };
        destination - source
    }

    pub(crate) fn json(&self) -> Value {
        let mut row = json!({
            "SourceNS": self.source_ns, "SourceName": self.source, "DestinationNS": self.destination_ns,
            "DestinationName": self.destination, "SourceType": "consul", "CreateIndex": 7,
        });
        if self.odd_source {
            row["SourceType"] = "external".into();
        }
        for (key, value) in [
            ("SourcePartition", self.source_partition),
            ("SourcePeer", self.peer),
            ("DestinationPartition", self.destination_partition),
        ] {
            if let Some(value) = value {
                row[key] = value.into();
            }
        }
        if self.numbered {
            row["Precedence"] = self.precedence().into();
        }
        match &self.rule {
            Rule::Allow => row["Action"] = "allow".into(),
            Rule::Deny => row["Action"] = "deny".into(),
            Rule::Unknown => row["Action"] = "perhaps".into(),
            Rule::Permissions(all) => row["Permissions"] = all.iter().map(Permission::json).collect(),
        }
        if self.jwt {
            row["JWT"] = support::provider();
        }
        row
    }

    /// As a decision names it.
    pub(crate) fn text(&self) -> String {
        let name = |partition: Option<&str>, namespace: &str, name: &str| match (partition, namespace) {
            (None | Some("default"), "default") => name.to_owned(),
            (None | Some("default"), namespace) => format!("{namespace}/{name}"),
            (Some(partition), namespace) => format!("{partition}/{namespace}/{name}"),
        };
        let source = name(self.source_partition, self.source_ns, self.source);
        let peer = self.peer.map(|peer| format!(" (peer {peer})")).unwrap_or_default();
        let destination = name(self.destination_partition, self.destination_ns, self.destination);
        format!("intention {source}{peer} => {destination} (precedence {})", self.precedence())
    }
}

impl Permission {
    fn json(&self) -> Value {
        let mut http = json!({});
        if let Some((kind, text)) = self.path {
            http[kind] = text.into();
        }
        if !self.methods.is_empty() {
            http["Methods"] = json!(self.methods);
        }
        if !self.headers.is_empty() {
            http["Header"] = self.headers.iter().map(Header::json).collect();
        }
        if self.odd {
            http["PathSuffix"] = "/x".into();
        }
        let mut permission = json!({"Action": self.action, "HTTP": http});
        if self.jwt {
            permission["JWT"] = support::provider();
        }
        permission
    }
}

impl Header {
    fn json(&self) -> Value {
        let mut header = json!({"Name": self.name, "Invert": self.invert});
        header[self.test] = if self.test == "Present" { true.into() } else { self.value.into() };
        if self.ignore_case && !matches!(self.test, "Present" | "Regex") {
            header["IgnoreCase"] = true.into();
        }
        header
    }

    pub(crate) fn folds(&self) -> bool {
        self.ignore_case && !matches!(self.test, "Present" | "Regex")
    }
}

/// Parts of an identity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Identity {
    Service { domain: &'static str, partition: &'static str, namespace: &'static str, name: &'static str },
    MeshGateway { domain: &'static str, partition: &'static str },
    Agent,
}

impl Identity {
    fn id(self) -> SpiffeId {
        let in_partition =
            |partition: &str| if partition == "default" { String::new() } else { format!("/ap/{partition}") };
        support::id(&match self {
            Self::Service { domain, partition, namespace, name } => {
                format!("spiffe://{domain}{}/ns/{namespace}/dc/any/svc/{name}", in_partition(partition))
            }
            Self::MeshGateway { domain, partition } => {
                format!("spiffe://{domain}{}/gateway/mesh/dc/dc1", in_partition(partition))
            }
            Self::Agent => format!("spiffe://{TRUST_DOMAIN}/agent/client/dc/dc1/id/n"),
        })
    }
}

/// A certificate, and what the header of a request says where there is one.
#[derive(Debug, Clone)]
pub(crate) struct ModelCaller {
    pub(crate) certificate: Identity,
    pub(crate) header: Option<Option<Identity>>,
}

impl ModelCaller {
    pub(crate) fn ids(&self) -> (SpiffeId, Option<Option<SpiffeId>>) {
        (self.certificate.id(), self.header.map(|origin| origin.map(Identity::id)))
    }

    pub(crate) fn all() -> Vec<Self> {
        let mut services = Vec::new();
        for domain in [TRUST_DOMAIN, PEER_DOMAIN, "foreign.consul"] {
            for partition in ["default", "part1"] {
                for namespace in ["default", "team"] {
                    for name in ["web", "cron", "a.b"] {
                        services.push(Identity::Service { domain, partition, namespace, name });
                    }
                }
            }
        }
        let gateways = [
            Identity::MeshGateway { domain: TRUST_DOMAIN, partition: "default" },
            Identity::MeshGateway { domain: TRUST_DOMAIN, partition: "part1" },
            Identity::MeshGateway { domain: PEER_DOMAIN, partition: "default" },
            Identity::Agent,
        ];
        let direct = services.iter().chain(&gateways).map(|id| Self { certificate: *id, header: None });
        let mut all: Vec<_> = direct.collect();
        for gateway in gateways.iter().chain(&services[..1]) {
            let named = services.iter().step_by(3).map(|id| Some(*id)).chain([None]);
            all.extend(named.map(|origin| Self { certificate: *gateway, header: Some(origin) }));
        }
        all
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
}

impl Request {
    pub(crate) fn build(&self) -> support::Request {
        let text = format!("{} {}", self.method, self.path);
        let mut request = support::Request::with(&text, &Normalization::default());
        for (name, value) in &self.headers {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            request.headers.append(http::HeaderName::from_static(name), value);
        }
        // Pseudo headers and Host have tests of their own.
        assert!(!matches!(HeaderField::Authority, HeaderField::Named(_)));
        request
    }
}
