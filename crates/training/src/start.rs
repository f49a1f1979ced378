//! What a training starts from — fresh weights, or a base model's, all trained or frozen with adapters beside them — and
//! which weights are its own: those that checkpoints keep.

use crate::run::TrainError;
use burn::tensor::{Device, FloatDType};
use domain::{
    Job, ModelConfig,
    finetune::{LoraRecipe, Method, ModelSource},
};
use model::{
    Decoder, Folder,
    folder::FolderError,
    lora,
    random::Random,
    store::{self, StoreError},
};
use text::{language::Language, pretrained::Texts};

/// Where the weights come from.
pub(crate) struct Start {
    pub(crate) config: ModelConfig,
    seed: u64,
    device: Device,
    /// What training computes in.
    compute: FloatDType,
    base: Option<Folder>,
    lora: Option<LoraRecipe>,
}

/// The folder of the job's base model, if its recipe names one.
pub(crate) fn base(job: &Job) -> Result<Option<Folder>, TrainError> {
    let ModelSource::Base(recipe) = &job.recipe.model else { return Ok(None) };
    let unreadable = |e: &dyn std::fmt::Display| TrainError::Base(format!("{}: {e}", recipe.base));
    let path = job.base.as_ref().ok_or_else(|| unreadable(&"its folder was not given"))?;
    let folder = Folder::open(path).map_err(|e| unreadable(&e))?;
    if recipe.context > folder.config.context {
        let message = format!("model.context is {}, its own at most {}", recipe.context, folder.config.context);
        return Err(unreadable(&message));
    }
    Ok(Some(folder))
}

/// How the base model is spoken to.
pub(crate) fn language(folder: &Folder) -> Result<Language, TrainError> {
    let text = |name: &str| folder.text(name).map_err(broken);
    let texts = Texts::read(text)?.ok_or_else(|| TrainError::Base("it has no tokenizer.json".to_owned()))?;
    let language = Language::base(texts.files(), folder.tokens.bos, &folder.tokens.eos)?;
    if language.vocab_size() > folder.config.vocab {
        let (known, rows) = (language.vocab_size(), folder.config.vocab);
        return Err(TrainError::Base(format!("its tokenizer has {known} tokens, its embedding {rows}")));
    }
    Ok(language)
}

fn broken(error: FolderError) -> TrainError {
    TrainError::Base(error.to_string())
}

impl Start {
    /// `vocab`: of the tokenizer, for a model from scratch.
    pub(crate) fn new(
        job: &Job,
        vocab: usize,
        base: Option<Folder>,
        device: Device,
        compute: FloatDType,
    ) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        let config = match (&base, recipe.model.shape()) {
            (Some(folder), _) => folder.config.clone(),
            (None, Some(shape)) => shape.config(vocab),
            (None, None) => return Err(TrainError::Base("its folder was not given".to_owned())),
        };
        let lora = recipe.lora.clone().filter(|_| recipe.method == Method::Lora);
        if let Some(lora) = &lora {
            lora::check(&config, lora).map_err(|e| TrainError::Base(e.to_string()))?;
        }
        Ok(Self { config, seed: recipe.seed, device, compute, base, lora })
    }

    /// Parameters that are trained.
    pub(crate) fn trained(&self) -> u64 {
        self.lora.as_ref().map_or_else(|| self.config.parameters(), |lora| lora.parameters(&self.config))
    }

    /// The base model's folder.
    pub(crate) fn folder(&self) -> Option<&Folder> {
        self.base.as_ref()
    }

    /// Where loading puts the weights.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Draws what dropout zeroes in micro-batch `index` of the run: a pure function of the seed and that number.
    pub(crate) fn draw_dropout(&self, decoder: &mut Decoder, index: u64) {
        if self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) {
            let mut random = Random(self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            decoder.draw_dropout(Some(random.next_u64()));
        }
    }

    pub(crate) fn lora(&self) -> Option<&LoraRecipe> {
        self.lora.as_ref()
    }

    /// The model before its first step.
    pub(crate) fn decoder(&self) -> Result<Decoder, TrainError> {
        let decoder = match &self.base {
            Some(folder) => folder.decoder(&self.device).map_err(broken)?,
            None => Decoder::new(&self.config, self.seed, &self.device),
        };
        let decoder = decoder.computing_in(self.compute);
        match &self.lora {
            Some(lora) => decoder.with_lora(lora, self.seed).map_err(|e| TrainError::Base(e.to_string())),
            None => Ok(decoder),
        }
    }

    /// The model with the trained weights of a checkpoint.
    pub(crate) fn restored(&self, weights: &[u8]) -> Result<Decoder, String> {
        match &self.lora {
            Some(_) => lora::from_safetensors(self.decoder().map_err(|e| e.to_string())?, weights),
            None => store::from_safetensors(&self.config, weights, &self.device).map(|d| d.computing_in(self.compute)),
        }
        .map_err(|e| e.to_string())
    }
}

/// The trained weights: what a checkpoint keeps.
pub(crate) fn trained_weights(decoder: &Decoder) -> Result<Vec<u8>, StoreError> {
    if decoder.is_adapted() { lora::to_safetensors(decoder) } else { store::to_safetensors(decoder) }
}
