//! What the registration asks of Consul; the client does it, tests play it.

use super::{request::encoded, visible::sees_itself};
use crate::{
    Client,
    client::Write,
    error::{Cause, Error},
    query::{AgentService, Answer, Ask, Blocking, HealthService, Query, decode_json},
};
use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use std::{future::Future, time::Duration};

/// The few things that a [`Registrar`](super::Registrar) does with Consul.
pub trait Agent: Send + Sync + 'static {
    /// Sends a write.
    fn send(&self, write: &Write) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether the agent has a service of this ID.
    fn knows(&self, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Whether the catalog, as the token sees it, has this ID among the instances of the name.
    fn lists(&self, name: &str, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Whether the catalog has a node of this name without any service.
    fn node_is_empty(&self, node: &str) -> impl Future<Output = Result<bool, Error>> + Send;
}

impl Agent for Client {
    async fn send(&self, write: &Write) -> Result<(), Error> {
        self.write(write).await.map(drop)
    }

    async fn knows(&self, id: &str) -> Result<bool, Error> {
        let answer = now(self, &AgentService::<IgnoredAny>::new(id)).await?;
        Ok(answer.body.is_some())
    }

    async fn lists(&self, name: &str, id: &str) -> Result<bool, Error> {
        let query = HealthService::<IgnoredAny>::new(name);
        let answer = now(self, &query).await?;
        sees_itself(&answer.body.unwrap_or_default(), id).map_err(|reason| rejected(&query, reason))
    }

    async fn node_is_empty(&self, node: &str) -> Result<bool, Error> {
        let query = NodeServices { node: node.to_owned() };
        let answer = now(self, &query).await?;
        let services = query.decode(&answer.body.unwrap_or_default());
        services.map(|count| count == Some(0)).map_err(|reason| rejected(&query, reason))
    }
}

async fn now<Q: Query>(client: &Client, query: &Q) -> Result<Answer, Error> {
    client.ask(query, &Ask::Now, Duration::ZERO).await
}

fn rejected(query: &impl Query, reason: String) -> Error {
    let request = format!("GET {}", query.path());
    Error { request, agent: String::new(), cause: Cause::Rejected(reason), rule: String::new() }
}

/// How many services a node of the catalog has; `None`: there is no such node.
#[derive(Clone, Debug)]
struct NodeServices {
    node: String,
}

impl Query for NodeServices {
    type Document = Option<usize>;

    fn endpoint(&self) -> &'static str {
        "catalog/node-services"
    }

    fn path(&self) -> String {
        format!("/v1/catalog/node-services/{}", encoded(&self.node))
    }

    fn blocking(&self) -> Blocking {
        Blocking::Index
    }

    fn rule(&self) -> String {
        format!("node {:?} {{ policy = \"read\" }}", self.node)
    }

    fn decode(&self, body: &Bytes) -> Result<Option<usize>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Node {
            node: Option<IgnoredAny>,
            services: Option<Vec<IgnoredAny>>,
        }
        let node: Option<Node> = decode_json(body)?;
        Ok(node.filter(|node| node.node.is_some()).map(|node| node.services.unwrap_or_default().len()))
    }
}
