//! Evaluations and the leaderboard.

use crate::Service;
use domain::api::*;

impl Service {
    pub async fn evaluations_get(&self, _request: GetEvaluation) -> Result<EvaluationDetail, ApiError> { todo!() }
    pub async fn leaderboard_list(&self, _request: Leaderboard) -> Result<Vec<LeaderboardRow>, ApiError> { todo!() }
}
