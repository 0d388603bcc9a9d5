//! Reads decisions, evaluations and what control starts from.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::file::{FILE_NAME, peeking};
use super::pack::unpack;
use super::wire::{self, Body, from_ms, malformed, to_ms};
use super::{DecisionFilter, Evaluation, Memory, Page, RecordError, ScopeState, Store, Stored};
use crate::model::{
    Decision, DecisionId, Digest, Knob, Origin, PolicyName, PoolSize, Proposal, Setting, Status,
    TargetName, Timestamp, Transition,
};

pub(super) const DECISION: &str = "SELECT id, at_ms, target, policy, mode, status, digest, evaluation, \
    size_from, size_to, body FROM decisions";

impl Store {
    /// Gives a page of the decisions that a filter lets pass, newest first.
    ///
    /// Pages follow the ids: while new decisions arrive, going from cursor to cursor gives each
    /// older one exactly once.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn decisions(&self, filter: &DecisionFilter) -> Result<Page, RecordError> {
        let limit = filter.limit.clamp(1, DecisionFilter::LIMIT_MAX);
        let mut query = select(filter);
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let found = query.build().fetch_all(&self.readers).await;
        let rows = found.map_err(|error| self.fail(error))?;
        let read: sqlx::Result<Vec<_>> = rows.iter().map(decision).collect();
        let mut decisions = read.map_err(|error| self.fail(error))?;
        let limit = usize::try_from(limit).expect("a page fits into memory");
        let more = decisions.len() > limit;
        decisions.truncate(limit);
        let next = decisions.last().filter(|_| more).map(|last| last.id);
        Ok(Page { decisions, next })
    }

    /// Gives one decision with all that came of it.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<Stored>, RecordError> {
        self.find_decision(id).await.map_err(|error| self.fail(error))
    }

    async fn find_decision(&self, id: DecisionId) -> sqlx::Result<Option<Stored>> {
        let mut snapshot = self.readers.begin().await?;
        let mut query = QueryBuilder::<Sqlite>::new(DECISION);
        query.push(" WHERE id = ").push_bind(id.0.as_bytes().to_vec());
        let Some(row) = query.build().fetch_optional(&mut *snapshot).await? else {
            return Ok(None);
        };
        let rows = sqlx::query(
            "SELECT at_ms, status, note FROM transitions WHERE decision = ? ORDER BY run, at_ms, seq",
        )
        .bind(id.0.as_bytes().to_vec())
        .fetch_all(&mut *snapshot)
        .await?;
        let transition = |row: &SqliteRow| {
            Ok(Transition {
                id,
                at: from_ms(row.try_get("at_ms")?),
                status: status(row.try_get("status")?)?,
                note: row.try_get("note")?,
            })
        };
        let transitions = rows.iter().map(transition).collect::<sqlx::Result<_>>()?;
        Ok(Some(Stored { decision: decision(&row)?, transitions }))
    }

    /// Gives what an evaluation was asked and what it answered.
    ///
    /// # Errors
    /// When the file fails or the row does not read back.
    pub async fn evaluation(&self, id: Uuid) -> Result<Option<Evaluation>, RecordError> {
        let found = sqlx::query(
            "SELECT id, at_ms, target, policy, digest, settings, input, memory, answer
             FROM evaluations WHERE id = ?",
        )
        .bind(id.as_bytes().to_vec())
        .fetch_optional(&self.readers)
        .await;
        let row = found.map_err(|error| self.fail(error))?;
        row.as_ref().map(evaluation).transpose().map_err(|error| self.fail(error))
    }

    /// Gives a plugin's bytes.
    ///
    /// # Errors
    /// When the file fails or the row does not read back.
    pub async fn plugin(&self, digest: Digest) -> Result<Option<Vec<u8>>, RecordError> {
        let found: sqlx::Result<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT bytes FROM plugins WHERE digest = ?")
                .bind(digest.0.to_vec())
                .fetch_optional(&self.readers)
                .await;
        let packed = found.map_err(|error| self.fail(error))?;
        let bytes = packed.map(|packed| unpack(&packed).map_err(malformed)).transpose();
        bytes.map_err(|error| self.fail(error))
    }

    /// Gives the resizes that a crash left between intent and outcome, oldest first.
    ///
    /// These are enforced resizes that were to be sent to PgBouncer and are `proposed` or
    /// `applied`.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn unsettled(&self) -> Result<Vec<Decision>, RecordError> {
        let mut query = QueryBuilder::<Sqlite>::new(DECISION);
        query.push(" WHERE acts = 1 AND status IN ('proposed', 'applied') ORDER BY id");
        let found = query.build().fetch_all(&self.readers).await;
        let rows = found.map_err(|error| self.fail(error))?;
        rows.iter().map(decision).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }

    /// Gives the changes of a target's sizes since a moment, each with when it came into force; whoever had
    /// it made, and whatever it did then.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn changes(
        &self,
        target: &TargetName,
        since: Timestamp,
    ) -> Result<Vec<(Decision, Timestamp)>, RecordError> {
        let mut query = QueryBuilder::<Sqlite>::new(DECISION.replace(
            " FROM decisions",
            ", (SELECT min(t.at_ms) FROM transitions t WHERE t.decision = decisions.id AND t.status IN \
             ('applied', 'verified', 'rolled_back', 'inconclusive', 'superseded')) AS made_ms \
             FROM decisions",
        ));
        query.push(" WHERE acts = 1 AND kind = 'resize' AND made_ms >= ").push_bind(to_ms(since));
        query.push(" AND target = ").push_bind(target.as_str()).push(" ORDER BY made_ms");
        let found = query.build().fetch_all(&self.readers).await;
        let rows = found.map_err(|error| self.fail(error))?;
        let one = |row: &SqliteRow| Ok((decision(row)?, from_ms(row.try_get("made_ms")?)));
        rows.iter().map(one).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }

    /// Gives the advice about a target that stands: recommendations, and what waits for a person.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn standing(&self, target: &TargetName) -> Result<Vec<Decision>, RecordError> {
        let mut query = QueryBuilder::<Sqlite>::new(DECISION);
        query.push(" WHERE status = 'proposed' AND target = ").push_bind(target.as_str());
        query.push(" AND (kind = 'recommendation' OR (kind IN ('resize', 'end_session') AND mode = 'recommend'");
        query.push(" AND acts = 0 AND outcome IN ('approved', 'clamped'))) ORDER BY id");
        let found = query.build().fetch_all(&self.readers).await;
        let rows = found.map_err(|error| self.fail(error))?;
        rows.iter().map(decision).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }

    /// Gives the scopes of a target as they were last written.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn scope_states(&self, target: &TargetName) -> Result<Vec<ScopeState>, RecordError> {
        scopes(&self.readers, target).await.map_err(|error| self.fail(error))
    }

    /// Gives the memories of all policies and targets.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn memories(&self) -> Result<Vec<Memory>, RecordError> {
        let found =
            sqlx::query("SELECT policy, target, blob FROM memories ORDER BY policy, target")
                .fetch_all(&self.readers)
                .await;
        let rows = found.map_err(|error| self.fail(error))?;
        let memory = |row: &SqliteRow| {
            Ok(Memory { policy: policy(row)?, target: target(row)?, blob: row.try_get("blob")? })
        };
        rows.iter().map(memory).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }
}

/// Reads the scopes of a target from the store in a folder, which a running sidecar may have open; none
/// where there is no store.
///
/// Nothing is written, no lock is taken, and no file is made beside those that are there.
///
/// # Errors
/// When the file fails, or a row does not read back.
pub async fn peek_scopes(dir: &Path, target: &TargetName) -> Result<Vec<ScopeState>, RecordError> {
    let path = dir.join(FILE_NAME);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let peek = async {
        let mut connection = peeking(&path).connect().await?;
        let read = scopes(&mut connection, target).await;
        connection.close().await?;
        read
    };
    peek.await.map_err(|error| RecordError::new(&path, error))
}

async fn scopes(
    from: impl sqlx::Executor<'_, Database = Sqlite>,
    target: &TargetName,
) -> sqlx::Result<Vec<ScopeState>> {
    let found = sqlx::query(
        "SELECT target, scope, base, wanted, stood_down_ms, changed_ms FROM scopes
         WHERE target = ? ORDER BY scope",
    )
    .bind(target.as_str())
    .fetch_all(from)
    .await?;
    found.iter().map(scope).collect()
}

/// Builds the condition. Moments bound the ids as well, so that a narrow span in a long list reads
/// only that span; the exact bounds come from the index, not from the time within the id.
fn select(filter: &DecisionFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(DECISION);
    query.push(" WHERE 1");
    let equal = [
        (" AND kind = ", filter.kind.map(|kind| kind.as_str().to_owned())),
        (" AND target = ", filter.target.as_ref().map(ToString::to_string)),
        (" AND policy = ", filter.policy.as_ref().map(ToString::to_string)),
        (" AND status = ", filter.status.map(|status| status.as_str().to_owned())),
        (" AND database = ", filter.database.clone()),
        (" AND user = ", filter.user.clone()),
    ];
    for (condition, value) in equal {
        if let Some(value) = value {
            query.push(condition).push_bind(value);
        }
    }
    if let Some(since) = filter.since.map(to_ms) {
        query.push(" AND at_ms >= ").push_bind(since);
        query.push(" AND id >= (SELECT min(id) FROM decisions WHERE at_ms >= ");
        query.push_bind(since).push(")");
    }
    if let Some(until) = filter.until.map(to_ms) {
        query.push(" AND at_ms < ").push_bind(until);
        query.push(" AND id <= (SELECT max(id) FROM decisions WHERE at_ms < ");
        query.push_bind(until).push(")");
    }
    if let Some(cursor) = filter.cursor {
        query.push(" AND id < ").push_bind(cursor.0.as_bytes().to_vec());
    }
    query
}

/// Reads a row that [`DECISION`] selects.
pub(super) fn decision(row: &SqliteRow) -> sqlx::Result<Decision> {
    let body: Body = serde_json::from_str(row.try_get("body")?).map_err(malformed)?;
    let (plugin, asked): (Option<&[u8]>, Option<&[u8]>) =
        (row.try_get("digest")?, row.try_get("evaluation")?);
    let origin = match (plugin, asked) {
        (Some(plugin), Some(asked)) => Origin::Plugin {
            digest: digest(plugin)?,
            version: Arc::from(body.version.unwrap_or_default()),
            evaluation: wire::uuid(asked)?,
        },
        _ => Origin::Host,
    };
    let proposal: Proposal = body.proposal.try_into().map_err(malformed)?;
    let knob = match &proposal {
        Proposal::Resize { setting, .. } => setting.knob,
        _ => Knob::PoolSize,
    };
    Ok(Decision {
        id: DecisionId(wire::uuid(row.try_get("id")?)?),
        at: from_ms(row.try_get("at_ms")?),
        target: target(row)?,
        policy: policy(row)?,
        origin,
        subject: body.subject.try_into().map_err(malformed)?,
        mode: wire::mode(row.try_get("mode")?).map_err(malformed)?,
        status: status(row.try_get("status")?)?,
        verdict: body.verdict.map(TryInto::try_into).transpose().map_err(malformed)?,
        size_from: size(knob, row.try_get("size_from")?)?,
        size_to: size(knob, row.try_get("size_to")?)?,
        proposal,
    })
}

fn evaluation(row: &SqliteRow) -> sqlx::Result<Evaluation> {
    let blob = |name| unpack(row.try_get(name)?).map_err(malformed);
    Ok(Evaluation {
        id: wire::uuid(row.try_get("id")?)?,
        at: from_ms(row.try_get("at_ms")?),
        target: target(row)?,
        policy: policy(row)?,
        digest: digest(row.try_get("digest")?)?,
        settings: row.try_get("settings")?,
        input: blob("input")?,
        memory: blob("memory")?,
        answer: blob("answer")?,
    })
}

fn scope(row: &SqliteRow) -> sqlx::Result<ScopeState> {
    let setting: Setting = row.try_get::<&str, _>("scope")?.parse().map_err(malformed)?;
    let base = size(setting.knob, row.try_get("base")?)?;
    let stood_down: Option<i64> = row.try_get("stood_down_ms")?;
    Ok(ScopeState {
        at: Timestamp::default(),
        target: target(row)?,
        base: base.ok_or_else(|| malformed("a scope without a base"))?,
        wanted: size(setting.knob, row.try_get("wanted")?)?,
        setting,
        stood_down: stood_down.map(from_ms),
        changed_at: from_ms(row.try_get("changed_ms")?),
    })
}

/// Reads the column `target`.
pub(super) fn target(row: &SqliteRow) -> sqlx::Result<TargetName> {
    TargetName::new(row.try_get("target")?).map_err(malformed)
}

/// Reads the column `policy`.
pub(super) fn policy(row: &SqliteRow) -> sqlx::Result<PolicyName> {
    PolicyName::new(row.try_get("policy")?).map_err(malformed)
}

fn digest(bytes: &[u8]) -> sqlx::Result<Digest> {
    bytes.try_into().map(Digest).map_err(malformed)
}

/// Reads a size of a knob.
pub(super) fn size(knob: Knob, value: Option<u32>) -> sqlx::Result<Option<PoolSize>> {
    value.map(|size| PoolSize::of(knob, size)).transpose().map_err(malformed)
}

/// Reads a status.
pub(super) fn status(text: &str) -> sqlx::Result<Status> {
    Status::parse(text).ok_or_else(|| malformed(format!("status {text:?}")))
}
