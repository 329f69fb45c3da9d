//! What is remembered of chains, and what never is.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::Material;
use crate::anchors::{Anchors, Side};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

fn at(second: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(second))
}

fn valid(params: &mut CertificateParams, from: u64, to: u64) {
    let time = |second| date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
    (params.not_before, params.not_after) = (time(from), time(to));
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn params(name: &str, to: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        valid(&mut params, NOW - HOUR, to);
        params
    }

    fn root(name: &str) -> Self {
        let params = Self::params(name, NOW + 1000 * HOUR);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn below(&self, name: &str, to: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(name, to), key, &self.0).unwrap())
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn leaf(&self, to: u64) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        valid(&mut params, NOW - HOUR, to);
        params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone()
    }

    fn anchors(&self) -> Anchors {
        Anchors::build(Material::Roots, [self.0.pem()], true, at(NOW)).unwrap()
    }
}

fn accepts(anchors: &Anchors, leaf: &CertificateDer<'_>, more: &[CertificateDer<'_>], now: u64) -> bool {
    anchors.verify(Side::Client, leaf, more, at(now)).is_ok()
}

#[test]
fn what_was_accepted_is_remembered_and_what_was_refused_is_not() {
    let (root, stranger) = (Ca::root("root"), Ca::root("stranger"));
    let anchors = root.anchors();
    assert!(!accepts(&anchors, &stranger.leaf(NOW + HOUR), &[], NOW));
    assert_eq!(anchors.remembered(), 0);
    let leaf = root.leaf(NOW + HOUR);
    for _ in 0..3 {
        assert!(accepts(&anchors, &leaf, &[], NOW));
        assert_eq!(anchors.remembered(), 1);
    }
    // As a server it may be refused for what no client is.
    assert!(anchors.verify(Side::Server, &root.leaf(NOW + HOUR), &[], at(NOW)).is_ok());
    assert_eq!(anchors.remembered(), 1);
}

#[test]
fn other_anchors_know_nothing_of_it() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let leaf = old.leaf(NOW + HOUR);
    let before = old.anchors();
    assert!(accepts(&before, &leaf, &[], NOW));
    let after = new.anchors();
    assert!(!accepts(&after, &leaf, &[], NOW));
    assert_eq!((before.remembered(), after.remembered()), (1, 0));
    assert_eq!(old.anchors().remembered(), 0, "not even the same ones, built again");
}

/// The leaf of one chain with the intermediate of another must not pass by what the first one was found to be.
#[test]
fn all_certificates_count_and_their_order() {
    let root = Ca::root("root");
    let (one, other) = (root.below("one", NOW + HOUR), root.below("other", NOW + HOUR));
    let leaf = one.leaf(NOW + HOUR);
    let anchors = root.anchors();
    assert!(accepts(&anchors, &leaf, &[one.der()], NOW));
    assert!(!accepts(&anchors, &leaf, &[], NOW), "the leaf alone");
    assert!(!accepts(&anchors, &leaf, &[other.der()], NOW), "with another one");
    assert!(!accepts(&anchors, &other.leaf(NOW + HOUR), &[one.der()], NOW), "another leaf");
    let (ab, ba) = ([one.der(), other.der()], [other.der(), one.der()]);
    assert!(Chain::of(&leaf, &ab).unwrap().0 != Chain::of(&leaf, &ba).unwrap().0);
    // Where one certificate ends and the next begins is part of it.
    let cut = |a: &'static [u8], b: &'static [u8]| {
        Chain::of(&CertificateDer::from(a), &[CertificateDer::from(b)]).unwrap().0
    };
    assert!(cut(b"ab", b"c") != cut(b"a", b"bc"));
}

#[test]
fn nothing_is_remembered_beyond_the_end_of_any_of_its_certificates() {
    let root = Ca::root("root");
    let below = root.below("below", NOW + 100);
    let anchors = root.anchors();
    let leaf = below.leaf(NOW + HOUR);
    assert!(accepts(&anchors, &leaf, &[below.der()], NOW));
    assert!(accepts(&anchors, &leaf, &[below.der()], NOW + 100));
    assert!(!accepts(&anchors, &leaf, &[below.der()], NOW + 101), "the intermediate has ended");
    let short = root.leaf(NOW + 50);
    assert!(accepts(&anchors, &short, &[], NOW + 50));
    assert!(!accepts(&anchors, &short, &[], NOW + 51), "the leaf has ended");
    // A clock that was put back finds it not valid yet.
    assert!(!accepts(&anchors, &short, &[], NOW - 2 * HOUR));
}

#[test]
fn nothing_is_remembered_for_long() {
    let root = Ca::root("root");
    let (anchors, leaf) = (root.anchors(), root.leaf(NOW + 10 * HOUR));
    assert!(accepts(&anchors, &leaf, &[], NOW));
    let chain = || Chain::of(&leaf, &[]).unwrap();
    let chains = VerifiedChains::default();
    chains.insert(chain(), &leaf, &[], at(NOW));
    assert!(chains.holds(&chain(), at(NOW + LIFETIME)));
    assert!(!chains.holds(&chain(), at(NOW + LIFETIME + 1)));
    assert!(!chains.holds(&chain(), at(NOW - 1)), "nor before it was accepted");
    // Then it is verified again, and remembered anew.
    chains.insert(chain(), &leaf, &[], at(NOW + HOUR));
    assert!(chains.holds(&chain(), at(NOW + HOUR)));
    assert_eq!(chains.len(), 1);
}

#[test]
fn the_memory_is_bounded_in_number_and_size() {
    let root = Ca::root("root");
    let leaf = root.leaf(NOW + HOUR);
    let chains = VerifiedChains::default();
    let with = |number: u64| CertificateDer::from(number.to_be_bytes().to_vec());
    let chain = |number| Chain::of(&leaf, &[with(number)]).unwrap();
    for number in 0..=MOST as u64 {
        chains.insert(chain(number), &leaf, &[], at(NOW));
    }
    assert_eq!(chains.len(), MOST);
    assert!(!chains.holds(&chain(0), at(NOW)), "the oldest has gone");
    assert!(chains.holds(&chain(1), at(NOW)));
    let long = CertificateDer::from(vec![0; MAX_CHAIN_BYTES]);
    assert!(Chain::of(&leaf, &[long]).is_none());
}
