//! Chooses the next token from logits, on the host, so that server and browser choose alike.

use crate::random::Random;
use domain::preview::SamplerSettings;

/// A seeded sampler.
#[derive(Debug, Clone)]
pub struct Sampler {
    settings: SamplerSettings,
    random: Random,
}

/// A choice: token and probability under plain softmax, with the most probable tokens beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub token: u32,
    pub probability: f32,
    /// Most probable first; may contain the chosen token.
    pub rivals: Vec<(u32, f32)>,
}

/// Rivals reported with each choice.
const RIVALS: usize = 5;

impl Sampler {
    pub fn new(settings: SamplerSettings) -> Self {
        Self { settings, random: Random(settings.seed) }
    }

    /// Temperature 0 takes the largest logit (the first of equals). Else: divide by the temperature, keep the `top_k`
    /// largest, then the smallest set whose probability reaches `top_p` (Holtzman et al. 2020), and draw.
    pub fn choose(&mut self, logits: &[f32]) -> Choice {
        let probabilities = softmax(logits, 1.0);
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let key = |i: u32| logits[i as usize];
        // Equal logits by id. NaN counts as the smallest.
        let by_size = |&a: &u32, &b: &u32| {
            let sizes = key(b).partial_cmp(&key(a)).unwrap_or_else(|| key(a).is_nan().cmp(&key(b).is_nan()));
            sizes.then(a.cmp(&b))
        };
        // Sorting a large vocabulary takes long; what is not looked at stays unsorted.
        let greedy = self.settings.temperature <= 0.0;
        let looked_at = match self.settings.top_k as usize {
            _ if greedy => RIVALS,
            0 => order.len(),
            most => most.max(RIVALS),
        };
        if looked_at < order.len() {
            order.select_nth_unstable_by(looked_at, by_size);
            order.truncate(looked_at);
        }
        order.sort_unstable_by(by_size);
        let token = if greedy { order[0] } else { self.draw(logits, &order) };
        let rivals = order.iter().take(RIVALS).map(|&id| (id, probabilities[id as usize])).collect();
        Choice { token, probability: probabilities[token as usize], rivals }
    }

    fn draw(&mut self, logits: &[f32], order: &[u32]) -> u32 {
        let most = if self.settings.top_k == 0 { order.len() } else { (self.settings.top_k as usize).min(order.len()) };
        let kept: Vec<f32> = order[..most].iter().map(|&id| logits[id as usize]).collect();
        let probabilities = softmax(&kept, self.settings.temperature);
        let (mut sum, mut count) = (0.0, 0);
        for p in &probabilities {
            sum += p;
            count += 1;
            if sum >= self.settings.top_p {
                break;
            }
        }
        let mut left = self.random.unit() as f32 * sum;
        for (&id, p) in order.iter().zip(&probabilities[..count]) {
            left -= p;
            if left < 0.0 {
                return id;
            }
        }
        order[count - 1]
    }
}

fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = logits.iter().map(|l| ((l - top) / temperature).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(temperature: f32, top_k: u32, top_p: f32) -> SamplerSettings {
        SamplerSettings { temperature, top_k, top_p, seed: 7 }
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let choice = Sampler::new(settings(0.0, 0, 1.0)).choose(&[0.0, 2.0, 2.0, 1.0]);
        assert_eq!(choice.token, 1);
        // e²/(1 + 2e² + e) by hand.
        assert!((choice.probability - 0.398_5).abs() < 1e-3);
    }

    #[test]
    fn limits_hold_and_seeds_repeat() {
        let logits = [1.0, 3.0, 2.0, 0.0];
        let draw = |s| {
            let mut sampler = Sampler::new(s);
            (0..200).map(|_| sampler.choose(&logits).token).collect::<Vec<_>>()
        };
        assert!(draw(settings(1.0, 2, 1.0)).iter().all(|t| [1, 2].contains(t)));
        assert!(draw(settings(1.0, 0, 0.5)).iter().all(|t| *t == 1));
        let all = draw(settings(2.0, 0, 1.0));
        assert_eq!(all, draw(settings(2.0, 0, 1.0)));
        assert!((0..4).all(|t| all.contains(&t)));
    }
}
