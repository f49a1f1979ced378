//! Gets whatever a fresh Debian 12 machine with Rust and Node lacks. Only root (or sudo) installs packages;
//! anyone else is told their names.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::proc;

/// Pinned: the checks must not change under a commit that did not ask for it.
const CARGO_DENY: &str = "0.20.2";
pub(crate) const CHROMIUM: &str = "/usr/bin/chromium";

/// What a build needs besides Rust: a C compiler (SQLite) and the npm packages (wasm-opt).
pub(crate) fn for_build(paths: &Paths) -> Result<()> {
    if !proc::there("cc") {
        packages(&["gcc", "libc6-dev"])?;
    }
    npm(paths)
}

/// What the tests need besides: a browser with a software Vulkan driver, another such driver, and cargo-deny.
pub(crate) fn for_tests(paths: &Paths) -> Result<()> {
    for_build(paths)?;
    let mut missing = Vec::new();
    if !Path::new(CHROMIUM).exists() {
        missing.push("chromium");
    }
    let vulkan = ["/usr/lib/x86_64-linux-gnu/libvulkan.so.1", "/usr/lib/aarch64-linux-gnu/libvulkan.so.1"];
    if !vulkan.iter().any(|path| Path::new(path).exists()) {
        missing.push("libvulkan1");
    }
    // A second one, Mesa's: it has f16, which Chromium's has not.
    let lavapipe = format!("/usr/share/vulkan/icd.d/lvp_icd.{}.json", std::env::consts::ARCH);
    if !Path::new(&lavapipe).exists() {
        missing.push("mesa-vulkan-drivers");
    }
    if !missing.is_empty() {
        packages(&missing)?;
    }
    cargo_deny(paths).map(drop)
}

/// `npm ci` when the installed packages are not those of the lock file.
fn npm(paths: &Paths) -> Result<()> {
    let lock = std::fs::read(paths.root.join("package-lock.json")).context("reading package-lock.json")?;
    let stamp = paths.root.join("node_modules/.anneal-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if !proc::there("npm") {
        bail!("npm is missing: install Node 20 or newer with npm (https://nodejs.org), then run ./x again");
    }
    // Debian's Chromium is used: Playwright must not fetch a browser of its own.
    let mut command = Command::new("npm");
    command.current_dir(&paths.root).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    proc::run(command.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    std::fs::write(&stamp, lock).context("writing the npm stamp")
}

/// Path of cargo-deny in the cache, installed when it is not there.
pub(crate) fn cargo_deny(paths: &Paths) -> Result<std::path::PathBuf> {
    let folder = paths.tools().join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    let mut command = Command::new("cargo");
    // Its own target directory: its features would otherwise push ours out of the cache, and it is deleted once built.
    let target = folder.join("target");
    command.env("CARGO_TARGET_DIR", &target).current_dir(&paths.root);
    command.args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY, "--root"]).arg(&folder);
    proc::run(&mut command)
        .with_context(|| format!("cargo-deny {CARGO_DENY} could not be installed; the licence check needs it"))?;
    let _ = std::fs::remove_dir_all(target);
    Ok(program)
}

/// Installs Debian packages, as root or by sudo; else says which are missing.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    let wanted = names.join(" ");
    let hint = || format!("please install these packages as root, then run ./x again:  apt-get install {wanted}");
    if !proc::there("apt-get") {
        bail!("missing: {wanted}. This machine has no apt-get: install their equals by its own package manager.");
    }
    as_root("apt-get", &["update", "-qq"]).with_context(hint)?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(names);
    as_root("apt-get", &args).with_context(hint)
}

/// Runs a program as root: directly when we are root, else by sudo when that needs no password.
pub(crate) fn as_root(program: &str, args: &[&str]) -> Result<()> {
    let root = proc::read(Command::new("id").arg("-u"))? == "0";
    let mut command = Command::new(if root { program } else { "sudo" });
    if !root {
        if !proc::there("sudo") {
            bail!("`{program} {}` needs root, and there is no sudo", args.join(" "));
        }
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
    }
    proc::run(command.env("DEBIAN_FRONTEND", "noninteractive").args(args))
}
