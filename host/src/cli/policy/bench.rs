//! `poolwarden policy bench`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use thiserror::Error;

use super::common::{code, show, wasm};
use crate::ask::Output;
use crate::ask::print::Table;
use crate::author::{Bench as Row, Figures, Given, GivenError, bench, policies_in};
use crate::cli::failed;
use crate::evaluate::{Runtime, RuntimeError};

/// Measure how long a policy takes, and how much memory, beside others.
///
/// Windows are made up and the same every time. An evaluation has a fresh instance, as in the
/// sidecar; a call alone is one of many in an instance that lives.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden policy bench policies/queues.wasm\n  poolwarden policy \
    bench plugins/queues --pools 10,1000 --beside policies\n\nExit codes: 0 measured, 1 a policy \
    cannot be run, 2 wrong usage"
)]
pub(super) struct Bench {
    /// Plugin (.wasm), policy's file (.toml) or folder of a plugin's source.
    #[arg(value_name = "PLUGIN|DIR")]
    policy: PathBuf,
    /// Numbers of pools.
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1,10,100,1000",
        value_parser = clap::value_parser!(u32).range(..=10_000)
    )]
    pools: Vec<u32>,
    /// Also measure every policy of this folder.
    #[arg(long, value_name = "DIR")]
    beside: Option<PathBuf>,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Given(#[from] GivenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl Bench {
    pub fn run(self) -> ExitCode {
        let rows = match self.measure() {
            Ok(rows) => rows,
            Err(error) => return failed(&error),
        };
        let is_good = |row: &Row| match &row.rows {
            Ok(measured) => measured.iter().all(|one| one.outcome.is_ok()),
            Err(_) => false,
        };
        let text = match self.output {
            Output::Text => text(&rows),
            Output::Json => format!("{:#}\n", as_json(&rows)),
        };
        show(&text, code(rows.iter().all(is_good)))
    }

    fn measure(&self) -> Result<Vec<Row>, Failure> {
        let runtime = wasm()?;
        let own = Given::find(&self.policy)?;
        let mut rows = vec![bench(&runtime, &own, &self.pools)?];
        if let Some(folder) = &self.beside {
            rows.extend(self.beside(&runtime, &own, folder)?);
        }
        Ok(rows)
    }

    fn beside(
        &self,
        runtime: &Arc<Runtime>,
        own: &Given,
        folder: &Path,
    ) -> Result<Vec<Row>, GivenError> {
        let mut rows = Vec::new();
        for path in policies_in(folder)? {
            let given = Given::find(&path)?;
            if given.name != own.name {
                rows.push(bench(runtime, &given, &self.pools)?);
            }
        }
        Ok(rows)
    }
}

fn text(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "POLICY",
        ">POOLS",
        ">MEDIAN NS",
        ">P95 NS",
        ">CALL NS",
        ">MEMORY KIB",
        ">PROPOSALS",
    ]);
    let mut problems = String::new();
    for row in rows {
        let measured = match &row.rows {
            Ok(measured) => measured,
            Err(error) => {
                problems.push_str(&format!("{}: {}\n", row.name, crate::report::chain(error)));
                continue;
            }
        };
        for one in measured {
            let head = [row.name.clone(), one.pools.to_string()];
            match &one.outcome {
                Ok(figures) => table.row(head.into_iter().chain(cells(figures))),
                Err(fault) => {
                    table.row(head.into_iter().chain((0..5).map(|_| "-".to_owned())));
                    let pools = one.pools;
                    problems.push_str(&format!("{}: {pools} pools: it {fault}\n", row.name));
                }
            }
        }
    }
    let debug = match cfg!(debug_assertions) {
        true => "this poolwarden is a debug build: times are longer than a sidecar's\n",
        false => "",
    };
    format!("{}{problems}{debug}", table.text())
}

fn cells(figures: &Figures) -> [String; 5] {
    [
        figures.median.as_nanos().to_string(),
        figures.p95.as_nanos().to_string(),
        figures.call.as_nanos().to_string(),
        (figures.memory_bytes >> 10).to_string(),
        figures.proposals.to_string(),
    ]
}

fn as_json(rows: &[Row]) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut figures = Vec::new();
    for row in rows {
        let measured = match &row.rows {
            Ok(measured) => measured,
            Err(error) => {
                let problem = crate::report::chain(error);
                figures.push(json!({ "policy": row.name, "problem": problem }));
                continue;
            }
        };
        figures.extend(measured.iter().map(|one| match &one.outcome {
            Ok(of) => json!({
                "policy": row.name,
                "pools": one.pools,
                "evaluations": of.evaluations,
                "median_ns": nanos(of.median),
                "p95_ns": nanos(of.p95),
                "call_ns": nanos(of.call),
                "memory_bytes": of.memory_bytes,
                "proposals": of.proposals,
                "loaded_in_ns": nanos(row.loaded_in),
            }),
            Err(fault) => {
                json!({ "policy": row.name, "pools": one.pools, "problem": fault.to_string() })
            }
        }));
    }
    json!({ "is_debug_build": cfg!(debug_assertions), "figures": figures })
}
