//! Who may know whom: holds the crate edges of docs/ARCHITECTURE.md against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// For each crate the workspace crates it may name. A new edge is an architecture change: it belongs in the map first.
const EDGES: &[(&str, &[&str])] = &[
    ("app", &["domain", "service", "tasks", "text"]),
    ("client", &["domain"]),
    ("domain", &[]),
    ("frontend", &["app"]),
    ("model", &["domain"]),
    ("preview", &["domain", "model", "text"]),
    ("server", &["app", "client", "domain", "model", "service", "storage", "tasks", "text", "training", "worker"]),
    ("service", &["domain", "storage", "tasks", "text"]),
    ("storage", &["domain"]),
    ("tasks", &["domain"]),
    ("text", &["domain"]),
    // A family's own verifier judges flexible answers.
    ("training", &["domain", "model", "tasks", "text"]),
    ("worker", &["client", "domain", "service"]),
    ("xtask", &[]),
];

/// A foreign crate, and the only ones of ours that may name it.
const ONLY: &[(&str, &[&str])] = &[
    ("sqlx", &["storage"]),
    ("object_store", &["storage"]),
    ("burn", &["model", "preview", "training"]),
    ("burn-cubecl", &["model"]),
    ("cubek", &["model"]),
    ("burn-store", &["model", "training"]),
    ("axum", &["server"]),
    ("tower-http", &["server"]),
    ("reqwest", &["client"]),
    ("tokenizers", &["text"]),
    ("tokio", &["server", "service", "storage", "worker"]),
    ("leptos", &["app", "frontend", "server"]),
    ("leptos_axum", &["app", "server"]),
    ("web-sys", &["app", "preview"]),
    ("anyhow", &["server", "xtask"]),
];

type Names = BTreeMap<String, BTreeSet<String>>;

/// What each member names outside of its tests: workspace crates and foreign ones.
fn edges() -> (Names, Names) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(root).no_deps().exec().expect("cargo metadata");
    let (mut ours, mut foreign) = (Names::new(), Names::new());
    for member in &metadata.packages {
        let name = member.name.to_string();
        let (mine, others) = (ours.entry(name.clone()).or_default(), foreign.entry(name).or_default());
        for edge in member.dependencies.iter().filter(|edge| edge.kind != DependencyKind::Development) {
            let into = if edge.path.is_some() { &mut *mine } else { &mut *others };
            into.insert(edge.name.clone());
        }
    }
    (ours, foreign)
}

#[test]
fn crates_know_only_whom_the_map_allows() {
    let (ours, _) = edges();
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<&str> = ours.keys().map(String::as_str).collect();
    assert_eq!(members, listed, "the map lists every crate and no other");
    for (name, allowed) in EDGES {
        for target in &ours[*name] {
            assert!(allowed.contains(&target.as_str()), "`{name}` must not depend on `{target}`");
        }
    }
}

#[test]
fn heavy_dependencies_have_one_home() {
    let (_, foreign) = edges();
    for (heavy, homes) in ONLY {
        for (name, named) in &foreign {
            assert!(!named.contains(*heavy) || homes.contains(&name.as_str()), "`{name}` must not depend on `{heavy}`");
        }
    }
}

#[test]
fn domain_names_only_serde_and_thiserror() {
    let (_, foreign) = edges();
    let expected: BTreeSet<String> = ["serde", "thiserror"].map(str::to_owned).into();
    assert!(foreign["domain"].is_subset(&expected), "domain names {:?}", foreign["domain"]);
}
