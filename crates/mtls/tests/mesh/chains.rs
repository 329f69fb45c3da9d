//! Chains: which certificates lead to a root, and when.

use mtls::{Leaf, TrustBundle, TrustSet, Trusts, UnixTime};
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints};

use crate::support::{Ca, HOUR, Issued, Mesh, Spec, T0, TD, at, bundle, id, key, leaf_uri};

fn accepted(service: &str) -> Result<String, String> {
    Ok(leaf_uri(service))
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn row_11_a_leaf_under_the_root() {
    let r1 = Ca::root("r1");
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.leaf("api")).await, accepted("api"));
}

#[tokio::test]
async fn row_12_a_leaf_under_a_root_that_is_not_known() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    assert_eq!(Mesh::new(&[&r2]).verdict(&r1.leaf("api")).await, refused("unknown_issuer"));
    // Nor if both roots have the same name.
    let twin = Ca::root("r1");
    let reason = Mesh::new(&[&twin]).verdict(&r1.leaf("api")).await.unwrap_err();
    assert!(["unknown_issuer", "bad_signature"].contains(&reason.as_str()), "{reason}");
}

#[tokio::test]
async fn row_13_a_new_leaf_with_the_cross_signed_root_for_those_who_know_the_old_one() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let l2 = r2.leaf("api").and(&r2.cross_signed_by(&r1));
    assert_eq!(Mesh::new(&[&r1]).verdict(&l2).await, accepted("api"));
}

#[tokio::test]
async fn row_14_the_same_without_it() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    assert_eq!(Mesh::new(&[&r1]).verdict(&r2.leaf("api")).await, refused("unknown_issuer"));
}

#[tokio::test]
async fn row_15_both_roots_in_either_order() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    for roots in [[&r1, &r2], [&r2, &r1]] {
        let mesh = Mesh::new(&roots);
        assert_eq!(mesh.verdict(&r2.leaf("api")).await, accepted("api"));
        assert_eq!(mesh.verdict(&r1.leaf("old")).await, accepted("old"));
    }
}

#[tokio::test]
async fn row_16_a_leaf_of_a_secondary_out_of_order_and_with_a_duplicate() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let secondary = r2.intermediate("secondary");
    let mut leaf = secondary.issue(&Spec::service("api"));
    // As Consul 1.10 answers: leaf, cross-signed root, the same intermediate twice.
    let own = leaf.chain_pem.strip_suffix(&secondary.chain).unwrap().to_owned();
    leaf.chain_pem = format!("{own}{}{}{}", r2.cross_signed_by(&r1), secondary.chain, secondary.chain);
    assert_eq!(Mesh::new(&[&r1]).verdict(&leaf).await, accepted("api"));
    assert_eq!(Mesh::new(&[&r2]).verdict(&leaf).await, accepted("api"));
}

#[tokio::test]
async fn row_17_a_leaf_that_ended_a_second_ago() {
    let r1 = Ca::root("r1");
    let mut mesh = Mesh::new(&[&r1]);
    mesh.leaf("web", &r1.issue(&Spec::service("web").valid(T0 - 60, T0 + 200 * HOUR)));
    let leaf = r1.issue(&Spec::service("api").valid(T0 - HOUR, T0 + HOUR));
    mesh.clock.set(T0 + HOUR);
    assert_eq!(mesh.verdict(&leaf).await, accepted("api"), "its last second counts");
    mesh.clock.set(T0 + HOUR + 1);
    assert_eq!(mesh.verdict(&leaf).await, refused("certificate_expired"));
}

#[tokio::test]
async fn row_18_an_ended_root_is_not_loaded_and_one_that_ends_is_no_longer_believed() {
    let ended = Ca::root_with("ended", crate::support::root_validity(T0 - HOUR, T0 - 1));
    let ending = Ca::root_with("ending", crate::support::root_validity(T0 - HOUR, T0 + HOUR));
    let good = Ca::root("good");
    let alone = TrustBundle::build(mesh_id::TrustDomain::parse(TD).unwrap(), [ended.pem()], at(T0));
    assert_eq!(alone.unwrap_err().reason(), "no_usable_root");

    let mut mesh = Mesh::new(&[&good, &ended, &ending]);
    mesh.leaf("web", &good.issue(&Spec::service("web").valid(T0 - 60, T0 + 200 * HOUR)));
    let own = bundle(TD, &[&good, &ended, &ending], at(T0));
    assert_eq!(own.left_out().iter().map(|one| one.why.reason()).collect::<Vec<_>>(), ["root_expired"]);
    assert_eq!(own.next_change(at(T0)), Some(at(T0 + HOUR + 1)));
    assert_eq!(mesh.verdict(&ended.leaf("api")).await, refused("unknown_issuer"));
    assert_eq!(mesh.verdict(&ending.leaf("api")).await, accepted("api"));
    // Nobody builds the bundle again.
    mesh.clock.set(T0 + HOUR + 1);
    assert_eq!(mesh.verdict(&ending.leaf("api")).await, refused("unknown_issuer"));
    assert_eq!(mesh.verdict(&good.leaf("api")).await, accepted("api"));
}

#[tokio::test]
async fn row_18_when_the_last_root_has_ended_nobody_is_believed() {
    let ending = Ca::root_with("ending", crate::support::root_validity(T0 - HOUR, T0 + HOUR));
    let mesh = Mesh::new(&[&ending]);
    mesh.clock.set(T0 + HOUR + 1);
    assert_eq!(mesh.verdict(&ending.leaf("api")).await, refused("no_valid_root"));
}

#[tokio::test]
async fn row_18_a_root_that_begins_later_is_believed_from_then_on() {
    let later = Ca::root_with("later", crate::support::root_validity(T0 + HOUR, T0 + 900 * HOUR));
    let good = Ca::root("good");
    let mesh = Mesh::new(&[&good, &later]);
    let leaf = later.leaf("api");
    assert_eq!(mesh.verdict(&leaf).await, refused("unknown_issuer"));
    mesh.clock.set(T0 + HOUR);
    assert_eq!(mesh.verdict(&leaf).await, accepted("api"));
}

#[tokio::test]
async fn row_19_a_leaf_for_servers_only_as_a_client() {
    let r1 = Ca::root("r1");
    let mut spec = Spec::service("api");
    spec.usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.issue(&spec)).await, refused("certificate_wrong_purpose"));
}

#[tokio::test]
async fn row_20_a_leaf_without_a_purpose() {
    let r1 = Ca::root("r1");
    let mut spec = Spec::service("api");
    spec.usages.clear();
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.issue(&spec)).await, accepted("api"));
}

#[tokio::test]
async fn row_21_a_leaf_that_begins_in_30_seconds() {
    let r1 = Ca::root("r1");
    let leaf = r1.issue(&Spec::service("api").valid(T0 + 30, T0 + HOUR));
    let mesh = Mesh::new(&[&r1]);
    assert_eq!(mesh.verdict(&leaf).await, refused("certificate_not_yet_valid"));
    mesh.clock.set(T0 + 30);
    assert_eq!(mesh.verdict(&leaf).await, accepted("api"));
}

/// A CA with its leaf, made by openssl; both sides of the handshake use the leaf.
struct Made {
    ca: &'static str,
    leaf: Issued,
}

macro_rules! made {
    ($name:literal) => {
        Made {
            ca: include_str!(concat!("../samples/openssl/", $name, "-ca.pem")),
            leaf: Issued {
                uri: leaf_uri("web"),
                chain_pem: include_str!(concat!("../samples/openssl/", $name, "-leaf.pem")).to_owned(),
                key_pem: include_str!(concat!("../samples/openssl/", $name, "-leaf.key")).to_owned(),
            },
        }
    };
}

fn made_bundle(made: &[&Made], now: UnixTime) -> Result<TrustBundle, mtls::Error> {
    TrustBundle::build(mesh_id::TrustDomain::parse(TD).unwrap(), made.iter().map(|one| one.ca), now)
}

async fn made_verdict(made: &Made) -> Result<String, String> {
    let mut mesh = Mesh::empty(T0);
    mesh.trust_set(TrustSet::new(made_bundle(&[made], at(T0)).unwrap()));
    mesh.leaf("web", &made.leaf);
    mesh.verdict(&made.leaf).await
}

#[tokio::test]
async fn row_22_ca_with_rsa_2048_and_4096() {
    assert_eq!(made_verdict(&made!("rsa2048")).await, accepted("web"));
    assert_eq!(made_verdict(&made!("rsa4096")).await, accepted("web"));
}

#[tokio::test]
async fn row_23_ca_with_p_384_that_signs_with_sha_256() {
    assert_eq!(made_verdict(&made!("p384")).await, accepted("web"));
}

#[tokio::test]
async fn row_24_ca_with_p_521() {
    assert_eq!(made_verdict(&made!("p521")).await, accepted("web"));
}

#[tokio::test]
async fn row_25_ca_with_p_224_is_refused_in_plain_words_and_harms_no_other() {
    let (p224, p521) = (made!("p224"), made!("p521"));
    let error = made_bundle(&[&p224], at(T0)).unwrap_err();
    assert_eq!(error.reason(), "no_usable_root");
    assert!(error.to_string().contains("P-224, which is not supported"), "{error}");
    // On the way from P-224 to another curve both stand in the list.
    let both = made_bundle(&[&p224, &p521], at(T0)).unwrap();
    assert_eq!(both.left_out().iter().map(|one| one.why.reason()).collect::<Vec<_>>(), ["root_key_p224"]);
    let mut mesh = Mesh::empty(T0);
    mesh.trust_set(TrustSet::new(both));
    mesh.leaf("web", &p521.leaf);
    assert_eq!(mesh.verdict(&p521.leaf).await, accepted("web"));
    assert_eq!(mesh.verdict(&p224.leaf).await, refused("unknown_issuer"));
}

#[tokio::test]
async fn row_26_a_root_with_a_dns_constraint_and_a_leaf_with_a_uri_only() {
    let r1 = Ca::root_with("r1", |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName(TD.to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.leaf("api")).await, accepted("api"));
}

#[tokio::test]
async fn row_27_an_empty_subject_with_critical_names() {
    let r1 = Ca::root("r1");
    // Every leaf of these tests is such a one; here is one with a subject, as Consul made them before 1.11.
    let mut spec = Spec::service("api");
    assert!(spec.common_name.is_none());
    spec.common_name = Some("api.svc.default.11111111.consul");
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.issue(&spec)).await, accepted("api"));
}

#[tokio::test]
async fn row_31_a_good_chain_under_a_shared_root_with_a_foreign_trust_domain() {
    let shared = Ca::root("vault");
    let mesh = Mesh::new(&[&shared]);
    let foreign = shared.issue(&Spec::uri("spiffe://other.consul/ns/default/dc/dc1/svc/web"));
    assert_eq!(mesh.verdict(&foreign).await, refused("foreign_trust_domain"));
    assert_eq!(mesh.verdict(&shared.leaf("api")).await, accepted("api"));
}

#[test]
fn row_37_a_root_of_three_blocks() {
    let roots = [Ca::root("a"), Ca::root("b"), Ca::root("c")];
    let text: String = roots.iter().map(Ca::pem).collect();
    let bundle = TrustBundle::build(mesh_id::TrustDomain::parse(TD).unwrap(), [text], at(T0)).unwrap();
    assert_eq!(bundle.anchors(at(T0)).count(), 3);
}

#[test]
fn row_38_two_roots_joined_without_a_line_break() {
    let (a, b) = (Ca::root("a"), Ca::root("b"));
    let joined = format!("{}{}", a.pem().trim_end(), b.pem().trim_end());
    assert!(joined.contains("----------BEGIN"));
    let bundle = TrustBundle::build(mesh_id::TrustDomain::parse(TD).unwrap(), [&joined], at(T0)).unwrap();
    assert_eq!(bundle.anchors(at(T0)).count(), 2);
    let twice = TrustBundle::build(bundle.trust_domain().clone(), [&joined, &a.pem()], at(T0)).unwrap();
    assert_eq!(twice.anchors(at(T0)).count(), 2, "a root that occurs twice counts once");
    assert_eq!(twice.fingerprint(), bundle.fingerprint());
}

#[tokio::test]
async fn a_ca_is_no_service() {
    let r1 = Ca::root("r1");
    let mut spec = Spec::service("api");
    spec.ca = true;
    assert_eq!(Mesh::new(&[&r1]).verdict(&r1.issue(&spec)).await, refused("certificate_invalid"));
}

#[tokio::test]
async fn a_leaf_signs_no_other() {
    let r1 = Ca::root("r1");
    let leaf = r1.leaf("api");
    let (_, leaf_as_ca) = (Ca::root("unused"), r1.intermediate("path length 0"));
    let below = leaf_as_ca.intermediate("one too deep").leaf("api");
    assert_eq!(Mesh::new(&[&r1]).verdict(&below).await.unwrap_err(), "certificate_invalid");
    assert_eq!(Mesh::new(&[&r1]).verdict(&leaf).await, accepted("api"));
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_by_nobody() {
    let r1 = Ca::root("r1");
    let own = Issued::self_signed(&Spec::service("api"));
    assert_eq!(Mesh::new(&[&r1]).verdict(&own).await, refused("unknown_issuer"));
}

#[tokio::test]
async fn a_critical_extension_that_nobody_knows() {
    let r1 = Ca::root("r1");
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    let odd = r1.issue_with(&Spec::service("api"), |params| params.custom_extensions = vec![extension]);
    assert_eq!(Mesh::new(&[&r1]).verdict(&odd).await, refused("certificate_invalid"));
}

#[test]
fn what_is_presented_is_in_order_without_duplicates_and_roots() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let secondary = r2.intermediate("secondary");
    let leaf = secondary.issue(&Spec::service("web"));
    let own = leaf.chain_pem.strip_suffix(&secondary.chain).unwrap().to_owned();
    let cross = r2.cross_signed_by(&r1);
    let order = |pems: &[&str]| -> Vec<Vec<u8>> {
        let issued = Issued { chain_pem: pems.concat(), ..leaf.clone() };
        let leaf: Leaf = issued.load(&id(&leaf.uri), at(T0));
        leaf.chain().iter().map(|der| der.to_vec()).collect()
    };
    let best = order(&[&own, &secondary.chain, &cross]);
    assert_eq!(best.len(), 3);
    assert_eq!(order(&[&own, &cross, &secondary.chain, &secondary.chain]), best);
    assert_eq!(order(&[&own, &r2.pem(), &cross, &r1.pem(), &secondary.chain, &own]), best);
    assert_eq!(order(&[&cross, &secondary.chain, &own]), best, "the leaf is what the key belongs to");
    // What leads nowhere stays, at the end.
    let stray = Ca::root("r3").cross_signed_by(&r1);
    assert_eq!(order(&[&own, &stray, &secondary.chain, &cross]).len(), 4);
}

#[tokio::test]
async fn a_leaf_that_this_mesh_would_refuse_is_told_but_used() {
    let (r1, r2) = (Ca::root("r1"), Ca::root("r2"));
    let own = bundle(TD, &[&r1], at(T0));
    let leaf = r2.leaf("web").load(&id(&leaf_uri("web")), at(T0));
    assert_eq!(own.check_leaf(&leaf, at(T0)).unwrap_err().reason(), "unknown_issuer");
    let mut mesh = Mesh::new(&[&r1]);
    mesh.store.update(|edit| edit.set_leaf(key("web"), leaf, Trusts::OwnOnly)).unwrap();
    assert_eq!(mesh.verdict(&r1.leaf("api")).await, accepted("api"));
    assert!(own.check_leaf(&r1.leaf("web").load(&id(&leaf_uri("web")), at(T0)), at(T0)).is_ok());
}
