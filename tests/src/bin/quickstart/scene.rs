//! What both forms of the quickstart have: they start, show, let try, and end.

use std::path::Path;

use anyhow::Result;

use crate::report::Report;

/// A world of gateways and sidecars that runs.
pub(crate) trait Scene: Sized {
    /// Starts it all; what has started is stopped again when something does not.
    async fn start(dir: &Path) -> Result<Self>;

    /// Says what runs where.
    fn introduce(&self, report: &mut Report);

    /// Everything that is shown.
    async fn tour(&self, report: &mut Report) -> Result<()>;

    /// What to type to see more, and what to expect of each command.
    fn print_commands(&self, report: &Report) -> Result<()>;

    /// Types the same and looks at the output.
    async fn check_commands(&self, report: &mut Report) -> Result<()>;

    /// Comes back when a gateway has ended by itself, with the end of its log.
    async fn gateway_died(&self) -> String;

    /// Ends everything in order.
    async fn stop(self, report: &mut Report) -> Result<()>;
}
