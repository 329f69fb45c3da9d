//! Static catalogs as a running `mesh-gw` meets them: every form that they are written in, every way in which they
//! change, and every way in which a change can go wrong. The scenarios S1 to S15 of the catalog's specification, as far
//! as a mesh gateway is concerned by them.
//!
//! A mesh gateway presents no certificate, decides no intention and knows no external service. What those scenarios
//! (S5, S7, S11, S12, S14) are made of is in the catalog of `forms::what_belongs_to_another_gateway_is_taken_as_it_is`:
//! for this gateway it is no error and makes no name.
//!
//! Catalogs are looked at without an event every 30 s only, which is longer than any test waits: what is seen here was
//! noticed when it happened.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod forms;
mod last_good;
mod live;
mod many;
mod start;
mod world;
