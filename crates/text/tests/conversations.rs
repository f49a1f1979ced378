//! Chat templates of the five families and the masks of conversations, held against what `transformers` renders and masks
//! (`fixtures/chat/make.py`).

use domain::recipe::TokenizerKind;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};
use text::{
    chat::{Message, Template},
    conversation::{self, ConversationError},
    layout::Encoded,
    pretrained::{Files, Pretrained},
    tokenizer,
};

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    specials: BTreeMap<String, String>,
    case: String,
    messages: Vec<Message>,
    prompt: bool,
    text: Option<String>,
    refused: Option<String>,
    ids: Option<Vec<u32>>,
    mask: Option<Vec<u8>>,
}

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Expected>(&read("expected.json")).unwrap().cases
}

fn pretrained(template: Option<&str>, specials: &BTreeMap<String, String>) -> Pretrained {
    let config = serde_json::to_string(specials).unwrap();
    let tokenizer = read("tokenizer.json");
    let files =
        Files { tokenizer: &tokenizer, tokenizer_config: Some(&config), chat_template: template, ..Files::default() };
    Pretrained::new(files).unwrap()
}

fn of(case: &Case) -> Pretrained {
    pretrained(Some(&read(&case.template)), &case.specials)
}

fn family(name: &str) -> Pretrained {
    of(cases().iter().find(|case| case.template == name).unwrap())
}

fn messages(turns: &[(&str, &str)]) -> Vec<Message> {
    turns.iter().map(|(role, content)| Message::new(role, content)).collect()
}

/// The trained tokens as text, special tokens by name; runs of them apart.
fn trained(pretrained: &Pretrained, encoded: &Encoded) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut before = false;
    for (id, &trains) in encoded.ids.iter().zip(&encoded.mask) {
        if trains {
            if !before {
                runs.push(String::new());
            }
            let text = pretrained.decode(&[*id]).unwrap();
            let name = [3, 5, 9, 10].iter().any(|known| known == id).then(|| "<stop>".to_owned());
            runs.last_mut().unwrap().push_str(&name.unwrap_or(text));
        }
        before = trains;
    }
    runs
}

#[test]
fn renderings_equal_those_of_transformers() {
    let cases = cases();
    assert!(cases.len() > 120, "{}", cases.len());
    for case in &cases {
        let template = Template::new(&read(&case.template), case.specials.clone()).unwrap();
        let rendered = template.render(&case.messages, case.prompt);
        let place = format!("{}, {}", case.template, case.case);
        match &case.refused {
            Some(reason) => assert!(rendered.unwrap_err().to_string().contains(reason), "{place}"),
            None => assert_eq!(rendered.as_ref().ok(), case.text.as_ref(), "{place}: {rendered:?}"),
        }
    }
}

#[test]
fn masks_equal_those_of_transformers() {
    let mut compared = 0;
    for case in cases() {
        let (Some(ids), Some(mask)) = (&case.ids, &case.mask) else { continue };
        let place = format!("{}, {}", case.template, case.case);
        let pretrained = of(&case);
        let found = conversation::encode(&pretrained, &case.messages).unwrap();
        assert_eq!(pretrained.decode(&found.ids).unwrap(), pretrained.decode(ids).unwrap(), "{place}");
        // An answer that begins with a line break is cut off from the template's: transformers has one token for both.
        if case.case != "lines" || found.ids == *ids {
            assert_eq!(found.ids, *ids, "{place}");
            let mask: Vec<bool> = mask.iter().map(|m| *m == 1).collect();
            assert_eq!(found.mask, mask, "{place}");
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared}");
}

/// The templates as the models ship them have no tags; what is trained there is the same but for what follows the stop token.
#[test]
fn templates_without_tags_are_masked_alike() {
    let conversation = messages(&[("user", "a"), ("assistant", "b b"), ("user", "c"), ("assistant", "d")]);
    let one = |text: &str| vec![format!("{text}b b<stop>"), format!("{text}d<stop>")];
    for (name, expected) in [
        ("llama3.jinja", one("")),
        ("llama3_1.jinja", one("")),
        ("llama3_2.jinja", one("")),
        ("llama3_training.jinja", one("")),
        ("qwen2.jinja", one("")),
        ("qwen2_5.jinja", one("")),
        // Only the last turn keeps the place for its thoughts.
        ("qwen3.jinja", vec!["b b<stop>".to_owned(), "<think>\n\n</think>\n\nd<stop>".to_owned()]),
        ("gemma.jinja", one("")),
        ("gpt2.jinja", one("")),
        ("gemma_training.jinja", vec!["b b<stop>\n".to_owned(), "d<stop>\n".to_owned()]),
    ] {
        let pretrained = family(name);
        let encoded = conversation::encode(&pretrained, &conversation).unwrap();
        assert_eq!(trained(&pretrained, &encoded), expected, "{name}");
    }
}

#[test]
fn one_exchange_continues_what_generation_starts_from() {
    for name in ["llama3_1.jinja", "qwen2_5.jinja", "qwen3.jinja", "gemma.jinja", "gpt2.jinja"] {
        let pretrained = family(name);
        for (system, answer) in [(None, "7"), (Some("Think first."), "7"), (Some("Think first."), "\n\n7\n")] {
            let row = conversation::encode_exchange(&pretrained, system, "3 + 4 =", answer).unwrap();
            let opening = conversation::opening(&pretrained, system, "3 + 4 =").unwrap();
            assert_eq!(row.ids[..opening.len()], opening, "{name} {system:?} {answer:?}");
            assert!(!row.mask[..opening.len()].contains(&true) && row.mask[opening.len()], "{name} {answer:?}");
            assert_eq!(system.is_some(), pretrained.decode(&opening).unwrap().contains("Think first."), "{name}");
            let runs = trained(&pretrained, &row);
            assert!(runs.len() == 1 && runs[0].ends_with("<stop>") && runs[0].contains('7'), "{name}: {runs:?}");
        }
    }
}

#[test]
fn a_system_instruction_goes_where_the_template_takes_it() {
    let user = messages(&[("user", "a")]);
    let with = |name: &str| conversation::with_system(&family(name), "Be kind.", &user);
    assert_eq!(with("qwen3.jinja"), messages(&[("system", "Be kind."), ("user", "a")]));
    // Gemma's refuses the role: as in tunix-rt, the instruction opens the user's turn.
    assert_eq!(with("gemma.jinja"), messages(&[("user", "Be kind.\n\na")]));
    let silent = pretrained(
        Some("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"),
        &BTreeMap::new(),
    );
    assert_eq!(conversation::with_system(&silent, "Be kind.", &user), messages(&[("user", "Be kind.\n\na")]));
}

#[test]
fn a_model_without_template_reads_lines() {
    let specials = BTreeMap::from([("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")])
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let bare = pretrained(None, &specials);
    assert_eq!(read("gpt2.jinja"), conversation::DEFAULT_TEMPLATE);
    let turns = messages(&[("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v"), ("assistant", "b")]);
    let encoded = conversation::encode(&bare, &turns).unwrap();
    assert_eq!(encoded.ids, bare.encode("<|endoftext|>s\nu\na<|endoftext|>v\nb<|endoftext|>").unwrap());
    assert_eq!(trained(&bare, &encoded), ["a<stop>", "b<stop>"]);
}

#[test]
fn what_cannot_be_masked_is_refused() {
    let plain = |source: &str| pretrained(Some(source), &BTreeMap::new());
    let turns = messages(&[("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]);
    // Writes how many messages there are at the beginning, so every turn changes it.
    let counting = "{{ messages | length }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let said = conversation::encode(&plain(counting), &turns).unwrap_err();
    assert!(matches!(said, ConversationError::Rewritten(2)) && said.to_string().contains("message 2"), "{said}");
    let same = "{% for m in messages %}{{ m.content }}\n{% endfor %}";
    assert!(matches!(conversation::encode(&plain(same), &turns[..1]), Err(ConversationError::NoAnswer)));
    // No stop token: the turn is trained as it stands.
    let bare = plain(same);
    assert_eq!(trained(&bare, &conversation::encode(&bare, &turns).unwrap()), ["b\n", "d\n"]);
    let refused = conversation::encode(&family("gemma.jinja"), &turns[1..]).unwrap_err().to_string();
    assert!(refused.contains("Conversation roles must alternate"), "{refused}");
}

#[test]
fn special_tokens_of_our_own_tokenizers_work_too() {
    let made =
        tokenizer::train(TokenizerKind::Char, None, ["user: 12 assistant".to_owned()]).unwrap().to_json().unwrap();
    let config = r#"{"bos_token": "<bos>", "eos_token": "<eos>"}"#;
    let files = Files { tokenizer: &made, tokenizer_config: Some(config), ..Files::default() };
    let pretrained = Pretrained::new(files).unwrap();
    let row = conversation::encode_exchange(&pretrained, None, "1", "2").unwrap();
    let [one, two] = ["1", "2"].map(|text| pretrained.encode(text).unwrap()[0]);
    // <bos> 1 \n 2 <eos>; the line break is not in the vocabulary: <unk>.
    assert_eq!((row.ids, row.mask), (vec![1, one, 3, two, 2], vec![false, false, false, true, true]));
}
