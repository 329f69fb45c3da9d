//! What to type to see more. `--once` types it too.

use std::path::Path;

use anyhow::{Context, Result};
use gateway_testkit::{Consul, Deadline, Tool, Upstream, wait_for};

use super::changes::{COPIED_WITHIN, resolver, v2, wait_names};
use super::world::World;
use crate::commands::{Typed, available, check_pages, curl};
use crate::evidence::openssl;
use crate::report::Report;

struct Commands {
    openssl: Typed,
    members: Typed,
    services: Typed,
    write: Typed,
    subset: Typed,
    delete: Typed,
    deny: Typed,
    allow: Typed,
    explain: Typed,
    pages: Vec<Typed>,
}

impl Commands {
    fn of(world: &World) -> Result<Self> {
        let file = world.dir.join("resolver.json");
        std::fs::write(&file, format!("{:#}\n", resolver()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let at = |consul: &Consul, words: &[&str]| {
            let program = world.program.display().to_string();
            let words = std::iter::once(program).chain(words.iter().map(|word| (*word).to_owned()));
            Typed::new(words).with("CONSUL_HTTP_ADDR", format!("http://{}", consul.http()))
        };
        let (dc1, dc2) = (&world.consuls.dc1, &world.consuls.dc2);
        let caller = |upstream: &Upstream| {
            let files = &world.frontend_files;
            let sni = upstream.sni(world.trust().domain());
            anyhow::Ok(openssl(world.dc1.address()?, &sni, &files.leaf, &files.roots))
        };
        let agent = format!("--http-addr={}", dc2.http());
        let name = Upstream::new("billing", "dc2").sni(world.trust().domain());
        let explain = [path(&world.binary), "explain".to_owned(), agent, name];
        let pages = [(&world.dc1, "snapshot"), (&world.dc2, "endpoints"), (&world.dc2, "metrics")];
        Ok(Commands {
            openssl: caller(&Upstream::new("billing", "dc2"))?,
            members: at(dc1, &["members", "-wan"]),
            services: at(dc2, &["catalog", "services"]),
            write: at(dc2, &["config", "write", &path(&file)]),
            subset: caller(&v2())?,
            delete: at(dc2, &["config", "delete", "-kind", "service-resolver", "-name", "billing"]),
            deny: at(dc1, &["intention", "create", "-deny", "frontend", "billing"]),
            allow: at(dc1, &["intention", "delete", "frontend", "billing"]),
            explain: Typed::new(explain),
            pages: pages.into_iter().filter_map(|(gateway, page)| curl(gateway, page)).collect(),
        })
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The commands, with what to expect of each.
pub(crate) fn print(world: &World, report: &Report) -> Result<()> {
    let commands = Commands::of(world)?;
    let show = |what: &str, typed: &[&Typed]| {
        report.text(&format!("   {what}"));
        typed.iter().for_each(|typed| report.text(&format!("     {}", typed.shell())));
    };
    report.heading("Try it by hand (in another terminal)");
    show(
        "Be the frontend; the first line comes from billing, then it sends back what you type:",
        &[&commands.openssl],
    );
    show("Ask Consul:", &[&commands.members, &commands.services]);
    show("Write a resolver with subsets, and call one of them:", &[&commands.write, &commands.subset]);
    show("Take it away again:", &[&commands.delete]);
    show(
        "Forbid the call: the sidecar of billing refuses it, not the gateways. And allow it again:",
        &[&commands.deny, &commands.allow],
    );
    show("Ask what would happen to a name, with what Consul says now:", &[&commands.explain]);
    show("Ask the gateways what they see:", &commands.pages.iter().collect::<Vec<_>>());
    let consul = &world.consuls.dc1;
    let configuration = path(&consul.dir().join("0.json"));
    let start = Typed::new([path(&world.program), "agent".into(), "-config-file".into(), configuration]);
    report.text("   Kill the Consul of dc1, call billing as above, and start it again:");
    report.text(&format!("     kill -9 {}", consul.pid()));
    report.text(&format!("     {}", start.shell()));
    report.admin_pages(&[&world.dc1, &world.dc2]);
    Ok(())
}

/// Runs them and looks at what comes back.
pub(crate) async fn check(world: &World, report: &mut Report) -> Result<()> {
    let commands = Commands::of(world)?;
    report.step("the commands to try by hand");
    let openssl = available(report, Tool::OpenSsl);
    if openssl {
        reaches(report, &commands.openssl, "billing-").await;
    }
    for (command, expected) in
        [(&commands.members, "server-dc2.dc2"), (&commands.services, "mesh-gateway"), (&commands.write, "")]
    {
        runs(report, command, expected).await;
    }
    let name = v2().sni(world.trust().domain());
    wait_names(&world.dc2, &name, 1).await?;
    if openssl {
        reaches(report, &commands.subset, "billing-2").await;
    }
    runs(report, &commands.delete, "").await;
    wait_names(&world.dc2, &name, 0).await?;
    if openssl {
        runs(report, &commands.deny, "").await;
        let refused = async || commands.openssl.greeted().await.err();
        let denied = wait_for(Deadline::after(COPIED_WITHIN), "billing's sidecar refuses", refused).await;
        report.expect(
            denied.is_ok(),
            "the intention holds: billing's sidecar refuses",
            format!("{:?}", denied.err()),
        );
        runs(report, &commands.allow, "").await;
        let reached = async || commands.openssl.greeted().await.ok();
        let allowed = wait_for(Deadline::after(COPIED_WITHIN), "billing's sidecar lets in", reached).await;
        report.expect(allowed.is_ok(), "and is gone again", format!("{:?}", allowed.err()));
    }
    runs(report, &commands.explain, "service billing.default.dc2.internal").await;
    check_pages(&commands.pages, report).await;
    Ok(())
}

async fn reaches(report: &mut Report, openssl: &Typed, instance: &str) {
    let greeting = openssl.greeted().await;
    let good = greeting.as_ref().is_ok_and(|line| line.contains(&format!("\"instance\":\"{instance}")));
    report.expect(good, &format!("openssl s_client reaches {instance}*"), format!("{greeting:?}"));
}

async fn runs(report: &mut Report, typed: &Typed, expected: &str) {
    let output = typed.output().await;
    let good = output.as_ref().is_ok_and(|text| text.contains(expected));
    report.expect(good, &typed.shell(), format!("{output:?}"));
}
