//! Settings from the environment: `GATEWAY_` and the key in capitals, `.` written as `_`; and the
//! variables of Consul's own commands, which are weaker.
//!
//! An empty variable counts as unset. A `GATEWAY_` variable that is nobody's is an error, as in a
//! file, because a typing mistake must not be silent. The variables by which Kubernetes describes a
//! service called `gateway…` are let pass: nobody wrote them.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::Role;
use super::keys::Key;
use super::kind::Raw;
use super::origin::Origin;
use super::problem::SettingProblem;
use super::sources::Given;

/// What the name of a variable begins with.
pub(super) const PREFIX: &str = "GATEWAY_";
/// Names the settings file; it is no key of that file.
const CONFIG: &str = "GATEWAY_CONFIG";
/// Of Consul's own commands: where Envoy gets its configuration and its certificates from.
const GRPC: [&str; 3] = ["CONSUL_GRPC_ADDR", "CONSUL_GRPC_CACERT", "CONSUL_GRPC_CAPATH"];
/// Makes Consul's own command the sidecar of a service.
const SIDECAR: &str = "CONNECT_SIDECAR_FOR";

/// What the environment says.
#[derive(Default)]
pub(super) struct Environment {
    /// The settings file that it names.
    pub(super) config: Option<PathBuf>,
    /// `GATEWAY_` variables, sorted by name.
    pub(super) ours: Vec<Result<Given, SettingProblem>>,
    /// Consul's variables, the weakest of each key first. They only hold where Consul is asked.
    pub(super) consul: Vec<Result<Given, SettingProblem>>,
    /// Names of Consul's variables that are known and without use here.
    pub(super) unused: Vec<&'static str>,
}

/// Reads `environment`.
pub(super) fn read(role: Role, environment: &[(OsString, OsString)]) -> Environment {
    let mut found = Environment::default();
    let set: Vec<_> = environment.iter().filter(|(_, value)| !value.is_empty()).collect();
    ours(role, &set, &mut found);
    let get = |wanted: &str| set.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    for key in Key::all(role) {
        for name in key.consul {
            found.consul.extend(get(name).map(|value| given(key, name, value)));
        }
    }
    if get(SIDECAR).is_some() {
        let message = "a gateway is no sidecar: unset it, and give proxy_id for a service that is registered";
        found.consul.push(Err(SettingProblem::new(
            Origin::Environment(SIDECAR.to_owned()),
            SIDECAR,
            message,
        )));
    }
    found.unused.extend(GRPC.iter().filter(|name| get(name).is_some()));
    found
}

fn ours(role: Role, set: &[&(OsString, OsString)], found: &mut Environment) {
    let mut ours: Vec<_> = set
        .iter()
        .filter_map(|(name, value)| {
            let name = name.to_str()?;
            name.starts_with(PREFIX).then_some((name, value))
        })
        .filter(|(name, value)| !is_service_link(name, value.to_str().unwrap_or_default()))
        .collect();
    ours.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in ours {
        if name == CONFIG {
            found.config = Some(PathBuf::from(value));
            continue;
        }
        found.ours.push(match Key::all(role).find(|key| key.variable() == name) {
            Some(key) => given(key, name, value),
            None => {
                let origin = Origin::Environment(name.to_owned());
                Err(SettingProblem::new(origin, name, "no setting has this variable").hint(near(role, name)))
            }
        });
    }
}

fn given(key: &'static Key, name: &str, value: &OsStr) -> Result<Given, SettingProblem> {
    let origin = Origin::Environment(name.to_owned());
    match value.to_str() {
        Some(value) => Ok(Given { key, raw: Raw::Loose(value.to_owned()), origin }),
        None => Err(SettingProblem::new(origin, name, "the value is not UTF-8")),
    }
}

fn near(role: Role, name: &str) -> Option<String> {
    Key::all(role)
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
