//! One wasm bundle: cargo, wasm-bindgen, wasm-opt, names by content, precompressed. A finished bundle is kept in the cache
//! under the hash of its sources, so that a fresh clone does not link it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::paths::Paths;
use crate::wasm_target::{self, Toolchain};
use crate::{compress, keep, proc, stamp};

/// A crate that becomes a wasm module, and how.
pub(crate) struct Recipe {
    pub(crate) package: &'static str,
    profile: &'static str,
    rustflags: &'static str,
    wasm_opt: &'static str,
}

/// The page: small first. The cfg is how getrandom 0.3 is told that a browser will load it.
pub(crate) const PAGE: Recipe = Recipe {
    package: "frontend",
    profile: "wasm-page",
    rustflags: r#"--cfg=getrandom_backend="wasm_js""#,
    wasm_opt: "-Os",
};

/// The model in the browser: fast first; every browser that has WebGPU has SIMD.
pub(crate) const PREVIEW: Recipe = Recipe {
    package: "preview",
    profile: "wasm-preview",
    rustflags: r#"-Ctarget-feature=+simd128 --cfg=getrandom_backend="wasm_js""#,
    wasm_opt: "-O2",
};

/// What LLVM may emit for this target. Named one by one: `--all-features` writes modules that browsers refuse.
const WASM_FEATURES: &[&str] = &[
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Changed when this file makes another bundle from the same sources.
const PIPELINE: &str = "1";

/// Builds the bundle, or finds it. The folder holds `NAME-HASH.wasm`, `NAME-HASH.js`, snippets by their content's hash, and
/// `.br` and `.gz` beside each.
///
/// `strict`: a warning in our own crates is an error. That is the lint of code behind `cfg(target_family = "wasm")`; a
/// check of its own would compile the types of Burn once more.
pub(crate) fn build(paths: &Paths, recipe: &Recipe, tools: &Toolchain, strict: bool) -> Result<PathBuf> {
    let how = [PIPELINE, recipe.profile, recipe.rustflags, recipe.wasm_opt, &tools.version];
    let key = stamp::of_package(&paths.root, recipe.package, &how)?;
    let done = paths.cache.join("bundles").join(format!("{}-{key}", recipe.package));
    let clean = done.with_extension("clean");
    let prefix = format!("{}-", recipe.package);
    if done.is_dir() && (!strict || clean.exists()) {
        keep::newest(&done, &prefix);
        return Ok(done);
    }
    let module = compile(paths, recipe, tools, strict)?;
    if strict {
        fs::create_dir_all(paths.cache.join("bundles"))?;
        fs::write(&clean, "compiled without a warning\n")?;
    }
    if done.is_dir() {
        return Ok(done);
    }
    let work = paths.cache.join("bundles").join(format!(".{}-{key}-{}", recipe.package, std::process::id()));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    bind(paths, recipe, &module, &work)?;
    for file in stamp::files(&work)? {
        compress::beside(&file)?;
    }
    // Another `./x` may have finished the same bundle meanwhile: the same bytes, so either serves.
    if fs::rename(&work, &done).is_err() {
        let _ = fs::remove_dir_all(&work);
    }
    keep::newest(&done, &prefix);
    Ok(done)
}

fn compile(paths: &Paths, recipe: &Recipe, tools: &Toolchain, strict: bool) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(&paths.root).args(["build", "--locked", "--lib", "--package", recipe.package]);
    command.args(["--target", wasm_target::TARGET, "--profile", recipe.profile]);
    command
        .env("CARGO_TARGET_DIR", &paths.wasm)
        .env("RUSTFLAGS", recipe.rustflags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if strict {
        command.env("RUSTC_WORKSPACE_WRAPPER", paths.root.join("xtask/scripts/deny-warnings.sh"));
    }
    tools.apply(&mut command);
    proc::run(&mut command)?;
    let folder = paths.wasm.join(wasm_target::TARGET).join(recipe.profile);
    Ok(folder.join(format!("{}.wasm", recipe.package)))
}

/// wasm-bindgen, wasm-opt, then names by content: first what is imported, then what imports it.
fn bind(paths: &Paths, recipe: &Recipe, module: &Path, out: &Path) -> Result<()> {
    let name = recipe.package;
    let raw = out.join("raw");
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&raw)
        .with_context(|| format!("wasm-bindgen on {name}"))?;

    let wasm = raw.join(format!("{name}_bg.wasm"));
    let small = raw.join("small.wasm");
    let mut opt = Command::new(paths.npm_bin("wasm-opt"));
    proc::run(opt.arg(recipe.wasm_opt).args(WASM_FEATURES).arg(&wasm).arg("-o").arg(&small))?;

    let wasm_name = put(out, name, "wasm", &fs::read(&small)?)?;
    let mut js = fs::read_to_string(raw.join(format!("{name}.js")))?.replace(&format!("{name}_bg.wasm"), &wasm_name);
    let snippets = raw.join("snippets");
    if snippets.is_dir() {
        for file in stamp::files(&snippets)? {
            let kept = put(out, &format!("{name}-snippet"), "js", &fs::read(&file)?)?;
            let old = file.strip_prefix(&raw)?.to_string_lossy().into_owned();
            js = js.replace(&format!("./{old}"), &format!("./{kept}"));
        }
    }
    put(out, name, "js", js.as_bytes())?;
    fs::remove_dir_all(raw)?;
    Ok(())
}

/// Writes `NAME-HASH.END` and returns that name.
pub(crate) fn put(folder: &Path, name: &str, end: &str, bytes: &[u8]) -> Result<String> {
    let kept = format!("{name}-{}.{end}", stamp::of_bytes(bytes));
    fs::write(folder.join(&kept), bytes).with_context(|| format!("writing {kept}"))?;
    Ok(kept)
}
