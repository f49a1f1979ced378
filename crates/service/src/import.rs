//! Cuts a stream of bytes into JSONL lines and reads each as a trace, or as a conversation that is one (`messages`). Pure:
//! chunks in, lines out; memory is bounded by the longest line allowed. Reasons are worded for the person who imports.

use crate::messages;
use domain::NewTrace;

/// No trace within the format's limits is longer than this, even with every character escaped.
const LONGEST: usize = 64 << 20;

/// One line of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// 1-based, blank lines counted.
    pub number: u64,
    /// The trace, or why it is refused.
    pub result: Result<NewTrace, String>,
}

/// Collects chunks until lines are whole.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// Lines seen so far.
    number: u64,
    /// The current line is over the limit; its bytes are thrown away.
    overlong: bool,
}

impl Lines {
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines that end in `chunk`.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut parts = chunk.split(|b| *b == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.take(part);
            lines.extend(self.end());
        }
        self.take(last);
        lines
    }

    /// The last line, when the file does not end with a line break.
    pub fn finish(mut self) -> Option<Line> {
        self.end()
    }

    fn take(&mut self, part: &[u8]) {
        if self.rest.len() + part.len() > LONGEST {
            self.overlong = true;
            self.rest = Vec::new();
        }
        if !self.overlong {
            self.rest.extend_from_slice(part);
        }
    }

    fn end(&mut self) -> Option<Line> {
        self.number += 1;
        let bytes = std::mem::take(&mut self.rest);
        if std::mem::take(&mut self.overlong) {
            let reason = format!("the line is longer than {} MiB", LONGEST >> 20);
            return Some(Line { number: self.number, result: Err(reason) });
        }
        let bytes = if self.number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes };
        let bytes = bytes.trim_ascii();
        (!bytes.is_empty()).then(|| Line { number: self.number, result: parse(bytes) })
    }
}

fn parse(bytes: &[u8]) -> Result<NewTrace, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8 from byte {} of the line", e.valid_up_to() + 1))?;
    match serde_json::from_str::<NewTrace>(text) {
        Ok(trace) => trace.validated().map_err(|e| e.to_string()),
        Err(error) => messages::read(text).unwrap_or_else(|| Err(told(&error))),
    }
}

/// serde_json ends with the place; within one line only the column tells something.
pub(crate) fn told(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match error.classify() {
        serde_json::error::Category::Data => message.to_owned(),
        _ => format!("not JSON: {message} at column {}", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"trace_version":"1.0","prompt":"p","final_answer":"a","steps":[{"i":0,"type":"t","content":"c"}],"meta":null}"#;

    fn read(text: &[u8], chunk: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new();
        let mut all: Vec<Line> = text.chunks(chunk).flat_map(|c| lines.push(c)).collect();
        all.extend(lines.finish());
        all.into_iter().map(|l| (l.number, l.result.err())).collect()
    }

    #[test]
    fn chunks_do_not_matter() {
        let twice = GOOD.replace("}],", "},{\"i\":0,\"type\":\"t\",\"content\":\"c\"}],");
        let text = format!("\u{feff}{GOOD}\r\n\n{twice}\n{{\n{GOOD}");
        let expected = [
            (1, None),
            (3, Some("steps[1].i repeats 0".to_owned())),
            (4, Some("not JSON: EOF while parsing an object at column 1".to_owned())),
            (5, None),
        ];
        for chunk in [1, 7, 10_000] {
            assert_eq!(read(text.as_bytes(), chunk), expected, "{chunk}");
        }
    }

    #[test]
    fn reasons() {
        let cases: [(&[u8], &str); 4] = [
            (br#"{"prompt":"p","final_answer":"a"}"#, "missing field `steps`"),
            (br#"{"prompt":"","final_answer":"a","steps":[]}"#, "prompt is empty"),
            (br#"{"prompt":"p","final_answer":"a","steps":[]}"#, "steps is empty; a trace has 1 to 1000 steps"),
            (b"{\"prompt\":\"\xff\"}", "not UTF-8 from byte 12 of the line"),
        ];
        for (line, reason) in cases {
            assert_eq!(read(line, 100), [(1, Some(reason.to_owned()))]);
        }
    }

    #[test]
    fn one_endless_line_costs_bounded_memory() {
        let mut lines = Lines::new();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..80 {
            assert!(lines.push(&chunk).is_empty());
            assert!(lines.rest.capacity() <= 2 * LONGEST);
        }
        let end = lines.push(b"\n");
        assert_eq!(end[0].result, Err("the line is longer than 64 MiB".to_owned()));
        assert!(lines.push(format!("{GOOD}\n").as_bytes())[0].result.is_ok());
    }
}
