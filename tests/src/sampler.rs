//! Looks at a server again and again beside a test, through a connection of its own.
//!
//! What must hold at every instant is checked at as many as can be had, not only when a test looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Row};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// Samples a number until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    samples: Arc<Mutex<Vec<u32>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sampler {
    /// Samples PgBouncer's `default_pool_size`; while it does not answer there is no sample.
    #[must_use]
    pub fn of_size(console: PgConnectOptions) -> Self {
        Self::start(console, "SHOW CONFIG", size)
    }

    /// Samples how many connections clients have to PostgreSQL, the sampler's own included.
    #[must_use]
    pub fn of_connections(superuser: PgConnectOptions) -> Self {
        let sql = "select count(*)::int4 from pg_stat_activity where backend_type = \
                   'client backend'";
        Self::start(superuser, sql, |rows| {
            rows.first().and_then(|row| u32::try_from(row.try_get::<i32, _>(0).ok()?).ok())
        })
    }

    fn start(
        options: PgConnectOptions,
        sql: &'static str,
        read: fn(&[PgRow]) -> Option<u32>,
    ) -> Self {
        let samples: Arc<Mutex<Vec<u32>>> = Arc::default();
        let into = Arc::clone(&samples);
        let task = tokio::spawn(async move {
            loop {
                // Ends only with an error: then it connects anew.
                let _: Result<(), sqlx::Error> = sample(&options, sql, read, &into).await;
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { samples, task }
    }

    /// Returns every sample so far.
    #[must_use]
    pub fn seen(&self) -> Vec<u32> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks that there are samples, and that all lie within bounds.
    ///
    /// # Panics
    /// When one lies outside.
    pub fn assert_within(&self, floor: u32, ceiling: u32) {
        let mut seen = self.seen();
        assert!(seen.len() > 10, "only {} samples", seen.len());
        seen.dedup();
        assert!(
            seen.iter().all(|n| (floor..=ceiling).contains(n)),
            "{floor}..={ceiling}: {seen:?}"
        );
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn sample(
    options: &PgConnectOptions,
    sql: &'static str,
    read: fn(&[PgRow]) -> Option<u32>,
    into: &Mutex<Vec<u32>>,
) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    loop {
        let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
        into.lock().unwrap_or_else(PoisonError::into_inner).extend(read(&rows));
        tokio::time::sleep(EVERY).await;
    }
}

/// Reads `default_pool_size` off `SHOW CONFIG`.
pub(crate) fn size(rows: &[PgRow]) -> Option<u32> {
    let row = rows.iter().find(|row| row.get::<&str, _>("key") == "default_pool_size")?;
    row.get::<&str, _>("value").parse().ok()
}
