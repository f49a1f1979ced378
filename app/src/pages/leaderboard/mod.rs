//! The leaderboard.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn LeaderboardPage() -> impl IntoView {
    view! { <Page title="Leaderboard"><p>"…"</p></Page> }
}
