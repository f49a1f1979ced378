//! Rules about the text of our sources that no lint knows.

use std::fs;
use std::path::{Path, PathBuf};

/// A file reads top to bottom for someone new; beyond this it does not.
const LONGEST: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Every Rust file below `folder` with its text, by its path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder of sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != "target" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("readable source")));
            }
        }
    }
    found
}

fn all() -> Vec<(String, String)> {
    ["app", "crates", "frontend", "server", "xtask"].iter().flat_map(|folder| sources(folder)).collect()
}

/// Lines of code with what follows `//` left out, so that prose may name what code must not.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = all()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LONGEST)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        all().into_iter().filter(|(_, text)| !text.trim_start().starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "no module documentation: {silent:#?}");
}

#[test]
fn only_the_api_of_app_touches_service() {
    for (name, text) in sources("app/src") {
        if name.starts_with("app/src/api/") {
            continue;
        }
        for (at, line) in code(&text) {
            assert!(
                !line.contains("service::") && !line.contains("use service"),
                "{name}:{at} names `service`: {line}"
            );
        }
    }
}

#[test]
fn one_cfg_ssr_in_app() {
    let found: Vec<String> = sources("app/src")
        .iter()
        .flat_map(|(name, text)| {
            code(text)
                .filter(|(_, line)| line.contains("feature = \"ssr\""))
                .map(|(at, _)| format!("{name}:{at}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(found.len() <= 1, "one cfg(feature = \"ssr\") is enough for the crate: {found:?}");
}

#[test]
fn browser_types_stay_in_their_folder() {
    for (name, text) in sources("app/src") {
        if name.starts_with("app/src/browser") {
            continue;
        }
        for (at, line) in code(&text) {
            assert!(!line.contains("web_sys::"), "{name}:{at} names `web_sys`: only app/src/browser/ may");
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks =
        [format!("#[{}", "ignore"), format!("{}!(", "todo"), format!("{}!(", "unimplemented"), format!("{}!(", "dbg")];
    for (name, text) in all() {
        for (at, line) in code(&text) {
            for mark in &marks {
                assert!(!line.contains(mark.as_str()), "{name}:{at} holds `{mark}`");
            }
        }
    }
}
