#!/bin/sh
# RUSTC_WORKSPACE_WRAPPER of the strict wasm builds: a warning in our own crates is an error. RUSTFLAGS would do the same,
# but they are part of what a dependency is compiled with, so that Burn would be compiled twice.
exec "$@" -Dwarnings
