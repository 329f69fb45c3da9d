//! Tokens.

use anyhow::{Context, Result};
use serde_json::json;

use super::Consul;

impl Consul {
    /// The token that may do everything; `None` without ACLs.
    pub fn management(&self) -> Option<&str> {
        self.built.management.as_ref().map(|token| token.0.as_str())
    }

    /// A new token that may do what `rules` (in Consul's policy language) say, in every datacenter.
    ///
    /// # Errors
    /// When ACLs are off, or Consul refuses the rules.
    pub async fn token(&self, rules: &str) -> Result<String> {
        self.make_token(rules, false).await
    }

    /// The same, known in this datacenter only: others take it for anonymous.
    ///
    /// # Errors
    /// When ACLs are off, or Consul refuses the rules.
    pub async fn local_token(&self, rules: &str) -> Result<String> {
        self.make_token(rules, true).await
    }

    async fn make_token(&self, rules: &str, local: bool) -> Result<String> {
        anyhow::ensure!(self.built.management.is_some(), "built without acls()");
        let api = self.api();
        let policy = json!({"Name": format!("test-{}", new_token()), "Rules": rules});
        let policy = api.put("/v1/acl/policy", &policy).await?.json()?;
        let token = json!({"Policies": [{"ID": policy["ID"]}], "Local": local});
        let token = api.put("/v1/acl/token", &token).await?.json()?;
        Ok(token["SecretID"].as_str().context("a token without SecretID")?.to_owned())
    }

    /// Deletes a token: whoever uses it gets 403 from now on.
    ///
    /// # Errors
    /// When Consul does not know it.
    pub async fn delete_token(&self, token: &str) -> Result<()> {
        let own = self.anonymous().token(token).get("/v1/acl/token/self").await?;
        let accessor = own["AccessorID"].as_str().context("a token without AccessorID")?;
        self.api().delete(&format!("/v1/acl/token/{accessor}")).await.map(drop)
    }
}

/// A random UUID; Consul takes no other form.
pub(super) fn new_token() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    uuid.trim().to_owned()
}
