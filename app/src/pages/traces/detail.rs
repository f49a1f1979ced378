//! One trace, with its typed steps and metadata.

use crate::{
    api::traces_get,
    components::{CopyButton, Icon, Load, Page, Time, TraceBody},
};
use domain::{api::GetTrace, trace::MetaValue};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

#[component]
pub fn TracePage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    let trace = Resource::new_blocking(move || id.get(), |id| traces_get(GetTrace { id }));
    let title = Signal::derive(move || {
        let id = id.get();
        id.get(id.len().saturating_sub(8)..).unwrap_or_default().to_owned()
    });
    let action = move || view! { <a class="button" href=move || format!("/traces/compare?a={}", id.get())><Icon name="columns-2"/>"Compare"</a> };
    view! {
        <Page title trail=vec![("/traces", "Traces")] action>
            <Load from=trace let:trace>
                <div class="beside">
                    <div class="card"><TraceBody trace=trace.content.clone()/></div>
                    <aside class="stack">
                        <dl class="pairs">
                            <dt>"Id"</dt><dd><code>{trace.id.to_string()}</code><CopyButton text=trace.id.to_string() label="Copy id"/></dd>
                            <dt>"Source"</dt><dd>{trace.source}</dd>
                            <dt>"Added"</dt><dd><Time at=trace.created_at/></dd>
                            <dt>"Format"</dt><dd>{trace.content.trace_version.clone()}</dd>
                            {trace.content.meta.unwrap_or_default().into_iter().map(|(key, value)| view! { <dt class="wrap">{key}</dt><dd class="mono">{words(&value)}</dd> }).collect_view()}
                        </dl>
                    </aside>
                </div>
            </Load>
        </Page>
    }
}

fn words(value: &MetaValue) -> String {
    match value {
        MetaValue::Text(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
