//! Addresses of an agent that is given by name, looked up for every connection.
//!
//! The hosts file and `resolv.conf` are read each time: a connection is a rare thing, and a change of
//! the files shall count at once. getaddrinfo is not used, so that a static binary stays possible.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver};

/// The files of the system.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
pub(super) const HOSTS: &str = "/etc/hosts";

/// Up to `most` addresses of the host, IPv4 first.
pub(super) async fn resolve(
    host: &str,
    most: usize,
    resolv_conf: &Path,
    hosts: &Path,
) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let name = Name::from_str(host).map_err(|error| format!("{host:?} is no host name: {error}"))?;
    let mut addresses = match in_file(&name, hosts).or_else(|| loopback(&name)) {
        Some(addresses) => addresses,
        None => {
            by_servers(host, resolv_conf).await.map_err(|error| format!("looking up {host:?}: {error}"))?
        }
    };
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    addresses.truncate(most);
    Ok(addresses)
}

async fn by_servers(host: &str, resolv_conf: &Path) -> Result<Vec<IpAddr>, String> {
    let no_servers =
        |error: &dyn std::fmt::Display| format!("no name servers: {}: {error}", resolv_conf.display());
    let text = fs::read(resolv_conf).map_err(|error| no_servers(&error))?;
    let (config, mut options) = parse_resolv_conf(text).map_err(|error| no_servers(&error))?;
    options.cache_size = 0;
    // The hosts file was asked, and is right alone.
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| no_servers(&error))?;
    let found = resolver.lookup_ip(host).await.map_err(|error| error.to_string())?;
    Ok(found.iter().collect())
}

fn in_file(name: &Name, file: &Path) -> Option<Vec<IpAddr>> {
    let mut hosts = Hosts::default();
    // No hosts file is a usual thing in a container.
    hosts.read_hosts_conf(fs::File::open(file).ok()?).ok()?;
    let addresses: Vec<IpAddr> = [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|family| hosts.lookup_static_host(&Query::query(name.clone(), family)))
        .flat_map(|records| {
            records.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
        })
        .collect();
    (!addresses.is_empty()).then_some(addresses)
}

/// localhost and what is below it never leave the machine (RFC 6761, section 6.3).
fn loopback(name: &Name) -> Option<Vec<IpAddr>> {
    name.iter()
        .next_back()?
        .eq_ignore_ascii_case(b"localhost")
        .then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;
    use tokio::net::UdpSocket;

    async fn all(host: &str, resolv_conf: &Path, hosts: &Path) -> Result<Vec<String>, String> {
        resolve(host, 8, resolv_conf, hosts).await.map(|found| found.iter().map(IpAddr::to_string).collect())
    }

    #[tokio::test]
    async fn addresses_files_and_localhost_need_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let (hosts, none) = (folder.path().join("hosts"), folder.path().join("none"));
        std::fs::write(&hosts, "::2 agent\n10.0.0.1 agent other\n10.0.0.2 agent\n").unwrap();
        assert_eq!(all("10.1.2.3", &none, &none).await.unwrap(), ["10.1.2.3"]);
        assert_eq!(all("::1", &none, &none).await.unwrap(), ["::1"]);
        assert_eq!(all("agent", &none, &hosts).await.unwrap(), ["10.0.0.1", "10.0.0.2", "::2"]);
        assert_eq!(resolve("agent", 2, &none, &hosts).await.unwrap().len(), 2);
        assert_eq!(all("consul.localhost", &none, &none).await.unwrap(), ["127.0.0.1", "::1"]);
    }

    #[tokio::test]
    async fn without_files_the_error_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("resolv.conf");
        let error = all("agent.example", &none, &none).await.unwrap_err();
        assert!(error.contains("agent.example") && error.contains("resolv.conf"), "{error}");
    }

    /// Name servers have no port in resolv.conf, so the answer comes from a socket on port 53 only
    /// where a test may open one; elsewhere it must be the error of a server that is not there.
    #[tokio::test]
    async fn a_server_that_says_no_is_an_error_that_names_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        let here = Ipv4Addr::new(127, 83, 83, 83);
        std::fs::write(&file, format!("nameserver {here}\noptions timeout:1 attempts:1\n")).unwrap();
        let server = UdpSocket::bind((here, 53)).await;
        let answer = async {
            let Ok(server) = &server else { return std::future::pending().await };
            let mut packet = [0; 512];
            loop {
                let (length, from) = server.recv_from(&mut packet).await.unwrap();
                // The question back as an answer: no such name.
                packet[2] = 0x81;
                packet[3] = 0x83;
                server.send_to(&packet[..length], from).await.unwrap();
            }
        };
        let found = tokio::select! {
            found = all("agent.example", &file, &file) => found,
            () = answer => unreachable!("it goes on for ever"),
        };
        let error = found.unwrap_err();
        assert!(error.contains("looking up \"agent.example\""), "{error}");
    }
}
