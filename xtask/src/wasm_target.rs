//! A compiler and a linker for `wasm32-unknown-unknown`: rustup's when it can be had, else Debian's own Rust.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::{proc, setup};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The compiler and linker of the wasm builds.
pub(crate) struct Toolchain {
    /// `None`: the toolchain's own `rustc`, which has the target.
    pub(crate) rustc: Option<PathBuf>,
    pub(crate) linker: PathBuf,
    /// In the stamp of a bundle: another compiler makes another bundle.
    pub(crate) version: String,
}

impl Toolchain {
    /// Sets what cargo needs to know.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
    }
}

/// Finds the target, or installs it: by rustup first, else by building Debian's standard library for it.
pub(crate) fn ensure(paths: &Paths) -> Result<Toolchain> {
    let rustup = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let debian = Path::new(DEBIAN_RUSTC);
    if works(&rustup) {
        return found(None, &rustup);
    }
    if works(debian) {
        return found(Some(debian.to_path_buf()), debian);
    }
    eprintln!("the target {TARGET} is missing; asking rustup for it");
    let added = proc::run(Command::new("rustup").current_dir(&paths.root).args(["target", "add", TARGET]));
    if added.is_ok() && works(&rustup) {
        return found(None, &rustup);
    }
    eprintln!("rustup could not install it; building it from Debian's packages instead");
    let script = paths.root.join("xtask/scripts/wasm-std-from-debian.sh");
    setup::as_root(&script.to_string_lossy(), &[]).with_context(|| {
        format!("no {TARGET}: let rustup reach static.rust-lang.org, or run {} as root", script.display())
    })?;
    if !works(debian) {
        bail!("{DEBIAN_RUSTC} still cannot compile for {TARGET}");
    }
    found(Some(debian.to_path_buf()), debian)
}

/// Whether `rustc` compiles an empty library for the target: it fails without a standard library, and with one of another version.
fn works(rustc: &Path) -> bool {
    let probe = env::temp_dir().join(format!("anneal-wasm-probe-{}", std::process::id()));
    let done = Command::new(rustc)
        .args(["--target", TARGET, "--crate-type", "lib", "--crate-name", "probe", "--emit", "metadata", "--out-dir"])
        .arg(&probe)
        .arg("-")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    // A probe that was never written leaves nothing to remove.
    let _ = std::fs::remove_dir_all(&probe);
    done
}

fn found(rustc: Option<PathBuf>, program: &Path) -> Result<Toolchain> {
    let version = proc::read(Command::new(program).arg("--version"))?;
    Ok(Toolchain { rustc, linker: linker(program)?, version })
}

/// `rust-lld` from the toolchain itself; Debian packages its equal as `wasm-ld-19`.
fn linker(rustc: &Path) -> Result<PathBuf> {
    let sysroot = proc::read(Command::new(rustc).args(["--print", "sysroot"]))?;
    let own = files_named(&Path::new(&sysroot).join("lib/rustlib"), "bin/rust-lld");
    if let Some(path) = own {
        return Ok(path);
    }
    for name in ["wasm-ld-19", "wasm-ld", "rust-lld"] {
        if proc::there(name) {
            return Ok(PathBuf::from(name));
        }
    }
    setup::packages(&["lld-19"])?;
    Ok(PathBuf::from("wasm-ld-19"))
}

fn files_named(rustlib: &Path, tail: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(rustlib).ok()?;
    entries.flatten().map(|entry| entry.path().join(tail)).find(|path| path.is_file())
}
