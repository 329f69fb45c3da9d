//! A node: the machine, or what stands for one, that instances run on.

use super::Pairs;
use crate::lenient::or_default;
use serde::Deserialize;

/// A node of the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Node {
    /// A UUID; empty for nodes that were registered without an agent.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: Box<str>,
    /// Its name, unique in its datacenter.
    #[serde(rename = "Node", deserialize_with = "or_default")]
    pub name: Box<str>,
    /// Where it is reached when an instance gives no address of its own; may be a host name.
    #[serde(deserialize_with = "or_default")]
    pub address: Box<str>,
    /// Its datacenter.
    #[serde(deserialize_with = "or_default")]
    pub datacenter: Box<str>,
    /// Its partition (Enterprise); empty otherwise.
    #[serde(deserialize_with = "or_default")]
    pub partition: Box<str>,
    /// The peer it was imported from; empty for own nodes. From 1.13.
    #[serde(rename = "PeerName", deserialize_with = "or_default")]
    pub peer: Box<str>,
    /// Addresses by tag: `lan`, `wan` and copies of them by family.
    #[serde(deserialize_with = "or_default")]
    pub tagged_addresses: Pairs<Box<str>>,
    /// Free keys and values.
    #[serde(deserialize_with = "or_default")]
    pub meta: Pairs<Box<str>>,
}
