//! A run's state as icon and word: never by colour alone.

use super::Icon;
use domain::RunState;
use leptos::prelude::*;

/// The badge of a run's state.
#[component]
pub fn StateBadge(state: RunState) -> impl IntoView {
    let (tone, icon, word) = match state {
        RunState::Queued => ("quiet", "clock", "Queued"),
        RunState::Leased => ("ember", "hourglass", "Starting"),
        RunState::Running => ("ember", "flame", "Training"),
        RunState::Evaluating => ("ember", "gauge", "Evaluating"),
        RunState::Done => ("good", "circle-check", "Done"),
        RunState::Cancelling => ("warn", "square", "Stopping"),
        RunState::Cancelled => ("quiet", "ban", "Cancelled"),
        RunState::Failed => ("bad", "circle-x", "Failed"),
    };
    view! { <span class=format!("badge {tone}") data-state=state.key()><Icon name=icon/>{word}</span> }
}
