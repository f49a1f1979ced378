//! Addition of two whole numbers, digit by digit from the right with carries.
//! The first step writes both numbers backwards at equal width, so that every later step reads neighbouring digits:
//! a small model learns it from a few thousand examples (Lee et al. 2023, "Teaching arithmetic to small transformers").

use crate::{Problem, dice::Dice};

/// Level = the most digits of an operand.
pub(crate) fn problem(dice: &mut Dice, level: u8) -> Problem {
    let digits = |dice: &mut Dice| 1 + dice.below(u64::from(level)) as u32;
    let number = |dice: &mut Dice, digits: u32| {
        let low = if digits == 1 { 0 } else { 10_u64.pow(digits - 1) };
        low + dice.below(10_u64.pow(digits) - low)
    };
    let (wide, other) = (u32::from(level), digits(dice));
    let (a, b) = (number(dice, wide), number(dice, other));
    let (a, b) = if dice.below(2) == 0 { (a, b) } else { (b, a) };
    solve(a, b)
}

fn solve(a: u64, b: u64) -> Problem {
    let width = a.max(b).to_string().len();
    let backwards = |n: u64| format!("{n:0width$}").chars().rev().collect::<String>();
    let (left, right) = (backwards(a), backwards(b));
    let mut steps = vec![("align", format!("{left} {right}"))];
    let (mut carry, mut sum) = (0, String::new());
    for (x, y) in left.bytes().zip(right.bytes()) {
        let (x, y) = (x - b'0', y - b'0');
        let total = x + y + carry;
        sum.push(char::from(b'0' + total % 10));
        steps.push(("add", format!("{x}+{y}+{carry}={total} {sum}")));
        carry = total / 10;
    }
    if carry > 0 {
        sum.push('1');
        steps.push(("carry", format!("carry {sum}")));
    }
    Problem { prompt: format!("{a} + {b} ="), steps, answer: (a + b).to_string() }
}

pub(crate) fn verify(prompt: &str, answer: &str) -> bool {
    let sum = || {
        let (a, b) = prompt.trim().strip_suffix('=')?.split_once('+')?;
        a.trim().parse::<u64>().ok()?.checked_add(b.trim().parse().ok()?)
    };
    sum().is_some_and(|sum| answer == sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries() {
        let cases = [
            ((12, 30), "42", "21 03 | 2+0+0=2 2 | 1+3+0=4 24"),
            ((97, 5), "102", "79 50 | 7+5+0=12 2 | 9+0+1=10 20 | carry 201"),
            ((0, 0), "0", "0 0 | 0+0+0=0 0"),
        ];
        for ((a, b), answer, steps) in cases {
            let problem = solve(a, b);
            let found: Vec<&str> = problem.steps.iter().map(|(_, content)| content.as_str()).collect();
            assert_eq!((problem.answer.as_str(), found.join(" | ").as_str()), (answer, steps));
        }
    }
}
