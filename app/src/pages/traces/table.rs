//! The table of traces, with a selection to compare or delete.

use crate::{
    api::{TracesDelete, traces_restore},
    components::{Icon, Time, counted},
    state::Toaster,
};
use domain::{TraceId, api::RestoreTraces, trace::TraceSummary};
use leptos::{prelude::*, task::spawn_local};

#[component]
pub(super) fn Table(
    rows: Vec<TraceSummary>,
    delete: ServerAction<TracesDelete>,
    /// Counts what was undone, so that the list is asked for again.
    restored: RwSignal<usize>,
) -> impl IntoView {
    let toaster = expect_context::<Toaster>();
    let chosen = RwSignal::new(Vec::<TraceId>::new());
    // Kept apart from the selection: the list is drawn anew when the delete is done, and its undo must still know.
    let gone = StoredValue::new(Vec::<TraceId>::new());
    Effect::new(move |before: Option<usize>| {
        let version = delete.version().get();
        if before.is_some_and(|before| before != version) {
            match delete.value().get_untracked() {
                Some(Ok(done)) => {
                    let ids = gone.get_value();
                    let text = format!("{} deleted; datasets keep theirs", counted(done.count, "trace", "traces"));
                    toaster.offer_undo(text, move || {
                        let request = RestoreTraces { ids: ids.clone() };
                        spawn_local(async move {
                            match traces_restore(request).await {
                                Ok(_) => drop(restored.try_update(|n| *n += 1)),
                                Err(failure) => toaster.warn(failure.0.message),
                            }
                        });
                    });
                }
                Some(Err(failure)) => toaster.warn(failure.0.message),
                None => {}
            }
        }
        version
    });
    let ids = StoredValue::new(rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let all = move || chosen.with(|chosen| ids.with_value(|ids| chosen.len() == ids.len()));
    let choose_all = move |ev| {
        chosen.set(if event_target_checked(&ev) { ids.get_value() } else { Vec::new() });
    };
    let compare = move || match chosen.get()[..] {
        [a, b] => Some(
            view! { <a class="button small" href=format!("/traces/compare?a={a}&b={b}")><Icon name="columns-2"/>"Compare"</a> },
        ),
        _ => None,
    };
    let lines = rows.into_iter().map(|row| view! { <Row row chosen/> }).collect_view();
    view! {
        <ActionForm action=delete on:submit:capture=move |_| gone.set_value(chosen.get_untracked())>
            <div class="table-box">
                <table class="traces">
                    <thead>
                        <tr>
                            <th class="check"><input type="checkbox" class="needs-js" aria-label="Select all on this page" prop:checked=all on:change=choose_all/></th>
                            <th>"Prompt"</th><th>"Answer"</th><th class="num">"Steps"</th><th>"Family"</th><th>"Category"</th><th>"Source"</th><th>"Added"</th>
                        </tr>
                    </thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
            <div class="selection" class:active=move || !chosen.get().is_empty()>
                <span class="dim" aria-live="polite">{move || match chosen.get().len() { 0 => "Select rows to compare or delete".to_owned(), n => format!("{n} selected") }}</span>
                {compare}
                <button class="button small danger"><Icon name="trash-2"/>"Delete"</button>
            </div>
        </ActionForm>
    }
}

#[component]
fn Row(row: TraceSummary, chosen: RwSignal<Vec<TraceId>>) -> impl IntoView {
    let id = row.id;
    let on = move || chosen.with(|list| list.contains(&id));
    let toggle = move |ev| {
        let on = event_target_checked(&ev);
        chosen.update(|list| {
            list.retain(|other| *other != id);
            if on {
                list.push(id);
            }
        });
    };
    view! {
        <tr class:chosen=on>
            <td class="check"><input type="checkbox" name="request[ids][]" value=id.to_string() aria-label=format!("Select {}", row.prompt) prop:checked=on on:change=toggle/></td>
            <td class="fill"><a data-row href=format!("/traces/{id}") title=row.prompt.clone()>{row.prompt.clone()}</a></td>
            <td class="name mono" title=row.final_answer.clone()>{row.final_answer.clone()}</td>
            <td class="num">{row.steps}</td>
            <td>{row.family}</td>
            <td class="name">{row.category}</td>
            <td class="name" title=row.source.clone()>{row.source.clone()}</td>
            <td class="dim"><Time at=row.created_at/></td>
        </tr>
    }
}
