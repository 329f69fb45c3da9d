//! Changes of a mesh, put into every answer that shows them, under the names that [`Consul`](crate::Consul) has for them:
//! one scenario for both.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Replay;
use super::agent::{bytes, json_headers};
use super::lookup::Target;
use super::state::{Entry, State};
use crate::Instance;

impl Replay {
    /// Writes a config entry: into the list of all, the list of its kind, and under its name.
    pub fn config_write(&self, entry: &Value) {
        let kind = entry["Kind"].as_str().unwrap_or_default();
        // The one kind without a name of its own.
        let name = entry["Name"].as_str().unwrap_or(kind);
        let mut state = self.shared.state();
        let mut entry = entry.clone();
        let index = state.next_index();
        (entry["CreateIndex"], entry["ModifyIndex"]) = (index.into(), index.into());
        set_json(&mut state, &format!("/v1/config/{kind}/{name}"), &entry);
        for list in ["/v1/config/".to_owned(), format!("/v1/config/{kind}")] {
            edit_list(&mut state, &list, |rows| {
                rows.retain(|row| !is_entry(row, kind, name));
                rows.push(entry.clone());
            });
        }
    }

    /// Takes a config entry away.
    pub fn config_delete(&self, kind: &str, name: &str) {
        let mut state = self.shared.state();
        let key = format!("/v1/config/{kind}/{name}");
        state.remove(&key);
        // From here on the answer is the one for a name that nobody has, under a new index.
        let gone = state.get(&Target::parse(&key)).map(|(_, entry)| entry);
        if let Some(gone) = gone {
            state.put(&key, gone);
        }
        for list in ["/v1/config/".to_owned(), format!("/v1/config/{kind}")] {
            edit_list(&mut state, &list, |rows| rows.retain(|row| !is_entry(row, kind, name)));
        }
    }

    /// Puts an instance and its sidecar into the catalog and the health answers, both passing.
    pub fn register_instance(&self, instance: &Instance) {
        let mut state = self.shared.state();
        for registered in instance.documents() {
            let mut service = registered.clone();
            service["Service"] = service["Name"].take();
            let name = service["Service"].as_str().unwrap_or_default().to_owned();
            put_row(&mut state, &name, &service, "passing");
        }
    }

    /// Takes an instance and its sidecar out.
    pub fn deregister_instance(&self, id: &str) {
        let mut state = self.shared.state();
        for id in [id.to_owned(), format!("{id}-sidecar-proxy")] {
            for service in services_of(&state, &id) {
                remove_row(&mut state, &service, &id);
            }
        }
    }

    /// Makes an instance `passing`, `warning` or `critical`, and its sidecar with it.
    pub fn set_health(&self, id: &str, status: &str) {
        let mut state = self.shared.state();
        for id in [id.to_owned(), format!("{id}-sidecar-proxy")] {
            for service in services_of(&state, &id) {
                edit_checks(&mut state, &service, &id, |checks| {
                    for check in checks.iter_mut().filter(|check| check["ServiceID"] == id.as_str()) {
                        check["Status"] = status.into();
                    }
                });
            }
        }
    }
}

fn is_entry(row: &Value, kind: &str, name: &str) -> bool {
    row["Kind"] == kind && (row["Name"] == name || (row["Name"].is_null() && kind == name))
}

/// Adds or replaces the row of an instance wherever rows of it are shown.
pub(super) fn put_row(state: &mut State, name: &str, service: &Value, status: &str) {
    let id = service["ID"].clone();
    let mut service = service.clone();
    for field in ["Check", "ContentHash", "Datacenter"] {
        service.as_object_mut().map(|fields| fields.remove(field));
    }
    let (node, serf) = node(state);
    let check = json!({
        "Node": node["Node"], "CheckID": format!("service:{}", id.as_str().unwrap_or_default()),
        "Name": format!("Service '{name}' check"), "Status": status, "ServiceID": id, "ServiceName": name,
    });
    let row = json!({"Node": node, "Service": service, "Checks": [serf, check]});
    for list in lists_of(name, &service) {
        edit_list(state, &list, |rows| {
            rows.retain(|row| row["Service"]["ID"] != id);
            rows.push(row.clone());
        });
    }
    edit_json(state, "/v1/catalog/services", |services| {
        let tags = service["Tags"].as_array().cloned().unwrap_or_default();
        let Some(services) = services.as_object_mut() else { return };
        let known = services.entry(name).or_insert_with(|| json!([]));
        let Some(known) = known.as_array_mut() else { return };
        known.extend(tags.into_iter().filter(|tag| !known.contains(tag)).collect::<Vec<_>>());
    });
    critical(state, &id, name, status == "critical", &check);
}

/// Takes the row of an instance out; the last one takes the service's name along.
pub(super) fn remove_row(state: &mut State, name: &str, id: &str) {
    let own = rows(state, &format!("/v1/health/service/{name}"));
    let service =
        own.iter().find(|row| row["Service"]["ID"] == id).map_or(Value::Null, |row| row["Service"].clone());
    for list in lists_of(name, &service) {
        edit_list(state, &list, |rows| rows.retain(|row| row["Service"]["ID"] != id));
    }
    if own.iter().all(|row| row["Service"]["ID"] == id) {
        edit_json(state, "/v1/catalog/services", |services| {
            services.as_object_mut().map(|services| services.remove(name));
        });
    }
    critical(state, &id.into(), name, false, &Value::Null);
}

/// Changes the checks of an instance wherever they are shown.
pub(super) fn edit_checks(state: &mut State, name: &str, id: &str, edit: impl Fn(&mut Vec<Value>)) {
    let own = rows(state, &format!("/v1/health/service/{name}"));
    let Some(row) = own.iter().find(|row| row["Service"]["ID"] == id) else { return };
    for list in lists_of(name, &row["Service"]) {
        edit_list(state, &list, |rows| {
            for row in rows.iter_mut().filter(|row| row["Service"]["ID"] == id) {
                if let Some(checks) = row["Checks"].as_array_mut() {
                    edit(checks);
                }
            }
        });
    }
    let mut checks = row["Checks"].as_array().cloned().unwrap_or_default();
    edit(&mut checks);
    let worst = checks.iter().find(|check| check["ServiceID"] == id && check["Status"] == "critical");
    critical(state, &id.into(), name, worst.is_some(), worst.unwrap_or(&Value::Null));
}

fn critical(state: &mut State, id: &Value, name: &str, is: bool, check: &Value) {
    let list = "/v1/health/state/critical";
    let is_own = |row: &Value| row["ServiceID"] == *id && row["ServiceName"] == name;
    if is || rows(state, list).iter().any(is_own) {
        edit_list(state, list, |rows| {
            rows.retain(|row| !is_own(row));
            rows.extend(is.then(|| check.clone()));
        });
    }
}

/// The health answers that show rows of it: under its own name, and a sidecar under the name of its service, too.
fn lists_of(name: &str, service: &Value) -> Vec<String> {
    let mut lists = vec![format!("/v1/health/service/{name}")];
    if let Some(destination) = service["Proxy"]["DestinationServiceName"].as_str() {
        lists.push(format!("/v1/health/connect/{destination}"));
    }
    lists
}

/// The services that an instance of this id is of.
fn services_of(state: &State, id: &str) -> Vec<String> {
    let prefix = "/v1/health/service/";
    let has = |key: &&String| rows(state, key).iter().any(|row| row["Service"]["ID"] == id);
    state
        .keys()
        .filter(|key| key.starts_with(prefix) && !key.contains('?'))
        .filter(has)
        .map(|key| key[prefix.len()..].to_owned())
        .collect()
}

/// The agent's node and its own check, from any row that has them.
fn node(state: &State) -> (Value, Value) {
    let row = rows(state, "/v1/health/service/consul").into_iter().next().unwrap_or_default();
    let node = if row["Node"].is_object() {
        row["Node"].clone()
    } else {
        json!({"Node": "agent", "Address": "127.0.0.1", "Datacenter": state.datacenter})
    };
    let serf = json!({
        "Node": node["Node"], "CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing",
        "ServiceID": "", "ServiceName": "",
    });
    (node, serf)
}

fn rows(state: &State, key: &str) -> Vec<Value> {
    state.entry(key).and_then(|entry| serde_json::from_slice(&entry.body).ok()).unwrap_or_default()
}

fn edit_list(state: &mut State, key: &str, edit: impl FnOnce(&mut Vec<Value>)) {
    // A list that this version cannot give stays what it is.
    if state.get(&Target::parse(key)).is_some_and(|(_, entry)| entry.status != 200) {
        return;
    }
    let mut rows = rows(state, key);
    edit(&mut rows);
    set_json(state, key, &rows.into());
}

fn edit_json(state: &mut State, key: &str, edit: impl FnOnce(&mut Value)) {
    let Some(entry) = state.entry(key) else { return };
    let before: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
    let mut after = before.clone();
    edit(&mut after);
    if after != before {
        set_json(state, key, &after);
    }
}

/// Puts a document; what else is in the answer stays, or is taken from what this version says of the like.
pub(super) fn set_json(state: &mut State, key: &str, document: &Value) {
    set_body(state, key, bytes(document));
}

pub(super) fn set_body(state: &mut State, key: &str, body: Bytes) {
    let old = state.get(&Target::parse(key)).map(|(_, entry)| entry);
    let old = old.unwrap_or(Entry {
        status: 404,
        headers: json_headers(),
        index: None,
        hash: None,
        body: Bytes::new(),
    });
    let mut headers = old.headers;
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    headers.extend(json_headers());
    let (waits, hash) = (old.index.is_some(), old.hash.is_some());
    let hash = hash.then(|| format!("{:016x}", state.next_index()));
    state.put(key, Entry { status: 200, headers, index: None, hash, body });
    if !waits {
        state.change(key, |entry| entry.index = None);
    }
}
