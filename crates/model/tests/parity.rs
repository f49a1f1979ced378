//! Agreement with `transformers` 5.23 (torch 2.15) on tiny random checkpoints of every family; expected values by its own
//! forward pass and greedy generation.

use burn::tensor::Device;
use model::{Decoder, Folder, Generator, Sampler, generate};
use serde_json::Value;
use std::path::{Path, PathBuf};

const FIXTURES: [&str; 6] = ["llama", "llama_untied", "qwen2", "qwen3", "gemma", "gpt2"];
/// The largest difference of a logit; five decimals are given.
const TOLERANCE: f64 = 2e-4;

struct Fixture {
    decoder: Decoder,
    expected: Value,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn fixture(name: &str) -> Fixture {
    let folder = folder(name);
    let decoder = Folder::open(&folder).unwrap().decoder(&Device::flex()).unwrap();
    let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    Fixture { decoder, expected: serde_json::from_str(&expected).unwrap() }
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn worst(found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(f, w)| (f64::from(*f) - w).abs()).fold(0.0, f64::max)
}

/// All logits of the rows, `rows · seq · vocab`.
fn logits(decoder: &Decoder, rows: &[&[u32]]) -> Vec<f32> {
    decoder.forward(generate::ids_tensor(rows, &Device::flex())).into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn logits_agree_alone_and_in_a_batch() {
    for name in FIXTURES {
        let Fixture { decoder, expected } = fixture(name);
        let rows = [ids(&expected["input_ids"][0]), ids(&expected["input_ids"][1])];
        let first: Vec<f64> = expected["logits_row0"].as_array().unwrap().iter().flat_map(numbers).collect();
        let last = numbers(&expected["logits_row1_last"]);
        let alone = worst(&logits(&decoder, &[&rows[0]]), &first);
        let both = logits(&decoder, &[&rows[0], &rows[1]]);
        let (row0, row1) = both.split_at(first.len());
        let batch = worst(row0, &first).max(worst(&row1[row1.len() - last.len()..], &last));
        println!("{name}: alone {alone:.1e}, in a batch {batch:.1e}");
        assert!(alone <= TOLERANCE && batch <= TOLERANCE, "{name}: {alone} {batch}");
    }
}

#[test]
fn greedy_agrees_with_and_without_cache_and_in_a_batch() {
    for name in FIXTURES {
        let Fixture { decoder, expected } = fixture(name);
        let (prompt, wanted) = (ids(&expected["input_ids"][0]), ids(&expected["greedy_12_after_row0"]));
        let mut cached = Generator::new(&decoder, &prompt, Sampler::new(Default::default())).unwrap();
        let (mut with, mut without) = (Vec::new(), prompt.clone());
        for _ in 0..wanted.len() {
            with.push(ready(cached.next()).unwrap().unwrap().token);
            let all = logits(&decoder, &[&without]);
            let last = &all[all.len() - decoder.config().vocab..];
            without.push(Sampler::new(Default::default()).choose(last).token);
        }
        assert_eq!(with, wanted, "{name}");
        assert_eq!(without[prompt.len()..], wanted, "{name}");
        // Beside a shorter row, which is padded on the left. No stop token: u32::MAX does not occur.
        let batch = generate::greedy_batch(&decoder, &[prompt.clone(), prompt[3..].to_vec()], &[], wanted.len());
        assert_eq!(batch[0].0, wanted, "{name}");
        let alone = generate::greedy_batch(&decoder, &[prompt[3..].to_vec()], &[], wanted.len());
        assert_eq!(batch[1].0, alone[0].0, "{name}");
    }
}

#[test]
fn a_full_row_does_not_disturb_its_neighbours() {
    for name in ["llama", "gpt2"] {
        let Fixture { decoder, expected } = fixture(name);
        let short = ids(&expected["input_ids"][0]);
        let long: Vec<u32> = (0..decoder.config().context - 2).map(|i| i as u32 % 190).collect();
        let both = generate::greedy_batch(&decoder, &[short.clone(), long], &[], 12);
        assert_eq!(both[0].0, ids(&expected["greedy_12_after_row0"]), "{name}");
        assert_eq!(both[1].0.len(), 3, "{name}: two tokens are read again, the third is the last to be made");
    }
}

/// On Flex every read is ready at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
