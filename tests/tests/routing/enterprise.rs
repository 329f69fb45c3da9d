//! Names with namespaces and partitions, as Consul Enterprise writes them.

use gateway_testkit::{Document, Lab};
use serde_json::Value;

use crate::{TD, echo, gateway, internal, mesh, turned_away, visit};

fn is(record: &Value, rule: &str, endpoint: std::net::SocketAddr) {
    assert_eq!(
        (&record["rule"], &record["endpoint"]),
        (&rule.into(), &endpoint.to_string().into()),
        "{record}"
    );
}

#[tokio::test]
async fn a_namespace_stands_in_the_name() {
    let lab = Lab::new().unwrap();
    let (default, pay) = (echo(), echo());
    let document = mesh().sidecar("billing", "billing-1", default.address()).instance(
        "billing",
        "connect-proxy",
        pay.address(),
        "Namespace = \"pay\"",
    );
    let (_catalog, gateway) = gateway(&lab, document).await;
    for _ in 0..2 {
        is(&visit(&gateway, &internal("billing.default.dc1")).await, "service", default.address());
        is(&visit(&gateway, &internal("billing.pay.dc1")).await, "service", pay.address());
    }
    assert_eq!(turned_away(&gateway, &internal("billing.ops.dc1")).await["reason"], "unknown_sni");
}

#[tokio::test]
async fn the_default_partition_reaches_the_others_through_their_gateways() {
    let lab = Lab::new().unwrap();
    let (billing, fin, far) = (echo(), echo(), echo());
    let document = mesh()
        .sidecar("billing", "billing-1", billing.address())
        .instance("mesh-gateway", "mesh-gateway", fin.address(), "Partition = \"fin\"")
        .instance("mesh-gateway", "mesh-gateway", far.address(), "Partition = \"fin\"\nDatacenter = \"dc2\"");
    let (_catalog, gateway) = gateway(&lab, document).await;
    let v1 = |front: &str| format!("{front}.internal-v1.{TD}");
    is(&visit(&gateway, &internal("billing.default.dc1")).await, "service", billing.address());
    is(&visit(&gateway, &v1("billing.default.fin.dc1")).await, "remote_partition", fin.address());
    is(&visit(&gateway, &v1("v2.billing.pay.fin.dc1")).await, "remote_partition", fin.address());
    is(&visit(&gateway, &v1("billing.default.fin.dc2")).await, "remote_datacenter", far.address());
    for name in [v1("fin.dc1"), v1("billing.default.ops.dc1"), v1("billing.default.default.dc1")] {
        assert_eq!(turned_away(&gateway, &name).await["reason"], "unknown_sni");
    }
}

#[tokio::test]
async fn a_gateway_of_a_partition_serves_its_own_and_knows_no_other_datacenter() {
    let lab = Lab::new().unwrap();
    let (billing, second, home, far) = (echo(), echo(), echo(), echo());
    let document = Document::new()
        .text(&format!(
            "[Mesh]\nDatacenter = \"dc1\"\nTrustDomain = {TD:?}\nPartition = \"fin\"\nNamespace = \"pay\"\n"
        ))
        .instance("billing", "connect-proxy", billing.address(), "Meta = { version = \"v1\" }")
        .instance("billing", "connect-proxy", second.address(), "Meta = { version = \"v2\" }")
        .instance("mesh-gateway", "mesh-gateway", home.address(), "Partition = \"default\"")
        .mesh_gateway("dc2", far.address())
        .text("[[Entry]]\nKind = \"service-resolver\"\nName = \"billing\"\nPartition = \"fin\"\nNamespace = \"pay\"")
        .text("DefaultSubset = \"v1\"\nSubsets.v1.Filter = \"Service.Meta.version == v1\"")
        .text("Subsets.v2.Filter = \"Service.Meta.version == v2\"");
    let (_catalog, gateway) = gateway(&lab, document).await;
    let v1 = |front: &str| format!("{front}.internal-v1.{TD}");
    is(&visit(&gateway, &v1("billing.pay.fin.dc1")).await, "service", billing.address());
    is(&visit(&gateway, &v1("v2.billing.pay.fin.dc1")).await, "subset", second.address());
    is(&visit(&gateway, &internal("billing.pay.dc1")).await, "remote_partition", home.address());
    assert_eq!(turned_away(&gateway, &internal("billing.default.dc2")).await["reason"], "unknown_sni");
    assert!(far.seen().is_empty());
}
