//! Says whether a service may call another one, and which intention decides.
//!
//! ```text
//! curl -s localhost:8500/v1/connect/intentions > intentions.json
//! cargo run -p intentions --example explain -- intentions.json web billing
//! cargo run -p intentions --example explain -- intentions.json web billing GET /v1/secret
//! ```
//!
//! The file may also be one service-intentions config entry. The default policy is deny.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what the example is for")]

use std::process::ExitCode;

use http::{HeaderMap, Method};
use intentions::{
    DefaultPolicy, Destination, LocalMesh, Look, Normalization, NormalizedPath, Outcome, Parsed, Protocol,
    RequestHead, RuleSet, Source, from_config_entry, parse_list,
};
use mesh_id::{Datacenter, Namespace, Partition, ServiceName, SpiffeId, TrustDomain};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [file, source, destination] => explain(file, source, destination, None),
        [file, source, destination, method, path] => explain(file, source, destination, Some((method, path))),
        _ => {
            eprintln!("usage: explain <file> <source> <destination> [<method> <path>]");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn explain(file: &str, source: &str, destination: &str, request: Option<(&str, &str)>) -> Result<()> {
    let parsed = read(&std::fs::read(file)?)?;
    let mesh = LocalMesh::new(TrustDomain::parse("1234.consul")?);
    let destination = Destination::new(ServiceName::parse(destination)?);
    let rules = RuleSet::compile(&destination, &parsed.intentions, DefaultPolicy::Deny, &mesh);
    for problem in parsed.problems.iter().chain(rules.problems()) {
        println!("problem: {problem}");
    }
    for pair in rules.shadowed() {
        println!("Envoy would decide otherwise: {} stands over {}", pair.wins, pair.hidden);
    }

    let id = SpiffeId::service(
        mesh.trust_domain,
        &Partition::default(),
        &Namespace::default(),
        &Datacenter::parse("dc1")?,
        &ServiceName::parse(source)?,
    );
    let source = Source::Direct(&id);
    let explained = match request {
        None => rules.explain(source, Protocol::Tcp, None),
        Some((method, target)) => {
            let method = Method::from_bytes(method.as_bytes())?;
            let path = match NormalizedPath::normalize(&method, target, &Normalization::default()) {
                Outcome::Path(path) => path,
                Outcome::Redirect(to) => return Err(format!("redirected to {}", to.location()).into()),
                Outcome::Reject(why) => return Err(why.into()),
            };
            let headers = HeaderMap::new();
            let head = RequestHead {
                method: &method,
                path: &path,
                authority: None,
                scheme: None,
                headers: &headers,
            };
            rules.explain(source, Protocol::Http, Some(&head))
        }
    };
    for step in &explained.steps {
        match step.look {
            Look::NoMatch(why) => println!("{}: no match, {why}", step.intention),
            _ => println!("{}: match", step.intention),
        }
        step.permissions.iter().for_each(|line| println!("  {line}"));
    }
    if let Some(decision) = explained.decision {
        println!("{decision}");
    }
    Ok(())
}

/// A list of intentions, or one config entry.
fn read(body: &[u8]) -> Result<Parsed> {
    match parse_list(body) {
        Ok(parsed) => Ok(parsed),
        Err(_) => Ok(from_config_entry(&serde_json::from_slice(body)?)?),
    }
}
