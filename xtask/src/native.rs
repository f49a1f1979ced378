//! The native build: the one selection of crates that everything native is compiled with, and the binary it leaves.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bundle::{self, PAGE, PREVIEW};
use crate::paths::Paths;
use crate::{compress, proc, setup, site, wasm_target};

/// Every native command compiles this selection, so that features unify in one way and Burn is compiled once.
pub(crate) const SELECTION: &[&str] = &["--workspace", "--exclude", "preview", "--exclude", "frontend"];

/// A finished site and the sizes of its wasm files.
pub(crate) struct Bundles {
    pub(crate) site: PathBuf,
    pub(crate) sizes: Vec<Size>,
}

pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) raw: u64,
    pub(crate) brotli: u64,
}

/// Both wasm bundles and the site around them. `strict`: a warning is an error.
pub(crate) fn bundles(paths: &Paths, strict: bool) -> Result<Bundles> {
    setup::for_build(paths)?;
    let tools = wasm_target::ensure(paths)?;
    let mut folders = Vec::new();
    let mut sizes = Vec::new();
    for recipe in [&PAGE, &PREVIEW] {
        let folder = bundle::build(paths, recipe, &tools, strict)?;
        sizes.push(measure(&folder, recipe.package)?);
        folders.push(folder);
    }
    for size in &sizes {
        println!("{:<10} wasm {:>9} raw {:>9} brotli", size.name, kib(size.raw), kib(size.brotli));
    }
    Ok(Bundles { site: site::build(paths, &folders)?, sizes })
}

/// Everything, in release: leaves `dist/anneal`.
pub(crate) fn build(paths: &Paths) -> Result<PathBuf> {
    let bundles = bundles(paths, false)?;
    let mut command = cargo(paths, "build", Some(&bundles.site));
    command.args(["--release", "--all-targets"]);
    // Of the server: `spirv`, `cuda` (docs/decisions/0009).
    if let Some(features) = std::env::var("ANNEAL_FEATURES").ok().filter(|features| !features.is_empty()) {
        let named = features.split(',').map(|feature| format!("server/{}", feature.trim()));
        command.args(["--features", &named.collect::<Vec<_>>().join(",")]);
    }
    proc::run(&mut command)?;
    install(paths)
}

/// Builds, then becomes the server.
pub(crate) fn serve(paths: &Paths, args: &[String]) -> Result<()> {
    let binary = build(paths)?;
    // `exec` only returns when it failed.
    Err(Command::new(&binary).arg("serve").args(args).exec()).with_context(|| format!("starting {}", binary.display()))
}

/// A cargo command over the native selection. The server embeds the site that `ANNEAL_SITE` names.
pub(crate) fn cargo(paths: &Paths, verb: &str, site: Option<&Path>) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&paths.root).arg(verb).arg("--locked").args(SELECTION);
    command.env("CARGO_TARGET_DIR", &paths.native);
    if let Some(site) = site {
        command.env("ANNEAL_SITE", site);
    }
    command
}

/// Copies the built binary to `dist/anneal`; by rename, since the old one may be running.
pub(crate) fn install(paths: &Paths) -> Result<PathBuf> {
    let dist = paths.dist();
    fs::create_dir_all(paths.root.join("dist"))?;
    let fresh = dist.with_extension("new");
    fs::copy(paths.binary(), &fresh).with_context(|| format!("copying {}", paths.binary().display()))?;
    fs::rename(&fresh, &dist)?;
    println!("dist/anneal {}", kib(compress::size(&dist)?));
    Ok(dist)
}

fn measure(folder: &Path, name: &'static str) -> Result<Size> {
    let wasm = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "wasm"))
        .with_context(|| format!("no wasm in {}", folder.display()))?;
    Ok(Size { name, raw: compress::size(&wasm)?, brotli: compress::size(&compress::with_end(&wasm, "br"))? })
}

pub(crate) fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
