//! What the live tests share; the tests themselves stand in `tests/tests/`.
//!
//! A package of its own, so that the host's library is tested from outside, like a user meets it.

pub mod plugins;
