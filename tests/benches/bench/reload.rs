//! What taking over a plugin costs, and what a record in the store costs.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use poolwarden::evaluate::{Input, Runtime};
use poolwarden::model::{PolicyName, TargetName, Timestamp};
use poolwarden::record::{Batch, Evaluation, Store, StoreOptions};
use uuid::Uuid;

use crate::page::Section;
use crate::rows::{self, Mix};
use crate::stats::Samples;
use crate::{evaluate, setup};

/// Rounds of the reload.
const RELOADS: usize = 8;
/// Rounds of the store.
const WRITES: usize = 200;

const INTRODUCTION: &str = "\
*Take over* is what a hot reload does in the background while the version before it goes on serving: read,
digest, make a component, compile, check the contract, describe, validate the settings, try on an empty
window; for both shipped plugins. *Store* is one batch with the evaluation of a window of that many
pools, until it is on disk.";

/// Measures reloads and writes.
pub async fn run(plugins: &Path) -> Result<Section> {
    let mut section = Section::new("Hot reload and store", INTRODUCTION);
    section.row(&["what", "took"]);
    let (mut compiled, mut cached) = (Samples::default(), Samples::default());
    let cache = tempfile::tempdir()?;
    take_over(plugins, Some(cache.path()))?;
    for _ in 0..RELOADS {
        compiled.extend([take_over(plugins, None)?]);
        cached.extend([take_over(plugins, Some(cache.path()))?]);
    }
    section.row(&["take over both plugins, compiling them", &compiled.cell()]);
    section.row(&["take over both plugins, from the cache", &cached.cell()]);
    let folder = tempfile::tempdir()?;
    let store = StoreOptions { dir: folder.path().join("store"), ..setup::store_options() };
    let store = Store::open(&store).await?;
    for count in [10, 1_000] {
        let mut samples = Samples::default();
        let input = Arc::new(Input::new(rows::host(&rows::rows(count, Mix::Queueing))?));
        for _ in 0..WRITES {
            let batch = batch(&input)?;
            let start = Instant::now();
            store.write(&batch).await?;
            samples.push(start.elapsed());
        }
        section.row(&[&format!("store an evaluation of {count} pools"), &samples.cell()]);
    }
    Ok(section)
}

fn take_over(plugins: &Path, cache: Option<&Path>) -> Result<std::time::Duration> {
    let folder = tempfile::tempdir()?;
    let runtime = Arc::new(Runtime::new(cache)?);
    let start = Instant::now();
    evaluate::load(runtime, plugins, folder.path(), "observe")?;
    Ok(start.elapsed())
}

fn batch(input: &Input) -> Result<Batch> {
    let evaluation = Evaluation {
        id: Uuid::now_v7(),
        at: Timestamp::from_millis(1_000_000_000),
        target: TargetName::new("main")?,
        policy: PolicyName::new("autosize")?,
        digest: poolwarden::model::Digest([7; 32]),
        settings: "{}".to_owned(),
        input: input.to_json()?,
        memory: Vec::new(),
        answer: b"{\"proposals\":[],\"memory\":[]}".to_vec(),
    };
    Ok(Batch { evaluations: vec![evaluation], ..Batch::default() })
}
