//! Packing: the loss and gradients of rows do not depend on the sequences they share, and a run resumes bit for bit.

mod support;

use domain::{ModelConfig, TrainEvent, model::Architecture};
use model::{Decoder, devices, random::Random};
use support::job;
use training::{StopSignal, measure};

fn config(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab: 40,
        d_model: 32,
        layers: 2,
        heads: 4,
        kv_heads: if architecture == Architecture::Gpt2 { 4 } else { 2 },
        head_dim: 8,
        d_ff: 48,
        context: 64,
        rope_theta: 1e4,
        norm_eps: 1e-5,
        tie_embeddings: true,
        design: architecture.design(),
    }
}

/// Rows of 2 to 33 tokens.
fn rows() -> Vec<Vec<u32>> {
    let mut random = Random(11);
    (0..24).map(|_| (0..2 + random.below(32)).map(|_| random.below(40) as u32).collect()).collect()
}

#[test]
fn packed_rows_have_the_loss_and_gradients_of_rows_apart() {
    let (device, _) = devices::flex();
    for architecture in Architecture::ALL {
        let decoder = Decoder::new(&config(architecture), 3, &device.clone().autodiff());
        let apart = measure::measure(&decoder, &rows());
        for capacity in [33, 64] {
            let (packed, sequences) = measure::packed(&decoder, &rows(), capacity);
            assert!(sequences < 18, "{sequences} of 24 rows");
            let off = (packed.loss - apart.loss).abs();
            assert!(off <= 1e-5, "{architecture:?} {capacity}: {} {}", packed.loss, apart.loss);
            let off = (packed.grad_norm / apart.grad_norm - 1.0).abs();
            assert!(off <= 1e-4, "{architecture:?} {capacity}: {} {}", packed.grad_norm, apart.grad_norm);
            let off = measure::gradient_difference(&decoder, &rows(), capacity);
            assert!(off <= 1e-4, "{architecture:?} {capacity}: gradients {off:e} apart");
        }
    }
}

#[test]
fn a_packed_run_says_what_it_saves_and_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, stop_at: Option<u64>| {
        let mut job = job(&folder.path().join(name), 9);
        // 160 traces of about 50 tokens, three a sequence. 6 sequences a step: 9 steps are an epoch.
        job.recipe.model.shape_mut().unwrap().context = 176;
        (job.recipe.data.packing, job.recipe.train.batch) = (true, 3.into());
        let (mut losses, mut log) = (Vec::new(), String::new());
        let stop = StopSignal::default();
        let mut sink = |event: TrainEvent| match event {
            TrainEvent::Step { step, loss, .. } => {
                losses.push((step, loss.to_bits()));
                if stop_at == Some(step) {
                    stop.ask();
                }
            }
            TrainEvent::Log { line } => log += &line,
            _ => {}
        };
        training::run(&job, &mut sink, &stop).unwrap();
        (losses, log)
    };
    let (whole, log) = train("whole", None);
    assert!(log.contains("packing: 160 traces in 54 sequences of at most 176 tokens; "), "{log}");
    let loss = |i: usize| f64::from_bits(whole[i].1);
    assert!(loss(8) < loss(0), "the loss falls: {} to {}", loss(0), loss(8));
    let (first, _) = train("parts", Some(5));
    let (second, _) = train("parts", None);
    assert_eq!((first.as_slice(), second.as_slice()), (&whole[..5], &whole[5..]));
}
