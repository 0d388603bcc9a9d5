//! What changes of sizes did: one report for each, and what follows from the newest of a setting.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::read::{size, status, target};
use super::wire::{WireEvidence, evidence_from_wire, evidence_to_wire};
use super::wire::{from_ms, malformed, to_json, to_ms, uuid};
use super::{EffectState, RecordError, Store};
use crate::model::{DecisionId, EffectPoint, EffectReport, Measure, Setting, TargetName};

#[derive(Serialize, Deserialize)]
struct WireReport {
    began_ms: i64,
    expected: String,
    expected_numbers: Vec<WireEvidence>,
    before: WireMeasure,
    after: WireMeasure,
    series: Vec<WirePoint>,
    judged_ms: Option<i64>,
    judged: String,
}

#[derive(Serialize, Deserialize)]
struct WireMeasure {
    observed_s: f64,
    polls: u32,
    transactions: f64,
    throughput_per_s: f64,
    transaction_mean_us: f64,
    wait_mean_us: f64,
    waiting_mean: f64,
    waiting_share: f64,
    busy_mean: f64,
    servers_mean: f64,
    maxwait_us: u64,
    rollback_ratio: Option<f64>,
    deadlocks: Option<f64>,
}

/// A point as a short row, because a report has about ninety: moment, size, servers, waiting,
/// transactions a second, mean time of one in microseconds.
#[derive(Serialize, Deserialize)]
struct WirePoint(i64, u32, f64, f64, f64, f64);

impl From<&Measure> for WireMeasure {
    fn from(measure: &Measure) -> Self {
        let Measure { observed_s, polls, transactions, throughput_per_s, .. } = *measure;
        let Measure { transaction_mean_us, wait_mean_us, waiting_mean, .. } = *measure;
        let Measure { waiting_share, busy_mean, servers_mean, maxwait_us, .. } = *measure;
        let Measure { rollback_ratio, deadlocks, .. } = *measure;
        Self {
            observed_s,
            polls,
            transactions,
            throughput_per_s,
            transaction_mean_us,
            wait_mean_us,
            waiting_mean,
            waiting_share,
            busy_mean,
            servers_mean,
            maxwait_us,
            rollback_ratio,
            deadlocks,
        }
    }
}

impl From<WireMeasure> for Measure {
    fn from(wire: WireMeasure) -> Self {
        Self {
            observed_s: wire.observed_s,
            polls: wire.polls,
            transactions: wire.transactions,
            throughput_per_s: wire.throughput_per_s,
            transaction_mean_us: wire.transaction_mean_us,
            wait_mean_us: wire.wait_mean_us,
            waiting_mean: wire.waiting_mean,
            waiting_share: wire.waiting_share,
            busy_mean: wire.busy_mean,
            servers_mean: wire.servers_mean,
            maxwait_us: wire.maxwait_us,
            rollback_ratio: wire.rollback_ratio,
            deadlocks: wire.deadlocks,
        }
    }
}

impl From<&EffectPoint> for WirePoint {
    fn from(point: &EffectPoint) -> Self {
        let EffectPoint { at, size, servers, waiting, throughput_per_s, transaction_mean_us } =
            *point;
        // Enough for a chart.
        let short = |number: f64| (number * 100.0).round() / 100.0;
        let (servers, waiting) = (short(servers), short(waiting));
        Self(
            to_ms(at),
            size,
            servers,
            waiting,
            short(throughput_per_s),
            transaction_mean_us.round(),
        )
    }
}

impl From<WirePoint> for EffectPoint {
    fn from(wire: WirePoint) -> Self {
        let WirePoint(at, size, servers, waiting, throughput_per_s, transaction_mean_us) = wire;
        Self { at: from_ms(at), size, servers, waiting, throughput_per_s, transaction_mean_us }
    }
}

impl From<&EffectReport> for WireReport {
    fn from(report: &EffectReport) -> Self {
        Self {
            began_ms: to_ms(report.began),
            expected: report.expected.clone(),
            expected_numbers: evidence_to_wire(&report.expected_numbers),
            before: (&report.before).into(),
            after: (&report.after).into(),
            series: report.series.iter().map(Into::into).collect(),
            judged_ms: report.judged_at.map(to_ms),
            judged: report.judged.clone(),
        }
    }
}

impl WireReport {
    fn of(self, decision: DecisionId) -> EffectReport {
        EffectReport {
            decision,
            began: from_ms(self.began_ms),
            expected: self.expected,
            expected_numbers: evidence_from_wire(self.expected_numbers),
            before: self.before.into(),
            after: self.after.into(),
            series: self.series.into_iter().map(Into::into).collect(),
            judged_at: self.judged_ms.map(from_ms),
            judged: self.judged,
        }
    }
}

/// Writes a report over an earlier one; one of a decision that is gone is left out.
pub(super) async fn write(db: &mut SqliteConnection, report: &EffectReport) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO effects (decision, report) SELECT id, ? FROM decisions WHERE id = ?
         ON CONFLICT (decision) DO UPDATE SET report = excluded.report",
    )
    .bind(to_json(&WireReport::from(report))?)
    .bind(report.decision.0.as_bytes().to_vec())
    .execute(db)
    .await
    .map(drop)
}

/// Writes what the newest change of a setting did.
pub(super) async fn write_state(
    db: &mut SqliteConnection,
    state: &EffectState,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO effect_states
            (target, scope, grows, status, at_ms, size_from, size_to, until_ms, repeats, harmful, back_to)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (target, scope, grows) DO UPDATE SET status = excluded.status,
            at_ms = excluded.at_ms, size_from = excluded.size_from, size_to = excluded.size_to,
            until_ms = excluded.until_ms, repeats = excluded.repeats,
            harmful = excluded.harmful, back_to = excluded.back_to",
    )
    .bind(state.target.as_str())
    .bind(state.setting.to_string())
    .bind(state.to > state.from)
    .bind(state.status.as_str())
    .bind(to_ms(state.at))
    .bind(state.from.get())
    .bind(state.to.get())
    .bind(state.until.map(to_ms))
    .bind(state.repeats)
    .bind(state.going_back.map(|(id, _)| id.0.as_bytes().to_vec()))
    .bind(state.going_back.map(|(_, size)| size.get()))
    .execute(db)
    .await
    .map(drop)
}

impl Store {
    /// Gives what a change did, as far as it was measured.
    ///
    /// # Errors
    /// When the file fails or the row does not read back.
    pub async fn effect(&self, id: DecisionId) -> Result<Option<EffectReport>, RecordError> {
        let found: sqlx::Result<Option<String>> =
            sqlx::query_scalar("SELECT report FROM effects WHERE decision = ?")
                .bind(id.0.as_bytes().to_vec())
                .fetch_optional(&self.readers)
                .await;
        let json = found.map_err(|error| self.fail(error))?;
        let read = |json: String| serde_json::from_str(&json).map_err(malformed);
        let report: Option<WireReport> =
            json.map(read).transpose().map_err(|error| self.fail(error))?;
        Ok(report.map(|report| report.of(id)))
    }

    /// Gives what the newest growth and the newest shrink of each setting of a target did, newest last.
    ///
    /// # Errors
    /// When the file fails or a row does not read back.
    pub async fn effect_states(&self, of: &TargetName) -> Result<Vec<EffectState>, RecordError> {
        let found = sqlx::query(
            "SELECT target, scope, status, at_ms, size_from, size_to, until_ms, repeats, harmful, back_to
             FROM effect_states WHERE target = ? ORDER BY scope, at_ms",
        )
        .bind(of.as_str())
        .fetch_all(&self.readers)
        .await;
        let rows = found.map_err(|error| self.fail(error))?;
        rows.iter().map(state).collect::<sqlx::Result<_>>().map_err(|error| self.fail(error))
    }
}

fn state(row: &SqliteRow) -> sqlx::Result<EffectState> {
    let setting: Setting = row.try_get::<&str, _>("scope")?.parse().map_err(malformed)?;
    let knob = setting.knob;
    let one = |name| -> sqlx::Result<_> {
        size(knob, Some(row.try_get(name)?))?.ok_or_else(|| malformed("no size"))
    };
    let until: Option<i64> = row.try_get("until_ms")?;
    let harmful: Option<&[u8]> = row.try_get("harmful")?;
    let harmful = harmful.map(uuid).transpose()?.map(DecisionId);
    let back_to = size(knob, row.try_get("back_to")?)?;
    Ok(EffectState {
        target: target(row)?,
        status: status(row.try_get("status")?)?,
        at: from_ms(row.try_get("at_ms")?),
        from: one("size_from")?,
        to: one("size_to")?,
        until: until.map(from_ms),
        repeats: row.try_get("repeats")?,
        going_back: harmful.zip(back_to),
        setting,
    })
}
