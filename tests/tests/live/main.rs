//! The closed loop on a real PgBouncer and PostgreSQL: one module for each promise.
//!
//! One program instead of one a file, because linking costs more than most of these stories.

mod alerts;
mod budget;
mod capture;
mod closes;
mod command_line;
mod conditions;
mod crash;
mod disk;
mod drift;
mod effect;
mod guard;
mod knobs;
mod languages;
mod leaks;
mod logins;
mod misbehaviour;
mod modes;
mod override_files;
mod override_loop;
mod overrides;
mod past;
mod people;
mod rules;
mod several;
mod shutdown;
mod writers;
