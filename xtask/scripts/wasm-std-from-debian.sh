#!/usr/bin/env bash
# Gives Debian's own Rust the target wasm32-unknown-unknown, for machines on which `rustup target add` cannot download it.
# Debian ships the standard library as source, with what it depends on (rust-web-src), so it is built here once, in about
# half a minute, and then serves like an installed target:  RUSTC=/usr/bin/rustc cargo build --target wasm32-unknown-unknown
# Needs root: it installs packages and writes below /usr/lib/rustlib.
set -euo pipefail
target=wasm32-unknown-unknown
lib=/usr/lib/rustlib/$target/lib

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src lld-19 >/dev/null

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir "$build/src"
: >"$build/src/lib.rs"
printf '[package]\nname = "sysroot"\nversion = "0.0.0"\nedition = "2021"\n' >"$build/Cargo.toml"

# embed-bitcode: link-time optimisation of the bundles needs the bitcode of the standard library too.
# RUSTC_BOOTSTRAP: -Zbuild-std is unstable; only this build needs it, none of ours does.
# The caller's cargo settings must not reach this build, hence `env -u`.
(cd "$build" && env -u CARGO_TARGET_DIR -u CARGO_ENCODED_RUSTFLAGS -u RUSTUP_TOOLCHAIN \
  RUSTFLAGS="-Cembed-bitcode=yes" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
  /usr/bin/cargo build --quiet --release --target "$target" -Zbuild-std=std,panic_abort,proc_macro)

mkdir -p "$lib"
rm -f "$lib"/*.rlib
cp "$build/target/$target/release/deps/"*.rlib "$lib/"
rm -f "$lib"/libsysroot-*.rlib
echo "$target: built for $(/usr/bin/rustc --version)"
