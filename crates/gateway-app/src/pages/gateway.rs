//! The pages of a gateway, joined with the process that they show.

use std::sync::Arc;
use std::time::Instant;

use gateway_runtime::admin::{Page, Pages};
use gateway_runtime::registry::Registry;
use gateway_state::Reader;
use serde_json::Value;

use super::{ConnRow, MOST_ROWS, Query, connections, consul, endpoints, snapshot};
use crate::parts::Parts;
use crate::role::{AppRole, SnapshotOf};
use crate::run::feed::FeedHandle;
use crate::settings::Settings;

/// Answers for the admin endpoint.
pub struct GatewayPages<R: AppRole> {
    settings: Settings,
    parts: Arc<Parts<SnapshotOf<R>>>,
    kept: Arc<R::Kept>,
    registry: Arc<Registry>,
    snapshots: Reader<SnapshotOf<R>>,
    feed: FeedHandle,
    index: Vec<(&'static str, &'static str)>,
}

impl<R: AppRole> GatewayPages<R> {
    /// Pages of this process. `snapshots` may be ahead of what is in use by a moment; it knows what
    /// was rejected.
    #[must_use]
    pub(crate) fn new(
        settings: &Settings,
        parts: &Arc<Parts<SnapshotOf<R>>>,
        kept: &Arc<R::Kept>,
        registry: &Arc<Registry>,
        snapshots: Reader<SnapshotOf<R>>,
        feed: &FeedHandle,
    ) -> Self {
        let mut index = INDEX.to_vec();
        index.extend_from_slice(R::PAGES);
        Self {
            index,
            kept: Arc::clone(kept),
            settings: settings.clone(),
            parts: Arc::clone(parts),
            registry: Arc::clone(registry),
            snapshots,
            feed: feed.clone(),
        }
    }

    fn snapshot(&self, query: &Query) -> Value {
        let current = self.snapshots.current();
        let mut page = snapshot(&*current, &self.settings, query);
        R::add_to_snapshot(&mut page, &current, query);
        if let Some(handle) = self.feed.consul() {
            page["consul"] = consul(&handle.view(query.limit), MOST_ROWS, Instant::now());
        }
        page
    }

    fn connections(&self, query: &Query) -> Value {
        // A filter must see more rows than it shows.
        let looked_at = if query.service.is_some() { MOST_ROWS } else { query.limit };
        let rows: Vec<_> = self.registry.view(looked_at).into_iter().map(ConnRow::from).collect();
        connections(self.registry.open(), &rows, query, R::JUDGES)
    }
}

const INDEX: [(&str, &str); 3] = [
    (
        "/snapshot",
        "what the gateway knows: names, files or Consul with each watch, what was rejected, settings with their origin",
    ),
    (
        "/endpoints",
        "each name with its endpoints: health, ejection, connections (?service=, ?name=, ?limit=)",
    ),
    ("/connections", "open connections (?service=, ?limit=)"),
];

impl<R: AppRole> Pages for GatewayPages<R> {
    fn page(&self, path: &str, query: Option<&str>) -> Option<Page> {
        let query = Query::parse(query);
        let value = match path {
            "/snapshot" => self.snapshot(&query),
            "/endpoints" => endpoints(&self.parts.live.load(), Instant::now(), &query),
            "/connections" => self.connections(&query),
            _ => R::page(&self.kept, path, self.parts.live.load().snapshot(), &query)?,
        };
        Some(Page::json(format!("{value:#}\n")))
    }

    fn index(&self) -> &[(&'static str, &'static str)] {
        &self.index
    }

    fn title(&self) -> &str {
        self.settings.role.program()
    }
}
