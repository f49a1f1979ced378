//! Generating traces: family, count, seed, difficulty, with the first three shown as they will be.

use crate::{
    api::{Failure, TracesGenerate, traces_preview},
    browser,
    components::{Field, Icon, Load, Page, Problem, Select, TraceBody},
};
use domain::{TaskFamily, api::PreviewTraces};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn GeneratePage() -> impl IntoView {
    let query = use_query_map();
    let generate = ServerAction::<TracesGenerate>::new();
    let failure = Signal::derive(move || {
        let said = generate.value().get().and_then(Result::err);
        said.or_else(|| query.read().get("__err").map(|err| Failure::from_address(&err)))
    });
    Effect::new(move |_| {
        if failure.get().is_some() {
            browser::focus_soon("[aria-invalid=true]");
        }
    });
    let about = move |path: &'static str| Signal::derive(move || failure.get().and_then(|failure| failure.about(path)));
    let asked = RwSignal::new(PreviewTraces { family: TaskFamily::Addition.key().to_owned(), seed: 1, difficulty: 0 });
    let preview = Resource::new(move || asked.get(), traces_preview);
    let families = TaskFamily::ALL.map(|family| (family.key().to_owned(), family.title().to_owned())).to_vec();
    let levels = std::iter::once(("0".to_owned(), "Mixed".to_owned()))
        .chain((1..=5).map(|level| {
            (
                level.to_string(),
                format!(
                    "{level}{}",
                    match level {
                        1 => ", easiest",
                        5 => ", hardest",
                        _ => "",
                    }
                ),
            )
        }))
        .collect::<Vec<_>>();
    let describe = move || asked.get().family.parse::<TaskFamily>().map(TaskFamily::about).unwrap_or_default();
    let unfielded = move || failure.get().filter(|failure| failure.0.fields.is_empty());
    view! {
        <Page title="Generate" trail=vec![("/traces", "Traces")]>
            <div class="beside even">
                <ActionForm action=generate>
                    <div class="stack">
                        <div class="form">
                            <Select label="Task family" name="request[family]" value="addition" options=families error=about("family") on_change=Callback::new(move |family| asked.update(|asked| asked.family = family))/>
                            <Field label="Count" name="request[count]" kind="number" value="5000" min="1" max="1000000" required=true error=about("count")/>
                            <Field label="Seed" name="request[seed]" kind="number" value="1" min="0" required=true hint="The same seed gives the same traces" error=about("seed") on_change=Callback::new(move |seed: String| asked.update(|asked| asked.seed = seed.parse().unwrap_or(0)))/>
                            <Select label="Difficulty" name="request[difficulty]" value="0" options=levels error=about("difficulty") on_change=Callback::new(move |level: String| asked.update(|asked| asked.difficulty = level.parse().unwrap_or(0)))/>
                        </div>
                        <p class="dim">{describe}"."</p>
                        {move || unfielded().map(|failure| view! { <Problem failure/> })}
                        <div class="form-foot"><button class="primary" disabled=move || generate.pending().get()><Icon name="sparkles"/>{move || if generate.pending().get() { "Generating…" } else { "Generate traces" }}</button></div>
                    </div>
                </ActionForm>
                <section class="stack" aria-labelledby="preview-title">
                    <h2 id="preview-title">"The first three"</h2>
                    <Load from=preview let:traces>
                        {traces.into_iter().map(|trace| view! { <div class="card"><TraceBody trace/></div> }).collect_view()}
                    </Load>
                </section>
            </div>
        </Page>
    }
}
