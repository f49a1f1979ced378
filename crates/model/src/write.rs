//! Writes weights as safetensors in f32, tensor by tensor, so that a file never lies whole in memory.

use crate::{
    decoder::Decoder,
    naming::{self, Layout},
    store::{StoreError, turned},
    weights::{Weight, weights},
};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
};

/// Bytes of an f32.
const F32: usize = 4;

/// One tensor of the file and the weights it is made of.
struct Entry<'a> {
    shape: Vec<usize>,
    parts: Vec<(Layout, Weight<'a>)>,
}

/// The bytes of `model.safetensors`.
pub fn to_safetensors(decoder: &Decoder) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    write(decoder, &mut bytes).map_err(|e| StoreError::Read(e.to_string()))?;
    Ok(bytes)
}

/// Writes `model.safetensors`: the header's length, the header as JSON padded to 8 bytes, the tensors by name.
pub(crate) fn write(decoder: &Decoder, out: &mut impl Write) -> io::Result<()> {
    let entries = entries(decoder);
    let mut end = 0;
    let infos = entries.iter().map(|(name, entry)| {
        let start = end;
        end += entry.shape.iter().product::<usize>() * F32;
        let info = TensorInfo { dtype: Dtype::F32, shape: entry.shape.clone(), data_offsets: (start, end) };
        (name.clone(), info)
    });
    // `transformers` asks for this key.
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let header = Metadata::new(Some(about), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for entry in entries.values() {
        let values = values(entry)?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn entries(decoder: &Decoder) -> BTreeMap<String, Entry<'_>> {
    let mut entries = BTreeMap::<String, Entry<'_>>::new();
    for (place, weight) in weights(decoder) {
        let (name, layout) = naming::stored(decoder.config().architecture, place);
        let mut shape = weight.shape();
        let last = shape.len() - 1;
        match layout {
            Layout::Same => {}
            Layout::Turned => shape.reverse(),
            Layout::Third(_) => shape[last] *= 3,
        }
        entries.entry(name).or_insert(Entry { shape, parts: Vec::new() }).parts.push((layout, weight));
    }
    entries
}

fn values(entry: &Entry<'_>) -> io::Result<Vec<f32>> {
    let read = |weight: &Weight<'_>| {
        let data = match weight {
            Weight::Vector(p) => p.val().into_data(),
            Weight::Matrix(p) => p.val().into_data(),
        };
        data.try_to_vec::<f32>().map_err(|e| io::Error::other(format!("{e:?}")))
    };
    let mut parts = Vec::with_capacity(entry.parts.len());
    for (layout, weight) in &entry.parts {
        let values = read(weight)?;
        parts.push(if *layout == Layout::Turned { turned(&values, weight.shape()[1]) } else { values });
    }
    if parts.len() == 1 {
        return Ok(parts.swap_remove(0));
    }
    // Thirds: side by side in each row.
    let columns = entry.shape[entry.shape.len() - 1] / parts.len();
    let rows = parts[0].len() / columns;
    Ok((0..rows).flat_map(|r| parts.iter().flat_map(move |p| &p[r * columns..(r + 1) * columns]).copied()).collect())
}
