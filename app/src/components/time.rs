//! A moment: the server writes it exactly; once alive, the page shows it relative with the exact one on hover.

use super::ago;
use crate::browser;
use domain::Micros;
use leptos::prelude::*;

/// A moment in time. Nothing is computed from the clock while rendering, so that server and browser render the same.
#[component]
pub fn Time(at: Micros) -> impl IntoView {
    let iso = at.iso();
    let exact = iso.replace('T', " ").replace('Z', " UTC");
    let text = RwSignal::new(exact[..16.min(exact.len())].to_owned());
    Effect::new(move |_| text.set(ago(browser::now().seconds_since(at))));
    view! { <time datetime=iso title=exact>{text}</time> }
}
