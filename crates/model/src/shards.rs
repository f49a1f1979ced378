//! The safetensors files of a folder: one `model.safetensors`, or several that an index names. Headers are read at once,
//! tensors when they are asked for, so that a checkpoint never lies twice in memory.

use crate::{
    naming,
    store::{StoreError, Tensors, floats},
};
use safetensors::{Dtype, tensor::Metadata};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The largest header that is believed; safetensors' own limit.
const LARGEST_HEADER: u64 = 100_000_000;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

/// All tensors of the folder.
pub(crate) struct Shards {
    files: Vec<(PathBuf, File)>,
    entries: BTreeMap<String, Entry>,
}

impl Shards {
    /// Opens the weights in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let mut shards = Self { files: Vec::new(), entries: BTreeMap::new() };
        let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
        if single.is_file() {
            shards.add(single)?;
        } else if index.is_file() {
            let bad = |e: &dyn std::fmt::Display| StoreError::Read(format!("model.safetensors.index.json: {e}"));
            let text = std::fs::read_to_string(&index).map_err(|e| bad(&e))?;
            let map = serde_json::from_str::<Index>(&text).map_err(|e| bad(&e))?.weight_map;
            let names: std::collections::BTreeSet<&String> = map.values().collect();
            for name in names {
                if Path::new(name).file_name() != Some(name.as_ref()) {
                    return Err(bad(&format!("{name:?} is not the name of a file in the folder")));
                }
                shards.add(folder.join(name))?;
            }
            if let Some((tensor, name)) = map.iter().find(|(tensor, _)| !shards.entries.contains_key(*tensor)) {
                return Err(bad(&format!("{name} does not hold {tensor}")));
            }
        } else {
            let pickled = folder.join("pytorch_model.bin").is_file();
            let hint =
                if pickled { "; pytorch_model.bin is not read: save the model with safe_serialization" } else { "" };
            let neither = "there is neither model.safetensors nor model.safetensors.index.json";
            return Err(StoreError::Read(format!("{neither}{hint}")));
        }
        Ok(shards)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let bad = |e: &dyn std::fmt::Display| {
            StoreError::Read(format!("{}: {e}", path.file_name().unwrap_or_default().to_string_lossy()))
        };
        let mut file = File::open(&path).map_err(|e| bad(&e))?;
        let length = file.metadata().map_err(|e| bad(&e))?.len();
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| bad(&"it is too short"))?;
        let size = u64::from_le_bytes(size);
        if size > LARGEST_HEADER || size + 8 > length {
            return Err(bad(&"its header is damaged"));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(|e| bad(&e))?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|e| bad(&format!("its header is damaged: {e}")))?;
        let (begin, expected) = (8 + size, 8 + size + header.data_len() as u64);
        if length != expected {
            return Err(bad(&format!("it has {length} bytes; its header speaks of {expected}")));
        }
        let number = self.files.len();
        for (name, info) in header.tensors() {
            let (start, end) = info.data_offsets;
            let entry = Entry {
                file: number,
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: begin + start as u64,
                bytes: end - start,
            };
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(bad(&format!("{name} is in another file already")));
            }
        }
        self.files.push((path, file));
        Ok(())
    }

    /// How many numbers all weights have; a head is not counted when it is `tied` to the embedding.
    pub(crate) fn parameters(&self, tied: bool) -> u64 {
        let counts = |name: &str| !(naming::is_buffer(name) || tied && name == "lm_head.weight");
        let weights = self.entries.iter().filter(|(name, _)| counts(name));
        weights.map(|(_, entry)| entry.shape.iter().product::<usize>() as u64).sum()
    }

    /// The types of the tensors, each once.
    pub(crate) fn dtypes(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<String> =
            self.entries.values().map(|entry| format!("{:?}", entry.dtype)).collect();
        names.into_iter().collect()
    }
}

impl Tensors for Shards {
    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|entry| entry.shape.clone())
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, StoreError> {
        let entry = self.entries.get(name).ok_or_else(|| StoreError::Read(format!("{name} is not there")))?;
        let (path, file) = &mut self.files[entry.file];
        let mut bytes = vec![0; entry.bytes];
        let read = file.seek(SeekFrom::Start(entry.start)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| StoreError::Read(format!("{}: {e}", path.display())))?;
        floats(name, entry.dtype, &bytes)
    }
}
