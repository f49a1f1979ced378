//! The worker's side of the protocol: hears the page, answers it, never dies of an error.

use crate::{
    engine::{self, Engine, Files, TEXTS},
    fetch, js,
};
use domain::{
    Turn,
    preview::{FromPreview, PreviewBackend, PreviewToken, Rival, SamplerSettings, ToPreview},
};
use model::{Generator, Sampler};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    rc::Rc,
};
use text::dialogue;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

const WEIGHTS: &str = "model.safetensors";
/// The worker looks for messages this often while it writes, in milliseconds.
const BREATH: f64 = 25.0;

thread_local! {
    static ENGINE: RefCell<Option<Rc<Engine>>> = const { RefCell::new(None) };
    /// Generations asked to stop.
    static STOPPED: RefCell<HashSet<u32>> = RefCell::new(HashSet::new());
}

/// Runs when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    let scope: DedicatedWorkerGlobalScope = js::global().unchecked_into();
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        match serde_json::from_str(&event.data().as_string().unwrap_or_default()) {
            Ok(message) => spawn_local(obey(message)),
            Err(e) => say(&FromPreview::Failed { id: None, message: format!("a message cannot be read: {e}") }),
        }
    });
    scope.set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear.forget();
    say(&FromPreview::Ready);
}

fn say(message: &FromPreview) {
    let scope: DedicatedWorkerGlobalScope = js::global().unchecked_into();
    if let Ok(text) = serde_json::to_string(message) {
        let _ = scope.post_message(&JsValue::from_str(&text));
    }
}

async fn obey(message: ToPreview) {
    match message {
        ToPreview::Load { files, backend } => {
            if let Err(message) = load(files, backend).await {
                say(&FromPreview::Failed { id: None, message });
            }
        }
        ToPreview::Generate { id, system, turns, prompt, max_new_tokens, sampler } => {
            let question = Question { id, system, turns, prompt };
            if let Err(message) = generate(question, max_new_tokens, sampler).await {
                say(&FromPreview::Failed { id: Some(id), message });
            }
        }
        ToPreview::Stop { id } => {
            STOPPED.with_borrow_mut(|stopped| stopped.insert(id));
        }
    }
}

async fn load(files: BTreeMap<String, String>, backend: PreviewBackend) -> Result<(), String> {
    let tell =
        |stage: &'static str| move |done, total| say(&FromPreview::Progress { stage: stage.to_owned(), done, total });
    let mut texts = BTreeMap::new();
    for name in TEXTS {
        if let Some(url) = files.get(name) {
            let (bytes, _) = fetch::bytes(url, |_, _| {}).await?;
            texts.insert(name.to_owned(), String::from_utf8(bytes).map_err(|_| format!("{name} is not text"))?);
        }
    }
    let url = files.get(WEIGHTS).ok_or_else(|| format!("the model has no {WEIGHTS}"))?;
    let (weights, cached) = fetch::bytes(url, tell("Fetching the model")).await?;
    tell("Building the model")(0, 0);
    js::breathe().await;
    let model_hash = js::sha256(&weights).await;
    let parameters = |engine: &Engine| engine.decoder.config().parameters();
    let engine = engine::build(Files { texts, weights }, backend).await?;
    say(&FromPreview::Loaded {
        backend: engine.backend,
        reason: engine.reason.clone(),
        parameters: parameters(&engine),
        model_hash,
        cached,
    });
    ENGINE.replace(Some(Rc::new(engine)));
    Ok(())
}

/// What is asked, after what was said before.
struct Question {
    id: u32,
    system: Option<String>,
    turns: Vec<Turn>,
    prompt: String,
}

async fn generate(question: Question, max_new_tokens: u32, settings: SamplerSettings) -> Result<(), String> {
    let Question { id, system, turns, prompt } = question;
    let engine = ENGINE.with_borrow(Clone::clone).ok_or("no model is loaded yet")?;
    let (context, room) = (engine.decoder.config().context, max_new_tokens as usize);
    let opening = dialogue::opening(&engine.language, system.as_deref(), &turns, &prompt, context, room);
    let opening = opening.map_err(|e| e.to_string())?;
    let (read, left_out) = (opening.ids.len() as u32, opening.left_out as u32);
    say(&FromPreview::Begun { id, read, context: context as u32, left_out });
    let stops = engine.language.stops();
    let memory = engine.memory.take();
    let generator = Generator::after(memory, &engine.decoder, &opening.ids, Sampler::new(settings), room);
    let mut generator = generator.map_err(|e| e.to_string())?;
    let (mut made, mut shown) = (Vec::new(), String::new());
    let (begun, mut breath) = (js::now(), js::now());
    let mut finish = "length";
    while made.len() < max_new_tokens as usize {
        if js::now() - breath > BREATH {
            js::breathe().await;
            breath = js::now();
        }
        if STOPPED.with_borrow_mut(|stopped| stopped.remove(&id)) {
            finish = "stopped";
            break;
        }
        let Some(choice) = generator.next().await.map_err(|e| e.to_string())? else { break };
        if stops.contains(&choice.token) {
            finish = "stop";
            break;
        }
        made.push(choice.token);
        let all = engine.language.decode(&made).map_err(|e| e.to_string())?;
        // Half a character (of byte-level BPE) is held back until it is whole.
        let text = all.strip_prefix(&shown).filter(|new| !new.ends_with('\u{fffd}')).unwrap_or_default().to_owned();
        shown.push_str(&text);
        let name = |id: u32| {
            let text = engine.language.decode(&[id]).unwrap_or_default();
            if text.is_empty() { engine.language.token(id) } else { text }
        };
        let rivals = choice.rivals.iter().map(|(id, p)| Rival { text: name(*id), probability: *p }).collect();
        let token = PreviewToken { token: choice.token, text, probability: choice.probability, rivals };
        say(&FromPreview::Token { id, token });
    }
    engine.memory.replace(Some(generator.into_memory()));
    let tokens = made.len() as u32;
    let tokens_per_sec = f64::from(tokens) * 1e3 / (js::now() - begun).max(0.1);
    say(&FromPreview::Finished { id, finish: finish.to_owned(), tokens, tokens_per_sec, ids: made });
    Ok(())
}
