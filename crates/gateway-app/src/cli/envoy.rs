//! Flags of `consul connect envoy` that are about Envoy, so that one command can be swapped for the
//! other. What changes nothing here is ignored with a note; what somebody counts on is refused with
//! the way out.

use crate::settings::Role;

/// A flag of `consul connect envoy` that is no setting.
pub(super) struct EnvoyFlag {
    pub(super) name: &'static str,
    /// Whether it stands alone or with `=true`; the others take the next argument.
    pub(super) switch: bool,
    /// What becomes of it.
    pub(super) fate: Fate,
}

/// What becomes of a flag.
pub(super) enum Fate {
    /// It is left out, and this is why nothing is missing.
    Ignored(&'static str),
    /// It is about Consul's gRPC port, and left out: [`Role::no_grpc`].
    Grpc,
    /// The command line is wrong with it, and this would be right.
    Refused(&'static str),
    /// It names the kind of gateway, which must be this one.
    Kind,
}

use Fate::{Grpc, Ignored, Kind, Refused};

const BINARY: &str = "there is no Envoy here";
const METRICS: &str = "metrics are on the admin endpoint, at /metrics";
const LOGIN: &str = "logging in to Consul is not in this version; use --token-file";

const FLAGS: [EnvoyFlag; 27] = [
    takes("admin-access-log-path", Ignored("the admin endpoint has no access log")),
    switch(
        "bootstrap",
        Refused("there is no configuration of an Envoy to print; `check` reads settings and files"),
    ),
    switch("enable-config-gen-logging", Ignored("use --log-level debug")),
    takes("envoy-binary", Ignored(BINARY)),
    takes("envoy-ready-bind-address", Refused("the admin endpoint answers /ready; use --admin-bind")),
    takes("envoy-ready-bind-port", Refused("the admin endpoint answers /ready; use --admin-bind")),
    takes("envoy-version", Ignored(BINARY)),
    switch("expose-servers", Refused("WAN federation through gateways is not in this version; leave it out")),
    takes("gateway", Kind),
    takes("grpc-addr", Grpc),
    takes("grpc-ca-file", Grpc),
    takes("grpc-ca-path", Grpc),
    switch("ignore-envoy-compatibility", Ignored(BINARY)),
    takes("login-bearer-token-file", Refused(LOGIN)),
    takes("login-meta", Refused(LOGIN)),
    takes("login-method", Refused(LOGIN)),
    switch("mesh-gateway", Kind),
    switch("no-central-config", Ignored("no configuration of an Envoy is read from Consul")),
    switch("omit-deprecated-tags", Ignored("metrics have names of their own")),
    takes("prometheus-backend-port", Ignored(METRICS)),
    takes("prometheus-ca-file", Ignored(METRICS)),
    takes("prometheus-ca-path", Ignored(METRICS)),
    takes("prometheus-cert-file", Ignored(METRICS)),
    takes("prometheus-key-file", Ignored(METRICS)),
    takes("prometheus-scrape-path", Ignored(METRICS)),
    takes(
        "sidecar-for",
        Refused("a gateway is no sidecar; use --proxy-id for a gateway that is registered, or --register"),
    ),
    takes("state-dir", Refused("what was known last is not kept on disk in this version; leave it out")),
];

/// The flag of this name, without dashes.
pub(super) fn flag(name: &str) -> Option<&'static EnvoyFlag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

impl EnvoyFlag {
    /// What to tell the operator: a note, or why the command line is wrong. `value` is what was given
    /// with it; `None` for a switch that stands alone.
    pub(super) fn judge(&self, role: Role, value: Option<&str>) -> Result<Option<String>, String> {
        let name = self.name;
        if self.switch && matches!(value, Some("false" | "0" | "f" | "F" | "FALSE" | "False")) {
            return Ok(None);
        }
        match &self.fate {
            Ignored(why) => Ok(Some(format!("--{name} is not used: {why}"))),
            Grpc => Ok(Some(format!("--{name} is not used: {}", role.no_grpc()))),
            Refused(way_out) => Err(format!("--{name}: {way_out}")),
            Kind => match if self.switch { Some("mesh") } else { value } {
                Some(kind) if kind == role.kind() => Ok(None),
                Some(kind) => Err(format!(
                    "--{name}: this program is a {} gateway and cannot be of kind \"{kind}\"",
                    role.kind()
                )),
                None => Err(format!("--{name}: a value is missing: --{name}={}", role.kind())),
            },
        }
    }
}

const fn takes(name: &'static str, fate: Fate) -> EnvoyFlag {
    EnvoyFlag { name, switch: false, fate }
}

const fn switch(name: &'static str, fate: Fate) -> EnvoyFlag {
    EnvoyFlag { name, switch: true, fate }
}
