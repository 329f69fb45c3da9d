//! Reads any path of Consul's HTTP API, set up by the `CONSUL_*` variables, and waits for changes:
//!
//! ```console
//! $ cargo run -p catalog-client --example watch_path -- /v1/health/service/consul
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog_client::query::{Ask, Query};
use catalog_client::{Client, ClientConfig};

/// Any path whose answer is shown as it is.
#[derive(Clone)]
struct Path(String);

impl Query for Path {
    type Document = String;

    fn endpoint(&self) -> &'static str {
        "any"
    }

    fn path(&self) -> String {
        self.0.clone()
    }

    fn may_be_absent(&self) -> bool {
        true
    }

    fn decode(&self, body: &Bytes) -> Result<String, String> {
        String::from_utf8(body.to_vec()).map_err(|error| error.to_string())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path(std::env::args().nth(1).unwrap_or_else(|| "/v1/catalog/services".into()));
    let client = Client::new(ClientConfig::from_environment(|name| std::env::var(name).ok())?)?;
    let mut ask = Ask::Now;
    for _ in 0..3 {
        let started = Instant::now();
        let answer = client.ask(&path, &ask, Duration::from_secs(10)).await?;
        let body = answer.body.as_ref().map(|body| path.decode(body)).transpose()?;
        println!("after {:?}, index {:?}: {}", started.elapsed(), answer.index, body.unwrap_or_default());
        // A real watch does more: see the module `watch`.
        ask = answer.index.map_or(Ask::Now, Ask::Above);
    }
    println!("{:#?}", client.status());
    Ok(())
}
