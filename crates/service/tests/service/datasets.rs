//! Datasets through the service: the same bytes whatever the order of arrival, no prompt in two splits, and what is refused.

use crate::support::{Bench, bench, refused, sum, sums};
use bytes::Bytes;
use domain::{
    NewTrace,
    api::{BuildDataset, DeleteTraces, ErrorKind, GetDataset, ListDatasetItems, ListTraces},
    dataset::Dataset,
};
use futures::stream;
use std::{collections::HashSet, fs};

fn request(dataset: &str) -> BuildDataset {
    BuildDataset { dataset: dataset.to_owned(), split: "80/10/10".to_owned(), seed: 7, ..BuildDataset::default() }
}

async fn items(bench: &Bench, dataset: &str, split: &str) -> Vec<NewTrace> {
    let (dataset, split) = (dataset.to_owned(), split.to_owned());
    let request = ListDatasetItems { dataset, split, offset: 0, limit: 1_000 };
    let page = bench.service.datasets_items(request).await.unwrap();
    assert_eq!(page.total, page.rows.len() as u64);
    page.rows.into_iter().map(|item| item.trace).collect()
}

/// Names (hashes) of all objects: the same names are the same bytes.
fn objects(bench: &Bench) -> Vec<String> {
    let entries = fs::read_dir(bench.data.path().join("objects")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_order_of_arrival_leaves_no_mark() {
    // Every third prompt comes a second and a third time, with other steps.
    let mut traces = sums(90);
    for number in (3..=90).step_by(3) {
        traces.extend([sum(number, "another way"), sum(number, "a third way")]);
    }
    let backwards: Vec<_> = traces.iter().rev().cloned().collect();
    let (front, back) = traces.split_at(77);
    let arrivals: [&[&[NewTrace]]; 3] = [&[&traces], &[&backwards], &[back, front]];
    let requests =
        [request("sums@1"), BuildDataset { selection: "random".to_owned(), limit: 40, seed: 3, ..request("few@1") }];
    let mut seen: Vec<(Vec<String>, Vec<(String, _)>)> = Vec::new();
    for files in arrivals {
        let bench = bench().await;
        for (number, file) in files.iter().enumerate() {
            bench.import(&format!("{number}.jsonl"), file).await;
        }
        let mut built = Vec::new();
        for request in requests.clone() {
            let dataset = bench.build(request.clone()).await;
            assert_eq!(dataset.stats.duplicates_removed, 60);
            built.push((dataset.content_hash.clone(), dataset.stats.clone()));
            // Asked again, it is the one that is there.
            assert_eq!(bench.build(request).await, dataset);
        }
        seen.push((objects(&bench), built));
    }
    assert_eq!(seen[0].0.len(), 6, "three splits each");
    assert_eq!(seen[1], seen[0]);
    assert_eq!(seen[2], seen[0]);
}

#[tokio::test]
async fn no_prompt_stands_in_two_splits() {
    let bench = bench().await;
    let mut traces = sums(50);
    for again in 0..4 {
        traces.extend((1..=50).map(|number| sum(number, &format!("way {again}"))));
    }
    bench.import("a.jsonl", &traces).await;
    for seed in 0..5 {
        let name = format!("sums-{seed}@1");
        let dataset = bench.build(BuildDataset { seed, ..request(&name) }).await;
        let stats = &dataset.stats;
        assert_eq!([stats.traces, stats.train, stats.val, stats.test, stats.duplicates_removed], [50, 40, 5, 5, 200]);
        let mut prompts = HashSet::new();
        for split in ["train", "val", "test"] {
            for trace in items(&bench, &name, split).await {
                assert!(prompts.insert(trace.prompt.clone()), "{} comes twice", trace.prompt);
            }
        }
        assert_eq!(prompts.len(), 50);
    }
}

#[tokio::test]
async fn what_differs_is_another_dataset() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(40)).await;
    let first = bench.build(request("sums@1")).await;
    let others = [
        BuildDataset { seed: 8, ..request("sums@1") },
        // The same lines in the same order, only cut elsewhere.
        BuildDataset { split: "70/20/10".to_owned(), ..request("sums@1") },
        BuildDataset { limit: 30, ..request("sums@1") },
        BuildDataset { search: "2".to_owned(), ..request("sums@1") },
    ];
    let mut hashes = HashSet::from([first.content_hash.clone()]);
    for (version, other) in (2..).zip(others) {
        refused(bench.service.datasets_build(other.clone()).await, ErrorKind::Conflict, "sums@1");
        // Without a version it becomes the next; asked again it is the same.
        let next = bench.build(BuildDataset { dataset: "sums".to_owned(), ..other.clone() }).await;
        assert_eq!(next.dataset.version, version);
        assert_eq!(bench.build(BuildDataset { dataset: "sums".to_owned(), ..other }).await, next);
        assert!(hashes.insert(next.content_hash));
    }
    let get = GetDataset { dataset: "sums@1".to_owned() };
    assert_eq!(bench.service.datasets_get(get).await.unwrap(), first);
}

#[tokio::test]
async fn latest_takes_the_newest() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(40)).await;
    let dataset = bench.build(BuildDataset { limit: 10, split: "50/0/50".to_owned(), ..request("new@1") }).await;
    assert_eq!((dataset.stats.traces, dataset.stats.val), (10, 0));
    let mut prompts = Vec::new();
    for split in ["train", "test"] {
        prompts.extend(items(&bench, "new@1", split).await.into_iter().map(|trace| trace.prompt));
    }
    prompts.sort();
    assert_eq!(prompts, (31..=40).map(|n| format!("{n} + 1 =")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_frozen_stays() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(20)).await;
    let dataset: Dataset = bench.build(request("sums@1")).await;
    let before = items(&bench, "sums@1", "train").await;
    let list = ListTraces { limit: 100, ..ListTraces::default() };
    let ids: Vec<_> = bench.service.traces_list(list).await.unwrap().rows.iter().map(|row| row.id).collect();
    assert_eq!(bench.service.traces_delete(DeleteTraces { ids }).await.unwrap().count, 20);
    assert_eq!(items(&bench, "sums@1", "train").await, before);
    let get = GetDataset { dataset: "sums@1".to_owned() };
    assert_eq!(bench.service.datasets_get(get).await.unwrap(), dataset);
    // What is deleted goes into no other.
    refused(bench.service.datasets_build(request("sums@2")).await, ErrorKind::Invalid, "no trace passes");
}

#[tokio::test]
async fn refusals() {
    let bench = bench().await;
    refused(bench.service.datasets_build(request("sums@1")).await, ErrorKind::Invalid, "import or generate traces");
    bench.import("a.jsonl", &sums(4)).await;
    let change = |change: fn(&mut BuildDataset)| {
        let mut request = request("sums@1");
        change(&mut request);
        request
    };
    for (request, path, says) in [
        (change(|r| r.family = "sorting".into()), "dataset", "no trace passes these filters"),
        (change(|r| r.source = "b.jsonl".into()), "dataset", "no trace passes these filters"),
        (change(|_| ()), "split", "80/10/10 of 4 traces leaves no test item: add traces or change the split"),
        (change(|r| r.split = "10/40/50".into()), "split", "leaves no train item"),
        (change(|r| r.split = "90/10/0".into()), "split", "held-out items"),
        (change(|r| r.split = "80/10".into()), "split", "add up to 100"),
        (change(|r| r.split = "200/100/56".into()), "split", "add up to 100"),
        (change(|r| r.dataset = "../x@1".into()), "dataset", "'/'"),
        (change(|r| r.dataset = "my sums".into()), "dataset", "' '"),
        (change(|r| r.dataset = "sums@0".into()), "dataset", "name@version"),
        (change(|r| r.dataset = String::new()), "dataset", "empty"),
        (change(|r| r.family = "sudoku".into()), "family", "sudoku"),
        (change(|r| r.selection = "oldest".into()), "selection", "latest or random"),
    ] {
        let error = bench.service.datasets_build(request).await.unwrap_err();
        assert_eq!((error.kind, error.fields[0].path.as_str()), (ErrorKind::Invalid, path), "{error:?}");
        assert!(error.message.contains(says), "{says}: {}", error.message);
    }
    assert_eq!(objects(&bench), [""; 0], "nothing is left of what was refused");
    bench.build(BuildDataset { split: "50/25/25".to_owned(), ..request("sums@1") }).await;
}

#[tokio::test]
async fn conversations_become_items_with_their_history() {
    let bench = bench().await;
    // The same last question after nine different ones, each of them twice; and one line that shows no reasoning.
    let line = |number: u32, step: &str| {
        format!(
            r#"{{"messages":[{{"role":"system","content":"Sum."}},{{"role":"user","content":"{number} + 1 ="}},{{"role":"assistant","content":"{}"}},{{"role":"user","content":"Twice?"}},{{"role":"assistant","content":"<think>{step}</think>{}"}}]}}"#,
            number + 1,
            2 * (number + 1)
        )
    };
    let mut lines: Vec<String> = (1..=9).flat_map(|n| [line(n, "double"), line(n, "add it to itself")]).collect();
    lines.insert(4, line(1, ""));
    let chunks: Vec<_> = lines.iter().map(|line| Ok(Bytes::from(format!("{line}\n")))).collect();
    let report = bench.service.import_traces("chat.jsonl", stream::iter(chunks)).await.unwrap();
    assert_eq!((report.added, report.refused, report.problems[0].line), (18, 1, 5));
    assert!(report.problems[0].reason.starts_with("messages[4] shows no reasoning"), "{:?}", report.problems);
    bench.import("plain.jsonl", &[NewTrace { prompt: "Twice?".to_owned(), ..sum(1, "of what") }]).await;

    let dataset = bench.build(request("chats@1")).await;
    let stats = &dataset.stats;
    assert_eq!([stats.traces, stats.train, stats.val, stats.test, stats.duplicates_removed], [10, 8, 1, 1, 9]);
    let mut asked = HashSet::new();
    for split in ["train", "val", "test"] {
        for trace in items(&bench, "chats@1", split).await {
            assert_eq!(trace.prompt, "Twice?");
            let history: Vec<(&str, String)> =
                trace.history.iter().map(|turn| (turn.role.key(), turn.content.clone())).collect();
            if let [system, (_, question), (_, answer)] = history.as_slice() {
                assert_eq!(*system, ("system", "Sum.".to_owned()));
                let number: u32 = question.trim_end_matches(" + 1 =").parse().unwrap();
                assert_eq!((answer, &trace.final_answer), (&(number + 1).to_string(), &(2 * number + 2).to_string()));
            } else {
                assert!(history.is_empty());
            }
            assert!(asked.insert(history), "a question comes twice");
        }
    }
    assert_eq!(asked.len(), 10);
    // What workers read is the split's object itself.
    let bytes: String = objects(&bench)
        .iter()
        .map(|name| fs::read_to_string(bench.data.path().join("objects").join(name)).unwrap())
        .collect();
    assert_eq!(bytes.matches(r#""history":[{"role":"system","content":"Sum."}"#).count(), 9);
    // Nothing but the order of arrival is other.
    let backwards = self::bench().await;
    let chunks: Vec<_> = lines.iter().rev().map(|line| Ok(Bytes::from(format!("{line}\n")))).collect();
    backwards.service.import_traces("chat.jsonl", stream::iter(chunks)).await.unwrap();
    backwards.import("plain.jsonl", &[NewTrace { prompt: "Twice?".to_owned(), ..sum(1, "of what") }]).await;
    assert_eq!(backwards.build(request("chats@1")).await.content_hash, dataset.content_hash);
}
