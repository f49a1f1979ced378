//! Building a dataset: name, filters, split and seed, with a live count of the traces that pass.

use crate::{
    api::{DatasetsBuild, Failure, traces_facets, traces_list},
    browser,
    components::{Field, Icon, Load, Page, Problem, Select, counted},
};
use domain::{
    api::{Facets, ListTraces, TraceFacets},
    dataset::Count,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

fn options(any: &str, values: Vec<Count>) -> Vec<(String, String)> {
    let any = (String::new(), any.to_owned());
    std::iter::once(any)
        .chain(values.into_iter().map(|v| (v.value.clone(), format!("{} ({})", v.value, v.count))))
        .collect()
}

#[component]
pub fn BuildPage() -> impl IntoView {
    let facets = Resource::new(|| (), |()| traces_facets(TraceFacets::default()));
    view! {
        <Page title="Build" trail=vec![("/datasets", "Datasets")]>
            <Load from=facets let:facets><BuildForm facets/></Load>
        </Page>
    }
}

#[component]
fn BuildForm(facets: Facets) -> impl IntoView {
    let query = use_query_map();
    let build = ServerAction::<DatasetsBuild>::new();
    let failure = Signal::derive(move || {
        let said = build.value().get().and_then(Result::err);
        said.or_else(|| query.read().get("__err").map(|err| Failure::from_address(&err)))
    });
    Effect::new(move |_| {
        if failure.get().is_some() {
            browser::focus_soon("[aria-invalid=true]");
        }
    });
    let about = move |path: &'static str| Signal::derive(move || failure.get().and_then(|failure| failure.about(path)));
    const SHOWN: [&str; 8] = ["dataset", "family", "source", "category", "search", "limit", "split", "seed"];
    let unfielded = move || {
        failure.get().filter(|failure| !failure.0.fields.iter().any(|field| SHOWN.contains(&field.path.as_str())))
    };
    let family =
        facets.families.first().map(|f| f.value.clone()).filter(|_| facets.families.len() == 1).unwrap_or_default();
    let asked = RwSignal::new(ListTraces { family: family.clone(), limit: 1, ..Default::default() });
    let matching = Resource::new(move || asked.get(), traces_list);
    let change = move |set: fn(&mut ListTraces, String)| {
        Callback::new(move |value: String| asked.update(|asked| set(asked, value)))
    };
    let selections =
        vec![("latest".to_owned(), "Newest first".to_owned()), ("random".to_owned(), "Random, by the seed".to_owned())];
    let name = if family.is_empty() { String::new() } else { format!("{family}@1") };
    view! {
        <ActionForm action=build>
            <div class="stack loose reading">
                <section class="stack tight">
                    <h2>"Name"</h2>
                    <div class="form">
                        <Field label="Name and version" name="request[dataset]" value=name placeholder="addition@1" required=true hint="Without @version: the next one" error=about("dataset")/>
                    </div>
                </section>
                <section class="stack tight">
                    <h2>"Which traces"</h2>
                    <div class="form">
                        <Select label="Family" name="request[family]" value=family options=options("Any family", facets.families) error=about("family") on_change=change(|asked, value| asked.family = value)/>
                        <Select label="Source" name="request[source]" options=options("Any source", facets.sources) error=about("source") on_change=change(|asked, value| asked.source = value)/>
                        <Select label="Category" name="request[category]" options=options("Any category", facets.categories) error=about("category") on_change=change(|asked, value| asked.category = value)/>
                        <Field label="Words in prompt or answer" name="request[search]" error=about("search") on_change=change(|asked, value| asked.search = value)/>
                        <Field label="At most" name="request[limit]" kind="number" value="0" min="0" hint="0 takes all that match" error=about("limit")/>
                        <Select label="When there are more" name="request[selection]" value="latest" options=selections error=about("selection")/>
                    </div>
                    <div class="row" aria-live="polite">
                        <Load from=matching let:page><span class="badge">{counted(page.total, "trace matches", "traces match")}</span></Load>
                    </div>
                </section>
                <section class="stack tight">
                    <h2>"Split"</h2>
                    <div class="form">
                        <Field label="Train / val / test, in percent" name="request[split]" value="80/10/10" required=true hint="The test split is what evaluation asks" error=about("split")/>
                        <Field label="Seed" name="request[seed]" kind="number" value="1" min="0" required=true error=about("seed")/>
                    </div>
                </section>
                {move || unfielded().map(|failure| view! { <Problem failure/> })}
                <div class="form-foot">
                    <button class="primary" disabled=move || build.pending().get()><Icon name="database"/>{move || if build.pending().get() { "Building…" } else { "Build dataset" }}</button>
                    <span class="dim">"Immutable once built; the same request gives the same dataset."</span>
                </div>
            </div>
        </ActionForm>
    }
}
