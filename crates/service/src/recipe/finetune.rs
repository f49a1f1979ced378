//! The rules of recipes about where training starts and which weights it trains.

use domain::{
    Recipe,
    finetune::{LoraRecipe, Method, ModelSource, Target},
    recipe::TokenizerKind,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Defaults that depend on other keys.
pub(super) fn complete(mut recipe: Recipe) -> Recipe {
    if recipe.method == Method::Lora {
        recipe.lora.get_or_insert_default();
    }
    recipe
}

/// Puts one matrix into `lora.targets` (`true`) or takes it out; they come to stand in the order of the block. A recipe that
/// names none has the default's.
pub(super) fn switch_target(tree: &mut Map<String, Value>, name: &str, on: &str) -> Result<(), String> {
    let target: Target = serde_json::from_value(json!(name)).map_err(|e| e.to_string())?;
    let lora = tree.entry("lora").or_insert_with(|| json!({}));
    let lora = lora.as_object_mut().ok_or("lora has no keys")?;
    let now = lora.get("targets").cloned().map(serde_json::from_value::<Vec<Target>>);
    let now = now.unwrap_or_else(|| Ok(LoraRecipe::default().targets)).map_err(|e| e.to_string())?;
    let mut targets: BTreeSet<Target> = now.into_iter().collect();
    match on.trim() {
        "true" => targets.insert(target),
        "false" | "" => targets.remove(&target),
        other => return Err(format!("{other:?} is neither true nor false")),
    };
    lora.insert("targets".to_owned(), json!(targets));
    Ok(())
}

/// Calls `rule` with a key, whether it is well, and what is wrong otherwise.
pub(super) fn rules(recipe: &Recipe, rule: &mut impl FnMut(&str, bool, &str)) {
    let base = recipe.model.base();
    match (&recipe.tokenizer, base) {
        (Some(_), Some(_)) => rule("tokenizer", false, "the base model has its own: leave it out"),
        (None, None) => rule("tokenizer", false, "is missing"),
        (Some(tokenizer), None) => match (tokenizer.kind, tokenizer.vocab) {
            (TokenizerKind::Char, Some(_)) => {
                rule("tokenizer.vocab", false, "is for kind bpe; a char vocabulary follows from the data");
            }
            (TokenizerKind::Bpe, Some(v)) => rule(
                "tokenizer.vocab",
                (260..=1_000_000).contains(&v),
                "must be at least 260: 256 bytes and 4 special tokens",
            ),
            _ => {}
        },
        (None, Some(_)) => {}
    }
    if let Some(base) = base {
        rule("model.base", !base.trim().is_empty() && base.len() <= 1_024, "must name a base model");
    }
    if recipe.method == Method::Lora {
        rule("method", base.is_some(), "lora adapts a base model: set model.base, or leave method out");
    }
    match &recipe.lora {
        Some(_) if recipe.method != Method::Lora => rule("lora", false, "is for method lora: set method: lora"),
        Some(lora) => lora_rules(lora, rule),
        None => {}
    }
    let context = recipe.model.context();
    rule("model.context", (8..=131_072).contains(&context), "must lie between 8 and 131072 tokens");
    if let ModelSource::Scratch(shape) = &recipe.model {
        let theta = shape.rope_theta;
        rule("model.rope_theta", theta.is_finite() && theta > 1.0, "must be a number above 1");
    }
}

fn lora_rules(lora: &LoraRecipe, rule: &mut impl FnMut(&str, bool, &str)) {
    rule("lora.rank", (1..=4_096).contains(&lora.rank), "must lie between 1 and 4096");
    rule("lora.alpha", lora.alpha > 0.0 && lora.alpha <= 1e6, "must be a number above 0, at most 1000000");
    rule("lora.dropout", (0.0..1.0).contains(&lora.dropout), "must lie between 0 and 1; 1 itself would leave nothing");
    rule("lora.targets", !lora.targets.is_empty(), "must name at least one matrix, such as query");
    let different: BTreeSet<_> = lora.targets.iter().collect();
    rule("lora.targets", different.len() == lora.targets.len(), "names a matrix twice");
}

#[cfg(test)]
mod tests {
    use crate::recipe::{parse, to_yaml};
    use domain::finetune::{LoraRecipe, Method, Target};
    use std::collections::BTreeMap;

    const BASE: &str = "name: x\nmodel:\n  base: smollm2\n  context: 64\ntrain:\n  steps: 4\n  batch: 1\nschedule:\n  warmup_steps: 0\nevaluation:\n  max_new_tokens: 16\n";

    fn errors(more: &str) -> String {
        let errors = parse(&format!("{BASE}{more}"), &BTreeMap::new()).err().unwrap_or_default();
        errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn base_and_lora_are_read_and_written() {
        let plain = parse(BASE, &BTreeMap::new()).unwrap();
        assert_eq!((plain.method, plain.model.base(), &plain.lora), (Method::Sft, Some("smollm2"), &None));
        let lora = parse(&format!("{BASE}method: lora\n"), &BTreeMap::new()).unwrap();
        assert_eq!(lora.lora, Some(LoraRecipe::default()));
        for recipe in [plain, lora] {
            assert_eq!(parse(&to_yaml(&recipe), &BTreeMap::new()).unwrap(), recipe);
        }
    }

    #[test]
    fn errors_name_their_key() {
        for (more, expected) in [
            ("method: lora\nlora:\n  rank: 0\n", "lora.rank: must lie between 1 and 4096"),
            ("method: lora\nlora:\n  rnk: 2\n", "lora.rnk: unknown key `rnk` in lora: did you mean `rank`?"),
            (
                "method: lora\nlora:\n  dropout: 1\n",
                "lora.dropout: must lie between 0 and 1; 1 itself would leave nothing",
            ),
            ("method: lora\nlora:\n  targets: [query, q_proj]\n", "lora.targets: names a matrix twice"),
            ("lora:\n  rank: 2\n", "lora: is for method lora: set method: lora"),
            ("tokenizer:\n  kind: char\n", "tokenizer: the base model has its own: leave it out"),
        ] {
            assert_eq!(errors(more), expected, "{more}");
        }
        let with = |key: &str, value: &str| {
            let overrides = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let errors = parse(BASE, &overrides).err().unwrap_or_default();
            errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(with("model.layers", "3"), "model.layers: the base model has its own: leave it out");
        assert_eq!(with("model.bas", "x"), "model.bas: unknown key `bas` in model: did you mean `base`?");
        assert_eq!(
            with("model.context", "many"),
            "model.context: must be a whole number from 0 on, not string \"many\""
        );
        assert_eq!(with("lora.rank", ""), "", "an emptied field adds no section");
        assert!(with("lora.targets.qery", "true").starts_with("lora.targets.qery: unknown variant `qery`"));
        assert_eq!(with("lora.targets.query", "on"), "lora.targets.query: \"on\" is neither true nor false");
        let unknown = errors("method: lora\nlora:\n  targets: [qery]\n");
        assert!(unknown.starts_with("lora.targets: unknown variant `qery`"), "{unknown}");
        let scratch = crate::recipe::resolve("smoke").to_owned() + "\nmethod: lora\n";
        let found = parse(&scratch, &BTreeMap::new()).unwrap_err();
        assert_eq!((found[0].path.as_str(), found.len()), ("method", 1));
    }

    /// As a form sends them: ticked boxes over an emptied list, or single changes of the recipe's own list.
    #[test]
    fn targets_are_ticked_one_by_one() {
        let lora = format!("{BASE}method: lora\nlora:\n  rank: 2\n  targets: [v_proj, query]\n");
        let read = |changes: &[(&str, &str)]| {
            let changes =
                changes.iter().map(|(key, value)| (format!("lora.targets{key}"), (*value).to_owned())).collect();
            parse(&lora, &changes).map(|recipe| serde_json::to_string(&recipe.lora.unwrap().targets).unwrap())
        };
        for (changes, expected) in [
            (&[("", "[]"), (".up", "true"), (".key", "true")][..], r#"["key","up"]"#),
            (&[(".up", "true")], r#"["query","value","up"]"#),
            (&[(".query", "false"), (".down", "true")], r#"["value","down"]"#),
            (&[(".value", ""), (".query", "true")], r#"["query"]"#),
        ] {
            assert_eq!(read(changes).unwrap(), expected, "{changes:?}");
        }
        let none = read(&[("", "[]")]).unwrap_err();
        assert_eq!((none[0].path.as_str(), none.len()), ("lora.targets", 1));
        let absent = format!("{BASE}method: lora\n");
        let changes = BTreeMap::from([("lora.targets.key".to_owned(), "true".to_owned())]);
        let recipe = parse(&absent, &changes).unwrap();
        assert_eq!(recipe.lora.unwrap().targets, [Target::Query, Target::Key, Target::Value]);
    }
}
