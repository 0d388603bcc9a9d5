//! What a policy's author works with: cases and how they differ from what a plugin answers.
//!
//! A case is made of files that people write and read, so that what a policy does in a situation
//! can be reviewed without knowing its code, and a captured moment of production becomes a test.

mod bench;
mod capture;
mod case;
mod check;
mod coverage;
mod diff;
mod expected;
mod facts;
mod given;
mod rows;
mod suite;
mod synthetic;
mod window;
mod write;

pub use bench::{Bench, Figures, Measured, bench};
pub use capture::{CaptureError, Captured, OfDecision, Recorded};
pub use case::{CaseError, Incomplete};
pub use check::{Checked, Finding, Grade, check};
pub use coverage::Coverage;
pub use diff::{Difference, Field};
pub use given::{Given, GivenError, default_limits, policies_in};
pub use suite::{OnFailure, Suite, SuiteError, Verdict};
pub use synthetic::window_of;

#[cfg(test)]
mod tests;
