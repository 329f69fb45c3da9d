//! `mesh`: options of the whole mesh. TLS settings count where a gateway ends TLS; of the rest only the
//! form is checked.

use super::super::{cx::Cx, fields::Fields, node::Node};
use mtls::TlsDirectionDocument;

/// What is used of the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MeshOptions {
    pub(crate) incoming: TlsDirectionDocument,
    pub(crate) outgoing: TlsDirectionDocument,
}

const KEYS: &[&str] =
    &["TransparentProxy", "AllowEnablingPermissiveMutualTLS", "ValidateClusters", "TLS", "HTTP", "Peering"];
const TLS: &[&str] = &["TLSMinVersion", "TLSMaxVersion", "CipherSuites"];
const NORMALIZATION: &[&str] = &[
    "InsecureDisablePathNormalization",
    "MergeSlashes",
    "PathWithEscapedSlashesAction",
    "HeadersWithUnderscoresAction",
];

pub(super) fn decode(node: Node<'_>, cx: &mut Cx<'_>) -> Option<MeshOptions> {
    let mut options = MeshOptions::default();
    let mut fields = Fields::open_entry(node, KEYS, cx)?;
    fields.flag("AllowEnablingPermissiveMutualTLS", cx);
    fields.flag("ValidateClusters", cx);
    fields.table("TransparentProxy", &["MeshDestinationsOnly"], cx, |mut fields, cx| {
        fields.flag("MeshDestinationsOnly", cx);
    });
    fields.table("Peering", &["PeerThroughMeshGateways"], cx, |mut fields, cx| {
        fields.flag("PeerThroughMeshGateways", cx);
    });
    fields.table("TLS", &["Incoming", "Outgoing"], cx, |mut fields, cx| {
        options.incoming = fields.table("Incoming", TLS, cx, direction).unwrap_or_default();
        options.outgoing = fields.table("Outgoing", TLS, cx, direction).unwrap_or_default();
    });
    fields.table("HTTP", &["SanitizeXForwardedClientCert", "Incoming"], cx, |mut fields, cx| {
        fields.flag("SanitizeXForwardedClientCert", cx);
        fields.table("Incoming", &["RequestNormalization"], cx, |mut fields, cx| {
            fields.known_only("RequestNormalization", NORMALIZATION, cx);
        });
    });
    Some(options)
}

fn direction(mut fields: Fields<'_>, cx: &mut Cx<'_>) -> TlsDirectionDocument {
    let mut text = |key, cx: &mut Cx<'_>| {
        fields.filled_text(key, cx).map_or_else(String::new, |text| text.value.into_owned())
    };
    let tls_min_version = text("TLSMinVersion", cx);
    let tls_max_version = text("TLSMaxVersion", cx);
    let cipher_suites =
        fields.texts("CipherSuites", cx).into_iter().map(|suite| suite.value.into_owned()).collect();
    TlsDirectionDocument { tls_min_version, tls_max_version, cipher_suites }
}
