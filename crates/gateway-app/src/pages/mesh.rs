//! The pages of a mesh gateway, joined with the process that they show.

use std::sync::Arc;
use std::time::Instant;

use gateway_runtime::admin::{Page, Pages};
use gateway_runtime::registry::Registry;
use gateway_state::Reader;
use gateway_state::mesh::MeshSnapshot;
use serde_json::Value;

use super::{ConnRow, MOST_ROWS, Query, connections, consul, endpoints, snapshot};
use crate::parts::Parts;
use crate::run::feed::FeedHandle;
use crate::settings::Settings;

/// Answers for the admin endpoint.
pub struct MeshPages {
    settings: Settings,
    parts: Arc<Parts>,
    registry: Arc<Registry>,
    snapshots: Reader<MeshSnapshot>,
    feed: FeedHandle,
}

impl MeshPages {
    /// Pages of this process. `snapshots` may be ahead of what is in use by a moment; it knows what
    /// was rejected.
    #[must_use]
    pub(crate) fn new(
        settings: &Settings,
        parts: &Arc<Parts>,
        registry: &Arc<Registry>,
        snapshots: Reader<MeshSnapshot>,
        feed: &FeedHandle,
    ) -> Self {
        Self {
            settings: settings.clone(),
            parts: Arc::clone(parts),
            registry: Arc::clone(registry),
            snapshots,
            feed: feed.clone(),
        }
    }

    fn snapshot(&self, query: &Query) -> Value {
        let mut page = snapshot(&self.snapshots.current(), &self.settings, query);
        if let Some(handle) = self.feed.consul() {
            page["consul"] = consul(&handle.view(query.limit), MOST_ROWS, Instant::now());
        }
        page
    }

    fn connections(&self, query: &Query) -> Value {
        // A filter must see more rows than it shows.
        let looked_at = if query.service.is_some() { MOST_ROWS } else { query.limit };
        let rows: Vec<_> = self.registry.view(looked_at).into_iter().map(ConnRow::from).collect();
        connections(self.registry.open(), &rows, query)
    }
}

impl Pages for MeshPages {
    fn page(&self, path: &str, query: Option<&str>) -> Option<Page> {
        let query = Query::parse(query);
        let value = match path {
            "/snapshot" => self.snapshot(&query),
            "/endpoints" => endpoints(&self.parts.live.load(), Instant::now(), &query),
            "/connections" => self.connections(&query),
            _ => return None,
        };
        Some(Page::json(format!("{value:#}\n")))
    }

    fn index(&self) -> &[(&'static str, &'static str)] {
        &[
            (
                "/snapshot",
                "what the gateway knows: names, files or Consul with each watch, what was rejected, settings with their origin",
            ),
            (
                "/endpoints",
                "each name with its endpoints: health, ejection, connections (?service=, ?name=, ?limit=)",
            ),
            ("/connections", "open connections (?service=, ?limit=)"),
        ]
    }

    fn title(&self) -> &str {
        self.settings.role.program()
    }
}
