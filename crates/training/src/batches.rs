//! Which rows a step trains on. The order is a pure function of seed and epoch, so that resuming needs only the step.

use model::random::Random;
use text::layout::Encoded;

/// A micro-batch on the host, padded on the right to its longest row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    pub(crate) length: usize,
    /// Inputs, `rows · length`.
    pub(crate) ids: Vec<i32>,
    /// Places (in `rows · length`) whose next token is trained, and that token.
    pub(crate) places: Vec<i32>,
    pub(crate) targets: Vec<i32>,
    /// Tokens read, padding not counted.
    pub(crate) tokens: u64,
}

/// Inputs are all tokens but the last; the target of a place is the next token.
pub(crate) fn batch<'a>(rows: impl IntoIterator<Item = &'a Encoded>) -> Batch {
    let rows: Vec<&Encoded> = rows.into_iter().collect();
    let length = rows.iter().map(|r| r.ids.len() - 1).max().unwrap_or(0);
    let mut batch = Batch {
        rows: rows.len(),
        length,
        ids: vec![0; rows.len() * length],
        places: vec![],
        targets: vec![],
        tokens: 0,
    };
    for (number, row) in rows.iter().enumerate() {
        let start = number * length;
        for place in 0..row.ids.len() - 1 {
            batch.ids[start + place] = row.ids[place] as i32;
            if row.mask[place + 1] {
                batch.places.push((start + place) as i32);
                batch.targets.push(row.ids[place + 1] as i32);
            }
        }
        batch.tokens += row.ids.len() as u64 - 1;
    }
    batch
}

/// The order of `count` rows in an epoch (Fisher–Yates).
fn order(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ epoch.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut rows: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        rows.swap(i, random.below(i + 1));
    }
    rows
}

/// Gives each micro-batch its rows; remembers the order of the current epoch.
pub(crate) struct Sampler {
    seed: u64,
    count: usize,
    epoch: u64,
    order: Vec<usize>,
}

impl Sampler {
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        Self { seed, count, epoch: 0, order: order(seed, 0, count) }
    }

    /// Row numbers of micro-batch `index` (counted over the whole run) of `size` rows; epochs follow without a gap.
    pub(crate) fn rows(&mut self, index: u64, size: usize) -> Vec<usize> {
        let start = index * size as u64;
        (start..start + size as u64)
            .map(|place| {
                let epoch = place / self.count as u64;
                if epoch != self.epoch {
                    self.epoch = epoch;
                    self.order = order(self.seed, epoch, self.count);
                }
                self.order[(place % self.count as u64) as usize]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_an_epoch_and_any_start_gives_the_same() {
        let mut sampler = Sampler::new(3, 10);
        let seen: Vec<Vec<usize>> = (0..5).map(|i| sampler.rows(i, 4)).collect();
        let mut first: Vec<usize> = seen.iter().flatten().copied().take(10).collect();
        first.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        assert_eq!(Sampler::new(3, 10).rows(4, 4), seen[4]);
    }

    #[test]
    fn masked_places_have_no_target() {
        let row = Encoded { ids: vec![1, 7, 8, 2], mask: vec![false, false, true, true] };
        let short = Encoded { ids: vec![1, 9, 2], mask: vec![false, true, true] };
        let made = batch([&row, &short]);
        assert_eq!((made.length, made.tokens), (3, 5));
        assert_eq!(made.ids, [1, 7, 8, 1, 9, 0]);
        assert_eq!((made.places, made.targets), (vec![1, 2, 3, 4], vec![8, 2, 9, 2]));
    }
}
