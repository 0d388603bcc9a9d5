//! Silences, also those that are over, for as long as decisions are kept: who muted what, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::wire::{self, from_ms, malformed, to_ms};
use super::{RecordError, SilenceChange, Store};
use crate::model::{Glob, Matchers, Silence, SilenceId, Timestamp};

/// Matchers as JSON, so that a person with `sqlite3` can read them.
#[derive(Serialize, Deserialize)]
struct WireMatchers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

impl From<&Matchers> for WireMatchers {
    fn from(matchers: &Matchers) -> Self {
        let text = |glob: &Option<Glob>| glob.as_ref().map(|glob| glob.as_str().to_owned());
        let label = |(name, glob): (&String, &Glob)| (name.clone(), glob.as_str().to_owned());
        Self {
            policy: text(&matchers.policy),
            alert: text(&matchers.alert),
            target: text(&matchers.target),
            database: text(&matchers.database),
            user: text(&matchers.user),
            labels: matchers.labels.iter().map(label).collect(),
        }
    }
}

impl From<WireMatchers> for Matchers {
    fn from(wire: WireMatchers) -> Self {
        let glob = |text: Option<String>| text.as_deref().map(Glob::new);
        let labels = wire.labels.into_iter();
        Self {
            policy: glob(wire.policy),
            alert: glob(wire.alert),
            target: glob(wire.target),
            database: glob(wire.database),
            user: glob(wire.user),
            labels: labels.map(|(name, text)| (name, Glob::new(&text))).collect(),
        }
    }
}

impl Store {
    /// Gives the silences that hold at a moment.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn silences(&self, now: Timestamp) -> Result<Vec<Silence>, RecordError> {
        let found = sqlx::query(
            "SELECT id, since_ms, until_ms, author, comment, matchers FROM silences
             WHERE removed_ms IS NULL AND until_ms > ? ORDER BY id",
        )
        .bind(to_ms(now))
        .fetch_all(&self.readers)
        .await;
        let rows = found.map_err(|error| self.fail(error))?;
        rows.iter().map(silence).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }

    /// Deletes silences that were over before a moment.
    pub(super) async fn prune_silences(&self, before: Timestamp) -> sqlx::Result<()> {
        let mut writer = self.writer().await;
        sqlx::query("DELETE FROM silences WHERE min(until_ms, coalesce(removed_ms, until_ms)) < ?")
            .bind(to_ms(before))
            .execute(&mut writer.connection)
            .await
            .map(drop)
    }
}

fn silence(row: &SqliteRow) -> sqlx::Result<Silence> {
    let matchers: WireMatchers =
        serde_json::from_str(row.try_get("matchers")?).map_err(malformed)?;
    Ok(Silence {
        id: SilenceId(wire::uuid(row.try_get("id")?)?),
        matchers: matchers.into(),
        since: from_ms(row.try_get("since_ms")?),
        until: from_ms(row.try_get("until_ms")?),
        author: row.try_get("author")?,
        comment: row.try_get("comment")?,
    })
}

/// Writes one change.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    change: &SilenceChange,
) -> sqlx::Result<()> {
    match change {
        SilenceChange::Add(silence) => sqlx::query(
            "INSERT INTO silences (id, since_ms, until_ms, author, comment, matchers)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(silence.id.0.as_bytes().to_vec())
        .bind(to_ms(silence.since))
        .bind(to_ms(silence.until))
        .bind(silence.author.as_str())
        .bind(silence.comment.as_str())
        .bind(wire::to_json(&WireMatchers::from(&silence.matchers))?)
        .execute(connection)
        .await
        .map(drop),
        SilenceChange::Remove { id, at } => {
            sqlx::query("UPDATE silences SET removed_ms = ? WHERE id = ? AND removed_ms IS NULL")
                .bind(to_ms(*at))
                .bind(id.0.as_bytes().to_vec())
                .execute(connection)
                .await
                .map(drop)
        }
    }
}
