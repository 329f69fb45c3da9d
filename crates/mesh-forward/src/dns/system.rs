//! Lookups by the configuration of this machine: `resolv.conf`, the hosts file, its name servers.
//!
//! hickory-resolver speaks to the servers; which names to ask for is decided here, for three reasons.
//! A name in the hosts file is answered from it alone: hickory would add the servers' IPv6 addresses
//! to a name that the file gives an IPv4 address. A failing candidate of the search list ends the
//! search, or a wildcard further down would answer for a name that is only unreachable just now. And
//! a server that never answers IPv6 queries must not hold the IPv4 answer back until the time is up.

use std::fs;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup as Records;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use tokio::time::sleep;

use super::{Answer, Lookup, LookupFuture, NameError};

/// How long the one family may take when the other has answered.
const GRACE: Duration = Duration::from_secs(1);

/// Life of an answer that no server gave. The files are looked at again at each lookup.
const FILE_TTL: Duration = Duration::from_secs(60);

/// Looks names up by `/etc/resolv.conf` and `/etc/hosts`, which are read again when they change.
///
/// A missing or bad `resolv.conf` fails the lookups that need a server ([`NameError::System`]), and
/// nothing else.
#[derive(Debug)]
pub struct SystemLookup {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    loaded: Mutex<Option<Loaded>>,
}

impl SystemLookup {
    /// A lookup by the files of the system. They are first read when the first name is looked up.
    #[must_use]
    pub fn new() -> Self {
        Self::from_files("/etc/resolv.conf", "/etc/hosts")
    }

    /// A lookup by other files of the same formats.
    #[must_use]
    pub fn from_files(resolv_conf: impl Into<PathBuf>, hosts: impl Into<PathBuf>) -> Self {
        Self { resolv_conf: resolv_conf.into(), hosts: hosts.into(), loaded: Mutex::new(None) }
    }

    fn system(&self) -> Arc<System> {
        let stamps = [stamp(&self.resolv_conf), stamp(&self.hosts)];
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(current) if current.stamps == stamps => Arc::clone(&current.system),
            _ => {
                let system = Arc::new(System::load(&self.resolv_conf, &self.hosts));
                *loaded = Some(Loaded { stamps, system: Arc::clone(&system) });
                system
            }
        }
    }
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self::new()
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, host: Arc<str>) -> LookupFuture {
        let system = self.system();
        Box::pin(async move { system.lookup(&host).await })
    }
}

#[derive(Debug)]
struct Loaded {
    stamps: [Stamp; 2],
    system: Arc<System>,
}

/// What tells a changed file: time of change and length, or that it cannot be read.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The machine's configuration as read at one time.
pub(super) struct System {
    hosts: Hosts,
    servers: Result<Servers, NameError>,
}

pub(super) struct Servers {
    resolver: TokioResolver,
    search: Vec<Name>,
    dots: usize,
}

impl System {
    fn load(resolv_conf: &Path, hosts_file: &Path) -> Self {
        let mut hosts = Hosts::default();
        // No hosts file is a usual thing in a container.
        let read = fs::File::open(hosts_file).and_then(|file| hosts.read_hosts_conf(file));
        if let Err(error) = read {
            tracing::debug!(file = %hosts_file.display(), %error, "no hosts file");
        }
        let failed = |error: &dyn std::fmt::Display| {
            let text = format!("no name servers: {}: {error}", resolv_conf.display());
            NameError::System(text.into())
        };
        let servers = fs::read(resolv_conf)
            .map_err(|error| failed(&error))
            .and_then(|text| parse_resolv_conf(text).map_err(|error| failed(&error)))
            .and_then(|(config, options)| Servers::new(config, options).map_err(|error| failed(&error)));
        Self { hosts, servers }
    }

    async fn lookup(&self, host: &str) -> Result<Answer, NameError> {
        let name = Name::from_str(host).map_err(|_| NameError::Invalid(host.into()))?;
        let fixed = self.hosts_file(&name).or_else(|| loopback(&name));
        if let Some(addresses) = fixed {
            return Ok(Answer { addresses, ttl: FILE_TTL, partial: false });
        }
        self.servers.as_ref().map_err(Clone::clone)?.lookup(&name).await
    }

    fn hosts_file(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let addresses: Vec<IpAddr> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|family| self.hosts.lookup_static_host(&Query::query(name.clone(), family)))
            .flat_map(|records| addresses(&records))
            .collect();
        (!addresses.is_empty()).then_some(addresses)
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System").field("error", &self.servers.as_ref().err()).finish_non_exhaustive()
    }
}

/// localhost and what is below it never leave the machine (RFC 6761, section 6.3).
fn loopback(name: &Name) -> Option<Vec<IpAddr>> {
    let last = name.iter().next_back()?;
    last.eq_ignore_ascii_case(b"localhost")
        .then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

impl Servers {
    pub(super) fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, NetError> {
        // The answers are kept by us, and the hosts file is ours to read.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let dots = options.ndots;
        let search = config.search().to_vec();
        let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self { resolver, search, dots })
    }

    /// The first candidate that has addresses. Only "no such name" moves on to the next one.
    pub(super) async fn lookup(&self, name: &Name) -> Result<Answer, NameError> {
        for candidate in self.candidates(name) {
            match self.lookup_absolute(candidate).await {
                Err(NameError::NotFound) => {}
                outcome => return outcome,
            }
        }
        Err(NameError::NotFound)
    }

    /// The names to ask for, in order: as resolv.conf(5) says of `search` and `ndots`.
    fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut absolute = name.clone();
        absolute.set_fqdn(true);
        if name.is_fqdn() {
            return vec![absolute];
        }
        let mut names: Vec<Name> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        names.insert(if dots >= self.dots { 0 } else { names.len() }, absolute);
        names
    }

    async fn lookup_absolute(&self, name: Name) -> Result<Answer, NameError> {
        let four = self.family(name.clone(), RecordType::A);
        let six = self.family(name, RecordType::AAAA);
        match both(four, six).await {
            (Some(Ok(four)), Some(Ok(six))) => Ok(answer(&[four, six], false)),
            (Some(Ok(one)), other) | (other, Some(Ok(one))) => {
                let absent = matches!(other, Some(Err(NameError::NotFound)));
                Ok(answer(&[one], !absent))
            }
            (Some(Err(NameError::NotFound)), Some(Err(error))) | (Some(Err(error)), _) => Err(error),
            // Not reached: while none has an answer, both are waited for.
            (None, _) => Err(NameError::NotFound),
        }
    }

    /// The records of one family; at least one address is among them.
    async fn family(&self, name: Name, family: RecordType) -> Result<Records, NameError> {
        match self.resolver.lookup(name, family).await {
            Ok(records) if addresses(&records).is_empty() => Err(NameError::NotFound),
            Ok(records) => Ok(records),
            Err(error) if error.is_no_records_found() => Err(NameError::NotFound),
            Err(error) => Err(NameError::Failed(error.to_string().into())),
        }
    }
}

fn answer(families: &[Records], partial: bool) -> Answer {
    // The whole answer lives as long as its shortest part, CNAMEs included.
    let ttl = families.iter().flat_map(Records::answers).map(|record| record.ttl).min().unwrap_or(0);
    Answer {
        addresses: families.iter().flat_map(addresses).collect(),
        ttl: Duration::from_secs(u64::from(ttl)),
        partial,
    }
}

fn addresses(records: &Records) -> Vec<IpAddr> {
    records.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// Waits for both; but when one has succeeded, for the other not longer than [`GRACE`].
async fn both<T, E>(
    first: impl Future<Output = Result<T, E>>,
    second: impl Future<Output = Result<T, E>>,
) -> (Option<Result<T, E>>, Option<Result<T, E>>) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut grace = None;
    let mut done = (None, None);
    poll_fn(|context| {
        if done.0.is_none()
            && let Poll::Ready(outcome) = first.as_mut().poll(context)
        {
            done.0 = Some(outcome);
        }
        if done.1.is_none()
            && let Poll::Ready(outcome) = second.as_mut().poll(context)
        {
            done.1 = Some(outcome);
        }
        let enough = match &done {
            (Some(_), Some(_)) => true,
            (Some(Ok(_)), None) | (None, Some(Ok(_))) => {
                let timer = grace.get_or_insert_with(|| Box::pin(sleep(GRACE)));
                timer.as_mut().poll(context).is_ready()
            }
            _ => false,
        };
        if enough { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}

#[cfg(test)]
mod tests;
