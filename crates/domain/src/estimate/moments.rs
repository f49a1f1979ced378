//! How many numbers an optimizer keeps between two steps, by its kind: `training::optimizer` says what is kept of which
//! weight, and a test there counts what it really keeps.

use crate::{
    finetune::{LoraRecipe, Target},
    model::{ModelConfig, Positions},
    optimizer::OptimizerKind,
};

/// What counts of the weights that are trained.
#[derive(Debug, Default)]
struct Trained {
    all: u64,
    /// Of matrices inside blocks, adapters' too.
    hidden: u64,
    /// Of all matrices, embeddings and output head too.
    matrices: u64,
    /// Rows and columns of all matrices.
    sides: u64,
}

/// Numbers kept of the weights that are trained: all of the model's, or with `lora` the adapters' alone.
pub(super) fn numbers(model: &ModelConfig, kind: OptimizerKind, lora: Option<&LoraRecipe>) -> u64 {
    let trained = lora.map_or_else(|| whole(model), |lora| adapters(model, lora));
    match kind {
        // Means of the gradient and of its square.
        OptimizerKind::AdamW => 2 * trained.all,
        // Means of the squared gradient over rows and over columns; of a vector each square's.
        OptimizerKind::Adafactor => trained.sides + (trained.all - trained.matrices),
        // One momentum of a hidden matrix, AdamW's two means of the rest.
        OptimizerKind::Muon => trained.hidden + 2 * (trained.all - trained.hidden),
    }
}

fn whole(model: &ModelConfig) -> Trained {
    let d = model.d_model as u64;
    let blocks = layers(model, Target::ALL.into_iter().filter_map(|target| target.sizes(model)).collect());
    let vocab = model.vocab as u64;
    let head = (!model.tie_embeddings).then_some(vocab);
    let positions = (model.design.positions == Positions::Learned).then_some(model.context as u64);
    let tables: Vec<u64> = [Some(vocab), head, positions].into_iter().flatten().collect();
    let rows: u64 = tables.iter().sum();
    Trained {
        all: model.parameters(),
        hidden: blocks.hidden,
        matrices: blocks.matrices + rows * d,
        sides: blocks.sides + rows + tables.len() as u64 * d,
    }
}

fn adapters(model: &ModelConfig, lora: &LoraRecipe) -> Trained {
    let sizes = lora.targets.iter().filter_map(|target| target.sizes(model));
    layers(model, sizes.flat_map(|[from, to]| [[from, lora.rank], [lora.rank, to]]).collect())
}

/// Matrices of these sizes in each layer, and nothing else.
fn layers(model: &ModelConfig, sizes: Vec<[usize; 2]>) -> Trained {
    let layers = model.layers as u64;
    let all = layers * sizes.iter().map(|[rows, columns]| (rows * columns) as u64).sum::<u64>();
    let sides = layers * sizes.iter().map(|[rows, columns]| (rows + columns) as u64).sum::<u64>();
    Trained { all, hidden: all, matrices: all, sides }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::ModelRecipe;

    #[test]
    fn numbers_by_hand() {
        let shape =
            ModelRecipe { d_model: 4, layers: 2, heads: 1, d_ff: Some(6), context: 8, ..ModelRecipe::default() };
        let model = ModelConfig { tie_embeddings: false, ..shape.config(10) };
        // A block: four matrices 4×4, three 4×6, two norms of 4; embedding and head 10×4 each; a norm of 4.
        let (hidden, tables, vectors) = (2 * (4 * 16 + 3 * 24), 2 * 40, 5 * 4);
        assert_eq!(numbers(&model, OptimizerKind::AdamW, None), 2 * (hidden + tables + vectors));
        assert_eq!(numbers(&model, OptimizerKind::Muon, None), hidden + 2 * (tables + vectors));
        assert_eq!(numbers(&model, OptimizerKind::Adafactor, None), 2 * (4 * 8 + 3 * 10) + 2 * 14 + vectors);
        // Query and value of rank 8: 4×8 and 8×4 each.
        let lora = LoraRecipe::default();
        let adapters = 2 * 2 * 2 * 32;
        assert_eq!(numbers(&model, OptimizerKind::AdamW, Some(&lora)), 2 * adapters);
        assert_eq!(numbers(&model, OptimizerKind::Muon, Some(&lora)), adapters);
        assert_eq!(numbers(&model, OptimizerKind::Adafactor, Some(&lora)), 2 * 2 * 2 * 12);
    }
}
