//! Small buttons that act on the page itself: copy, theme.

use super::Icon;
use crate::browser;
use leptos::prelude::*;

/// Copies `text`; says so for two seconds.
#[component]
pub fn CopyButton(
    #[prop(into)] text: Signal<String>,
    /// What is copied, for its label: "Copy hash".
    #[prop(default = "Copy")]
    label: &'static str,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        browser::copy(&text.get_untracked());
        copied.set(true);
        set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
    };
    view! {
        <button type="button" class="ghost icon-only needs-js" title=label aria-label=label on:click=copy>
            {move || if copied.get() { view! { <Icon name="check"/> } } else { view! { <Icon name="copy"/> } }}
        </button>
        <span class="visually-hidden" role="status">{move || copied.get().then_some("Copied")}</span>
    }
}

/// Changes between light and dark, and remembers.
#[component]
pub fn ThemeButton() -> impl IntoView {
    view! {
        <button type="button" class="rail-button needs-js" title="Light or dark" on:click=move |_| browser::toggle_theme()>
            <span class="only-light"><Icon name="moon"/></span>
            <span class="only-dark"><Icon name="sun"/></span>
            <span class="rail-word">"Theme"</span>
        </button>
    }
}
