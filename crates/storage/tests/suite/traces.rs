//! Traces: order, pages, search, counts, undo.

use super::{at, trace, trace_id};
use domain::{NewTrace, Role, Turn, dataset::Count};
use storage::{StorageError, Store, TraceQuery};

/// Prompt, answer, family, category, source; numbered from 1 in this order.
const TRACES: [(&str, &str, &str, &str, &str); 6] = [
    ("12 + 30 =", "42", "addition", "", "a.jsonl"),
    ("12 + 5 =", "17", "addition", "easy", "a.jsonl"),
    ("Sort: 3 1 2", "1 2 3", "sorting", "easy", "b.jsonl"),
    ("Wie heißt die Straße?", "Müllerstraße", "", "words", "b.jsonl"),
    ("a \"quoted\" word, and C++", "yes", "", "", "b.jsonl"),
    ("sorted = (x -> x)", "no", "", "", "b.jsonl"),
];

const NONE: [usize; 0] = [];

async fn fill(store: &dyn Store) {
    for (number, (prompt, answer, family, category, source)) in (1..).zip(TRACES) {
        let new = [(trace_id(number), trace(prompt, answer, family, category))];
        store.insert_traces(source, at(number.into()), &new).await.unwrap();
    }
}

/// The numbers of the traces that match, newest first; the count agrees with the list and with the scan.
async fn found(store: &dyn Store, query: &TraceQuery) -> Vec<usize> {
    let rows = store.list_traces(query, 0, 100).await.unwrap();
    let scan = store.trace_questions(query, i64::MAX, 100).await.unwrap();
    assert_eq!(store.count_traces(query).await.unwrap(), rows.len() as u64, "{query:?}");
    assert!(scan.iter().map(|question| &question.prompt).eq(rows.iter().map(|row| &row.prompt)), "{query:?}");
    rows.iter().map(|row| 1 + TRACES.iter().position(|t| t.0 == row.prompt).unwrap()).collect()
}

pub async fn newest_first_in_pages(store: &dyn Store) {
    fill(store).await;
    let all = TraceQuery::default();
    for (offset, limit, expected) in [
        (0, 10, &[6, 5, 4, 3, 2, 1][..]),
        (0, 2, &[6, 5]),
        (2, 2, &[4, 3]),
        (5, 2, &[1]),
        (6, 2, &[]),
        (u64::MAX, 2, &[]),
    ] {
        let rows = store.list_traces(&all, offset, limit).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let expected: Vec<_> = expected.iter().map(|n| trace_id(*n)).collect();
        assert_eq!(ids, expected, "{offset} {limit}");
    }
    let (prompt, answer, family, category, source) = TRACES[1];
    let row = &store.list_traces(&all, 4, 1).await.unwrap()[0];
    assert_eq!((row.prompt.as_str(), row.final_answer.as_str(), row.steps), (prompt, answer, 1));
    assert_eq!((row.family.as_deref(), row.category.as_deref()), (Some(family), Some(category)));
    let whole = store.trace(trace_id(2)).await.unwrap();
    assert_eq!((whole.created_at, whole.source.as_str()), (at(2), source));
    assert_eq!(whole.content, trace(prompt, answer, family, category));
    assert!(matches!(store.trace(trace_id(99)).await, Err(StorageError::NotFound)));
}

pub async fn searches_and_filters(store: &dyn Store) {
    fill(store).await;
    for (search, expected) in [
        ("12", &[2, 1][..]),
        ("12 30", &[1]),
        ("30 12 +", &[1]),
        ("42", &[1]),
        ("sort", &[6, 3]),
        ("SORT", &[6, 3]),
        ("orted", &[]),
        ("heisst", &[]),
        ("straße", &[4]),
        ("müller", &[4]),
        ("\"quoted\"", &[5]),
        ("C++", &[5]),
        ("->", &[6]),
        ("+", &[5, 2, 1]),
        ("%", &[]),
        ("' OR 1 = 1 --", &[]),
        ("NEAR(", &[]),
    ] {
        let query = TraceQuery { search: Some(search.to_owned()), ..TraceQuery::default() };
        assert_eq!(found(store, &query).await, expected, "{search}");
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    for (search, source, family, category, expected) in [
        ("", "a.jsonl", "", "", &[2, 1][..]),
        ("", "", "addition", "", &[2, 1]),
        ("", "", "", "easy", &[3, 2]),
        ("", "a.jsonl", "addition", "easy", &[2]),
        ("", "b.jsonl", "addition", "", &[]),
        ("", "none", "", "", &[]),
        ("12", "", "", "easy", &[2]),
        ("sort", "b.jsonl", "sorting", "", &[3]),
    ] {
        let (search, source, family, category) = (some(search), some(source), some(family), some(category));
        let query = TraceQuery { search, source, family, category };
        assert_eq!(found(store, &query).await, expected, "{query:?}");
    }
}

pub async fn counts_follow_delete_and_undo(store: &dyn Store) {
    fill(store).await;
    let all = TraceQuery::default();
    let addition = TraceQuery { family: Some("addition".to_owned()), ..TraceQuery::default() };
    let word = TraceQuery { search: Some("12".to_owned()), ..TraceQuery::default() };
    let before = store.trace_facets().await.unwrap();
    let count = |value: &str, count| Count { value: value.to_owned(), count };
    assert_eq!(before.total, 6);
    assert_eq!(before.sources, [count("b.jsonl", 4), count("a.jsonl", 2)]);
    assert_eq!(before.families, [count("addition", 2), count("sorting", 1)]);
    assert_eq!(before.categories, [count("easy", 2), count("words", 1)]);

    // Once however often it is asked for; what does not exist does not count.
    let some = [trace_id(1), trace_id(2), trace_id(1), trace_id(99)];
    for changed in [2, 0] {
        assert_eq!(store.set_traces_deleted(&some, Some(at(50))).await.unwrap(), changed);
        let facets = store.trace_facets().await.unwrap();
        assert_eq!((facets.total, &facets.sources[..]), (4, &[count("b.jsonl", 4)][..]));
        assert_eq!(facets.families, [count("sorting", 1)]);
        assert_eq!(found(store, &all).await, [6, 5, 4, 3]);
        assert_eq!(found(store, &addition).await, NONE);
        assert_eq!(found(store, &word).await, NONE);
    }
    assert_eq!(store.trace(trace_id(1)).await.unwrap().content.prompt, TRACES[0].0, "a link to it still answers");
    for changed in [2, 0] {
        assert_eq!(store.set_traces_deleted(&some, None).await.unwrap(), changed);
        let facets = store.trace_facets().await.unwrap();
        assert_eq!((facets.total, &facets.sources), (6, &before.sources));
        assert_eq!((&facets.families, &facets.categories), (&before.families, &before.categories));
        assert_eq!(found(store, &all).await, [6, 5, 4, 3, 2, 1]);
        assert_eq!(found(store, &word).await, [2, 1]);
    }
}

pub async fn scan_and_contents(store: &dyn Store) {
    fill(store).await;
    let all = TraceQuery::default();
    let (mut keys, mut before) = (Vec::new(), i64::MAX);
    loop {
        let part = store.trace_questions(&all, before, 4).await.unwrap();
        let Some(last) = part.last() else { break };
        before = last.key;
        keys.extend(part);
    }
    assert!(keys.iter().map(|question| question.prompt.as_str()).eq(TRACES.iter().rev().map(|t| t.0)));
    let asked = [keys[3].key, keys[0].key, keys[5].key];
    let contents = store.trace_contents(&asked).await.unwrap();
    let prompts: Vec<String> = contents.iter().map(|c| serde_json::from_str::<NewTrace>(c).unwrap().prompt).collect();
    assert_eq!(prompts, [TRACES[2].0, TRACES[5].0, TRACES[0].0]);
    assert!(store.trace_contents(&[]).await.unwrap().is_empty());
    let unknown = store.trace_contents(&[keys[0].key, i64::MAX]).await;
    assert!(matches!(unknown, Err(StorageError::NotFound)));
}

pub async fn what_was_said_before_is_kept_and_told_apart(store: &dyn Store) {
    let turn = |role, content: &str| Turn { role, content: content.to_owned() };
    let (asked, said) = (turn(Role::User, "Müller?"), turn(Role::Assistant, "yes"));
    let histories = [vec![], vec![asked.clone(), said.clone()], vec![turn(Role::System, "s"), asked, said.clone()]];
    // Each twice: the same question again, with another answer.
    for (number, answer) in (1..).zip(["1", "1", "1", "2", "2", "2"]) {
        let history = histories[(number - 1) % 3].clone();
        let new = NewTrace { history, ..trace("and?", answer, "", "") };
        store.insert_traces("chat.jsonl", at(0), &[(trace_id(number as u32), new.clone())]).await.unwrap();
        assert_eq!(store.trace(trace_id(number as u32)).await.unwrap().content, new);
    }
    let questions = store.trace_questions(&TraceQuery::default(), i64::MAX, 100).await.unwrap();
    let of: Vec<&Option<String>> = questions.iter().rev().map(|question| &question.history).collect();
    assert!(questions.iter().all(|question| question.prompt == "and?"));
    assert!(of[0].is_none() && of[1].is_some() && of[2].is_some() && of[1] != of[2], "{of:?}");
    assert_eq!(of[..3], of[3..]);
    let contents = store.trace_contents(&[questions[0].key]).await.unwrap();
    assert_eq!(serde_json::from_str::<NewTrace>(&contents[0]).unwrap().history, histories[2]);
}

pub async fn a_refused_batch_leaves_nothing(store: &dyn Store) {
    fill(store).await;
    // More than one statement's worth, and the last of them repeats an id.
    let mut batch: Vec<_> = (100..1_100).map(|n| (trace_id(n), trace("zebra", "1", "", ""))).collect();
    batch.push((trace_id(1), trace("zebra", "1", "", "")));
    assert!(store.insert_traces("c.jsonl", at(60), &batch).await.is_err());
    let zebra = TraceQuery { search: Some("zebra".to_owned()), ..TraceQuery::default() };
    assert_eq!(found(store, &zebra).await, NONE);
    assert_eq!(store.trace_facets().await.unwrap().total, 6);
    batch.pop();
    store.insert_traces("c.jsonl", at(60), &batch).await.unwrap();
    assert_eq!((store.count_traces(&zebra).await.unwrap(), store.trace_facets().await.unwrap().total), (1_000, 1_006));
    store.insert_traces("c.jsonl", at(60), &[]).await.unwrap();
}
