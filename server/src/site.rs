//! The embedded site: files named by their content, with their compressed forms.

use std::{collections::BTreeMap, sync::LazyLock};

/// One file of the site.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) raw: &'static [u8],
    pub(crate) brotli: Option<&'static [u8]>,
    pub(crate) gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/site.rs"));

static NAMES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| serde_json::from_str(MANIFEST).unwrap_or_default());

/// A file by its hashed name. Names are sorted by the build.
pub(crate) fn file(name: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.name.cmp(name)).ok().map(|at| &FILES[at])
}

/// Where the page finds its files.
pub(crate) fn assets() -> app::shell::Assets {
    let address = |plain: &str| NAMES.get(plain).map(|name| format!("/assets/{name}")).unwrap_or_default();
    app::shell::Assets {
        script: address("frontend.js"),
        wasm: address("frontend.wasm"),
        style: address("anneal.css"),
        preview_script: address("preview-worker.js"),
        preview_wasm: address("preview.wasm"),
    }
}
