//! The system's files and a name server of our own on loopback.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use hickory_resolver::config::NameServerConfig;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record};

use super::*;

/// A folder for the files of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mesh-forward-dns-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn lookup(&self) -> SystemLookup {
        SystemLookup::from_files(self.0.join("resolv.conf"), self.0.join("hosts"))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn ask(lookup: &SystemLookup, host: &str) -> Result<Vec<IpAddr>, NameError> {
    lookup.lookup(host.into()).await.map(|answer| answer.addresses)
}

fn ips(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn no_files_is_an_error_of_names_and_localhost_still_works() {
    let folder = Folder::new();
    let lookup = folder.lookup();
    let error = ask(&lookup, "gw.example").await.unwrap_err();
    assert!(error.to_string().contains("resolv.conf: "), "{error}");
    assert!(matches!(error, NameError::System(_)));
    for host in ["localhost", "LOCALHOST", "localhost.", "db.localhost"] {
        assert_eq!(ask(&lookup, host).await, Ok(ips(&["127.0.0.1", "::1"])), "{host}");
    }
}

#[tokio::test]
async fn a_file_without_servers_says_so() {
    let folder = Folder::new();
    folder.write("resolv.conf", "# nothing\n\u{fffd}\n");
    let error = ask(&folder.lookup(), "gw.example").await.unwrap_err();
    assert!(matches!(error, NameError::System(_)), "{error}");
}

#[tokio::test]
async fn the_hosts_file_is_answer_enough_and_is_read_again_when_it_changes() {
    let folder = Folder::new();
    // No server is listed, so any question to one would be an error.
    folder
        .write("hosts", "127.0.0.1 localhost\n10.0.0.5 gw.example gw # main\n10.0.0.6 gw\n2001:db8::9 gw\n");
    let lookup = folder.lookup();
    assert_eq!(ask(&lookup, "gw.example").await, Ok(ips(&["10.0.0.5"])));
    assert_eq!(ask(&lookup, "GW.example.").await, Ok(ips(&["10.0.0.5"])));
    assert_eq!(ask(&lookup, "gw").await, Ok(ips(&["10.0.0.5", "10.0.0.6", "2001:db8::9"])));
    assert_eq!(ask(&lookup, "localhost").await, Ok(ips(&["127.0.0.1"])));
    folder.write("hosts", "10.0.0.77 gw.example\n");
    assert_eq!(ask(&lookup, "gw.example").await, Ok(ips(&["10.0.0.77"])));
    assert!(ask(&lookup, "gw").await.is_err());
}

#[tokio::test]
async fn the_files_of_this_machine_can_be_read() {
    assert!(!ask(&SystemLookup::new(), "localhost").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    let lookup = Folder::new().lookup();
    for host in ["a..b", &"x".repeat(64)] {
        assert!(matches!(ask(&lookup, host).await, Err(NameError::Invalid(_))), "{host}");
    }
}

/// What the test's server does with a question; `None`: it stays silent.
type Zone = fn(&str, RecordType) -> Option<Result<Vec<RData>, ResponseCode>>;

/// A name server on a port of its own, and what it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        // It waits for questions until the test process ends.
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..len]).unwrap();
                let query = question.queries[0].clone();
                let name = query.name().to_ascii().to_ascii_lowercase();
                list.lock().unwrap().push(format!("{name} {}", query.query_type()));
                let Some(outcome) = zone(&name, query.query_type()) else { continue };
                let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
                reply.add_query(query.clone());
                match outcome {
                    Ok(data) => {
                        for one in data {
                            reply.add_answer(Record::from_rdata(query.name().clone(), 42, one));
                        }
                    }
                    Err(code) => reply.metadata.response_code = code,
                }
                socket.send_to(&reply.to_vec().unwrap(), peer).unwrap();
            }
        });
        Self { address, asked }
    }

    fn servers(&self, search: &[&str]) -> Servers {
        let mut server = NameServerConfig::udp(self.address.ip());
        server.connections[0].port = self.address.port();
        let search = search.iter().map(|name| Name::from_str(name).unwrap()).collect();
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        Servers::new(config, options).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn v4(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

fn v6() -> RData {
    RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
}

async fn resolve(servers: &Servers, host: &str) -> Result<Answer, NameError> {
    servers.lookup(&Name::from_str(host).unwrap()).await
}

#[tokio::test]
async fn both_families_are_asked_and_the_ttl_is_told() {
    let server = Server::start(|_, family| match family {
        RecordType::A => Some(Ok(vec![v4(2), v4(1)])),
        _ => Some(Ok(vec![v6()])),
    });
    let mut found = resolve(&server.servers(&[]), "gw.example").await.unwrap();
    found.addresses.sort();
    let addresses = ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert_eq!(found, Answer { addresses, ttl: Duration::from_secs(42), partial: false });
}

#[tokio::test]
async fn a_name_without_ipv6_is_whole_and_one_with_broken_ipv6_is_partial() {
    let absent = Server::start(|_, family| match family {
        RecordType::A => Some(Ok(vec![v4(1)])),
        _ => Some(Ok(Vec::new())),
    });
    let broken = Server::start(|_, family| match family {
        RecordType::A => Some(Ok(vec![v4(1)])),
        _ => Some(Err(ResponseCode::ServFail)),
    });
    let silent = Server::start(|_, family| (family == RecordType::A).then(|| Ok(vec![v4(1)])));
    for (server, partial) in [(absent, false), (broken, true), (silent, true)] {
        let found = resolve(&server.servers(&[]), "gw.example").await.unwrap();
        assert_eq!((found.addresses, found.partial), (ips(&["192.0.2.1"]), partial));
    }
}

#[tokio::test]
async fn no_such_name_and_a_failing_server_are_told_apart() {
    let server = Server::start(|_, _| Some(Err(ResponseCode::NXDomain)));
    assert_eq!(resolve(&server.servers(&[]), "gw.example").await, Err(NameError::NotFound));
    let server = Server::start(|_, _| Some(Err(ResponseCode::ServFail)));
    let outcome = resolve(&server.servers(&[]), "gw.example").await;
    assert!(matches!(outcome, Err(NameError::Failed(_))), "{outcome:?}");
}

#[tokio::test]
async fn the_search_list_is_followed_only_past_names_that_do_not_exist() {
    let zone: Zone = |name, family| match (name, family) {
        ("gw.b.example.", RecordType::A) => Some(Ok(vec![v4(3)])),
        ("shaky.a.example.", _) => Some(Err(ResponseCode::ServFail)),
        // A wildcard that would answer for anything.
        (name, RecordType::A) if name.ends_with(".c.example.") => Some(Ok(vec![v4(66)])),
        _ => Some(Err(ResponseCode::NXDomain)),
    };
    let server = Server::start(zone);
    let servers = server.servers(&["a.example", "b.example", "c.example"]);
    assert_eq!(resolve(&servers, "gw").await.unwrap().addresses, ips(&["192.0.2.3"]));
    assert!(matches!(resolve(&servers, "shaky").await, Err(NameError::Failed(_))));
    let asked = server.asked();
    assert!(!asked.iter().any(|question| question.contains(".c.example.")), "{asked:?}");

    // A name with a dot is asked as it is first; with the dot of the root, only as it is.
    let server = Server::start(zone);
    let servers = server.servers(&["a.example"]);
    assert_eq!(resolve(&servers, "gw.b.example").await.unwrap().addresses, ips(&["192.0.2.3"]));
    assert_eq!(resolve(&servers, "none.").await, Err(NameError::NotFound));
    let asked = server.asked();
    assert!(!asked.iter().any(|question| question.contains(".a.example.")), "{asked:?}");
}
