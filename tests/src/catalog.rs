//! Static catalogs: text in the form of the product, and a folder to write it into, atomically or as badly as editors do.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::LeafFiles;

/// A catalog document in TOML, grown table by table.
#[derive(Debug, Clone, Default)]
pub struct Document(String);

impl Document {
    /// A document without a table.
    pub fn new() -> Self {
        Self::default()
    }

    /// `[Mesh]`: where this catalog stands.
    #[must_use]
    pub fn mesh(self, datacenter: &str, trust_domain: &str) -> Self {
        self.text(&format!("[Mesh]\nDatacenter = {datacenter:?}\nTrustDomain = {trust_domain:?}\n"))
    }

    /// An instance of `service` behind a sidecar at `address`.
    #[must_use]
    pub fn sidecar(self, service: &str, id: &str, address: SocketAddr) -> Self {
        self.instance(service, "connect-proxy", address, &format!("ID = {id:?}"))
    }

    /// A mesh gateway of `datacenter` that others reach at `wan`.
    #[must_use]
    pub fn mesh_gateway(self, datacenter: &str, wan: SocketAddr) -> Self {
        let more = format!("Datacenter = {datacenter:?}\nWanAddress = \"{wan}\"");
        self.instance("mesh-gateway", "mesh-gateway", wan, &more)
    }

    /// Any `[[Instance]]`; `more` is TOML for the rest of its keys.
    #[must_use]
    pub fn instance(self, service: &str, kind: &str, address: SocketAddr, more: &str) -> Self {
        let (ip, port) = (address.ip(), address.port());
        self.text(&format!(
            "[[Instance]]\nService = {service:?}\nKind = {kind:?}\nAddress = \"{ip}\"\nPort = {port}\n{more}\n"
        ))
    }

    /// A `[[Route]]` from a name to addresses.
    #[must_use]
    pub fn route(self, sni: &str, to: &[SocketAddr]) -> Self {
        let to: Vec<_> = to.iter().map(|address| format!("\"{address}\"")).collect();
        self.text(&format!("[[Route]]\nSNI = {sni:?}\nTo = [{}]\n", to.join(", ")))
    }

    /// An external instance of `service`: one without a sidecar, outside the mesh.
    #[must_use]
    pub fn external(self, service: &str, address: SocketAddr, more: &str) -> Self {
        self.instance(service, "", address, more)
    }

    /// An external instance of `service` by host name.
    #[must_use]
    pub fn external_name(self, service: &str, name: &str, port: u16, more: &str) -> Self {
        self.text(&format!(
            "[[Instance]]\nService = {service:?}\nAddress = {name:?}\nPort = {port}\n{more}\n"
        ))
    }

    /// The identity that a gateway presents as `service`.
    #[must_use]
    pub fn leaf(self, service: &str, files: &LeafFiles) -> Self {
        let (cert, key) = (files.cert.display(), files.key.display());
        self.text(&format!("[[Leaf]]\nService = {service:?}\nCertFile = \"{cert}\"\nKeyFile = \"{key}\"\n"))
    }

    /// What a terminating gateway stands for; each link is an inline table such as `{ Name = "billing" }`.
    #[must_use]
    pub fn links<S: AsRef<str>>(self, gateway: &str, links: &[S]) -> Self {
        let links: Vec<_> = links.iter().map(AsRef::as_ref).collect();
        let links = links.join(", ");
        self.text(&format!(
            "[[Entry]]\nKind = \"terminating-gateway\"\nName = {gateway:?}\nServices = [{links}]\n"
        ))
    }

    /// Who may call `destination`; each source is an inline table such as `{ Name = "web", Action = "allow" }`.
    #[must_use]
    pub fn intentions(self, destination: &str, sources: &[&str]) -> Self {
        let sources = sources.join(", ");
        self.text(&format!(
            "[[Entry]]\nKind = \"service-intentions\"\nName = {destination:?}\nSources = [{sources}]\n"
        ))
    }

    /// Any text, such as an `[[Entry]]`.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        // Writing into a string cannot fail.
        let _ = write!(self.0, "{}{text}{end}", if self.0.is_empty() { "" } else { "\n" });
        self
    }

    /// The document.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Document {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A folder for a catalog.
#[derive(Debug, Clone)]
pub struct CatalogDir {
    path: PathBuf,
}

impl CatalogDir {
    /// Makes the folder, or takes it as it is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(CatalogDir { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file beside it and renames: a reader sees the old one or the new one, nothing between.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, name: &str, text: impl AsRef<str>) -> Result<()> {
        let (beside, file) = (self.file(&format!(".{}.new", name.replace('/', "-"))), self.file(name));
        make_parent(&file)?;
        write(&beside, text.as_ref())?;
        std::fs::rename(&beside, &file).with_context(|| format!("cannot rename to {}", file.display()))
    }

    /// Truncates the file and writes it in place, as many editors do.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write_in_place(&self, name: &str, text: impl AsRef<str>) -> Result<()> {
        let file = self.file(name);
        make_parent(&file)?;
        write(&file, text.as_ref())
    }

    /// Swaps a symbolic link `name` over to `target` at once, as Kubernetes does with mounted secrets and config maps.
    ///
    /// # Errors
    /// As the file system says.
    pub fn link(&self, name: &str, target: &Path) -> Result<()> {
        let (beside, link) = (self.file(&format!(".{}.new", name.replace('/', "-"))), self.file(name));
        make_parent(&link)?;
        std::os::unix::fs::symlink(target, &beside)
            .with_context(|| format!("cannot link {}", beside.display()))?;
        std::fs::rename(&beside, &link).with_context(|| format!("cannot rename to {}", link.display()))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As the file system says.
    pub fn remove(&self, name: &str) -> Result<()> {
        let file = self.file(name);
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
    }
}

fn make_parent(file: &Path) -> Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
