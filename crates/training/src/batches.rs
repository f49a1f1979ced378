//! Which rows a step trains on. The order is a pure function of seed and epoch, so that resuming needs only the step.

use crate::packing;
use model::random::Random;
use text::layout::Encoded;

/// A micro-batch on the host, padded on the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Sequences.
    pub(crate) rows: usize,
    pub(crate) length: usize,
    /// Inputs, `rows · length`.
    pub(crate) ids: Vec<i32>,
    /// Places (in `rows · length`) whose next token is trained, and that token.
    pub(crate) places: Vec<i32>,
    pub(crate) targets: Vec<i32>,
    /// Tokens read, padding not counted.
    pub(crate) tokens: u64,
    /// The lengths of the segments in each sequence; none when every sequence is one row: then plain causal attention does.
    pub(crate) segments: Option<Vec<Vec<usize>>>,
}

/// Inputs are all tokens but the last; the target of a place is the next token.
pub(crate) fn batch<'a>(rows: impl IntoIterator<Item = &'a Encoded>) -> Batch {
    laid_out(&rows.into_iter().map(|row| vec![row]).collect::<Vec<_>>(), 1)
}

/// The micro-batch of sequences, each of one or more rows one behind the other; its length is a multiple of `stride`.
pub(crate) fn laid_out(sequences: &[Vec<&Encoded>], stride: usize) -> Batch {
    let lengths: Vec<Vec<usize>> =
        sequences.iter().map(|rows| rows.iter().map(|row| row.ids.len() - 1).collect()).collect();
    let length = lengths.iter().map(|l| l.iter().sum()).max().unwrap_or(0).next_multiple_of(stride);
    let mut batch = Batch {
        rows: sequences.len(),
        length,
        ids: vec![0; sequences.len() * length],
        places: vec![],
        targets: vec![],
        tokens: 0,
        segments: None,
    };
    for (number, rows) in sequences.iter().enumerate() {
        let mut start = number * length;
        for row in rows {
            for place in 0..row.ids.len() - 1 {
                batch.ids[start + place] = row.ids[place] as i32;
                if row.mask[place + 1] {
                    batch.places.push((start + place) as i32);
                    batch.targets.push(row.ids[place + 1] as i32);
                }
            }
            start += row.ids.len() - 1;
            batch.tokens += row.ids.len() as u64 - 1;
        }
    }
    batch.segments = lengths.iter().any(|l| l.len() > 1).then_some(lengths);
    batch
}

fn random(seed: u64, epoch: u64) -> Random {
    Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ epoch.wrapping_mul(0xd1b5_4a32_d192_ed03))
}

/// The order of `count` rows in an epoch (Fisher–Yates).
fn order(random: &mut Random, count: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        rows.swap(i, random.below(i + 1));
    }
    rows
}

/// Gives each micro-batch its sequences of row numbers; remembers the order of the current epoch.
pub(crate) struct Sampler {
    seed: u64,
    rows: Vec<usize>,
    /// The most tokens of a sequence, when rows share sequences.
    capacity: Option<usize>,
    epoch: u64,
    sequences: Vec<Vec<usize>>,
}

impl Sampler {
    /// `rows`: how many tokens the model reads of each. `capacity`: pack them into sequences of so many tokens.
    pub(crate) fn new(seed: u64, rows: Vec<usize>, capacity: Option<usize>) -> Self {
        let mut sampler = Self { seed, rows, capacity, epoch: 0, sequences: Vec::new() };
        sampler.sequences = sampler.arranged(0);
        sampler
    }

    /// The sequences of an epoch in their order. Which rows share a sequence is drawn anew each epoch; how many sequences
    /// there are is not, since that follows from the lengths alone.
    fn arranged(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut random = random(self.seed, epoch);
        let rows = order(&mut random, self.rows.len());
        let Some(capacity) = self.capacity else { return rows.into_iter().map(|row| vec![row]).collect() };
        let packed = packing::best_fit(&rows, &self.rows, capacity);
        order(&mut random, packed.len()).into_iter().map(|place| packed[place].clone()).collect()
    }

    /// Sequences in an epoch.
    pub(crate) fn count(&self) -> usize {
        self.sequences.len()
    }

    /// The most tokens of a sequence, padding not counted.
    pub(crate) fn longest(&self) -> usize {
        self.sequences.iter().map(|rows| rows.iter().map(|row| self.rows[*row]).sum()).max().unwrap_or(0)
    }

    /// Tokens of a sequence, on average.
    pub(crate) fn mean(&self) -> f64 {
        self.rows.iter().sum::<usize>() as f64 / self.sequences.len().max(1) as f64
    }

    /// The longest sequence and `count − 1` others, again from the beginning where there are fewer.
    pub(crate) fn with_longest(&self, count: usize) -> Vec<Vec<usize>> {
        let tokens = |sequence: &Vec<usize>| sequence.iter().map(|row| self.rows[*row]).sum::<usize>();
        let longest = self.sequences.iter().max_by_key(|sequence| tokens(sequence));
        longest.into_iter().chain(self.sequences.iter().cycle()).take(count).cloned().collect()
    }

    /// The share of padding in the places that the epoch's micro-batches of `size` sequences read.
    pub(crate) fn padding(&self, size: usize) -> f64 {
        let (mut places, mut tokens) = (0, 0);
        for batch in self.sequences.chunks(size) {
            let lengths: Vec<usize> = batch.iter().map(|rows| rows.iter().map(|row| self.rows[*row]).sum()).collect();
            places += batch.len() * lengths.iter().max().unwrap_or(&0);
            tokens += lengths.iter().sum::<usize>();
        }
        1.0 - tokens as f64 / places.max(1) as f64
    }

    /// Sequences of micro-batch `index` (counted over the whole run) of `size`; epochs follow without a gap.
    pub(crate) fn sequences(&mut self, index: u64, size: usize) -> Vec<Vec<usize>> {
        let (start, count) = (index * size as u64, self.sequences.len() as u64);
        (start..start + size as u64)
            .map(|place| {
                let epoch = place / count;
                if epoch != self.epoch {
                    self.sequences = self.arranged(epoch);
                    self.epoch = epoch;
                }
                self.sequences[(place % count) as usize].clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_an_epoch_and_any_start_gives_the_same() {
        for (capacity, count) in [(None, 10), (Some(18), 5)] {
            let make = || Sampler::new(3, vec![7, 3, 9, 10, 8, 9, 11, 10, 7, 6], capacity);
            let mut sampler = make();
            assert_eq!((sampler.count(), sampler.longest() <= 18), (count, true));
            let seen: Vec<Vec<Vec<usize>>> = (0..6).map(|i| sampler.sequences(i, 4)).collect();
            for epoch in 0..2 {
                let mut rows: Vec<usize> =
                    seen.iter().flatten().skip(epoch * count).take(count).flatten().copied().collect();
                rows.sort_unstable();
                assert_eq!(rows, (0..10).collect::<Vec<_>>(), "{capacity:?} {epoch}");
            }
            assert_ne!(seen[0], make().sequences(count as u64, 4), "another epoch, another order");
            for (index, expected) in seen.iter().enumerate() {
                assert_eq!(make().sequences(index as u64, 4), *expected, "{capacity:?} {index}");
            }
        }
    }

    #[test]
    fn padding_is_counted() {
        // 4, 2 | 3, 1 at worst, or another order: two places of ten to sixteen; packed into 5s: none.
        let apart = Sampler::new(1, vec![4, 2, 3, 1], None);
        assert!(apart.padding(4) == 1.0 - 10.0 / 16.0 && apart.padding(1) == 0.0);
        assert_eq!(Sampler::new(1, vec![4, 2, 3, 1], Some(5)).padding(4), 0.0);
    }

    #[test]
    fn masked_places_have_no_target() {
        let row = Encoded { ids: vec![1, 7, 8, 2], mask: vec![false, false, true, true] };
        let short = Encoded { ids: vec![1, 9, 2], mask: vec![false, true, true] };
        let made = batch([&row, &short]);
        assert_eq!((made.length, made.tokens, &made.segments), (3, 5, &None));
        assert_eq!(made.ids, [1, 7, 8, 1, 9, 0]);
        assert_eq!((made.places, made.targets), (vec![1, 2, 3, 4], vec![8, 2, 9, 2]));
        let packed = laid_out(&[vec![&row, &short], vec![&short]], 1);
        assert_eq!((packed.length, packed.tokens), (5, 7));
        assert_eq!(packed.ids, [1, 7, 8, 1, 9, 1, 9, 0, 0, 0]);
        assert_eq!((packed.places, packed.targets), (vec![1, 2, 3, 4, 5, 6], vec![8, 2, 9, 2, 9, 2]));
        assert_eq!(packed.segments, Some(vec![vec![3, 2], vec![2]]));
    }

    #[test]
    fn padding_up_to_a_stride_changes_places_alone() {
        let row = |length: u32| Encoded { ids: (0..=length).collect(), mask: vec![true; length as usize + 1] };
        let rows = [row(5), row(3)];
        let sequences = [vec![&rows[0]], vec![&rows[1]]];
        let (tight, wide) = (laid_out(&sequences, 1), laid_out(&sequences, 8));
        assert_eq!((tight.length, wide.length), (5, 8));
        assert_eq!((tight.targets.clone(), tight.tokens), (wide.targets.clone(), wide.tokens));
        assert_eq!(tight.places, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(wide.places, [0, 1, 2, 3, 4, 8, 9, 10]);
    }
}
