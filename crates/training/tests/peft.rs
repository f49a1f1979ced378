//! LoRA agrees with `peft` 0.21 (transformers 5.24, torch 2.15): adapters that it saved are read into our decoder, which must
//! give the same logits, loss and gradient norm, and be written again as the same files. Golden values:
//! `crates/model/tests/fixtures/peft/make.py`.

use burn::tensor::Device;
use domain::finetune::{LoraRecipe, Target};
use model::{
    Decoder, Folder, generate,
    lora::{self, peft},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use training::measure::measure;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Where an adapter lies: its module's name (`N` for the layer), our target, its rows of A, its rows of B (all: 0 to 0).
type Place = (&'static str, &'static str, [usize; 2], [usize; 2]);

/// A matrix by rows.
type Rows = Vec<Vec<f32>>;

fn rows(file: &SafeTensors<'_>, name: &str) -> Rows {
    let view = file.tensor(name).unwrap();
    let values: Vec<f32> = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    values.chunks_exact(view.shape()[1]).map(<[f32]>::to_vec).collect()
}

fn transposed(rows: &[Vec<f32>]) -> Rows {
    (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

/// The adapters of a file of `peft`'s as our checkpoints keep them.
fn ours(file: &SafeTensors<'_>, modules: &[Place]) -> Vec<u8> {
    let mut tensors = BTreeMap::new();
    for layer in 0..3 {
        for (module, target, [first, last], [top, bottom]) in modules {
            let name = module.replace('N', &layer.to_string());
            let a = rows(file, &format!("base_model.model.{name}.lora_A.weight"));
            let b = rows(file, &format!("base_model.model.{name}.lora_B.weight"));
            let bottom = if *bottom == 0 { b.len() } else { *bottom };
            let b: Rows = b[*top..bottom].iter().map(|row| row[*first..*last].to_vec()).collect();
            for (factor, matrix) in [("a", transposed(&a[*first..*last])), ("b", transposed(&b))] {
                let shape = vec![matrix.len(), matrix[0].len()];
                let bytes: Vec<u8> = matrix.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
                tensors.insert(format!("layers.{layer}.{target}.{factor}"), (shape, bytes));
            }
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

struct Case {
    name: &'static str,
    recipe: LoraRecipe,
    modules: Vec<Place>,
}

fn cases() -> [Case; 2] {
    let all = [0, 3];
    let llama = LoraRecipe { rank: 3, alpha: 12.0, dropout: 0.0, targets: Target::ALL.to_vec() };
    let targets = vec![Target::Query, Target::Value, Target::Output, Target::Up, Target::Down];
    let gpt2 = LoraRecipe { rank: 2, alpha: 5.0, dropout: 0.0, targets };
    [
        Case {
            name: "llama",
            recipe: llama,
            modules: vec![
                ("model.layers.N.self_attn.q_proj", "query", all, [0, 0]),
                ("model.layers.N.self_attn.k_proj", "key", all, [0, 0]),
                ("model.layers.N.self_attn.v_proj", "value", all, [0, 0]),
                ("model.layers.N.self_attn.o_proj", "output", all, [0, 0]),
                ("model.layers.N.mlp.gate_proj", "gate", all, [0, 0]),
                ("model.layers.N.mlp.up_proj", "up", all, [0, 0]),
                ("model.layers.N.mlp.down_proj", "down", all, [0, 0]),
            ],
        },
        Case {
            name: "gpt2",
            recipe: gpt2,
            modules: vec![
                ("transformer.h.N.attn.c_attn", "query", [0, 2], [0, 48]),
                ("transformer.h.N.attn.c_attn", "value", [2, 4], [96, 144]),
                ("transformer.h.N.attn.c_proj", "output", [0, 2], [0, 0]),
                ("transformer.h.N.mlp.c_fc", "up", [0, 2], [0, 0]),
                ("transformer.h.N.mlp.c_proj", "down", [0, 2], [0, 0]),
            ],
        },
    ]
}

fn adapted(case: &Case, bytes: &[u8], device: &Device) -> Decoder {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let base = Folder::open(&fixtures().join(case.name)).unwrap().decoder(device).unwrap();
    let adapted = base.with_lora(&case.recipe, 1).unwrap();
    lora::from_safetensors(adapted, &ours(&file, &case.modules)).unwrap()
}

fn worst(decoder: &Decoder, row: &[u32], expected: &Value) -> f64 {
    let found = generate::logits(decoder, row).unwrap();
    let wanted: Vec<Vec<f64>> = serde_json::from_value(expected["logits_row0"].clone()).unwrap();
    let pairs = found.iter().flatten().zip(wanted.iter().flatten());
    pairs.map(|(f, w)| (f64::from(*f) - w).abs()).fold(0.0, f64::max)
}

#[test]
fn logits_loss_and_gradients_agree_with_peft() {
    for case in cases() {
        let folder = fixtures().join("peft").join(case.name);
        let (bytes, expected) = (fs::read(folder.join(peft::WEIGHTS)).unwrap(), json(&folder.join("expected.json")));
        let ids: Vec<Vec<u32>> = serde_json::from_value(expected["input_ids"].clone()).unwrap();
        let decoder = adapted(&case, &bytes, &Device::flex());
        let (beside, merged) = (worst(&decoder, &ids[0], &expected), worst(&decoder.merged(), &ids[0], &expected));
        let measured = measure(&adapted(&case, &bytes, &Device::flex().autodiff()), &ids);
        let off = |found: f64, key: &str| (found / expected[key].as_f64().unwrap() - 1.0).abs();
        let (loss, norm) = (off(measured.loss, "loss"), off(measured.grad_norm, "grad_norm"));
        println!(
            "{}: logits off by {beside:.1e}, merged {merged:.1e}, loss {loss:.1e}, gradient {norm:.1e}",
            case.name
        );
        assert!(beside <= 1e-4 && merged <= 1e-4, "{}: {beside} {merged}", case.name);
        assert!(loss <= 1e-5 && norm <= 1e-4, "{}: {loss} {norm}", case.name);
    }
}

#[test]
fn written_adapters_are_what_peft_writes() {
    for case in cases() {
        let folder = fixtures().join("peft").join(case.name);
        let bytes = fs::read(folder.join(peft::WEIGHTS)).unwrap();
        let decoder = adapted(&case, &bytes, &Device::flex());
        let written = peft::weights(&decoder).unwrap();
        let (found, wanted) = (SafeTensors::deserialize(&written).unwrap(), SafeTensors::deserialize(&bytes).unwrap());
        let names = |file: &SafeTensors<'_>| {
            let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(names(&found), names(&wanted));
        for name in names(&wanted) {
            let (found, wanted) = (found.tensor(&name).unwrap(), wanted.tensor(&name).unwrap());
            assert_eq!((found.shape(), found.data()), (wanted.shape(), wanted.data()), "{name}");
        }
        let written = peft::config(decoder.config().architecture, &case.recipe, case.name);
        let (found, wanted) = (serde_json::from_str::<Value>(&written).unwrap(), json(&folder.join(peft::CONFIG)));
        for (key, value) in found.as_object().unwrap() {
            assert_eq!(value, &wanted[key], "{}: {key}", case.name);
        }
    }
}
