//! What to type to see the same with tools of one's own. `--once` types it too, so that what is printed works.

use std::path::Path;

use anyhow::Result;
use gateway_testkit::{Tool, Upstream};

use crate::commands::{Typed, available, check_pages, curl};
use crate::egress;
use crate::evidence::openssl;
use crate::report::Report;
use crate::world::World;

/// The commands, with what to expect of each.
pub(crate) fn print(world: &World, report: &Report) -> Result<()> {
    let commands = Commands::of(world)?;
    report.heading("Try it by hand (in another terminal)");
    report.text("   Be the frontend; the first line comes from billing, then it sends back what you type:");
    report.text(&format!("     {}", commands.openssl.shell()));
    report.text("   The same with ledger, which is outside the mesh:");
    report.text(&format!("     {}", commands.ledger.shell()));
    report.text("   Ask the gateways what they see:");
    for page in &commands.pages {
        report.text(&format!("     {}", page.shell()));
    }
    report.text("   Ask what would happen to a name:");
    report.text(&format!("     {}", commands.explain.shell()));
    report.text(
        "   Ask egress who may call, and why; then write another intention while the call above is open:",
    );
    report.text(&format!("     {}", commands.judged.shell()));
    report.text(&format!("     $EDITOR {}", commands.intentions));
    report.text("   Change the mesh; the gateway follows at once, and no connection is cut:");
    report.text(&format!("     $EDITOR {}", commands.catalog));
    report.admin_pages(&[&world.dc1, &world.dc2, &world.egress]);
    Ok(())
}

/// Runs the same commands and looks at their output.
pub(crate) async fn check(world: &World, report: &mut Report) -> Result<()> {
    let commands = Commands::of(world)?;
    report.step("the commands to try by hand");
    if available(report, Tool::OpenSsl) {
        let greeting = commands.openssl.greeted().await;
        let good = greeting.as_ref().is_ok_and(|line| line.contains("\"service\":\"billing\""));
        report.expect(good, "openssl s_client reaches billing as frontend", format!("{greeting:?}"));
        let greeting = commands.ledger.greeted().await;
        let good = greeting.as_ref().is_ok_and(|line| line.contains("ledger is ready"));
        report.expect(good, "and ledger, which is outside the mesh", format!("{greeting:?}"));
    }
    check_pages(&commands.pages, report).await;
    let explained = commands.explain.output().await;
    let good = explained.as_ref().is_ok_and(|text| text.contains("billing"));
    report.expect(good, "mesh-gw explain knows the name", format!("{explained:?}"));
    let judged = commands.judged.outcome().await;
    let good = judged.as_ref().is_ok_and(|(code, text)| *code == Some(1) && text.contains("deny"));
    report.expect(good, "terminating-gw explain says who is denied", format!("{judged:?}"));
    Ok(())
}

struct Commands {
    openssl: Typed,
    pages: Vec<Typed>,
    explain: Typed,
    ledger: Typed,
    judged: Typed,
    catalog: String,
    intentions: String,
}

impl Commands {
    fn of(world: &World) -> Result<Self> {
        let sni = Upstream::new("billing", "dc2").sni(world.pki.trust_domain());
        let outside = Upstream::new("ledger", "dc2").sni(world.pki.trust_domain());
        let pages = [
            (&world.dc1, "connections"),
            (&world.dc2, "endpoints"),
            (&world.dc2, "metrics"),
            (&world.egress, "certs"),
            (&world.egress, "connections"),
        ];
        let path = |path: &Path| path.display().to_string();
        let catalog = world.dc2_catalog.path();
        let explain = [path(&world.binary), "explain".into(), "--catalog".into(), path(catalog), sni.clone()];
        Ok(Commands {
            openssl: openssl(world.dc1.address()?, &sni, &world.frontend_files, &world.roots),
            ledger: openssl(world.dc1.address()?, &outside, &world.frontend_files, &world.roots),
            judged: egress::explain(world, "batch"),
            intentions: path(&world.intentions_file()),
            pages: pages.into_iter().filter_map(|(gateway, page)| curl(gateway, page)).collect(),
            explain: Typed::new(explain),
            catalog: path(&catalog.join("mesh.toml")),
        })
    }
}
