//! Rotary positions in one pass; backwards it is the same turn the other way.

use super::{heads::Heads, lanes::vectorised, room::Room};
use rayon::prelude::*;

/// Places that one task turns.
const PLACES: usize = 64;

/// Turns every vector by its place's angles: `cos` and `sin` `[batch or 1, places, size]`, both halves of a vector alike.
/// Returns `[batch, places, heads, size]`.
pub(crate) fn turn(x: Heads<'_>, cos: &[f32], sin: &[f32], back: bool) -> Vec<f32> {
    let [batch, heads, places, size] = x.shape;
    let (half, way) = (size / 2, if back { -1.0 } else { 1.0 });
    let shared = cos.len() == places * size;
    let mut out = Room::of(batch * heads * places * size);
    if x.shape.contains(&0) {
        return out.written();
    }
    out.parts(PLACES * heads * size).enumerate().for_each(|(part, out)| {
        vectorised(
            #[inline(always)]
            || {
                for (number, out) in (part * PLACES..).zip(out.chunks_exact_mut(heads * size)) {
                    let (row, place) = (number / places, number % places);
                    let angle = (if shared { place } else { number }) * size;
                    let (cos, sin) = (&cos[angle..angle + half], &sin[angle..angle + half]);
                    for (head, out) in out.chunks_exact_mut(size).enumerate() {
                        let (first, second) = x.vector(row, head, place).split_at(half);
                        let (out_first, out_second) = out.split_at_mut(half);
                        let turned = out_first.iter_mut().zip(out_second);
                        for ((y, z), ((a, b), (cos, sin))) in
                            turned.zip(first.iter().zip(second).zip(cos.iter().zip(sin)))
                        {
                            *y = a * cos - b * (sin * way);
                            *z = b * cos + a * (sin * way);
                        }
                    }
                }
            },
        );
    });
    out.written()
}
