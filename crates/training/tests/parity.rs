//! Loss and gradient norm agree with `transformers` 5.23 (torch 2.15) on tiny random checkpoints of every family; expected
//! values by its own forward and backward pass in f32.

use burn::tensor::Device;
use model::Folder;
use serde_json::Value;
use std::{fs, path::Path};
use training::measure::measure;

#[test]
fn losses_and_gradients_agree() {
    for name in ["llama", "llama_untied", "qwen2", "qwen3", "gemma", "gpt2"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures").join(name);
        let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
        let rows: Vec<Vec<u32>> = serde_json::from_value(expected["input_ids"].clone()).unwrap();
        let decoder = Folder::open(&folder).unwrap().decoder(&Device::flex().autodiff()).unwrap();
        let found = measure(&decoder, &rows);
        let off = |found: f64, key: &str| {
            let wanted = expected[key].as_f64().unwrap();
            ((found - wanted) / wanted).abs()
        };
        let (loss, norm) = (off(found.loss, "next_token_loss"), off(found.grad_norm, "global_grad_norm"));
        println!("{name}: loss off by {loss:.1e}, gradient norm by {norm:.1e}");
        assert!(loss <= 1e-5 && norm <= 1e-3, "{name}: {found:?}, off by {loss:.1e} and {norm:.1e}");
    }
}
