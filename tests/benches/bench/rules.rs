//! Rules in CEL under Wasm, and one of their decisions as a Rust plugin and in a policy
//! interpreter.
//!
//! The interpreter is `regorus`, which evaluates Rego natively, in a program of its own
//! (`tests/rego`): it gets the window as its own values, made beforehand or as part of the call.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use poolwarden::evaluate::{Input, Policy, Registry, Runtime};
use poolwarden::model::Timestamp;

use crate::evaluate::policies;
use crate::page::Section;
use crate::rows::{self, Mix};
use crate::stats::{Samples, short};

/// Evaluations of each way.
const ROUNDS: usize = 400;
/// Evaluations by the interpreter, which take long.
const SLOW_ROUNDS: usize = 100;
/// Twenty rules.
const TWENTY: &str = include_str!("rules.toml");
/// The ten conditions that all ways ask.
const TEN: &str = include_str!("ten.toml");
/// The first of them.
const ONE: &str = "mode = \"observe\"\n[[settings.rules]]\nname = \"queue\"\n\
                   when = \"pool.cl_waiting > 3 && pool.utilization > 0.9\"\n\
                   message = \"It holds.\"\n";

const INTRODUCTION: &str = "\
*20 rules*: the policy `rules` as the sidecar runs it: make an instance, parse and check all rules,
evaluate them over the pools, read and check the answer, drop the instance. In *1 % queue* every hundredth
pool queues. *Ten conditions* on each pool, like those of `pool-alerts`, and the first of them alone: as a
Rust plugin and as rules, both all told with a fresh instance, and in Rego by `regorus` 0.14, a native
interpreter, with its input made beforehand and with the making of it. A single condition costs the
plugin little more than its instance and the window's 40 columns, which the interpreter does not get.";

/// Measures both.
pub fn run(plugins: &Path) -> Result<Section> {
    let mut section = Section::new("Rules in CEL", INTRODUCTION);
    section.row(&["what", "pools", "mix", "median (10 %-90 %)", "95 %", "to the Rust plugin"]);
    let rules = std::fs::read(plugins.join("rules.wasm")).context("plugins/build.sh rules")?;
    let twenty = served(&rules, TWENTY)?;
    for (count, mix) in [
        (1, Mix::Queueing),
        (100, Mix::Queueing),
        (1_000, Mix::Queueing),
        (10_000, Mix::Queueing),
        (1_000, Mix::Calm),
    ] {
        let samples = all_told(&twenty, count, mix)?;
        if count == 1_000 && mix == Mix::Queueing {
            let took = samples.percentile(95).as_secs_f64() * 1e3;
            section.target("20 rules over 1 000 pools in Wasm, 95 %", took, 5.0, " ms");
        }
        row(&mut section, "20 rules", count, mix, (&samples, None));
    }
    let said = rego()?;
    same_decisions(&mut section, &rules, ("one condition", 1, ONE), said.as_deref())?;
    let ratio = same_decisions(&mut section, &rules, ("ten conditions", 10, TEN), said.as_deref())?;
    if let Some(ratio) = ratio {
        // The page states what may be at most: the plugin's part of the interpreter's time.
        let what = "ten conditions on 1 000 pools: Rust plugin / Rego, the fastest";
        section.target(what, 1.0 / ratio, 1.0 / 20.0, "");
    }
    Ok(section)
}

/// Measures the ways to one set of decisions; returns how many times longer the fastest Rego takes.
fn same_decisions(
    section: &mut Section,
    rules: &[u8],
    (what, conditions, as_rules): (&str, usize, &str),
    rego: Option<&str>,
) -> Result<Option<f64>> {
    let (count, mix) = (1_000, Mix::Queueing);
    let plugin = poolwarden_tests::plugins::fixture("threshold");
    let settings = format!("mode = \"observe\"\nsettings = {{ conditions = {conditions} }}\n");
    let plugin = all_told(&served(&plugin, &settings)?, count, mix)?;
    row(section, &format!("{what}, Rust plugin"), count, mix, (&plugin, None));
    let rule = all_told(&served(rules, as_rules)?, count, mix)?;
    row(section, &format!("{what}, rules in CEL"), count, mix, (&rule, Some(&plugin)));
    let Some(said) = rego else { return Ok(None) };
    let mut least = f64::INFINITY;
    for (shape, words) in [("list", "a list of pools"), ("columns", "columns")] {
        let (prepared, whole) = samples(said, &format!("{shape}_{conditions}"))?;
        least = least.min(prepared.ratio(&plugin));
        for (how, samples) in [("made beforehand", &prepared), ("made as well", &whole)] {
            let name = format!("{what}, Rego, {words}, {how}");
            row(section, &name, count, mix, (samples, Some(&plugin)));
        }
    }
    Ok(Some(least))
}

/// Runs the program that measures Rego.
fn rego() -> Result<Option<String>> {
    let Some(program) = std::env::var_os("REGO_BENCH") else {
        eprintln!("  REGO_BENCH names no program: Rego is left out");
        return Ok(None);
    };
    let said = Command::new(program).args(["1000", &SLOW_ROUNDS.to_string()]).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(Some(String::from_utf8(said.stdout)?))
}

/// Reads the samples of one decision: the evaluation, and with the making of the input.
fn samples(said: &str, decision: &str) -> Result<(Samples, Samples)> {
    let (mut prepared, mut whole) = (Samples::default(), Samples::default());
    for line in said.lines() {
        if let [of, evaluation, all] = line.split(' ').collect::<Vec<_>>()[..]
            && of == decision
        {
            prepared.push(Duration::from_nanos(evaluation.parse()?));
            whole.push(Duration::from_nanos(all.parse()?));
        }
    }
    ensure!(prepared.len() > 0, "no sample of {decision}");
    Ok((prepared, whole))
}

fn row(
    section: &mut Section,
    what: &str,
    count: usize,
    mix: Mix,
    (samples, beside): (&Samples, Option<&Samples>),
) {
    let ratio = beside.map_or_else(String::new, |beside| format!("{:.1}", samples.ratio(beside)));
    let tail = short(samples.percentile(95));
    section.row(&[what, &count.to_string(), mix.name(), &samples.cell(), &tail, &ratio]);
}

/// Loads a plugin with a policy file, as the sidecar would.
fn served(plugin: &[u8], policy: &str) -> Result<Arc<Policy>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("rules.wasm"), plugin)?;
    std::fs::write(folder.path().join("rules.toml"), policy)?;
    let registry = Registry::new(Arc::new(Runtime::new(None)?), policies(folder.path()));
    registry.rescan(Timestamp::default());
    for status in registry.statuses() {
        ensure!(status.problem.is_none(), "{}: {:?}", status.name, status.problem);
    }
    registry.serving().policies().first().cloned().context("nothing is served")
}

fn all_told(policy: &Arc<Policy>, count: usize, mix: Mix) -> Result<Samples> {
    let input = Arc::new(Input::new(rows::host(&rows::rows(count, mix))?));
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let result = policy.evaluate(&input, Arc::from([]));
        samples.push(start.elapsed());
        ensure!(result.outcome.is_ok(), "{:?}", result.outcome);
    }
    Ok(samples)
}
