//! Writes: registering with the agent changes what its reads say; everything else is noted and accepted.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::plain;
use super::journal::Asked;
use super::lookup::Target;
use super::state::{Entry, State};

pub(super) fn write(state: &mut State, asked: &Asked, target: &Target) -> Entry {
    let path = target.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    // What was recorded for this very request, a wrong method for example.
    if asked.method == "POST"
        && let Some(entry) = state.recorded("POST", path)
    {
        return entry.clone();
    }
    if asked.method != "PUT" {
        return done();
    }
    if path == "/v1/agent/service/register" {
        return register(state, &asked.json());
    }
    if path.starts_with("/v1/agent/service/deregister/") {
        if state.entry(&format!("/v1/agent/service/{last}")).is_none() {
            return unknown(state, "/v1/agent/service/deregister/no-such-thing", last);
        }
        deregister(state, last);
    }
    if path.starts_with("/v1/agent/service/maintenance/") {
        if state.entry(&format!("/v1/agent/service/{last}")).is_none() {
            return unknown(
                state,
                "/v1/agent/service/maintenance/no-such-thing?enable=true&reason=drain",
                last,
            );
        }
        maintenance(state, last, target.parameter("enable") == Some("true"), target.parameter("reason"));
    }
    done()
}

fn unknown(state: &State, key: &str, name: &str) -> Entry {
    let Some(entry) = state.recorded("PUT", key) else { return done() };
    let text = String::from_utf8_lossy(&entry.body).replace("no-such-thing", name);
    Entry { body: text.into(), ..entry.clone() }
}

fn register(state: &mut State, wanted: &Value) -> Entry {
    let Some(name) = wanted["Name"].as_str() else { return plain(400, "Missing service name") };
    let id = wanted["ID"].as_str().unwrap_or(name);
    let hash = format!("{:016x}", state.next_index());
    let mut service = json!({
        "Kind": wanted["Kind"], "ID": id, "Service": name, "Tags": [], "Meta": {}, "Port": 0, "Address": "",
        "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
        "ContentHash": hash, "Datacenter": state.datacenter,
    });
    for field in ["Tags", "Meta", "Port", "Address", "TaggedAddresses", "Weights", "Proxy", "Connect"] {
        if !wanted[field].is_null() {
            service[field] = wanted[field].clone();
        }
    }
    // As an agent that has long run the check: nobody runs it here.
    let status = wanted["Check"]["Status"].as_str().unwrap_or("passing").to_owned();
    let headers = json_headers();
    let entry = Entry { status: 200, headers, index: None, hash: Some(hash), body: bytes(&service) };
    state.remove(&format!("/v1/agent/service/{id}"));
    state.put(&format!("/v1/agent/service/{id}"), entry);
    state.change(&format!("/v1/agent/service/{id}"), |entry| entry.index = None);
    super::mesh::put_row(state, name, &service, &status);
    done()
}

fn deregister(state: &mut State, id: &str) {
    let key = format!("/v1/agent/service/{id}");
    let service: Value =
        state.entry(&key).and_then(|entry| serde_json::from_slice(&entry.body).ok()).unwrap_or_default();
    state.remove(&key);
    if let Some(name) = service["Service"].as_str() {
        super::mesh::remove_row(state, name, id);
    }
}

fn maintenance(state: &mut State, id: &str, on: bool, reason: Option<&str>) {
    let key = format!("/v1/agent/service/{id}");
    let service: Value =
        state.entry(&key).and_then(|entry| serde_json::from_slice(&entry.body).ok()).unwrap_or_default();
    if let Some(name) = service["Service"].as_str() {
        super::mesh::edit_checks(state, name, id, |checks| {
            let check = format!("_service_maintenance:{id}");
            checks.retain(|old| old["CheckID"] != check.as_str());
            if on {
                checks.push(json!({
                    "CheckID": check, "Name": "Service Maintenance Mode", "Status": "critical",
                    "Notes": reason, "ServiceID": id, "ServiceName": name,
                }));
            }
        });
    }
}

fn done() -> Entry {
    Entry { status: 200, headers: Vec::new(), index: None, hash: None, body: Bytes::new() }
}

pub(super) fn json_headers() -> Vec<(String, String)> {
    vec![("Content-Type".to_owned(), "application/json".to_owned())]
}

pub(super) fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}
