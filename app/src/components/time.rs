//! A moment: the server writes it exactly; once alive, the page shows it relative with the exact one on hover.

use super::ago;
use crate::state::Clock;
use domain::Micros;
use leptos::prelude::*;

/// A moment in time.
#[component]
pub fn Time(at: Micros) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let iso = at.iso();
    let exact = iso.replace('T', " ").replace('Z', " UTC");
    let minute = exact[..16.min(exact.len())].to_owned();
    let words = move || clock.now().map_or_else(|| minute.clone(), |now| ago(now.seconds_since(at)));
    view! { <time datetime=iso title=exact>{words}</time> }
}
