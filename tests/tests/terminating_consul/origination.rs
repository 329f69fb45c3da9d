//! TLS towards a service outside the mesh, by the files of the link that Consul has.

use gateway_testkit::{Consul, LeafSpec, Nginx, Pki, Tool, eventually, have, wait_for};
use serde_json::json;

use crate::world::{Acls, World, soon};

#[tokio::test]
async fn nginx_with_a_client_certificate() {
    if !Consul::available() || !have(&[Tool::Nginx]) {
        return;
    }
    let world = World::start(Acls::On).await;
    let ca = Pki::new("ext.example").unwrap();
    let certs = world.lab.dir().join("certs");
    let ca_file = certs.join("ext-ca.pem");
    ca.write_root(&ca_file).unwrap();
    let issue = |spec: LeafSpec, name: &str| ca.issue(&spec).unwrap().write(&certs, name).unwrap();
    let server = issue(LeafSpec::new().name("secure.ext.example").server_only(), "nginx");
    let client = issue(LeafSpec::new().common_name("gateway-1"), "client");
    let nginx = Nginx::start(&world.lab.dir().join("nginx"), &server, Some(&ca_file)).await.unwrap();
    world.instance("secure", nginx.address()).await;
    world.intention("web", "secure", "allow").await;
    world
        .link(&json!([{
            "Name": "secure", "CAFile": ca_file, "CertFile": client.cert, "KeyFile": client.key,
            "SNI": "secure.ext.example",
        }]))
        .await;
    let web = world.caller("web").await;
    let answer = async || {
        let mut connection = world.connect(&web, "secure").await.ok()?;
        connection.send(b"GET / HTTP/1.0\r\nHost: secure.ext.example\r\n\r\n").await.ok()?;
        let (answer, _) = connection.ended().await.ok()?;
        String::from_utf8(answer).ok().filter(|answer| !answer.is_empty())
    };
    let first = wait_for(soon(), "an answer of nginx", &answer).await.unwrap();
    assert!(first.ends_with("sni=secure.ext.example client=CN=gateway-1 verified=SUCCESS\n"), "{first}");
    // Another link, whose files are not there: nothing in clear.
    let gone = certs.join("gone.pem");
    world.link(&json!([{"Name": "secure", "CAFile": gone}])).await;
    eventually(soon(), "no answer", async || answer().await.is_none()).await;
    let refused = |record: &serde_json::Value| record["reason"] == "upstream_tls";
    world.gateway.wait_record(soon(), "of the refusal", refused).await.unwrap();
}
