//! Training that is killed (SIGKILL) at random moments, again and again, and goes on each time: every loss, every validation
//! and the exported weights are those of a training that was never disturbed, bit for bit, for every optimizer.
//!
//! Not under the usual harness: the killed training is this program itself, started with `--child JOB`.

mod support;

use domain::{Job, TrainEvent, recipe::OptimizerKind};
use model::random::Random;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};
use training::StopSignal;

const STEPS: u64 = 20;
const SEEDS: [u64; 3] = [1, 2, 3];
/// Events after which a training is killed, at most. A whole one tells of about 50.
const LONGEST: usize = 24;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, path] = &arguments[..]
        && flag == "--child"
    {
        return child(Path::new(path));
    }
    for kind in [OptimizerKind::AdamW, OptimizerKind::Adafactor, OptimizerKind::Muon] {
        let folder = tempfile::tempdir().unwrap();
        let job = |name: &str| job(&folder.path().join(name), kind);
        let mut whole = Told::default();
        let whole_job = job("whole");
        assert!(whole.listen(&whole_job, usize::MAX), "{kind:?} trains to its end");
        assert_eq!((whole.losses.len() as u64, whole.validations.len()), (STEPS, 4));
        for seed in SEEDS {
            let (job, mut random, mut told, mut kills) = (job(&seed.to_string()), Random(seed), Told::default(), 0);
            while !told.listen(&job, 1 + random.below(LONGEST)) {
                kills += 1;
                assert!(kills < 100, "{kind:?}, seed {seed}: it gets nowhere");
            }
            assert!(kills > 0, "{kind:?}, seed {seed}: it was never killed");
            assert_eq!(told, whole, "{kind:?}, seed {seed}, {kills} kills");
            let weights = |job: &Job| fs::read(job.work.join("export/model.safetensors")).unwrap();
            assert!(weights(&job) == weights(&whole_job), "{kind:?}, seed {seed}: other weights");
            println!("{}, seed {seed}: {kills} kills, all as if there were none", kind.key());
        }
    }
}

fn job(folder: &Path, kind: OptimizerKind) -> Job {
    let mut job = support::job(folder, STEPS);
    let recipe = &mut job.recipe;
    recipe.optimizer.kind = kind;
    recipe.train.ema_decay = Some(0.9);
    (recipe.train.label_smoothing, recipe.train.z_loss) = (0.1, 1e-4);
    (recipe.evaluation.every, recipe.evaluation.test_items) = (5, 3);
    recipe.checkpoint.every = 3;
    job
}

/// Trains, and prints each event as it comes.
fn child(path: &Path) {
    let job: Job = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut sink = |event: TrainEvent| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&event).unwrap()).and_then(|()| out.flush()).unwrap();
    };
    training::run(&job, &mut sink, &StopSignal::default()).unwrap();
}

/// Bits of losses by step, of all attempts together; a step that is repeated must repeat itself.
#[derive(Debug, Default, PartialEq)]
struct Told {
    losses: BTreeMap<u64, u64>,
    validations: BTreeMap<u64, u64>,
}

impl Told {
    /// Starts the training and kills it after so many events. Returns whether it finished before.
    fn listen(&mut self, job: &Job, events: usize) -> bool {
        let path = job.work.with_extension("json");
        fs::write(&path, serde_json::to_vec(job).unwrap()).unwrap();
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program).arg("--child").arg(path).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut finished = false;
        for line in lines.map_while(Result::ok).take(events) {
            match serde_json::from_str(&line).unwrap() {
                TrainEvent::Step { step, loss, .. } => same(&mut self.losses, step, loss),
                TrainEvent::Validation { step, loss } => same(&mut self.validations, step, loss),
                TrainEvent::Alarm { message, .. } => panic!("{message}"),
                TrainEvent::Finished { .. } => finished = true,
                _ => {}
            }
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        // By a signal, or because it was at its end; not by an error of its own.
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
        finished
    }
}

fn same(told: &mut BTreeMap<u64, u64>, step: u64, loss: f64) {
    let before = told.insert(step, loss.to_bits());
    assert!(before.is_none_or(|before| before == loss.to_bits()), "step {step} came out differently: {loss}");
}
