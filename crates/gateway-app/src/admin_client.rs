//! Asks the admin endpoint of a running gateway: one GET, one answer, no runtime.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// An answer is a page for people and probes; anything longer is not one of ours.
const MOST_BYTES: usize = 64 << 20;

/// What the admin endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Why there is no answer, with the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no gateway answers at {address}: {source}; is it running, and is --admin-bind the same?")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("the gateway at {address} did not answer {path}: {source}")]
    Broken { address: SocketAddr, path: String, source: io::Error },
    #[error("{address} does not answer like an admin endpoint; --admin-bind names another program")]
    Strange { address: SocketAddr },
}

/// Asks for `path` (which must be a plain one, with its query). Connecting may take `patience`, and
/// the answer again as long, however slowly it comes.
pub(crate) fn ask(admin: SocketAddr, path: &str, patience: Duration) -> Result<Answer, AskError> {
    let address = reachable(admin);
    let stream = TcpStream::connect_timeout(&address, patience)
        .map_err(|source| AskError::Connect { address, source })?;
    let bytes = exchange(stream, address, path, patience).map_err(|source| AskError::Broken {
        address,
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).ok_or(AskError::Strange { address })
}

fn exchange(
    mut stream: TcpStream,
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    stream.set_write_timeout(Some(patience))?;
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer takes too long"));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes.len() > MOST_BYTES {
            return Err(io::Error::other("the answer is larger than any page of a gateway"));
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

/// An address for all interfaces is reached through loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A server for tests: answers each connection with `answer` and notes the first line asked.
#[cfg(test)]
pub(crate) mod fake {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    pub(crate) struct FakeAdmin {
        pub(crate) address: SocketAddr,
        asked: JoinHandle<String>,
    }

    impl FakeAdmin {
        /// Answers one request with these bytes.
        pub(crate) fn answering(answer: String) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let asked = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                stream.write_all(answer.as_bytes()).unwrap();
                first
            });
            Self { address, asked }
        }

        /// The request line.
        pub(crate) fn asked(self) -> String {
            self.asked.join().unwrap()
        }
    }

    /// A port at which nobody listens.
    pub(crate) fn closed_port() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{FakeAdmin, closed_port};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn an_answer_has_its_status_and_body() {
        let admin = FakeAdmin::answering("HTTP/1.0 503 Nope\r\nx: y\r\n\r\nnot\r\n\r\nyet".to_owned());
        let answer = ask(admin.address, "/ready", PATIENCE).unwrap();
        assert_eq!(answer, Answer { status: 503, body: "not\r\n\r\nyet".to_owned() });
        assert_eq!(admin.asked(), "GET /ready HTTP/1.0");
    }

    #[test]
    fn whoever_is_not_an_admin_endpoint_is_told_from_one() {
        let other = FakeAdmin::answering("SSH-2.0-OpenSSH_9.9\r\n".to_owned());
        assert!(matches!(ask(other.address, "/", PATIENCE), Err(AskError::Strange { .. })));
        let nobody = ask(closed_port(), "/", PATIENCE).unwrap_err();
        assert!(nobody.to_string().contains("is it running"), "{nobody}");
    }

    #[test]
    fn an_answer_that_drips_does_not_hold_the_asker() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let drip = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Ends when the asker has gone away.
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let error = ask(address, "/ready", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, AskError::Broken { .. }), "{error}");
        drip.join().unwrap();
    }

    #[test]
    fn an_answer_without_end_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let flood = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let block = vec![b'x'; 1 << 20];
            while stream.write_all(&block).is_ok() {}
        });
        let error = ask(address, "/", PATIENCE).unwrap_err();
        assert!(error.to_string().contains("larger than any page"), "{error}");
        flood.join().unwrap();
    }

    #[test]
    fn all_interfaces_are_reached_through_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("192.0.2.1:1".parse().unwrap()), "192.0.2.1:1".parse().unwrap());
    }
}
