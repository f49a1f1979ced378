//! A loaded model on the back end that serves best here.

use crate::js;
use burn::tensor::Device;
use domain::preview::PreviewBackend;
use model::{Decoder, Generator, Sampler, config, generate::Memory, store};
use std::{cell::RefCell, collections::BTreeMap};
use text::{language::Language, pretrained};

/// Tokens measured on each back end, after one that warms up.
const MEASURED: usize = 6;

/// A model ready to write.
pub(crate) struct Engine {
    pub(crate) decoder: Decoder,
    /// What the last answer read, for the next in the same conversation.
    pub(crate) memory: RefCell<Option<Memory>>,
    /// How it is spoken to.
    pub(crate) language: Language,
    pub(crate) backend: PreviewBackend,
    /// Why this back end.
    pub(crate) reason: String,
}

/// The files of a model.
pub(crate) struct Files {
    /// What [`TEXTS`] names, as far as it is there.
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) weights: Vec<u8>,
}

const CONFIG: &str = "config.json";
/// The files that are read besides the weights.
pub(crate) const TEXTS: [&str; 6] = [
    CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// Builds the model. `auto` measures WebGPU against the CPU and takes the faster; a choice is obeyed while it works.
pub(crate) async fn build(files: Files, wanted: PreviewBackend) -> Result<Engine, String> {
    let shape = config::from_json(files.texts.get(CONFIG).map_or("", String::as_str)).map_err(|e| e.to_string())?;
    let language = language(&files.texts)?;
    let on = |device: &Device| store::from_safetensors(&shape, &files.weights, device).map_err(|e| e.to_string());
    let engine = |decoder, backend, reason| Engine { decoder, memory: RefCell::default(), language, backend, reason };
    if wanted == PreviewBackend::Flex {
        return Ok(engine(on(&Device::flex())?, PreviewBackend::Flex, "CPU: chosen by you".to_owned()));
    }
    let gpu = match webgpu().await {
        Ok((device, name)) => Ok((on(&device)?, name)),
        Err(why) => Err(why),
    };
    match (gpu, wanted) {
        (Err(why), _) => Ok(engine(on(&Device::flex())?, PreviewBackend::Flex, format!("CPU: {why}"))),
        (Ok((decoder, name)), PreviewBackend::WebGpu) => {
            Ok(engine(decoder, PreviewBackend::WebGpu, format!("WebGPU: chosen by you ({name})")))
        }
        (Ok((_, name)), _) if is_software(&name) => {
            let reason = format!("CPU: the only WebGPU adapter here is software ({name})");
            Ok(engine(on(&Device::flex())?, PreviewBackend::Flex, reason))
        }
        (Ok((fast, name)), _) => {
            let plain = on(&Device::flex())?;
            let (gpu, cpu) = (speed(&fast).await, speed(&plain).await);
            if gpu > cpu {
                Ok(engine(
                    fast,
                    PreviewBackend::WebGpu,
                    format!("WebGPU: {gpu:.0} tokens/s against {cpu:.0} on the CPU ({name})"),
                ))
            } else {
                Ok(engine(
                    plain,
                    PreviewBackend::Flex,
                    format!("CPU: {cpu:.0} tokens/s against {gpu:.0} on WebGPU ({name})"),
                ))
            }
        }
    }
}

/// As the model was trained: by its chat template where it has one.
fn language(texts: &BTreeMap<String, String>) -> Result<Language, String> {
    let text = |name: &str| texts.get(name).map(String::as_str);
    let said = text("generation_config.json").or(text(CONFIG)).unwrap_or_default();
    let said = config::token_ids(said).map_err(|e| e.to_string())?;
    let owned = |name: &str| Ok::<_, String>(texts.get(name).cloned());
    let files = pretrained::Texts::read(owned)?.unwrap_or_default();
    Language::of_export(files.files(), said.bos, &said.eos).map_err(|e| e.to_string())
}

/// Software adapters run on the same CPU, slower than the CPU path itself.
fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe"].iter().any(|s| name.contains(s))
}

async fn webgpu() -> Result<(Device, String), String> {
    let name = js::adapter().await?;
    let device = Device::wgpu_options().init_async().await.map_err(|e| format!("WebGPU could not start: {e}"))?;
    Ok((device, name))
}

/// Tokens a second of greedy writing from the first token.
async fn speed(decoder: &Decoder) -> f64 {
    let sampler = Sampler::new(Default::default());
    let Ok(mut generator) = Generator::with_room(decoder, &[1], sampler, MEASURED + 1) else { return 0.0 };
    if generator.next().await.is_err() {
        return 0.0;
    }
    let begun = js::now();
    let mut made = 0;
    while made < MEASURED && matches!(generator.next().await, Ok(Some(_))) {
        made += 1;
    }
    made as f64 * 1e3 / (js::now() - begun).max(0.1)
}
