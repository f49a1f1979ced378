//! Token by token: a decoder, its cache and a sampler. Reads are asynchronous, as browsers demand.

use crate::{Decoder, KvCache, Sampler, sampler::Choice};
use burn::tensor::{Int, Tensor, TensorData};

/// Why generation stopped with an error.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("the prompt has {prompt} tokens, the model's context {context}")]
    TooLong { prompt: usize, context: usize },
    #[error("the device failed: {0}")]
    Device(String),
}

/// One continuation of one prompt.
#[derive(Debug)]
pub struct Generator<'a> {
    decoder: &'a Decoder,
    cache: KvCache,
    sampler: Sampler,
    /// What the model has not read yet: the prompt at first, then the last token.
    unread: Vec<u32>,
}

impl<'a> Generator<'a> {
    /// `prompt`: at least one token, fewer than the context.
    pub fn new(decoder: &'a Decoder, prompt: &[u32], sampler: Sampler) -> Result<Self, GenerateError> {
        Self::with_room(decoder, prompt, sampler, decoder.config().context)
    }

    /// With a cache for no more than `new` tokens behind the prompt: every step looks through the whole cache, so a long
    /// context that is not used would cost time.
    pub fn with_room(
        decoder: &'a Decoder,
        prompt: &[u32],
        sampler: Sampler,
        new: usize,
    ) -> Result<Self, GenerateError> {
        let context = decoder.config().context;
        if prompt.is_empty() || prompt.len() >= context {
            return Err(GenerateError::TooLong { prompt: prompt.len(), context });
        }
        let capacity = context.min(prompt.len().saturating_add(new));
        let cache = KvCache::new(decoder.config(), vec![0], capacity, &decoder.device());
        Ok(Self { decoder, cache, sampler, unread: prompt.to_vec() })
    }

    /// The next token, or none when the context is full.
    pub async fn next(&mut self) -> Result<Option<Choice>, GenerateError> {
        if self.cache.used() + self.unread.len() > self.cache.capacity() {
            return Ok(None);
        }
        let logits = self.decoder.forward_cached(ids_tensor(&[&self.unread], &self.decoder.device()), &mut self.cache);
        let data = logits.into_data_async().await.map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        let logits = data.try_to_vec::<f32>().map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        let choice = self.sampler.choose(&logits);
        self.unread = vec![choice.token];
        Ok(Some(choice))
    }
}

/// Every logit of one row, one list a token, natively.
#[cfg(not(target_family = "wasm"))]
pub fn logits(decoder: &Decoder, row: &[u32]) -> Result<Vec<Vec<f32>>, GenerateError> {
    let data = decoder.forward(ids_tensor(&[row], &decoder.device())).into_data();
    let values = data.try_to_vec::<f32>().map_err(|e| GenerateError::Device(format!("{e:?}")))?;
    Ok(values.chunks_exact(decoder.config().vocab).map(<[f32]>::to_vec).collect())
}

/// Rows of equal length as a tensor.
///
/// # Shapes
/// → `[rows, length]`
pub fn ids_tensor(rows: &[&[u32]], device: &burn::tensor::Device) -> Tensor<2, Int> {
    let length = rows.first().map_or(0, |r| r.len());
    let values: Vec<i32> = rows.iter().flat_map(|r| r.iter().map(|&id| id as i32)).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), length]), device)
}

/// Greedy continuations of several prompts at once, natively: each row's new tokens, without the stop token (any of `stops`),
/// and whether it stopped by itself. Prompts are padded on the left; a row ends at the context, however long its neighbours are.
#[cfg(not(target_family = "wasm"))]
pub fn greedy_batch(decoder: &Decoder, prompts: &[Vec<u32>], stops: &[u32], max_new: usize) -> Vec<(Vec<u32>, bool)> {
    let device = decoder.device();
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    // Positions are counted from a row's own beginning, so a padded row may lie beyond the context's width.
    let capacity = longest + max_new;
    let room = |row: usize| max_new.min((decoder.config().context + 1).saturating_sub(prompts[row].len()));
    let pads: Vec<usize> = prompts.iter().map(|p| longest - p.len()).collect();
    let mut cache = KvCache::new(decoder.config(), pads.clone(), capacity, &device);
    let mut rows: Vec<Vec<u32>> =
        prompts.iter().zip(&pads).map(|(p, &pad)| [vec![0; pad], p.clone()].concat()).collect();
    let mut done: Vec<(Vec<u32>, bool)> = vec![(Vec::new(), false); prompts.len()];
    for _ in 0..max_new {
        if done.iter().enumerate().all(|(row, (ids, stopped))| *stopped || ids.len() >= room(row)) {
            break;
        }
        let input: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let next = decoder.forward_cached(ids_tensor(&input, &device), &mut cache).argmax(1);
        let next: Vec<u32> = next.into_data().iter::<i64>().map(|id| id as u32).collect();
        for (row, &token) in next.iter().enumerate() {
            if done[row].1 || done[row].0.len() >= room(row) {
                continue;
            }
            if stops.contains(&token) {
                done[row].1 = true;
            } else {
                done[row].0.push(token);
            }
        }
        rows = next.into_iter().map(|token| vec![token]).collect();
    }
    done
}
