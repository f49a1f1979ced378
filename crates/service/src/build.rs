//! Building a dataset: select, take each question (a prompt and what was said before it) once, split by a seeded order,
//! freeze as three files named by content. The same traces and request give the same bytes, in whatever order they were added
//! (besides the newest N of `latest`).

use crate::{
    Service,
    errors::{filled, internal, parsed},
};
use domain::{
    DatasetRef, Micros, NewTrace, SplitPercent, TaskFamily,
    api::{ApiError, BuildDataset},
    dataset::{Count, Dataset, DatasetStats, Selection, TraceFilter},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::Write,
};
use storage::{Question, StorageError, StoredDataset, TraceQuery};

/// Questions read from storage at once.
const PART: u32 = 1_000;
/// Whole traces read from storage at once: one can have 20 MB.
const WHOLE: usize = 32;
/// Bins of the length histogram.
const BINS: usize = 16;

impl Service {
    pub async fn datasets_build(&self, request: BuildDataset) -> Result<Dataset, ApiError> {
        let (name, version) = match request.dataset.split_once('@') {
            Some(_) => {
                let dataset: DatasetRef =
                    request.dataset.parse().map_err(|e| ApiError::field("dataset", format!("{e}")))?;
                (dataset.name, Some(dataset.version))
            }
            None => (request.dataset.trim().parse().map_err(|e| ApiError::field("dataset", format!("{e}")))?, None),
        };
        let family = parsed::<TaskFamily>("family", &request.family)?;
        let selection = match request.selection.trim() {
            "" | "latest" => Selection::Latest,
            "random" => Selection::Random,
            other => return Err(ApiError::field("selection", format!("{other:?} is not latest or random"))),
        };
        let split_text = if request.split.trim().is_empty() { "80/10/10" } else { &request.split };
        let split: SplitPercent = split_text.parse().map_err(|e: String| ApiError::field("split", e))?;
        let filter = TraceFilter {
            family,
            source: filled(&request.source),
            category: filled(&request.category),
            search: filled(&request.search),
        };
        let limit = (request.limit > 0).then_some(request.limit);
        let chosen = self.choose(&filter, selection, limit, request.seed).await?;
        let sizes = sizes(chosen.keys.len(), split)?;
        let mut writing = Writing::default();
        let mut objects = Vec::new();
        let mut rest = chosen.keys.as_slice();
        for size in sizes {
            let (keys, after) = rest.split_at(size);
            rest = after;
            objects.push(self.write_split(keys, &mut writing).await?);
            // Where a split ends is content, too: the same lines cut elsewhere are another dataset.
            writing.hash.update([0]);
        }
        let mut stats = writing.stats();
        [stats.train, stats.val, stats.test] = sizes.map(|n| n as u32);
        stats.duplicates_removed = chosen.duplicates;
        let content_hash = hex(&writing.hash.finalize());
        let version = match version {
            Some(version) => version,
            None => {
                let versions = self.store().dataset_versions(name.as_str()).await.map_err(internal)?;
                match versions.first() {
                    Some(last) if last.dataset.content_hash == content_hash => last.dataset.dataset.version,
                    last => last.map_or(1, |l| l.dataset.dataset.version + 1),
                }
            }
        };
        let dataset = DatasetRef { name, version };
        let created_at = Micros::now();
        let [train, val, test]: [String; 3] =
            objects.try_into().map_err(|_| ApiError::internal("a dataset has three splits"))?;
        let seed = request.seed;
        let dataset = Dataset { dataset, created_at, content_hash, filter, selection, limit, split, seed, stats };
        let stored = self.store().insert_dataset(&StoredDataset { dataset, train, val, test }).await;
        stored.map(|s| s.dataset).map_err(|error| match error {
            StorageError::DatasetConflict(name) => ApiError::conflict(format!(
                "{name} exists with other content, and datasets never change. Build the next version instead."
            )),
            other => internal(other),
        })
    }

    /// The keys of the traces taken, in the seeded order that splits them; each question once.
    async fn choose(
        &self,
        filter: &TraceFilter,
        selection: Selection,
        limit: Option<u32>,
        seed: u64,
    ) -> Result<Chosen, ApiError> {
        let query = TraceQuery {
            search: filter.search.clone(),
            source: filter.source.clone(),
            family: filter.family.map(|f| f.key().to_owned()),
            category: filter.category.clone(),
        };
        let mut found: BTreeMap<[u8; 32], Vec<i64>> = BTreeMap::new();
        let (mut newest, mut duplicates, mut before) = (Vec::new(), 0, i64::MAX);
        loop {
            let part = self.store().trace_questions(&query, before, PART).await.map_err(internal)?;
            let Some(last) = part.last() else { break };
            before = last.key;
            for question in part {
                let place = place(seed, &question);
                match found.entry(place) {
                    Entry::Occupied(mut there) => {
                        there.get_mut().push(question.key);
                        duplicates += 1;
                    }
                    Entry::Vacant(free) => {
                        free.insert(vec![question.key]);
                        newest.push(place);
                    }
                }
            }
        }
        if found.is_empty() {
            let message = "no trace passes these filters: import or generate traces first, or widen the filters";
            return Err(ApiError::field("dataset", message));
        }
        if let Some(limit) = limit {
            // Latest keeps the first of the newest-first list; random the first of the seeded order.
            if selection == Selection::Random {
                newest.sort_unstable();
            }
            for place in newest.iter().skip(limit as usize) {
                found.remove(place);
            }
        }
        Ok(Chosen { keys: self.one_each(found.into_values().collect()).await?, duplicates })
    }

    /// One key of each group of traces with the same question: the one whose content has the smallest hash, so that no order
    /// of arrival decides.
    async fn one_each(&self, groups: Vec<Vec<i64>>) -> Result<Vec<i64>, ApiError> {
        let mut best: Vec<(Option<[u8; 32]>, i64)> = groups.iter().map(|keys| (None, keys[0])).collect();
        let doubles: Vec<(usize, i64)> = groups
            .iter()
            .enumerate()
            .filter(|(_, keys)| keys.len() > 1)
            .flat_map(|(group, keys)| keys.iter().map(move |key| (group, *key)))
            .collect();
        for part in doubles.chunks(WHOLE) {
            let keys: Vec<i64> = part.iter().map(|(_, key)| *key).collect();
            let contents = self.store().trace_contents(&keys).await.map_err(internal)?;
            for ((group, key), content) in part.iter().zip(contents) {
                let hash: [u8; 32] = Sha256::digest(content).into();
                let best = &mut best[*group];
                if best.0.is_none_or(|smallest| hash < smallest) {
                    *best = (Some(hash), *key);
                }
            }
        }
        Ok(best.into_iter().map(|(_, key)| key).collect())
    }

    async fn write_split(&self, keys: &[i64], writing: &mut Writing) -> Result<String, ApiError> {
        let mut object = self.store().objects().writer().map_err(internal)?;
        for part in keys.chunks(WHOLE) {
            for content in self.store().trace_contents(part).await.map_err(internal)? {
                let trace: NewTrace = serde_json::from_str(&content).map_err(|e| ApiError::internal(e.to_string()))?;
                let line = serde_json::to_string(&trace).map_err(|e| ApiError::internal(e.to_string()))? + "\n";
                object
                    .write_all(line.as_bytes())
                    .map_err(|e| ApiError::internal(format!("writing the dataset failed: {e}")))?;
                writing.take(&trace, &line);
            }
        }
        Ok(object.finish().map_err(internal)?.0)
    }
}

/// Where a question stands in the seeded order: the same after the same turns.
fn place(seed: u64, question: &Question) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(seed.to_le_bytes());
    hash.update(&question.prompt);
    if let Some(history) = &question.history {
        // No text has this byte, so no prompt alone is taken for one with turns before it.
        hash.update([0xff]);
        hash.update(history);
    }
    hash.finalize().into()
}

struct Chosen {
    keys: Vec<i64>,
    duplicates: u32,
}

/// Traces of train, val and test. Val and test are rounded, train takes the rest.
fn sizes(count: usize, split: SplitPercent) -> Result<[usize; 3], ApiError> {
    let share = |percent: u8| (count * usize::from(percent) + 50) / 100;
    let (val, test) = (share(split.val), share(split.test));
    let train = count.saturating_sub(val + test);
    let few = |what: &str| {
        ApiError::field(
            "split",
            format!("{split} of {count} traces leaves no {what} item: add traces or change the split"),
        )
    };
    match (train, test) {
        (_, 0) => Err(few("test")),
        (0, _) => Err(few("train")),
        _ => Ok([train, val, test]),
    }
}

/// What is counted while the splits are written.
#[derive(Default)]
struct Writing {
    hash: Sha256,
    steps: Vec<u32>,
    characters: Vec<u32>,
    families: BTreeMap<String, u32>,
    categories: BTreeMap<String, u32>,
}

impl Writing {
    fn take(&mut self, trace: &NewTrace, line: &str) {
        self.hash.update(line.as_bytes());
        self.steps.push(trace.steps.len() as u32);
        self.characters.push(text::layout::full_text(trace).chars().count() as u32);
        let mut add = |counts: fn(&mut Self) -> &mut BTreeMap<String, u32>, value: Option<String>| {
            if let Some(value) = value {
                *counts(self).entry(value).or_default() += 1;
            }
        };
        add(|w| &mut w.families, trace.family().map(|f| f.to_string()));
        add(|w| &mut w.categories, trace.category().map(str::to_owned));
    }

    fn stats(&self) -> DatasetStats {
        let mean = |values: &[u32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64;
        let counts = |map: &BTreeMap<String, u32>| {
            let mut all: Vec<Count> =
                map.iter().map(|(value, count)| Count { value: value.clone(), count: *count }).collect();
            all.sort_by_key(|c| std::cmp::Reverse(c.count));
            all
        };
        let longest = self.characters.iter().copied().max().unwrap_or(0);
        let mut length_histogram = vec![0; BINS];
        for characters in &self.characters {
            let bin = *characters as usize * BINS / (longest as usize + 1);
            length_histogram[bin] += 1;
        }
        DatasetStats {
            traces: self.steps.len() as u32,
            mean_steps: mean(&self.steps),
            min_steps: self.steps.iter().copied().min().unwrap_or(0),
            max_steps: self.steps.iter().copied().max().unwrap_or(0),
            mean_characters: mean(&self.characters),
            max_characters: longest,
            length_histogram,
            families: counts(&self.families),
            categories: counts(&self.categories),
            ..Default::default()
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_questions() {
        let question = |prompt: &str, history: Option<&str>| Question {
            key: 1,
            prompt: prompt.to_owned(),
            history: history.map(str::to_owned),
        };
        // By Python's `hashlib.sha256((7).to_bytes(8, "little") + b"1 + 1 =")`: splits made before there were turns stay.
        let plain = hex(&place(7, &question("1 + 1 =", None)));
        assert_eq!(plain, "add802decdcaa0928b6597caec0f53cf14f1e03a8f1cb0841e45383e75f0f6ca");
        let after = |history| hex(&place(7, &question("1 + 1 =", Some(history))));
        assert_eq!(after("ab"), after("ab"));
        assert!(after("ab") != plain && after("ab") != after("cd"));
        assert_ne!(after("ab"), hex(&place(7, &question("1 + 1 =ab", None))));
    }
}
