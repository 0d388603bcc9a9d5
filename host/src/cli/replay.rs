//! `poolwarden replay`: runs recorded decisions again and compares the answers bit for bit.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::{ConfigArg, bad_config, failed, runtime};
use crate::config::{Config, PluginLimits};
use crate::evaluate::{self, Replayed, Runtime};
use crate::model::{Decision, DecisionId, Origin};
use crate::record::{DecisionFilter, RecordError, Store, StoreOptions};
use crate::report::chain;

/// Runs recorded decisions again, through the plugin that made them.
///
/// Reads the store of a stopped sidecar, or a copy of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden replay --config poolwarden.toml\n  poolwarden \
    replay 0198c0de-…   # one decision\n\nExit codes: 0 all identical, 1 one differs or cannot be run")]
pub(super) struct Replay {
    #[command(flatten)]
    config: ConfigArg,
    /// Decisions to run again; all when none is named.
    ids: Vec<Uuid>,
}

/// How many decisions came out in which way.
#[derive(Debug, Default)]
struct Tally {
    identical: u32,
    bad: u32,
    left_out: u32,
}

impl Replay {
    pub fn run(self) -> ExitCode {
        let config = match self.config.load() {
            Ok(config) => config,
            Err(error) => return bad_config(&error),
        };
        let wasm = match Runtime::new(None) {
            Ok(wasm) => Arc::new(wasm),
            Err(error) => return failed(&error),
        };
        match runtime() {
            Ok(runtime) => runtime.block_on(self.replay(&config, &wasm)),
            Err(error) => failed(&error),
        }
    }

    async fn replay(&self, config: &Config, wasm: &Arc<Runtime>) -> ExitCode {
        let options = StoreOptions {
            dir: config.store.dir.clone(),
            decisions_kept: config.store.decisions_kept,
            inputs_kept: config.store.inputs_kept,
            size_max_bytes: config.store.size_max_bytes,
        };
        let store = match Store::open(&options).await {
            Ok(store) => store,
            Err(error) => return failed(&error),
        };
        let mut tally = Tally::default();
        let replayed = self.each(&store, wasm, &mut tally).await;
        if let Err(error) = replayed.and(store.close().await) {
            return failed(&error);
        }
        println!(
            "{} identical, {} not, {} without a recorded evaluation",
            tally.identical, tally.bad, tally.left_out
        );
        if tally.bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    async fn each(
        &self,
        store: &Store,
        wasm: &Arc<Runtime>,
        tally: &mut Tally,
    ) -> Result<(), RecordError> {
        // The widest that any policy may have: an answer does not depend on what it left unused.
        let limits = PluginLimits::widest();
        for id in &self.ids {
            match store.decision(DecisionId(*id)).await? {
                Some(stored) => one(store, wasm, &limits, &stored.decision, tally).await?,
                None => {
                    println!("{id}: there is no such decision");
                    tally.bad += 1;
                }
            }
        }
        let mut filter =
            DecisionFilter { limit: DecisionFilter::LIMIT_MAX, ..DecisionFilter::default() };
        while self.ids.is_empty() {
            let page = store.decisions(&filter).await?;
            for decision in &page.decisions {
                one(store, wasm, &limits, decision, tally).await?;
            }
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                break;
            }
        }
        Ok(())
    }
}

async fn one(
    store: &Store,
    wasm: &Arc<Runtime>,
    limits: &PluginLimits,
    decision: &Decision,
    tally: &mut Tally,
) -> Result<(), RecordError> {
    let Origin::Plugin { digest, evaluation, .. } = &decision.origin else {
        tally.left_out += 1;
        return Ok(());
    };
    let (evaluation, plugin) = (store.evaluation(*evaluation).await?, store.plugin(*digest).await?);
    let (Some(evaluation), Some(plugin)) = (evaluation, plugin) else {
        tally.left_out += 1;
        return Ok(());
    };
    let replayed = evaluate::replay(
        wasm,
        evaluate::Replay {
            plugin: &plugin,
            limits,
            settings: &evaluation.settings,
            input: &evaluation.input,
            memory: &evaluation.memory,
            answer: &evaluation.answer,
        },
    );
    match replayed {
        Ok(Replayed::Identical) => tally.identical += 1,
        Ok(Replayed::Different { now }) => {
            println!("{}: the answer differs now: {now}", decision.id);
            tally.bad += 1;
        }
        Err(error) => {
            println!("{}: {}", decision.id, chain(&error));
            tally.bad += 1;
        }
    }
    Ok(())
}
