//! The shortest case that still shows a difference.

use crate::Peers;
use crate::case::{Case, End};
use crate::compare::{Clash, Outcome, compare};
use crate::explained::{Facts, explain};

/// Leaves out whatever can be left out of `case` so that `peer` and we still differ as in `clash`,
/// with no reason for it, and for the same reason of ours.
pub fn minimise(case: &Case, peer: &str, clash: &Clash, peers: &mut Peers) -> Case {
    let mut why = None;
    let mut still_differs = |case: &Case| {
        let Some((ours, theirs)) = peers.judge(peer, case) else { return false };
        let Outcome::Clash(found) = compare(case, &ours, &theirs) else { return false };
        let refusals = (refusal(&ours.end), refusal(&theirs.end));
        let same = found.kind == clash.kind
            && found.part == clash.part
            && *why.get_or_insert(refusals.clone()) == refusals;
        let facts = Facts { case, peer, ours: &ours, theirs: &theirs, clash: &found };
        same && explain(&facts).is_none()
    };
    let mut best = case.clone();
    if !still_differs(&best) {
        return best;
    }
    let mut len = best.bytes.len() / 2;
    while len > 0 {
        let (before, mut at) = (best.bytes.len(), 0);
        while at < best.bytes.len() {
            let mut bytes = best.bytes.clone();
            drop(bytes.drain(at..(at + len).min(bytes.len())));
            let smaller = best.with_bytes(bytes);
            if still_differs(&smaller) {
                best = smaller;
            } else {
                at += len;
            }
        }
        if len > 1 || best.bytes.len() == before {
            len /= 2;
        }
    }
    best
}

fn refusal(end: &End) -> Option<String> {
    match end {
        End::Refused { why, .. } => Some(why.clone()),
        _ => None,
    }
}
