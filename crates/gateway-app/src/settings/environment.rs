//! Settings from the environment: `GATEWAY_` and the key in capitals, `.` written as `_`.
//!
//! A variable that is nobody's is an error, as in a file, because a typing mistake must not be
//! silent. The variables by which Kubernetes describes a service called `gateway…` are let pass:
//! nobody wrote them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::Key;
use super::kind::Raw;
use super::origin::Origin;
use super::problem::SettingProblem;
use super::sources::Given;

/// What the name of a variable begins with.
pub(super) const PREFIX: &str = "GATEWAY_";
/// Names the settings file; it is no key of that file.
const CONFIG: &str = "GATEWAY_CONFIG";

/// What the environment sets, sorted by name, and the settings file that it names.
pub(super) fn read(
    environment: &[(OsString, OsString)],
) -> (Vec<Result<Given, SettingProblem>>, Option<PathBuf>) {
    let mut config = None;
    let mut ours: Vec<_> = environment
        .iter()
        .filter_map(|(name, value)| {
            let name = name.to_str()?;
            name.starts_with(PREFIX).then_some((name, value))
        })
        .filter(|(name, value)| !is_service_link(name, value.to_str().unwrap_or_default()))
        .collect();
    ours.sort_unstable_by_key(|(name, _)| *name);
    let mut given = Vec::new();
    for (name, value) in ours {
        if name == CONFIG {
            config = Some(PathBuf::from(value));
            continue;
        }
        let origin = Origin::Environment(name.to_owned());
        let problem = |message: &str| SettingProblem::new(origin.clone(), name, message);
        let key = Key::all().find(|key| key.variable() == name);
        given.push(match (key, value.to_str()) {
            (Some(key), Some(value)) => Ok(Given { key, raw: Raw::Loose(value.to_owned()), origin }),
            (Some(_), None) => Err(problem("the value is not UTF-8")),
            (None, _) => Err(problem("no setting has this variable").hint(near(name))),
        });
    }
    (given, config)
}

fn near(name: &str) -> Option<String> {
    Key::all()
        .map(Key::variable)
        .map(|known| (strsim::damerau_levenshtein(name, &known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

/// Whether Kubernetes made this variable for a service whose name begins with `gateway`:
/// `…_SERVICE_HOST`, `…_SERVICE_PORT[_name]`, `…_PORT=tcp://…`, `…_PORT_<n>_TCP[_…]`.
fn is_service_link(name: &str, value: &str) -> bool {
    let url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let numbered = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = protocol.split('_').next().unwrap_or_default();
        number.parse::<u16>().is_ok() && matches!(protocol, "TCP" | "UDP" | "SCTP")
    });
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || numbered
        || name.ends_with("_PORT") && url
}
