//! `/connections`: what is open now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_runtime::registry::{Authorization, ConnView};
use serde_json::{Value, json};

use super::query::Query;

/// One open connection.
#[derive(Clone, Debug)]
pub struct ConnRow {
    /// Unique in this process; the access log has the same one.
    pub id: u64,
    /// `opening` until it has an endpoint, then `open`.
    pub state: &'static str,
    /// Name of the listener.
    pub listener: String,
    /// The client's address.
    pub peer: SocketAddr,
    /// The name that the client asked for, lower-cased.
    pub sni: Option<String>,
    /// First ALPN name of the client.
    pub alpn: Option<String>,
    /// Label of the service.
    pub service: Option<String>,
    /// The kind of rule that matched.
    pub rule: Option<&'static str>,
    /// The endpoint it goes to.
    pub endpoint: Option<SocketAddr>,
    /// Endpoints tried, this one included.
    pub attempts: u8,
    /// Time since it was accepted.
    pub age: Duration,
    /// Bytes from the client to the endpoint.
    pub bytes_up: u64,
    /// Bytes from the endpoint to the client.
    pub bytes_down: u64,
    /// Whether it has become bulk.
    pub spliced: bool,
    /// Who the client is and what was decided, where that is known.
    pub authorization: Option<Arc<Authorization>>,
}

impl From<ConnView> for ConnRow {
    fn from(view: ConnView) -> Self {
        let route = view.route.as_ref();
        Self {
            id: view.id,
            state: if route.is_some() { "open" } else { "opening" },
            listener: view.listener.to_string(),
            peer: view.peer,
            sni: route.map(|route| route.sni.to_string()),
            alpn: route.and_then(|route| route.alpn.as_deref().map(str::to_owned)),
            service: route.map(|route| route.service.name().to_owned()),
            rule: route.map(|route| route.rule),
            endpoint: route.map(|route| route.endpoint),
            attempts: route.map_or(0, |route| route.attempts),
            age: view.age,
            bytes_up: view.bytes_up,
            bytes_down: view.bytes_down,
            spliced: view.spliced,
            authorization: view.authorization,
        }
    }
}

/// The page. `open` is how many connections there are; `rows` are those that were looked at; `judges`:
/// clients are judged, and each row says by whose word it is open.
#[must_use]
pub fn connections(open: usize, rows: &[ConnRow], query: &Query, judges: bool) -> Value {
    let wanted =
        |row: &&ConnRow| query.service.as_ref().is_none_or(|service| row.service.as_ref() == Some(service));
    let shown = rows.iter().filter(wanted).take(query.limit);
    let rows: Vec<_> = shown.map(|row| if judges { judged(row) } else { self::row(row) }).collect();
    json!({ "open": open, "shown": rows.len(), "limit": query.limit, "connections": rows })
}

fn judged(row: &ConnRow) -> Value {
    let authorization = row.authorization.as_deref();
    let mut value = self::row(row);
    value["source"] = json!(authorization.map(|it| &*it.source));
    value["destination"] = json!(row.service);
    value["verdict"] = json!(authorization.map(|it| it.verdict.as_str()));
    value["intention"] = json!(authorization.map(|it| &*it.intention));
    value
}

fn row(row: &ConnRow) -> Value {
    json!({
        "id": row.id,
        "state": row.state,
        "listener": row.listener,
        "peer": row.peer.to_string(),
        "sni": row.sni,
        "alpn": row.alpn,
        "service": row.service,
        "rule": row.rule,
        "endpoint": row.endpoint.map(|endpoint| endpoint.to_string()),
        "attempts": row.attempts,
        "age_seconds": seconds(row.age),
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
        "spliced": row.spliced,
    })
}

/// In milliseconds' steps: nobody reads more.
pub(super) fn seconds(duration: Duration) -> f64 {
    u32::try_from(duration.as_millis())
        .map_or_else(|_| duration.as_secs() as f64, |millis| f64::from(millis) / 1000.0)
}
