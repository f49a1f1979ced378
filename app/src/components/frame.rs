//! What is around every page: the rail, the skip link, keys and toasts.

use super::{Icon, KeysDialog, ThemeButton, Toasts};
use leptos::prelude::*;
use leptos_router::components::A;

/// The places of Anneal: address, icon, word.
pub(crate) const PLACES: [(&str, &str, &str); 8] = [
    ("/", "house", "Home"),
    ("/traces", "file-text", "Traces"),
    ("/datasets", "database", "Datasets"),
    ("/models", "box", "Models"),
    ("/runs", "activity", "Runs"),
    ("/leaderboard", "trophy", "Leaderboard"),
    ("/playground", "message-square", "Playground"),
    ("/workers", "cpu", "Workers"),
];

/// The frame around a page.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let places = PLACES
        .into_iter()
        .map(|(href, icon, word)| {
            view! {
                <li>
                    <A href=href exact=href == "/" attr:title=word>
                        <Icon name=icon/>
                        <span class="rail-word">{word}</span>
                    </A>
                </li>
            }
        })
        .collect_view();
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="frame">
            <nav class="rail" aria-label="Main">
                <a class="brand" href="/" aria-label="Anneal, home"><Icon name="flame"/><span class="rail-word">"Anneal"</span></a>
                <ul>{places}</ul>
                <div class="rail-foot">
                    <ThemeButton/>
                    <KeysDialog/>
                </div>
            </nav>
            <main id="main" tabindex="-1">{children()}</main>
        </div>
        <Toasts/>
    }
}
