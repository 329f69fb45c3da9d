//! nginx as an external service with TLS: a server that is not ours, which demands a client certificate.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::Child;
use crate::{Deadline, LeafFiles, Loopback, Place, Tool};

const START_WITHIN: Duration = Duration::from_secs(20);

/// A running nginx; killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    address: Loopback,
    _child: Child,
}

impl Nginx {
    /// Starts one with this certificate. With `clients` (a PEM file) it demands a certificate of that CA. To every
    /// request it answers `sni=<name in the hello> client=<subject> verified=<SUCCESS, NONE or FAILED: ...>`.
    ///
    /// # Errors
    /// When the program is missing, or it ends or takes longer than 20 s, with the end of its log.
    pub async fn start(dir: &Path, certificate: &LeafFiles, clients: Option<&Path>) -> Result<Self> {
        let program = Tool::Nginx.path().context("`nginx` is missing (apt install nginx-light)")?;
        let address = Loopback::claim()?;
        std::fs::create_dir_all(dir)?;
        let configuration = dir.join("nginx.conf");
        std::fs::write(&configuration, text(dir, address.at(0), certificate, clients))?;
        // Its messages before it has read where its log is.
        let log = dir.join("nginx.log");
        let arguments = [Path::new("-p"), dir, Path::new("-c"), &configuration, Path::new("-e"), &log];
        let child = Child::spawn("nginx", &Place::Here, &program, arguments, &log)?;
        let at = address.at(0);
        let up = async || Place::Here.connect(at).await.ok().map(drop);
        child.up(Deadline::after(START_WITHIN), "listening", up).await?;
        Ok(Nginx { address, _child: child })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address.at(0)
    }
}

fn text(dir: &Path, listen: SocketAddr, certificate: &LeafFiles, clients: Option<&Path>) -> String {
    let (dir, cert, key) = (dir.display(), certificate.cert.display(), certificate.key.display());
    let clients = clients.map_or_else(String::new, |ca| {
        format!("ssl_verify_client on; ssl_client_certificate {};", ca.display())
    });
    // Only root may say whom its workers are.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off; {user} worker_processes 1; pid {dir}/nginx.pid; error_log stderr info;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
           access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
           fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
           server {{\n\
             listen {listen} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; {clients}\n\
             location / {{\n\
               return 200 \"sni=$ssl_server_name client=$ssl_client_s_dn verified=$ssl_client_verify\\n\";\n\
             }}\n\
           }}\n\
         }}\n"
    )
}
