//! Query parameters, read so that nothing wrong in them passes in silence.
//!
//! By hand rather than by serde: a mistyped filter that is ignored shows everything and looks
//! right, and serde's texts do not reliably name the key.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::model::Timestamp;

/// The parameters as they were sent.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// Parameters whose keys are all known, each once.
#[derive(Debug)]
pub(super) struct Known(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        read.map(|Query(pairs)| Self(pairs)).map_err(|_| {
            Problem::parameter("?", "the query is not of the form key=value&key=value".to_owned())
        })
    }
}

impl Params {
    /// Refuses every key but these, and each that comes twice.
    pub fn only(self, known: &[&str]) -> Result<Known, Problem> {
        for (at, (key, _)) in self.0.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                let detail = match known {
                    [] => format!("{key:?} is not known; this route takes no parameters"),
                    known => format!("{key:?} is not known; known are {}", known.join(", ")),
                };
                return Err(Problem::parameter(key, detail));
            }
            if self.0.iter().skip(at + 1).any(|(other, _)| other == key) {
                return Err(Problem::parameter(key, format!("{key} is given twice")));
            }
        }
        Ok(Known(self.0))
    }
}

impl Known {
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    /// Reads a value by its own rules; `wanted` says what it must be.
    pub fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.text(key) else { return Ok(None) };
        let bad = || Problem::parameter(key, format!("{key}: {value:?} is not {wanted}"));
        read(value).map(Some).ok_or_else(bad)
    }

    pub fn parse<T: FromStr>(&self, key: &str, wanted: &str) -> Result<Option<T>, Problem> {
        self.read(key, wanted, |value| value.parse().ok())
    }

    pub fn moment(&self, key: &str) -> Result<Option<Timestamp>, Problem> {
        let millis = self.parse(key, "a number of milliseconds since 1970")?;
        Ok(millis.map(Timestamp::from_millis))
    }

    pub fn flag(&self, key: &str) -> Result<bool, Problem> {
        Ok(self.parse(key, "true or false")?.unwrap_or(false))
    }

    /// Reads a number within bounds.
    pub fn count(&self, key: &str, least: u32, most: u32) -> Result<Option<u32>, Problem> {
        let fits = |count: &u32| (least..=most).contains(count);
        self.read(key, &format!("a number from {least} to {most}"), |value| {
            value.parse().ok().filter(fits)
        })
    }
}
