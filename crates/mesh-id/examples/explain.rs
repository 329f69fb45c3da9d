//! Says what a name of the mesh means, part by part: a TLS server name or a SPIFFE URI.
//!
//! ```text
//! cargo run -p mesh-id --example explain -- v2.billing.default.fra1.internal.a.consul
//! cargo run -p mesh-id --example explain -- spiffe://a.consul/ns/default/dc/fra1/svc/billing
//! cargo run -p mesh-id --example explain -- server.fra1.corp.example corp.example
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what the example is for")]

use std::process::ExitCode;

use mesh_id::{MeshSni, SpiffeId, explain_parts};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        eprintln!("usage: explain <server name or spiffe:// URI> [DNS domain, default consul]");
        return ExitCode::from(2);
    };
    let domain = arguments.next().unwrap_or_else(|| "consul".to_owned());
    match explain(&name, &domain) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn explain(name: &str, domain: &str) -> Result<String, Box<dyn std::error::Error>> {
    if name.starts_with("spiffe:") {
        let id = SpiffeId::parse(name)?;
        let canonical =
            if id.matches_uri(name) { "as Consul writes it" } else { "Consul would write it otherwise" };
        return Ok(format!("{id:#?}\n{canonical}: {id}"));
    }
    let sni = MeshSni::parse(name, domain)?;
    let lines: Vec<String> =
        explain_parts(&sni).iter().map(|(part, value)| format!("{part:<13} {value}")).collect();
    Ok(lines.join("\n"))
}
