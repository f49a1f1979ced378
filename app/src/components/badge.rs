//! A run's state as icon and word: never by colour alone.

use super::Icon;
use domain::RunState;
use leptos::prelude::*;

/// A state in a word.
pub fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "Queued",
        RunState::Leased => "Starting",
        RunState::Running => "Training",
        RunState::Evaluating => "Evaluating",
        RunState::Done => "Done",
        RunState::Cancelling => "Stopping",
        RunState::Cancelled => "Cancelled",
        RunState::Failed => "Failed",
    }
}

/// The badge of a run's state.
#[component]
pub fn StateBadge(state: RunState) -> impl IntoView {
    let (tone, icon) = match state {
        RunState::Queued => ("quiet", "clock"),
        RunState::Leased => ("ember", "hourglass"),
        RunState::Running => ("ember", "flame"),
        RunState::Evaluating => ("ember", "gauge"),
        RunState::Done => ("good", "circle-check"),
        RunState::Cancelling => ("warn", "square"),
        RunState::Cancelled => ("quiet", "ban"),
        RunState::Failed => ("bad", "circle-x"),
    };
    view! { <span class=format!("badge {tone}") data-state=state.key()><Icon name=icon/>{state_word(state)}</span> }
}
