//! What chat templates expect of Python: methods of strings and dictionaries, and JSON as `json.dumps` writes it.

use minijinja::{
    Error, ErrorKind, State,
    value::{Kwargs, Value, ValueKind},
};
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// A method that minijinja does not know itself.
pub(crate) fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    if let Some(text) = value.as_str() {
        return of_text(text, name, args).ok_or_else(unknown)?;
    }
    match (value.kind(), name, args) {
        (ValueKind::Map, "items", []) => state.apply_filter("items", std::slice::from_ref(value)),
        (ValueKind::Map, "keys", []) => Ok(value.try_iter()?.collect()),
        (ValueKind::Map, "values", []) => {
            let values: Result<Vec<Value>, Error> = value.try_iter()?.map(|key| value.get_item(&key)).collect();
            values.map(Value::from)
        }
        (ValueKind::Map, "get", [key, default @ ..]) => {
            let found = value.get_item(key)?;
            let other = || default.first().cloned().unwrap_or(Value::from(()));
            Ok(if found.is_undefined() { other() } else { found })
        }
        _ => Err(unknown()),
    }
}

/// None for a method that is not known with these arguments.
fn of_text(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let texts: Vec<&str> = args.iter().map_while(Value::as_str).collect();
    let set = |c: char| texts.first().map_or_else(|| c.is_whitespace(), |set| set.contains(c));
    let number = |i: usize| args.get(i).and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
    // Python takes one text or a tuple of them.
    let any = |test: &dyn Fn(&str) -> bool| match args {
        [one] if one.as_str().is_some() => one.as_str().map(test),
        [many] => Some(many.try_iter().ok()?.any(|one| one.as_str().is_some_and(test))),
        _ => None,
    };
    let value = match name {
        "strip" => Value::from(text.trim_matches(set)),
        "lstrip" => Value::from(text.trim_start_matches(set)),
        "rstrip" => Value::from(text.trim_end_matches(set)),
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "capitalize" => Value::from(capital(text)),
        "title" => Value::from(text.split_inclusive(|c: char| !c.is_alphabetic()).map(capital).collect::<String>()),
        "startswith" => Value::from(any(&|start| text.starts_with(start))?),
        "endswith" => Value::from(any(&|end| text.ends_with(end))?),
        "find" => Value::from(text.find(texts.first()?).map_or(-1, |at| text[..at].chars().count() as i64)),
        "count" => Value::from(text.matches(texts.first()?).count()),
        "replace" => match (texts.as_slice(), number(2)) {
            ([from, to], None) => Value::from(text.replace(from, to)),
            ([from, to], Some(count)) => Value::from(text.replacen(from, to, count)),
            _ => return None,
        },
        "split" => match (texts.as_slice(), number(1)) {
            ([], None) => text.split_whitespace().map(Value::from).collect(),
            ([by], None) => text.split(by).map(Value::from).collect(),
            ([by], Some(count)) => text.splitn(count + 1, by).map(Value::from).collect(),
            _ => return None,
        },
        "join" => match args {
            [list] => {
                let parts = list.try_iter().ok()?.map(|part| part.to_string());
                Value::from(parts.collect::<Vec<_>>().join(text))
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Ok(value))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

/// The filter `tojson` of `transformers`: nothing is escaped for HTML; `indent` as in Python.
pub(crate) fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidOperation, format!("cannot be JSON: {e}"));
    let indent: Option<usize> = options.get("indent")?;
    let mut bytes = Vec::new();
    let written = match indent {
        None => value_into(value, &mut Serializer::with_formatter(&mut bytes, OneLine)),
        Some(width) => {
            let space = " ".repeat(width);
            let pretty = serde_json::ser::PrettyFormatter::with_indent(space.as_bytes());
            value_into(value, &mut Serializer::with_formatter(&mut bytes, pretty))
        }
    };
    written.map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map(Value::from).map_err(|e| failed(&e))
}

fn value_into<F: Formatter>(value: &Value, into: &mut Serializer<&mut Vec<u8>, F>) -> Result<(), serde_json::Error> {
    serde::Serialize::serialize(value, into)
}

/// `{"a": 1, "b": 2}`: a space after each comma and colon.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
