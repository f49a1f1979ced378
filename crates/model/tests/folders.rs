//! Folders in every form in which they come: whole and in shards, in three number types, under older names, damaged; and
//! written again.

use burn::tensor::Device;
use half::{bf16, f16};
use model::{Decoder, Folder, config::TokenIds, folder, generate, store};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const FIXTURES: [&str; 6] = ["llama", "llama_untied", "qwen2", "qwen3", "gemma", "gpt2"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Tensors by name: type, shape, bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(name: &str) -> Tensors {
    let bytes = fs::read(fixture(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(n, v)| (n, (v.dtype(), v.shape().to_vec(), v.data().to_vec()))).collect()
}

fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let views: BTreeMap<&String, TensorView<'_>> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()))
        .collect();
    safetensors::serialize(views, None).unwrap()
}

/// A folder with the fixture's config and these files.
fn made(name: &str, files: &[(&str, Vec<u8>)]) -> TempDir {
    let temp = TempDir::new().unwrap();
    fs::copy(fixture(name).join("config.json"), temp.path().join("config.json")).unwrap();
    for (name, bytes) in files {
        fs::write(temp.path().join(name), bytes).unwrap();
    }
    temp
}

fn read(path: &Path) -> Result<Decoder, String> {
    let folder = Folder::open(path).map_err(|e| e.to_string())?;
    folder.decoder(&Device::flex()).map_err(|e| e.to_string())
}

fn bits(decoder: &Decoder) -> Vec<u8> {
    store::to_safetensors(decoder).unwrap()
}

/// By headers alone: the fixtures are whole; a shape of one layer more is not theirs.
#[test]
fn folders_are_checked_without_reading_their_numbers() {
    for name in FIXTURES {
        let mut folder = Folder::open(&fixture(name)).unwrap();
        assert_eq!(folder.check().unwrap(), ["F32"], "{name}");
        folder.config.layers += 1;
        let said = folder.check().unwrap_err().to_string();
        assert!(said.contains("numbers; a model of config.json's shape has"), "{name}: {said}");
    }
}

#[test]
fn every_family_is_written_as_transformers_has_it_and_read_back_to_the_bit() {
    for name in FIXTURES {
        let original = Folder::open(&fixture(name)).unwrap();
        let decoder = original.decoder(&Device::flex()).unwrap();
        let temp = TempDir::new().unwrap();
        let texts = [("chat_template.jinja".to_owned(), "{{ messages }}".to_owned())];
        folder::write(&decoder, &original.tokens, &texts, temp.path()).unwrap();
        let again = Folder::open(temp.path()).unwrap();
        assert_eq!((&again.config, &again.tokens), (&original.config, &original.tokens), "{name}");
        assert_eq!(again.texts().unwrap()[0], texts[0], "{name}");
        assert_eq!(bits(&again.decoder(&Device::flex()).unwrap()), bits(&decoder), "{name}");
        // Not only alike to us: the very tensors that `transformers` wrote, under its names.
        let written = fs::read(temp.path().join("model.safetensors")).unwrap();
        let written = SafeTensors::deserialize(&written).unwrap();
        let wanted = tensors(name);
        assert_eq!(written.len(), wanted.len(), "{name}");
        for (tensor, (dtype, shape, bytes)) in &wanted {
            let found = written.tensor(tensor).unwrap();
            assert!(found.dtype() == *dtype && found.shape() == shape && found.data() == bytes, "{name}: {tensor}");
        }
    }
}

#[test]
fn shards_are_read_as_one() {
    for name in ["qwen3", "gpt2"] {
        let (mut first, mut second, mut map) = (Tensors::new(), Tensors::new(), BTreeMap::new());
        for (i, (tensor, entry)) in tensors(name).into_iter().enumerate() {
            map.insert(tensor.clone(), if i % 3 == 0 { "a.safetensors" } else { "b.safetensors" });
            (if i % 3 == 0 { &mut first } else { &mut second }).insert(tensor, entry);
        }
        let index = |map: &BTreeMap<String, &str>| serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
        let file = "model.safetensors.index.json";
        let good = index(&map).into_bytes();
        let (a, b) = (safetensors(&first), safetensors(&second));
        let temp = made(name, &[("a.safetensors", a.clone()), ("b.safetensors", b), (file, good.clone())]);
        assert_eq!(bits(&read(temp.path()).unwrap()), bits(&read(&fixture(name)).unwrap()), "{name}");

        let said = |files: &[(&str, Vec<u8>)]| read(made(name, files).path()).unwrap_err();
        assert!(said(&[("a.safetensors", a.clone()), (file, good.clone())]).contains("b.safetensors: No such file"));
        assert!(said(&[("a.safetensors", a.clone()), ("b.safetensors", a.clone()), (file, good)]).contains("already"));
        let mut wrong = map.clone();
        wrong.insert("more".to_owned(), "a.safetensors");
        wrong.retain(|_, shard| *shard == "a.safetensors");
        let said_wrong = said(&[("a.safetensors", a.clone()), (file, index(&wrong).into_bytes())]);
        assert!(said_wrong.contains("a.safetensors does not hold more"), "{said_wrong}");
        wrong.insert("more".to_owned(), "../a.safetensors");
        let said_wrong = said(&[("a.safetensors", a), (file, index(&wrong).into_bytes())]);
        assert!(said_wrong.contains("is not the name of a file in the folder"), "{said_wrong}");
    }
}

#[test]
fn half_precision_is_read() {
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    type Halve = fn(f32) -> (f32, [u8; 2]);
    let kinds: [(Dtype, Halve); 2] = [
        (Dtype::F16, |v| (f16::from_f32(v).to_f32(), f16::from_f32(v).to_le_bytes())),
        (Dtype::BF16, |v| (bf16::from_f32(v).to_f32(), bf16::from_f32(v).to_le_bytes())),
    ];
    for (dtype, halve) in kinds {
        let (mut halved, mut rounded) = (Tensors::new(), Tensors::new());
        for (name, (_, shape, bytes)) in tensors("qwen2") {
            let both: Vec<(f32, [u8; 2])> = floats(&bytes).into_iter().map(halve).collect();
            halved.insert(name.clone(), (dtype, shape.clone(), both.iter().flat_map(|b| b.1).collect()));
            rounded.insert(name, (Dtype::F32, shape, both.iter().flat_map(|b| b.0.to_le_bytes()).collect()));
        }
        let halved = made("qwen2", &[("model.safetensors", safetensors(&halved))]);
        let rounded = made("qwen2", &[("model.safetensors", safetensors(&rounded))]);
        assert_eq!(bits(&read(halved.path()).unwrap()), bits(&read(rounded.path()).unwrap()), "{dtype:?}");
        assert_eq!(Folder::open(halved.path()).unwrap().dtypes().unwrap(), [format!("{dtype:?}")]);
    }
}

#[test]
fn older_names_are_understood() {
    let plain = |shape: &[usize]| (Dtype::F32, shape.to_vec(), vec![0; 4 * shape.iter().product::<usize>()]);
    // The first GPT-2 files: no prefix, and causal masks as tensors.
    let mut old: Tensors =
        tensors("gpt2").into_iter().map(|(n, t)| (n.trim_start_matches("transformer.").to_owned(), t)).collect();
    for layer in 0..3 {
        old.insert(format!("h.{layer}.attn.bias"), plain(&[1, 1, 128, 128]));
        old.insert(format!("h.{layer}.attn.masked_bias"), plain(&[]));
    }
    let temp = made("gpt2", &[("model.safetensors", safetensors(&old))]);
    assert_eq!(bits(&read(temp.path()).unwrap()), bits(&read(&fixture("gpt2")).unwrap()));
    // Llama: rotary frequencies as tensors, and the tied head written out.
    let mut old = tensors("llama");
    old.insert("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), plain(&[4]));
    old.insert("lm_head.weight".to_owned(), old["model.embed_tokens.weight"].clone());
    let temp = made("llama", &[("model.safetensors", safetensors(&old))]);
    assert_eq!(bits(&read(temp.path()).unwrap()), bits(&read(&fixture("llama")).unwrap()));
}

#[test]
fn wrong_tensors_are_named() {
    let said = |name: &str, change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors(name);
        change(&mut tensors);
        read(made(name, &[("model.safetensors", safetensors(&tensors))]).path()).unwrap_err()
    };
    let extra = |name: &str, shape: Vec<usize>| {
        let name = name.to_owned();
        move |t: &mut Tensors| {
            t.insert(name.clone(), (Dtype::F32, shape.clone(), vec![0; 4 * shape.iter().product::<usize>()]));
        }
    };
    for (found, wanted) in [
        (
            said("qwen3", &|t| drop(t.remove("model.layers.1.self_attn.k_norm.weight"))),
            "the weights lack model.layers.1.self_attn.k_norm.weight of shape [16]",
        ),
        (
            said("qwen2", &|t| drop(t.remove("model.layers.2.self_attn.q_proj.bias"))),
            "the weights lack model.layers.2.self_attn.q_proj.bias of shape [48]",
        ),
        (
            said("gpt2", &|t| drop(t.remove("transformer.h.0.attn.c_attn.weight"))),
            "the weights lack transformer.h.0.attn.c_attn.weight of shape [48, 144]",
        ),
        (
            said("llama", &extra("model.layers.3.mlp.up_proj.weight", vec![112, 48])),
            "the weights hold tensors that this model does not have: model.layers.3.mlp.up_proj.weight [112, 48]",
        ),
        (said("gemma", &extra("model.norm.weight", vec![47])), "model.norm.weight has shape [47]; expected [48]"),
        (
            said("llama", &|t| t.get_mut("model.norm.weight").unwrap().0 = Dtype::I32),
            "model.norm.weight has the unsupported type I32; known: F32, F16, BF16",
        ),
    ] {
        assert_eq!(found, wanted);
    }
}

#[test]
fn special_tokens_come_from_the_generation_config_first() {
    let generation = br#"{"eos_token_id": [2, 5], "do_sample": true}"#.to_vec();
    let temp = made("gemma", &[("generation_config.json", generation)]);
    let folder = Folder::open(temp.path()).unwrap();
    assert_eq!(folder.tokens, TokenIds { bos: Some(1), eos: vec![2, 5], pad: Some(0) });
}

#[test]
fn stretched_rope_turns_as_transformers_turns() {
    // A position that only stretching moves: beyond the original context, where long waves matter. Expected logits of the
    // last token by `transformers` 5.23 in f32, on the fixture `llama` with this `rope_parameters`.
    let config = fs::read_to_string(fixture("llama").join("config.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&config).unwrap();
    json["rope_parameters"] = serde_json::json!({"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
    let weights = fs::read(fixture("llama").join("model.safetensors")).unwrap();
    let temp = made("llama", &[("model.safetensors", weights)]);
    fs::write(temp.path().join("config.json"), json.to_string()).unwrap();
    let decoder = read(temp.path()).unwrap();
    let row: Vec<u32> = (0..100).map(|i| (i * 37 + 11) % 199).collect();
    let logits = generate::logits(&decoder, &row).unwrap();
    for (found, wanted) in logits[99][1..].iter().zip(STRETCHED) {
        // Without stretching they differ by up to 1e-3.
        assert!((found - wanted).abs() <= 2e-5, "{found} {wanted}");
    }
}

/// Of tokens 1 to 12.
const STRETCHED: [f32; 12] =
    [0.0835, 0.31438, 0.04936, -0.12516, 0.15647, -0.19417, 0.12518, -0.11003, 0.07927, 0.04438, 0.28755, 0.03018];
