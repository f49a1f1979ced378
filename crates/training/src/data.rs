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
    let texts = train.iter().map(layout::full_text).chain(recipe.data.system.clone());
    let made = tokenizer::train(kind.kind, kind.vocab, texts)?;
    crate::checkpoint::write_atomic(&path, made.to_json()?.as_bytes())?;
    Ok(made)
}

/// Tokens of a split, and which traces were left out or cut for their length.
pub(crate) struct Tokenized {
    pub(crate) rows: Vec<Encoded>,
    /// Their lines in the split.
    too_long: Vec<usize>,
    /// Cut traces of which only the prompt was left: there is nothing to train on.
    nothing_left: Vec<usize>,
}

impl Tokenized {
    /// What a person should know of it.
    pub(crate) fn left_out(&self, recipe: &Recipe) -> Option<String> {
        let Self { too_long, nothing_left, .. } = self;
        let what = match recipe.data.long_traces {
            LongTraces::Truncate if nothing_left.is_empty() => "cut".to_owned(),
            LongTraces::Truncate => format!(
                "cut; of {} of them only the prompt would be left, so they are left out ({})",
                nothing_left.len(),
                lines(nothing_left)
            ),
            _ => format!("left out ({})", lines(too_long)),
        };
        let (count, context) = (too_long.len(), recipe.model.context());
        (count > 0).then(|| format!("{count} traces are longer than model.context = {context}: {what}"))
    }
}

/// How many lines of a split a message names.
const NAMED: usize = 5;

/// `lines 3, 8, 9 and 4 more of the split`
fn lines(numbers: &[usize]) -> String {
    let named: Vec<String> = numbers.iter().take(NAMED).map(usize::to_string).collect();
    let more = numbers.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("line {}{more} of the split", named.join(", "))
}

/// A row is one token longer than what the model reads of it: its last token is only predicted.
pub(crate) fn tokenize(recipe: &Recipe, language: &Language, traces: &[NewTrace]) -> Result<Tokenized, TrainError> {
    let most = recipe.model.context() + 1;
    let mut tokenized = Tokenized { rows: Vec::new(), too_long: Vec::new(), nothing_left: Vec::new() };
    let (system, mut longest) = (recipe.data.system.as_deref(), 0);
    for (number, trace) in (1..).zip(traces) {
        let unlaid = |e| TrainError::Data(format!("{}: {e}", lines(&[number])));
        let mut row = language.encode_trace(system, trace).map_err(unlaid)?;
        longest = longest.max(row.ids.len() - 1);
        if row.ids.len() > most {
            tokenized.too_long.push(number);
            if recipe.data.long_traces != LongTraces::Truncate {
                continue;
            }
            row.ids.truncate(most);
            row.mask.truncate(most);
        }
        if row.mask.contains(&true) {
            tokenized.rows.push(row);
        } else {
            tokenized.nothing_left.push(number);
        }
    }
    if !tokenized.too_long.is_empty() && recipe.data.long_traces == LongTraces::Refuse {
        return Err(TrainError::Data(format!(
            "{} of {} traces are longer than model.context = {} (the longest has {longest} tokens; {}): raise \
             model.context, or set data.long_traces to drop or truncate",
            tokenized.too_long.len(),
            traces.len(),
            recipe.model.context(),
            lines(&tokenized.too_long)
        )));
    }
    Ok(tokenized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches;
    use domain::{Role, Step, Turn, recipe::TokenizerKind};

    #[test]
    fn what_is_trained_is_what_the_assistant_says() {
        let recipe = serde_json::json!({
            "name": "test", "model": {"d_model": 8, "layers": 1, "heads": 1, "context": 64}, "tokenizer": {"kind": "char"},
            "data": {"system": "Sum."}, "train": {"steps": 1, "batch": 1},
        });
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        let turn = |role, content: &str| Turn { role, content: content.into() };
        let trace = NewTrace {
            trace_version: "1.0".into(),
            history: vec![turn(Role::User, "1 + 1 ="), turn(Role::Assistant, "=2")],
            prompt: "And 3?".into(),
            final_answer: "5".into(),
            steps: vec![Step { i: 0, kind: "add".into(), content: "2+3=5".into() }],
            meta: None,
        };
        let texts = [layout::full_text(&trace), "Sum.".to_owned()];
        let language = Language::own(tokenizer::train(TokenizerKind::Char, None, texts).unwrap());
        let rows = tokenize(&recipe, &language, &[trace]).unwrap().rows;
        let batch = batches::batch(&rows);
        let text = |ids: &mut dyn Iterator<Item = u32>| {
            let words =
                ids.map(|id| if id == language.stops()[0] { "|".into() } else { language.decode(&[id]).unwrap() });
            words.collect::<String>()
        };
        assert_eq!(text(&mut batch.targets.iter().map(|id| *id as u32)), "=2|2+3=5\nAnswer: 5|");
        let given = (0..batch.ids.len()).filter(|place| !batch.places.contains(&(*place as i32)));
        // A question's line break asks for its answer; what follows a stop token is not asked for.
        assert_eq!(text(&mut given.map(|place| batch.ids[place] as u32)), "Sum.\n\n1 + 1 =|And 3?");
    }
}
