//! Short messages that appear, offer an undo, and go.

use super::Icon;
use crate::state::Toaster;
use leptos::prelude::*;

/// Where toasts appear: a live region, so that they are read out.
#[component]
pub fn Toasts() -> impl IntoView {
    let toaster = expect_context::<Toaster>();
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toaster.list() key=|toast| toast.id let:toast>
                <div class=if toast.bad { "toast bad" } else { "toast" }>
                    <span>{toast.text.clone()}</span>
                    {toast.undo.map(|undo| {
                        view! {
                            <button type="button" class="ghost" on:click=move |_| { undo(); toaster.drop(toast.id); }>
                                <Icon name="undo-2"/>"Undo"<kbd aria-hidden="true">"u"</kbd>
                            </button>
                        }
                    })}
                    <button type="button" class="ghost icon-only" aria-label="Dismiss" on:click=move |_| toaster.drop(toast.id)>
                        <Icon name="x"/>
                    </button>
                </div>
            </For>
        </div>
    }
}
