//! Server-sent events, read from bytes as they come (WHATWG HTML, 9.2.6). Only what our server sends: `id`, `event`, `data`.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// Collects bytes and gives the events that are complete.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    message: Message,
    /// A `\r` ended the last line: a `\n` right after it belongs to it.
    after_return: bool,
}

impl Parser {
    /// The events that end in `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut complete = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    complete.extend(self.line(&String::from_utf8_lossy(&line)));
                }
                _ => {
                    self.after_return = false;
                    self.line.push(byte);
                }
            }
        }
        complete
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let mut message = std::mem::take(&mut self.message);
            // Each data line ends with a line break; the last one is not part of the data.
            message.data.pop();
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "data" => {
                self.message.data.push_str(value);
                self.message.data.push('\n');
            }
            // An empty field is a comment: our keep-alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<&str>, data: &str) -> Message {
        Message { id: id.map(str::to_owned), data: data.to_owned() }
    }

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = ": keep-alive\n\nevent: step\nid: 7\ndata: {\"a\":1}\n\nid: 8\r\ndata: one\r\ndata:two ü\r\n\r\ndata\n\nid: 9\ndata: x\n";
        let expected = [message(Some("7"), "{\"a\":1}"), message(Some("8"), "one\ntwo ü")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let found: Vec<Message> = text.as_bytes().chunks(size).flat_map(|part| parser.push(part)).collect();
            assert_eq!(found, expected, "in parts of {size} bytes; the unfinished last event is not given");
        }
    }
}
