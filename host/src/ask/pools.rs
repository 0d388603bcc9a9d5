//! `poolwarden pools`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::client::query;
use super::orders::Hold;
use super::print::{Table, print, print_raw};
use super::when::span;
use super::{AskError, Output, Sidecar};

/// Show every pool of a running sidecar.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden pools\n  poolwarden pools --target main --output json"
)]
pub struct Pools {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Only pools of this PgBouncer.
    #[arg(long)]
    target: Option<String>,
    /// Only pools of this database.
    #[arg(long)]
    database: Option<String>,
    /// Only pools of this user.
    #[arg(long)]
    user: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct List {
    pools: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    target: String,
    database: String,
    user: String,
    condition: String,
    size: u32,
    cl_active: u32,
    cl_waiting: u32,
    sv_active: u32,
    sv_idle: u32,
    utilization: f64,
    demand: f64,
    maxwait_us: u64,
    transactions_per_s: f64,
}

#[derive(Debug, Deserialize)]
struct Targets {
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    hold: Option<Hold>,
}

impl Pools {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let filters =
            query(&[("target", self.target), ("database", self.database), ("user", self.user)]);
        let answer = self.sidecar.ask(&format!("/v1/pools{filters}")).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => {
                let targets = self.sidecar.ask("/v1/targets").await?.success()?;
                print(&(held(&targets.read()?) + &text(&answer.read()?)))
            }
        }
    }
}

/// Says first what a person has stopped, because it explains all that follows.
fn held(targets: &Targets) -> String {
    let held = targets.targets.iter().filter_map(|one| Some(one.hold.as_ref()?.words(&one.name)));
    held.map(|line| line + "\n").collect()
}

fn text(list: &List) -> String {
    if list.pools.is_empty() {
        return "no pools\n".to_owned();
    }
    let mut table = Table::new(&[
        "TARGET",
        "DATABASE",
        "USER",
        "CONDITION",
        ">SIZE",
        ">BUSY",
        ">IDLE",
        ">CLIENTS",
        ">WAITING",
        ">OLDEST",
        ">USED",
        ">DEMAND",
        ">TX/S",
    ]);
    for pool in &list.pools {
        table.row([
            pool.target.clone(),
            pool.database.clone(),
            pool.user.clone(),
            pool.condition.clone(),
            pool.size.to_string(),
            pool.sv_active.to_string(),
            pool.sv_idle.to_string(),
            (pool.cl_active + pool.cl_waiting).to_string(),
            pool.cl_waiting.to_string(),
            span(Duration::from_micros(pool.maxwait_us)),
            format!("{:.0} %", pool.utilization * 100.0),
            format!("{:.1}", pool.demand),
            format!("{:.1}", pool.transactions_per_s),
        ]);
    }
    table.text()
}
