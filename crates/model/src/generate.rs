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
    sampler: Sampler,
    /// The prompt and what was chosen. What the cache does not hold yet is still to be read.
    ids: Vec<u32>,
    cache: KvCache,
    /// Places that may be read.
    room: usize,
}

/// What a generation has read. Another one of the same decoder that begins alike does not read it again: in a conversation
/// that goes on, only the new question.
#[derive(Debug)]
pub struct Memory {
    ids: Vec<u32>,
    cache: KvCache,
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
        Self::after(None, decoder, prompt, sampler, new)
    }

    /// As [`Generator::with_room`], from where `memory` and the prompt part.
    pub fn after(
        memory: Option<Memory>,
        decoder: &'a Decoder,
        prompt: &[u32],
        sampler: Sampler,
        new: usize,
    ) -> Result<Self, GenerateError> {
        let context = decoder.config().context;
        if prompt.is_empty() || prompt.len() >= context {
            return Err(GenerateError::TooLong { prompt: prompt.len(), context });
        }
        let room = context.min(prompt.len().saturating_add(new));
        let cache = match memory {
            Some(Memory { ids, mut cache }) => {
                // The last token is read in any case: the next one is chosen from what comes of it.
                let known = prompt[..prompt.len() - 1].iter().zip(&ids).take_while(|(a, b)| a == b).count();
                cache.rewind(known, room);
                cache
            }
            None => KvCache::new(decoder.config(), vec![0], room, &decoder.device()),
        };
        Ok(Self { decoder, sampler, ids: prompt.to_vec(), cache, room })
    }

    /// The next token, or none when the context is full.
    pub async fn next(&mut self) -> Result<Option<Choice>, GenerateError> {
        if self.ids.len() > self.room {
            return Ok(None);
        }
        let unread = ids_tensor(&[&self.ids[self.cache.used()..]], &self.decoder.device());
        let logits = self.decoder.forward_cached(unread, &mut self.cache);
        let data = logits.into_data_async().await.map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        let logits = data.try_to_vec::<f32>().map_err(|e| GenerateError::Device(format!("{e:?}")))?;
        let choice = self.sampler.choose(&logits);
        self.ids.push(choice.token);
        Ok(Some(choice))
    }

    /// What was read, for a generation that goes on from it.
    pub fn into_memory(mut self) -> Memory {
        self.ids.truncate(self.cache.used());
        Memory { ids: self.ids, cache: self.cache }
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

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use crate::{Folder, devices};
    use std::{future::Future, path::Path, pin::pin, task};

    /// On the CPU nothing is waited for.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
            task::Poll::Ready(value) => value,
            task::Poll::Pending => panic!("the CPU waits for nothing"),
        }
    }

    fn write(mut generator: Generator<'_>) -> (Vec<u32>, Memory) {
        let mut made = Vec::new();
        while let Some(choice) = ready(generator.next()).unwrap() {
            made.push(choice.token);
        }
        (made, generator.into_memory())
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama");
        let decoder = Folder::open(&folder).unwrap().decoder(&devices::flex().0).unwrap();
        let sampler = || Sampler::new(Default::default());
        let (first, mut memory) = write(Generator::with_room(&decoder, &[5, 6, 7], sampler(), 5).unwrap());
        assert_eq!((first.len(), memory.ids.len()), (6, 8), "the last token was not read");
        let went_on = [&[5, 6, 7][..], &first[..4], &[9, 3]].concat();
        for (prompt, known) in [
            (went_on.clone(), 7),
            // The same again, one that parts in its middle, its beginning, and another.
            (went_on.clone(), 8),
            ([&went_on[..4], &[2, 8, 8, 1]].concat(), 4),
            (vec![5, 6], 1),
            (vec![9, 9, 4], 0),
        ] {
            let generator = Generator::after(Some(memory), &decoder, &prompt, sampler(), 6).unwrap();
            assert_eq!(generator.cache.used(), known, "{prompt:?}");
            let (made, left) = write(generator);
            let (anew, _) = write(Generator::with_room(&decoder, &prompt, sampler(), 6).unwrap());
            assert_eq!(made, anew, "{prompt:?}");
            memory = left;
        }
    }
}
