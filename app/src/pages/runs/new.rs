//! Starting a run: a dataset, a recipe, its keys as fields with errors beside them, and what it will need.

use super::form::{Kind, SECTIONS, value};
use crate::{
    api::{Failure, RunsCreate, datasets_list, recipes_check, recipes_list},
    browser,
    components::{Empty, Field, Icon, Load, Page, Problem, Select, bytes, count, duration, short},
};
use domain::{
    api::{CheckRecipe, ListDatasets, ListRecipes, RecipeCheck, ShippedRecipe},
    dataset::Dataset,
};
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};

#[component]
pub fn NewRunPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let text = |key: &str| query.read().get(key).unwrap_or_default();
        (text("dataset"), text("recipe"))
    });
    let offers = Resource::new(
        || (),
        |()| async {
            let datasets = datasets_list(ListDatasets::default()).await?;
            let recipes = recipes_list(ListRecipes::default()).await?;
            Ok::<_, Failure>((datasets, recipes))
        },
    );
    view! {
        <Page title="Start a run" trail=vec![("/runs", "Runs")]>
            <Load from=offers let:offers>
                {
                    let (datasets, recipes) = offers;
                    move || match (datasets.is_empty(), recipes.clone()) {
                        (true, _) => Either::Left(view! {
                            <Empty icon="database" title="No dataset to train on">
                                <p>"A run trains on a dataset: a frozen, split selection of traces. Build one first."</p>
                                <a class="button primary" href="/datasets/new">"Build a dataset"</a>
                            </Empty>
                        }),
                        (false, recipes) => {
                            let (dataset, recipe) = asked.get();
                            Either::Right(view! { <Choose datasets=datasets.clone() recipes dataset recipe/> })
                        }
                    }
                }
            </Load>
        </Page>
    }
}

#[component]
fn Choose(datasets: Vec<Dataset>, recipes: Vec<ShippedRecipe>, dataset: String, recipe: String) -> impl IntoView {
    let names: Vec<String> = datasets.iter().map(|d| d.dataset.to_string()).collect();
    let dataset = if names.contains(&dataset) { dataset } else { names[0].clone() };
    let chosen = recipes.iter().find(|r| r.name == recipe).or_else(|| recipes.first()).cloned();
    let dataset_options = names
        .iter()
        .map(|n| view! { <option value=n.clone() selected=*n == dataset>{n.clone()}</option> })
        .collect_view();
    let recipe_options = recipes
        .iter()
        .map(|r| {
            let selected = chosen.as_ref().is_some_and(|c| c.name == r.name);
            view! { <option value=r.name.clone() selected=selected>{format!("{} – {}", r.name, r.title)}</option> }
        })
        .collect_view();
    view! {
        <Form method="GET" action="/runs/new" attr:class="choose">
            <label class="label">"Dataset"<select name="dataset" on:change=move |ev| browser::submit_form_of(&ev)>{dataset_options}</select></label>
            <label class="label">"Recipe"<select name="recipe" on:change=move |ev| browser::submit_form_of(&ev)>{recipe_options}</select></label>
            <button class="button no-js">"Choose"</button>
        </Form>
        {chosen.map(|shipped| view! { <Edit shipped dataset=dataset.clone()/> })}
    }
}

#[component]
fn Edit(shipped: ShippedRecipe, dataset: String) -> impl IntoView {
    let query = use_query_map();
    let create = ServerAction::<RunsCreate>::new();
    let failure = Signal::derive(move || {
        let said = create.value().get().and_then(Result::err);
        said.or_else(|| query.read().get("__err").map(|err| Failure::from_address(&err)))
    });
    let asked =
        RwSignal::new(CheckRecipe { recipe: shipped.name.clone(), dataset: dataset.clone(), ..Default::default() });
    let check = Resource::new(move || asked.get(), recipes_check);
    let wrong = Memo::new(move |_| match check.get() {
        Some(Ok(check)) => check.errors,
        Some(Err(failure)) => failure.0.fields,
        None => Vec::new(),
    });
    let about = move |path: &'static str| {
        Signal::derive(move || {
            let live = wrong.with(|all| all.iter().find(|e| e.path == path).map(|e| e.message.clone()));
            live.or_else(|| failure.get().and_then(|f| f.about(path)))
        })
    };
    let sections = SECTIONS
        .iter()
        .map(|(title, keys)| {
            let fields = keys
                .iter()
                .map(|key| {
                    let (path, name) = (key.path, format!("request[overrides][{}]", key.path));
                    let now = value(&shipped.recipe, path);
                    let told = Callback::new(move |text: String| asked.update(|a| drop(a.overrides.insert(path.to_owned(), text))));
                    match key.kind {
                        Kind::Choice(words) => {
                            let options = words.iter().map(|w| ((*w).to_owned(), (*w).to_owned())).collect();
                            Either::Left(view! { <Select label=key.label name=name value=now options error=about(path) on_change=told/> })
                        }
                        Kind::Number | Kind::Text => {
                            Either::Right(view! { <Field label=key.label name=name value=now hint=key.hint error=about(path) on_change=told/> })
                        }
                    }
                })
                .collect_view();
            view! { <fieldset class="card"><legend class="visually-hidden">{*title}</legend><h2 aria-hidden="true">{*title}</h2><div class="form">{fields}</div></fieldset> }
        })
        .collect_view();
    let others = move || {
        let known: Vec<&str> = SECTIONS.iter().flat_map(|(_, keys)| keys.iter().map(|k| k.path)).collect();
        let rest = failure.get().filter(|f| f.0.fields.iter().all(|e| !known.contains(&e.path.as_str())));
        rest.map(|failure| view! { <Problem failure/> })
    };
    view! {
        <ActionForm action=create>
            <input type="hidden" name="request[recipe]" value=shipped.name.clone()/>
            <input type="hidden" name="request[dataset]" value=dataset/>
            <div class="beside run-form">
                <div class="stack">
                    <div class="card"><Field label="Run name" name="request[name]" value=shipped.recipe.name.clone() hint="How the run is listed" error=about("request.name")/></div>
                    {sections}
                </div>
                <aside class="stack run-needs">
                    <Load from=check let:check><Needs check/></Load>
                    {others}
                    <button class="primary" disabled=move || create.pending().get()><Icon name="play"/>{move || if create.pending().get() { "Starting…" } else { "Start run" }}</button>
                </aside>
            </div>
        </ActionForm>
    }
}

/// What the run will need, or that something is to be mended first.
#[component]
fn Needs(check: RecipeCheck) -> impl IntoView {
    let errors =
        check.errors.into_iter().map(|e| view! { <li><code>{e.path}</code>" "{e.message}</li> }).collect_view();
    let estimate = check.estimate.map(|e| {
        view! {
            <dl class="pairs">
                <dt>"Parameters"</dt><dd class="num">{short(e.parameters as f64)}</dd>
                <dt>"Tokens"</dt><dd class="num">{short(e.tokens as f64)}</dd>
                <dt>"Memory"</dt><dd class="num">{bytes(e.total_bytes)}</dd>
                {check.memory_available_bytes.map(|m| view! { <dt>"Available"</dt><dd class="num">{bytes(m)}</dd> })}
                {check.estimated_seconds.map(|s| view! { <dt>"Time"</dt><dd class="num">"about "{duration(s)}</dd> })}
                {check.model.map(|m| view! { <dt>"Vocabulary"</dt><dd class="num">{count(m.vocab as u64)}</dd> })}
            </dl>
        }
    });
    view! { <section class="card stack" aria-live="polite"><h2>"What it needs"</h2>{estimate}<ul class="bad-text stack tight">{errors}</ul></section> }
}
