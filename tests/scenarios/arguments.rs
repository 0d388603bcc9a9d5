//! The command line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Parser;

use crate::plan::Wanted;

/// Runs at a time unless said otherwise: what two processors bear when servers mostly wait.
pub const JOBS: usize = 12;
/// Factor on the lengths with `--quick`.
const QUICK: f64 = 0.25;

/// Runs Poolwarden and static pool sizes through ten scenarios and compares them.
///
/// Each run has a PostgreSQL, a PgBouncer and, where it is due, a sidecar of its own. A full run writes its
/// table into BENCHMARKS.md; one of a part of the suite prints it.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "scenarios",
    after_help = "examples:
  tests/scenarios.sh
  tests/scenarios.sh --scenario burst --scenario wave --runs 1
  tests/scenarios.sh --scenario steady --variant poolwarden --quick
  tests/scenarios.sh --report target/scenarios/20261123-171000.jsonl
  tests/scenarios.sh --continue target/scenarios/20261123-171000.jsonl --scenario slow-database --runs 15"
)]
pub struct Arguments {
    /// Only this scenario; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub scenario: Vec<String>,
    /// Only this variant: a size, `best`, or `poolwarden`; may be given several times.
    #[arg(long, value_name = "VARIANT", value_parser = variant)]
    pub variant: Vec<String>,
    /// Runs of each variant.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Runs at a time; peaks (burst, ramp, wave) count as two, the one about the processor runs alone.
    #[arg(long, default_value_t = JOBS)]
    pub jobs: usize,
    /// First seed; run n has this and n.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A quarter of the length, one run, for a look whether all works; its figures say nothing.
    #[arg(long)]
    pub quick: bool,
    /// The sidecar's program; by default target/release/poolwarden, else target/debug/poolwarden.
    #[arg(long, value_name = "PROGRAM")]
    pub sidecar: Option<PathBuf>,
    /// Folder for the record and the sidecars' logs.
    #[arg(long, value_name = "FOLDER", default_value = "target/scenarios")]
    pub out: PathBuf,
    /// Goes on with an earlier record: only what it does not have yet is run, with its seeds and its work.
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["report", "seed", "quick"])]
    pub r#continue: Option<PathBuf>,
    /// Runs nothing: writes the table of an earlier record.
    #[arg(long, value_name = "RECORD")]
    pub report: Option<PathBuf>,
    /// Prints the table and leaves BENCHMARKS.md alone.
    #[arg(long)]
    pub print: bool,
    /// Names the scenarios and ends.
    #[arg(long)]
    pub list: bool,
}

impl Arguments {
    /// Gives the factor on the scenarios' lengths.
    pub fn stretch(&self) -> f64 {
        if self.quick { QUICK } else { 1.0 }
    }

    /// Gives how often each variant runs.
    pub fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.runs }
    }

    /// Gives the variants.
    pub fn wanted(&self) -> Wanted {
        if self.variant.is_empty() {
            return Wanted { sizes: BTreeSet::from([5, 20]), best: true, poolwarden: true };
        }
        Wanted {
            sizes: self.variant.iter().filter_map(|one| one.parse().ok()).collect(),
            best: self.variant.iter().any(|one| one == "best"),
            poolwarden: self.variant.iter().any(|one| one == "poolwarden"),
        }
    }
}

fn variant(text: &str) -> Result<String, String> {
    let size = text.parse::<u32>().is_ok_and(|size| (1..=200).contains(&size));
    if size || ["best", "poolwarden"].contains(&text) {
        return Ok(text.to_owned());
    }
    Err("a size from 1 to 200, best, or poolwarden".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["scenarios"].iter().chain(arguments))
    }

    #[test]
    fn variants_are_sizes_the_best_or_poolwarden() {
        let some = parse(&["--variant", "20", "--variant", "best"]).expect("both are variants");
        let wanted = Wanted { sizes: BTreeSet::from([20]), best: true, poolwarden: false };
        assert_eq!(some.wanted(), wanted);
        for wrong in ["0", "201", "static"] {
            assert!(parse(&["--variant", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_arguments_each_variant_runs_five_times() {
        let whole = parse(&[]).expect("no argument is needed");
        assert_eq!((whole.rounds(), whole.stretch()), (5, 1.0));
        assert_eq!(parse(&["--quick"]).expect("a flag").rounds(), 1);
    }
}
