//! `mesh`: options of the whole mesh. Only its form is checked: nothing of it changes what a gateway
//! of files passes through.

use super::super::{cx::Cx, fields::Fields, node::Node};

const KEYS: &[&str] =
    &["TransparentProxy", "AllowEnablingPermissiveMutualTLS", "ValidateClusters", "TLS", "HTTP", "Peering"];
const TLS: &[&str] = &["TLSMinVersion", "TLSMaxVersion", "CipherSuites"];
const NORMALIZATION: &[&str] = &[
    "InsecureDisablePathNormalization",
    "MergeSlashes",
    "PathWithEscapedSlashesAction",
    "HeadersWithUnderscoresAction",
];

pub(super) fn check(node: Node<'_>, cx: &mut Cx<'_>) -> Option<()> {
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
        fields.known_only("Incoming", TLS, cx);
        fields.known_only("Outgoing", TLS, cx);
    });
    fields.table("HTTP", &["SanitizeXForwardedClientCert", "Incoming"], cx, |mut fields, cx| {
        fields.flag("SanitizeXForwardedClientCert", cx);
        fields.table("Incoming", &["RequestNormalization"], cx, |mut fields, cx| {
            fields.known_only("RequestNormalization", NORMALIZATION, cx);
        });
    });
    Some(())
}
