//! Stages of `./x test`: run each one, time it, count what passed and failed, and close with one line.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What one stage found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// A stage that either holds or does not: format, lints, licences.
    pub(crate) fn one(holds: bool) -> Counts {
        Counts { passed: u64::from(holds), failed: u64::from(!holds) }
    }

    pub(crate) fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

struct Stage {
    name: &'static str,
    counts: Counts,
    took: Duration,
}

pub(crate) struct Report {
    stages: Vec<Stage>,
    start: Instant,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report { stages: Vec::new(), start: Instant::now() }
    }

    /// Runs a stage. A stage that could not do its work counts as one failure and does not keep the others from running.
    pub(crate) fn stage<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<(Counts, T)>) -> Option<T> {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let (counts, value) = match work() {
            Ok((counts, value)) => (counts, Some(value)),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                (Counts::one(false), None)
            }
        };
        self.stages.push(Stage { name, counts, took: start.elapsed() });
        value
    }

    /// Prints the table and the closing line; whether everything passed.
    pub(crate) fn close(self) -> bool {
        let mut total = Counts::default();
        println!("\n{:<28}{:>8}{:>8}{:>10}", "stage", "passed", "failed", "time");
        for stage in &self.stages {
            total.add(stage.counts);
            println!("{:<28}{:>8}{:>8}{:>10}", stage.name, stage.counts.passed, stage.counts.failed, clock(stage.took));
        }
        println!("{:<44}{:>10}\n", "all", clock(self.start.elapsed()));
        println!("{} passed, {} failed", total.passed, total.failed);
        // The line is what a machine reads: it must be out before the exit status is.
        let _ = std::io::stdout().flush();
        total.failed == 0
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds == 0 {
        return format!("{} ms", time.as_millis());
    }
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Sums the `test result:` lines of `cargo test`. An ignored test counts as failed: the house has none.
pub(crate) fn cargo_counts(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        for part in line.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(word)) = (words.next().and_then(|number| number.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match word {
                "passed" => counts.passed += number,
                "failed" | "ignored" => counts.failed += number,
                _ => {}
            }
        }
    }
    counts
}

/// Reads the totals of Playwright's JSON report. A flaky test failed once, and a skipped one proved nothing.
pub(crate) fn playwright_counts(report: &str) -> Result<Counts> {
    let report: serde_json::Value = serde_json::from_str(report)?;
    let number = |name: &str| report["stats"][name].as_u64().unwrap_or(0);
    let broken = report["errors"].as_array().map_or(0, |errors| errors.len() as u64);
    Ok(Counts {
        passed: number("expected"),
        failed: number("unexpected") + number("flaky") + number("skipped") + broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_cargo_test() {
        let cases = [
            ("", (0, 0)),
            ("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s", (5, 0)),
            (
                "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.20s",
                (3, 3),
            ),
            (
                "noise\ntest result: ok. 1 passed; 0 failed; 0 ignored\n  test result: ok. 2 passed; 0 failed; 0 ignored",
                (3, 0),
            ),
        ];
        for (output, expected) in cases {
            let counts = cargo_counts(output);
            assert_eq!((counts.passed, counts.failed), expected, "{output}");
        }
    }

    #[test]
    fn counts_of_playwright() -> Result<()> {
        let counts =
            playwright_counts(r#"{"errors":[{}],"stats":{"expected":4,"unexpected":1,"flaky":1,"skipped":0}}"#)?;
        assert_eq!((counts.passed, counts.failed), (4, 3));
        Ok(())
    }
}
