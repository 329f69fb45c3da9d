//! A process with an admin endpoint, readiness, metrics and a clean end, and nothing else.
//!
//! ```text
//! cargo run -p gateway-runtime --example process -- 127.0.0.1:19000
//! curl http://127.0.0.1:19000/ready
//! kill -TERM <pid>
//! ```
//!
//! It says on stdout where the endpoint is. SIGTERM and SIGINT drain and end with exit code 0; here nothing is open, so
//! draining lasts until the deadline of `DRAIN_SECONDS` (default 0). A second one ends at once. SIGHUP counts.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gateway_runtime::admin::{Admin, AdminDeps, Page, Pages};
use gateway_runtime::drain::Drain;
use gateway_runtime::metrics::{Counter, Metrics};
use gateway_runtime::process::{self, Signal, Signals, exit};
use gateway_runtime::ready::Ready;
use gateway_runtime::telemetry::{LogControl, LogFormat, start_logging};
use tokio::time::Instant;

/// The one page of this process.
struct Hello {
    reloads: Counter,
}

impl Pages for Hello {
    fn page(&self, path: &str, _query: Option<&str>) -> Option<Page> {
        (path == "/reloads").then(|| Page::text(format!("{}\n", self.reloads.get())))
    }

    fn index(&self) -> &[(&'static str, &'static str)] {
        &[("/reloads", "how often SIGHUP came")]
    }

    fn title(&self) -> &str {
        "example process"
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run())) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(exit::INTERNAL),
    }
}

async fn run() -> Result<u8, Box<dyn Error>> {
    let log = start_logging("info", LogFormat::Text)?;
    let code = serve(log.clone()).await;
    if let Err(error) = &code {
        tracing::error!(%error, "the process ends");
    }
    log.flush(Duration::from_secs(1));
    code
}

async fn serve(log: LogControl) -> Result<u8, Box<dyn Error>> {
    process::log_panics();
    // Before anything says that the process has started, so that no signal meets the default action.
    let mut signals = Signals::listen()?;
    let limit = process::raise_fd_limit();
    tracing::info!(open_files = %limit, "starting");

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let admin = match Admin::bind(address.parse()?) {
        Ok(admin) => admin,
        Err(error) => {
            tracing::error!(address, %error, "cannot bind the admin endpoint");
            return Ok(exit::ADDRESS_IN_USE);
        }
    };
    announce(&admin);

    let metrics = Arc::new(Metrics::new(2_000));
    metrics.set_build_info(env!("CARGO_PKG_VERSION"), "example");
    let reloads = metrics.register_counter("gateway_example_reloads", "How often SIGHUP came");
    let (drain, mut draining) = Drain::new();
    let ready = Ready::new(&["pages"]);
    ready.follow(drain.watch());
    let pages = Arc::new(Hello { reloads: reloads.clone() });
    let deps = AdminDeps { ready: ready.clone(), metrics, pages, log, token: None };
    // The endpoint goes on while the process drains, to say so.
    let serve = admin.serve(deps, async move { draining.expired().await });
    ready.set("pages", Ok(()));

    tokio::pin!(serve);
    loop {
        tokio::select! {
            served = &mut serve => {
                served?;
                tracing::info!("drained");
                return Ok(exit::CLEAN);
            }
            signal = signals.next() => match signal {
                Signal::Drain => {
                    let seconds = std::env::var("DRAIN_SECONDS").ok().and_then(|text| text.parse().ok());
                    tracing::info!("draining");
                    drain.start(Instant::now() + Duration::from_secs(seconds.unwrap_or(0)));
                }
                Signal::Now => {
                    tracing::warn!("ended at once");
                    return Ok(exit::CLEAN);
                }
                Signal::Reload => {
                    reloads.inc();
                }
            },
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever starts the example asks where the endpoint is")]
fn announce(admin: &Admin) {
    println!("admin endpoint: http://{}/", admin.local_addr());
}
