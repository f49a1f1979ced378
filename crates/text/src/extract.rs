//! Finds the answer in a generated text. One extractor for evaluation, page and reward; its places are byte offsets.

use crate::layout::ANSWER;
use domain::evaluation::Extracted;

/// Version of extractor and scorer together: scores of different versions are not comparable.
pub const VERSION: &str = "anneal-1";

/// The answer by the first of these that is there: the last line that begins with `Answer:`, the last `\boxed{…}`
/// (MATH), the last `####` (GSM8K). A text with none of them has no answer.
pub fn answer(text: &str) -> Option<Extracted> {
    after_last(text, ANSWER.trim_end()).or_else(|| boxed(text)).or_else(|| after_last(text, "####"))
}

/// The last number of a text: what flexible judging falls back to.
pub fn last_number(text: &str) -> Option<Extracted> {
    let bytes = text.as_bytes();
    let last = bytes.iter().rposition(u8::is_ascii_digit)?;
    let mut start = last;
    while start > 0 {
        let inside = bytes[start - 1].is_ascii_digit()
            || matches!(bytes[start - 1], b'.' | b',' | b'/') && start > 1 && bytes[start - 2].is_ascii_digit();
        if !inside {
            break;
        }
        start -= 1;
    }
    if start > 0 && matches!(bytes[start - 1], b'-' | b'$') {
        start -= 1;
    }
    Some(Extracted { text: text[start..=last].to_owned(), start, end: last + 1 })
}

fn after_last(text: &str, marker: &str) -> Option<Extracted> {
    let start = text.rfind(marker)? + marker.len();
    let line = text[start..].lines().next().unwrap_or("");
    trimmed(text, start, start + line.len())
}

fn boxed(text: &str) -> Option<Extracted> {
    let start = text.rfind("\\boxed{")? + "\\boxed{".len();
    let mut depth = 1;
    for (i, c) in text[start..].char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return trimmed(text, start, start + i);
        }
    }
    None
}

fn trimmed(text: &str, start: usize, end: usize) -> Option<Extracted> {
    let part = &text[start..end];
    let inner = part.trim();
    let start = start + (part.len() - part.trim_start().len());
    (!inner.is_empty()).then(|| Extracted { text: inner.to_owned(), start, end: start + inner.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let cases = [
            ("21 03\nAnswer: 42", Some("42")),
            ("Answer: 1\nno, Answer:  12 \nbye", Some("12")),
            ("so \\boxed{\\frac{1}{2}} it is", Some("\\frac{1}{2}")),
            ("thus\n#### 1,234", Some("1,234")),
            ("Answer:", None),
            ("42", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = answer(text);
            assert_eq!(found.as_ref().map(|e| e.text.as_str()), expected, "{text}");
            if let Some(e) = found {
                assert_eq!(&text[e.start..e.end], e.text);
            }
        }
    }

    #[test]
    fn last_numbers() {
        for (text, expected) in [
            ("it costs $31.5 each", Some("$31.5")),
            ("from 7 to -12.", Some("-12")),
            ("1,234 apples", Some("1,234")),
            ("1/2", Some("1/2")),
            ("é 5", Some("5")),
            ("none", None),
        ] {
            assert_eq!(last_number(text).map(|e| e.text).as_deref(), expected, "{text}");
        }
    }
}
