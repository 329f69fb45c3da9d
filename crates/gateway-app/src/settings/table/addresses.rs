//! Where the gateway listens, and where others reach it.

use super::super::address::host_port;
use super::*;

pub(super) static ADDRESSES: &[Key] = &[
    key!(
        "address",
        OwnAddress(|s, v| s.address = v),
        "0.0.0.0:8443",
        "Address to listen on and to register, as `IP`, `IP:PORT` or `:PORT`. The port is 8443 where none is given. With `bind_address` it is registered only, and may be a `HOST:PORT`."
    ),
    key!(
        "wan_address",
        Text(|s, v| host_port(v).map(|v| s.wan_address = Some(v))),
        "",
        "Address by which other datacenters reach this gateway, registered as its WAN address. Where it is an IP, an endpoint with this address is the gateway itself: dialling it would be a loop and is refused. The port is 8443 where none is given."
    ),
    key!(
        "bind_address",
        Listeners(|s, v| s.bind_addresses = v),
        "",
        "Listeners with names, in place of `address`. The flag may be repeated; the variable takes a list with commas. All listeners serve the same names."
    ),
    key!(
        "admin_bind",
        Address(|s, v| s.admin_bind = v),
        "127.0.0.1:19000",
        "Address of the admin endpoint. Whoever reaches it reads everything but secrets: keep it on loopback."
    ),
    key!(
        "admin_token_file",
        Path(|s, v| s.admin_token_file = Some(v.into())),
        "",
        "File with the token for what changes state on the admin endpoint (`PUT /log-level`). Without it nothing does."
    ),
];
