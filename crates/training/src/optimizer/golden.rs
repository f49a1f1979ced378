//! Three steps of each rule against PyTorch 2.15: `torch.optim.AdamW`, `Adafactor` and `Muon`, f32 on a CPU.
//!
//! Weight i is ((7·i mod 11) − 5)/10, its gradient at step k (from 0) ((5·i + 3·k) mod 13 − 6)/20, the rate 0.02·(k + 1),
//! the weight decay 0.1 (0 for vectors). AdamW: betas 0.9 and 0.95, eps 1e-8. Adafactor: eps (1e-15, 1e-3), whose first is
//! squared there. Muon: momentum 0.95, Nesterov, `adjust_lr_fn="match_rms_adamw"`, on the transposed weight since PyTorch
//! keeps `[out, in]`, and with `torch.bfloat16` in its Newton–Schulz steps replaced by `torch.float32`; as it comes, its
//! bfloat16 steps are up to 4e-4 from these values.

use super::{At, Kept, adafactor, adamw, muon};
use burn::tensor::{Device, Tensor, TensorData};
use domain::recipe::OptimizerRecipe;

type Rule<const D: usize> = fn(Tensor<D>, Tensor<1>, &mut Kept, &At<'_>) -> Tensor<D>;

fn trained<const D: usize>(rule: Rule<D>, shape: [usize; D]) -> Vec<f32> {
    let (settings, device, count) = (OptimizerRecipe::default(), Device::flex(), shape.iter().product::<usize>());
    let tensor = |values: Vec<f32>| Tensor::<1>::from_data(TensorData::new(values, [count]), &device);
    let mut weight: Tensor<D> = tensor((0..count).map(|i| ((i * 7 % 11) as f32 - 5.0) / 10.0).collect()).reshape(shape);
    let mut kept = Kept::new();
    for k in 0..3 {
        let gradient = tensor((0..count).map(|i| (((i * 5 + 3 * k) % 13) as f32 - 6.0) / 20.0).collect());
        let decay = if D == 2 { settings.weight_decay } else { 0.0 };
        let (rate, time) = (0.02 * (k + 1) as f64, (k + 1) as f64);
        weight = rule(weight, gradient, &mut kept, &At { settings: &settings, clip: 1.0, rate, decay, time });
    }
    weight.into_data().try_to_vec().unwrap()
}

fn agree(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-6, "{name}: {found}, not {expected}");
    }
}

#[test]
fn every_rule_steps_as_pytorch_does() {
    agree(
        "adamw",
        &trained(adamw::update, [3, 4]),
        &[
            -0.39274734,
            0.16186312,
            -0.18219335,
            0.5653924,
            0.052461475,
            -0.32338116,
            0.3986391,
            -0.0766432,
            -0.30468956,
            0.21845068,
            -0.1035964,
            -0.45238942,
        ],
    );
    agree(
        "adafactor",
        &trained(adafactor::update, [3, 4]),
        &[
            -0.47565356,
            0.16487107,
            -0.16961244,
            0.49267596,
            0.11326791,
            -0.28855938,
            0.3771243,
            -0.0066950065,
            -0.38597474,
            0.2508263,
            -0.07954418,
            -0.50699234,
        ],
    );
    agree(
        "adafactor of a vector",
        &trained(adafactor::update, [5]),
        &[-0.48400602, 0.16079053, -0.17740357, 0.4952985, 0.10228025],
    );
    agree(
        "muon, wide",
        &trained(muon::update, [3, 4]),
        &[
            -0.47075763,
            0.19543576,
            -0.1755071,
            0.5008216,
            0.11840413,
            -0.3039444,
            0.38333288,
            -0.015911436,
            -0.38998792,
            0.26771578,
            -0.10318113,
            -0.50457,
        ],
    );
    agree(
        "muon, tall",
        &trained(muon::update, [4, 3]),
        &[
            -0.4724139,
            0.18747978,
            -0.17708255,
            0.5071624,
            0.10631018,
            -0.29835933,
            0.37883106,
            -0.017128946,
            -0.36817497,
            0.26869297,
            -0.099396974,
            -0.48506227,
        ],
    );
}
