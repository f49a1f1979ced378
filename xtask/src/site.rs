//! The folder that the server embeds: bundles, style sheet, public files, each named by its content, with `.br` and `.gz`
//! beside it and a `manifest.json` from plain name to hashed name. The folder itself is named by its content too, so
//! that it is never changed under a build that reads it, and the server is compiled again only when something changed.
//!
//! Names in the manifest: `frontend.js`, `frontend.wasm`, `preview.js`, `preview.wasm`, `anneal.css`, and each file of
//! `frontend/public` by its own, among them `preview-worker.js`, the script that a page starts as the preview's worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bundle::put;
use crate::compress::{self, with_end};
use crate::keep;
use crate::paths::Paths;
use crate::stamp;

/// Puts the site together and returns its folder.
pub(crate) fn build(paths: &Paths, bundles: &[PathBuf]) -> Result<PathBuf> {
    let sites = paths.cache.join("site");
    let work = sites.join(format!(".{}", std::process::id()));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;

    let mut names = BTreeMap::new();
    for bundle in bundles {
        for file in stamp::files(bundle)? {
            let name = file_name(&file)?;
            fs::copy(&file, work.join(&name))?;
            if !is_packed(&file) && !name.contains("-snippet-") {
                names.insert(plain(&name), name);
            }
        }
    }
    public(&paths.root.join("frontend/public"), &work, &mut names)?;
    let css = style(&paths.root.join("style"))?;
    let css = refer(css, &names);
    names.insert("anneal.css".to_owned(), put(&work, "anneal", "css", css.as_bytes())?);
    pack(paths, &work)?;

    let manifest = serde_json::to_vec_pretty(&names)?;
    fs::write(work.join("manifest.json"), &manifest)?;
    let done = sites.join(stamp::of_bytes(&manifest));
    if done.is_dir() || fs::rename(&work, &done).is_err() {
        // The same names are the same bytes.
        let _ = fs::remove_dir_all(&work);
    }
    keep::newest(&done, "");
    Ok(done)
}

/// Files of `frontend/public`. Scripts come last: they may name the others, as `./name`.
fn public(folder: &Path, work: &Path, names: &mut BTreeMap<String, String>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let (scripts, plain): (Vec<_>, Vec<_>) =
        stamp::files(folder)?.into_iter().partition(|file| file.extension().is_some_and(|end| end == "js"));
    for file in plain.iter().chain(&scripts) {
        let name = file_name(file)?;
        let (stem, end) = name.rsplit_once('.').with_context(|| format!("frontend/public/{name} has no ending"))?;
        let bytes = fs::read(file)?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) if end == "js" => refer(text, names).into_bytes(),
            Ok(text) => text.into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        let kept = put(work, stem, end, &bytes)?;
        names.insert(name, kept);
    }
    Ok(())
}

/// Every sheet of `style/` in one, `tokens.css` and `base.css` first: the others use what they define.
fn style(folder: &Path) -> Result<String> {
    let mut sheets = if folder.is_dir() { stamp::files(folder)? } else { Vec::new() };
    sheets.retain(|file| file.extension().is_some_and(|end| end == "css"));
    sheets.sort_by_key(|file| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let rank = ["tokens.css", "base.css"].iter().position(|first| *first == name).unwrap_or(2);
        (rank, file.clone())
    });
    let mut css = String::new();
    for sheet in sheets {
        css.push_str(&fs::read_to_string(&sheet).with_context(|| format!("reading {}", sheet.display()))?);
        css.push('\n');
    }
    Ok(css)
}

/// Replaces `./name` by `./hashed-name` for every name known so far.
fn refer(mut text: String, names: &BTreeMap<String, String>) -> String {
    for (plain, hashed) in names {
        for quote in ["\"", "'", ")"] {
            text = text.replace(&format!("./{plain}{quote}"), &format!("./{hashed}{quote}"));
        }
    }
    text
}

/// Compresses what has no compressed form yet; one made before for the same content is copied from the cache.
fn pack(paths: &Paths, work: &Path) -> Result<()> {
    let packed = paths.cache.join("packed");
    fs::create_dir_all(&packed)?;
    for file in stamp::files(work)? {
        if is_packed(&file) || with_end(&file, "br").exists() {
            continue;
        }
        let name = file_name(&file)?;
        if !with_end(&packed.join(&name), "gz").exists() {
            fs::copy(&file, packed.join(&name))?;
            compress::beside(&packed.join(&name))?;
        }
        for end in ["br", "gz"] {
            fs::copy(with_end(&packed.join(&name), end), with_end(&file, end))?;
        }
    }
    Ok(())
}

fn is_packed(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "br" || end == "gz")
}

/// `preview-0123456789abcdef.js` → `preview.js`
fn plain(name: &str) -> String {
    match (name.rsplit_once('-'), name.rsplit_once('.')) {
        (Some((stem, _)), Some((_, end))) => format!("{stem}.{end}"),
        _ => name.to_owned(),
    }
}

fn file_name(path: &Path) -> Result<String> {
    Ok(path.file_name().context("a file has a name")?.to_string_lossy().into_owned())
}
