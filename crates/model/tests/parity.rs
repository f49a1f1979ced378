//! Agreement with `transformers` 5.23 (torch 2.15) on tiny random checkpoints; expected values by its own forward pass.

use burn::tensor::Device;
use model::{Decoder, Generator, Sampler, config, generate, store};
use serde_json::Value;

struct Fixture {
    decoder: Decoder,
    expected: Value,
}

fn fixture(name: &str) -> Fixture {
    let dir = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = |file: &str| std::fs::read_to_string(format!("{dir}/{file}")).unwrap();
    let config = config::from_json(&text("config.json")).unwrap();
    let bytes = std::fs::read(format!("{dir}/model.safetensors")).unwrap();
    let decoder = store::from_safetensors(&config, &bytes, &Device::flex()).unwrap();
    Fixture { decoder, expected: serde_json::from_str(&text("expected.json")).unwrap() }
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

#[test]
fn logits_agree() {
    for name in ["llama", "llama_untied"] {
        let Fixture { decoder, expected } = fixture(name);
        let row = ids(&expected["input_ids"][0]);
        let logits = decoder.forward(generate::ids_tensor(&[&row], &Device::flex()));
        let found = logits.into_data().try_to_vec::<f32>().unwrap();
        let wanted: Vec<f64> = expected["logits_row0"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|r| r.as_array().unwrap())
            .map(|v| v.as_f64().unwrap())
            .collect();
        assert_eq!(found.len(), wanted.len());
        let worst = found.iter().zip(&wanted).map(|(f, w)| (f64::from(*f) - w).abs()).fold(0.0, f64::max);
        assert!(worst <= 2e-4, "{name}: {worst}");
    }
}

#[test]
fn greedy_agrees_with_and_without_cache_and_in_a_batch() {
    for name in ["llama", "llama_untied"] {
        let Fixture { decoder, expected } = fixture(name);
        let Some((prompt, wanted)) = greedy(&expected) else { panic!("{name}: no greedy continuation in the fixture") };
        let mut cached = Generator::new(&decoder, &prompt, Sampler::new(Default::default())).unwrap();
        let (mut with, mut without) = (Vec::new(), prompt.clone());
        for _ in 0..wanted.len() {
            with.push(futures_lite(cached.next()).unwrap().unwrap().token);
            let logits = decoder
                .forward(generate::ids_tensor(&[&without], &Device::flex()))
                .into_data()
                .try_to_vec::<f32>()
                .unwrap();
            let last = &logits[logits.len() - decoder.config().vocab..];
            without.push(Sampler::new(Default::default()).choose(last).token);
        }
        assert_eq!(with, wanted, "{name}");
        assert_eq!(without[prompt.len()..], wanted, "{name}");
        // Beside a shorter row, which is padded on the left. No stop token: u32::MAX does not occur.
        let batch = generate::greedy_batch(&decoder, &[prompt.clone(), prompt[3..].to_vec()], u32::MAX, wanted.len());
        assert_eq!(batch[0].0, wanted, "{name}");
        let alone = generate::greedy_batch(&decoder, &[prompt[3..].to_vec()], u32::MAX, wanted.len());
        assert_eq!(batch[1].0, alone[0].0, "{name}");
    }
}

fn greedy(expected: &Value) -> Option<(Vec<u32>, Vec<u32>)> {
    let map = expected.as_object()?;
    let key = map.keys().find(|k| k.contains("greedy"))?;
    let value = &map[key];
    let prompt = ids(&expected["input_ids"][0]);
    let list = value.as_array()?;
    let all = if list[0].is_array() { ids(&list[0]) } else { ids(value) };
    Some((prompt.clone(), if all.starts_with(&prompt) { all[prompt.len()..].to_vec() } else { all }))
}

/// On Flex every read is ready at once.
fn futures_lite<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

#[test]
fn weights_written_and_read_are_equal_to_the_bit() {
    let Fixture { decoder, .. } = fixture("llama_untied");
    let bytes = store::to_safetensors(&decoder).unwrap();
    let again = store::from_safetensors(decoder.config(), &bytes, &Device::flex()).unwrap();
    assert_eq!(store::to_safetensors(&again).unwrap(), bytes);
}

#[test]
fn wrong_tensors_are_named() {
    let Fixture { decoder, .. } = fixture("llama");
    let bytes = store::to_safetensors(&decoder).unwrap();
    let mut other = decoder.config().clone();
    other.d_ff = 100;
    let error = store::from_safetensors(&other, &bytes, &Device::flex()).unwrap_err().to_string();
    assert_eq!(error, "model.layers.0.mlp.gate_proj.weight has shape [112, 48]; expected [100, 48]");
    other = decoder.config().clone();
    other.layers = 2;
    let error = store::from_safetensors(&other, &bytes, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("model.layers.2.mlp.up_proj.weight"), "{error}");
}
