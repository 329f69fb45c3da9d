//! Ours on one side, and on the other Envoy with the configuration that Consul gives a mesh gateway.

use gateway_testkit::{Backend, ConnectProxy, Consul, Envoy, Loopback, Script, Upstream, Via};
use serde_json::json;

use crate::both::{Both, call, soon};
use crate::calls::echo;

#[tokio::test]
async fn envoy_is_the_gateway_of_the_other_datacenter() {
    if !Consul::available() || !Envoy::available() {
        return;
    }
    let both = Both::take().await;
    let one = both.edge("dc1", "ours").await;
    let _web = both.service("dc1", "web").await;
    let backend = Backend::local(Script::Echo).unwrap();
    let billing = ConnectProxy::start(both.consul("dc2"), "billing", backend.address()).await.unwrap();
    let ledger = both.service("dc2", "ledger").await;
    both.register("dc2", "billing", billing.address()).await;
    let name = |service: &str| Upstream::new(service, "dc2").sni(&both.trust_domain);
    let routes = [
        (name("billing"), billing.address()),
        (name("ledger"), ledger.address()),
        (both.all_of("dc1"), one.wan),
    ];
    let own = Loopback::claim().unwrap();
    let envoy = both.lab.envoy("gateway").gateway("gateway", own.at(0), &routes).start().await.unwrap();
    let tagged = json!({"Address": own.ip().to_string(), "Port": own.at(0).port()});
    let document = json!({
        "Kind": "mesh-gateway", "Name": "mesh-gateway", "ID": "envoys", "Address": own.ip().to_string(),
        "Port": own.at(0).port(), "TaggedAddresses": {"lan": tagged, "wan": tagged},
        "Check": {"Name": "mesh-gateway listening", "TCP": own.at(0).to_string(), "Interval": "1s"},
    });
    both.consul("dc2").register(&document).await.unwrap();
    both.until_leads(&one, "dc2", &[own.at(0)]).await;
    both.until_knows(&one, "dc1", "web").await;

    // Into Envoy's datacenter: through both, and through Envoy's alone.
    let client = both.caller("dc1", "frontend").await;
    for via in [Via::Local(one.lan), Via::Remote(own.at(0))] {
        let call = call(&client, "ledger", "dc2", via).await.unwrap();
        assert_eq!(
            (&*call.greeting.instance, &*call.greeting.identity),
            ("ledger-1", &*client.leaf().uri),
            "{via}"
        );
        call.close().await.unwrap();
        let mut stream = client.open(&Upstream::new("billing", "dc2"), via).await.unwrap();
        echo(&mut stream).await.unwrap();
    }
    // And into ours.
    let client = both.caller("dc2", "backoffice").await;
    for via in [Via::Local(own.at(0)), Via::Remote(one.wan)] {
        let call = call(&client, "web", "dc1", via).await.unwrap();
        assert_eq!(
            (&*call.greeting.instance, &*call.greeting.identity),
            ("web-1", &*client.leaf().uri),
            "{via}"
        );
        call.close().await.unwrap();
    }
    let sni = Upstream::new("web", "dc1").sni(&both.trust_domain);
    let passed = |record: &serde_json::Value| record["name"] == *sni && record["flags"] == "-";
    let record = envoy.records().wait(0, soon(), "of Envoy, to ours", passed).await.unwrap();
    assert_eq!(record["upstream"], one.wan.to_string());
    both.consul("dc2").deregister("envoys").await.unwrap();
    both.deregister("dc1", &["web"]).await;
    both.deregister("dc2", &["ledger", "billing"]).await;
    one.end().await;
}
