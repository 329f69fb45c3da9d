//! What a change of rules means for connections that are open.

use std::sync::Arc;

use gateway_runtime::reason::Reason;
use gateway_runtime::record::Verdict;
use gateway_runtime::registry::{Authorization, Judgement, Registry};
use gateway_state::terminating::{NotReady, TerminatingSnapshot};

use super::TerminatingKept;
use super::judge::{Proof, is_judged_by, judge};
use crate::settings::Reauthorize;

/// Judges every open connection by the snapshot that was just published. Control thread; takes less
/// than a microsecond for a connection whose rules are the same as before.
pub(super) fn reauthorize(kept: &TerminatingKept, snapshot: &Arc<TerminatingSnapshot>, registry: &Registry) {
    let done = registry.reauthorize(|authorization| again(kept, snapshot, authorization));
    for (result, count) in [("changed", done.changed), ("cut", done.cut), ("expiring", done.expiring)] {
        if count > 0 {
            kept.tls.reauthorized.with(result).inc_by(count as u64);
        }
    }
    if done.cut > 0 || done.expiring > 0 {
        let (cut, expiring) = (done.cut, done.expiring);
        tracing::info!(cut, expiring, "open connections were judged again after a change");
    }
}

fn again(kept: &TerminatingKept, snapshot: &TerminatingSnapshot, authorization: &Authorization) -> Judgement {
    let Some(proof) = authorization.proof.downcast_ref::<Proof>() else { return Judgement::Keep };
    let Some(service) = snapshot.service(Some(&proof.service.namespace), &proof.service.name) else {
        return Judgement::Expire(kept.settings.unlinked, Reason::Unlinked);
    };
    if is_judged_by(authorization, service) {
        return Judgement::Keep;
    }
    // Its intentions are not known (yet): no news is no reason to cut what they allowed before.
    if matches!(service.not_ready, Some(NotReady::NoIntentions | NotReady::Waiting(_))) {
        return Judgement::Keep;
    }
    let judged = judge(service, &proof.source);
    match (judged.authorization.verdict, kept.settings.reauthorize) {
        (Verdict::Deny, Reauthorize::Cut) => Judgement::Cut(Reason::IntentionChanged, judged.authorization),
        (Verdict::Deny, Reauthorize::Keep) => Judgement::Keep,
        _ => Judgement::Change(judged.authorization),
    }
}
