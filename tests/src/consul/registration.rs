//! Writing what a test wants to be there.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::Consul;

const FOLLOWS_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// An instance of a service behind a sidecar, as an agent registers it.
#[derive(Debug, Clone)]
pub struct Instance {
    service: String,
    id: String,
    sidecar: SocketAddr,
    meta: Map<String, Value>,
    tags: Vec<String>,
    weights: Option<(u32, u32)>,
}

impl Instance {
    /// Instance `id` of `service`, whose sidecar is at `sidecar`.
    pub fn new(service: &str, id: &str, sidecar: SocketAddr) -> Self {
        let (service, id) = (service.to_owned(), id.to_owned());
        Instance { service, id, sidecar, meta: Map::new(), tags: Vec::new(), weights: None }
    }

    /// `Meta` of the instance and of its sidecar: what filters of subsets look at.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.to_owned(), value.into());
        self
    }

    /// A tag of both.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// `Weights` of both.
    #[must_use]
    pub fn weights(mut self, passing: u32, warning: u32) -> Self {
        self.weights = Some((passing, warning));
        self
    }

    /// What an agent is given: the service and its sidecar.
    pub(crate) fn documents(&self) -> [Value; 2] {
        let (ip, port) = (self.sidecar.ip().to_string(), self.sidecar.port());
        let mut service = json!({
            "Name": self.service, "ID": self.id, "Address": ip, "Port": port, "Meta": self.meta, "Tags": self.tags,
            // An hour: its status is what `set_health` said last.
            "Check": {"CheckID": check(&self.id), "TTL": "1h", "Status": "passing"},
        });
        let mut sidecar = json!({
            "Kind": "connect-proxy",
            "Name": format!("{}-sidecar-proxy", self.service), "ID": format!("{}-sidecar-proxy", self.id),
            "Address": ip, "Port": port, "Meta": self.meta, "Tags": self.tags,
            "Proxy": {"DestinationServiceName": self.service, "DestinationServiceID": self.id},
            "Check": {"AliasService": self.id, "Status": "passing"},
        });
        if let Some((passing, warning)) = self.weights {
            for document in [&mut service, &mut sidecar] {
                document["Weights"] = json!({"Passing": passing, "Warning": warning});
            }
        }
        [service, sidecar]
    }
}

fn check(id: &str) -> String {
    format!("{id}-health")
}

impl Consul {
    /// `PUT /v1/config`.
    ///
    /// # Errors
    /// When Consul refuses the entry, with its text.
    pub async fn config_write(&self, entry: &Value) -> Result<()> {
        self.api().put("/v1/config", entry).await.map(drop)
    }

    /// `DELETE /v1/config/<kind>/<name>`.
    ///
    /// # Errors
    /// When Consul refuses.
    pub async fn config_delete(&self, kind: &str, name: &str) -> Result<()> {
        self.api().delete(&format!("/v1/config/{kind}/{name}")).await.map(drop)
    }

    /// `PUT /v1/agent/service/register`.
    ///
    /// # Errors
    /// When Consul refuses the service, with its text.
    pub async fn register(&self, service: &Value) -> Result<()> {
        self.api().put("/v1/agent/service/register?replace-existing-checks=true", service).await.map(drop)
    }

    /// `PUT /v1/agent/service/deregister/<id>`.
    ///
    /// # Errors
    /// When Consul refuses.
    pub async fn deregister(&self, id: &str) -> Result<()> {
        self.api().put(&format!("/v1/agent/service/deregister/{id}"), &Value::Null).await.map(drop)
    }

    /// `PUT /v1/catalog/register`.
    ///
    /// # Errors
    /// When Consul refuses the registration, with its text.
    pub async fn catalog_register(&self, registration: &Value) -> Result<()> {
        self.api().put("/v1/catalog/register", registration).await.map(drop)
    }

    /// `PUT /v1/catalog/deregister`.
    ///
    /// # Errors
    /// When Consul refuses.
    pub async fn catalog_deregister(&self, registration: &Value) -> Result<()> {
        self.api().put("/v1/catalog/deregister", registration).await.map(drop)
    }

    /// Registers an instance and its sidecar with this agent, both passing.
    ///
    /// # Errors
    /// When Consul refuses either.
    pub async fn register_instance(&self, instance: &Instance) -> Result<()> {
        for document in instance.documents() {
            self.register(&document).await?;
        }
        Ok(())
    }

    /// Takes an instance and its sidecar out.
    ///
    /// # Errors
    /// When Consul refuses either.
    pub async fn deregister_instance(&self, id: &str) -> Result<()> {
        self.deregister(&format!("{id}-sidecar-proxy")).await?;
        self.deregister(id).await
    }

    /// Makes an [`Instance`] `passing`, `warning` or `critical`, and waits until the catalog has it, of its sidecar as well:
    /// with many services an agent may take seconds for that.
    ///
    /// # Errors
    /// When Consul does not know the instance, or the catalog does not follow within 30 s.
    pub async fn set_health(&self, id: &str, status: &str) -> Result<()> {
        let api = self.api();
        let update = json!({"Status": status, "Output": "as the test wants it"});
        api.put(&format!("/v1/agent/check/update/{}", check(id)), &update).await?;
        let (own, alias) = (check(id), format!("service:{id}-sidecar-proxy"));
        let path = format!("/v1/health/node/{}", self.name());
        let follows = async || {
            let checks = api.get(&path).await.ok()?;
            let mut mine =
                checks.as_array()?.iter().filter(|it| it["CheckID"] == own || it["CheckID"] == alias);
            mine.all(|it| it["Status"] == status).then_some(())
        };
        let what = format!("the catalog to have {id} {status}");
        Ok(crate::wait_for(crate::Deadline::after(FOLLOWS_WITHIN), &what, follows).await?)
    }

    /// Puts any service of this agent into maintenance, or takes it out.
    ///
    /// # Errors
    /// When Consul does not know it.
    pub async fn maintenance(&self, id: &str, on: bool) -> Result<()> {
        let path = format!("/v1/agent/service/maintenance/{id}?enable={on}&reason=test");
        self.api().put(&path, &Value::Null).await.map(drop)
    }
}
