//! The migrations are embedded by a macro; a changed migration must rebuild the crate.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/sqlite");
}
