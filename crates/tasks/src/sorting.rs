//! Sorting a short list of numbers by insertion: each step takes the next number and writes the list so far.

use crate::{Problem, dice::Dice};

/// Level 1 sorts three numbers, each level one more; all below 100 and different.
pub(crate) fn problem(dice: &mut Dice, level: u8) -> Problem {
    let mut numbers: Vec<u64> = Vec::new();
    while numbers.len() < usize::from(level) + 2 {
        let n = dice.below(100);
        if !numbers.contains(&n) {
            numbers.push(n);
        }
    }
    let mut sorted: Vec<u64> = Vec::new();
    let mut steps = Vec::new();
    for &n in &numbers {
        let place = sorted.partition_point(|&m| m < n);
        sorted.insert(place, n);
        steps.push(("insert", format!("{n}: {}", join(&sorted))));
    }
    Problem { prompt: format!("sort {} =", join(&numbers)), steps, answer: join(&sorted) }
}

fn join(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

fn parse(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|n| n.parse().ok()).collect()
}

pub(crate) fn verify(prompt: &str, answer: &str) -> bool {
    let numbers = prompt.trim().strip_prefix("sort ").and_then(|p| p.strip_suffix('=')).and_then(parse);
    let Some(mut numbers) = numbers.filter(|n| !n.is_empty()) else { return false };
    numbers.sort_unstable();
    parse(answer).is_some_and(|found| found == numbers)
}
