//! The files that links name: they are on the gateway's own disk.

use super::links::Link;
use crate::{
    catalog::References,
    document::FileRef,
    source::Named,
    terminating::{LinkFiles, LinkKind, LinkRow, NamedFile, ServiceKey},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often it is looked whether files are others than they were read.
const LOOK: Duration = Duration::from_secs(2);

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Files {
    named: Named,
    look_at: Option<Instant>,
}

impl Files {
    /// Whether one of them is another than when it was read. Looks at the disk now and then.
    pub(super) fn changed(&mut self, now: Instant) -> bool {
        if self.named.paths().next().is_none() || self.look_at.is_some_and(|at| at > now) {
            return false;
        }
        self.look_at = Some(now + LOOK);
        !self.named.changed().is_empty()
    }

    /// Links with what is in their files. A file that many of them name is read once.
    pub(super) fn read(&mut self, namespace: &str, links: &BTreeMap<Arc<str>, Link>) -> Vec<LinkRow> {
        self.named.start();
        let mut read = |path: &str| {
            let file = FileRef { path: path.into(), line: 0, key: String::new() };
            NamedFile { path: path.into(), contents: self.named.bytes(&file).map_err(Arc::from) }
        };
        let rows = links
            .iter()
            .map(|(name, link)| LinkRow {
                key: ServiceKey::new(namespace, name),
                kind: if link.is_destination { LinkKind::Destination } else { LinkKind::Service },
                from_wildcard: link.from_wildcard,
                host_rewrite: link.host_rewrite,
                tls: (!link.ca_file.is_empty()).then(|| LinkFiles {
                    ca: read(&link.ca_file),
                    // One without the other cannot be read, and is not left out.
                    client: (!link.cert_file.is_empty() || !link.key_file.is_empty())
                        .then(|| (read(&link.cert_file), read(&link.key_file))),
                    sni: Arc::from(&*link.sni),
                }),
            })
            .collect();
        self.named.finish();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn link(ca: &str, cert: &str, key: &str) -> Link {
        Link {
            is_destination: false,
            from_wildcard: false,
            host_rewrite: true,
            ca_file: ca.into(),
            cert_file: cert.into(),
            key_file: key.into(),
            sni: "db.example".into(),
        }
    }

    #[test]
    fn files_are_read_and_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("ca"), "ca").unwrap();
        let links = BTreeMap::from([
            (Arc::from("a"), link(&path("ca"), "", "")),
            (Arc::from("b"), link(&path("ca"), &path("cert"), "")),
            (Arc::from("c"), link("", &path("cert"), &path("key"))),
        ]);
        let (mut files, start) = (Files::default(), Instant::now());
        assert!(!files.changed(start), "nothing is named");
        let rows = files.read("default", &links);
        let tls: Vec<_> = rows.iter().map(|row| row.tls.clone()).collect();
        assert_eq!(tls[0].as_ref().unwrap().ca.contents.as_ref().unwrap().expose(), b"ca");
        let (cert, key) = tls[1].as_ref().unwrap().client.clone().unwrap();
        assert!(cert.contents.is_err_and(|why| why.contains("cannot be read")));
        assert!(key.contents.is_err(), "one of the two is missing, and that is an error");
        assert_eq!(tls[2], None, "without a CA it is spoken to in clear");

        assert!(!files.changed(start));
        fs::write(path("cert"), "cert").unwrap();
        assert!(!files.changed(start + LOOK / 2), "not looked at all the time");
        assert!(files.changed(start + LOOK));
        let rows = files.read("default", &links);
        let (cert, _) = rows[1].tls.clone().unwrap().client.unwrap();
        assert_eq!(cert.contents.unwrap().expose(), b"cert");
        assert!(!files.changed(start + LOOK * 2));
        files.read("default", &BTreeMap::new());
        fs::write(path("ca"), "another").unwrap();
        assert!(!files.changed(start + LOOK * 3), "nobody names it any more");
    }
}
