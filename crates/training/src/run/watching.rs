//! What the loop watches for beside training: alarms, room on the disk, and the weights worth keeping in the end.

use super::steps::Loop;
use crate::{alarms::Figures, checkpoint::Progress, disk};
use domain::TrainEvent;
use model::Decoder;

impl Loop<'_> {
    /// Tells what stands out in a step.
    pub(super) fn look_at(&mut self, figures: Figures) {
        for message in self.watch.step(figures, self.run.job.recipe.optimizer.clip_norm) {
            (self.run.sink)(TrainEvent::Alarm { step: figures.step, message });
        }
    }

    /// The model that is evaluated and exported in the end: the last one, or the best where the recipe watches for it.
    pub(super) fn outcome(&mut self, decoder: &Decoder) -> Decoder {
        let Progress { step, best_step, .. } = self.progress;
        let best = best_step.filter(|best| *best < step);
        if let (Some(evaluations), Some(best)) = (self.run.job.recipe.evaluation.stop_after, best) {
            if self.progress.patience.spent(Some(evaluations)) {
                let line = format!("step {step}: stopped early, {evaluations} evaluations without a better val loss");
                (self.run.sink)(TrainEvent::Log { line });
            }
            match self.checkpoints.read(best, &self.start, &self.optimizer) {
                Ok(loaded) => {
                    (self.run.sink)(TrainEvent::Log {
                        line: format!("step {best} was the best: its weights are kept"),
                    });
                    return loaded.optimizer.evaluated(&loaded.decoder);
                }
                Err(reason) => {
                    let message =
                        format!("the best checkpoint, of step {best}, is not sound: {reason}; the last is kept");
                    (self.run.sink)(TrainEvent::Alarm { step, message });
                }
            }
        }
        self.optimizer.evaluated(decoder)
    }

    /// Whether the next checkpoints find room; `bytes`: what the last one took, else what one will take about.
    pub(super) fn look_at_disk(&mut self, bytes: Option<u64>) {
        // Trained weights and two moments, in f32.
        let bytes = bytes.unwrap_or(3 * 4 * self.start.trained());
        let free = disk::free(&self.run.job.work);
        if let Some(message) = free.and_then(|free| self.watch.disk(free, bytes)) {
            (self.run.sink)(TrainEvent::Alarm { step: self.progress.step, message });
        }
    }
}
