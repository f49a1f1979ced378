//! A child's output, line by line. No line is lost and none is held whole unless it may be an event: what is longer than
//! [`CHUNK`] goes on in parts, marked `continued`.

use domain::{TrainEvent, event::LogStream};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc::Sender,
};

/// The longest part of a log line, in bytes.
pub(crate) const CHUNK: usize = 64 << 10;
/// The longest event: a prediction of a whole context is far below.
const EVENT: usize = 8 << 20;

/// One thing a child said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Event(Box<TrainEvent>),
    Line(LogStream, String, bool),
}

/// Reads until the pipe closes. Waits for `to` when it is full: the pipe then fills and the child waits, so that memory is
/// bounded whatever it prints.
pub(crate) async fn read(mut pipe: impl AsyncRead + Unpin, stream: LogStream, to: Sender<Said>) {
    let mut splitter = Splitter { stream, line: Vec::new(), inside: false };
    let mut buffer = vec![0; CHUNK];
    loop {
        // A broken pipe is the end of it, as the closed one is.
        let count = pipe.read(&mut buffer).await.unwrap_or(0);
        let mut said = Vec::new();
        match count {
            0 => splitter.end(&mut said),
            count => splitter.push(&buffer[..count], &mut said),
        }
        for one in said {
            if to.send(one).await.is_err() {
                return;
            }
        }
        if count == 0 {
            return;
        }
    }
}

struct Splitter {
    stream: LogStream,
    /// The line so far, or what of it has not gone on yet.
    line: Vec<u8>,
    /// Parts of this line have gone on.
    inside: bool,
}

impl Splitter {
    fn push(&mut self, mut bytes: &[u8], said: &mut Vec<Said>) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.finish(said);
        }
        self.line.extend_from_slice(bytes);
        self.relieve(said);
    }

    fn end(&mut self, said: &mut Vec<Said>) {
        if !self.line.is_empty() || self.inside {
            self.finish(said);
        }
    }

    /// Sends parts of an unfinished line on when it is too long to be kept.
    fn relieve(&mut self, said: &mut Vec<Said>) {
        let most = if self.may_be_event() { EVENT } else { CHUNK };
        while self.line.len() > most || self.inside && self.line.len() > CHUNK {
            self.part(said);
        }
    }

    fn may_be_event(&self) -> bool {
        self.stream == LogStream::Stdout && !self.inside && self.line.first() == Some(&b'{')
    }

    fn part(&mut self, said: &mut Vec<Said>) {
        let rest = self.line.split_off(boundary(&self.line));
        let part = std::mem::replace(&mut self.line, rest);
        said.push(Said::Line(self.stream, text(&part), true));
        self.inside = true;
    }

    /// The line is whole.
    fn finish(&mut self, said: &mut Vec<Said>) {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.may_be_event()
            && let Ok(event) = serde_json::from_slice::<TrainEvent>(&self.line)
        {
            self.line.clear();
            match event {
                TrainEvent::Log { line } => said.extend(parts(LogStream::Stdout, line.into_bytes())),
                event => said.push(Said::Event(Box::new(event))),
            }
            return;
        }
        said.extend(parts(self.stream, std::mem::take(&mut self.line)));
        self.inside = false;
    }
}

/// A whole line in as many parts as it needs.
fn parts(stream: LogStream, mut line: Vec<u8>) -> Vec<Said> {
    let mut all = Vec::new();
    while line.len() > CHUNK {
        let rest = line.split_off(boundary(&line));
        all.push(Said::Line(stream, text(&line), true));
        line = rest;
    }
    all.push(Said::Line(stream, text(&line), false));
    all
}

/// Where to cut at most [`CHUNK`] bytes in without cutting a character in two.
fn boundary(line: &[u8]) -> usize {
    let mut at = CHUNK.min(line.len());
    // A character has at most four bytes, all but the first of the form 10xxxxxx.
    while at > CHUNK - 3 && at < line.len() && line[at] & 0b1100_0000 == 0b1000_0000 {
        at -= 1;
    }
    at
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(stream: LogStream, bytes: Vec<u8>) -> Vec<Said> {
        let (to, mut from) = tokio::sync::mpsc::channel(4);
        let reading = tokio::spawn(async move { read(&bytes[..], stream, to).await });
        let mut all = Vec::new();
        while let Some(one) = from.recv().await {
            all.push(one);
        }
        reading.await.unwrap();
        all
    }

    fn line(text: &str) -> Said {
        Said::Line(LogStream::Stdout, text.to_owned(), false)
    }

    #[tokio::test]
    async fn events_lines_and_garbage() {
        let event = r#"{"event":"validation","step":3,"loss":0.5}"#;
        let log = r#"{"event":"log","line":"hello"}"#;
        let text = format!("plain\n{event}\r\n\n{{\"event\":\"unknown\"}}\n{log}\nlast without end");
        let expected = [
            line("plain"),
            Said::Event(Box::new(TrainEvent::Validation { step: 3, loss: 0.5 })),
            line(""),
            line("{\"event\":\"unknown\"}"),
            line("hello"),
            line("last without end"),
        ];
        assert_eq!(said(LogStream::Stdout, text.into_bytes()).await, expected);
    }

    #[tokio::test]
    async fn a_long_line_comes_through_whole() {
        for (stream, unit) in [(LogStream::Stderr, "x"), (LogStream::Stdout, "{"), (LogStream::Stdout, "ü€")] {
            let whole = unit.repeat((1 << 20) / unit.len() + 1);
            let said = said(stream, format!("{whole}\nnext\n").into_bytes()).await;
            let (last, parts) = said.split_last().unwrap();
            assert_eq!(last, &Said::Line(stream, "next".to_owned(), false));
            let mut joined = String::new();
            for (i, part) in parts.iter().enumerate() {
                let Said::Line(_, text, continued) = part else { panic!("{part:?}") };
                assert!(text.len() <= CHUNK);
                assert_eq!(*continued, i + 1 < parts.len());
                joined.push_str(text);
            }
            assert!(joined == whole, "{unit}");
        }
    }
}
