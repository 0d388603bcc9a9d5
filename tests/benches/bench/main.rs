//! Measures Poolwarden against what it cannot beat, and writes the page of results.
//!
//! `tests/bench.sh` builds what is missing and runs it. Every ratio comes from one run in which both
//! sides take turns: on a shared machine absolute times drift, ratios hardly do. A harness such as
//! criterion was rejected, because it measures one side after the other.

mod evaluate;
mod http;
mod idle;
mod languages;
mod overload;
mod page;
mod process;
mod reload;
mod rows;
mod rules;
mod setup;
mod stats;
mod tick;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use poolwarden_tests::page::section;

use crate::page::Section;

/// What can be measured, in the order of the page.
const ALL: [&str; 8] =
    ["evaluate", "rules", "tick", "overload", "http", "idle", "reload", "languages"];

fn main() -> Result<()> {
    // Cargo adds a flag of its own.
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if !asked.is_empty() {
        for what in &asked {
            println!("{}", measure(what)?.markdown());
        }
        return Ok(());
    }
    let load = page::load();
    let sections = ALL.iter().map(|what| measure(what)).collect::<Result<Vec<_>>>()?;
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../BENCHMARKS.md"));
    let mut text = page::page(&sections, &load);
    // What tests/scenarios.sh has written stays.
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some(scenarios) = section(&old, "scenarios") {
        text = format!("{text}\n{scenarios}");
    }
    std::fs::write(&path, text)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn measure(what: &str) -> Result<Section> {
    eprintln!("{what}:");
    let plugins = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match what {
        "evaluate" => evaluate::run(&plugins),
        "rules" => rules::run(&plugins),
        "tick" => runtime.block_on(tick::run(&plugins)),
        "overload" => runtime.block_on(overload::run(&plugins)),
        "http" => runtime.block_on(http::run(&plugins)),
        "idle" => {
            let exporter = std::env::var_os("EXPORTER_PYTHON").map(PathBuf::from);
            runtime.block_on(idle::run(&plugins, &sidecar()?, exporter.as_ref()))
        }
        "reload" => runtime.block_on(reload::run(&plugins)),
        "languages" => runtime.block_on(languages::run(&plugins, &sidecar()?)),
        other => bail!("{other:?} cannot be measured; there are: {}", ALL.join(", ")),
    }
}

/// Finds the release binary, which lies beside the folder of this one.
fn sidecar() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.ancestors().nth(2).context("a benchmark lies in target/release/deps")?;
    Ok(folder.join("poolwarden"))
}
