//! Poolwarden: the autopilot of a PgBouncer.
//!
//! The modules stand in the order in which data flows through them. `control` alone carries values
//! from stage to stage and `app` alone wires them; stages never import one another.

pub mod model;

pub mod config;

pub mod clock;

pub mod backoff;

pub mod report;

pub mod ini;

pub mod console;

pub mod database;

pub mod collect;

pub mod history;

pub mod evaluate;

pub mod guard;

pub mod actuate;

pub mod record;

pub mod control;

pub mod metrics;

pub mod serve;

pub mod app;

pub mod sandbox;

pub mod ask;

pub mod author;

pub mod cli;
