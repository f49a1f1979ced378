//! Runs as people see them, from what storage keeps.

use crate::{Service, errors::internal};
use domain::{
    ModelConfig, Recipe, RunId, RunState,
    api::{ApiError, RunDetail, RunRow},
};
use storage::RunRecord;
use text::score::wilson;

/// A row of the run table.
pub(crate) fn row(run: RunRecord) -> RunRow {
    let score = |right: u32| (run.evaluated > 0).then(|| wilson(right, run.evaluated));
    RunRow {
        strict: score(run.strict),
        flexible: score(run.flexible),
        seconds_left: seconds_left(&run),
        id: run.id,
        name: run.name,
        state: run.state,
        reason: run.reason,
        dataset: run.dataset,
        created_at: run.created_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
        attempts: run.fence,
        step: run.step,
        steps: run.steps,
        parameters: run.parameters,
        device: run.device.map(|d| d.backend),
        loss: run.loss,
        val_loss: run.val_loss,
        best_val_loss: run.best_val_loss,
        tokens_per_sec: run.tokens_per_sec,
        peak_memory_bytes: run.peak_memory_bytes,
        sparkline: run.sparkline,
    }
}

/// From the pace of this attempt: steps left at the seconds a step has taken.
fn seconds_left(run: &RunRecord) -> Option<f64> {
    let (from, since, now) = (run.pace_step?, run.pace_at?, run.step_at?);
    if run.state != RunState::Running || run.step <= from {
        return None;
    }
    let each = now.seconds_since(since) / (run.step - from) as f64;
    Some(each * run.steps.saturating_sub(run.step) as f64)
}

impl Service {
    /// The model's shape: of the base model as long as it is known, else by the recipe once the vocabulary is known.
    async fn shape_of(&self, recipe: &Recipe, vocab: Option<u64>) -> Result<Option<ModelConfig>, ApiError> {
        if let Some(shape) = recipe.model.shape() {
            return Ok(vocab.map(|vocab| shape.config(vocab as usize)));
        }
        Ok(self.base_of(recipe).await?.ok().flatten().map(|base| base.config))
    }

    /// All of one run.
    pub(crate) async fn detail(&self, id: RunId) -> Result<RunDetail, ApiError> {
        let store = self.store();
        let run = store.run(id).await.map_err(internal)?;
        let texts = store.run_texts(id).await.map_err(internal)?;
        Ok(RunDetail {
            model: self.shape_of(&texts.recipe, run.vocab).await?,
            recipe: texts.recipe,
            recipe_yaml: texts.recipe_yaml,
            recipe_hash: run.recipe_hash.clone(),
            dataset_hash: run.dataset_hash.clone(),
            device_info: run.device.clone(),
            estimate: texts.estimate,
            attempts_made: store.attempts(id).await.map_err(internal)?,
            checkpoints: store.checkpoints(id, 100).await.map_err(internal)?,
            alarms: store.alarms(id, 100).await.map_err(internal)?,
            files: store.run_files(id).await.map_err(internal)?,
            evaluated: run.evaluated,
            evaluation_items: run.evaluation_items,
            last_seq: run.last_seq,
            row: row(run),
        })
    }
}
