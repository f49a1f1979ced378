//! Curves: thinned ones against brute force over the points themselves.

use super::{claim, queue, report, started};
use domain::{RunId, TrainEvent, api::Series, event::series};
use storage::{Ended, Store};

/// Everything a step draws, in this order.
const KEYS: [&str; 5] =
    [series::LOSS, series::LEARNING_RATE, series::GRAD_NORM, series::TOKENS_PER_SEC, series::MEMORY_BYTES];

/// A point: step and values.
type Point = (u64, [f64; 5]);

/// SplitMix64 (Steele, Lea, Flood 2014): the same figures on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// `count` points after `step`, one to three steps apart, their values all over.
    fn points(&mut self, mut step: u64, count: usize) -> Vec<Point> {
        let mut points = Vec::new();
        for _ in 0..count {
            step += 1 + self.below(3);
            let mut value = || self.below(1 << 40) as f64 / 1e6 - 1e5;
            let values = [value(), value(), value(), value(), value().abs().floor()];
            points.push((step, values));
        }
        points
    }
}

fn event((step, [loss, learning_rate, grad_norm, tokens_per_sec, memory]): &Point) -> TrainEvent {
    let (loss, learning_rate, grad_norm) = (*loss, *learning_rate, *grad_norm);
    let (tokens_per_sec, memory_bytes) = (*tokens_per_sec, *memory as u64);
    TrainEvent::Step { step: *step, loss, learning_rate, grad_norm, tokens_per_sec, memory_bytes, tokens: *step }
}

/// Each bucket ends at its step and begins after the one before: its figures must be those of its points. The outermost
/// may reach over the asked range's edge.
fn check(curve: &Series, which: usize, points: &[Point], from: u64, to: u64, most: u32) {
    let place = format!("{} from {from} to {to} in {most}", curve.key);
    let inside = &points[upto(points, from.saturating_sub(1))..upto(points, to)];
    assert_eq!(curve.exact, inside.len() <= most as usize, "{place}");
    assert!(curve.points.len() <= most as usize, "{place}: {} buckets", curve.points.len());
    if curve.exact {
        let same = curve.points.iter().map(|p| (p.step, p.value, p.min, p.max));
        assert!(same.eq(inside.iter().map(|(s, v)| (*s, v[which], v[which], v[which]))), "{place}");
        return;
    }
    assert!(curve.points.len() as u32 > most / 8, "{place}: only {} buckets", curve.points.len());
    assert!(curve.count >= inside.len() as u64, "{place}");
    let (mut first, mut covered) = (from.saturating_sub(1), 0);
    for (index, bucket) in curve.points.iter().enumerate() {
        let of = &points[upto(points, first)..upto(points, bucket.step)];
        let min = of.iter().map(|p| p.1[which]).fold(f64::INFINITY, f64::min);
        let max = of.iter().map(|p| p.1[which]).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(of.last().map(|p| (p.0, p.1[which])), Some((bucket.step, bucket.value)), "{place}, {index}");
        if index > 0 || from == 0 {
            assert_eq!((bucket.min, bucket.max), (min, max), "{place}, {index}");
        } else {
            assert!(bucket.min <= min && bucket.max >= max, "{place}, {index}");
        }
        covered += of.len() as u64;
        first = bucket.step;
    }
    assert!(inside.last().is_none_or(|p| p.0 <= first), "{place}: the end is missing");
    assert!(covered <= curve.count && (from > 0 || covered == curve.count), "{place}");
}

/// How many points lie at or before `step`.
fn upto(points: &[Point], step: u64) -> usize {
    points.partition_point(|point| point.0 <= step)
}

async fn check_all(store: &dyn Store, run: RunId, points: &[Point]) {
    let end = points.last().unwrap().0;
    let ranges = [(0, u64::MAX), (0, end), (1, end), (7, 123), (1_000, 5_000), (end / 3, end), (end - 3, u64::MAX)];
    for (from, to) in ranges {
        for most in [10, 100, 400, 5_000, 20_000] {
            let curves = store.series(run, &KEYS, from, to, most).await.unwrap();
            assert!(curves.iter().map(|curve| curve.key.as_str()).eq(KEYS));
            for (which, curve) in curves.iter().enumerate() {
                check(curve, which, points, from, to, most);
            }
        }
    }
}

async fn say(store: &dyn Store, run: RunId, points: &[Point], dice: &mut Dice) {
    let mut rest = points;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at((1 + dice.below(700) as usize).min(rest.len()));
        report(store, run, &batch.iter().map(event).collect::<Vec<_>>()).await;
        rest = after;
    }
}

pub async fn curves_equal_brute_force(store: &dyn Store) {
    let mut dice = Dice(1);
    let run = queue(store, 1).await;
    claim(store, 1).await;
    report(store, run, &[started(None)]).await;
    let mut points = dice.points(0, 10_000);
    say(store, run, &points, &mut dice).await;
    check_all(store, run, &points).await;

    // An attempt resumes in the middle of a bucket of every level, and other points follow.
    store.end_attempt(run, 1, super::at(61), Ended::Lost("killed".to_owned())).await.unwrap();
    claim(store, 62).await;
    let resumed = 13_421;
    report(store, run, &[started(Some(resumed))]).await;
    points.retain(|(step, _)| *step <= resumed);
    check_all(store, run, &points).await;
    let more = dice.points(resumed, 4_000);
    say(store, run, &more, &mut dice).await;
    points.extend(more);
    check_all(store, run, &points).await;

    let nothing = store.series(run, &[series::LOSS, "unheard of"], 1_000_000, 2_000_000, 400).await.unwrap();
    assert!(nothing.iter().all(|curve| curve.points.is_empty() && curve.count == 0));
}

pub async fn a_long_curve_is_few_rows(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    report(store, run, &[started(None)]).await;
    let loss = |step: u64| 3.0 / (1.0 + step as f64 / 200.0) + ((step * 7_919) % 1_000) as f64 / 1e4;
    for first in (1..=100_000).step_by(10_000) {
        report(store, run, &(first..first + 10_000).map(|n| super::step(n, loss(n))).collect::<Vec<_>>()).await;
    }
    for (from, to, behind) in [(0, u64::MAX, 100_000), (40_000, 60_000, 20_000)] {
        let curve = store.series(run, &[series::LOSS], from, to, 400).await.unwrap().remove(0);
        assert!((100..=400).contains(&curve.points.len()), "{}", curve.points.len());
        assert!(!curve.exact && curve.count >= behind && curve.count < behind + 1_000, "{}", curve.count);
    }
    // Near enough, the points themselves.
    let near = store.series(run, &[series::LOSS], 99_901, 100_000, 400).await.unwrap().remove(0);
    assert!(near.exact && near.points.iter().map(|p| (p.step, p.value)).eq((99_901..=100_000).map(|n| (n, loss(n)))));
}

pub async fn validations_are_thinned(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    let mut events = vec![started(None)];
    for number in 1..=1_000_u64 {
        events.push(super::step(number, 1.0));
        events.push(TrainEvent::Validation { step: number, loss: ((number * 7) % 100) as f64 });
    }
    report(store, run, &events).await;
    let curve = store.series(run, &[series::VAL_LOSS], 0, u64::MAX, 100).await.unwrap().remove(0);
    assert_eq!((curve.points.len(), curve.count, curve.exact), (100, 1_000, false));
    for (bucket, last) in curve.points.iter().zip((10..).step_by(10)) {
        let values = (last - 9..=last).map(|n: u64| ((n * 7) % 100) as f64);
        let (min, max) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
        assert_eq!((bucket.step, bucket.value, bucket.min, bucket.max), (last, ((last * 7) % 100) as f64, min, max));
    }
    let few = store.series(run, &[series::VAL_LOSS], 5, 9, 100).await.unwrap().remove(0);
    assert!(few.exact && few.points.iter().map(|p| p.step).eq(5..=9));
}
