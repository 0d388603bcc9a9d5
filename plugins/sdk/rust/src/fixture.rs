//! Shares what small test guests repeat; no part of the SDK's promise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Window;

/// Settings of a policy that has none; any key is refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Settings of a guest that misbehaves: when it does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Misbehaves {
    /// Lets a test choose between a guest that its dry run finds out and one that serves first.
    pub when: When,
}

/// The evaluations in which a guest misbehaves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// In every evaluation, the dry run on an empty window included.
    #[default]
    Always,
    /// Only when the window has pools.
    WithPools,
}

impl Misbehaves {
    /// Says whether this is an evaluation to misbehave in.
    pub fn in_window(self, window: &Window) -> bool {
        self.when == When::Always || window.pools().len() > 0
    }
}
