//! Fine-tuning through the trainer's boundary: a model is made from scratch, exported, and is the base of what follows.

mod support;

use domain::{
    Job, Precision, TrainEvent,
    finetune::{BaseRecipe, LoraRecipe, Method, ModelSource, Target},
};
use model::Folder;
use safetensors::SafeTensors;
use std::{fs, path::Path};
use support::job;
use training::{Outcome, StopSignal, TrainError};

fn train(job: &Job, stop_at: Option<u64>) -> Result<(Vec<f64>, Vec<TrainEvent>, Outcome), TrainError> {
    let (mut losses, mut events) = (Vec::new(), Vec::new());
    let stop = StopSignal::default();
    let mut sink = |event: TrainEvent| {
        if let TrainEvent::Step { step, loss, .. } = event {
            losses.push(loss);
            if stop_at == Some(step) {
                stop.ask();
            }
        }
        events.push(event);
    };
    let outcome = training::run(job, &mut sink, &stop)?;
    Ok((losses, events, outcome))
}

/// A model that was trained for a while, as a folder.
fn base(folder: &Path) -> std::path::PathBuf {
    let job = job(folder, 24);
    assert_eq!(train(&job, None).unwrap().2, Outcome::Finished);
    job.work.join("export")
}

fn tuned(folder: &Path, base: &Path, steps: u64, lora: Option<LoraRecipe>) -> Job {
    let mut job = job(folder, steps);
    job.base = Some(base.to_owned());
    job.recipe.model = ModelSource::Base(BaseRecipe { base: "made-here".into(), context: 96 });
    job.recipe.tokenizer = None;
    job.recipe.method = if lora.is_some() { Method::Lora } else { Method::Sft };
    job.recipe.lora = lora;
    job.recipe.seed = 5;
    job
}

fn lora() -> LoraRecipe {
    let targets = vec![Target::Query, Target::Value, Target::Up, Target::Down];
    LoraRecipe { rank: 8, alpha: 16.0, dropout: 0.1, targets }
}

#[test]
fn lora_trains_adapters_alone_and_exports_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&folder.path().join("base"));
    let mut job = tuned(&folder.path().join("lora"), &base, 40, Some(lora()));
    job.recipe.optimizer.learning_rate = 0.02;
    let (losses, events, outcome) = train(&job, None).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..4]), mean(&losses[36..]));
    assert!(last < first - 0.03, "the loss falls: {first} to {last}");
    // The checkpoint holds four adapters in each of two layers, nothing else.
    let bytes = fs::read(job.work.join("checkpoints/step-000000040/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2 * 4 * 2);
    assert!(file.names().iter().all(|name| name.ends_with(".a") || name.ends_with(".b")));
    // Merged: the targets moved, what was frozen is what it was, bit for bit.
    let exported = job.work.join("export");
    let (before, after) =
        (fs::read(base.join("model.safetensors")).unwrap(), fs::read(exported.join("model.safetensors")).unwrap());
    let (before, after) = (SafeTensors::deserialize(&before).unwrap(), SafeTensors::deserialize(&after).unwrap());
    assert_eq!(before.len(), after.len());
    for (name, was) in before.iter() {
        let moved = ["q_proj", "v_proj", "up_proj", "down_proj"].iter().any(|target| name.contains(target));
        assert_eq!(was.data() != after.tensor(name).unwrap().data(), moved, "{name}");
    }
    for name in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        assert_eq!(fs::read(exported.join(name)).unwrap(), fs::read(base.join(name)).unwrap(), "{name}");
    }
    Folder::open(&exported).unwrap().decoder(&burn::tensor::Device::flex()).unwrap();
    let listed: Vec<String> = events
        .iter()
        .find_map(|event| match event {
            TrainEvent::Exported { files } => Some(files.iter().map(|file| file.name.clone()).collect()),
            _ => None,
        })
        .unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors", "model.safetensors"] {
        assert!(listed.iter().any(|listed| listed == name), "{listed:?}");
    }
    assert!(exported.join("adapter/adapter_model.safetensors").is_file());
    let line = events.iter().find_map(|e| if let TrainEvent::Log { line } = e { Some(line.as_str()) } else { None });
    // Query 8·(32+32), value 8·(32+16), up and down 8·(32+85) each, in two layers.
    assert!(line.unwrap().contains(" and 5536 trained beside them"), "{line:?}");
}

#[test]
fn resume_equals_no_resume_bit_for_bit_with_dropout() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&folder.path().join("base"));
    let whole = train(&tuned(&folder.path().join("whole"), &base, 12, Some(lora())), None).unwrap().0;
    let job = tuned(&folder.path().join("parts"), &base, 12, Some(lora()));
    let (first, _, outcome) = train(&job, Some(5)).unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    let (second, _, outcome) = train(&job, None).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    let bits = |losses: &[f64]| losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&[first, second].concat()), bits(&whole));
    let calm = LoraRecipe { dropout: 0.0, ..lora() };
    let other = train(&tuned(&folder.path().join("calm"), &base, 12, Some(calm)), None).unwrap().0;
    assert_eq!(other[0], whole[0], "B is zero: the first loss is the base's");
    assert_ne!(bits(&other[1..]), bits(&whole[1..]), "dropout is used");
}

#[test]
fn adapters_in_half_precision_follow_those_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&folder.path().join("base"));
    let losses = |precision: Precision, packing| {
        let mut job = tuned(&folder.path().join(format!("{precision}-{packing}")), &base, 12, Some(lora()));
        (job.recipe.train.precision, job.recipe.data.packing) = (precision, packing);
        train(&job, None).unwrap().0
    };
    for packing in [false, true] {
        let exact = losses(Precision::F32, packing);
        for (precision, within) in [(Precision::F16, 5e-3), (Precision::Bf16, 3e-2)] {
            let found = losses(precision, packing);
            let off = found.iter().zip(&exact).map(|(f, e)| (f / e - 1.0).abs()).fold(0.0, f64::max);
            assert!(off < within && off > 0.0, "{precision}, packing {packing}: {found:?}, not {exact:?}");
        }
    }
}

#[test]
fn all_weights_of_a_base_train_on_by_its_chat_template() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&folder.path().join("base"));
    // The text's own loss at the end of its first training is where the second begins.
    let scratch = train(&job(&folder.path().join("again"), 25), None).unwrap().0;
    let plain = tuned(&folder.path().join("plain"), &base, 8, None);
    let (losses, _, _) = train(&plain, None).unwrap();
    assert!(losses[0] < 1.2 * scratch[24] && losses[0] < 0.8 * scratch[0], "{} {}", losses[0], scratch[24]);
    // With a template the prompt is laid out otherwise; the answer's text and stop token stay what is trained.
    let template =
        "{% for m in messages %}{{ m.content }} = {% if m.role == 'assistant' %}<eos>{% endif %}{% endfor %}";
    fs::write(base.join("chat_template.jinja"), template).unwrap();
    let chat = tuned(&folder.path().join("chat"), &base, 2, None);
    let (_, events, outcome) = train(&chat, None).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert!(chat.work.join("export/chat_template.jinja").is_file());
    let tokens = |events: &[TrainEvent]| {
        events
            .iter()
            .find_map(|e| if let TrainEvent::Started { train_tokens, .. } = e { Some(*train_tokens) } else { None })
    };
    let (_, before, _) = train(&tuned(&folder.path().join("third"), &base, 1, None), None).unwrap();
    assert_eq!(tokens(&events), tokens(&before));
    assert_eq!(events.iter().filter(|e| matches!(e, TrainEvent::Predicted(_))).count(), 5);
}

#[test]
fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&folder.path().join("base"));
    let mut job = tuned(&folder.path().join("wide"), &base, 2, None);
    job.recipe.model = ModelSource::Base(BaseRecipe { base: "made-here".into(), context: 97 });
    let said = train(&job, None).unwrap_err().to_string();
    assert_eq!(said, "the base model cannot be used: made-here: model.context is 97, its own at most 96");
    job.base = Some(folder.path().join("nowhere"));
    let said = train(&job, None).unwrap_err().to_string();
    assert!(said.starts_with("the base model cannot be used: made-here: ") && said.contains("config.json"), "{said}");
}
