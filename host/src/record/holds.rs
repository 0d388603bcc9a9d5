//! Holds, also those that are over, for as long as decisions are kept: who stopped what, and why.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::read::{DECISION, decision};
use super::wire::{from_ms, malformed, to_ms};
use super::{Approval, HoldChange, RecordError, Store};
use crate::model::{Decision, Hold, HoldKind, PoolSize, Signature, Status, TargetName, Timestamp};

impl Store {
    /// Gives the hold of a target at a moment, if there is one.
    ///
    /// # Errors
    /// When the file fails or the row does not read back.
    pub async fn hold(
        &self,
        target: &TargetName,
        now: Timestamp,
    ) -> Result<Option<Hold>, RecordError> {
        let found = sqlx::query(
            "SELECT kind, since_ms, until_ms, author, comment FROM holds
             WHERE target = ? AND ended_ms IS NULL AND (until_ms IS NULL OR until_ms > ?)
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(target.as_str())
        .bind(to_ms(now))
        .fetch_optional(&self.readers)
        .await;
        let row = found.map_err(|error| self.fail(error))?;
        let hold = row.as_ref().map(|row| hold(target, row)).transpose();
        hold.map_err(|error| self.fail(error))
    }

    /// Gives what people have rejected of a target's advice since a moment, and when.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn rejected(
        &self,
        target: &TargetName,
        since: Timestamp,
    ) -> Result<Vec<(Decision, Timestamp)>, RecordError> {
        let mut query = QueryBuilder::<Sqlite>::new(DECISION.replace(
            " FROM decisions",
            ", (SELECT max(t.at_ms) FROM transitions t WHERE t.decision = decisions.id) AS said_ms \
             FROM decisions",
        ));
        query.push(" WHERE status = ").push_bind(Status::Rejected.as_str());
        query.push(" AND target = ").push_bind(target.as_str());
        query.push(" AND said_ms >= ").push_bind(to_ms(since)).push(" ORDER BY id");
        let found = query.build().fetch_all(&self.readers).await;
        let rows = found.map_err(|error| self.fail(error))?;
        let one = |row: &SqliteRow| Ok((decision(row)?, from_ms(row.try_get("said_ms")?)));
        rows.iter().map(one).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }

    /// Deletes holds that were over before a moment.
    pub(super) async fn prune_holds(&self, before: Timestamp) -> sqlx::Result<()> {
        let mut writer = self.writer().await;
        sqlx::query("DELETE FROM holds WHERE min(coalesce(ended_ms, until_ms), coalesce(until_ms, ended_ms)) < ?")
            .bind(to_ms(before))
            .execute(&mut writer.connection)
            .await
            .map(drop)
    }
}

fn hold(target: &TargetName, row: &SqliteRow) -> sqlx::Result<Hold> {
    let kind: &str = row.try_get("kind")?;
    let until: Option<i64> = row.try_get("until_ms")?;
    Ok(Hold {
        target: target.clone(),
        kind: HoldKind::parse(kind).ok_or_else(|| malformed(format!("hold {kind:?}")))?,
        since: from_ms(row.try_get("since_ms")?),
        until: until.map(from_ms),
        by: Signature { author: row.try_get("author")?, comment: row.try_get("comment")? },
    })
}

/// Writes one change; a new hold takes the place of an older one.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    change: &HoldChange,
) -> sqlx::Result<()> {
    match change {
        HoldChange::Set(hold) => {
            sqlx::query(
                "INSERT INTO holds (target, kind, since_ms, until_ms, author, comment)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (target, since_ms, kind) DO NOTHING",
            )
            .bind(hold.target.as_str())
            .bind(hold.kind.as_str())
            .bind(to_ms(hold.since))
            .bind(hold.until.map(to_ms))
            .bind(hold.by.author.as_str())
            .bind(hold.by.comment.as_str())
            .execute(&mut *connection)
            .await?;
            let own: i64 = sqlx::query_scalar(
                "SELECT seq FROM holds WHERE target = ? AND since_ms = ? AND kind = ?",
            )
            .bind(hold.target.as_str())
            .bind(to_ms(hold.since))
            .bind(hold.kind.as_str())
            .fetch_one(&mut *connection)
            .await?;
            end(connection, &hold.target, own, hold.since, &hold.by).await
        }
        HoldChange::End { target, at, by } => end(connection, target, i64::MAX, *at, by).await,
    }
}

/// Ends what was given before another one, whatever the clock said then: it may have been set back.
async fn end(
    connection: &mut SqliteConnection,
    target: &TargetName,
    seq: i64,
    at: Timestamp,
    by: &Signature,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE holds SET ended_ms = ?, ended_author = ?, ended_comment = ?
         WHERE target = ? AND ended_ms IS NULL AND seq < ?",
    )
    .bind(to_ms(at))
    .bind(by.author.as_str())
    .bind(by.comment.as_str())
    .bind(target.as_str())
    .bind(seq)
    .execute(connection)
    .await
    .map(drop)
}

/// Makes a decision that waited for a person one that is carried out.
pub(super) async fn approve(
    connection: &mut SqliteConnection,
    approval: &Approval,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE decisions SET acts = 1, size_from = ?, size_to = ? WHERE id = ?")
        .bind(approval.size_from.map(PoolSize::get))
        .bind(approval.size_to.map(PoolSize::get))
        .bind(approval.id.0.as_bytes().to_vec())
        .execute(connection)
        .await
        .map(drop)
}
