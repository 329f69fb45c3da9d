//! What a real agent answered, one file a request, so that a person can read it and a body stays byte for byte what it
//! was:
//!
//! ```text
//! GET /v1/catalog/services
//! 200
//! X-Consul-Index: 75
//! (an empty line, then the body)
//! ```
//! Headers that belong to one exchange (`Date`, lengths) are left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::Reply;

const EXTENSION: &str = "http";
const LEFT_OUT: [&str; 4] = ["date", "content-length", "transfer-encoding", "connection"];

/// Answers of one agent.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    answers: Vec<Recorded>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// Path and query, encoded.
    pub target: String,
    /// The status code.
    pub status: u16,
    /// Names and values, as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Recording {
    /// The stored answers of a server of a version: `1.8.7`, `1.10.1` or `1.21`.
    ///
    /// # Errors
    /// When there are none.
    pub fn of_version(version: &str) -> Result<Self> {
        Self::load(&stored(version))
    }

    /// The same of a client agent, which cannot answer everything that a server can. None of 1.10.1 is stored.
    ///
    /// # Errors
    /// When there are none.
    pub fn of_client_agent(version: &str) -> Result<Self> {
        let mut recording = Self::of_version(version)?;
        for answer in Self::load(&stored(version).join("client-agent"))?.answers {
            recording.add(answer);
        }
        Ok(recording)
    }

    /// All files of a folder.
    ///
    /// # Errors
    /// When there is none, or one is not as it should be.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("no recording {}", folder.display()))?;
        for entry in entries {
            paths.push(entry?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        paths.sort();
        let mut recording = Recording::default();
        for path in paths {
            let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            recording.add(Recorded::parse(&text).with_context(|| format!("in {}", path.display()))?);
        }
        ensure!(!recording.answers.is_empty(), "nothing recorded in {}", folder.display());
        Ok(recording)
    }

    /// Adds an answer; an earlier one to the same request goes.
    pub fn add(&mut self, answer: Recorded) {
        self.answers.retain(|old| (&old.method, &old.target) != (&answer.method, &answer.target));
        self.answers.push(answer);
    }

    /// All of them.
    pub fn answers(&self) -> &[Recorded] {
        &self.answers
    }

    /// Writes them to an empty or new folder.
    ///
    /// # Errors
    /// When a file cannot be written, or two requests would share one.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for answer in &self.answers {
            let path = folder.join(format!("{}.{EXTENSION}", answer.file_name()));
            let mut file = std::fs::File::options().write(true).create_new(true).open(&path);
            let file = file.as_mut().ok().with_context(|| format!("cannot make {}", path.display()))?;
            std::io::Write::write_all(file, &answer.format())?;
        }
        Ok(())
    }
}

impl Recorded {
    /// From what an agent answered.
    pub fn new(method: &str, target: &str, reply: &Reply) -> Self {
        let kept = |(name, _): &&(String, String)| !LEFT_OUT.contains(&name.to_ascii_lowercase().as_str());
        Recorded {
            method: method.to_owned(),
            target: target.to_owned(),
            status: reply.status,
            headers: reply.headers.iter().filter(kept).cloned().collect(),
            body: reply.body.clone(),
        }
    }

    /// The value of a header, its name in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let end =
            text.windows(2).position(|two| two == b"\n\n").context("no empty line after the headers")?;
        let head = std::str::from_utf8(&text[..end]).context("headers that are no text")?;
        let mut lines = head.lines();
        let (method, target) = lines.next().and_then(|line| line.split_once(' ')).context("no request")?;
        ensure!(target.starts_with('/'), "a target that is no path: {target}");
        let status = lines.next().and_then(|line| line.parse().ok()).context("no status")?;
        let mut headers = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else { bail!("no header: {line}") };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let (method, target) = (method.to_owned(), target.to_owned());
        Ok(Recorded { method, target, status, headers, body: text[end + 2..].to_vec() })
    }

    fn format(&self) -> Vec<u8> {
        let mut text = format!("{} {}\n{}\n", self.method, self.target, self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push('\n');
        let mut text = text.into_bytes();
        text.extend_from_slice(&self.body);
        text
    }

    /// `catalog.services@dc=dc2`: for people; what counts is the first line.
    fn file_name(&self) -> String {
        let target = self.target.trim_start_matches("/v1/");
        let mut name: String = target
            .chars()
            .map(|char| match char {
                '/' => '.',
                '?' => '@',
                char if char.is_ascii_alphanumeric() || "-_.=&".contains(char) => char,
                _ => '_',
            })
            .collect();
        if name.ends_with('.') {
            name.push_str("all");
        }
        if self.method == "GET" { name } else { format!("{}.{name}", self.method) }
    }
}

fn stored(version: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "samples", "api", version].iter().collect()
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorded({} {}: {}, {} bytes)", self.method, self.target, self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let answer = |target: &str, body: &[u8]| Recorded {
            method: "GET".to_owned(),
            target: target.to_owned(),
            status: 200,
            headers: vec![("X-Consul-Index".to_owned(), "7".to_owned())],
            body: body.to_vec(),
        };
        let mut recording = Recording::default();
        for (target, body) in
            [("/v1/config/", b"\n\n[]\xff".as_slice()), ("/v1/a/b?dc=dc2", b""), ("/v1/x", b"{}\n")]
        {
            recording.add(answer(target, b"old"));
            recording.add(answer(target, body));
        }
        recording.save(dir.path()).unwrap();
        let loaded = Recording::load(dir.path()).unwrap();
        assert_eq!(loaded.answers.len(), 3);
        assert!(recording.answers.iter().all(|answer| loaded.answers.contains(answer)), "{loaded:?}");
        assert!(recording.save(dir.path()).is_err(), "written over another");
        assert!(dir.path().join("a.b@dc=dc2.http").exists() && dir.path().join("config.all.http").exists());
    }
}
