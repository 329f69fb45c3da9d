//! Records what real Consuls answer, for `Replay`:
//!
//! ```text
//! CONSUL=/path/to/consul cargo run -p gateway-testkit --bin consul-record -- FOLDER
//! ```
//! It starts two datacenters, builds a small mesh in them (scene.rs), asks everything that a gateway may ask
//! (requests.rs) of dc1's server, and writes the answers to FOLDER. What a client agent of dc1 answers with another
//! status is in FOLDER/client-agent. Keys in there are those of a CA that is gone.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod requests;
mod scene;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use gateway_testkit::{Consul, Lab, Recorded, Recording, Reply};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("consul-record: exactly one argument is needed, the folder for the answers");
        return ExitCode::from(2);
    };
    match record(&PathBuf::from(folder)).await {
        Ok(count) => {
            println!("{count} answers in {}", folder.to_string_lossy());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("consul-record: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn record(folder: &Path) -> Result<usize> {
    let lab = Lab::new()?;
    println!("Consul {}", Consul::version()?);
    let agent = lab.consul("agent-dc1")?.client();
    let both = lab.two_consuls(Ok).await?;
    let agent = agent.join(both.dc1.address()).start().await?;
    scene::build(&both).await?;
    let (mut recording, mut through_agent) = (Recording::default(), Recording::default());
    let hidden = Hidden { lab: lab.dir(), consuls: [&both.dc1, &both.dc2, &agent] };
    for (method, target, body) in requests::all() {
        // First of the agent: a write must not change what it sees.
        if method == "GET" && !target.starts_with("/v1/agent/") {
            let reply = hidden.hide(agent.api().request(method, &target, b"").await?)?;
            through_agent.add(Recorded::new(method, &target, &reply));
        }
        let reply = both.dc1.api().request(method, &target, body.as_bytes()).await?;
        recording.add(Recorded::new(method, &target, &hidden.hide(reply)?));
    }
    let same = |answer: &Recorded| {
        recording.answers().iter().any(|other| other.target == answer.target && other.status == answer.status)
    };
    let other = through_agent.answers().iter().filter(|answer| !same(answer)).cloned();
    let other = other.fold(Recording::default(), |mut recording, answer| {
        recording.add(answer);
        recording
    });
    recording.save(folder).context("answers are only written where none are yet")?;
    other.save(&folder.join("client-agent"))?;
    Ok(recording.answers().len() + other.answers().len())
}

/// Paths of this machine are nobody's business, and its addresses would be other ones in each recording.
struct Hidden<'a> {
    lab: &'a Path,
    consuls: [&'a Consul; 3],
}

impl Hidden<'_> {
    fn hide(&self, mut reply: Reply) -> Result<Reply> {
        let text = String::from_utf8(reply.body).context("an answer that is no text")?;
        let mut text = text.replace(&self.lab.display().to_string(), "/opt/consul");
        for (consul, address) in self.consuls.iter().zip(["127.0.1.1", "127.0.2.1", "127.0.1.2"]) {
            text = text.replace(&consul.address().ip().to_string(), address);
        }
        reply.body = text.into_bytes();
        Ok(reply)
    }
}
