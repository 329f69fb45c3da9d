//! Each address of the settings: whether an agent answers there, and what time it has.

use std::time::{Duration, SystemTime};

use catalog_client::client::Protocol;
use catalog_client::config::{Address, ConfigError, Scheme};
use catalog_client::query::StatusLeader;
use catalog_client::{Client, Error};

use super::super::report::Report;
use crate::catalog::once::{Asking, ask};
use crate::settings::{ConsulSettings, Settings};

/// A difference below this is nobody's trouble; the header has whole seconds.
const CLOSE: Duration = Duration::from_secs(10);

/// What an address told.
struct Told {
    leader: Option<Box<str>>,
    protocol: Option<Protocol>,
    clock: Option<Clock>,
}

/// A clock that was read, and this host's before and after.
#[derive(Clone, Copy, Debug)]
struct Clock {
    theirs: SystemTime,
    before: SystemTime,
    after: SystemTime,
}

enum Failed {
    Settings(ConfigError),
    Asked(Error),
    Panicked,
}

/// True if one answers.
pub(super) fn try_each(
    settings: &Settings,
    consul: &ConsulSettings,
    asking: &Asking<'_>,
    report: &mut Report<'_>,
) -> bool {
    // All at the same time: one that is silent takes its whole time.
    let told = asking.wait(async {
        let tries: Vec<_> = consul
            .addresses
            .iter()
            .map(|address| {
                let mut config = consul.client_config(settings.role.program());
                config.addresses = vec![address.clone()];
                tokio::spawn(async move {
                    let client = Client::new(config).map_err(Failed::Settings)?;
                    one(&client).await.map_err(Failed::Asked)
                })
            })
            .collect();
        let mut told = Vec::new();
        for one in tries {
            told.push(one.await.unwrap_or(Err(Failed::Panicked)));
        }
        told
    });
    let answers = told.iter().filter(|told| told.is_ok()).count();
    for (address, told) in consul.addresses.iter().zip(&told) {
        match told {
            Ok(told) => good(address, told, report),
            Err(failed) => {
                let line = match failed {
                    Failed::Settings(error) => error.to_string(),
                    Failed::Asked(error) => format!("{error}{}", tls_in_use(consul, address)),
                    Failed::Panicked => "the attempt panicked; please report this".to_owned(),
                };
                if answers == 0 {
                    report.fail("agent", line);
                } else {
                    report.warn("agent", format!("{line}; another address answers, and is used"));
                }
            }
        }
    }
    answers > 0
}

async fn one(client: &Client) -> Result<Told, Error> {
    let (leader, _) = ask(client, &StatusLeader).await?;
    let before = SystemTime::now();
    let date = client.date().await?;
    let after = SystemTime::now();
    let clock = date.and_then(|date| httpdate::parse_http_date(&date).ok()).map(|theirs| Clock {
        theirs,
        before,
        after,
    });
    Ok(Told { leader: leader.flatten(), protocol: client.status().protocol, clock })
}

fn good(address: &Address, told: &Told, report: &mut Report<'_>) {
    let protocol = told.protocol.map_or("HTTP", Protocol::as_str);
    report.ok("agent", format!("{address} answers, over {protocol}"));
    match &told.leader {
        Some(leader) => report.ok("leader", format!("{leader}, says {address}")),
        None => report.fail(
            "leader",
            format!(
                "{address} knows none: the datacenter has lost its servers, or they have no majority; a gateway that \
                 runs goes on, but one that starts waits. Look at `consul operator raft list-peers` and the servers' logs"
            ),
        ),
    }
    if let Some(difference) = told.clock.and_then(difference) {
        report.warn("clock", format!("{address} is {difference}; certificates and logs will not fit: have both hosts keep time (NTP)"));
    }
}

/// How far a clock is off, if that is more than asking and rounding make.
fn difference(clock: Clock) -> Option<String> {
    let Clock { theirs, before, after } = clock;
    let (ahead, behind) = (theirs.duration_since(after), before.duration_since(theirs));
    match (ahead, behind) {
        (Ok(ahead), _) if ahead > CLOSE => Some(format!("{} s ahead of this host", ahead.as_secs())),
        (_, Ok(behind)) if behind > CLOSE => Some(format!("{} s behind this host", behind.as_secs())),
        _ => None,
    }
}

/// Whom TLS trusts and asks for, for whoever looks for what does not fit.
fn tls_in_use(consul: &ConsulSettings, address: &Address) -> String {
    if address.scheme == Scheme::Http {
        return String::new();
    }
    let tls = &consul.tls;
    let trusts = match (&tls.ca_file, &tls.ca_path) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(folder)) => folder.display().to_string(),
        (None, None) => "the system's CAs".to_owned(),
    };
    let name = tls.server_name.as_deref().unwrap_or(address.host());
    let shows = match &tls.client_cert {
        Some(file) => format!("client certificate {}", file.display()),
        None => "no client certificate".to_owned(),
    };
    format!(" (in use: {trusts}; server name {name}; {shows})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_is_off_only_beyond_rounding_and_the_time_of_asking() {
        let off = |theirs| difference(Clock { theirs: at(theirs), before: at(1000), after: at(1003) });
        for close in [990, 1000, 1003, 1013] {
            assert_eq!(off(close), None, "{close}");
        }
        assert_eq!(off(989).as_deref(), Some("11 s behind this host"));
        assert_eq!(off(1103).as_deref(), Some("100 s ahead of this host"));
    }

    #[test]
    fn what_tls_uses_is_named() {
        let mut consul = ConsulSettings::default();
        let plain = Address::parse("127.0.0.1:8500", None).unwrap();
        let tls = Address::parse("https://consul.example:8501", None).unwrap();
        assert_eq!(tls_in_use(&consul, &plain), "");
        consul.tls.verify = true;
        assert!(
            tls_in_use(&consul, &tls).contains("the system's CAs; server name consul.example; no client")
        );
        consul.tls.ca_file = Some("/etc/ca.pem".into());
        consul.tls.server_name = Some("server.dc1.consul".to_owned());
        consul.tls.client_cert = Some("/etc/me.pem".into());
        let text = tls_in_use(&consul, &tls);
        assert_eq!(
            text,
            " (in use: /etc/ca.pem; server name server.dc1.consul; client certificate /etc/me.pem)"
        );
    }
}
