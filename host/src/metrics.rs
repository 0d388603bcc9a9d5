#![allow(missing_docs)]
use crate::{console::Cost, evaluate::PolicyResult, model::*, record::Batch};
use std::time::Duration;
#[derive(Debug)]
pub struct Metrics;
impl Metrics {
    pub fn new() -> Self {
        Self
    }
    pub fn polled(&self, _: &TargetName, _: &[Cost]) {}
    pub fn poll_failed(&self, _: &TargetName, _: &str) {}
    pub fn evaluated(&self, _: &TargetName, _: &PolicyResult) {}
    pub fn recorded(&self, _: &Batch) {}
    pub fn resized(&self, _: &TargetName, _: Duration, _: &'static str) {}
    pub fn store_failed(&self, _: &'static str) {}
    pub fn tick(&self, _: &TargetName, _: Duration) {}
}
