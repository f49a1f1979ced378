//! What a model can do: loss on the val split, samples, and one prediction for each held-out item.

use crate::{
    batches, loss,
    run::{Run, TrainError},
};
use domain::{NewTrace, Prediction, TrainEvent};
use model::{Decoder, generate::greedy_batch};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
};
use text::{layout::Encoded, score};

/// Rows that answer at once, at least and at most.
const FEWEST: usize = 8;
const MOST: usize = 64;

/// Mean loss per trained token, in nats; NaN without rows. `batch`: rows read at once; the training's own has been found to
/// fit into memory.
pub(crate) fn val_loss(decoder: &Decoder, rows: &[Encoded], batch: usize) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for chunk in rows.chunks(batch) {
        let batch = batches::batch(chunk);
        sum += f64::from(loss::sum(decoder, &batch).into_scalar::<f32>());
        count += batch.places.len();
    }
    sum / count as f64
}

/// Generated text of each trace's prompt and what was said before it, greedily: tokens, whether it stopped by itself, text.
fn generate(run: &Run<'_>, decoder: &Decoder, traces: &[&NewTrace]) -> Result<Vec<(usize, bool, String)>, TrainError> {
    let context = decoder.config().context;
    let mut prompts = Vec::new();
    for trace in traces {
        let mut ids = run.language.encode_opening(run.job.recipe.data.system.as_deref(), trace)?;
        // Room for at least one token; the end of a prompt matters more than its beginning.
        if ids.len() >= context {
            ids.drain(1..ids.len() - context + 2);
        }
        prompts.push(ids);
    }
    let most = run.job.recipe.evaluation.max_new_tokens;
    let rows = greedy_batch(decoder, &prompts, &run.language.stops(), most);
    rows.into_iter().map(|(ids, stopped)| Ok((ids.len(), stopped, run.language.decode(&ids)?))).collect()
}

/// Samples on the first val traces.
pub(crate) fn samples(run: &mut Run<'_>, decoder: &Decoder, step: u64) -> Result<(), TrainError> {
    let traces: Vec<&NewTrace> = run.val.iter().take(run.job.recipe.evaluation.samples).collect();
    let texts = generate(run, decoder, &traces)?;
    let sample = |(trace, (_, _, text)): (&&NewTrace, (usize, bool, String))| TrainEvent::Sample {
        step,
        history: trace.history.clone(),
        prompt: trace.prompt.clone(),
        expected: trace.final_answer.clone(),
        text,
    };
    let found: Vec<TrainEvent> = traces.iter().zip(texts).map(sample).collect();
    found.into_iter().for_each(|sample| (run.sink)(sample));
    Ok(())
}

/// One prediction for each item of the test split, kept in a file named after the trained weights' `hash`, so that an evaluation that was
/// interrupted goes on where it stopped. Returns false when asked to stop.
pub(crate) fn predictions(run: &mut Run<'_>, decoder: &Decoder, hash: &str) -> Result<bool, TrainError> {
    let limit = run.job.recipe.evaluation.test_items;
    let items = if limit == 0 { run.test.len() } else { limit.min(run.test.len()) };
    (run.sink)(TrainEvent::Evaluating { items });
    let path = run.job.work.join(format!("predictions-{}.jsonl", &hash[..16]));
    let mut done = 0;
    if let Ok(file) = File::open(&path) {
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        for prediction in lines.map_while(|l| serde_json::from_str::<Prediction>(&l).ok()).take(items) {
            done += 1;
            (run.sink)(TrainEvent::Predicted(prediction));
        }
    }
    let mut file = File::options().create(true).append(true).open(&path).map_err(TrainError::Disk)?;
    // Answering needs far less memory a row than training does, but not nothing.
    let at_once = run.batch.clamp(FEWEST, MOST);
    while done < items {
        if run.stop.asked() {
            return Ok(false);
        }
        let traces: Vec<NewTrace> = run.test[done..items.min(done + at_once)].to_vec();
        let texts = generate(run, decoder, &traces.iter().collect::<Vec<_>>())?;
        for (trace, (tokens, stopped, generated)) in traces.iter().zip(texts) {
            let family = trace.family().or(run.job.family);
            let verified = |answer: &str| family.is_some_and(|f| tasks::verify(f, &trace.prompt, answer));
            let prediction = Prediction {
                item: done as u32,
                history: trace.history.clone(),
                prompt: trace.prompt.clone(),
                expected: trace.final_answer.clone(),
                verdict: score::judge(&trace.final_answer, &generated, verified),
                generated,
                finish: if stopped { "stop" } else { "length" }.to_owned(),
                tokens: tokens as u32,
                category: trace.category().map(str::to_owned),
            };
            let line = serde_json::to_string(&prediction).map_err(|e| TrainError::Disk(e.into()))?;
            writeln!(file, "{line}").map_err(TrainError::Disk)?;
            (run.sink)(TrainEvent::Predicted(prediction));
            done += 1;
        }
    }
    Ok(true)
}
