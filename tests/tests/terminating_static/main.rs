//! terminating-gw from a static catalog: connections of the mesh to services outside of it. The rows of the
//! specification's tables that files and TCP can show.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

mod audit;
mod bad_input;
mod changes;
mod destinations;
mod envoys;
mod guards;
mod hellos;
mod identities;
mod instances;
mod intentions;
mod names;
mod origination;
mod rotation;
mod sessions;
mod subsets;
mod world;
