//! One key of the recipe as a field of the form.

use super::{
    form::{Key, Kind},
    offer::Base,
};
use crate::components::{Field, Select, short};
use domain::finetune::Target;
use leptos::prelude::*;

/// A key as a field. `told` hears of changes: the key, or a part of it, and its new text.
#[component]
pub(super) fn KeyField(
    key: &'static Key,
    now: String,
    bases: StoredValue<Vec<Base>>,
    error: Signal<Option<String>>,
    told: Callback<(String, String)>,
) -> impl IntoView {
    let name = format!("request[overrides][{}]", key.path);
    let changed = Callback::new(move |text| told.run((key.path.to_owned(), text)));
    match key.kind {
        Kind::Choice(words) => {
            let options = words.iter().map(|w| ((*w).to_owned(), (*w).to_owned())).collect();
            view! { <Select label=key.label name value=now options error on_change=changed/> }.into_any()
        }
        Kind::Number | Kind::Text => {
            let number = key.kind == Kind::Number;
            view! { <Field label=key.label name value=now hint=key.hint error number on_change=changed/> }.into_any()
        }
        Kind::Base => view! { <BaseField label=key.label name now bases error changed/> }.into_any(),
        Kind::Targets => view! { <TargetsField key name now error told/> }.into_any(),
    }
}

/// A choice of the base models that are there, and the way to more.
#[component]
fn BaseField(
    label: &'static str,
    name: String,
    now: String,
    bases: StoredValue<Vec<Base>>,
    error: Signal<Option<String>>,
    changed: Callback<String>,
) -> impl IntoView {
    let options = bases.with_value(|bases| {
        let about = |base: &Base| {
            let words =
                format!("{} – {}, {}", base.name, base.config.architecture.key(), short(base.parameters as f64));
            (base.name.clone(), words)
        };
        let mut options: Vec<_> = bases.iter().map(about).collect();
        if options.is_empty() {
            // Kept, so that the check says what is missing.
            options.push((now.clone(), format!("{now} – not here yet")));
        }
        options
    });
    let (href, words) = if bases.with_value(Vec::is_empty) {
        ("/models/new", "Add a base model")
    } else {
        ("/models", "All base models")
    };
    let options = options
        .into_iter()
        .map(|(key, words)| {
            let selected = key == now;
            view! { <option value=key selected=selected>{words}</option> }
        })
        .collect_view();
    view! {
        <div class="field wide" class:wrong=move || error.get().is_some()>
            <label for="field-base">{label}</label>
            <select
                id="field-base"
                name=name
                aria-describedby="field-base-note"
                aria-invalid=move || error.get().is_some().then_some("true")
                on:change=move |ev| changed.run(event_target_value(&ev))
            >{options}</select>
            <small id="field-base-note" class="note">{move || error.get().map(|why| format!("{why}. "))}<a href=href>{words}</a></small>
        </div>
    }
}

/// A box to tick for each matrix. The form posts an emptied list and the ticked ones on top of it.
#[component]
fn TargetsField(
    key: &'static Key,
    name: String,
    now: String,
    error: Signal<Option<String>>,
    told: Callback<(String, String)>,
) -> impl IntoView {
    let chosen: Vec<Target> = serde_json::from_str(&now).unwrap_or_default();
    let ticks = Target::ALL
        .into_iter()
        .map(|target| {
            let word = serde_json::to_value(target).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
            let path = format!("{}.{word}", key.path);
            let name = format!("request[overrides][{path}]");
            let tick = move |ev| told.run((path.clone(), event_target_checked(&ev).to_string()));
            let on = chosen.contains(&target);
            view! {
                <label class="tick">
                    <input type="checkbox" name=name value="true" checked=on aria-invalid=move || error.get().is_some().then_some("true") on:change=tick/>
                    {word}
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="field whole" class:wrong=move || error.get().is_some() aria-describedby="field-targets-note">
            <legend>{key.label}</legend>
            <input type="hidden" name=name value="[]"/>
            <div class="row ticks">{ticks}</div>
            <small id="field-targets-note" class="note">{move || error.get().unwrap_or_else(|| key.hint.to_owned())}</small>
        </fieldset>
    }
}
