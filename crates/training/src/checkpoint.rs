//! Checkpoints: trained weights, optimizer and place in the run, each a folder that appears whole or not at all (write, fsync,
//! rename). Loading verifies hashes and passes over a torn one for the one before it.

use crate::{
    optimizer::{Optimizer, Saved},
    patience::Patience,
    precision::LossScale,
    run::TrainError,
    start::{Start, trained_weights},
};
use model::Decoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What resumes a run, besides weights and moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Optimizer steps done.
    pub(crate) step: u64,
    pub(crate) tokens: u64,
    /// Seconds of training over all attempts.
    pub(crate) seconds: f64,
    pub(crate) best_val_loss: Option<f64>,
    pub(crate) best_step: Option<u64>,
    #[serde(default)]
    pub(crate) patience: Patience,
    /// Where training in f16 is with its loss scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scale: Option<LossScale>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    progress: Progress,
    recipe_hash: String,
    updates: u64,
    model_sha256: String,
    optimizer_sha256: String,
}

/// A loaded checkpoint.
pub(crate) struct Loaded {
    pub(crate) progress: Progress,
    pub(crate) decoder: Decoder,
    pub(crate) optimizer: Optimizer,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    write_synced(&part, bytes)?;
    fs::rename(&part, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The checkpoints of a work directory.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    recipe_hash: String,
    keep: usize,
}

impl Checkpoints {
    pub(crate) fn open(work: &Path, recipe_hash: String, keep: usize) -> io::Result<Self> {
        let folder = work.join("checkpoints");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, recipe_hash, keep: keep.max(1) })
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:09}"))
    }

    /// Steps of the checkpoints, oldest first.
    fn steps(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut steps: Vec<u64> =
            entries.filter_map(|e| e.file_name().to_str()?.strip_prefix("step-")?.parse().ok()).collect();
        steps.sort_unstable();
        steps
    }

    /// Saves; returns the bytes written. When it fails, what was there stays as it was.
    pub(crate) fn save(
        &self,
        progress: &Progress,
        decoder: &Decoder,
        optimizer: &Optimizer,
    ) -> Result<u64, TrainError> {
        let final_path = self.path(progress.step);
        let part = self.folder.join(format!("part-{}", progress.step));
        let written = self.write(&part, progress, decoder, optimizer).and_then(|bytes| {
            if final_path.exists() {
                fs::remove_dir_all(&final_path).map_err(TrainError::Disk)?;
            }
            fs::rename(&part, &final_path).map_err(TrainError::Disk)?;
            sync_folder(&self.folder).map_err(TrainError::Disk)?;
            Ok(bytes)
        });
        if written.is_err() {
            // Give the space back; the error is already on its way.
            let _ = fs::remove_dir_all(&part);
        } else {
            self.prune(progress);
        }
        written
    }

    fn write(
        &self,
        part: &Path,
        progress: &Progress,
        decoder: &Decoder,
        optimizer: &Optimizer,
    ) -> Result<u64, TrainError> {
        fs::create_dir_all(part).map_err(TrainError::Disk)?;
        let weights = trained_weights(decoder)?;
        let (updates, kept) = optimizer.save();
        let kept = kept.to_bytes();
        let manifest = Manifest {
            progress: progress.clone(),
            recipe_hash: self.recipe_hash.clone(),
            updates,
            model_sha256: sha256(&weights),
            optimizer_sha256: sha256(&kept),
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|e| TrainError::Disk(e.into()))?;
        for (name, bytes) in [("model.safetensors", &weights), ("optimizer.bin", &kept), ("manifest.json", &manifest)] {
            write_synced(&part.join(name), bytes).map_err(TrainError::Disk)?;
        }
        sync_folder(part).map_err(TrainError::Disk)?;
        Ok((weights.len() + kept.len() + manifest.len()) as u64)
    }

    /// Removes all but the newest `keep` and the best. Those of later steps were passed over when this training began:
    /// they are damaged, and must not take the place of a sound one.
    fn prune(&self, progress: &Progress) {
        let steps = self.steps();
        let (done, later) = steps.split_at(steps.partition_point(|step| *step <= progress.step));
        let old = &done[..done.len().saturating_sub(self.keep)];
        for &step in old.iter().filter(|s| Some(**s) != progress.best_step).chain(later) {
            // A folder that cannot be removed costs space, nothing else.
            let _ = fs::remove_dir_all(self.path(step));
        }
    }

    /// The newest sound checkpoint of this recipe, with the state of `fresh`; `skipped` hears of each that is not.
    pub(crate) fn load(
        &self,
        start: &Start,
        fresh: &Optimizer,
        mut skipped: impl FnMut(u64, String),
    ) -> Option<Loaded> {
        for step in self.steps().into_iter().rev() {
            match self.read(step, start, fresh) {
                Ok(loaded) => return Some(loaded),
                Err(reason) => skipped(step, reason),
            }
        }
        None
    }

    /// One checkpoint, its hashes verified; the error says what is wrong with it.
    pub(crate) fn read(&self, step: u64, start: &Start, fresh: &Optimizer) -> Result<Loaded, String> {
        let read = |name: &str| fs::read(self.path(step).join(name)).map_err(|e| format!("{name}: {e}"));
        let manifest: Manifest =
            serde_json::from_slice(&read("manifest.json")?).map_err(|e| format!("manifest.json: {e}"))?;
        if manifest.recipe_hash != self.recipe_hash {
            return Err("it belongs to another recipe".to_owned());
        }
        let (weights, kept) = (read("model.safetensors")?, read("optimizer.bin")?);
        for (name, bytes, hash) in [
            ("model.safetensors", &weights, &manifest.model_sha256),
            ("optimizer.bin", &kept, &manifest.optimizer_sha256),
        ] {
            if sha256(bytes) != *hash {
                return Err(format!("{name} is damaged: its hash differs"));
            }
        }
        let decoder = start.restored(&weights)?;
        let kept = Saved::from_bytes(&kept).ok_or("optimizer.bin has a wrong length")?;
        let optimizer = fresh.resumed(manifest.updates, kept, &start.device().clone().inner());
        Ok(Loaded { progress: manifest.progress, decoder, optimizer })
    }
}
