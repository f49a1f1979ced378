//! `./x test`, everything that CI runs, and `./x check`, the part of it that takes less than a minute when warm.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::bundle::PAGE;
use crate::native::{self, Bundles};
use crate::paths::Paths;
use crate::report::{Counts, Report, cargo_counts, playwright_counts};
use crate::{proc, setup, wasm_target};

/// A page must be readable soon on a slow line, so its wasm has a ceiling; brotli, bytes.
const PAGE_LIMIT: u64 = 1280 * 1024;
/// The model in the browser: Burn with WebGPU and Flex is 2.1 MB as measured first; more than this is a mistake.
const PREVIEW_LIMIT: u64 = 4 * 1024 * 1024;

/// Crates that compile in seconds: the inner loop tests these.
const LIGHT: &[&str] = &["domain", "tasks", "text", "xtask"];

pub(crate) fn check(paths: &Paths) -> Result<()> {
    let mut report = Report::new();
    report.stage("format", || format(paths));
    report.stage("clippy (dev)", || clippy_native(paths));
    report.stage("unit tests, light crates", || {
        let mut command = Command::new("cargo");
        command.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.native).args([
            "test",
            "--locked",
            "--no-fail-fast",
        ]);
        for name in LIGHT {
            command.args(["--package", name]);
        }
        counted(&mut command)
    });
    if report.close() { Ok(()) } else { bail!("something failed") }
}

pub(crate) fn test(paths: &Paths) -> Result<()> {
    let mut report = Report::new();
    report.stage("setup", || {
        setup::for_tests(paths)?;
        wasm_target::ensure(paths)?;
        Ok((Counts::default(), ()))
    });
    report.stage("format", || format(paths));
    report.stage("clippy", || clippy_native(paths));
    let bundles = report.stage("wasm bundles, -D warnings", || {
        let bundles = native::bundles(paths, true)?;
        Ok((Counts { passed: 2, failed: 0 }, bundles))
    });
    let built = report.stage("unit, storage, router, CLI", || native_tests(paths, bundles.as_ref()));
    if built.is_some() {
        report.stage("browser", || browser(paths));
    }
    report.stage("cargo-deny", || deny(paths));
    if let Some(bundles) = &bundles {
        report.stage("bundle sizes", || Ok((sizes(bundles), ())));
    }
    if !report.close() {
        // The closing line has said it; a second message would only bury it.
        std::process::exit(1);
    }
    Ok(())
}

fn format(paths: &Paths) -> Result<(Counts, ())> {
    let mut command = Command::new("cargo");
    command.current_dir(&paths.root).args(["fmt", "--all", "--check"]);
    Ok((Counts::one(proc::run(&mut command).is_ok()), ()))
}

fn clippy_native(paths: &Paths) -> Result<(Counts, ())> {
    let mut command = native::cargo(paths, "clippy", None);
    command.args(["--all-targets", "--quiet", "--", "-D", "warnings"]);
    Ok((Counts::one(proc::run(&mut command).is_ok()), ()))
}

/// Builds and runs every native test (all targets at once: tests switch on features of shared crates, and Burn must not be
/// compiled once with and once without them), then leaves `dist/anneal` for the browser tests.
fn native_tests(paths: &Paths, bundles: Option<&Bundles>) -> Result<(Counts, ())> {
    let bundles = bundles.context("without the wasm bundles there is no site to embed")?;
    proc::run(native::cargo(paths, "build", Some(&bundles.site)).args(["--release", "--all-targets"]))?;
    native::install(paths)?;
    let mut command = native::cargo(paths, "test", Some(&bundles.site));
    counted(command.args(["--release", "--no-fail-fast"]))
}

/// Runs `cargo test`; a crate that does not compile, or a test binary that dies without a word, counts as one failure.
fn counted(command: &mut Command) -> Result<(Counts, ())> {
    let (holds, output) = proc::tee(command)?;
    let mut counts = cargo_counts(&output);
    if !holds && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok((counts, ()))
}

fn browser(paths: &Paths) -> Result<(Counts, ())> {
    let json = paths.root.join("end2end/output/report.json");
    // A report left by an earlier run must not be read as this one's.
    let _ = std::fs::remove_file(&json);
    let mut command = Command::new(paths.npm_bin("playwright"));
    command.current_dir(paths.root.join("end2end")).arg("test");
    command.env("ANNEAL_BIN", paths.dist()).env("CHROMIUM", setup::CHROMIUM).env("PLAYWRIGHT_JSON_OUTPUT_NAME", &json);
    let holds = proc::run(&mut command).is_ok();
    let report = std::fs::read_to_string(&json).context("Playwright left no report")?;
    let mut counts = playwright_counts(&report)?;
    if !holds && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok((counts, ()))
}

/// Licences, bans, sources. Advisories need a git host that may be out of reach, and change without a commit: they are
/// for `cargo deny check advisories` by hand or on a timer.
fn deny(paths: &Paths) -> Result<(Counts, ())> {
    let program = setup::cargo_deny(paths)?;
    let mut counts = Counts::default();
    for what in ["licenses", "bans", "sources"] {
        let mut command = Command::new(&program);
        command.current_dir(&paths.root).args([
            "--locked",
            "--log-level",
            "error",
            "check",
            "--hide-inclusion-graph",
            what,
        ]);
        counts.add(Counts::one(proc::run(&mut command).is_ok()));
    }
    Ok((counts, ()))
}

fn sizes(bundles: &Bundles) -> Counts {
    let mut counts = Counts::default();
    for size in &bundles.sizes {
        let limit = if size.name == PAGE.package { PAGE_LIMIT } else { PREVIEW_LIMIT };
        let holds = size.brotli <= limit;
        let verdict = if holds { "within" } else { "over" };
        println!("{:<10} {} brotli, {verdict} {}", size.name, native::kib(size.brotli), native::kib(limit));
        counts.add(Counts::one(holds));
    }
    counts
}
