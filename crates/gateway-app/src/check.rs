//! `check`: everything that is wrong or doubtful, without opening a socket.
//!
//! Where the services come from Consul, that is what the settings say about it and the files that they
//! name: token, certificates, key.

use std::io::Write;
use std::path::{Path, PathBuf};

use catalog_client::Client;
use catalog_client::config::TokenSource;
use gateway_state::Snapshot;
use gateway_state::mesh::{MeshSnapshot, Rule};

use crate::catalog;
use crate::role::{AppRole, MeshGateway, SnapshotOf};
use crate::settings::{ConsulSettings, OwnService, Role, Settings, Source};
use crate::terminating;

/// Checks what the settings name, or each of `catalogs` on its own. Prints every problem and
/// warning and a summary; true if nothing is wrong. (Settings that are wrong are found before.)
pub fn check(settings: &Settings, catalogs: &[PathBuf], out: &mut dyn Write) -> bool {
    for warning in &settings.warnings {
        // Who asks from a script may read the code only.
        let _ = writeln!(out, "warning: {warning}");
    }
    if !catalogs.is_empty() {
        let results: Vec<_> = catalogs.iter().map(|path| check_one(settings, path, out)).collect();
        return results.iter().all(|good| *good);
    }
    match &settings.source {
        Source::Catalog(path) => check_one(settings, path, out),
        Source::Consul(consul) => check_consul(settings, consul, out),
    }
}

fn check_consul(settings: &Settings, consul: &ConsulSettings, out: &mut dyn Write) -> bool {
    let token = match TokenSource::first(&consul.tokens) {
        Ok(Some(_)) => Ok("with a token"),
        Ok(None) => Ok("without a token"),
        Err(error) => Err(error),
    };
    // The client reads the same files; nothing is opened before it is asked for something.
    let client = Client::new(consul.client_config(settings.role.program())).map(drop);
    let (line, good) = match token.and_then(|token| client.map(|()| token)) {
        Ok(token) => {
            let own = own_service(&settings.service, &consul.own);
            (format!("Consul at {consul}: settings and files are good: {token}, {own}"), true)
        }
        Err(error) => (format!("error: {error}\nConsul at {consul}: not usable"), false),
    };
    let _ = writeln!(out, "{line}");
    good
}

fn own_service(name: &str, own: &OwnService) -> String {
    match own {
        OwnService::OnlyOne => "the only gateway of its kind on the agent".to_owned(),
        OwnService::OfAgent { id } => format!("service \"{id}\" of the agent"),
        OwnService::OfNode { id, node } => format!("service \"{id}\" of node \"{node}\""),
        OwnService::Register(register) => match &register.node {
            None => format!("registers \"{name}\" as \"{}\"", register.id),
            Some(node) => format!("registers \"{name}\" as \"{}\" on node \"{node}\"", register.id),
        },
    }
}

fn check_one(settings: &Settings, path: &Path, out: &mut dyn Write) -> bool {
    match settings.role {
        Role::Mesh => {
            check_files::<MeshGateway>(settings, path, |snapshot| (Vec::new(), summary(snapshot)), out)
        }
        Role::Terminating => {
            check_files::<terminating::TerminatingGateway>(settings, path, terminating::checked, out)
        }
    }
}

/// `judge`: what else is doubtful in a good catalog, and what it comes to.
fn check_files<R: AppRole>(
    settings: &Settings,
    path: &Path,
    judge: impl FnOnce(&SnapshotOf<R>) -> (Vec<String>, String),
    out: &mut dyn Write,
) -> bool {
    let (lines, good) = match catalog::load::<R>(settings, path) {
        Ok(snapshot) => {
            let (doubtful, summary) = judge(&snapshot);
            let known = snapshot.warnings().iter().map(ToString::to_string);
            let mut lines: Vec<_> =
                known.chain(doubtful).map(|warning| format!("warning: {warning}")).collect();
            lines.push(format!("{}: good: {summary}", path.display()));
            (lines, true)
        }
        Err(problems) => {
            let mut lines: Vec<_> =
                problems.problems.iter().map(|problem| format!("error: {problem}")).collect();
            lines.extend(problems.warnings.iter().map(|warning| format!("warning: {warning}")));
            lines.push(format!(
                "{}: not usable: {}, {}",
                path.display(),
                count(problems.problems.len(), "problem"),
                count(problems.warnings.len(), "warning")
            ));
            (lines, false)
        }
    };
    for line in lines {
        // Who asks from a script may read the code only.
        let _ = writeln!(out, "{line}");
    }
    good
}

/// `12 names, 8 services, 2 gateways of other datacenters`.
fn summary(snapshot: &MeshSnapshot) -> String {
    let targets = snapshot.table.targets();
    let services = targets.iter().filter(|target| target.rule == Rule::Service).count();
    let remote = targets.iter().filter(|target| target.rule == Rule::RemoteDatacenter);
    let gateways = remote.map(|target| target.endpoints.len()).sum();
    format!(
        "{}, {}, {} of other datacenters, {}",
        count(targets.len(), "name"),
        count(services, "service"),
        count(gateways, "gateway"),
        count(snapshot.warnings.len(), "warning")
    )
}

pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;
    use crate::testing::{Catalog, printed};

    fn checked(catalog: &Catalog) -> (bool, Vec<String>) {
        let (good, text) = printed(|out| check(&catalog.settings(&[]), &[], out));
        let folder = format!("{}", catalog.path().display());
        (good, text.replace(&folder, "catalog").lines().map(str::to_owned).collect())
    }

    #[test]
    fn a_good_catalog_is_summed_up() {
        let (good, lines) = checked(&Catalog::example());
        let last = "catalog: good: 4 names, 1 service, 1 gateway of other datacenters, 0 warnings";
        assert!(good);
        assert_eq!(lines.last().map(String::as_str), Some(last), "{lines:?}");
    }

    #[test]
    fn all_problems_of_all_files_are_printed() {
        let catalog = Catalog::with("[[Instance]]\nServce = \"web\"\n");
        std::fs::write(catalog.path().join("other.toml"), "[[Route]]\nSNI = 3\nTo = []\n").unwrap();
        let (good, lines) = checked(&catalog);
        assert!(!good);
        let wanted = "error: catalog/more.toml:2: Instance[0].Servce:";
        assert!(lines.iter().any(|line| line.starts_with(wanted) && line.contains("Service")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("error: catalog/other.toml:2: ")), "{lines:#?}");
        assert!(lines.last().is_some_and(|last| last.starts_with("catalog: not usable: ")), "{lines:#?}");
    }

    #[test]
    fn several_catalogs_are_checked_each_on_its_own() {
        let (one, two) = (Catalog::example(), Catalog::example());
        let (good, text) =
            printed(|out| check(&one.settings(&[]), &[one.path(), two.path(), "/nowhere".into()], out));
        assert!(!good);
        assert_eq!(text.matches(": good: ").count(), 2, "{text}");
        assert!(text.contains("error: /nowhere"), "{text}");
    }

    /// Row 3 of consul-api 7, and the other files.
    #[test]
    fn settings_for_consul_are_checked_with_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let check = |variables: &[(&str, &str)]| {
            let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let sources = Sources { environment: environment.collect(), ..Sources::default() };
            let settings = Settings::load(Role::Mesh, &sources).unwrap();
            printed(|out| super::check(&settings, &[], out))
        };
        std::fs::write(path("token"), "t\n").unwrap();
        let (good, text) = check(&[("GATEWAY_TOKEN_FILE", &path("token")), ("GATEWAY_REGISTER", "true")]);
        assert!(good, "{text}");
        assert_eq!(
            text,
            "Consul at 127.0.0.1:8500: settings and files are good: with a token, registers \"mesh-gateway\" as \"mesh-gateway\"\n"
        );
        let (good, text) = check(&[("CONSUL_HTTP_TOKEN_FILE", &path("none"))]);
        assert!(!good && text.contains(&path("none")) && text.ends_with("not usable\n"), "{text}");

        let https = ("CONSUL_HTTP_SSL", "true");
        std::fs::write(path("stray"), "not a certificate").unwrap();
        for variable in ["CONSUL_CACERT", "CONSUL_CAPATH"] {
            let value = if variable == "CONSUL_CACERT" { path("stray") } else { path("") };
            let (good, text) = check(&[https, (variable, &value)]);
            assert!(!good && text.starts_with("error: "), "{text}");
            assert!(text.contains(&path("stray")) || text.contains(&path("token")), "{text}");
        }
        let (good, text) = check(&[("CONSUL_HTTP_SSL_VERIFY", "false")]);
        assert!(good && text.starts_with("warning: Consul's certificate is not verified"), "{text}");
    }
}
