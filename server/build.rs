//! Embeds the site: the folder that `ANNEAL_SITE` names (made by `./x build`), with `manifest.json` from plain to hashed
//! names. Without it the server has no style and no wasm, which is enough to compile and to test everything else.

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=ANNEAL_SITE");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = String::new();
    let mut manifest = "{}".to_owned();
    if let Some(site) = env::var_os("ANNEAL_SITE") {
        let site = Path::new(&site);
        println!("cargo::rerun-if-changed={}", site.display());
        manifest = fs::read_to_string(site.join("manifest.json")).expect("ANNEAL_SITE holds manifest.json");
        let entries = fs::read_dir(site).expect("ANNEAL_SITE is a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            if !path.is_file() || name == "manifest.json" || name.ends_with(".br") || name.ends_with(".gz") {
                continue;
            }
            let packed = |end: &str| {
                let packed = path.with_file_name(format!("{name}.{end}"));
                if packed.is_file() { format!("Some(include_bytes!({packed:?}))") } else { "None".to_owned() }
            };
            let (brotli, gzip) = (packed("br"), packed("gz"));
            writeln!(
                files,
                "File {{ name: {name:?}, raw: include_bytes!({path:?}), brotli: {brotli}, gzip: {gzip} }},"
            )
            .expect("a String takes everything");
        }
    }
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let text =
        format!("pub(crate) static FILES: &[File] = &[\n{files}];\npub(crate) const MANIFEST: &str = {manifest:?};\n");
    fs::write(Path::new(&out).join("site.rs"), text).expect("OUT_DIR can be written");
}
