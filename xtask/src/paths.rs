//! Where things lie: the clone, and the cache that fresh clones share.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) struct Paths {
    /// The clone.
    pub(crate) root: PathBuf,
    /// Kept between clones: compiled dependencies, finished bundles, tools.
    pub(crate) cache: PathBuf,
    /// Target directory of every native build.
    pub(crate) native: PathBuf,
    /// Target directory of the wasm builds: another compiler may build them, and they must not wait for a native build's lock.
    pub(crate) wasm: PathBuf,
}

impl Paths {
    pub(crate) fn find() -> Result<Paths> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?.to_path_buf();
        // `./x` sets all of these; the fallbacks serve `cargo run -p xtask`.
        let native = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let cache = env::var_os("ANNEAL_CACHE").map_or_else(|| native.clone(), PathBuf::from);
        Ok(Paths { wasm: cache.join("wasm"), root, cache, native })
    }

    /// Tools installed by us: cargo-deny.
    pub(crate) fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// A program that npm installed.
    pub(crate) fn npm_bin(&self, name: &str) -> PathBuf {
        self.root.join("node_modules/.bin").join(name)
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.native.join("release/anneal")
    }

    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist/anneal")
    }
}
