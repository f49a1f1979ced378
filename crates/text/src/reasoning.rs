//! Takes an assistant's message apart into steps and final answer: the reverse of [`crate::layout::answered`], and of
//! the ways in which other tools write reasoning down.

use crate::layout::ANSWER;
use domain::Step;

/// Heads numbered steps in tunix-rt's exports.
const HEADING: &str = "Reasoning:";
/// The marks that reasoning models put around their thoughts.
const THINK: [&str; 2] = ["<think>", "</think>"];
/// The kind of a step that says none.
const KIND: &str = "think";

/// Steps and final answer of a message. The reasoning is, by the first of these that is there: `apart`, a text of its own;
/// what stands between `<think>` and `</think>` before the answer; the lines above the last one that begins with `Answer:`,
/// numbered under a heading `Reasoning:` or not. None when none of them is there. Each line that is not blank is a step.
pub fn read(message: &str, apart: Option<&str>) -> Option<(Vec<Step>, String)> {
    let message = plain(message);
    let (reasoning, answer) = match (apart.map(str::trim).filter(|text| !text.is_empty()), thought(message)) {
        // Some tools write the thoughts twice.
        (Some(apart), Some((_, answer))) => (apart.to_owned(), bare(answer)),
        (Some(apart), None) => (apart.to_owned(), bare(message)),
        (None, Some((thoughts, answer))) => (thoughts.to_owned(), bare(answer)),
        (None, None) => laid_out(message)?,
    };
    let lines = reasoning.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let steps: Vec<Step> =
        (0..).zip(lines).map(|(i, line)| Step { i, kind: KIND.to_owned(), content: line.to_owned() }).collect();
    (!steps.is_empty()).then_some((steps, answer))
}

/// A message without the empty place for thoughts that some models leave before an answer.
pub fn plain(message: &str) -> &str {
    match thought(message) {
        Some((thoughts, answer)) if thoughts.trim().is_empty() => answer.trim_start(),
        _ => message,
    }
}

/// Thoughts and what follows them. Without an opening mark (which some chat templates write themselves) they begin with the
/// message.
fn thought(message: &str) -> Option<(&str, &str)> {
    let (thoughts, answer) = message.split_once(THINK[1])?;
    let thoughts = thoughts.trim_start();
    Some((thoughts.strip_prefix(THINK[0]).unwrap_or(thoughts), answer))
}

/// An answer without the mark that the layout writes before it.
fn bare(answer: &str) -> String {
    let answer = answer.trim();
    answer.strip_prefix(ANSWER.trim_end()).map_or(answer, str::trim_start).to_owned()
}

/// Reasoning and answer of a message in our own layout.
fn laid_out(message: &str) -> Option<(String, String)> {
    let marker = ANSWER.trim_end();
    let mut last_first = message.rmatch_indices(marker).map(|(at, _)| at);
    let at = last_first.find(|at| *at == 0 || message[..*at].ends_with('\n'))?;
    let (reasoning, answer) = (message[..at].trim(), bare(&message[at..]));
    let reasoning = match reasoning.strip_prefix(HEADING) {
        Some(numbered) => numbered.lines().map(without_number).collect::<Vec<_>>().join("\n"),
        None => reasoning.to_owned(),
    };
    Some((reasoning, answer))
}

/// `1. first` is `first`.
fn without_number(line: &str) -> &str {
    let line = line.trim_start();
    match line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(". ") {
        Some(rest) if line.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    fn steps(found: Option<(Vec<Step>, String)>) -> Option<(Vec<String>, String)> {
        found.map(|(steps, answer)| (steps.into_iter().map(|step| step.content).collect(), answer))
    }

    #[test]
    fn every_way_of_writing_reasoning_is_read() {
        let two = Some((vec!["6*7".to_owned(), "=42".to_owned()], "42".to_owned()));
        for (message, apart) in [
            ("42", Some("6*7\n\n=42\n")),
            ("Answer: 42", Some("6*7\n=42")),
            ("<think>6*7\n=42</think>42", Some("6*7\n=42")),
            ("<think>\n6*7\n=42\n</think>\n\n42\n", None),
            ("6*7\n=42\n</think>\n\nAnswer: 42", Some(" ")),
            ("6*7\n=42\nAnswer: 42", None),
            ("<think>\n\n</think>\n\n6*7\n=42\nAnswer: 42", None),
            ("Reasoning:\n1. 6*7\n2. =42\nAnswer: 42", None),
            ("Reasoning:\n6*7\n=42\nAnswer:42", None),
        ] {
            assert_eq!(steps(read(message, apart)), two, "{message:?} {apart:?}");
        }
        let list = steps(read("1. first\n2. second\nAnswer: a\nb", None));
        assert_eq!(list, Some((vec!["1. first".to_owned(), "2. second".to_owned()], "a\nb".to_owned())));
        let twice = steps(read("Answer: 1\nno\nAnswer: 2", None));
        assert_eq!(twice, Some((vec!["Answer: 1".to_owned(), "no".to_owned()], "2".to_owned())));
    }

    #[test]
    fn what_shows_no_reasoning_has_none() {
        for message in
            ["42", "", "Answer: 42", "<think>\n\n</think>\n42", "<think>6*7", "The Answer: 42", "Reasoning:\nAnswer: 1"]
        {
            assert_eq!(read(message, None), None, "{message:?}");
        }
    }

    #[test]
    fn what_the_layout_writes_reads_back() {
        let (steps, final_answer) = read("  a = 1\n\tb\n3. c\nAnswer: x, y", None).unwrap();
        assert_eq!(steps[0].content, "a = 1", "the message is trimmed");
        let text = layout::answered(&steps, &final_answer);
        assert_eq!(read(&text, None), Some((steps, final_answer)));
    }
}
