//! Starting a run: a dataset, a recipe, its keys as fields with errors beside them, and what it will need.

use super::{
    fields::KeyField,
    form::{ADVANCED, SECTIONS, suits, value},
    needs::Needs,
    offer::{Base, Offer, Offers},
};
use crate::{
    api::{Failure, RunsCreate, recipes_check},
    browser,
    components::{Empty, Field, Icon, Load, Page, Problem, Select},
};
use domain::api::CheckRecipe;
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};
use std::time::Duration;

/// Typing pauses for so long before the recipe is checked.
const PAUSE: Duration = Duration::from_millis(250);

#[component]
pub fn NewRunPage() -> impl IntoView {
    let query = use_query_map();
    let asked = move |key: &str| query.read().get(key).unwrap_or_default();
    let offers = Resource::new(move || asked("recipe"), Offers::load);
    view! {
        <Page title="Start a run" trail=vec![("/runs", "Runs")]>
            <Load from=offers let:offers>
                {if offers.datasets.is_empty() {
                    Either::Left(view! {
                        <Empty icon="database" title="No dataset to train on">
                            <p>"A run trains on a dataset: a frozen, split selection of traces. There is none yet, so build one first."</p>
                            <a class="button primary" href="/datasets/new"><Icon name="plus"/>"Build a dataset"</a>
                        </Empty>
                    })
                } else {
                    let asked = |key| untrack(|| asked(key));
                    Either::Right(view! { <Choose offers dataset=asked("dataset") recipe=asked("recipe") base=asked("base")/> })
                }}
            </Load>
        </Page>
    }
}

/// The recipe to begin with, chosen by the address, and below it the form it fills.
#[component]
fn Choose(offers: Offers, dataset: String, recipe: String, base: String) -> impl IntoView {
    let chosen = offers.chosen(&recipe, &base);
    let Offers { datasets, recipes, bases } = offers;
    let dataset = if datasets.contains(&dataset) { dataset } else { datasets[0].clone() };
    let bases = StoredValue::new(bases);
    let now = chosen.as_ref().map(|offer| offer.key.clone()).unwrap_or_default();
    let options = recipes
        .iter()
        .map(|offer| view! { <option value=offer.key.clone() selected=offer.key == now>{offer.words.clone()}</option> })
        .collect_view();
    let data = RwSignal::new(dataset.clone());
    view! {
        <Form method="GET" action="/runs/new" attr:class="choose">
            <input type="hidden" name="dataset" value=dataset prop:value=data/>
            {(!base.is_empty()).then(|| view! { <input type="hidden" name="base" value=base/> })}
            <label class="label" for="recipe">"Begin with recipe"</label>
            <select id="recipe" name="recipe" on:change=move |ev| browser::submit_form_of(&ev)>{options}</select>
            <button class="button no-js">"Choose"</button>
        </Form>
        {chosen.map(|offer| view! { <Edit offer bases datasets data/> })}
    }
}

#[component]
fn Edit(offer: Offer, bases: StoredValue<Vec<Base>>, datasets: Vec<String>, data: RwSignal<String>) -> impl IntoView {
    let query = use_query_map();
    let create = ServerAction::<RunsCreate>::new();
    // What the server said of the last try, until something is changed: from then on the live check speaks.
    let changed = RwSignal::new(false);
    Effect::new(move |_| {
        create.version().track();
        changed.set(false);
    });
    let failure = Signal::derive(move || {
        let said = create.value().get().and_then(Result::err);
        let said = said.or_else(|| query.read().get("__err").map(|err| Failure::from_address(&err)));
        said.filter(|_| !changed.get())
    });
    let first =
        CheckRecipe { recipe: offer.text.clone(), dataset: data.get_untracked(), overrides: offer.changes.clone() };
    let (typed, settled) = (RwSignal::new(first.clone()), RwSignal::new(first));
    let mut settle = debounce(PAUSE, move |now| settled.set(now));
    Effect::new(move |before: Option<()>| {
        let now = typed.get();
        if before.is_some() {
            changed.set(true);
            settle(now);
        }
    });
    let check = Resource::new(move || settled.get(), recipes_check);
    // Through an effect: what hydration finds in the fields must be what the server wrote there.
    let wrong = RwSignal::new(Vec::new());
    Effect::new(move |_| match check.get() {
        Some(Ok(check)) => wrong.set(check.errors),
        Some(Err(failure)) => wrong.set(failure.0.fields),
        None => {}
    });
    Effect::new(move |_| {
        if failure.get().is_some() {
            browser::focus_soon("[aria-invalid=true]");
        }
    });
    let about = move |path: &'static str| {
        Signal::derive(move || {
            let live = wrong.with(|all| all.iter().find(|e| e.path == path).map(|e| e.message.clone()));
            live.or_else(|| failure.get().and_then(|f| f.about(path)))
        })
    };
    let told = Callback::new(move |(key, text)| typed.update(|now| drop(now.overrides.insert(key, text))));
    let sections = SECTIONS
        .iter()
        .filter(|(_, keys)| keys.iter().any(|key| suits(&offer.recipe, key.path)))
        .map(|(title, keys)| {
            let fields = keys
                .iter()
                .filter(|key| suits(&offer.recipe, key.path))
                .map(|key| {
                    let path = key.path;
                    view! { <KeyField key=key now=value(&offer.recipe, path) bases error=about(path) told/> }
                })
                .collect_view();
            if *title == ADVANCED {
                let chosen = keys.iter().any(|key| !value(&offer.recipe, key.path).is_empty());
                let abouts = keys.iter().map(|key| about(key.path)).collect();
                Either::Left(view! { <Folded title=*title chosen abouts><div class="form">{fields}</div></Folded> })
            } else {
                Either::Right(view! { <fieldset class="card"><legend class="visually-hidden">{*title}</legend><h2 aria-hidden="true">{*title}</h2><div class="form">{fields}</div></fieldset> })
            }
        })
        .collect_view();
    let shown = StoredValue::new(offer.recipe.clone());
    let others = move || {
        let shown = |path: &str| {
            shown.with_value(|recipe| {
                SECTIONS.iter().any(|(_, keys)| keys.iter().any(|key| key.path == path && suits(recipe, path)))
            })
        };
        let rest = failure.get().filter(|f| !f.0.fields.iter().any(|e| shown(&e.path) || e.path == "request.name"));
        rest.map(|failure| view! { <Problem failure/> })
    };
    let options = datasets.into_iter().map(|name| (name.clone(), name)).collect();
    let choose = Callback::new(move |name: String| {
        data.set(name.clone());
        typed.update(|now| now.dataset = name);
    });
    view! {
        <ActionForm action=create>
            <input type="hidden" name="request[recipe]" value=offer.text.clone()/>
            <div class="beside run-form">
                <div class="stack">
                    <div class="card form">
                        <Select label="Dataset" name="request[dataset]" value=data.get_untracked() options error=about("dataset") on_change=choose/>
                        <Field label="Run name" name="request[name]" value=offer.name.clone() hint="How the run is listed" error=about("request.name")/>
                    </div>
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

/// A section that is open when something in it is chosen, and opens when something in it is wrong.
#[component]
fn Folded(title: &'static str, chosen: bool, abouts: Vec<Signal<Option<String>>>, children: Children) -> impl IntoView {
    let wrong = move || abouts.iter().any(|about| about.with(Option::is_some));
    let open = RwSignal::new(chosen || untrack(&wrong));
    // It never closes by itself: a mended error would take the field away from under the cursor.
    Effect::new(move |_| {
        if wrong() {
            open.set(true);
        }
    });
    view! {
        <details class="card advanced" open=move || open.get()>
            <summary>{title}</summary>
            <fieldset><legend class="visually-hidden">{title}</legend>{children()}</fieldset>
        </details>
    }
}
