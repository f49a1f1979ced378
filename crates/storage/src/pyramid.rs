//! A min/max pyramid over a run's points: each level's bucket covers four of the level below, so that a curve of any
//! length is drawn from a few hundred rows. Arithmetic only; the tables are `points` and `series`.

use domain::event::series;
use std::collections::BTreeMap;

/// Levels above the points themselves: a bucket of the highest covers 4^10 = 1,048,576 steps.
pub(crate) const LEVELS: u32 = 10;

/// The series of a point, in the order of its values.
pub(crate) const KEYS: [&str; 5] =
    [series::LOSS, series::LEARNING_RATE, series::GRAD_NORM, series::TOKENS_PER_SEC, series::MEMORY_BYTES];

/// The figures of one optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPoint {
    pub step: u64,
    pub loss: f64,
    pub learning_rate: f64,
    pub grad_norm: f64,
    pub tokens_per_sec: f64,
    pub memory_bytes: u64,
    pub tokens: u64,
}

impl StepPoint {
    pub(crate) fn values(&self) -> [f64; 5] {
        [self.loss, self.learning_rate, self.grad_norm, self.tokens_per_sec, self.memory_bytes as f64]
    }
}

/// The last, smallest and largest value of one series in a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub last: f64,
    pub min: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub count: u64,
    pub last_step: u64,
    pub spans: [Span; 5],
}

/// The bucket of `step` on `level`.
pub(crate) const fn bucket_of(step: u64, level: u32) -> u64 {
    step >> (2 * level)
}

/// The lowest level on which so many steps need at most `points` buckets (0: the points themselves).
pub(crate) fn level_for(steps: u64, points: u64) -> u32 {
    // One bucket more than the quotient when the range is not aligned.
    (0..LEVELS).find(|level| bucket_of(steps, *level) + u64::from(*level > 0) <= points).unwrap_or(LEVELS)
}

/// Adds points, in order of step, to the buckets of `levels`.
pub(crate) fn gather(points: &[StepPoint], levels: std::ops::RangeInclusive<u32>) -> BTreeMap<(u32, u64), Bucket> {
    let mut buckets: BTreeMap<(u32, u64), Bucket> = BTreeMap::new();
    for level in levels {
        for point in points {
            let values = point.values();
            let bucket = buckets.entry((level, bucket_of(point.step, level))).or_insert(Bucket {
                count: 0,
                last_step: point.step,
                spans: values.map(|value| Span { last: value, min: value, max: value }),
            });
            bucket.count += 1;
            bucket.last_step = point.step;
            for (span, value) in bucket.spans.iter_mut().zip(values) {
                *span = Span { last: value, min: span.min.min(value), max: span.max.max(value) };
            }
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (steps, points, expected) in [
            (1, 400, 0),
            (400, 400, 0),
            (401, 400, 1),
            (1_596, 400, 1),
            (1_600, 400, 2),
            (100_000, 400, 4),
            (1_000_000, 400, 6),
        ] {
            assert_eq!(level_for(steps, points), expected, "{steps}");
        }
    }
}
