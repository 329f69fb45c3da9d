//! `terminating-gw`: a terminating gateway for Consul. It stands in the mesh for services outside of it:
//! ends mutual TLS with their certificates, judges callers by their intentions, and connects them.

mod flow;
mod session;
mod streams;
#[cfg(test)]
mod tests;
mod upstream;

use std::io::{stderr, stdout};
use std::process::ExitCode;

use gateway_app::cli::{Call, Invocation, invoke};
use gateway_app::run::run;
use gateway_app::settings::Role;
use gateway_app::terminating::TerminatingGateway;

use crate::flow::{Flow, Gateway};

fn main() -> ExitCode {
    let call = Call {
        role: Role::Terminating,
        arguments: std::env::args_os().collect(),
        environment: std::env::vars_os().collect(),
        // Not locked: the locks would last as long as the gateway, and whoever logs would wait for them.
        out: &mut stdout(),
        err: &mut stderr(),
    };
    let code = match invoke(call) {
        Invocation::Run(settings) => {
            run::<TerminatingGateway, _>(&settings, |parts, kept| Flow::new(Gateway { parts, kept }))
        }
        Invocation::Finished(code) => code,
    };
    ExitCode::from(code)
}
