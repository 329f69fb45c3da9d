//! The one check of a caller, and the permit that comes of it.

use std::sync::Arc;

use gateway_runtime::record::Verdict as Recorded;
use gateway_runtime::registry::Authorization;
use gateway_state::terminating::{LinkedService, ServiceKey};
use intentions::{ConnPermit, Decision, Denial, Protocol, RuleSet, Source, Verdict};
use mesh_id::SpiffeId;

/// Leave to connect one caller with one linked service. Only [`judge`] makes one.
#[derive(Debug)]
#[must_use = "whoever was permitted is to be connected"]
pub struct Permit(Word);

/// By what the permit was given.
#[derive(Debug)]
enum Word {
    Intentions(ConnPermit),
    /// The intentions deny it, and nothing is enforced for this service.
    DryRun(Denial),
}

impl Permit {
    /// What decided.
    #[must_use]
    pub fn why(&self) -> &Decision {
        match &self.0 {
            Word::Intentions(permit) => permit.why(),
            Word::DryRun(denial) => denial.why(),
        }
    }
}

/// What was decided about a caller.
#[derive(Debug)]
pub struct Judged {
    /// Leave to connect; `None`: denied.
    pub permit: Option<Permit>,
    /// What the registration of the connection is authorized with, or the record names.
    pub authorization: Authorization,
    /// The kind of rule that decided, for metrics.
    pub kind: &'static str,
}

/// What it takes to judge a connection again.
pub(super) struct Proof {
    pub(super) service: ServiceKey,
    pub(super) source: SpiffeId,
    pub(super) rules: Arc<RuleSet>,
    pub(super) dry_run: bool,
}

/// Judges a caller, whose certificate has been verified, for a stream of bytes to a linked service.
#[must_use]
pub fn judge(service: &LinkedService, source: &SpiffeId) -> Judged {
    let (permit, verdict, why, kind) =
        match service.rules.check_connection(Source::Direct(source), Protocol::Tcp) {
            Verdict::Allow(permit) => {
                let (why, kind) = words(permit.why());
                (Some(Permit(Word::Intentions(permit))), Recorded::Allow, why, kind)
            }
            Verdict::Deny(denial) if service.dry_run => {
                let (why, kind) = words(denial.why());
                (Some(Permit(Word::DryRun(denial))), Recorded::WouldDeny, why, kind)
            }
            Verdict::Deny(denial) => {
                let (why, kind) = words(denial.why());
                (None, Recorded::Deny, why, kind)
            }
            // Never for a stream of bytes; and nothing may be let through on the hope of a later check.
            Verdict::NeedsRequest(_) => {
                (None, Recorded::Deny, "requests are to be judged".into(), "needs_request")
            }
        };
    let proof = Proof {
        service: service.key.clone(),
        source: source.clone(),
        rules: Arc::clone(&service.rules),
        dry_run: service.dry_run,
    };
    let authorization =
        Authorization { source: source.to_string().into(), verdict, intention: why, proof: Arc::new(proof) };
    Judged { permit, authorization, kind }
}

fn words(decision: &Decision) -> (Arc<str>, &'static str) {
    (decision.line(), decision.label())
}

/// Whether a caller was judged by what a service has now.
#[must_use]
pub fn is_judged_by(authorization: &Authorization, service: &LinkedService) -> bool {
    authorization
        .proof
        .downcast_ref::<Proof>()
        .is_some_and(|proof| Arc::ptr_eq(&proof.rules, &service.rules) && proof.dry_run == service.dry_run)
}
