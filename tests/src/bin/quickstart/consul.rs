//! The same world with a real Consul in each datacenter: the gateways register with it and run from it.

mod by_hand;
mod changes;
mod egress;
mod outage;
mod service;
mod tour;
mod world;

pub(crate) use world::World;
