//! The head of a GGUF file: key–value metadata and the list of tensors (`docs/gguf.md` of ggml, versions 2 and 3,
//! little-endian).

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

/// A metadata value. Numbers of all widths are one kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Whole(i128),
    Real(f64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
}

/// A tensor's place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    /// Rows first, as everywhere but in the file.
    pub(crate) shape: Vec<usize>,
    /// `enum ggml_type`
    pub(crate) kind: u32,
    /// From the beginning of the data.
    pub(crate) offset: u64,
}

#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Info>,
    /// Where the data begins.
    pub(crate) data: u64,
}

/// Beyond these a file is damaged, not large.
const MOST_TENSORS: u64 = 1 << 20;
const MOST_KEYS: u64 = 1 << 20;
const LONGEST_TEXT: u64 = 1 << 28;
const DEEPEST: usize = 4;

/// Where data begins is a multiple of this unless the file says otherwise.
const ALIGNMENT: u64 = 32;

pub(crate) fn read(from: &mut impl Read) -> io::Result<Header> {
    let mut from = Counted { from, at: 0 };
    if from.bytes::<4>()? != *b"GGUF" {
        return Err(bad("it does not begin with GGUF"));
    }
    let version = u32::from_le_bytes(from.bytes()?);
    if !(2..=3).contains(&version) {
        return Err(bad(format!("its version is {version}; known: 2, 3")));
    }
    let (tensors, keys) = (from.whole()?, from.whole()?);
    if tensors > MOST_TENSORS || keys > MOST_KEYS {
        return Err(bad("its header is damaged"));
    }
    let mut header = Header { metadata: BTreeMap::new(), tensors: BTreeMap::new(), data: 0 };
    for _ in 0..keys {
        let key = from.text()?;
        let kind = u32::from_le_bytes(from.bytes()?);
        let value = from.value(kind, 0)?;
        header.metadata.insert(key, value);
    }
    for _ in 0..tensors {
        let name = from.text()?;
        let dimensions = u32::from_le_bytes(from.bytes()?);
        if dimensions > 4 {
            return Err(bad(format!("{name} has {dimensions} dimensions")));
        }
        let mut shape = (0..dimensions)
            .map(|_| from.whole().map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
            .collect::<io::Result<Vec<_>>>()?;
        shape.reverse();
        let (kind, offset) = (u32::from_le_bytes(from.bytes()?), from.whole()?);
        if header.tensors.insert(name.clone(), Info { shape, kind, offset }).is_some() {
            return Err(bad(format!("{name} is there twice")));
        }
    }
    let alignment = match header.metadata.get("general.alignment") {
        Some(Value::Whole(n)) if (1..=1 << 20).contains(n) => *n as u64,
        Some(_) => return Err(bad("its general.alignment is damaged")),
        None => ALIGNMENT,
    };
    header.data = from.at.next_multiple_of(alignment);
    Ok(header)
}

pub(crate) fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

struct Counted<'a, R> {
    from: &'a mut R,
    at: u64,
}

impl<R: Read> Counted<'_, R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn whole(&mut self) -> io::Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.whole()?;
        if length > LONGEST_TEXT {
            return Err(bad("its header is damaged"));
        }
        let mut bytes = Vec::new();
        // Grows with what is really there, whatever the file claims.
        self.from.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length;
        String::from_utf8(bytes).map_err(|_| bad("a text in its header is not UTF-8"))
    }

    fn value(&mut self, kind: u32, depth: usize) -> io::Result<Value> {
        Ok(match kind {
            0 => Value::Whole(u8::from_le_bytes(self.bytes()?).into()),
            1 => Value::Whole(i8::from_le_bytes(self.bytes()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.bytes()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Whole(u32::from_le_bytes(self.bytes()?).into()),
            5 => Value::Whole(i32::from_le_bytes(self.bytes()?).into()),
            6 => Value::Real(shortest(f32::from_le_bytes(self.bytes()?))),
            7 => Value::Flag(self.bytes::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 if depth < DEEPEST => {
                let (kind, count) = (u32::from_le_bytes(self.bytes()?), self.whole()?);
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(kind, depth + 1)?);
                }
                Value::List(list)
            }
            10 => Value::Whole(self.whole()?.into()),
            11 => Value::Whole(i64::from_le_bytes(self.bytes()?).into()),
            12 => Value::Real(f64::from_le_bytes(self.bytes()?)),
            _ => return Err(bad(format!("a value in its header has the unknown type {kind}"))),
        })
    }
}

/// The decimal number that was meant: 1e-5, not 9.99999974737875e-6.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}
