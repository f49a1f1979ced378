//! Objects: whole or not at all, and what their names promise.

use std::{fs, io::Write, path::Path, sync::Arc};
use storage::{StorageError, Store};
use tempfile::TempDir;

/// SHA-256 of "abc" (FIPS 180-2, appendix B.1) and of nothing.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async fn open(data: &Path) -> Arc<dyn Store> {
    storage::open(data).await.unwrap()
}

async fn fresh() -> (TempDir, Arc<dyn Store>) {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path()).await;
    (data, store)
}

fn names(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data.join("objects")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn named_by_content() {
    let (data, store) = fresh().await;
    let objects = store.objects();
    for (parts, expected) in [(&["a", "bc"][..], ABC), (&["abc"], ABC), (&[], EMPTY)] {
        let mut writer = objects.writer().unwrap();
        for part in parts {
            writer.write_all(part.as_bytes()).unwrap();
        }
        let (name, bytes) = writer.finish().unwrap();
        assert_eq!((name.as_str(), bytes), (expected, parts.concat().len() as u64));
        assert_eq!(fs::read_to_string(objects.path(expected)).unwrap(), parts.concat());
        objects.verify(expected).unwrap();
    }
    assert_eq!(names(data.path()), [ABC, EMPTY], "the same content is kept once");
}

#[tokio::test]
async fn nothing_remains_of_what_was_not_finished() {
    let (data, store) = fresh().await;
    let mut writer = store.objects().writer().unwrap();
    writer.write_all(&[7; 1 << 20]).unwrap();
    drop(writer);
    assert_eq!(names(data.path()), [""; 0]);
    // Nor of one whose process was killed: the next to open the directory clears it away.
    let mut writer = store.objects().writer().unwrap();
    writer.write_all(b"abc").unwrap();
    std::mem::forget(writer);
    assert_eq!(names(data.path()).len(), 1);
    assert!(!store.objects().exists(ABC));
    drop(store);
    let store = open(data.path()).await;
    assert_eq!(names(data.path()), [""; 0]);
    assert!(matches!(store.objects().verify(ABC), Err(StorageError::NotFound)));
}

#[tokio::test]
async fn a_wrong_hash_is_refused() {
    let (data, store) = fresh().await;
    let (objects, file) = (store.objects(), data.path().join("export"));
    fs::write(&file, "abc").unwrap();
    let near = ABC.replace('b', "c");
    for name in [EMPTY, &near, &ABC.to_uppercase(), "../../abc", "", "abc"] {
        assert!(matches!(objects.store_file(&file, name), Err(StorageError::WrongHash(_))), "{name}");
        assert!(!objects.exists(name), "{name}");
        assert_eq!(names(data.path()), [""; 0], "{name}");
    }
    for _ in 0..2 {
        assert_eq!(objects.store_file(&file, ABC).unwrap(), 3);
    }
    assert!(matches!(objects.store_file(&data.path().join("none"), EMPTY), Err(StorageError::Io { .. })));
    // Damage is found when it is looked for.
    fs::write(objects.path(ABC), "abd").unwrap();
    assert!(matches!(objects.verify(ABC), Err(StorageError::WrongHash(_))));
}
