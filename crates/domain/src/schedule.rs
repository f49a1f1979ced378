//! The schedule section of a recipe: the learning rate over the steps.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    Constant,
    Linear,
    /// Loshchilov & Hutter 2017, without restarts.
    #[default]
    Cosine,
    /// Warm-up, stable, decay (Hu et al. 2024, MiniCPM): at the peak until the last `decay_steps`, then linearly down.
    Wsd,
}

/// Warm-up from 0, then the schedule down to `min_ratio` of the peak, which is the floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleRecipe {
    pub kind: ScheduleKind,
    pub warmup_steps: u64,
    pub min_ratio: f64,
    /// Steps of `wsd` in which the rate falls; none: a tenth of all, as in Hu et al. 2024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_steps: Option<u64>,
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self { kind: ScheduleKind::Cosine, warmup_steps: 50, min_ratio: 0.1, decay_steps: None }
    }
}

impl ScheduleRecipe {
    /// The factor on the peak learning rate at `step` (from 0) of `steps`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        // How much of the `last` steps is done.
        let done = |last: u64| {
            let (last, begin) = (last.max(1), steps.saturating_sub(last));
            (step.saturating_sub(begin) as f64 / last as f64).min(1.0)
        };
        let after_warmup = || {
            let rest = steps.saturating_sub(self.warmup_steps).max(1);
            ((step - self.warmup_steps) as f64 / rest as f64).min(1.0)
        };
        let shape = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Linear => 1.0 - after_warmup(),
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * after_warmup()).cos()),
            ScheduleKind::Wsd => 1.0 - done(self.decay_steps.unwrap_or(steps / 10)),
        };
        self.min_ratio + (1.0 - self.min_ratio) * shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let of =
            |kind, warmup_steps, min_ratio, decay_steps| ScheduleRecipe { kind, warmup_steps, min_ratio, decay_steps };
        let cosine = of(ScheduleKind::Cosine, 10, 0.1, None);
        let to_zero = of(ScheduleKind::Cosine, 0, 0.0, None);
        let linear = of(ScheduleKind::Linear, 0, 0.0, None);
        let constant = of(ScheduleKind::Constant, 4, 0.5, None);
        // Stable to step 80 of 100; at step 90 half of the way from 1 to 0.2.
        let wsd = of(ScheduleKind::Wsd, 10, 0.2, Some(20));
        let tenth = of(ScheduleKind::Wsd, 0, 0.0, None);
        for (schedule, steps, points) in [
            (cosine, 110, &[(0, 0.1), (9, 1.0), (10, 1.0), (60, 0.55), (110, 0.1), (500, 0.1)][..]),
            (to_zero, 4, &[(0, 1.0), (2, 0.5), (4, 0.0)]),
            (linear, 100, &[(0, 1.0), (25, 0.75), (100, 0.0)]),
            (constant, 100, &[(0, 0.25), (3, 1.0), (99, 1.0)]),
            (wsd, 100, &[(4, 0.5), (10, 1.0), (80, 1.0), (90, 0.6), (99, 0.24), (100, 0.2), (200, 0.2)]),
            (tenth, 50, &[(0, 1.0), (45, 1.0), (46, 0.8), (49, 0.2)]),
        ] {
            for (step, expected) in points {
                let found = schedule.factor(*step, steps);
                assert!((found - expected).abs() < 1e-12, "{schedule:?} {step}: {found}");
            }
        }
    }
}
