//! Does many runs, some at a time, and writes each down as soon as it is done.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use poolwarden::sandbox::{Sandbox, SandboxOptions};
use sqlx::AssertSqlSafe;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::pin::{Processors, Share};
use crate::plan::{Purpose, Task, time};
use crate::record::{Line, Run, Suite};
use crate::run::{Ground, run};

/// Tries of a run whose servers do not start, or the like.
const TRIES: u32 = 2;
/// Pause before the next try.
const PAUSE: Duration = Duration::from_secs(3);
/// Time between the starts of the first runs: else the peaks of all would fall together, again and again.
const APART: Duration = Duration::from_secs(8);
/// Rows that are counted to learn how fast this machine is, about as many as a request counts, and how
/// often.
const CALIBRATION: (u32, usize) = (80_000, 400);

/// The record of a suite, line by line.
#[derive(Debug)]
pub struct Record {
    file: File,
    /// All lines so far.
    pub lines: Vec<Line>,
}

impl Record {
    /// Begins a record.
    pub fn create(path: &Path, suite: Suite) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let mut record = Self { file, lines: Vec::new() };
        record.add(Line::Suite(suite))?;
        Ok(record)
    }

    /// Reads an earlier one.
    pub fn read(path: &Path) -> Result<Vec<Line>> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let parse = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}: line {}", path.display(), number + 1))
        };
        text.lines().enumerate().map(parse).collect()
    }

    /// Goes on with an earlier one.
    pub fn open(path: &Path) -> Result<Self> {
        let lines = Self::read(path)?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self { file: file.with_context(|| path.display().to_string())?, lines })
    }

    /// Gives what its runs have in common.
    pub fn suite(&self) -> Option<&Suite> {
        self.lines.iter().find_map(|line| match line {
            Line::Suite(suite) => Some(suite),
            Line::Run(_) | Line::Sweep(_) => None,
        })
    }

    /// Leaves out what it has already.
    pub fn missing(&self, tasks: Vec<Task>) -> Vec<Task> {
        let is_here = |task: &Task| {
            self.lines.iter().any(|line| match (line, task.purpose) {
                (Line::Run(run), Purpose::Table) | (Line::Sweep(run), Purpose::Sweep) => {
                    task.plan.is_of(run)
                }
                _ => false,
            })
        };
        tasks.into_iter().filter(|task| !is_here(task)).collect()
    }

    fn add(&mut self, line: Line) -> Result<()> {
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        self.lines.push(line);
        Ok(())
    }
}

/// Does runs, and tells how far it is.
#[derive(Debug)]
pub struct Runner {
    /// What each run needs.
    pub ground: Arc<Ground>,
    /// Runs at a time.
    pub jobs: usize,
    /// Where they are written down.
    pub record: Record,
    /// Runs in all, as far as is known.
    pub total: usize,
    /// Runs that are done.
    pub done: usize,
    /// Time of what is still to be planned.
    pub later: Duration,
    /// Runs that failed in spite of all tries.
    pub failed: Vec<String>,
}

impl Runner {
    /// Does all of these: first, one by one, those that need the processors.
    pub async fn all(&mut self, tasks: Vec<Task>) -> Result<()> {
        let (alone, beside): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.plan.scenario.is_alone());
        let left = time(&beside, self.jobs);
        let ground = Arc::clone(&self.ground);
        if !alone.is_empty() {
            let us = std::process::id();
            ground.processors.pin(us, Share::Others)?;
            let ran = self.some(alone, 1, left).await;
            ground.processors.pin(us, Share::All)?;
            ran?;
        }
        // The longest first, so that none is left over at the end.
        let mut beside = beside;
        beside
            .sort_by_key(|task| (task.plan.number, std::cmp::Reverse(task.plan.scenario.length())));
        self.some(beside, self.jobs, Duration::ZERO).await
    }

    async fn some(&mut self, tasks: Vec<Task>, jobs: usize, after: Duration) -> Result<()> {
        let mut waiting: VecDeque<Task> = tasks.into();
        let mut running = JoinSet::new();
        let mut starts = (0..u32::try_from(jobs).unwrap_or(u32::MAX)).map(|nth| APART * nth);
        let mut taken = 0;
        loop {
            while let Some(task) = waiting
                .pop_front_if(|next| taken == 0 || taken + next.plan.scenario.weight() <= jobs)
            {
                taken += task.plan.scenario.weight();
                let ground = Arc::clone(&self.ground);
                let start = starts.next().unwrap_or_default();
                running.spawn(async move {
                    tokio::time::sleep(start).await;
                    let ran = try_run(&task, &ground).await;
                    (task, ran)
                });
            }
            let Some(ended) = running.join_next().await else { return Ok(()) };
            let (task, ran) = ended.context("a run panicked")?;
            taken -= task.plan.scenario.weight();
            let rest = time(waiting.make_contiguous(), jobs) + after + self.later;
            self.done += 1;
            self.note(&task, ran, rest)?;
        }
    }

    fn note(&mut self, task: &Task, ran: Result<Run>, rest: Duration) -> Result<()> {
        let (done, total) = (self.done, self.total);
        let minutes = rest.as_secs_f64() / 60.0;
        let name = name(task);
        match ran {
            Ok(run) => {
                let tail = format!(
                    "p99 {:.0} ms, {:.0} connection-s, {:.1} s waiting, {} changes, {} errors, {} unserved",
                    run.client_ms.p99,
                    run.connection_s,
                    run.waiting_s,
                    run.changes,
                    run.error_count(),
                    run.unserved,
                );
                eprintln!("[{done}/{total}, {minutes:.0} min left] {name}: {tail}");
                self.record.add(match task.purpose {
                    Purpose::Table => Line::Run(run),
                    Purpose::Sweep => Line::Sweep(run),
                })
            }
            Err(error) => {
                eprintln!("[{done}/{total}, {minutes:.0} min left] {name} FAILED: {error:#}");
                self.failed.push(name);
                Ok(())
            }
        }
    }
}

fn name(task: &Task) -> String {
    let plan = &task.plan;
    let sweep = if task.purpose == Purpose::Sweep { ", sweep" } else { "" };
    format!("{} {} run {}{sweep}", plan.scenario.name, plan.variant, plan.number)
}

async fn try_run(task: &Task, ground: &Ground) -> Result<Run> {
    let mut tried = 0;
    loop {
        tried += 1;
        match run(&task.plan, ground).await {
            Err(error) if tried < TRIES => {
                eprintln!("{} is tried again: {error:#}", name(task));
                tokio::time::sleep(PAUSE).await;
            }
            other => return other.map(|run| Run { retried: tried - 1, ..run }),
        }
    }
}

/// Measures how many rows of a series one core counts in a millisecond, with PostgreSQL alone on it.
pub async fn calibrate(processors: Processors) -> Result<f64> {
    let us = std::process::id();
    processors.pin(us, Share::Others)?;
    let settings = [("jit", "off"), ("work_mem", "64MB")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let options = SandboxOptions { postgres_settings: settings, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await?;
    let pid = sandbox.postgres().pid().context("PostgreSQL runs")?;
    processors.pin(pid, Share::Last)?;
    let options = sandbox.postgres().connect_options("app", "app");
    let mut connection = PgConnection::connect_with(&options).await?;
    let (rows, times) = CALIBRATION;
    let sql = format!("select count(*) from generate_series(1, {rows})");
    let mut took = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut connection).await?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    processors.pin(us, Share::All)?;
    // The fastest: whatever else ran meanwhile can only have slowed it down.
    let ms = took.into_iter().fold(f64::INFINITY, f64::min);
    ensure!(ms > 0.0, "counting rows took no time");
    Ok(f64::from(rows) / ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Rounds, Wanted};
    use crate::record::Variant;
    use crate::scenario::all;
    use crate::table::tests::run;

    #[test]
    fn an_earlier_record_goes_on_with_what_it_does_not_have() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("record.jsonl");
        let story = all().remove(0);
        let lines = [
            Line::Run(run(story.name, Variant::Static(20), 0, 1.0)),
            Line::Sweep(run(story.name, Variant::Static(30), 0, 1.0)),
        ];
        let lines = lines.map(|line| serde_json::to_string(&line).expect("JSON") + "\n");
        std::fs::write(&path, lines.concat()).expect("written");
        let mut record = Record::open(&path).expect("it is there");

        let sizes = [5, 20].into();
        let wanted = Wanted { sizes, best: false, poolwarden: false };
        let tasks = Rounds { runs: 2, seed: 1 }.first(std::slice::from_ref(&story), &wanted);
        let left = record.missing(tasks).into_iter();
        let left: Vec<_> = left.map(|task| (task.plan.variant, task.plan.number)).collect();
        let [five, twenty] = [Variant::Static(5), Variant::Static(20)];
        assert_eq!(left, [(five, 0), (five, 1), (twenty, 1)]);

        record.add(Line::Run(run(story.name, five, 0, 1.0))).expect("added");
        assert_eq!(Record::open(&path).expect("it is there").lines, record.lines);
        assert_eq!(record.lines.len(), 3);
    }
}
