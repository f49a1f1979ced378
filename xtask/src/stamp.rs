//! What a bundle was made from, as one hash: a finished bundle is found again by it, in any clone.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use sha2::{Digest, Sha256};

/// Hash of the sources of `package` and of every workspace crate it always depends on, of the lock file and the profiles,
/// and of `extra` (flags, compiler). Optional workspace dependencies do not count: the wasm bundles switch none on.
pub(crate) fn of_package(root: &Path, package: &str, extra: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for part in extra {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    for name in ["Cargo.toml", "Cargo.lock"] {
        hash.update(fs::read(root.join(name)).with_context(|| format!("reading {name}"))?);
    }
    for folder in folders(root, package)? {
        add_folder(&mut hash, root, &folder)?;
    }
    Ok(short(&hash.finalize()))
}

/// The first 16 hexadecimal digits of a hash: 64 bits, plenty for a few files and short in an address.
pub(crate) fn short(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    short(&Sha256::digest(bytes))
}

/// Every file below `folder`, sorted; build output and editors' leavings left out.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("reading {}", next.display()))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || name.ends_with('~') || name == "target" {
                continue;
            }
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn add_folder(hash: &mut Sha256, root: &Path, folder: &Path) -> Result<()> {
    for file in files(folder)? {
        let name = file.strip_prefix(root).unwrap_or(&file);
        hash.update(name.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
        hash.update([0]);
    }
    Ok(())
}

/// Folders of `package` and of the workspace crates that it needs without being asked.
fn folders(root: &Path, package: &str) -> Result<Vec<PathBuf>> {
    let metadata =
        MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec().context("cargo metadata")?;
    let members: HashMap<&str, &cargo_metadata::Package> =
        metadata.packages.iter().map(|member| (member.name.as_str(), member)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![package];
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let member = members.get(name).with_context(|| format!("no crate `{name}` in the workspace"))?;
        let needed = member
            .dependencies
            .iter()
            .filter(|edge| edge.path.is_some() && !edge.optional && edge.kind == DependencyKind::Normal);
        open.extend(needed.map(|edge| edge.name.as_str()));
    }
    seen.iter()
        .map(|name| {
            let manifest = members[name].manifest_path.as_std_path();
            manifest.parent().map(Path::to_path_buf).context("a manifest lies in a folder")
        })
        .collect()
}
