//! Adapters as safetensors: `layers.{n}.{target}.a` `[in, rank]` and `.b` `[rank, out]`, in f32. What a checkpoint of a
//! fine-tuning keeps; the base model's weights are not in it.

use super::{Adapter, linear_mut};
use crate::{
    decoder::Decoder,
    store::{StoreError, checked, extra_error},
};
use burn::tensor::Tensor;
use domain::finetune::Target;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn name(layer: usize, target: Target, factor: char) -> String {
    format!("layers.{layer}.{}.{factor}", format!("{target:?}").to_lowercase())
}

/// The values of a factor.
pub(super) fn values(tensor: Tensor<2>) -> Result<Vec<f32>, StoreError> {
    tensor.into_data().try_to_vec::<f32>().map_err(|e| StoreError::Read(format!("{e:?}")))
}

/// Named tensors of f32 as the bytes of a safetensors file.
pub(super) fn file(tensors: &[(String, Vec<usize>, Vec<u8>)]) -> Result<Vec<u8>, StoreError> {
    let failed = |e: safetensors::SafeTensorError| StoreError::Read(e.to_string());
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in tensors {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(failed)?));
    }
    let about = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(about)).map_err(failed)
}

/// All adapters of `decoder`.
pub fn to_safetensors(decoder: &Decoder) -> Result<Vec<u8>, StoreError> {
    let mut tensors = Vec::new();
    for (layer, target, adapter) in decoder.adapters() {
        for (factor, param) in [('a', &adapter.a), ('b', &adapter.b)] {
            let bytes = values(param.val())?.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name(layer, target, factor), param.shape().to_vec(), bytes));
        }
    }
    file(&tensors)
}

/// `decoder`, which has adapters, with the values of `bytes` in all of them.
pub fn from_safetensors(mut decoder: Decoder, bytes: &[u8]) -> Result<Decoder, StoreError> {
    let mut file = SafeTensors::deserialize(bytes).map_err(|e| StoreError::Read(e.to_string()))?;
    let mut used = Vec::new();
    for (layer, block) in decoder.blocks.iter_mut().enumerate() {
        for target in Target::ALL {
            let Some(adapter) = linear_mut(block, target).and_then(|linear| linear.lora.as_mut()) else { continue };
            let names = ['a', 'b'].map(|factor| name(layer, target, factor));
            let a = checked(&mut file, &names[0], &adapter.a.shape().to_vec())?;
            let b = checked(&mut file, &names[1], &adapter.b.shape().to_vec())?;
            *adapter = Adapter::filled(adapter.clone(), a, b);
            used.extend(names);
        }
    }
    let extra = file.iter().filter(|(name, _)| !used.iter().any(|u| u == name));
    extra_error(extra.map(|(name, view)| (view.shape().to_vec(), name.to_owned())).collect())?;
    Ok(decoder)
}
