//! The mesh's own: certificates, intentions, chains.

use super::{
    Query, decode_json, decode_object,
    typed::{Brings, typed},
    url::{ALL_SERVICES, Url, rule},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The roots of the mesh's CA and its trust domain, as the agent keeps them
/// (`agent/connect/ca/roots`). From 1.2. Works without a token, and without servers once it worked.
pub struct CaRoots<T> {
    document: Brings<T>,
}

typed!(CaRoots {});

impl<T> CaRoots<T> {
    /// Of the agent's own datacenter.
    #[must_use]
    pub fn new() -> Self {
        Self { document: Brings::<T>::default() }
    }
}

impl<T> Default for CaRoots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for CaRoots<T> {
    type Document = T;

    fn endpoint(&self) -> &'static str {
        "agent/connect/ca/roots"
    }

    fn path(&self) -> String {
        "/v1/agent/connect/ca/roots".to_owned()
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn decode(&self, body: &Bytes) -> Result<T, String> {
        decode_object(body)
    }
}

/// A certificate for a service, and its private key, made by the agent (`agent/connect/ca/leaf/<service>`).
/// From 1.2.
pub struct CaLeaf<T> {
    service: Box<str>,
    document: Brings<T>,
}

typed!(CaLeaf { service });

impl<T> CaLeaf<T> {
    /// For a name that the token may write, registered or not.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self { service: service.into(), document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for CaLeaf<T> {
    type Document = T;

    fn endpoint(&self) -> &'static str {
        "agent/connect/ca/leaf"
    }

    fn path(&self) -> String {
        Url::new("/v1/agent/connect/ca/leaf").segment(&self.service).finish()
    }

    fn from_servers(&self) -> bool {
        false
    }

    fn rule(&self) -> String {
        rule("service", &self.service, "write")
    }

    fn decode(&self, body: &Bytes) -> Result<T, String> {
        decode_object(body)
    }
}

/// All intentions that the token may read (`connect/intentions`). Before 1.9 they are no config
/// entries, and this is where they are.
pub struct Intentions<T> {
    document: Brings<T>,
}

typed!(Intentions {});

impl<T> Intentions<T> {
    /// Of every destination.
    #[must_use]
    pub fn new() -> Self {
        Self { document: Brings::<T>::default() }
    }
}

impl<T> Default for Intentions<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for Intentions<T> {
    type Document = Vec<T>;

    fn endpoint(&self) -> &'static str {
        "connect/intentions"
    }

    fn path(&self) -> String {
        "/v1/connect/intentions".to_owned()
    }

    fn large(&self) -> bool {
        true
    }

    fn rule(&self) -> String {
        ALL_SERVICES.to_owned()
    }

    fn decode(&self, body: &Bytes) -> Result<Vec<T>, String> {
        decode_json(body)
    }
}

/// The intentions that decide about connections to some services, in the order they are tried
/// (`connect/intentions/match?by=destination`). One name that the token may not read spoils all.
pub struct IntentionMatch<T> {
    names: Box<[Box<str>]>,
    document: Brings<T>,
}

typed!(IntentionMatch { names });

impl<T> IntentionMatch<T> {
    /// How many names fit well into one request.
    pub const BATCH: usize = 50;

    /// About these destinations. Consul refuses a request without a name.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), document: Brings::<T>::default() }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for IntentionMatch<T> {
    /// By destination; empty where none fits.
    type Document = BTreeMap<Box<str>, Vec<T>>;

    fn endpoint(&self) -> &'static str {
        "connect/intentions/match"
    }

    fn path(&self) -> String {
        let url = Url::new("/v1/connect/intentions/match").parameter("by", "destination");
        self.names.iter().fold(url, |url, name| url.parameter("name", name)).finish()
    }

    fn rule(&self) -> String {
        match &*self.names {
            [name] => rule("service", name, "read"),
            _ => ALL_SERVICES.to_owned(),
        }
    }

    fn decode(&self, body: &Bytes) -> Result<Self::Document, String> {
        let lists: BTreeMap<Box<str>, Option<Vec<T>>> = decode_json(body)?;
        // `null` under a name is none. A name that is not there is not answered, and must not look like none.
        if let Some(name) = self.names.iter().find(|name| !lists.contains_key(*name)) {
            return Err(format!("it has nothing about {name:?}"));
        }
        Ok(lists.into_iter().map(|(name, list)| (name, list.unwrap_or_default())).collect())
    }
}

/// A service's compiled chain of router, splitters and resolvers (`discovery-chain/<service>`). From
/// 1.6. A name that nobody registered has the default chain: that it exists must be known elsewhere.
pub struct DiscoveryChain<T> {
    service: Box<str>,
    dc: Option<Box<str>>,
    compile_dc: Option<Box<str>>,
    document: Brings<T>,
}

typed!(DiscoveryChain { service, dc, compile_dc });

impl<T> DiscoveryChain<T> {
    /// Of a service, compiled in and for the client's own datacenter.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self { service: service.into(), dc: None, compile_dc: None, document: Brings::<T>::default() }
    }

    /// Asked in another datacenter.
    #[must_use]
    pub fn dc(self, dc: &str) -> Self {
        Self { dc: Some(dc.into()), ..self }
    }

    /// Compiled as another datacenter would.
    #[must_use]
    pub fn compile_dc(self, dc: &str) -> Self {
        Self { compile_dc: Some(dc.into()), ..self }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Query for DiscoveryChain<T> {
    /// The content of `Chain`.
    type Document = T;

    fn endpoint(&self) -> &'static str {
        "discovery-chain"
    }

    fn path(&self) -> String {
        Url::new("/v1/discovery-chain")
            .segment(&self.service)
            .optional("dc", self.dc.as_deref())
            .optional("compile-dc", self.compile_dc.as_deref())
            .finish()
    }

    fn rule(&self) -> String {
        rule("service", &self.service, "read")
    }

    fn decode(&self, body: &Bytes) -> Result<T, String> {
        #[derive(Deserialize)]
        struct Body<T> {
            #[serde(rename = "Chain")]
            chain: T,
        }
        decode_object(body).map(|body: Body<T>| body.chain)
    }
}
