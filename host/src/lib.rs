//! Poolwarden, the autopilot of a PgBouncer, as a library; the binary is a thin shell over it.
//!
//! Tests start the same values that the binary starts, which is why nothing of weight stands in
//! `main.rs`.

pub mod sandbox;
