//! Judges a generated text against the expected answer, strictly and flexibly, and turns counts into a score with its
//! interval.

use crate::extract;
use domain::{Score, Verdict};

/// Strict: the extracted answer is the expected one, character for character. Flexible: it means the same (see [`same`]);
/// without a marked answer the last number counts. `verified` is the family's own verifier on an answer, where there is one.
pub fn judge(expected: &str, generated: &str, verified: impl Fn(&str) -> bool) -> Verdict {
    let marked = extract::answer(generated);
    let strict = marked.as_ref().is_some_and(|e| e.text == expected.trim());
    let extracted = marked.or_else(|| extract::last_number(generated));
    let flexible = strict || extracted.as_ref().is_some_and(|e| verified(&e.text) || same(expected, &e.text));
    Verdict { extracted, strict, flexible }
}

/// Whether two answers mean the same: equal numbers (`$1,234.50` = `1234.5`, `50%` = `0.5`, `1/2` = `0.5`), or equal words
/// but for case, punctuation and articles. Where the expected answer offers alternatives ("0.5 or 50%"), any of them.
pub fn same(expected: &str, found: &str) -> bool {
    expected.split(" or ").any(|one| match (number(one), number(found)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        _ => words(one) == words(found) && !words(one).is_empty(),
    })
}

/// The one number of a text such as `$1,234.50`, `50 %`, `3/4` or `150 km`; none when there is none or more than one.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches('$').trim_end_matches('.').trim();
    let (text, scale) = text.strip_suffix('%').map_or((text, 1.0), |t| (t.trim_end(), 0.01));
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | '/'))).unwrap_or(text.len());
    let unit = text[end..].trim();
    if unit.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = text[..end].replace(',', "");
    let value = match digits.split_once('/') {
        Some((a, b)) => a.parse::<f64>().ok()? / b.parse::<f64>().ok().filter(|b| *b != 0.0)?,
        None => digits.parse().ok()?,
    };
    value.is_finite().then_some(value * scale)
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .filter(|w| !matches!(w.as_str(), "a" | "an" | "the"))
        .collect()
}

/// `k` right of `n` with the 95 % Wilson score interval (Wilson 1927; z = 1.959964). No items: 0 with the interval 0–1.
pub fn wilson(k: u32, n: u32) -> Score {
    if n == 0 {
        return Score { value: 0.0, low: 0.0, high: 1.0, n };
    }
    let z = 1.959_963_984_540_054_f64;
    let (p, n_f) = (f64::from(k) / f64::from(n), f64::from(n));
    let scale = 1.0 + z * z / n_f;
    let middle = (p + z * z / (2.0 * n_f)) / scale;
    let half = z * (p * (1.0 - p) / n_f + z * z / (4.0 * n_f * n_f)).sqrt() / scale;
    // At the ends the formula gives 0 and 1 but for rounding.
    let low = if k == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if k == n { 1.0 } else { (middle + half).min(1.0) };
    Score { value: p, low, high, n }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expected: &str, generated: &str) -> (bool, bool) {
        let v = judge(expected, generated, |_| false);
        (v.strict, v.flexible)
    }

    #[test]
    fn verdicts() {
        for (expected, generated, result) in [
            ("42", "Answer: 42", (true, true)),
            ("42", "Answer: 42.0", (false, true)),
            ("42", "it is 42", (false, true)),
            ("42", "Answer: 41", (false, false)),
            ("$31.5", "Answer: 31.50", (false, true)),
            ("0.5 or 50%", "Answer: 50 %", (false, true)),
            ("0.5 or 50%", "Answer: 1/2", (false, true)),
            ("1,234", "Answer: 1234", (false, true)),
            ("150", "Answer: 150 km", (false, true)),
            ("Ada", "Answer: ada.", (false, true)),
            ("Ada", "Answer: Ben", (false, false)),
            ("7 12 41", "Answer: 7 12 41", (true, true)),
            ("7 12 41", "Answer: 7 41 12", (false, false)),
            ("x", "", (false, false)),
        ] {
            assert_eq!(verdict(expected, generated), result, "{expected} / {generated}");
        }
    }

    #[test]
    fn a_verifier_may_accept() {
        assert!(judge("5", "Answer: five", |a| a == "five").flexible);
    }

    #[test]
    fn wilson_intervals() {
        // Golden: Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81/263, 15/148, 0/20, 1/29 (four places).
        for (k, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let score = wilson(k, n);
            assert!((score.low - low).abs() < 6e-5 && (score.high - high).abs() < 6e-5, "{k}/{n}: {score:?}");
        }
        assert_eq!(wilson(10, 10).high, 1.0);
        assert_eq!(wilson(0, 0).n, 0);
    }
}
