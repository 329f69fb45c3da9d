//! What to type to see the same with tools of one's own. `--once` types it too, so that what is printed works.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gateway_testkit::{Tool, Upstream, in_ci};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::report::Report;
use crate::world::World;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The commands, with what to expect of each.
pub(crate) fn print(world: &World, report: &Report) {
    let commands = Commands::of(world);
    report.heading("Try it by hand (in another terminal)");
    report.text("   Be the frontend; the first line comes from billing, then it sends back what you type:");
    report.text(&format!("     {}", shell(&commands.openssl)));
    report.text("   Ask the gateways what they see:");
    for url in &commands.pages {
        report.text(&format!("     curl -s {url}"));
    }
    report.text("   Ask what would happen to a name:");
    report.text(&format!("     {}", shell(&commands.explain)));
    report.text("   Change the mesh; the gateway follows at once, and no connection is cut:");
    report.text(&format!("     $EDITOR {}", shell(&[commands.catalog])));
    report.heading("Admin pages");
    for gateway in [&world.dc1, &world.dc2] {
        if let Ok(admin) = gateway.admin() {
            report.hop(&format!("gateway {}", gateway.name()), format!("http://{}/", admin.address()));
        }
    }
    report.text("\nEverything runs until Ctrl-C, and is removed then.");
}

/// Runs the same commands and looks at their output.
pub(crate) async fn check(world: &World, report: &mut Report) -> Result<()> {
    let commands = Commands::of(world);
    report.step("the commands to try by hand");
    if available(report, Tool::OpenSsl) {
        let greeting = greeted(&commands.openssl).await;
        let good = greeting.as_ref().is_ok_and(|line| line.contains("\"service\":\"billing\""));
        report.expect(good, "openssl s_client reaches billing as frontend", format!("{greeting:?}"));
    }
    if available(report, Tool::Curl) {
        for url in &commands.pages {
            let words =
                ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", url].map(str::to_owned);
            let output = output(&words).await;
            report.expect(output.is_ok(), &format!("curl {url}"), format!("{output:?}"));
        }
    }
    let explained = output(&commands.explain).await;
    let good = explained.as_ref().is_ok_and(|text| text.contains("billing"));
    report.expect(good, "mesh-gw explain knows the name", format!("{explained:?}"));
    Ok(())
}

struct Commands {
    openssl: Vec<String>,
    pages: Vec<String>,
    explain: Vec<String>,
    catalog: String,
}

impl Commands {
    fn of(world: &World) -> Self {
        let sni = Upstream::new("billing", "dc2").sni(world.pki.trust_domain());
        let files = &world.frontend_files;
        let address = |gateway: &gateway_testkit::Gateway| {
            gateway.address().map(|address| address.to_string()).unwrap_or_default()
        };
        let path = |path: &std::path::Path| path.display().to_string();
        let mut openssl =
            ["openssl", "s_client", "-quiet", "-verify_return_error"].map(str::to_owned).to_vec();
        for (option, value) in [
            ("-connect", address(&world.dc1)),
            ("-servername", sni.clone()),
            ("-cert", path(&files.cert)),
            ("-key", path(&files.key)),
            ("-CAfile", path(&world.roots)),
        ] {
            openssl.extend([option.to_owned(), value]);
        }
        let pages = [(&world.dc1, "connections"), (&world.dc2, "endpoints"), (&world.dc2, "metrics")];
        let page = |(gateway, page): (&gateway_testkit::Gateway, &str)| {
            gateway.admin().ok().map(|admin| format!("http://{}/{page}", admin.address()))
        };
        let catalog = world.dc2.dir().join("catalog");
        Commands {
            openssl,
            pages: pages.into_iter().filter_map(page).collect(),
            explain: vec![path(&world.binary), "explain".into(), "--catalog".into(), path(&catalog), sni],
            catalog: path(&catalog.join("mesh.toml")),
        }
    }
}

/// As it has to be typed.
fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    let quoted = words.iter().map(|word| {
        if word.chars().all(plain) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn available(report: &mut Report, tool: Tool) -> bool {
    let found = tool.path().is_some();
    if in_ci() {
        report.expect(
            found,
            &format!("{} is installed", tool.program()),
            format!("apt install {}", tool.package()),
        );
    } else if !found {
        report.text(&format!(
            "   {} is not installed: left out (apt install {})",
            tool.program(),
            tool.package()
        ));
    }
    found
}

/// Starts the command, types a line, and gives the first line that comes back once the second is what was typed.
async fn greeted(words: &[String]) -> Result<String> {
    let mut child =
        command(words)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let exchange = async {
        let greeting = lines.next_line().await?.context("no line")?;
        input.write_all(b"typed by hand\n").await?;
        let echo = lines.next_line().await?.context("no second line")?;
        if echo != "typed by hand" {
            bail!("sent back {echo:?}");
        }
        Ok(greeting)
    };
    let outcome = tokio::time::timeout(ANSWER_WITHIN, exchange).await;
    child.kill().await?;
    outcome.context("no answer")?
}

async fn output(words: &[String]) -> Result<String> {
    let output = tokio::time::timeout(ANSWER_WITHIN, command(words)?.stdin(Stdio::null()).output()).await??;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(words: &[String]) -> Result<Command> {
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    Ok(command)
}
