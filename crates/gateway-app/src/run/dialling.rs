//! How endpoints are dialled: what the gateway's registration says wins over the settings.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway_state::OwnOptions;
use mesh_forward::tcp::dial::OwnAddresses;
use mesh_forward::tcp::socket::Keepalive;

use super::config::remote_keepalive;
use crate::parts::Dialling;
use crate::settings::Settings;

/// `listening`: where the process listens. Dialling that, or where it is advertised, would be a loop.
pub(super) fn of(
    settings: &Settings,
    own: &OwnOptions,
    listening: impl Iterator<Item = SocketAddr>,
) -> Dialling {
    let advertised = settings.wan_address.as_deref().and_then(|text| text.parse().ok());
    let addresses = listening.chain(advertised).chain(own.advertised.iter().copied()).collect();
    let keepalive = |it: gateway_state::RemoteKeepalive| Keepalive {
        idle: it.time,
        interval: it.interval,
        probes: it.probes,
    };
    Dialling {
        connect_timeout: own.connect_timeout.unwrap_or(settings.timers.connect),
        remote_keepalive: own.remote_keepalive.map(keepalive).or_else(|| remote_keepalive(settings)),
        own: Arc::new(OwnAddresses { addresses }),
    }
}
