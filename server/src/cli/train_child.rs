//! `anneal train-child`: the process that trains one job for the worker. Prints one `TrainEvent` a line on standard output;
//! stops after a checkpoint when asked by a signal or when standard input closes, as it does when the worker dies.

use domain::{Job, TrainEvent};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};
use training::{StopSignal, TrainError};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The job, as JSON
    #[arg(long)]
    job: PathBuf,
}

/// How often the lock of a child that still saves its checkpoint is tried.
const LOCK: Duration = Duration::from_millis(100);

pub(super) fn run(options: &Options) -> ExitCode {
    let stop = StopSignal::default();
    stop_when_input_closes(stop.clone());
    stop_at_signals(stop.clone());
    let mut sink = |event: TrainEvent| {
        if print(&event).is_err() {
            // Nobody listens any more: save and end, as if asked.
            stop.ask();
        }
    };
    let job = match read(&options.job) {
        Ok(job) => job,
        Err(message) => {
            sink(TrainEvent::Failed { message, retry: false });
            return ExitCode::SUCCESS;
        }
    };
    if !wait_for_lock(&job.work, &stop, &mut sink) {
        sink(TrainEvent::Stopped { step: 0 });
        return ExitCode::SUCCESS;
    }
    if let Err(error) = training::run(&job, &mut sink, &stop) {
        // A folder may come back by itself; a full disk, data and divergence stay what they are until a person acts.
        let retry = matches!(error, TrainError::Work(_));
        sink(TrainEvent::Failed { message: error.to_string(), retry });
    }
    ExitCode::SUCCESS
}

fn read(path: &Path) -> Result<Job, String> {
    let text = fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{} is not a job: {e}", path.display()))
}

fn print(event: &TrainEvent) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// The child of a server that was killed may still be saving its checkpoint in the same folder. `training` takes the lock
/// itself and refuses when it is held; here it is waited for. Whether to go on.
fn wait_for_lock(work: &Path, stop: &StopSignal, sink: &mut dyn FnMut(TrainEvent)) -> bool {
    let mut said = false;
    loop {
        let file =
            fs::create_dir_all(work).and_then(|()| File::options().create(true).append(true).open(work.join("lock")));
        // A folder that cannot be used is for `training` to complain about.
        let Ok(file) = file else { return true };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if !stop.asked() => {
                if !said {
                    said = true;
                    let line = "waiting for the training process of an earlier attempt to save and end".to_owned();
                    sink(TrainEvent::Log { line });
                }
                thread::sleep(LOCK);
            }
            Err(TryLockError::WouldBlock) => return false,
            Ok(()) | Err(TryLockError::Error(_)) => return true,
        }
    }
}

fn stop_when_input_closes(stop: StopSignal) {
    thread::spawn(move || {
        // Nothing is ever sent: reading ends when the other side closes or dies.
        let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
        stop.ask();
    });
}

fn stop_at_signals(stop: StopSignal) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let wait = async {
            let mut term = signal(SignalKind::terminate())?;
            let mut int = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            io::Result::Ok(())
        };
        match runtime.and_then(|runtime| runtime.block_on(wait)) {
            Ok(()) => stop.ask(),
            Err(error) => {
                eprintln!("signals cannot be waited for: {error}; closing standard input still stops the training")
            }
        }
    });
}
