//! `check`: everything that is wrong or doubtful, without opening a socket.

use std::io::Write;
use std::path::{Path, PathBuf};

use gateway_state::mesh::{MeshSnapshot, Rule};

use crate::catalog;
use crate::settings::Settings;

/// Checks the catalog of the settings, or each of `catalogs` on its own. Prints every problem and
/// warning and a summary; true if nothing is wrong. (Settings that are wrong are found before.)
pub fn check(settings: &Settings, catalogs: &[PathBuf], out: &mut dyn Write) -> bool {
    let own = std::slice::from_ref(&settings.catalog);
    let catalogs = if catalogs.is_empty() { own } else { catalogs };
    let results: Vec<_> = catalogs.iter().map(|path| check_one(settings, path, out)).collect();
    results.iter().all(|good| *good)
}

fn check_one(settings: &Settings, path: &Path, out: &mut dyn Write) -> bool {
    let (lines, good) = match catalog::load(settings, path) {
        Ok(snapshot) => {
            let mut lines: Vec<_> =
                snapshot.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
            lines.push(format!("{}: good: {}", path.display(), summary(&snapshot)));
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

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
