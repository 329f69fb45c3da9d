//! Joins the parts of a gateway: what an operator asks for, what the documents say, what the process
//! does.
//!
//! * [`settings`]: flags, environment, file and defaults, made into one valid [`settings::Settings`].
//! * [`cli`]: the command line of all roles; does everything but serving by itself.
//! * [`check`], [`explain`], [`doctor`], [`ready_command`]: the commands that only look.
//! * [`pages`]: the JSON pages of the admin endpoint.
//! * [`catalog`]: how the settings want the catalog to be read.
//! * [`run`]: the process from its settings to its exit code.
//! * [`parts`], [`live`], [`reconcile`]: what a role's flow works with; the snapshot in use with its
//!   endpoint sets, and how a new one takes its place.
//! * [`hello`]: the first bytes of a client, where they have to be waited for.
//! * [`role`]: what differs between the gateways; [`terminating`] is what only a terminating gateway has.
//! * [`reasons`]: the one map from errors of the libraries to the reasons that operators see.

mod admin_client;
pub mod catalog;
pub mod check;
pub mod cli;
mod consul;
pub mod doctor;
pub mod explain;
mod figures;
pub mod hello;
pub mod live;
pub mod pages;
pub mod parts;
pub mod ready_command;
pub mod reasons;
pub mod reconcile;
pub mod role;
pub mod run;
pub mod settings;
pub mod terminating;
#[cfg(test)]
mod testing;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
