//! Seeded randomness with stable results: ChaCha8 and integer arithmetic only.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Different families draw from different streams of the same seed.
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // FNV-1a of the name (Fowler, Noll, Vo).
        rng.set_stream(
            stream.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)),
        );
        Self(rng)
    }

    /// Uniform in `0..n`; `n` is small, so the bias of multiply-and-shift (below n/2^64) does not matter.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }
}
