//! Reads the splits, trains or loads the tokenizer, and turns traces into tokens with their loss mask.

use crate::run::TrainError;
use domain::{NewTrace, Recipe, recipe::LongTraces};
use std::{fs, io::BufRead, path::Path};
use text::{
    language::Language,
    layout::{self, Encoded},
    tokenizer::{self, Tokenizer},
};

/// Traces of one JSONL file.
pub(crate) fn read(path: &Path) -> Result<Vec<NewTrace>, TrainError> {
    let failed = |reason: String| TrainError::Data(format!("{}: {reason}", path.display()));
    let file = fs::File::open(path).map_err(|e| failed(e.to_string()))?;
    let mut traces = Vec::new();
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| failed(e.to_string()))?;
        if !line.trim().is_empty() {
            let trace = serde_json::from_str(&line).map_err(|e| failed(format!("line {}: {e}", number + 1)))?;
            traces.push(trace);
        }
    }
    Ok(traces)
}

/// The tokenizer of the work directory; trained on the train split the first time.
pub(crate) fn tokenizer(recipe: &Recipe, train: &[NewTrace], work: &Path) -> Result<Tokenizer, TrainError> {
    let path = work.join("tokenizer.json");
    if let Ok(json) = fs::read_to_string(&path) {
        return Ok(Tokenizer::from_json(&json)?);
    }
    let kind = recipe.tokenizer.clone();
    let kind = kind.ok_or_else(|| TrainError::Data("the recipe lacks a tokenizer for a model from scratch".into()))?;
    let made = tokenizer::train(kind.kind, kind.vocab, train.iter().map(layout::full_text))?;
    crate::checkpoint::write_atomic(&path, made.to_json()?.as_bytes())?;
    Ok(made)
}

/// Tokens of a split, and how many traces were left out or cut for their length.
pub(crate) struct Tokenized {
    pub(crate) rows: Vec<Encoded>,
    too_long: usize,
    /// Cut traces of which only the prompt was left: there is nothing to train on.
    nothing_left: usize,
}

impl Tokenized {
    /// What a person should know of it.
    pub(crate) fn left_out(&self, recipe: &Recipe) -> Option<String> {
        let Self { too_long, nothing_left, .. } = self;
        let what = match recipe.data.long_traces {
            LongTraces::Truncate => {
                format!("cut; of {nothing_left} of them only the prompt would be left, so they are left out")
            }
            _ => "left out".to_owned(),
        };
        let context = recipe.model.context();
        (*too_long > 0).then(|| format!("{too_long} traces are longer than model.context = {context}: {what}"))
    }
}

/// A row is one token longer than what the model reads of it: its last token is only predicted.
pub(crate) fn tokenize(recipe: &Recipe, language: &Language, traces: &[NewTrace]) -> Result<Tokenized, TrainError> {
    let most = recipe.model.context() + 1;
    let mut tokenized = Tokenized { rows: Vec::new(), too_long: 0, nothing_left: 0 };
    let mut longest = 0;
    for trace in traces {
        let mut row = language.encode_trace(trace)?;
        longest = longest.max(row.ids.len() - 1);
        if row.ids.len() > most {
            tokenized.too_long += 1;
            if recipe.data.long_traces != LongTraces::Truncate {
                continue;
            }
            row.ids.truncate(most);
            row.mask.truncate(most);
        }
        if row.mask.contains(&true) {
            tokenized.rows.push(row);
        } else {
            tokenized.nothing_left += 1;
        }
    }
    if tokenized.too_long > 0 && recipe.data.long_traces == LongTraces::Refuse {
        return Err(TrainError::Data(format!(
            "{} of {} traces are longer than model.context = {} (the longest has {longest} tokens): raise model.context, \
             or set data.long_traces to drop or truncate",
            tokenized.too_long,
            traces.len(),
            recipe.model.context()
        )));
    }
    Ok(tokenized)
}
