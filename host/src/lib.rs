//! Poolwarden: the autopilot of a PgBouncer.
//!
//! The modules stand in the order in which data flows through them. `control` alone carries values
//! from stage to stage and `app` alone wires them; stages never import one another.

pub mod model;

pub mod config;
