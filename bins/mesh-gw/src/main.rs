//! `mesh-gw`: a mesh gateway for Consul. It carries mutual TLS between datacenters by its server
//! name, without ending it.

mod connection;
mod flow;
mod waiting;

use std::io::{stderr, stdout};
use std::process::ExitCode;

use gateway_app::cli::{Call, Invocation, invoke};
use gateway_app::role::MeshGateway;
use gateway_app::run::run;
use gateway_app::settings::Role;

use crate::flow::Flow;

fn main() -> ExitCode {
    let call = Call {
        role: Role::Mesh,
        arguments: std::env::args_os().collect(),
        environment: std::env::vars_os().collect(),
        // Not locked: the locks would last as long as the gateway, and whoever logs would wait for them.
        out: &mut stdout(),
        err: &mut stderr(),
    };
    let code = match invoke(call) {
        Invocation::Run(settings) => run::<MeshGateway, _>(&settings, |parts, _| Flow { parts }),
        Invocation::Finished(code) => code,
    };
    ExitCode::from(code)
}
