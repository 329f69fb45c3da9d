//! How to reach Consul, under the names that Consul's own commands have for it.

use super::super::checks;
use super::*;

// The places of the token are put in order once all are known, see `sources`.
pub(super) static CONNECTION: &[Key] = &[
    key!(
        "http_addr",
        Texts(|s, v| checks::addresses(v).map(|v| s.http_addr = v)),
        "127.0.0.1:8500",
        "Address of the Consul agent, or of a server, as `HOST:PORT`. Also `https://HOST:PORT[/PREFIX]` and `unix:///PATH`. The flag may be repeated, the variable takes a list with commas: they are tried in turn.",
        "CONSUL_HTTP_ADDR"
    ),
    key!(
        "token",
        Secret(|_, v| checks::token(v)),
        "",
        "ACL token. Every user of the host sees the flag of a process: `token_file` is better. Without a token the agent's own default token applies. At equal rank a file wins over a token.",
        "CONSUL_TOKEN",
        "CONSUL_HTTP_TOKEN"
    ),
    key!(
        "token_file",
        Path(|_, _| ()),
        "",
        "File with the ACL token. It is read again on SIGHUP and when Consul no longer knows the token. A blank file counts as none.",
        "CONSUL_HTTP_TOKEN_FILE"
    ),
    key!(
        "ca_file",
        Path(|s, v| s.tls.ca_file = Some(v.into())),
        "",
        "PEM file with the CA certificates that Consul's certificate must lead to. Default: those of the system.",
        "CONSUL_CACERT"
    ),
    key!(
        "ca_path",
        Path(|s, v| s.tls.ca_path = Some(v.into())),
        "",
        "Folder of such files, with all folders in it; every file must be PEM. Not used when `ca_file` is given.",
        "CONSUL_CAPATH"
    ),
    key!(
        "client_cert",
        Path(|s, v| s.tls.client_cert = Some(v.into())),
        "",
        "PEM file with the certificate that this process shows to Consul (`verify_incoming`). Needs `client_key`.",
        "CONSUL_CLIENT_CERT"
    ),
    key!(
        "client_key",
        Path(|s, v| s.tls.client_key = Some(v.into())),
        "",
        "PEM file with the key of `client_cert`.",
        "CONSUL_CLIENT_KEY"
    ),
    key!(
        "tls_server_name",
        Text(|s, v| checks::server_name(v).map(|v| s.tls.server_name = Some(v))),
        "",
        "Name that Consul's certificate must have. Default: the host of `http_addr`.",
        "CONSUL_TLS_SERVER_NAME"
    ),
    key!(
        "datacenter",
        Text(|s, v| name(v).map(|v| s.datacenter = Some(v))),
        "",
        "Datacenter to ask for. Default: the agent's."
    ),
    key!(
        "namespace",
        Text(|s, v| name(v).map(|v| s.namespace = Some(v))),
        "",
        "Namespace of the gateway (Consul Enterprise). The community edition refuses any, `default` too.",
        "CONSUL_NAMESPACE"
    ),
    key!(
        "partition",
        Text(|s, v| name(v).map(|v| s.partition = Some(v))),
        "",
        "Admin partition of the gateway (Consul Enterprise). The community edition refuses any, `default` too.",
        "CONSUL_PARTITION"
    ),
];

pub(super) static UNFLAGGED: &[Key] = &[
    key!(
        "http_ssl",
        Bool(|s, v| s.http_ssl = v),
        "false",
        "TLS to every `http_addr`, also where that says `http://`.",
        "CONSUL_HTTP_SSL"
    ),
    key!(
        "http_ssl_verify",
        Bool(|s, v| s.tls.verify = v),
        "true",
        "Whether Consul's certificate is verified. `false` lets anybody between gateway and Consul read the token and change what is served; it is warned of at every start.",
        "CONSUL_HTTP_SSL_VERIFY"
    ),
    key!(
        "http_auth",
        Secret(|s, v| checks::basic_auth(v).map(|v| s.http_auth = Some(v))),
        "",
        "`USER:PASSWORD` for a proxy in front of Consul (HTTP Basic); Consul itself ignores it.",
        "CONSUL_HTTP_AUTH"
    ),
];
