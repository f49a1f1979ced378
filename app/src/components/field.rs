//! Form fields: label above, hint or error beside.

use leptos::prelude::*;

/// A labelled input with its error. `name` is what the form posts (`request[count]`).
#[component]
pub fn Field(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    #[prop(optional, into)] value: String,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional, into)] min: Option<String>,
    #[prop(optional, into)] max: Option<String>,
    #[prop(optional)] required: bool,
    /// A number that may be left empty or written freely (`1e-3`): figures and keys for numbers, without a spinner.
    #[prop(optional)]
    number: bool,
    /// Told of every change.
    #[prop(optional, into)]
    on_change: Option<Callback<String>>,
    #[prop(optional, into)] placeholder: Option<String>,
) -> impl IntoView {
    let id = format!("field-{}", name.replace(['[', ']'], "-"));
    let note = format!("{id}-note");
    let told = move |ev| {
        if let Some(callback) = on_change {
            callback.run(event_target_value(&ev));
        }
    };
    view! {
        <div class="field" class:wrong=move || error.get().is_some()>
            <label for=id.clone()>{label}</label>
            <input
                id=id
                name=name
                type=kind
                class:figure=number
                inputmode=number.then_some("decimal")
                value=value
                min=min
                max=max
                required=required
                placeholder=placeholder
                autocomplete="off"
                spellcheck="false"
                aria-describedby=note.clone()
                aria-invalid=move || error.get().is_some().then_some("true")
                on:input=told
            />
            <small id=note class="note">{move || error.get().or_else(|| hint.clone())}</small>
        </div>
    }
}

/// A labelled choice. `options` are values with their words.
#[component]
pub fn Select(
    #[prop(into)] label: String,
    #[prop(into)] name: String,
    #[prop(optional, into)] value: String,
    options: Vec<(String, String)>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional, into)] on_change: Option<Callback<String>>,
) -> impl IntoView {
    let id = format!("field-{}", name.replace(['[', ']'], "-"));
    let told = move |ev| {
        if let Some(callback) = on_change {
            callback.run(event_target_value(&ev));
        }
    };
    let options = options
        .into_iter()
        .map(|(key, words)| {
            let selected = key == value;
            view! { <option value=key selected=selected>{words}</option> }
        })
        .collect_view();
    view! {
        <div class="field" class:wrong=move || error.get().is_some()>
            <label for=id.clone()>{label}</label>
            <select id=id name=name on:change=told>{options}</select>
            <small class="note">{move || error.get()}</small>
        </div>
    }
}
