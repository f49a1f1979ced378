//! Builds both wasm bundles and the `anneal` binary, and runs every check. Called by `./x`; knows the repository,
//! but nothing of what the crates do.

mod bench;
mod bundle;
mod checks;
mod compress;
mod keep;
mod native;
mod paths;
mod proc;
mod report;
mod setup;
mod site;
mod stamp;
mod wasm_target;

use std::process::ExitCode;

use anyhow::{Result, bail};
use paths::Paths;

const USAGE: &str = "\
./x COMMAND

  serve [ARGS]   build everything in release, then run dist/anneal serve ARGS   http://127.0.0.1:3000
  build          both wasm bundles and dist/anneal, with their sizes
  check          the fast inner loop: format, clippy and unit tests of the light crates
  test           everything CI runs; closes with one line `N passed, N failed`
  bench          measures training, generation, pages, import and sizes; writes docs/PERFORMANCE.md
  setup          only fetch what the machine lacks
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In words, without a backtrace: the cause is in a command that has said its own.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let paths = Paths::find()?;
    match command.as_str() {
        "setup" => setup::for_tests(&paths),
        "build" => native::build(&paths).map(drop),
        "bundles" => native::bundles(&paths, false).map(drop),
        "check" => checks::check(&paths),
        "test" => checks::test(&paths),
        "bench" => bench::run(&paths),
        "serve" => native::serve(&paths, &rest),
        "" | "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command `{other}`\n\n{USAGE}"),
    }
}
