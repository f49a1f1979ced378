//! The keyboard: `/` searches, `g` and a letter goes to a place, arrows or j and k walk through rows, `u` takes back,
//! `?` lists the keys.

use super::Icon;
use crate::{browser, state::Toaster};
use leptos::{ev, prelude::*};
use leptos_router::hooks::use_navigate;

/// Second letters after `g`.
const PLACES: [(&str, &str, &str); 8] = [
    ("h", "/", "Home"),
    ("t", "/traces", "Traces"),
    ("d", "/datasets", "Datasets"),
    ("m", "/models", "Models"),
    ("r", "/runs", "Runs"),
    ("l", "/leaderboard", "Leaderboard"),
    ("p", "/playground", "Playground"),
    ("w", "/workers", "Workers"),
];

/// Listens to the keys and offers their list.
#[component]
pub fn KeysDialog() -> impl IntoView {
    let dialog = NodeRef::<leptos::html::Dialog>::new();
    let show = move || browser::show_dialog(dialog);
    let after_g = StoredValue::new(false);
    let navigate = use_navigate();
    let toaster = expect_context::<Toaster>();
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let handle = window_event_listener(ev::keydown, move |key| {
            if key.ctrl_key() || key.meta_key() || key.alt_key() {
                return;
            }
            let pressed = key.key();
            if browser::is_typing(&key) {
                match pressed.as_str() {
                    // From the search straight into what it found, and out of it.
                    "ArrowDown" if browser::is_search(&key) && browser::walk_rows(1) => key.prevent_default(),
                    "Escape" if browser::is_search(&key) => browser::leave_focus(),
                    _ => {}
                }
                return;
            }
            if after_g.get_value() {
                after_g.set_value(false);
                if let Some((_, href, _)) = PLACES.iter().find(|(letter, ..)| *letter == pressed) {
                    key.prevent_default();
                    browser::close_dialog(dialog);
                    navigate(href, Default::default());
                }
                return;
            }
            match pressed.as_str() {
                "g" => after_g.set_value(true),
                "/" if browser::focus("[data-search]") => key.prevent_default(),
                "?" => show(),
                "u" => toaster.undo(),
                "j" => {
                    browser::walk_rows(1);
                }
                "k" => {
                    browser::walk_rows(-1);
                }
                "ArrowDown" if browser::arrows_walk() && browser::walk_rows(1) => key.prevent_default(),
                "ArrowUp" if browser::arrows_walk() && browser::walk_rows(-1) => key.prevent_default(),
                _ => {}
            }
        });
        on_cleanup(move || handle.remove());
    });
    let places = PLACES
        .into_iter()
        .map(|(letter, _, word)| view! { <div><dt><kbd>"g"</kbd><kbd>{letter}</kbd></dt><dd>{word}</dd></div> })
        .collect_view();
    view! {
        <button type="button" class="rail-button needs-js" title="Keys (?)" on:click=move |_| show()>
            <Icon name="keyboard"/>
            <span class="rail-word">"Keys"</span>
        </button>
        <dialog node_ref=dialog class="dialog" aria-labelledby="keys-title" closedby="any">
            <form method="dialog">
                <header><h2 id="keys-title">"Keys"</h2><button class="ghost icon-only" aria-label="Close"><Icon name="x"/></button></header>
            </form>
            <dl class="keys">
                <div><dt><kbd>"/"</kbd></dt><dd>"Search"</dd></div>
                <div><dt><kbd>"↓"</kbd><kbd>"↑"</kbd></dt><dd>"Next, previous row"</dd></div>
                <div><dt><kbd>"j"</kbd><kbd>"k"</kbd></dt><dd>"The same"</dd></div>
                <div><dt><kbd>"Enter"</kbd></dt><dd>"Open the row"</dd></div>
                <div><dt><kbd>"f"</kbd></dt><dd>"Wrong answers only"</dd></div>
                <div><dt><kbd>"u"</kbd></dt><dd>"Undo a delete"</dd></div>
                <div><dt><kbd>"?"</kbd></dt><dd>"This list"</dd></div>
                {places}
            </dl>
        </dialog>
    }
}
