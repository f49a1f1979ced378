//! Adding a base model: the files of a folder or one GGUF file, dropped or chosen, sent with progress; without JavaScript an
//! ordinary form.

use crate::{
    api::{Failure, models_list},
    browser::{self, Chosen, Sending, Upload},
    components::{DropZone, Icon, Page, Problem, UploadBar, bytes, count},
};
use domain::api::{ApiError, BaseModel, ErrorKind, ListModels};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::{use_navigate, use_query_map};

const URL: &str = "/api/models/import";
const BROKEN: &str = "The connection broke off, so no model was added. Send it again.";
/// Files of these kinds are sent; the server keeps those that training reads. Others, such as weights as pickles, may be as
/// large as the model and would be of no use.
const KINDS: [&str; 4] = [".safetensors", ".gguf", ".json", ".jinja"];

/// Where it stands.
#[derive(Clone, PartialEq)]
enum Stand {
    Choosing,
    Sending(f64, f64),
}

/// The form's state. The files themselves belong to the browser's one thread.
#[derive(Clone, Copy)]
struct Form {
    name: RwSignal<String>,
    files: StoredValue<Vec<Chosen>, LocalStorage>,
    /// Names and sizes of the files, and how many were left out.
    listed: RwSignal<(Vec<(String, u64)>, usize)>,
    stand: RwSignal<Stand>,
    failure: RwSignal<Option<Failure>>,
    sending: StoredValue<Option<Sending>, LocalStorage>,
}

#[component]
pub fn AddModelPage() -> impl IntoView {
    let query = use_query_map().read_untracked().clone();
    // Of a form without JavaScript: what was wrong, and what the name was.
    let problem = query.get("problem").map(|why| Failure(ApiError::new(ErrorKind::Invalid, why)));
    let form = Form {
        name: RwSignal::new(query.get("name").unwrap_or_default()),
        files: StoredValue::new_local(Vec::new()),
        listed: RwSignal::new((Vec::new(), 0)),
        stand: RwSignal::new(Stand::Choosing),
        failure: RwSignal::new(problem),
        sending: StoredValue::new_local(None),
    };
    let navigate = use_navigate();
    let on_submit = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let navigate = navigate.clone();
        form.send(move |model| navigate(&format!("/models?added={}", model.name), Default::default()));
    };
    let wrong = Signal::derive(move || form.failure.get().and_then(|failure| failure.about("name")));
    let busy = move || form.stand.get() != Stand::Choosing;
    view! {
        <Page title="Add a base model" trail=vec![("/models", "Models")]>
            <form method="post" action=URL enctype="multipart/form-data" class="stack reading" on:submit=on_submit>
                <div class="field" class:wrong=move || wrong.get().is_some()>
                    <label for="name">"Name"</label>
                    <input id="name" name="name" value=form.name.get_untracked() prop:value=form.name on:input=move |ev| form.name.set(event_target_value(&ev)) autocomplete="off" spellcheck="false" aria-describedby="name-note" aria-invalid=move || wrong.get().is_some().then_some("true")/>
                    <small id="name-note" class="note">{move || wrong.get().unwrap_or_else(|| "What recipes will call it. Empty: as its file or folder is called.".to_owned())}</small>
                </div>
                <DropZone
                    title="Drop a model\u{2019}s files here, or choose them"
                    hint="All files of a folder in Hugging Face\u{2019}s layout, or one GGUF file."
                    accept=".safetensors,.gguf,.json,.jinja"
                    multiple=true
                    on_files=move |files| form.choose(files)
                />
                <label class="row needs-js">
                    <span class="dim">"Or a whole folder"</span>
                    <input type="file" class="plain-file" aria-label="A model\u{2019}s folder" prop:webkitdirectory=true on:change=move |ev| form.choose(browser::chosen_files(&ev))/>
                </label>
                <Listed form/>
                <div aria-live="polite" class="stack">
                    {move || form.failure.get().filter(|failure| failure.about("name").is_none()).map(|failure| view! { <Problem failure/> })}
                    {move || match form.stand.get() {
                        Stand::Choosing => None,
                        Stand::Sending(sent, all) => Some(view! { <div class="card"><UploadBar name="The model".to_owned() sent all then="Reading the model…"/></div> }),
                    }}
                </div>
                <div class="form-foot">
                    <button class="primary" disabled=busy><Icon name="plus"/>{move || if busy() { "Adding…" } else { "Add model" }}</button>
                    <button type="button" class="button" hidden=move || !busy() on:click=move |_| form.stop()><Icon name="x"/>"Cancel"</button>
                </div>
            </form>
            <section class="reading stack">
                <h2>"What a model needs"</h2>
                <dl class="pairs">
                    <dt>"Always"</dt><dd><code>"config.json"</code><code>"tokenizer.json"</code><code>"model.safetensors"</code></dd>
                    <dt>"If it has them"</dt><dd><code>"tokenizer_config.json"</code><code>"chat_template.jinja"</code><code>"generation_config.json"</code></dd>
                    <dt>"In shards"</dt><dd><code>"model.safetensors.index.json"</code>" and each shard"</dd>
                    <dt>"Or"</dt><dd>"one "<code>".gguf"</code>" file, which has all of it"</dd>
                    <dt>"Families"</dt><dd>"llama, qwen2, qwen3, gemma, gpt2; GGUF of a llama"</dd>
                </dl>
            </section>
        </Page>
    }
}

/// What was chosen.
#[component]
fn Listed(form: Form) -> impl IntoView {
    move || {
        let (files, left) = form.listed.get();
        (!files.is_empty()).then(|| {
            let all = files.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let rows = files
                .into_iter()
                .map(|(name, size)| view! { <tr><td class="fill" title=name.clone()>{name.clone()}</td><td class="num">{bytes(size)}</td></tr> })
                .collect_view();
            let left = (left > 0).then(|| format!("; {} left out: training does not read them", count(left as u64)));
            view! {
                <div class="table-box">
                    <table>
                        <caption>{bytes(all)}" to send"{left}</caption>
                        <thead><tr><th>"File"</th><th class="num">"Size"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
        })
    }
}

impl Form {
    /// Takes the files that can be a model's; a name that is still empty becomes the file's or folder's.
    fn choose(self, chosen: Vec<Chosen>) {
        if chosen.is_empty() {
            return;
        }
        self.failure.set(None);
        let all = chosen.len();
        let sent = |file: &Chosen| {
            let name = file.name().to_ascii_lowercase();
            !file.is_nested() && KINDS.iter().any(|kind| name.ends_with(kind))
        };
        let mut files: Vec<Chosen> = chosen.into_iter().filter(sent).collect();
        // Small ones first: what is wrong with the config need not wait for the weights.
        files.sort_by_key(Chosen::bytes);
        if self.name.read_untracked().trim().is_empty()
            && let Some(stem) = files.iter().find_map(stem)
        {
            self.name.set(stem);
        }
        let listed: Vec<(String, u64)> = files.iter().map(|file| (file.name(), file.bytes())).collect();
        if listed.is_empty() {
            self.fail("None of these files is a model\u{2019}s: choose config.json, *.safetensors and tokenizer.json, or one .gguf file.");
        }
        self.listed.set((listed, all - files.len()));
        self.files.set_value(files);
    }

    fn fail(self, why: &str) {
        self.failure.set(Some(Failure(ApiError::new(ErrorKind::Invalid, why))));
    }

    /// Sends the form; `added` hears of the model.
    fn send(self, added: impl FnOnce(BaseModel) + Clone + 'static) {
        if self.files.with_value(Vec::is_empty) {
            self.fail("Choose the model\u{2019}s files first.");
            return;
        }
        self.failure.set(None);
        self.stand.set(Stand::Sending(0.0, 0.0));
        spawn_local(async move {
            let name = self.name.get_untracked().trim().to_owned();
            // Before hundreds of megabytes leave for nothing.
            let there = models_list(ListModels { search: name.clone() }).await.unwrap_or_default();
            if there.iter().any(|model| model.name.as_str() == name) {
                let message = "there is a model of this name: choose another, or delete that one";
                self.end(ApiError::field("name", message));
                return;
            }
            let hear = move |news| match news {
                Upload::Sent(sent, all) => self.stand.set(Stand::Sending(sent, all)),
                Upload::Done(answer) => {
                    let model = answer.and_then(|text| {
                        serde_json::from_str::<BaseModel>(&text)
                            .map_err(|e| ApiError::internal(format!("The server's answer cannot be read: {e}")))
                    });
                    match model {
                        Ok(model) => added.clone()(model),
                        Err(error) => self.end(error),
                    }
                }
            };
            // Cancelled meanwhile.
            if self.stand.try_get_untracked() != Some(Stand::Choosing) {
                let sending =
                    self.files.with_value(|files| browser::upload(URL, &[("name", &name)], files, BROKEN, hear));
                self.sending.set_value(sending);
            }
        });
    }

    fn end(self, error: ApiError) {
        self.failure.set(Some(Failure(error)));
        self.stand.set(Stand::Choosing);
        browser::focus_soon("[aria-invalid=true]");
    }

    fn stop(self) {
        self.sending.update_value(|sending| {
            if let Some(sending) = sending.take() {
                sending.stop();
            }
        });
        self.stand.set(Stand::Choosing);
    }
}

/// What the model may be called, from a file of it.
fn stem(file: &Chosen) -> Option<String> {
    let name = file.name();
    let stem = file.folder().or_else(|| name.strip_suffix(".gguf").map(str::to_owned))?;
    let kept = stem.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' });
    Some(kept.collect::<String>().trim_matches(['.', '_', '-']).to_owned())
}
