//! Checks a recipe against its dataset and this machine before anything starts.

use crate::{Service, errors::internal, machine, models, recipe};
use domain::{
    Recipe,
    api::{ApiError, FieldError},
    estimate::{self, Estimate},
    finetune::Method,
    model::ModelConfig,
    recipe::{LongTraces, TokenizerKind},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead,
};
use storage::StoredDataset;
use text::layout;

/// Lines of the train split read for its alphabet: enough to meet nearly every character.
const LINES: usize = 2_000;
/// Tokens that a chat template may put around a question and its answer.
const TEMPLATE: usize = 64;
/// Floating-point operations a second of two CPU cores, until runs on this machine have told better.
const RULE_OF_THUMB: f64 = 3e10;

/// A recipe that can start.
pub(crate) struct Checked {
    pub(crate) recipe: Recipe,
    pub(crate) model: ModelConfig,
    pub(crate) estimate: Estimate,
    pub(crate) seconds: f64,
}

impl Service {
    /// Reads and checks; all complaints at once.
    pub(crate) async fn checked(
        &self,
        text: &str,
        overrides: &BTreeMap<String, String>,
        dataset: Option<&StoredDataset>,
    ) -> Result<Result<Checked, Vec<FieldError>>, ApiError> {
        let yaml = recipe::resolve(text);
        let recipe = match recipe::parse(yaml, overrides) {
            Ok(recipe) => recipe,
            Err(errors) => return Ok(Err(errors)),
        };
        let base = match self.base_of(&recipe).await? {
            Ok(base) => base,
            Err(error) => return Ok(Err(vec![error])),
        };
        let mut errors = base.as_ref().map_or_else(Vec::new, |base| models::unsuitable(&recipe, base));
        let mut complain = |path: &str, message: String| errors.push(FieldError { path: path.to_owned(), message });
        let (kind, asked) = recipe.tokenizer.as_ref().map_or((None, None), |t| (Some(t.kind), t.vocab));
        let vocab = match kind {
            Some(TokenizerKind::Char) => {
                text::tokenizer::SPECIAL.len() + dataset.map_or(96, |d| self.alphabet(d, &recipe))
            }
            Some(TokenizerKind::Bpe) | None => asked.unwrap_or(text::tokenizer::BPE_VOCAB),
        };
        let mut sequence = recipe.model.context();
        if let Some(dataset) = dataset {
            let stats = &dataset.dataset.stats;
            let characters = stats.mean_characters * f64::from(stats.train);
            if kind == Some(TokenizerKind::Bpe) && (vocab - 260) as f64 > characters / 4.0 {
                let most = 260 + (characters / 4.0) as usize;
                complain(
                    "tokenizer.vocab",
                    format!("is larger than the data can fill: {characters:.0} characters support at most {most}"),
                );
            }
            // A character tokenizer's lengths are known before training; `<bos>` stands for the stop token not read.
            let before = layout::instructed(recipe.data.system.as_deref(), "").chars().count();
            let longest = stats.max_characters as usize + 1 + before;
            if !recipe.data.packing {
                // Other tokenizers need fewer tokens than characters; a base model's chat template adds some.
                sequence = sequence.min(if base.is_some() { longest + TEMPLATE } else { longest });
            }
            if kind == Some(TokenizerKind::Char)
                && recipe.data.long_traces == LongTraces::Refuse
                && longest > recipe.model.context()
            {
                complain(
                    "model.context",
                    format!(
                        "is {}, but the longest trace has {longest} tokens: raise it, or set data.long_traces to drop or truncate",
                        recipe.model.context()
                    ),
                );
            }
        }
        let model = match (&base, recipe.model.shape()) {
            (Some(base), _) => base.config.clone(),
            (None, Some(shape)) => shape.config(vocab),
            (None, None) => return Err(ApiError::internal("a recipe without a shape has no base model")),
        };
        let lora = recipe.lora.as_ref().filter(|_| recipe.method == Method::Lora);
        let available = machine::memory_available();
        let estimate = estimate::training(&model, &recipe.train, recipe.optimizer.kind, lora, sequence, available);
        if let Some(available) = available
            && estimate.total_bytes > available
        {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            complain(
                "train.batch",
                format!(
                    "this run needs about {:.1} GB of memory, {:.1} GB are available: lower train.batch, model.context or the model's sizes",
                    gb(estimate.total_bytes),
                    gb(available)
                ),
            );
        }
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        let seconds = self.seconds(&estimate).await?;
        Ok(Ok(Checked { recipe, model, estimate, seconds }))
    }

    /// From the speed of earlier runs here, scaled by parameters; else a rule of thumb.
    async fn seconds(&self, estimate: &Estimate) -> Result<f64, ApiError> {
        let speeds = self.store().speeds(10).await.map_err(internal)?;
        let work: Vec<f64> = speeds.iter().map(|(p, t)| *p as f64 * t).filter(|w| *w > 0.0).collect();
        if work.is_empty() {
            return Ok(estimate.flops / RULE_OF_THUMB);
        }
        let mean = work.iter().sum::<f64>() / work.len() as f64;
        Ok(estimate.tokens as f64 * estimate.parameters as f64 / mean)
    }

    /// Different characters of the train split's first traces.
    fn alphabet(&self, dataset: &StoredDataset, recipe: &Recipe) -> usize {
        let path = self.store().objects().path(&dataset.train);
        let Ok(file) = std::fs::File::open(path) else { return 96 };
        let mut seen: BTreeSet<char> = recipe.data.system.iter().flat_map(|system| system.chars()).collect();
        for line in std::io::BufReader::new(file).lines().take(LINES).map_while(Result::ok) {
            if let Ok(trace) = serde_json::from_str(&line) {
                seen.extend(layout::full_text(&trace).chars());
            }
        }
        seen.len()
    }
}
