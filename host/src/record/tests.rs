//! Tests of the store over real files in temporary folders.

mod batch;
mod decisions;
mod file;
mod history;
mod holds;
mod past;
mod room;
mod silences;
mod size;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Batch, Evaluation, Store, StoreOptions};
use crate::model::{
    Decision, DecisionId, Digest, Evidence, Mode, Origin, Outcome, PolicyName, PoolSize, Proposal,
    Rule, RuleWord, ScopeKey, Setting, Status, Subject, TargetName, Timestamp, Transition, Verdict,
    Word,
};

/// A round moment: 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(offset: Duration) -> Timestamp {
    Timestamp::from_millis(START_MS).plus(offset)
}

fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        dir: dir.to_owned(),
        decisions_kept: 30 * DAY,
        inputs_kept: 7 * DAY,
        size_max_bytes: 1 << 30,
    }
}

async fn open(dir: &Path) -> Store {
    Store::open(&options(dir)).await.expect("the store opens")
}

/// An id as the sidecar makes them: it sorts by `number`.
fn id(number: u64) -> DecisionId {
    DecisionId(Uuid::from_u64_pair(number, 0x8000_0000_0000_0000 | number))
}

fn target(name: &str) -> TargetName {
    TargetName::new(name).expect("a fair name")
}

fn policy(name: &str) -> PolicyName {
    PolicyName::new(name).expect("a fair name")
}

fn size(connections: u32) -> PoolSize {
    PoolSize::new(connections).expect("a fair size")
}

/// An enforced resize that was let pass: an intent.
fn resize(number: u64) -> Decision {
    let scope = ScopeKey::Database(Arc::from("shop"));
    Decision {
        id: id(number),
        at: at(Duration::from_secs(number)),
        target: target("main"),
        policy: policy("autosize"),
        origin: Origin::Plugin {
            digest: Digest([7; 32]),
            version: Arc::from("1.2.3"),
            evaluation: Uuid::from_u128(u128::from(number)),
        },
        subject: Subject::Scope(scope.clone()),
        mode: Mode::Enforce,
        status: Status::Proposed,
        proposal: Proposal::Resize {
            setting: Setting::size_of(scope),
            size: 40,
            reason: "12 clients wait".into(),
            evidence: vec![Evidence { name: "cl_waiting".into(), value: 0.1 + 0.2 }],
        },
        verdict: Some(Verdict {
            outcome: Outcome::Clamped,
            rules: vec![RuleWord {
                rule: Rule::Step,
                word: Word::Clamp,
                reason: "at most 10 at once".into(),
            }],
        }),
        size_from: Some(size(20)),
        size_to: Some(size(30)),
    }
}

fn evaluation(number: u64) -> Evaluation {
    Evaluation {
        id: Uuid::from_u128(u128::from(number)),
        at: at(Duration::from_secs(number)),
        target: target("main"),
        policy: policy("autosize"),
        digest: Digest([7; 32]),
        settings: r#"{"headroom":0.2}"#.into(),
        input: br#"{"pools":[{"cl_active":12,"cl_waiting":3}]}"#.repeat(100),
        memory: vec![1, 2, 3],
        answer: b"{}".to_vec(),
    }
}

fn changed(decision: &Decision, status: Status, later: Duration) -> Transition {
    Transition { id: decision.id, at: decision.at.plus(later), status, note: "as asked".into() }
}

async fn write(store: &Store, batch: &Batch) {
    store.write(batch).await.expect("the batch is written");
}

/// Calls the maintenance until nothing is left to do; gives the sum of its work.
async fn maintain(store: &Store, now: Timestamp) -> super::Maintenance {
    let mut all = super::Maintenance::default();
    loop {
        let done = store.maintain(now).await.expect("maintained");
        all.history_made += done.history_made;
        all.history_deleted += done.history_deleted;
        all.evaluations_deleted += done.evaluations_deleted;
        all.decisions_deleted += done.decisions_deleted;
        all.plugins_deleted += done.plugins_deleted;
        all.used_bytes = done.used_bytes;
        all.over_limit = done.over_limit;
        if !done.unfinished {
            return all;
        }
    }
}

/// Bytes that deflate cannot shrink.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
