//! ACLs on, everything denied that a token does not allow.

use gateway_testkit::{Consul, Deadline, GatewayBuilder, Lab, eventually, wait_for};
use serde_json::{Value, json};

use crate::server::{Of, Server};
use crate::world::{World, soon};

/// All that a mesh gateway needs which registers itself.
const LEAST: &str = r#"
service "mesh-gateway" { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
"#;

/// The token in a file of the test's own.
fn token_file(lab: &Lab, token: &str) -> std::path::PathBuf {
    let file = lab.dir().join("token");
    std::fs::write(&file, token).unwrap();
    file
}

fn with(lab: &Lab, token: &str, id: &str) -> GatewayBuilder {
    let file = token_file(lab, token);
    let gateway = lab.gateway(id).register().flag("proxy-id", id).setting("TIMERS_CONSUL_LOOK", "200ms");
    gateway.flag("token-file", file.to_str().unwrap()).flag("datacenter", "dc1")
}

/// The errors of all watches.
fn errors(page: &Value) -> Vec<String> {
    let rows = page["consul"]["watches"]["rows"].as_array().unwrap();
    let errors = rows.iter().filter(|row| !row["error"].is_null());
    errors.map(|row| format!("{}: {}", row["path"], row["error"])).collect()
}

#[tokio::test]
async fn the_least_policy_is_enough() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::Acls).await);
    let token = server.token(LEAST).await.unwrap();
    let gateway = with(&lab, &token, "gateway-least");
    let world = World::on(lab, server, gateway).await;
    let _one = world.instance("least", "least-1", |it| it.meta("version", "v1")).await;
    let _two = world.instance("least", "least-2", |it| it).await;
    world.until_used("least", &["least-1", "least-2"]).await;
    let entry = json!({
        "Kind": "service-resolver", "Name": "least", "Subsets": {"v1": {"Filter": "Service.Meta.version == v1"}},
    });
    world.server.config_write(&entry).await.unwrap();
    world.until_used("v1.least", &["least-1"]).await;
    world.server.set_health("least-2", "critical").await.unwrap();
    world.until_used("least", &["least-1"]).await;
    assert_eq!(world.who("least").await, "least-1");
    let seen = |page: &Value| page["consul"]["registration"]["seen_in_catalog"] == true;
    let page = world.until_snapshot("the own registration", seen).await;
    assert!(errors(&page).is_empty(), "{:?}", errors(&page));
    let secret = format!("{page}{}", std::fs::read_to_string(world.gateway.log().path()).unwrap());
    assert!(!secret.contains(&token), "the token is nowhere to be read");
    world.server.config_delete("service-resolver", "least").await.unwrap();
    world.end().await;
}

/// Exit code 3, Consul's words, and the way out.
#[tokio::test]
async fn a_registration_that_is_refused_ends_the_process() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::Acls).await);
    let reads = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let token = server.token(reads).await.unwrap();
    let gateway = with(&lab, &token, "gateway-refused").consul(&server).spawn().unwrap();
    let code = gateway.exit_code(soon()).await.unwrap();
    let log = gateway.log_tail(20);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("Permission denied") && log.contains("mesh-gateway"), "{log}");
    assert!(log.contains(r#"service \"mesh-gateway\" { policy = \"write\" }"#), "the missing rule: {log}");
    assert!(gateway.address().is_err() && !log.contains(&token), "{log}");
}

/// Row 52: who may register and not read sees nothing, which Consul does not say.
#[tokio::test]
async fn a_token_that_sees_too_little_is_noticed() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::Acls).await);
    let token = server.token(r#"service "mesh-gateway" { policy = "write" }"#).await.unwrap();
    let gateway = with(&lab, &token, "gateway-blind").consul(&server);
    let gateway = gateway.setting("LIMITS_CONSUL_LOOKS", "3").spawn().unwrap();
    let warned = |line: &Value| {
        line["message"].as_str().is_some_and(|text| text.contains("does not see the own registration"))
    };
    let line = gateway.wait_log(soon(), "about the token", warned).await.unwrap();
    assert!(line["message"].as_str().unwrap().contains("node_prefix"), "{line}");
    server.deregister("gateway-blind").await.unwrap();
}

/// The old token is deleted, the new one is in the file: nobody has to tell the gateway.
#[tokio::test]
async fn a_token_that_is_replaced_is_read_again() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::Acls).await);
    let first = server.token(LEAST).await.unwrap();
    let gateway = with(&lab, &first, "gateway-token");
    let world = World::on(lab, server, gateway).await;
    let server = &world.server;
    let _one = world.instance("token", "token-1", |it| it).await;
    world.until_answers("token", "token-1").await;
    let second = server.token(LEAST).await.unwrap();
    token_file(&world.lab, &second);
    server.delete_token(&first).await.unwrap();
    let gone = async || server.anonymous().token(&first).get("/v1/catalog/services").await.is_err();
    eventually(soon(), "the end of the first token", gone).await;
    let _two = world.instance("token", "token-2", |it| it).await;
    world.until_used("token", &["token-1", "token-2"]).await;
    let _new = world.instance("token-new", "token-new-1", |it| it).await;
    world.until_answers("token-new", "token-new-1").await;
    let entry = json!({"Kind": "service-resolver", "Name": "token", "Subsets": {"all": {}}});
    server.config_write(&entry).await.unwrap();
    world.until_used("all.token", &["token-1", "token-2"]).await;
    // The agent syncs the registration with the token that it was made with.
    let again = |page: &Value| page["consul"]["registration"]["registrations"].as_u64() >= Some(2);
    world.until_snapshot("the registration with the new token", again).await;
    assert!(world.admin().is_ready().await.unwrap());
    let no_errors = |page: &Value| errors(page).is_empty();
    world.until_snapshot("no errors", no_errors).await;
    assert_eq!(world.who("token-new").await, "token-new-1");
    server.config_delete("service-resolver", "token").await.unwrap();
    world.end().await;
}

/// T62, rows 21 and 51: what a token may no longer read stays as it was read.
#[tokio::test]
async fn a_token_that_loses_rights_loses_no_service() {
    if !Consul::available() {
        return;
    }
    let (lab, server) = (Lab::new().unwrap(), Server::shared(Of::Acls).await);
    let api = server.api();
    let policy = json!({"Name": "of-the-loser", "Rules": LEAST});
    let policy = api.put("/v1/acl/policy", &policy).await.unwrap().json().unwrap();
    let token = api.put("/v1/acl/token", &json!({"Policies": [{"ID": policy["ID"]}]})).await.unwrap();
    let token = token.json().unwrap()["SecretID"].as_str().unwrap().to_owned();
    let gateway = with(&lab, &token, "gateway-loser").setting("TIMERS_CONSUL_WAIT", "10s");
    let world = World::on(lab, server, gateway).await;
    let _one = world.instance("loser", "loser-1", |it| it).await;
    world.until_answers("loser", "loser-1").await;
    // What is written while the right goes cannot be told from what is taken away.
    let seen = |page: &Value| page["consul"]["registration"]["seen_in_catalog"] == true;
    world.until_snapshot("the own registration", seen).await;
    let less = r#"service "mesh-gateway" { policy = "write" }"#;
    let path = format!("/v1/acl/policy/{}", policy["ID"].as_str().unwrap());
    api.put(&path, &json!({"Name": "of-the-loser", "Rules": less})).await.unwrap();
    let blind = async || {
        let seen = world.server.anonymous().token(&token).get("/v1/catalog/services").await.unwrap();
        seen.get("loser").is_none()
    };
    eventually(soon(), "the token to see nothing", blind).await;
    // Every held read comes back: something is registered, which wakes them all.
    let _two = world.instance("loser-two", "loser-two-1", |it| it).await;
    let deadline = Deadline::after(std::time::Duration::from_secs(14));
    let lost = wait_for(deadline, "the service to be lost", async || {
        world.call("loser").await.is_err().then_some(())
    });
    assert!(lost.await.is_err(), "the service was lost with the right to read it");
    let page = world.admin().snapshot().await.unwrap();
    let requests = page["consul"]["requests"].as_object().unwrap();
    let requests: u64 = requests.values().filter_map(Value::as_u64).sum();
    assert!(requests < 200, "{requests} requests: {:#}", page["consul"]);
    let blind =
        |line: &Value| line["message"].as_str().is_some_and(|it| it.contains("may no longer read services"));
    assert_eq!(world.gateway.log().all().iter().filter(|line| blind(line)).count(), 1);
    let rules = json!({"Name": "of-the-loser", "Rules": LEAST});
    api.put(&path, &rules).await.unwrap();
    // Rights raise no index: the next thing that is registered does.
    let _three = world.instance("loser-three", "loser-three-1", |it| it).await;
    world.until_answers("loser-three", "loser-three-1").await;
    world.until_answers("loser-two", "loser-two-1").await;
    assert_eq!(world.who("loser").await, "loser-1");
    world.end().await;
}
