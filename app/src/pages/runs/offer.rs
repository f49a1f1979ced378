//! What a new run can begin with: the recipes that come with Anneal, and the recipe of an earlier run.

use crate::api::{Failure, datasets_list, models_list, recipes_list, runs_get};
use domain::{
    ModelConfig, Recipe, RunId,
    api::{GetRun, ListDatasets, ListModels, ListRecipes},
    finetune::{Method, ModelSource},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A recipe to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// In the address: a shipped recipe's name or a run's id.
    pub(super) key: String,
    pub(super) words: String,
    /// What the new run is called at first.
    pub(super) name: String,
    /// What is posted: a shipped recipe's name or YAML.
    pub(super) text: String,
    pub(super) recipe: Recipe,
    /// Where `recipe` differs from `text`: it was put onto a base model that is there.
    pub(super) changes: BTreeMap<String, String>,
}

/// A base model to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Base {
    pub(super) name: String,
    pub(super) parameters: u64,
    pub(super) config: ModelConfig,
}

/// All there is to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Offers {
    /// `name@version`, the newest first.
    pub(super) datasets: Vec<String>,
    pub(super) recipes: Vec<Offer>,
    /// The newest first.
    pub(super) bases: Vec<Base>,
}

impl Offers {
    /// `wanted` may be the id of a run whose recipe is to be used again.
    pub(super) async fn load(wanted: String) -> Result<Self, Failure> {
        let datasets = datasets_list(ListDatasets::default()).await?;
        let shipped = recipes_list(ListRecipes::default()).await?.into_iter().map(|r| Offer {
            words: format!("{} – {}", r.name, r.title),
            key: r.name.clone(),
            name: r.recipe.name.clone(),
            text: r.name,
            recipe: r.recipe,
            changes: BTreeMap::new(),
        });
        let mut recipes: Vec<Offer> = shipped.collect();
        if wanted.parse::<RunId>().is_ok() {
            let run = runs_get(GetRun { id: wanted }).await?;
            let words = format!("as in run {} {}", run.row.name, run.row.id.short());
            let again = Offer {
                key: run.row.id.to_string(),
                words,
                name: run.row.name,
                text: run.recipe_yaml,
                recipe: run.recipe,
                changes: BTreeMap::new(),
            };
            recipes.insert(0, again);
        }
        let bases = models_list(ListModels::default()).await?.into_iter();
        let bases =
            bases.map(|m| Base { name: m.name.to_string(), parameters: m.parameters, config: m.config }).collect();
        Ok(Self { datasets: datasets.into_iter().map(|d| d.dataset.to_string()).collect(), recipes, bases })
    }

    /// The recipe of the address, else one for the base model of the address, else the first; on a base model that is there.
    pub(super) fn chosen(&self, recipe: &str, base: &str) -> Option<Offer> {
        let on = |offer: &&Offer| offer.recipe.model.base() == Some(base);
        let lora = |offer: &&Offer| offer.recipe.method == Method::Lora;
        let mut chosen = self.recipes.iter().find(|offer| offer.key == recipe);
        if !base.is_empty() {
            chosen = chosen.or_else(|| self.recipes.iter().find(on));
            // The last of them is for any base model.
            chosen = chosen.or_else(|| self.recipes.iter().rfind(lora));
        }
        let mut chosen = chosen.or_else(|| self.recipes.first()).cloned()?;
        let named = |name: &str| self.bases.iter().find(|base| base.name == name);
        let own = chosen.recipe.model.base().unwrap_or_default().trim().to_owned();
        if let Some(base) = named(base).or_else(|| named(&own)).or_else(|| self.bases.first()) {
            chosen.onto(base);
        }
        Some(chosen)
    }
}

impl Offer {
    /// Puts a recipe that begins with a base model onto this one, whose context may be shorter and whose blocks may have fewer
    /// matrices.
    fn onto(&mut self, base: &Base) {
        let Self { recipe, changes, .. } = self;
        let ModelSource::Base(model) = &mut recipe.model else { return };
        let mut change = |key: &str, value: String| drop(changes.insert(key.to_owned(), value));
        if model.base != base.name {
            model.base.clone_from(&base.name);
            change("model.base", base.name.clone());
        }
        if model.context > base.config.context {
            model.context = base.config.context;
            change("model.context", model.context.to_string());
        }
        if recipe.evaluation.max_new_tokens > model.context {
            recipe.evaluation.max_new_tokens = model.context;
            change("evaluation.max_new_tokens", model.context.to_string());
        }
        if let Some(lora) = &mut recipe.lora {
            let all = lora.targets.len();
            lora.targets.retain(|target| target.sizes(&base.config).is_some());
            if lora.targets.len() < all {
                change("lora.targets", serde_json::to_string(&lora.targets).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{finetune::Target, model::Architecture};

    fn base(name: &str, architecture: Architecture, context: usize) -> Base {
        let config = ModelConfig {
            architecture,
            vocab: 10,
            d_model: 8,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: 8,
            d_ff: 8,
            context,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            tie_embeddings: true,
            design: architecture.design(),
        };
        Base { name: name.to_owned(), parameters: config.parameters(), config }
    }

    fn offer(key: &str, recipe: serde_json::Value) -> Offer {
        let text = key.to_owned();
        let recipe = serde_json::from_value(recipe).unwrap();
        Offer { key: text.clone(), words: text.clone(), name: text.clone(), text, recipe, changes: BTreeMap::new() }
    }

    fn offers(bases: Vec<Base>) -> Offers {
        let scratch = serde_json::json!({"name": "a", "model": {"d_model": 8, "layers": 1, "heads": 1, "context": 8}, "tokenizer": {"kind": "char"}, "train": {"steps": 1, "batch": 1}});
        let lora = |base: &str| {
            serde_json::json!({
                "name": "b", "model": {"base": base, "context": 512}, "method": "lora", "lora": {"targets": ["query", "gate"]},
                "train": {"steps": 1, "batch": 1}, "evaluation": {"max_new_tokens": 160}
            })
        };
        let recipes = vec![offer("scratch", scratch), offer("one", lora("smollm2")), offer("any", lora("smollm2"))];
        Offers { datasets: Vec::new(), recipes, bases }
    }

    #[test]
    fn a_recipe_is_put_onto_a_model_that_is_there() {
        let none = offers(Vec::new());
        assert_eq!(none.chosen("", "").unwrap().key, "scratch");
        let lacking = none.chosen("one", "").unwrap();
        assert_eq!(
            (lacking.recipe.model.base(), lacking.changes.len()),
            (Some("smollm2"), 0),
            "what is missing is said"
        );

        let all = offers(vec![base("plain", Architecture::Gpt2, 64), base("smollm2", Architecture::Llama, 8_192)]);
        let own = all.chosen("", "smollm2").unwrap();
        assert_eq!((&*own.key, own.changes.len()), ("one", 0), "the recipe made for it, as it stands");
        let other = all.chosen("", "plain").unwrap();
        assert_eq!((&*other.key, other.recipe.model.base(), other.recipe.model.context()), ("any", Some("plain"), 64));
        assert_eq!(other.recipe.lora.as_ref().unwrap().targets, [Target::Query], "a GPT-2 has no gate");
        let changes: Vec<_> = other.changes.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let expected = [
            ("evaluation.max_new_tokens", "64"),
            ("lora.targets", r#"["query"]"#),
            ("model.base", "plain"),
            ("model.context", "64"),
        ];
        assert_eq!(changes, expected);

        let alone = offers(vec![base("plain", Architecture::Llama, 8_192)]);
        assert_eq!(
            alone.chosen("one", "").unwrap().recipe.model.base(),
            Some("plain"),
            "the newest, if its own is not there"
        );
        assert_eq!(alone.chosen("one", "gone").unwrap().recipe.model.base(), Some("plain"));
    }
}
