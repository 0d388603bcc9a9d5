//! What a policy's author works with: cases and how they differ from what a plugin answers.
//!
//! A case is made of files that people write and read, so that what a policy does in a situation
//! can be reviewed without knowing its code, and a captured moment of production becomes a test.

mod case;
mod coverage;
mod diff;
mod expected;
mod facts;
mod given;
mod rows;
mod suite;
mod window;
mod write;

pub use case::{CaseError, Incomplete};
pub use coverage::Coverage;
pub use diff::{Difference, Field};
pub use given::{Given, GivenError, default_limits};
pub use suite::{OnFailure, Suite, SuiteError, Verdict};

#[cfg(test)]
mod tests;
