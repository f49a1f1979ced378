//! Datasets: immutable under their names.

use super::at;
use domain::{
    DatasetRef, SplitName,
    dataset::{Dataset, DatasetStats, Selection, TraceFilter},
};
use storage::{StorageError, Store, StoredDataset};

fn dataset(name: &str, content: char, second: i64) -> StoredDataset {
    StoredDataset {
        dataset: Dataset {
            dataset: name.parse().unwrap(),
            created_at: at(second),
            content_hash: content.to_string().repeat(64),
            filter: TraceFilter { search: Some("12".to_owned()), ..TraceFilter::default() },
            selection: Selection::Random,
            limit: Some(10),
            split: "80/10/10".parse().unwrap(),
            seed: u64::MAX,
            stats: DatasetStats { traces: 10, mean_steps: 1.1, ..DatasetStats::default() },
        },
        train: "a".repeat(64),
        val: "b".repeat(64),
        test: "c".repeat(64),
    }
}

pub async fn the_same_content_is_the_same_dataset(store: &dyn Store) {
    let first = dataset("sums@1", '1', 1);
    let kept = store.insert_dataset(&first).await.unwrap();
    assert_eq!(kept.dataset, first.dataset);
    // Made again later: the one that is there answers, with the time it was made at.
    let again = store.insert_dataset(&dataset("sums@1", '1', 2)).await.unwrap();
    assert_eq!(again.dataset, first.dataset);
    match store.insert_dataset(&dataset("sums@1", '2', 3)).await {
        Err(StorageError::DatasetConflict(name)) => assert_eq!(name, "sums@1"),
        other => panic!("{other:?}"),
    }
    let there = store.dataset(&first.dataset.dataset).await.unwrap();
    assert_eq!(there.dataset, first.dataset);
    assert_eq!(SplitName::ALL.map(|split| there.object(split).chars().next()), ['a', 'b', 'c'].map(Some));
    assert_eq!(store.count_datasets().await.unwrap(), 1);
    let unknown: DatasetRef = "sums@2".parse().unwrap();
    assert!(matches!(store.dataset(&unknown).await, Err(StorageError::NotFound)));
}

pub async fn lists_and_versions(store: &dyn Store) {
    for (second, name) in (1..).zip(["sums@1", "Words@1", "sums@10", "sums@2"]) {
        store.insert_dataset(&dataset(name, '1', second)).await.unwrap();
    }
    let names = |found: Vec<StoredDataset>| found.iter().map(|d| d.dataset.dataset.to_string()).collect::<Vec<_>>();
    for (search, expected) in [
        ("", &["sums@2", "sums@10", "Words@1", "sums@1"][..]),
        ("UM", &["sums@2", "sums@10", "sums@1"]),
        ("words", &["Words@1"]),
        ("%", &[]),
    ] {
        assert_eq!(names(store.list_datasets(search).await.unwrap()), expected, "{search}");
    }
    assert_eq!(names(store.dataset_versions("sums").await.unwrap()), ["sums@10", "sums@2", "sums@1"]);
    assert_eq!(names(store.dataset_versions("um").await.unwrap()), [""; 0]);
}
