//! Listens and prints what each connection asks for, then closes it.
//!
//! ```text
//! cargo run -p sni-peek --example sniff --features tokio -- 127.0.0.1:8443
//! curl -k --connect-to billing.example:443:127.0.0.1:8443 https://billing.example/
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what the example is for")]

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use sni_peek::{ClientHello, Limits, peek};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("usage: sniff <address:port>");
        return ExitCode::from(2);
    };
    match listen(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{address}: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept().await?;
        tokio::spawn(sniff(stream, client));
    }
}

async fn sniff(stream: TcpStream, client: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let line = match peek(stream, &Limits::default(), deadline).await {
        Ok((hello, rewind)) => format!("{} ({} bytes read)", describe(&hello), rewind.ahead().len()),
        Err(why) => why.to_string(),
    };
    println!("{client}: {line}");
}

fn describe(hello: &ClientHello<'_>) -> String {
    let protocols: Vec<String> = hello.alpn().map(|name| name.escape_ascii().to_string()).collect();
    let ech = if hello.has_ech() { ", encrypted hello" } else { "" };
    let name = hello.server_name().unwrap_or("no server name");
    format!("{name}, protocols [{}]{ech}, hello of {} bytes", protocols.join(", "), hello.consumed())
}
