//! Our filter language is Consul's: the same filters, asked of both about the same rows, choose the same rows or are
//! refused.
//!
//! Filters are made from numbers, so a disagreement can be asked again. `FILTERS=20000` asks that many of each sort.
#![expect(clippy::unwrap_used, reason = "this is how a test fails")]
#![expect(clippy::print_stderr, reason = "how many filters said what is worth seeing")]

mod dice;
mod differential;
mod expressions;
mod fields;
mod patterns;
mod rows;

use bytes::Bytes;
use catalog_client::{Query, health::HealthEntry, query::HealthService};
use differential::{Report, differential};
use gateway_testkit::{Api, Consul, Lab, Version};
use serde_json::Value;

#[tokio::test]
async fn consul_chooses_the_same_rows() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    let api = consul.api();
    let rows = registered(&api).await;
    let count = std::env::var("FILTERS").ok().and_then(|count| count.parse().ok()).unwrap_or(1500);

    let mixed = ask_both(&api, &rows, (0..count).map(expressions::expression)).await;
    agree(&mixed, count);
    let patterns = ask_both(&api, &rows, (0..count).map(expressions::pattern)).await;
    agree(&patterns, count);
}

/// The harness would notice: a Consul that always says the same is not ours.
#[tokio::test]
async fn a_difference_is_noticed() {
    let rows: Vec<HealthEntry> =
        serde_json::from_str(r#"[{"Service":{"ID":"web-1"}},{"Service":{"ID":"web-2"}}]"#).unwrap();
    let filters =
        || ["Service.ID == `web-1`", "Service.ID ==", "Service.Nothing == 1"].into_iter().map(str::to_owned);
    let known = |_: &str| None;
    let all = differential(async |_| Ok(vec!["web-1".into(), "web-2".into()]), &rows, known, filters()).await;
    assert_eq!((all.disagreements.len(), all.answered), (3, 0));
    let refused = differential(async |_| Err("no".into()), &rows, known, filters()).await;
    assert_eq!((refused.disagreements.len(), refused.refused), (1, 2));
    let excused = differential(async |_| Err("no".into()), &rows, |_| Some("because"), filters()).await;
    assert_eq!((excused.disagreements.len(), excused.known.get("because")), (0, Some(&1)));
    let right = differential(async |_| Ok(vec!["web-1".into()]), &rows, known, filters()).await;
    assert_eq!((right.disagreements.len(), right.answered, right.telling), (2, 1, 1));
}

async fn registered(api: &Api) -> Vec<HealthEntry> {
    let all = rows::registrations();
    for registration in &all {
        api.put("/v1/catalog/register", registration).await.unwrap();
    }
    let query = HealthService::new(rows::SERVICE);
    let reply = api.request("GET", &query.path(), b"").await.unwrap();
    let rows = query.decode(&Bytes::from(reply.body)).unwrap();
    assert_eq!(rows.len(), all.len());
    rows
}

async fn ask_both(api: &Api, rows: &[HealthEntry], filters: impl Iterator<Item = String>) -> Report {
    let version = Consul::version().unwrap();
    let ask = async |filter: &str| {
        let query = HealthService::<Value>::new(rows::SERVICE).filter(filter);
        let reply = api.request("GET", &query.path(), b"").await.unwrap();
        if reply.status != 200 {
            return Err(reply.text());
        }
        let rows = reply.json().unwrap();
        let rows = rows.as_array().into_iter().flatten();
        let mut ids: Vec<_> =
            rows.filter_map(|row| row["Service"]["ID"].as_str().map(str::to_owned)).collect();
        ids.sort();
        Ok(ids)
    };
    differential(ask, rows, |refusal| newer(version, refusal), filters).await
}

/// Whether Consul refused something that came after 1.8.
fn newer(version: Version, refusal: &str) -> Option<&'static str> {
    let names = |field: &str| refusal.contains(&format!("Selector \"{field}"));
    if version >= Version(1, 21, 0) {
        None
    } else if fields::LATER.iter().any(|field| names(field)) {
        Some("a field of newer versions")
    } else {
        refusal.contains("`(?<`").then_some("a named group as newer versions write it")
    }
}

fn agree(report: &Report, count: u64) {
    let Report { asked, answered, telling, refused, known, disagreements } = report;
    eprintln!(
        "{asked} filters: {answered} answered, {telling} with some of the rows; {refused} refused; known: {known:?}"
    );
    let first: Vec<_> = disagreements.iter().take(10).map(String::as_str).collect();
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), first.join("\n"));
    assert_eq!(*asked, count);
    assert!(telling * 8 > *asked && refused * 8 > *asked, "most of these filters say nothing");
}
