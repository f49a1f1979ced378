//! A run's life as one pure state machine. Storage keeps the state, the scheduler proposes events, this table decides.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a worker.
    Queued,
    /// A worker holds it; its child has not reported yet.
    Leased,
    Running,
    Evaluating,
    Done,
    /// Asked to stop; its child is saving a checkpoint.
    Cancelling,
    Cancelled,
    Failed,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunChange {
    Claim,
    Start,
    Evaluate,
    Finish,
    /// A person asks it to stop.
    Cancel,
    /// Its child has stopped after a cancel.
    Stopped,
    /// Its lease expired or its child died, and attempts are left: it goes back to the queue (state "lost → queued").
    Lose,
    /// It cannot go on.
    Fail,
    /// A person asks for another try.
    Retry,
}

/// A change that does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot {change:?}")]
pub struct IllegalChange {
    pub state: RunState,
    pub change: RunChange,
}

/// Leases a run gets before it fails.
pub const MAX_ATTEMPTS: u32 = 3;

impl RunState {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Leased,
        Self::Running,
        Self::Evaluating,
        Self::Done,
        Self::Cancelling,
        Self::Cancelled,
        Self::Failed,
    ];

    pub const fn key(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Running => "running",
            Self::Evaluating => "evaluating",
            Self::Done => "done",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Nothing more happens by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed)
    }

    /// A worker holds it.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Leased | Self::Running | Self::Evaluating | Self::Cancelling)
    }

    /// The state after `change`.
    pub const fn after(self, change: RunChange) -> Result<Self, IllegalChange> {
        use {RunChange as C, RunState as S};
        Ok(match (self, change) {
            (S::Queued, C::Claim) => S::Leased,
            (S::Leased | S::Running, C::Start) => S::Running,
            (S::Leased | S::Running | S::Evaluating, C::Evaluate) => S::Evaluating,
            // A run may finish in the moment it was asked to stop: what is finished stays finished.
            (S::Running | S::Evaluating | S::Cancelling, C::Finish) => S::Done,
            (S::Queued, C::Cancel) => S::Cancelled,
            (S::Leased | S::Running | S::Evaluating | S::Cancelling, C::Cancel) => S::Cancelling,
            (S::Cancelling, C::Stopped | C::Lose | C::Fail) => S::Cancelled,
            (S::Leased | S::Running | S::Evaluating, C::Lose | C::Stopped) => S::Queued,
            (S::Queued | S::Leased | S::Running | S::Evaluating, C::Fail) => S::Failed,
            (S::Failed | S::Cancelled, C::Retry) => S::Queued,
            _ => return Err(IllegalChange { state: self, change }),
        })
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for RunState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.key() == text).ok_or_else(|| format!("unknown run state {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {RunChange as C, RunState as S};

    #[test]
    fn the_whole_table() {
        let changes = [C::Claim, C::Start, C::Evaluate, C::Finish, C::Cancel, C::Stopped, C::Lose, C::Fail, C::Retry];
        let x = None;
        #[rustfmt::skip]
        let table: [(S, [Option<S>; 9]); 8] = [
            //                Claim            Start            Evaluate            Finish         Cancel               Stopped             Lose                Fail             Retry
            (S::Queued,     [Some(S::Leased), x,               x,                  x,             Some(S::Cancelled),  x,                  x,                  Some(S::Failed), x]),
            (S::Leased,     [x,               Some(S::Running),Some(S::Evaluating),x,             Some(S::Cancelling), Some(S::Queued),    Some(S::Queued),    Some(S::Failed), x]),
            (S::Running,    [x,               Some(S::Running),Some(S::Evaluating),Some(S::Done), Some(S::Cancelling), Some(S::Queued),    Some(S::Queued),    Some(S::Failed), x]),
            (S::Evaluating, [x,               x,               Some(S::Evaluating),Some(S::Done), Some(S::Cancelling), Some(S::Queued),    Some(S::Queued),    Some(S::Failed), x]),
            (S::Done,       [x,               x,               x,                  x,             x,                   x,                  x,                  x,               x]),
            (S::Cancelling, [x,               x,               x,                  Some(S::Done), Some(S::Cancelling), Some(S::Cancelled), Some(S::Cancelled), Some(S::Cancelled), x]),
            (S::Cancelled,  [x,               x,               x,                  x,             x,                   x,                  x,                  x,               Some(S::Queued)]),
            (S::Failed,     [x,               x,               x,                  x,             x,                   x,                  x,                  x,               Some(S::Queued)]),
        ];
        for (state, row) in table {
            for (change, expected) in changes.into_iter().zip(row) {
                assert_eq!(state.after(change).ok(), expected, "{state} {change:?}");
            }
        }
    }
}
