//! The scenario suite: Poolwarden against static pool sizes, on real servers.
//!
//! `tests/scenarios.sh` builds what is missing and runs it. Every figure is taken from outside, through
//! connections of the suite's own; what Poolwarden says of itself is kept for whoever asks why.

mod arguments;
mod arrivals;
mod best;
mod driver;
mod incident;
mod judge;
mod machine;
mod page;
mod pin;
mod plan;
mod record;
mod run;
mod scenario;
mod series;
mod sidecar;
mod suite;
mod table;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use poolwarden_tests::page::with_section;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;
use crate::pin::Processors;
use crate::plan::{Rounds, Wanted, time};
use crate::record::{Line, Suite};
use crate::run::Ground;
use crate::scenario::Scenario;
use crate::suite::{Record, Runner, calibrate};
use crate::table::Table;

/// The page of results.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../BENCHMARKS.md");

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    // Its drop ends what still runs, servers included.
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(told(&arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenarios: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Works until done, or until told to end.
async fn told(arguments: &Arguments) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        worked = work(arguments) => worked,
        _ = interrupt.recv() => bail!("interrupted; what ran so far is in the record"),
        _ = terminate.recv() => bail!("told to end; what ran so far is in the record"),
    }
}

async fn work(arguments: &Arguments) -> Result<()> {
    let stories = chosen(arguments)?;
    if arguments.list {
        for one in &stories {
            println!("{}: {}", one.name, one.about);
        }
        return Ok(());
    }
    if let Some(path) = &arguments.report {
        return write(&Record::read(path)?, arguments);
    }
    let runner = measure(arguments, &stories).await?;
    write(&runner.record.lines, arguments)?;
    let failed = &runner.failed;
    ensure!(failed.is_empty(), "{} runs failed: {}", failed.len(), failed.join(", "));
    Ok(())
}

fn chosen(arguments: &Arguments) -> Result<Vec<Scenario>> {
    let all = scenario::all();
    let names: Vec<&str> = all.iter().map(|one| one.name).collect();
    for name in &arguments.scenario {
        ensure!(names.contains(&name.as_str()), "{name:?}: there are {}", names.join(", "));
    }
    let is_chosen = |one: &&Scenario| {
        arguments.scenario.is_empty() || arguments.scenario.iter().any(|name| name == one.name)
    };
    let stretch = arguments.stretch();
    Ok(all.iter().filter(is_chosen).map(|one| one.stretched(stretch)).collect())
}

async fn measure(arguments: &Arguments, stories: &[Scenario]) -> Result<Runner> {
    let processors = Processors::find();
    let sidecar = sidecar_program(arguments)?;
    eprintln!("sidecar: {}", sidecar.display());
    let (record, logs) = match &arguments.r#continue {
        Some(path) => (Record::open(path)?, path.with_extension("")),
        None => begin(arguments, stories, &sidecar, processors).await?,
    };
    let suite = record.suite().context("the record has no first line")?;
    let (rows_per_ms, seed) = (suite.rows_per_ms, suite.seed);
    ensure!(suite.stretch >= 1.0 || arguments.quick, "that record is of a look with --quick");
    let here = (machine::digest(&sidecar), machine::servers());
    ensure!(
        (&suite.digest, &suite.servers) == (&here.0, &here.1),
        "that record is of another sidecar or other servers: {} with {}",
        suite.digest,
        suite.servers.join(", ")
    );
    let wanted = arguments.wanted();
    let compiled = logs.join("compiled");
    if wanted.poolwarden {
        sidecar::compile(&sidecar, &compiled).await?;
    }
    let ground = Arc::new(Ground { sidecar, processors, rows_per_ms, compiled, logs });
    let rounds = Rounds { runs: arguments.rounds(), seed };
    let first = record.missing(rounds.first(stories, &wanted));
    let guess: Vec<_> = stories.iter().map(|one| (one.clone(), u32::MAX)).collect();
    let second =
        if wanted.best { record.missing(rounds.second(&guess, &wanted)) } else { Vec::new() };
    let mut runner = Runner {
        ground,
        jobs: arguments.jobs.max(1),
        record,
        total: first.len() + second.len(),
        done: 0,
        later: time(&second, arguments.jobs),
        failed: Vec::new(),
    };
    let minutes = (time(&first, runner.jobs) + runner.later).as_secs_f64() / 60.0;
    eprintln!("{} runs, about {minutes:.0} min", runner.total);
    runner.all(first).await?;
    if wanted.best {
        hindsight(&mut runner, stories, &rounds, &wanted).await?;
    }
    Ok(runner)
}

/// Begins a record; gives the folder for what belongs to it.
async fn begin(
    arguments: &Arguments,
    stories: &[Scenario],
    sidecar: &Path,
    processors: Processors,
) -> Result<(Record, PathBuf)> {
    let load_before = machine::load();
    let name = machine::said("date", &["-u", "+%Y%m%d-%H%M%S"]);
    std::fs::create_dir_all(&arguments.out)?;
    let rows_per_ms = match stories.iter().any(Scenario::is_alone) {
        true => calibrate(processors).await?,
        false => 1.0,
    };
    let suite = Suite {
        date: machine::said("date", &["-u", "+%F %H:%M UTC"]),
        source: machine::said("git", &["describe", "--always", "--dirty"]),
        sidecar: machine::program(sidecar),
        digest: machine::digest(sidecar),
        processor: machine::processor(processors),
        servers: machine::servers(),
        seed: arguments.seed,
        jobs: arguments.jobs,
        rows_per_ms,
        load_before,
        stretch: arguments.stretch(),
    };
    let path = arguments.out.join(format!("{name}.jsonl"));
    eprintln!("record: {}", path.display());
    Ok((Record::create(&path, suite)?, arguments.out.join(name)))
}

/// Runs the best sizes that the first runs found.
async fn hindsight(
    runner: &mut Runner,
    stories: &[Scenario],
    rounds: &Rounds,
    wanted: &Wanted,
) -> Result<()> {
    let table = Table::of(runner.record.lines.iter().cloned());
    let best = |one: &Scenario| Some((one.clone(), table.find(one.name)?.best()?));
    let best: Vec<(Scenario, u32)> = stories.iter().filter_map(best).collect();
    for (story, size) in &best {
        eprintln!("{}: the best static size is {size}", story.name);
    }
    let tasks = runner.record.missing(rounds.second(&best, wanted));
    runner.total = runner.done + tasks.len();
    runner.later = std::time::Duration::ZERO;
    runner.all(tasks).await
}

/// Finds the sidecar's program: the release build if there is one.
fn sidecar_program(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(program) = &arguments.sidecar {
        ensure!(program.is_file(), "{}: there is no such program", program.display());
        return Ok(program.clone());
    }
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(2).context("the suite lies in target/*")?;
    let builds = ["release", "debug"].map(|build| target.join(build).join("poolwarden"));
    let found = builds.into_iter().find(|program| program.is_file());
    found.context("no sidecar is built: cargo build -p poolwarden --bin poolwarden --release")
}

fn write(lines: &[Line], arguments: &Arguments) -> Result<()> {
    let (table, stories) = (Table::of(lines.iter().cloned()), scenario::all());
    let text = page::section(&table, &stories);
    // What is committed is never overwritten by a part of it.
    if arguments.print || !table.is_whole(&stories) {
        println!("{text}");
        return Ok(());
    }
    let path = Path::new(PAGE);
    let old = std::fs::read_to_string(path).unwrap_or_default();
    std::fs::write(path, with_section(&old, page::SECTION, &text))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
