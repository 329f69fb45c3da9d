//! The catalog of the settings: how it is read, and reading it once for the commands that only look;
//! `once` does that with a Consul.

use std::path::Path;
use std::sync::Arc;

use gateway_state::mesh::SetPolicy;
use gateway_state::{FileSource, Problems, Role as StateRole, SourceConfig};

use crate::role::{AppRole, SnapshotOf};
use crate::settings::Settings;

pub(crate) mod once;

/// How the settings want the catalog to be read.
///
/// The sets of endpoints start without limits: those of the settings are added where sets are used,
/// so that it stays visible which limit a document has set.
#[must_use]
pub fn source_config<R: AppRole>(settings: &Settings) -> SourceConfig<<R::State as StateRole>::Options> {
    SourceConfig {
        service: settings.service.clone(),
        settle: settings.timers.catalog_settle,
        poll: settings.timers.catalog_poll,
        max_files: settings.limits.catalog_files,
        max_bytes: settings.limits.catalog_bytes,
        policy: SetPolicy::default(),
        role: R::options(settings),
    }
}

/// Reads a whole catalog, as at the start of the gateway.
///
/// # Errors
/// All problems of all files.
pub(crate) fn load<R: AppRole>(settings: &Settings, path: &Path) -> Result<Arc<SnapshotOf<R>>, Problems> {
    FileSource::<R::State>::load(path, &source_config::<R>(settings)).map(|loaded| loaded.reader.current())
}
