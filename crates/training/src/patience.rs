//! Early stopping: a run ends when so many validations in a row were no better than the best before them.
//!
//! Prechelt 1998, section 2.2, the criterion `UP` counted from the best, <https://doi.org/10.1007/3-540-49430-8_3>.

use serde::{Deserialize, Serialize};

use crate::ValidationRecord;

/// The best validation so far; a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<ValidationRecord>,
    /// Validations since.
    stale: u64,
}

impl Progress {
    /// Takes note of a validation.
    pub(crate) fn observe(&mut self, record: ValidationRecord) {
        if self.best.is_none_or(|best| record.loss < best.loss) {
            self.best = Some(record);
            self.stale = 0;
        } else {
            self.stale += 1;
        }
    }

    /// Whether `patience` validations brought nothing; 0 waits for ever.
    pub(crate) fn is_over(&self, patience: u64) -> bool {
        patience > 0 && self.stale >= patience
    }
}
