//! Traces with earlier turns, by the chat templates of the five families: their tokens and masks against those that
//! `transformers` makes of the same conversation (`fixtures/chat/make.py`, the case "a trace of three turns").

use domain::{NewTrace, Step, Turn};
use serde_json::Value;
use std::{fs, path::PathBuf};
use text::{
    language::Language,
    layout::{self, Encoded},
    pretrained::Files,
};

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One of `make.py`'s cases by each template, with what was said as a trace.
fn cases() -> Vec<(Value, NewTrace)> {
    let all: Value = serde_json::from_str(&read("expected.json")).unwrap();
    let three = all["cases"].as_array().unwrap().iter().filter(|case| case["case"] == "a trace of three turns");
    three
        .map(|case| {
            let messages: Vec<Turn> = serde_json::from_value(case["messages"].clone()).unwrap();
            let trace = NewTrace {
                trace_version: "1.0".into(),
                history: messages[..4].to_vec(),
                prompt: messages[4].content.clone(),
                final_answer: "7".into(),
                steps: vec![Step { i: 0, kind: "add".into(), content: "2+5=7".into() }],
                meta: None,
            };
            let trace = trace.validated().unwrap();
            assert_eq!(layout::response_text(&trace), messages[5].content);
            (case.clone(), trace)
        })
        .collect()
}

fn language(case: &Value, template: Option<&str>) -> Language {
    let (tokenizer, config) = (read("tokenizer.json"), case["specials"].to_string());
    let files =
        Files { tokenizer: &tokenizer, tokenizer_config: Some(&config), chat_template: template, ..Files::default() };
    Language::base(files, None, &[]).unwrap()
}

/// The trained tokens as text, the stop token as `|`.
fn trained(language: &Language, row: &Encoded) -> String {
    let stop = language.stops()[0];
    let ids = row.ids.iter().zip(&row.mask).filter(|(_, mask)| **mask).map(|(id, _)| *id);
    ids.map(|id| if id == stop { "|".to_owned() } else { language.decode(&[id]).unwrap() }).collect()
}

#[test]
fn tokens_and_masks_are_those_of_transformers() {
    let (mut shipped, mut masks) = (0, 0);
    for (case, trace) in cases() {
        let name = case["template"].as_str().unwrap();
        let language = language(&case, Some(&read(name)));
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let row = language.encode_trace(None, &trace).unwrap();
        let primed = language.encode_opening(None, &trace).unwrap();
        assert_eq!((&row.ids[..primed.len()], &expected[..primed.len()]), (&primed[..], &primed[..]), "{name}");
        // Qwen3 would put an empty place for thoughts before the last answer, where generation does not begin with one.
        let thoughts = "<think>\n\n</think>\n\n";
        let rest = language.decode(&expected[primed.len()..]).unwrap();
        let without = rest.strip_prefix(thoughts).unwrap_or(&rest);
        assert_eq!(rest.len() > without.len(), name.starts_with("qwen3"), "{name}");
        let skipped = (0..).find(|n| language.decode(&expected[primed.len() + n..]).unwrap() == without).unwrap();
        // A row ends at its stop token; templates write a line break behind it.
        let (answer, expected) = (&row.ids[primed.len()..], &expected[primed.len() + skipped..]);
        assert!(expected.starts_with(answer) && expected.len() - answer.len() <= 1, "{name}: {answer:?} {expected:?}");
        if let Ok(mask) = serde_json::from_value::<Vec<u8>>(case["mask"].clone()) {
            let mut mask: Vec<bool> = mask.iter().map(|trains| *trains == 1).collect();
            // This one's tags begin before the line break that generation is given.
            assert_eq!(mask[primed.len() - 1], name.starts_with("qwen2_5"), "{name}");
            mask[primed.len() - 1] = false;
            assert_eq!(row.mask[..primed.len()], mask[..primed.len()], "{name}");
            assert!(row.mask[primed.len()..].iter().all(|trains| *trains), "{name}");
            masks += 1;
        } else {
            // Some templates trim what is said.
            let said = trained(&language, &row).replace("| One and one. |", "|One and one.|");
            assert_eq!(said, "1+1=2\nAnswer: 2|One and one.|2+5=7\nAnswer: 7|", "{name}");
            shipped += 1;
        }
    }
    assert_eq!((shipped, masks), (8, 4));
}

/// A base model without a template, as GPT-2.
#[test]
fn without_a_template_turns_are_lines() {
    let cases = cases();
    let (case, trace) = cases.iter().find(|(case, _)| case["template"] == "gpt2.jinja").unwrap();
    let language = language(case, None);
    let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
    let row = language.encode_trace(None, trace).unwrap();
    assert_eq!(row.ids, expected);
    assert_eq!(trained(&language, &row), "1+1=2\nAnswer: 2| One and one. |2+5=7\nAnswer: 7|");
}
