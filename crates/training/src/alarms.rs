//! What a person should look at while a training goes on: a loss that jumps, gradients that explode, a step that takes far
//! longer than others, a disk that fills up. Judged against the steps before; alarms never change the training itself.

use std::collections::VecDeque;

/// Steps that a new one is held against, and how many there must be.
const WINDOW: usize = 50;
const FEWEST: usize = 20;
/// After an alarm the same kind is silent for so many steps: what goes on being wrong is said once.
const QUIET: u64 = 50;

/// A loss above the median by so many standard deviations, estimated from the median absolute deviation (which a few
/// outliers do not move; for a normal distribution σ = 1.4826·MAD) …
const SPIKE_DEVIATIONS: f64 = 8.0;
const SIGMA: f64 = 1.4826;
/// … and by at least so many nats: near its end a loss is so even that a hair is many deviations.
const SPIKE_LEAST: f64 = 0.2;
/// A gradient norm so many times the median. Below the clip norm it harms nothing.
const EXPLOSION: f64 = 10.0;
/// A step so many times as long as the median, and at least so many seconds: a pause for breath is none.
const STALL: f64 = 10.0;
const STALL_LEAST: f64 = 5.0;
/// Checkpoints that must still fit.
const CHECKPOINTS: u64 = 2;

/// Figures of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) grad_norm: f64,
    pub(crate) seconds: f64,
}

/// Remembers the last steps of this attempt.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    losses: Recent,
    norms: Recent,
    seconds: Recent,
    /// The step up to which each of the three is silent.
    silent: [u64; 3],
    disk_is_low: bool,
}

impl Watch {
    /// Takes in a step; what is to be said of it.
    pub(crate) fn step(&mut self, now: Figures, clip_norm: f64) -> Vec<String> {
        let found = [self.spike(now.loss), self.explosion(now.grad_norm, clip_norm), self.stall(now.seconds)];
        self.losses.push(now.loss);
        self.norms.push(now.grad_norm);
        self.seconds.push(now.seconds);
        let mut said = Vec::new();
        for (message, silent) in found.into_iter().zip(&mut self.silent) {
            if let Some(message) = message.filter(|_| now.step > *silent) {
                *silent = now.step + QUIET;
                said.push(message);
            }
        }
        said
    }

    fn spike(&self, loss: f64) -> Option<String> {
        let (median, deviation) = self.losses.middle()?;
        let limit = median + (SPIKE_DEVIATIONS * SIGMA * deviation).max(SPIKE_LEAST);
        (loss > limit).then(|| {
            format!("loss spike: {loss:.4}, after a median of {median:.4}: look at the data, or lower optimizer.learning_rate")
        })
    }

    fn explosion(&self, norm: f64, clip_norm: f64) -> Option<String> {
        let (median, _) = self.norms.middle()?;
        (norm > EXPLOSION * median && norm > clip_norm).then(|| {
            format!("gradient explosion: norm {norm:.3}, after a median of {median:.3}: it is clipped to {clip_norm}")
        })
    }

    fn stall(&self, seconds: f64) -> Option<String> {
        let (median, _) = self.seconds.middle()?;
        (seconds > STALL * median && seconds > STALL_LEAST).then(|| {
            format!("stall: this step took {seconds:.1} s, others take {median:.2} s: is the machine busy or swapping?")
        })
    }

    /// Takes in the free bytes where checkpoints of `checkpoint` bytes are written; said once until there is room again.
    pub(crate) fn disk(&mut self, free: u64, checkpoint: u64) -> Option<String> {
        let (low, before) = (free < checkpoint.saturating_mul(CHECKPOINTS), self.disk_is_low);
        self.disk_is_low = low;
        (low && !before).then(|| {
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            let (free, one) = (megabytes(free), megabytes(checkpoint));
            format!(
                "disk low: {free:.1} MB are free, a checkpoint takes {one:.1} MB: make room, or lower checkpoint.keep"
            )
        })
    }
}

#[derive(Debug, Default)]
struct Recent(VecDeque<f64>);

impl Recent {
    fn push(&mut self, value: f64) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The median and the median absolute deviation from it; none before there is enough.
    fn middle(&self) -> Option<(f64, f64)> {
        (self.0.len() >= FEWEST).then(|| {
            let median = median(self.0.iter().copied());
            (median, median_of_distances(&self.0, median))
        })
    }
}

fn median_of_distances(values: &VecDeque<f64>, from: f64) -> f64 {
    median(values.iter().map(|value| (value - from).abs()))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A falling loss with noise, of even steps; the figures of some steps are others.
    fn said(odd: &[(u64, Figures)]) -> Vec<(u64, String)> {
        let mut watch = Watch::default();
        (1..=300)
            .flat_map(|step| {
                let noise = ((step * 7919) % 13) as f64 / 13.0 - 0.5;
                let loss = 3.0 * (-(step as f64) / 80.0).exp() + 0.05 * noise;
                let even = Figures { step, loss, grad_norm: 1.0 + noise, seconds: 0.4 + 0.1 * noise };
                let now = odd.iter().find(|(at, _)| *at == step).map_or(even, |(_, figures)| *figures);
                watch.step(Figures { step, ..now }, 1.0).into_iter().map(move |message| (step, message))
            })
            .collect()
    }

    const EVEN: Figures = Figures { step: 0, loss: 0.5, grad_norm: 1.0, seconds: 0.4 };

    #[test]
    fn what_stands_out_is_said_once_and_what_does_not_is_not() {
        let spike = Figures { loss: 6.0, ..EVEN };
        let explosion = Figures { grad_norm: 40.0, ..EVEN };
        let stall = Figures { seconds: 30.0, ..EVEN };
        for (odd, expected) in [
            (vec![], vec![]),
            (vec![(200, spike)], vec![(200, "loss spike: 6.0000")]),
            (vec![(200, explosion)], vec![(200, "gradient explosion: norm 40.000")]),
            (vec![(200, stall)], vec![(200, "stall: this step took 30.0 s")]),
            // It goes on for a while: once. It comes again later: once more.
            (vec![(200, spike), (201, spike), (210, spike)], vec![(200, "loss spike")]),
            (vec![(200, spike), (280, spike)], vec![(200, "loss spike"), (280, "loss spike")]),
            // Too early to know, a little more than others, long for this model but not for a person.
            (vec![(10, spike)], vec![]),
            (vec![(200, Figures { loss: 0.6, ..EVEN })], vec![]),
            (vec![(200, Figures { grad_norm: 5.0, ..EVEN })], vec![]),
            (vec![(200, Figures { seconds: 4.5, ..EVEN })], vec![]),
        ] {
            let said = said(&odd);
            assert_eq!(said.len(), expected.len(), "{odd:?}: {said:?}");
            for ((step, message), (at, begin)) in said.iter().zip(&expected) {
                assert!(step == at && message.starts_with(begin), "{said:?}");
            }
        }
    }

    #[test]
    fn a_large_norm_below_the_clip_norm_is_no_alarm() {
        let mut watch = Watch::default();
        for step in 1..=50 {
            assert_eq!(watch.step(Figures { step, grad_norm: 0.01, ..EVEN }, 1.0), [""; 0]);
        }
        assert_eq!(watch.step(Figures { step: 51, grad_norm: 0.5, ..EVEN }, 1.0), [""; 0]);
        assert_eq!(watch.step(Figures { step: 52, grad_norm: 1.5, ..EVEN }, 1.0).len(), 1);
    }

    #[test]
    fn a_disk_without_room_for_two_checkpoints_is_low() {
        let mut watch = Watch::default();
        let mut low = |free, checkpoint| watch.disk(free, checkpoint).is_some();
        assert!(!low(2_000, 1_000));
        assert!(low(1_999, 1_000));
        assert!(!low(1_500, 1_000), "it is said once");
        assert!(!low(5_000, 1_000));
        assert!(low(0, 1_000), "and again after there was room");
        assert!(!low(u64::MAX, u64::MAX / 2));
    }
}
