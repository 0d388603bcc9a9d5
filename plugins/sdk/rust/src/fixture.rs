//! Shares what small test guests repeat; no part of the SDK's promise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a policy that has none; any key is refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
