//! Evaluations and the leaderboard.

use crate::{Service, errors::internal};
use domain::{RunState, api::*, evaluation::Evaluation};
use text::score::wilson;

/// Rows of the leaderboard.
const ROWS: u32 = 1_000;

impl Service {
    pub async fn evaluations_get(&self, request: GetEvaluation) -> Result<EvaluationDetail, ApiError> {
        let id = self.run_id(&request.run).await?;
        let strict = match request.only.trim() {
            "" => None,
            "wrong" => Some(false),
            "right" => Some(true),
            other => return Err(ApiError::field("only", format!("{other:?} is not wrong or right"))),
        };
        let run = self.store().run(id).await.map_err(internal)?;
        let limit = if request.limit == 0 { u32::MAX } else { request.limit };
        let (predictions, matching) =
            self.store().predictions(id, strict, request.offset, limit).await.map_err(internal)?;
        let evaluation = Evaluation {
            run: id,
            dataset: run.dataset,
            extractor: run.extractor.unwrap_or_else(|| text::extract::VERSION.to_owned()),
            complete: run.state == RunState::Done,
            items: run.evaluation_items,
            strict: wilson(run.strict, run.evaluated),
            flexible: wilson(run.flexible, run.evaluated),
        };
        Ok(EvaluationDetail { evaluation, predictions, matching })
    }

    pub async fn leaderboard_list(&self, request: Leaderboard) -> Result<Vec<LeaderboardRow>, ApiError> {
        let entries = self.store().leaderboard(request.dataset.trim(), request.search.trim(), ROWS).await;
        let mut rows: Vec<LeaderboardRow> = Vec::new();
        for (place, e) in (1..).zip(entries.map_err(internal)?) {
            let (strict, flexible) = (wilson(e.strict, e.items), wilson(e.flexible, e.items));
            let same =
                rows.last().filter(|last| last.strict.value == strict.value && last.dataset_hash == e.dataset_hash);
            rows.push(LeaderboardRow {
                rank: same.map_or(place, |last| last.rank),
                run: e.run,
                name: e.name,
                dataset: e.dataset,
                dataset_hash: e.dataset_hash,
                extractor: e.extractor,
                parameters: e.parameters,
                strict,
                flexible,
                finished_at: e.finished_at,
            });
        }
        Ok(rows)
    }
}
