//! Alerts: where each is in its life, as of the last write.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::read::policy;
use super::wire::{self, Body, from_ms, malformed, to_ms};
use super::{AlertChange, RecordError, Store, StoredAlert};
use crate::model::{Alert, AlertKey, AlertState, DecisionId, TargetName, Timestamp};

impl Store {
    /// Gives the alerts of a target that are not forgotten.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn alerts(&self, of: &TargetName) -> Result<Vec<StoredAlert>, RecordError> {
        let found = sqlx::query(
            "SELECT alerts.policy, alerts.name, alerts.subject, alerts.state, alerts.decision,
                alerts.until_ms, alerts.since_ms, decisions.body
             FROM alerts LEFT JOIN decisions ON decisions.id = alerts.decision
             WHERE alerts.target = ? ORDER BY alerts.policy, alerts.name, alerts.subject",
        )
        .bind(of.as_str())
        .fetch_all(&self.readers)
        .await;
        let rows = found.map_err(|error| self.fail(error))?;
        rows.iter().map(stored).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }
}

fn stored(row: &SqliteRow) -> sqlx::Result<StoredAlert> {
    let decision: Option<&[u8]> = row.try_get("decision")?;
    let until: Option<i64> = row.try_get("until_ms")?;
    let (state, held_until) = match (row.try_get("state")?, decision, until) {
        ("pending", _, held_until) => (AlertState::Pending, held_until.map(from_ms)),
        ("firing", Some(id), _) => (AlertState::Firing(DecisionId(wire::uuid(id)?)), None),
        ("cooling", _, Some(until)) => (AlertState::Cooling(from_ms(until)), None),
        (other, _, _) => return Err(malformed(format!("alert state {other:?}"))),
    };
    let key = AlertKey {
        policy: policy(row)?,
        name: row.try_get("name")?,
        subject: wire::subject_from_json(row.try_get("subject")?).map_err(malformed)?,
    };
    let body: Option<&str> = row.try_get("body")?;
    let proposal = match body {
        Some(body) => {
            let body: Body = serde_json::from_str(body).map_err(malformed)?;
            Some(body.proposal.try_into().map_err(malformed)?)
        }
        None => None,
    };
    let alert = Alert { key, state, since: from_ms(row.try_get("since_ms")?) };
    Ok(StoredAlert { alert, held_until, proposal })
}

/// Where an alert is in its life, as its row has it.
struct State {
    name: &'static str,
    decision: Option<DecisionId>,
    /// While cooling: until when it is silent. While pending: until when it was seen to hold.
    until: Option<Timestamp>,
    since: Timestamp,
}

impl State {
    fn of(alert: &Alert) -> Self {
        let (name, decision, until) = match alert.state {
            AlertState::Pending => ("pending", None, None),
            AlertState::Firing(id) => ("firing", Some(id), None),
            AlertState::Cooling(until) => ("cooling", None, Some(until)),
        };
        Self { name, decision, until, since: alert.since }
    }
}

/// Writes one change.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    change: &AlertChange,
) -> sqlx::Result<()> {
    match change {
        AlertChange::Set { target, alert } => {
            set(connection, target, &alert.key, State::of(alert)).await
        }
        AlertChange::Pending { target, key, since, held_until } => {
            let (since, until) = (*since, Some(*held_until));
            set(connection, target, key, State { name: "pending", decision: None, until, since })
                .await
        }
        AlertChange::Forget { target, key } => forget(connection, target, key).await,
    }
}

async fn set(
    connection: &mut SqliteConnection,
    target: &TargetName,
    key: &AlertKey,
    state: State,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alerts (target, policy, name, subject, state, decision, until_ms, since_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (target, policy, name, subject) DO UPDATE SET state = excluded.state,
            decision = excluded.decision, until_ms = excluded.until_ms,
            since_ms = excluded.since_ms",
    )
    .bind(target.as_str())
    .bind(key.policy.as_str())
    .bind(key.name.as_str())
    .bind(wire::subject_to_json(&key.subject)?)
    .bind(state.name)
    .bind(state.decision.map(|id| id.0.as_bytes().to_vec()))
    .bind(state.until.map(to_ms))
    .bind(to_ms(state.since))
    .execute(connection)
    .await
    .map(drop)
}

async fn forget(
    connection: &mut SqliteConnection,
    target: &TargetName,
    key: &AlertKey,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM alerts WHERE target = ? AND policy = ? AND name = ? AND subject = ?")
        .bind(target.as_str())
        .bind(key.policy.as_str())
        .bind(key.name.as_str())
        .bind(wire::subject_to_json(&key.subject)?)
        .execute(connection)
        .await
        .map(drop)
}
