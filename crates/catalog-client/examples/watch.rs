//! Prints what changes of some services, and what the watches do meanwhile.
//!
//! ```text
//! CONSUL_HTTP_ADDR=127.0.0.1:8500 cargo run -p catalog-client --example watch -- web api
//! ```
//!
//! Stop the agent, kill it, start it again: what is known stays, and the first answer after its return
//! is there within a second.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use catalog_client::{
    Client, ClientConfig,
    health::HealthEntry,
    planner::{PlanConfig, Planner},
    query::{CatalogServices, HealthService},
    watch::{AgentState, Update},
};
use std::{error::Error, fmt::Debug, sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

enum Event {
    Catalog(Update<<CatalogServices as catalog_client::Query>::Document>),
    Service(Arc<str>, Update<Vec<HealthEntry>>),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let names: Vec<Arc<str>> = std::env::args().skip(1).map(Arc::from).collect();
    let config = ClientConfig::from_environment(|name| std::env::var(name).ok())?;
    let (planner, mut events) = Planner::new(Client::new(config)?, PlanConfig::default());
    let catalog = planner.watch(CatalogServices::new(), Event::Catalog);
    let family = planner
        .family(HealthService::<HealthEntry>::new, |name, update| Event::Service(Arc::clone(name), update));
    planner.wakes(catalog, family);
    planner.set_names(family, names);

    let status = planner.status();
    let begun = Instant::now();
    let mut look = interval(Duration::from_millis(50));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut ticks) = (AgentState::Up, 0_u32);
    loop {
        let seconds = begun.elapsed().as_secs_f64();
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Catalog(update)) => {
                    say(seconds, "catalog/services", update, |services| format!("{} names", services.len()));
                }
                Some(Event::Service(name, update)) => say(seconds, &name, update, |rows| places(rows)),
                None => return Ok(()),
            },
            _ = look.tick() => {
                let (state, _, why) = status.agent();
                if state != before && state != AgentState::Doubt {
                    println!("{seconds:8.3}  agent is {state:?} {}", why.unwrap_or_default());
                    before = state;
                }
                ticks += 1;
                if ticks.is_multiple_of(200) {
                    report(&status, seconds);
                }
            }
        }
    }
}

fn say<D>(seconds: f64, what: &str, update: Update<D>, show: impl Fn(&D) -> String) {
    let text = match update {
        Update::Changed { document: Some(document), facts } => {
            format!("index {}: {}", facts.index, show(&document))
        }
        Update::Changed { document: None, facts } => format!("index {}: absent", facts.index),
        Update::Facts(facts) => format!("{facts:?}"),
        Update::Failed(error) => format!("kept as it was: {error}"),
        Update::Recovered => "as before, and current".to_owned(),
    };
    println!("{seconds:8.3}  {what}: {text}");
}

fn places(rows: &[HealthEntry]) -> String {
    let place = |row: &HealthEntry| format!("{}:{}", row.service.id, row.service.port);
    format!("{:?}", rows.iter().map(place).collect::<Vec<_>>())
}

fn report(status: &catalog_client::planner::PlanStatus, seconds: f64) {
    for row in status.rows(3) {
        let age = |age: Option<Duration>| age.map(|age| age.as_secs());
        let (path, state, how, index) = (&row.path, row.state.as_str(), row.how.as_str(), row.index);
        let (answer, change) = (age(row.answer_age), age(row.change_age));
        println!(
            "{seconds:8.3}    {path} {how} {state}, index {index}, answered {answer:?} s ago, changed {change:?} s ago"
        );
    }
    let counters: &dyn Debug = &status.families();
    let queries = status.counters().queries.get();
    println!("{seconds:8.3}    {queries} queries, {} probes, {counters:?}", status.counters().probes.get());
}
