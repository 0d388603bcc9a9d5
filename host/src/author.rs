//! What a policy's author works with: cases and how they differ from what a plugin answers.
//!
//! A case is made of files that people write and read, so that what a policy does in a situation
//! can be reviewed without knowing its code, and a captured moment of production becomes a test.

mod case;
mod diff;
mod expected;
mod facts;
mod rows;
mod window;

pub use case::{CaseError, Incomplete};
pub use diff::{Difference, Field};

#[cfg(test)]
mod tests;
