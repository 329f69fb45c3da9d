//! Joins the parts of a gateway: what an operator asks for, what the documents say, what the process
//! does.
//!
//! * [`settings`]: flags, environment, file and defaults, made into one valid [`settings::Settings`].
//! * [`live`]: the snapshot in use with its endpoint sets, as workers read it.
//! * [`reasons`]: the one map from errors of the libraries to the reasons that operators see.

pub mod live;
pub mod reasons;
pub mod settings;
