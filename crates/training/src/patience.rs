//! Early stopping: how long the validation loss has not become better. Kept in checkpoints, so that a resumed run stops
//! where an uninterrupted one does.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Patience {
    /// The last loss that counted as better.
    best: Option<f64>,
    /// Evaluations since.
    stale: u64,
}

impl Patience {
    /// A loss counts as better when it is lower by more than `min_delta`.
    pub(crate) fn judge(&mut self, loss: f64, min_delta: f64) {
        if self.best.is_none_or(|best| loss < best - min_delta) {
            *self = Self { best: Some(loss), stale: 0 };
        } else {
            self.stale += 1;
        }
    }

    /// Whether `stop_after` evaluations in a row were not better.
    pub(crate) fn spent(&self, stop_after: Option<u64>) -> bool {
        stop_after.is_some_and(|most| self.stale >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_evaluations_since_the_last_better_one() {
        // Losses, the least that counts, and after which evaluation two in a row were not better.
        for (losses, min_delta, stops) in [
            (&[3.0, 2.0, 2.5, 2.4][..], 0.0, Some(4)),
            (&[3.0, 2.0, 2.5, 1.9, 1.8], 0.0, None),
            (&[3.0, 2.0, 2.0, 2.0], 0.0, Some(4)),
            // Small steps down do not count one by one, together they do.
            (&[3.0, 2.95, 2.9, 2.0], 0.2, Some(3)),
            (&[3.0, 2.95, 2.7, 2.65, 2.4], 0.2, None),
        ] {
            let mut patience = Patience::default();
            let stopped = losses.iter().position(|loss| {
                patience.judge(*loss, min_delta);
                patience.spent(Some(2))
            });
            assert_eq!(stopped.map(|place| place + 1), stops, "{losses:?}");
            assert!(!patience.spent(None));
        }
    }
}
