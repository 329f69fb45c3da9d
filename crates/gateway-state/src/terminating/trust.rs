//! Who the gateway is and whom it believes: the trust domain with its roots, and TLS parameters, each with
//! its last good version.

use super::{About, MeshIdentity, Trouble};
use crate::{bytes::FileBytes, compile, document::MeshOptions};
use intentions::LocalMesh;
use mesh_id::{Datacenter, Partition, TrustDomain};
use mtls::{MeshTls, SerialNumber, TlsParameters, TrustBundle, UnixTime};
use std::{sync::Arc, time::Duration};

/// The mesh as it is used.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    pub(super) identity: MeshIdentity,
    pub(super) roots: Arc<TrustBundle>,
    /// The same, in the words of other crates.
    pub(super) local: LocalMesh,
    pub(super) trust_domain: TrustDomain,
    pub(super) partition: Partition,
    pub(super) datacenter: Datacenter,
    /// What the names of all services end in.
    pub(super) suffix: String,
}

/// Identity and roots belong together: new ones count when the roots can be used.
#[derive(Debug, Default)]
pub(super) struct MeshSlot {
    wanted: Option<(MeshIdentity, Vec<FileBytes>)>,
    /// Why `wanted` is not in use.
    problem: Option<String>,
    /// `wanted` was looked at.
    seen: bool,
    mesh: Option<Mesh>,
}

/// What another look has changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeshChange {
    /// Names, and who is who.
    pub(super) identity: bool,
    pub(super) roots: bool,
    /// What there is to say.
    pub(super) troubles: bool,
}

impl MeshSlot {
    /// Takes another mesh. True if it is another one.
    pub(super) fn set(&mut self, identity: MeshIdentity, roots: Vec<FileBytes>) -> bool {
        let same = self.wanted.as_ref().is_some_and(|(known, files)| {
            *known == identity
                && files.len() == roots.len()
                && files.iter().zip(&roots).all(|(one, other)| one.is_same(other))
        });
        if !same {
            self.wanted = Some((identity, roots));
            self.seen = false;
        }
        !same
    }

    pub(super) fn in_use(&self) -> Option<&Mesh> {
        self.mesh.as_ref()
    }

    /// Looks at what is wanted, if that is new, or roots begin or end.
    pub(super) fn refresh(&mut self, now: UnixTime, due: bool) -> MeshChange {
        let Some((identity, roots)) = self.wanted.as_ref().filter(|_| !self.seen || due) else {
            return MeshChange::default();
        };
        self.seen = true;
        let built = Mesh::build(identity, roots, now);
        let problem = built.as_ref().err().cloned();
        let mut change = MeshChange { troubles: problem != self.problem, ..MeshChange::default() };
        self.problem = problem;
        if let Ok(mut mesh) = built {
            change.identity = self.mesh.as_ref().is_none_or(|before| before.identity != mesh.identity);
            // The same roots hold in another part after one of them has begun or ended.
            let same = self.mesh.as_ref().filter(|before| {
                before.roots.fingerprint() == mesh.roots.fingerprint()
                    && left_out(&before.roots).eq(left_out(&mesh.roots))
                    && before.roots.trust_domain() == mesh.roots.trust_domain()
            });
            match same {
                Some(before) => mesh.roots = before.roots.clone(),
                None => change.roots = true,
            }
            change.troubles |= change.roots;
            self.mesh = Some(mesh);
        }
        change
    }

    pub(super) fn troubles(&self, into: &mut Vec<Trouble>) {
        if let Some(problem) = &self.problem {
            into.push(Trouble::rejected(About::Roots, self.mesh.is_some(), problem.clone()));
        }
        let left_out = self.mesh.iter().flat_map(|mesh| mesh.roots.left_out());
        into.extend(
            left_out.map(|root| Trouble::warning(About::Roots, format!("a root is not used: {root}"))),
        );
    }

    pub(super) fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        self.mesh.as_ref()?.roots.next_change(now)
    }
}

/// Roots that are not used, and why; not for how long that is so.
fn left_out(roots: &TrustBundle) -> impl Iterator<Item = (&SerialNumber, &'static str)> {
    roots.left_out().iter().map(|root| (&root.anchor.serial, root.why.reason()))
}

impl Mesh {
    fn build(identity: &MeshIdentity, roots: &[FileBytes], now: UnixTime) -> Result<Self, String> {
        let name = |error: mesh_id::NameError| error.to_string();
        let trust_domain = TrustDomain::parse(&identity.trust_domain).map_err(name)?;
        let partition = Partition::parse(&identity.partition).map_err(name)?;
        let datacenter = Datacenter::parse(&identity.datacenter).map_err(name)?;
        let suffix = compile::here(identity).map_err(name)?;
        if roots.is_empty() {
            return Err("there are no roots: nobody could be verified".to_owned());
        }
        let roots = TrustBundle::build(trust_domain.clone(), roots.iter().map(FileBytes::expose), now)
            .map_err(|error| error.to_string())?;
        let local = LocalMesh { partition: partition.clone(), ..LocalMesh::new(trust_domain.clone()) };
        let identity = identity.clone();
        Ok(Self { identity, roots: Arc::new(roots), local, trust_domain, partition, datacenter, suffix })
    }
}

/// TLS parameters of the mesh entry.
#[derive(Debug, Default)]
pub(super) struct TlsSlot {
    in_use: Arc<MeshTls>,
    problem: Option<String>,
    warnings: Vec<String>,
    /// Some version of it could be used.
    good: bool,
}

impl TlsSlot {
    /// Reads what the mesh entry says; `None`: there is none. True if anything differs.
    pub(super) fn set(&mut self, options: Option<&MeshOptions>) -> bool {
        let built = options.map_or_else(|| Ok(MeshTls::default()), parameters);
        match built {
            Ok(tls) => {
                let all = tls.incoming.warnings().iter().chain(tls.outgoing.warnings());
                let warnings: Vec<String> = all.map(ToString::to_string).collect();
                let changed = tls != *self.in_use || self.problem.is_some() || warnings != self.warnings;
                if tls != *self.in_use {
                    self.in_use = Arc::new(tls);
                }
                self.problem = None;
                self.warnings = warnings;
                self.good = true;
                changed
            }
            Err(problem) => {
                let changed = self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
                changed
            }
        }
    }

    pub(super) fn in_use(&self) -> &Arc<MeshTls> {
        &self.in_use
    }

    /// Whether there are settings, and none of them could ever be used: the defaults might be weaker than what
    /// was asked for.
    pub(super) fn is_refused(&self) -> bool {
        self.problem.is_some() && !self.good
    }

    pub(super) fn troubles(&self, into: &mut Vec<Trouble>) {
        if let Some(problem) = &self.problem {
            into.push(Trouble::rejected(About::MeshTls, self.good, problem.clone()));
        }
        into.extend(self.warnings.iter().map(|text| Trouble::warning(About::MeshTls, text.clone())));
    }
}

fn parameters(options: &MeshOptions) -> Result<MeshTls, String> {
    let read =
        |what: &str, of| TlsParameters::from_document(of).map_err(|error| format!("TLS.{what}: {error}"));
    Ok(MeshTls {
        incoming: read("Incoming", &options.incoming)?,
        outgoing: read("Outgoing", &options.outgoing)?,
    })
}

/// How often what depends on time is looked at even if nothing is known to change: identity.md 5.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3600);
