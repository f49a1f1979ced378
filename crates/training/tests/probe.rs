//! The probe over real processes: whatever a driver does to the process that asks it, the one that wants to know gets a
//! plain reason, in time.

use std::time::{Duration, Instant};
use training::probe::{Probe, Verdict};

/// A shell in the place of our executable.
fn shell(script: &str, within: Duration) -> Probe {
    Probe {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), "probe".into()],
        list_within: within,
        check_within: within,
    }
}

const LONG: Duration = Duration::from_secs(60);
const ADAPTER: &str = r#"{"info":{"backend":"vulkan","name":"G","driver":"d 1","memory_bytes":null,"threads":null},"kind":"discrete","number":0}"#;

#[test]
fn a_driver_may_do_what_it_likes() {
    let answer = format!(r#"echo 'a driver prints as it likes'; echo 'anneal-probe: {{"Ok":[{ADAPTER}]}}'"#);
    for (script, says) in [
        (answer.clone(), Ok("G")),
        // Crashing or hanging after the answer is no matter.
        (format!("{answer}; kill -SEGV $$"), Ok("G")),
        (format!("{answer}; exec cat"), Ok("G")),
        (r#"echo 'anneal-probe: {"Err":"no adapter was found"}'"#.to_owned(), Err("no adapter was found")),
        ("kill -SEGV $$".to_owned(), Err("the GPU driver crashed (signal 11)")),
        (
            "echo 'no such thing' >&2; echo 'note: more elsewhere' >&2; exit 7".to_owned(),
            Err("the GPU driver gave up (code 7): no such thing"),
        ),
        ("true".to_owned(), Err("the GPU driver gave up (code 0)")),
        ("echo 'anneal-probe: [1, '".to_owned(), Err("the answer about GPUs is not one: ")),
    ] {
        match (shell(&script, LONG).adapters(), says) {
            (Ok(found), Ok(name)) => assert_eq!(found[0].info.name, name, "{script}"),
            (Err(reason), Err(says)) => assert!(reason.starts_with(says), "{script}: {reason}"),
            (found, says) => panic!("{script}: {found:?}, not {says:?}"),
        }
    }
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    // Reads until its input closes, which it does not.
    let clock = Instant::now();
    let hanging = shell("exec cat", Duration::from_millis(300));
    assert_eq!(hanging.adapters(), Err("the GPU driver did not answer within 0.3 s".into()));
    assert_eq!(hanging.check(0), Verdict::Failed("the GPU driver did not answer within 0.3 s".into()));
    assert!(clock.elapsed() < LONG);
}

#[test]
fn a_program_that_is_not_there_is_said() {
    let probe = Probe { program: "/no/such/program".into(), ..shell("", LONG) };
    assert!(probe.adapters().unwrap_err().starts_with("GPUs cannot be looked for: "));
}

#[test]
fn a_check_is_asked_for_by_number() {
    let parity = r#"{"measured":{"loss":1e-7,"gradient":2e-6,"step_seconds":0.5}}"#;
    let script = format!(r#"test "$1 $2" = "--check 3" && echo 'anneal-probe: {parity}'"#);
    let Verdict::Measured(found) = shell(&script, LONG).check(3) else { panic!("no measure") };
    assert!(found.agrees() && found.loss == 1e-7 && found.gradient == 2e-6, "{found:?}");
}
