//! `poolwarden policy capture`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use super::common::show;
use crate::ask::client::{encoded, query};
use crate::ask::print::clean;
use crate::ask::{AskError, Output, Sidecar};
use crate::author::{CaptureError, Captured, OfDecision, Recorded};
use crate::cli::failed;

/// Capture what a policy just saw and said in a running sidecar, as a case that passes.
///
/// The window, the settings, the memory and the answer become files that can be read and changed.
/// They hold the names of your databases, users and applications.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden policy capture --policy queues --into \
    plugins/queues/cases/friday-night\n  poolwarden policy capture --policy autosize --target main \
    --into cases/grew --url http://10.0.0.7:7432\n  poolwarden policy capture --decision \
    0198c0de-… --into cases/why   # what a decision rests on\n\nExit codes: 0 captured, 1 not \
    captured, 2 wrong usage")]
pub(super) struct Capture {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Capture the latest evaluation of this policy.
    #[arg(long, value_name = "NAME", required_unless_present = "decision")]
    policy: Option<String>,
    /// The PgBouncer; may be left out when there is only one.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Capture the evaluation behind this decision instead.
    #[arg(long, value_name = "ID", conflicts_with_all = ["policy", "target"])]
    decision: Option<Uuid>,
    /// Folder of the new case; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// How to print what was captured.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("the async runtime cannot start")]
    Runtime(#[from] std::io::Error),
}

impl Capture {
    pub fn run(self) -> ExitCode {
        match self.capture() {
            Ok(captured) => show(&self.text(&captured), ExitCode::SUCCESS),
            Err(error) => failed(&error),
        }
    }

    fn capture(&self) -> Result<Captured, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let recorded = runtime.block_on(self.ask())?;
        Ok(recorded.write(&self.into)?)
    }

    async fn ask(&self) -> Result<Recorded, Failure> {
        if let Some(id) = self.decision {
            let path = format!("/v1/decisions/{id}?input=true");
            let answer = self.sidecar.ask(&path).await?.success()?;
            return Ok(answer.read::<OfDecision>()?.recorded()?);
        }
        let policy = encoded(self.policy.as_deref().unwrap_or_default());
        let target = query(&[("target", self.target.clone())]);
        let path = format!("/v1/policies/{policy}/evaluation{target}");
        Ok(self.sidecar.ask(&path).await?.success()?.read::<Recorded>()?)
    }

    fn text(&self, captured: &Captured) -> String {
        let dir = self.into.display();
        if self.output == Output::Json {
            let value = json!({
                "folder": dir.to_string(),
                "files": captured.files,
                "pools": captured.pools,
                "proposals": captured.proposals,
            });
            return format!("{value:#}\n");
        }
        let pools = if captured.pools == 1 { "pool" } else { "pools" };
        let mut text =
            format!("{dir}: {}, {} {pools}\n", captured.files.join(", "), captured.pools);
        match captured.proposals.as_slice() {
            [] => text.push_str("  nothing was proposed\n"),
            some => some.iter().for_each(|one| text.push_str(&format!("  {}\n", clean(one)))),
        }
        text
    }
}
