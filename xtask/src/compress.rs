//! Brotli and gzip beside every file of the site, so that the server only ever sends bytes that are already there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Writes `file.br` and `file.gz`. Smallest settings: it happens once a content, at build time.
pub(crate) fn beside(file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let params =
        brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, size_hint: bytes.len(), ..Default::default() };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut bytes.as_slice(), &mut packed, &params).context("brotli")?;
    fs::write(with_end(file, "br"), packed)?;

    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes)?;
    fs::write(with_end(file, "gz"), gzip.finish()?)?;
    Ok(())
}

/// `name.js` → `name.js.br`
pub(crate) fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}

pub(crate) fn size(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).with_context(|| format!("no {}", file.display()))?.len())
}
