//! A longer past of a window, written as constants, lists, or patterns of days and weeks.

use serde_json::{Map, Value, json};

use super::pools::Names;
use crate::author::rows::{Columns, Row, float};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 1970 began on a Thursday, three days into a week that begins on Monday.
const THURSDAY_MS: u64 = 3 * DAY_MS;
/// Most steps that a plugin may ask for.
const STEPS_MAX: u32 = 1_008;

/// The contract's columns.
const COLUMNS: [&str; 12] = [
    "samples",
    "clients_max",
    "waiting_max",
    "waiting_mean",
    "busy_max",
    "busy_mean",
    "servers_max",
    "size",
    "wait_max_us",
    "transactions",
    "transaction_mean_us",
    "wait_mean_us",
];

/// When the steps are.
#[derive(Debug, Clone, Copy)]
struct Steps {
    from_ms: u64,
    step_ms: u64,
    count: u32,
}

/// Reads it; without a table there is none.
pub(super) fn read(top: &Row<'_>, names: &Names, at_ms: u64) -> Value {
    let Some(row) = top.table("past") else { return Value::Null };
    let steps = Steps::read(&row, at_ms);
    let mut given: Vec<Option<Row<'_>>> = names.keys.iter().map(|_| None).collect();
    for pool in row.rows("pools").unwrap_or_default() {
        let at = names.read(&pool);
        if let Some(slot) = given.get_mut(at)
            && slot.replace(pool).is_some()
        {
            row.wrong("pools", &format!("pool {at} stands there twice"));
        }
    }
    let mut columns = Columns::of(&COLUMNS);
    for (pool, size) in given.into_iter().zip(&names.sizes) {
        match pool {
            Some(pool) => {
                steps.push(&pool, f64::from(*size), &mut columns);
                pool.finish();
            }
            None => steps.push_unknown(&mut columns),
        }
    }
    row.finish();
    let Value::Object(columns) = columns.into_value() else { return Value::Null };
    let mut past = Map::new();
    past.insert("from_ms".to_owned(), json!(steps.from_ms));
    past.insert("step_ms".to_owned(), json!(steps.step_ms));
    past.insert("steps".to_owned(), json!(steps.count));
    past.extend(columns);
    Value::Object(past)
}

impl Steps {
    fn read(row: &Row<'_>, at_ms: u64) -> Self {
        let step_ms = row.u64("step_ms", HOUR_MS).max(1);
        let count = row.u32("steps", 24);
        if count > STEPS_MAX {
            row.wrong("steps", &format!("{count}: at most {STEPS_MAX}"));
        }
        let count = count.min(STEPS_MAX);
        let span = step_ms.saturating_mul(u64::from(count));
        let from_ms = row.u64("from_ms", at_ms.saturating_sub(span));
        Self { from_ms, step_ms, count }
    }

    /// Puts a pool's rows; what is left out follows from the busy servers.
    fn push(&self, row: &Row<'_>, size: f64, columns: &mut Columns) {
        let seconds = float_of(self.step_ms) / 1_000.0;
        let all = |value: f64| vec![value; index(self.count)];
        let one = |key, default: Vec<f64>| self.series(row, key).unwrap_or(default);
        let most = self.series(row, "busy_max");
        let mean = one("busy_mean", most.clone().unwrap_or_else(|| all(0.0)));
        let most = most.unwrap_or_else(|| mean.iter().map(|busy| busy.ceil()).collect());
        let waiting = self.series(row, "waiting_max");
        let waiting_mean = one("waiting_mean", waiting.clone().unwrap_or_else(|| all(0.0)));
        let waiting =
            waiting.unwrap_or_else(|| waiting_mean.iter().map(|mean| mean.ceil()).collect());
        let clients = one("clients_max", sum(&most, &waiting));
        let finished = mean.iter().map(|busy| busy * 100.0 * seconds).collect();
        let whole = [
            ("samples", one("samples", all(seconds.floor().max(1.0)))),
            ("clients_max", clients),
            ("waiting_max", waiting),
            ("servers_max", one("servers_max", most.clone())),
            ("busy_max", most),
            ("size", one("size", all(size))),
            ("wait_max_us", one("wait_max_us", all(0.0))),
            ("transactions", one("transactions", finished)),
        ];
        let floats = [
            ("waiting_mean", waiting_mean),
            ("busy_mean", mean),
            ("transaction_mean_us", one("transaction_mean_us", all(10_000.0))),
            ("wait_mean_us", one("wait_mean_us", all(0.0))),
        ];
        for (column, values) in whole {
            values.into_iter().for_each(|value| columns.push(column, whole_of(value)));
        }
        for (column, values) in floats {
            values.into_iter().for_each(|value| columns.push(column, float(value)));
        }
    }

    /// Puts rows of which nothing is known.
    fn push_unknown(&self, columns: &mut Columns) {
        for _ in 0..self.count {
            COLUMNS.iter().for_each(|column| columns.push(column, 0));
        }
    }

    fn series(&self, row: &Row<'_>, key: &'static str) -> Option<Vec<f64>> {
        let value = row.get(key)?;
        let series = match value {
            Value::Number(number) => number.as_f64().map(|one| vec![one; index(self.count)]),
            Value::Array(list) => {
                let list: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                list.filter(|list| list.len() == index(self.count))
            }
            Value::Object(pattern) => self.pattern(pattern),
            _ => None,
        };
        let series = series.filter(|list| list.iter().all(|one| *one >= 0.0 && one.is_finite()));
        if series.is_none() {
            let count = self.count;
            row.wrong(
                key,
                &format!(
                    "must be a number, a list of {count} numbers, or a pattern \
                 {{ daily = […], weekly = […], from = …, to = … }}, and never negative"
                ),
            );
        }
        series
    }

    /// Adds up a daily and a weekly pattern, in UTC, and a straight line.
    fn pattern(&self, pattern: &Map<String, Value>) -> Option<Vec<f64>> {
        let known = ["daily", "weekly", "from", "to"];
        if pattern.is_empty() || pattern.keys().any(|key| !known.contains(&key.as_str())) {
            return None;
        }
        let list = |key: &str| -> Option<Vec<f64>> {
            pattern.get(key).map_or(Some(Vec::new()), |value| {
                value.as_array()?.iter().map(Value::as_f64).collect()
            })
        };
        let (daily, weekly) = (list("daily")?, list("weekly")?);
        let number = |key: &str, or: f64| pattern.get(key).map_or(Some(or), Value::as_f64);
        let from = number("from", 0.0)?;
        let to = number("to", from)?;
        let last = f64::from(self.count.saturating_sub(1).max(1));
        let value = |step: u32| {
            let at = self.from_ms.saturating_add(self.step_ms.saturating_mul(u64::from(step)));
            part(&daily, at % DAY_MS, DAY_MS)
                + part(&weekly, at.saturating_add(THURSDAY_MS) % (7 * DAY_MS), 7 * DAY_MS)
                + from
                + (to - from) * f64::from(step) / last
        };
        Some((0..self.count).map(value).collect())
    }
}

/// Gives the value of a list that is spread evenly over a span.
fn part(list: &[f64], at: u64, span: u64) -> f64 {
    let count = u64::try_from(list.len()).unwrap_or(0);
    let place = usize::try_from(at.saturating_mul(count) / span).unwrap_or(0);
    list.get(place).copied().unwrap_or(0.0)
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// Gives a duration's nearest float; spans are far below 2⁵³ milliseconds.
fn float_of(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64() * 1_000.0
}

/// Gives the nearest whole number as JSON, exact up to 2⁵³.
fn whole_of(value: f64) -> Value {
    let text = format!("{:.0}", value.round());
    json!(text.parse::<u64>().unwrap_or(0))
}
