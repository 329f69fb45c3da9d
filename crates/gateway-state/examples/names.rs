//! Prints the names that a catalog makes and what is behind each.
//!
//! ```text
//! cargo run -p gateway-state --example names -- CATALOG
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use gateway_state::{FileSource, SourceConfig, mesh::MeshRole};
use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: names CATALOG");
        return ExitCode::from(2);
    };
    let snapshot = match FileSource::<MeshRole>::load(&path, &SourceConfig::default()) {
        Ok(loaded) => loaded.reader.current(),
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    for warning in &snapshot.warnings {
        eprintln!("warning: {warning}");
    }
    for target in snapshot.table.targets() {
        println!("{}  ({}, {})", target.id, target.rule, target.service);
        for endpoint in &target.endpoints {
            let health = if endpoint.healthy { "healthy" } else { "unhealthy" };
            println!("    {endpoint}  weight {}, {health}, {}", endpoint.weight, endpoint.label);
        }
    }
    ExitCode::SUCCESS
}
