//! Poolwarden: the autopilot of a PgBouncer.
//!
//! The modules stand in the order in which data flows through them. `control` alone carries values
//! from stage to stage and `app` alone wires them; stages never import one another.

pub mod clock;
pub mod config;
pub mod model;
pub mod report;

pub mod console;
pub mod database;
pub mod history;
pub mod evaluate;
pub mod guard;
pub mod record;
pub mod sandbox;
pub mod control;
