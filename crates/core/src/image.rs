//! What survives a restart: plain data, apart from the types that decide, so that a change of
//! those does not change the file.

use serde::{Deserialize, Serialize};

/// The state of a pool. Fields that a file does not have take their defaults; fields that this
/// version does not know are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {}
