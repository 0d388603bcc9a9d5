//! Writes a batch.
//!
//! Each statement leaves the store the same when it is run again, so that a batch whose outcome is
//! unknown (a deadline, a full disk at the commit) is simply written again. What could not be written for a
//! while comes after what was written directly meanwhile, so the newer counts by its time.

use sqlx::SqliteConnection;

use super::pack::pack;
use super::wire::{self, Body, to_ms};
use super::{
    Batch, Evaluation, Memory, RecordError, ScopeState, Store, alerts, effects, holds, silences,
};
use crate::model::{
    Decision, Digest, Mode, Origin, Outcome, PoolSize, Proposal, ScopeKey, Status, Subject,
    Timestamp, Transition,
};

impl Store {
    /// Writes all of a batch or nothing; writing the same batch again does no harm.
    ///
    /// A transition of a decision that the store does not have (any more) is left out.
    ///
    /// # Errors
    /// When the disk is full, or the file fails otherwise.
    pub async fn write(&self, batch: &Batch) -> Result<(), RecordError> {
        let packed: Vec<_> = batch.evaluations.iter().map(Packed::new).collect();
        let mut writer = self.writer().await;
        let scopes: Vec<_> = batch.scopes.iter().filter(|one| writer.is_newest(one)).collect();
        writer.begin().await.map_err(|error| self.fail(error))?;
        let run = writer.run;
        let written = write(&mut writer.connection, batch, packed, (&scopes, run)).await;
        writer.end(written).await.map_err(|error| self.fail(error))?;
        scopes.into_iter().for_each(|one| writer.note_scope(one));
        Ok(())
    }

    /// Keeps a plugin's bytes; the second time for one digest does nothing.
    ///
    /// What this process has put is kept while it runs, and for as long as a recorded evaluation
    /// needs it.
    ///
    /// # Errors
    /// When the disk is full, or the file fails otherwise.
    pub async fn put_plugin(
        &self,
        digest: Digest,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let mut writer = self.writer().await;
        if !writer.plugins.contains(&digest) {
            writer.begin().await.map_err(|error| self.fail(error))?;
            let put = sqlx::query(
                "INSERT INTO plugins (digest, added_ms, bytes) VALUES (?, ?, ?)
                 ON CONFLICT (digest) DO NOTHING",
            )
            .bind(digest.0.to_vec())
            .bind(to_ms(now))
            .bind(pack(bytes))
            .execute(&mut writer.connection)
            .await;
            writer.end(put).await.map_err(|error| self.fail(error))?;
            writer.plugins.insert(digest);
        }
        Ok(())
    }
}

/// An evaluation's long values, packed before the writer is taken.
struct Packed {
    input: Vec<u8>,
    memory: Vec<u8>,
    answer: Vec<u8>,
}

impl Packed {
    fn new(evaluation: &Evaluation) -> Self {
        Self {
            input: pack(&evaluation.input),
            memory: pack(&evaluation.memory),
            answer: pack(&evaluation.answer),
        }
    }
}

async fn write(
    connection: &mut SqliteConnection,
    batch: &Batch,
    packed: Vec<Packed>,
    (scopes, run): (&[&ScopeState], i64),
) -> sqlx::Result<()> {
    for (evaluation, packed) in batch.evaluations.iter().zip(packed) {
        write_evaluation(connection, evaluation, packed).await?;
    }
    for decision in &batch.decisions {
        write_decision(connection, decision).await?;
    }
    for approval in &batch.approvals {
        holds::approve(connection, approval).await?;
    }
    for transition in &batch.transitions {
        write_transition(connection, transition, run).await?;
    }
    for scope in scopes {
        write_scope(connection, scope).await?;
    }
    for change in &batch.alerts {
        alerts::write(connection, change).await?;
    }
    for change in &batch.silences {
        silences::write(connection, change).await?;
    }
    for change in &batch.holds {
        holds::write(connection, change).await?;
    }
    for memory in &batch.memories {
        write_memory(connection, memory).await?;
    }
    for report in &batch.effects {
        effects::write(connection, report).await?;
    }
    for state in &batch.effect_states {
        effects::write_state(connection, state).await?;
    }
    Ok(())
}

async fn write_evaluation(
    connection: &mut SqliteConnection,
    evaluation: &Evaluation,
    packed: Packed,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO evaluations
            (id, at_ms, target, policy, digest, settings, input, memory, answer)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(evaluation.id.as_bytes().to_vec())
    .bind(to_ms(evaluation.at))
    .bind(evaluation.target.as_str())
    .bind(evaluation.policy.as_str())
    .bind(evaluation.digest.0.to_vec())
    .bind(evaluation.settings.as_str())
    .bind(packed.input)
    .bind(packed.memory)
    .bind(packed.answer)
    .execute(connection)
    .await
    .map(drop)
}

async fn write_decision(
    connection: &mut SqliteConnection,
    decision: &Decision,
) -> sqlx::Result<()> {
    let (database, user) = names(&decision.subject);
    let (digest, evaluation, version) = match &decision.origin {
        Origin::Plugin { digest, version, evaluation } => {
            (Some(digest.0.to_vec()), Some(evaluation.as_bytes().to_vec()), Some(version))
        }
        Origin::Host => (None, None, None),
    };
    let body = wire::to_json(&Body {
        version: version.map(|version| version.to_string()),
        subject: (&decision.subject).into(),
        proposal: (&decision.proposal).into(),
        verdict: decision.verdict.as_ref().map(Into::into),
    })?;
    sqlx::query(
        "INSERT INTO decisions (id, at_ms, target, kind, policy, database, user, mode, status,
            outcome, acts, digest, evaluation, size_from, size_to, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(decision.id.0.as_bytes().to_vec())
    .bind(to_ms(decision.at))
    .bind(decision.target.as_str())
    .bind(decision.kind().as_str())
    .bind(decision.policy.as_str())
    .bind(database)
    .bind(user)
    .bind(decision.mode.as_str())
    .bind(decision.status.as_str())
    .bind(decision.verdict.as_ref().map(|verdict| verdict.outcome.as_str()))
    .bind(acts(decision))
    .bind(digest)
    .bind(evaluation)
    .bind(decision.size_from.map(PoolSize::get))
    .bind(decision.size_to.map(PoolSize::get))
    .bind(body)
    .execute(connection)
    .await
    .map(drop)
}

/// Gives the database and the user that filters find a decision by.
fn names(subject: &Subject) -> (Option<&str>, Option<&str>) {
    match subject {
        Subject::Target | Subject::DatabaseServer | Subject::Scope(ScopeKey::Default) => {
            (None, None)
        }
        Subject::Scope(ScopeKey::Database(database)) => (Some(database), None),
        Subject::Scope(ScopeKey::User(user)) => (None, Some(user)),
        Subject::Pool(pool) => (Some(&pool.database), Some(&pool.user)),
    }
}

/// Says whether something is to be done: an enforced resize or end of a session that the guard let
/// pass, or a resize of the sidecar itself, which it makes in any mode when a person orders it.
fn acts(decision: &Decision) -> bool {
    let deed = matches!(decision.proposal, Proposal::Resize { .. } | Proposal::EndSession { .. });
    let own = decision.origin == Origin::Host;
    let passed = match &decision.verdict {
        Some(verdict) => matches!(verdict.outcome, Outcome::Approved | Outcome::Clamped),
        None => own,
    };
    deed && passed && (own || decision.mode == Mode::Enforce)
}

async fn write_transition(
    connection: &mut SqliteConnection,
    transition: &Transition,
    run: i64,
) -> sqlx::Result<()> {
    let id = transition.id.0.as_bytes().to_vec();
    sqlx::query(
        "INSERT INTO transitions (decision, at_ms, status, note, run)
         SELECT id, ?, ?, ?, ? FROM decisions WHERE id = ?
         ON CONFLICT (decision, at_ms, status) DO NOTHING",
    )
    .bind(to_ms(transition.at))
    .bind(transition.status.as_str())
    .bind(transition.note.as_str())
    .bind(run)
    .bind(id.clone())
    .execute(&mut *connection)
    .await?;
    let updated = sqlx::query(
        "UPDATE decisions SET status =
            (SELECT status FROM transitions WHERE decision = decisions.id
             ORDER BY run DESC, at_ms DESC, seq DESC LIMIT 1)
         WHERE id = ?",
    )
    .bind(id)
    .execute(connection)
    .await?;
    if updated.rows_affected() == 0 {
        let status = Status::as_str(transition.status);
        tracing::warn!(decision = %transition.id, status, "no such decision to change");
    }
    Ok(())
}

async fn write_scope(connection: &mut SqliteConnection, scope: &ScopeState) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO scopes (target, scope, base, wanted, stood_down_ms, changed_ms)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (target, scope) DO UPDATE SET base = excluded.base, wanted = excluded.wanted,
            stood_down_ms = excluded.stood_down_ms, changed_ms = excluded.changed_ms",
    )
    .bind(scope.target.as_str())
    .bind(scope.setting.to_string())
    .bind(scope.base.get())
    .bind(scope.wanted.map(PoolSize::get))
    .bind(scope.stood_down.map(to_ms))
    .bind(to_ms(scope.changed_at))
    .execute(connection)
    .await
    .map(drop)
}

async fn write_memory(connection: &mut SqliteConnection, memory: &Memory) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO memories (policy, target, blob) VALUES (?, ?, ?)
         ON CONFLICT (policy, target) DO UPDATE SET blob = excluded.blob",
    )
    .bind(memory.policy.as_str())
    .bind(memory.target.as_str())
    .bind(memory.blob.as_slice())
    .execute(connection)
    .await
    .map(drop)
}
