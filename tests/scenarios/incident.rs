//! What happens to the database while the clients come.

use std::time::Duration;

use anyhow::{Context, Result};
use poolwarden::sandbox::{Sandbox, Stop};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::scenario::Incident;

/// Lets it happen; `start` is when the load starts.
pub async fn happen(incident: Incident, sandbox: &Sandbox, start: Instant) -> Result<()> {
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    match incident {
        Incident::None => {}
        Incident::Failover { at_s, for_s } => {
            sleep_until(at(at_s)).await;
            sandbox.postgres().stop(Stop::Immediate).await?;
            sleep_until(at(at_s + for_s)).await;
            sandbox.postgres().start().await?;
        }
        Incident::Leaks { from_s, every_s, count, until_s } => {
            let mut leaks = JoinSet::new();
            let options = sandbox.pgbouncer().connect_options("app", "app");
            for number in 0..count {
                sleep_until(at(from_s + every_s * f64::from(number))).await;
                leaks.spawn(forget(options.clone(), at(until_s)));
            }
            sleep_until(at(until_s)).await;
            // Those that still wait for a server give up.
            tokio::time::sleep(Duration::from_millis(500)).await;
            while let Some(forgotten) = leaks.try_join_next() {
                forgotten.context("a client that forgets panicked")?.context("it was ended")?;
            }
        }
    }
    Ok(())
}

/// Begins a transaction and forgets it until somebody ends it.
async fn forget(options: PgConnectOptions, until: Instant) -> Result<(), sqlx::Error> {
    let mut client = PgConnection::connect_with(&options).await?;
    sqlx::raw_sql("begin; select 1").execute(&mut client).await?;
    sleep_until(until).await;
    sqlx::raw_sql("rollback").execute(&mut client).await?;
    client.close().await
}
