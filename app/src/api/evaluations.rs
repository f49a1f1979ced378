//! Server functions about evaluations and the leaderboard.

use super::Failure;
use domain::api::*;
use leptos::{prelude::*, server_fn::codec::GetUrl};

#[server(prefix = "/api", endpoint = "evaluations/get", input = GetUrl)]
pub async fn evaluations_get(request: GetEvaluation) -> Result<EvaluationDetail, Failure> {
    super::server::answer(super::server::service().evaluations_get(request).await)
}

#[server(prefix = "/api", endpoint = "leaderboard/list", input = GetUrl)]
pub async fn leaderboard_list(request: Leaderboard) -> Result<Vec<LeaderboardRow>, Failure> {
    super::server::answer(super::server::service().leaderboard_list(request).await)
}
