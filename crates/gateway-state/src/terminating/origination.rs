//! TLS towards the instances of one linked service, with the last good version of its files.

use super::{
    About, Origination, ServiceKey, Trouble,
    input::{LinkFiles, NamedFile},
};
use crate::bytes::FileBytes;
use mtls::{ClientPem, OriginationSettings, Originator, SecretPem, UnixTime};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct OriginationSlot {
    /// What was looked at last.
    seen: Option<LinkFiles>,
    /// The last that was good, and the link that asked for it.
    good: Option<(LinkFiles, Arc<Originator>)>,
    problem: Option<Arc<str>>,
}

impl OriginationSlot {
    /// What holds for a link with these files. `None`: in clear, because the link says so.
    pub(super) fn refresh(&mut self, wanted: Option<&LinkFiles>, now: UnixTime) -> Option<Origination> {
        let Some(wanted) = wanted else {
            *self = Self::default();
            return None;
        };
        if self.seen.as_ref() != Some(wanted) {
            self.problem = None;
            // Files that are what they were mean the same originator, with its sessions.
            if self.good.as_ref().is_none_or(|(of, _)| of != wanted) {
                match build(wanted, now) {
                    Ok(originator) => self.good = Some((wanted.clone(), Arc::new(originator))),
                    Err(why) => self.problem = Some(why),
                }
            }
            self.seen = Some(wanted.clone());
        }
        // What was good for other files, or another name, is not what the link asks for.
        if self.good.as_ref().is_some_and(|(of, _)| !asks_for_the_same(of, wanted)) {
            self.good = None;
        }
        Some(match &self.good {
            Some((_, originator)) => Origination::Ready(originator.clone()),
            None => Origination::Broken { why: self.problem.clone().unwrap_or_else(|| "unknown".into()) },
        })
    }

    /// What there is to say of it.
    pub(super) fn troubles(&self, key: &ServiceKey, into: &mut Vec<Trouble>) {
        if let Some(why) = &self.problem {
            let kept = self.good.is_some();
            let then = if kept {
                "the files as they were before stay in use"
            } else {
                "connections to the service are refused until that is mended, and are never made in clear"
            };
            into.push(Trouble::rejected(About::Files(key.clone()), kept, format!("{why}; {then}")));
        }
        if let Some((_, originator)) = &self.good {
            for left_out in originator.left_out() {
                let message = format!("a certificate of CAFile is not used: {left_out}");
                into.push(Trouble::warning(About::Files(key.clone()), message));
            }
        }
    }
}

fn asks_for_the_same(one: &LinkFiles, other: &LinkFiles) -> bool {
    let client =
        |files: &LinkFiles| files.client.as_ref().map(|(cert, key)| (cert.path.clone(), key.path.clone()));
    one.ca.path == other.ca.path && client(one) == client(other) && one.sni == other.sni
}

fn build(files: &LinkFiles, now: UnixTime) -> Result<Originator, Arc<str>> {
    let mut settings = OriginationSettings::new(contents(&files.ca)?.expose().to_vec());
    if let Some((cert, key)) = &files.client {
        let (cert, key_bytes) = (contents(cert)?, contents(key)?);
        let text = std::str::from_utf8(key_bytes.expose())
            .map_err(|_| Arc::from(format!("{} is not PEM text", key.path)))?;
        settings.client =
            Some(ClientPem { certificate: cert.expose().to_vec(), key: SecretPem::new(text.to_owned()) });
    }
    settings.sni = files.sni.to_string();
    Originator::build(&settings, now).map_err(|error| Arc::from(error.to_string()))
}

fn contents(file: &NamedFile) -> Result<&FileBytes, Arc<str>> {
    file.contents.as_ref().map_err(Clone::clone)
}
