//! A plugin through Wasm against the same function called natively.
//!
//! Each round takes one sample of every way, so that a busy neighbour slows all of them alike.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use poolwarden::config::{PluginLimits, Policies};
use poolwarden::evaluate::{Input, Policy, Registry, Runtime};
use poolwarden::model::Timestamp;
use poolwarden_policy::{Answer, Window};

use crate::page::Section;
use crate::rows::{self, Mix};
use crate::stats::Samples;

/// Calls into one instance; the first is the fresh one.
const CALLS: usize = 5;

/// A policy and the function that its plugin exports.
struct Subject {
    name: &'static str,
    native: fn(&Window, &[u8]) -> Result<Answer, String>,
}

const SUBJECTS: [Subject; 2] = [
    Subject { name: "autosize", native: autosize_native },
    Subject { name: "pool-alerts", native: pool_alerts_native },
];

fn autosize_native(window: &Window, memory: &[u8]) -> Result<Answer, String> {
    poolwarden_policy::evaluate::<autosize::Autosize>(window, "{}", memory)
}

fn pool_alerts_native(window: &Window, memory: &[u8]) -> Result<Answer, String> {
    poolwarden_policy::evaluate::<pool_alerts::PoolAlerts>(window, "{}", memory)
}

/// What one combination of policy, pools and mix took.
struct Measured {
    native: Samples,
    warm: Samples,
    fresh_call: Samples,
    all_told: Samples,
    proposals: usize,
}

/// Measures all combinations.
pub fn run(plugins: &Path) -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let registry = registry(plugins, folder.path(), "observe")?;
    let mut section = Section::new("Evaluation: Wasm against native", INTRODUCTION);
    section.row(&[
        "policy",
        "pools",
        "mix",
        "proposals",
        "native",
        "call, live instance",
        "call, fresh instance",
        "all told",
        "live/native",
        "fresh/native",
    ]);
    let mut worst = Worst::default();
    for subject in &SUBJECTS {
        let serving = registry.serving();
        let policy =
            serving.policies().iter().find(|policy| policy.name().as_str() == subject.name);
        let policy = policy.with_context(|| format!("{} is not served", subject.name))?;
        for (count, mix) in combinations() {
            let it = measure(subject, policy, count, mix)?;
            worst.see(count, &it);
            section.row(&[
                subject.name,
                &count.to_string(),
                mix.name(),
                &it.proposals.to_string(),
                &it.native.cell(),
                &it.warm.cell(),
                &it.fresh_call.cell(),
                &it.all_told.cell(),
                &format!("{:.2}", it.warm.ratio(&it.native)),
                &format!("{:.2}", it.fresh_call.ratio(&it.native)),
            ]);
        }
    }
    section.target(
        "call into a plugin at 1 000 pools and more, worst, / native",
        worst.ratio,
        2.0,
        "",
    );
    section.target(
        "evaluation of up to 100 pools, fresh instance, worst",
        worst.all_told_us,
        60.0,
        " µs",
    );
    Ok(section)
}

/// The worst figures of all combinations that a requirement is about.
#[derive(Default)]
struct Worst {
    ratio: f64,
    all_told_us: f64,
}

impl Worst {
    fn see(&mut self, count: usize, it: &Measured) {
        if count >= 1_000 {
            self.ratio = self.ratio.max(it.warm.ratio(&it.native));
        } else {
            let us = it.all_told.median().as_secs_f64() * 1e6;
            self.all_told_us = self.all_told_us.max(us);
        }
    }
}

const INTRODUCTION: &str = "\
The shipped plugins as the sidecar runs them, against the very function that the plugin exports
(`poolwarden_policy::evaluate::<P>`), compiled natively, on the same window. *Call, live instance* is
the call alone, arguments in and answer out, on an instance that has been called before; *call, fresh
instance* is the first call of an instance, whose memory has to grow and whose caches are cold; *all told* is the product's path: make an instance, call it,
read and check the answer, drop the instance. In *1 % queue* every hundredth pool queues (at least one) and
the others serve; in *calm* all serve.";

fn combinations() -> impl Iterator<Item = (usize, Mix)> {
    let queueing = [1, 10, 100, 1_000, 10_000].map(|count| (count, Mix::Queueing));
    queueing.into_iter().chain([(1_000, Mix::Calm)])
}

/// Loads the built plugins as the sidecar would, with their default settings.
pub fn registry(plugins: &Path, folder: &Path, mode: &str) -> Result<Registry> {
    let runtime = Arc::new(Runtime::new(None)?);
    load(runtime, plugins, folder, mode)
}

/// Copies the built plugins into `folder` and loads them from there.
pub fn load(runtime: Arc<Runtime>, plugins: &Path, folder: &Path, mode: &str) -> Result<Registry> {
    for subject in &SUBJECTS {
        let file = format!("{}.wasm", subject.name);
        let from = plugins.join(&file);
        std::fs::copy(&from, folder.join(&file))
            .with_context(|| format!("{}: build it with plugins/build.sh", from.display()))?;
        let policy = folder.join(format!("{}.toml", subject.name));
        std::fs::write(policy, format!("mode = \"{mode}\"\n"))?;
    }
    let registry = Registry::new(runtime, policies(folder));
    registry.rescan(Timestamp::default());
    for status in registry.statuses() {
        ensure!(status.problem.is_none(), "{}: {:?}", status.name, status.problem);
    }
    Ok(registry)
}

/// Gives the limits that a machine which is busy with other things does not break.
pub fn policies(folder: &Path) -> Policies {
    Policies {
        dir: folder.to_owned(),
        rescan_interval: Duration::from_secs(5),
        limits: PluginLimits {
            deadline: Duration::from_secs(2),
            memory_bytes: 16 << 20,
            answer_bytes: 1 << 20,
            blob_bytes: 64 << 10,
            faults_max: 3,
        },
    }
}

fn measure(subject: &Subject, policy: &Arc<Policy>, count: usize, mix: Mix) -> Result<Measured> {
    let rows = rows::rows(count, mix);
    let window = rows::native(&rows)?;
    let input = Arc::new(Input::new(rows::host(&rows)?));
    let native = |memory: &[u8]| (subject.native)(&window, memory).map_err(anyhow::Error::msg);
    let memory: Arc<[u8]> = Arc::from(native(&[])?.memory);
    let proposals = same_answers(&native(&memory)?, policy, &input, &memory)?;
    let batch = (2_000 / count).clamp(1, 32);
    let rounds = (200_000 / count).clamp(60, 1_500);
    let mut it = Measured {
        native: Samples::default(),
        warm: Samples::default(),
        fresh_call: Samples::default(),
        all_told: Samples::default(),
        proposals,
    };
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..batch {
            black_box((subject.native)(black_box(&window), black_box(&memory)).is_ok());
        }
        it.native.push(start.elapsed() / u32::try_from(batch)?);
        let calls = policy.time_calls(&input, &memory, CALLS)?;
        it.fresh_call.extend(calls.first().copied());
        it.warm.extend(calls.into_iter().skip(1));
        let before = Arc::clone(&memory);
        let start = Instant::now();
        let result = policy.evaluate(&input, before);
        it.all_told.push(start.elapsed());
        ensure!(result.outcome.is_ok(), "{:?}", result.outcome);
    }
    Ok(it)
}

/// Sees to it that both ways decide the same; a ratio of different things would say nothing.
fn same_answers(
    native: &Answer,
    policy: &Arc<Policy>,
    input: &Arc<Input>,
    memory: &Arc<[u8]>,
) -> Result<usize> {
    let answered = policy.evaluate(input, Arc::clone(memory)).outcome?;
    ensure!(answered.memory == native.memory, "the two ways remember different things");
    let (wasm, ours) = (answered.proposals.len(), native.proposals.len());
    ensure!(wasm == ours, "{wasm} proposals through Wasm, {ours} natively");
    Ok(ours)
}
