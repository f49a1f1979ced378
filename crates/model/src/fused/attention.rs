//! Causal attention block by block: scores are made, used and dropped, never kept (Dao et al. 2022); the backward pass
//! makes them again from the logarithm of each softmax's sum.

use super::{
    heads::Heads,
    lanes::{dot, exp, largest, sum, vectorised},
    product::{Matrix, Threads, multiply},
    room::Room,
};
use rayon::prelude::*;

/// Queries whose scores exist at one time.
const BLOCK: usize = 64;

/// The keys that a query looks at, from and up to.
pub(crate) type Span = (u32, u32);

/// The span of each row of a mask that is 0 within and far below 0 elsewhere; none when a row's zeros do not lie side by
/// side.
///
/// # Shapes
/// `mask` `[rows, keys]` → `rows`
pub(crate) fn spans(mask: &[f32], keys: usize) -> Option<Vec<Span>> {
    let row = |mask: &[f32]| {
        let start = mask.iter().position(|&m| m == 0.0)?;
        let end = start + mask[start..].iter().position(|&m| m != 0.0).unwrap_or(keys - start);
        mask[end..].iter().all(|&m| m < -1e8).then_some((start as u32, end as u32))
    };
    let before =
        |mask: &[f32], span: Option<Span>| span.filter(|&(start, _)| mask[..start as usize].iter().all(|&m| m < -1e8));
    mask.chunks_exact(keys).map(|mask| before(mask, row(mask))).collect()
}

/// Queries, keys and values, and where each query looks: `spans` of `[batch or 1, places]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub(crate) query: Heads<'a>,
    pub(crate) key: Heads<'a>,
    pub(crate) value: Heads<'a>,
    pub(crate) spans: &'a [Span],
}

/// Gradients of query `[batch, places, heads, size]`, key and value `[batch, keys, kv_heads, size]`.
pub(crate) struct Gradients {
    pub(crate) query: Vec<f32>,
    pub(crate) key: Vec<f32>,
    pub(crate) value: Vec<f32>,
}

impl Attention<'_> {
    fn scale(&self) -> f32 {
        1.0 / (self.query.shape[3] as f32).sqrt()
    }

    /// The key/value head that a query head uses.
    fn shared(&self, head: usize) -> usize {
        head / (self.query.shape[1] / self.key.shape[1])
    }

    /// Blocks of queries: first place, the spans of the block, and the keys that any of them looks at.
    fn blocks(&self, row: usize) -> impl Iterator<Item = (usize, &[Span], usize, usize)> {
        let places = self.query.shape[2];
        let first = if self.spans.len() == places { 0 } else { row * places };
        let spans = &self.spans[first..first + places];
        spans.chunks(BLOCK).enumerate().map(|(number, spans)| {
            let low = spans.iter().map(|s| s.0).min().unwrap_or(0) as usize;
            let high = spans.iter().map(|s| s.1).max().unwrap_or(0) as usize;
            (number * BLOCK, spans, low, high)
        })
    }

    /// softmax(q·kᵀ/√size)·v, `[batch, places, heads, size]`, and for each query the logarithm of its softmax's sum,
    /// `[batch, heads, places]`.
    pub(crate) fn forward(&self) -> (Vec<f32>, Vec<f32>) {
        let [batch, heads, places, size] = self.query.shape;
        let (mixed, sums): (Vec<_>, Vec<_>) = (0..batch * heads)
            .into_par_iter()
            .map(|task| {
                let (row, head) = (task / heads, task % heads);
                if places == 1 { self.one(row, head) } else { self.many(row, head) }
            })
            .unzip();
        (joined(&mixed, [batch, heads, places, size]), sums.concat())
    }

    /// A single query: its scores fit in a vector, and products would be of vectors.
    fn one(&self, row: usize, head: usize) -> (Vec<f32>, Vec<f32>) {
        let (scale, shared, query) = (self.scale(), self.shared(head), self.query.vector(row, head, 0));
        let (start, end) = self.spans[if self.spans.len() == 1 { 0 } else { row }];
        let mut out = vec![0.0; query.len()];
        let mut scores = vec![0.0; (end - start) as usize];
        let total = vectorised(
            #[inline(always)]
            || {
                for (score, place) in scores.iter_mut().zip(start as usize..) {
                    *score = dot(query, self.key.vector(row, shared, place)) * scale;
                }
                let total = exponentials(&mut scores);
                for (score, place) in scores.iter().zip(start as usize..) {
                    for (o, v) in out.iter_mut().zip(self.value.vector(row, shared, place)) {
                        *o += score / total.1 * v;
                    }
                }
                total.0 + total.1.ln()
            },
        );
        (out, vec![total])
    }

    fn many(&self, row: usize, head: usize) -> (Vec<f32>, Vec<f32>) {
        let [_, _, places, size] = self.query.shape;
        let shared = self.shared(head);
        let (mut out, mut sums) = (vec![0.0; places * size], vec![0.0; places]);
        let mut scores = vec![0.0; BLOCK.min(places) * self.key.shape[2]];
        for (first, spans, low, high) in self.blocks(row) {
            let (count, width) = (spans.len(), high - low);
            let scores = &mut scores[..count * width];
            let query = self.query.matrix(row, head, first, count);
            let key = self.key.matrix(row, shared, low, width);
            multiply(scores, query, key.transposed(), self.scale(), false, Threads::One);
            let sums = &mut sums[first..first + count];
            vectorised(
                #[inline(always)]
                || {
                    for ((scores, &(start, end)), sum) in scores.chunks_exact_mut(width).zip(spans).zip(&mut *sums) {
                        let (start, end) = (start as usize - low, end as usize - low);
                        scores[..start].fill(0.0);
                        scores[end..].fill(0.0);
                        let scores = &mut scores[start..end];
                        let (top, total) = exponentials(scores);
                        let share = 1.0 / total;
                        scores.iter_mut().for_each(|s| *s *= share);
                        *sum = top + total.ln();
                    }
                },
            );
            let value = self.value.matrix(row, shared, low, width);
            let out = &mut out[first * size..(first + count) * size];
            multiply(out, Matrix::plain(scores, [count, width]), value, 1.0, false, Threads::One);
        }
        (out, sums)
    }

    /// From what [`Self::forward`] gave and the gradient of its first part.
    pub(crate) fn backward(&self, out: Heads<'_>, sums: &[f32], gradient: Heads<'_>) -> Gradients {
        let [batch, heads, places, size] = self.query.shape;
        let (kv_heads, keys) = (self.key.shape[1], self.key.shape[2]);
        let parts: Vec<Gradients> = (0..batch * kv_heads)
            .into_par_iter()
            .map(|task| self.shared_backward(task / kv_heads, task % kv_heads, out, sums, gradient))
            .collect();
        let (mut query, mut key, mut value) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            query.push(part.query);
            key.push(part.key);
            value.push(part.value);
        }
        // The query heads that share a key lie one behind the other.
        let query: Vec<&[f32]> = query.iter().flat_map(|q| q.chunks_exact(places * size)).collect();
        Gradients {
            query: joined(&query, [batch, heads, places, size]),
            key: joined(&key, [batch, kv_heads, keys, size]),
            value: joined(&value, [batch, kv_heads, keys, size]),
        }
    }

    /// The gradients of one key/value head and of the query heads that use it.
    fn shared_backward(
        &self,
        row: usize,
        shared: usize,
        out: Heads<'_>,
        sums: &[f32],
        gradient: Heads<'_>,
    ) -> Gradients {
        let [_, heads, places, size] = self.query.shape;
        let (groups, keys) = (heads / self.key.shape[1], self.key.shape[2]);
        let (mut dq, mut dk, mut dv) =
            (vec![0.0; groups * places * size], vec![0.0; keys * size], vec![0.0; keys * size]);
        let (mut shares, mut slopes) = (vec![0.0; BLOCK.min(places) * keys], vec![0.0; BLOCK.min(places) * keys]);
        for group in 0..groups {
            let head = shared * groups + group;
            for (first, spans, low, high) in self.blocks(row) {
                let (count, width) = (spans.len(), high - low);
                let (shares, slopes) = (&mut shares[..count * width], &mut slopes[..count * width]);
                let query = self.query.matrix(row, head, first, count);
                let key = self.key.matrix(row, shared, low, width);
                let value = self.value.matrix(row, shared, low, width);
                let dy = gradient.matrix(row, head, first, count);
                multiply(shares, query, key.transposed(), self.scale(), false, Threads::One);
                multiply(slopes, dy, value.transposed(), 1.0, false, Threads::One);
                let sums = &sums[(row * heads + head) * places + first..][..count];
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = shares.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
                        for (offset, ((shares, slopes), (&(start, end), &total))) in
                            rows.zip(spans.iter().zip(sums)).enumerate()
                        {
                            let (start, end) = (start as usize - low, end as usize - low);
                            let place = first + offset;
                            let along = dot(out.vector(row, head, place), gradient.vector(row, head, place));
                            for outside in [0..start, end..width] {
                                shares[outside.clone()].fill(0.0);
                                slopes[outside].fill(0.0);
                            }
                            for (share, slope) in shares[start..end].iter_mut().zip(&mut slopes[start..end]) {
                                *share = exp(*share - total);
                                *slope = *share * (*slope - along);
                            }
                        }
                    },
                );
                let (shares, slopes) = (Matrix::plain(shares, [count, width]), Matrix::plain(slopes, [count, width]));
                let keys = low * size..high * size;
                multiply(&mut dv[keys.clone()], shares.transposed(), dy, 1.0, true, Threads::One);
                multiply(&mut dk[keys], slopes.transposed(), query, self.scale(), true, Threads::One);
                let start = (group * places + first) * size;
                multiply(&mut dq[start..start + count * size], slopes, key, self.scale(), false, Threads::One);
            }
        }
        Gradients { query: dq, key: dk, value: dv }
    }
}

/// Replaces values by e^(value − largest); returns the largest and the sum.
#[inline(always)]
fn exponentials(values: &mut [f32]) -> (f32, f32) {
    let top = largest(values);
    values.iter_mut().for_each(|v| *v = exp(*v - top));
    (top, sum(values))
}

/// Vectors that lie head by head, place by place: `batch · heads` parts of `[places, size]` → `[batch, places, heads, size]`.
fn joined<P: AsRef<[f32]> + Sync>(parts: &[P], [batch, heads, places, size]: [usize; 4]) -> Vec<f32> {
    let mut out = Room::of(batch * heads * places * size);
    out.parts(BLOCK * heads * size).enumerate().for_each(|(block, out)| {
        for (number, out) in (block * BLOCK..).zip(out.chunks_exact_mut(heads * size)) {
            let (row, place) = (number / places, number % places);
            for (head, out) in out.chunks_exact_mut(size).enumerate() {
                out.copy_from_slice(&parts[row * heads + head].as_ref()[place * size..(place + 1) * size]);
            }
        }
    });
    out.written()
}
