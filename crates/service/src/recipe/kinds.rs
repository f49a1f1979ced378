//! Rules of the keys that say how to train: their ranges, and that a key without effect under the chosen kind is refused.
//! At its default it may stand there: that is what an unwritten key is.

use domain::{
    Recipe,
    recipe::{OptimizerKind, OptimizerRecipe, ScheduleKind, ScheduleRecipe},
};

/// Tells `rule` of each key whether its rule holds, and what it says when not.
pub(super) fn rules(recipe: &Recipe, rule: &mut dyn FnMut(&str, bool, &str)) {
    let Recipe { train, optimizer, schedule, evaluation, checkpoint, .. } = recipe;
    let usual = OptimizerRecipe::default();
    let kind = optimizer.kind;
    for (key, value, usual) in [
        ("beta1", optimizer.beta1, usual.beta1),
        ("beta2", optimizer.beta2, usual.beta2),
        ("epsilon", optimizer.epsilon, usual.epsilon),
    ] {
        let used = kind != OptimizerKind::Adafactor || value == usual;
        rule(&format!("optimizer.{key}"), used, "is for kind adamw or muon: adafactor does without, remove it");
    }
    let used = kind == OptimizerKind::Muon || optimizer.momentum == usual.momentum;
    rule("optimizer.momentum", used, "is for kind muon: remove it, or see beta1");
    rule("optimizer.momentum", (0.0..1.0).contains(&optimizer.momentum), "must lie between 0 and 1");

    let wsd = schedule.kind == ScheduleKind::Wsd;
    rule("schedule.decay_steps", wsd || schedule.decay_steps.is_none(), "is for kind wsd: remove it");
    if wsd {
        let decay = schedule.decay_steps.unwrap_or(train.steps / 10);
        rule("schedule.decay_steps", schedule.decay_steps != Some(0), "must be at least 1");
        rule(
            "schedule.decay_steps",
            decay.saturating_add(schedule.warmup_steps) <= train.steps,
            "must not exceed train.steps together with schedule.warmup_steps",
        );
    }
    let falls = schedule.kind != ScheduleKind::Constant || schedule.min_ratio == ScheduleRecipe::default().min_ratio;
    rule("schedule.min_ratio", falls, "is not for kind constant, whose rate never falls: remove it");

    rule(
        "train.label_smoothing",
        (0.0..1.0).contains(&train.label_smoothing),
        "must be at least 0 and less than 1; 0.1 is usual",
    );
    rule("train.z_loss", (0.0..=1.0).contains(&train.z_loss), "must lie between 0 and 1; 1e-4 is usual");
    let share = |value: f64| value > 0.0 && value < 1.0;
    rule("train.ema_decay", train.ema_decay.is_none_or(share), "must be above 0 and less than 1; 0.999 is usual");

    if let Some(evaluations) = evaluation.stop_after {
        rule("evaluation.stop_after", evaluations > 0, "must be at least 1");
        let judged = evaluation.every > 0 && evaluation.val_items > 0;
        rule("evaluation.stop_after", judged, "needs evaluation.every and evaluation.val_items above 0");
    }
    let delta = evaluation.min_delta;
    rule("evaluation.min_delta", delta.is_finite() && delta >= 0.0, "must be a number from 0 on");
    let used = delta == 0.0 || evaluation.stop_after.is_some();
    rule("evaluation.min_delta", used, "is for evaluation.stop_after: set that too, or remove this");
    let above = |value: f64| value.is_finite() && value > 0.0;
    rule("checkpoint.minutes", checkpoint.minutes.is_none_or(above), "must be a number above 0");
}

#[cfg(test)]
mod tests {
    use super::super::{parse, resolve};

    fn errors(overrides: &[(&str, &str)]) -> String {
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let errors = parse(resolve("smoke"), &overrides).err().unwrap_or_default();
        errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_key_out_of_range_or_without_effect_is_named() {
        let wsd = ("schedule.kind", "wsd");
        let muon = ("optimizer.kind", "muon");
        let adafactor = ("optimizer.kind", "adafactor");
        for (overrides, expected) in [
            (&[wsd][..], ""),
            (&[wsd, ("schedule.decay_steps", "50")], ""),
            (&[wsd, ("schedule.decay_steps", "51")], "schedule.decay_steps: must not exceed train.steps together with"),
            (&[wsd, ("schedule.decay_steps", "0")], "schedule.decay_steps: must be at least 1"),
            (&[("schedule.decay_steps", "5")], "schedule.decay_steps: is for kind wsd"),
            (&[("schedule.kind", "constant"), ("schedule.min_ratio", "0.5")], "schedule.min_ratio: is not for kind"),
            (&[("schedule.kind", "constant")], ""),
            (&[muon, ("optimizer.momentum", "0.9")], ""),
            (&[muon, ("optimizer.momentum", "1")], "optimizer.momentum: must lie between 0 and 1"),
            (&[("optimizer.momentum", "0.9")], "optimizer.momentum: is for kind muon"),
            (&[adafactor], ""),
            (&[adafactor, ("optimizer.beta2", "0.99")], "optimizer.beta2: is for kind adamw or muon"),
            (&[adafactor, ("optimizer.epsilon", "1e-8")], ""),
            (&[("optimizer.kind", "adam")], "optimizer.kind: unknown variant `adam`, expected one of `adamw`"),
            (&[("optimizer.momentun", "0.9")], "optimizer.momentun: unknown key `momentun` in optimizer: did you mean"),
            (&[("train.label_smoothing", "0.1"), ("train.z_loss", "1e-4"), ("train.ema_decay", "0.999")], ""),
            (&[("train.label_smoothing", "1")], "train.label_smoothing: must be at least 0 and less than 1"),
            (&[("train.z_loss", "-1")], "train.z_loss: must lie between 0 and 1"),
            (&[("train.ema_decay", "1")], "train.ema_decay: must be above 0 and less than 1"),
            (&[("train.ema", "0.9")], "train.ema: unknown key `ema` in train: did you mean `ema_decay`?"),
            (&[("evaluation.stop_after", "3"), ("evaluation.min_delta", "0.01")], ""),
            (&[("evaluation.stop_after", "0")], "evaluation.stop_after: must be at least 1"),
            (&[("evaluation.stop_after", "3"), ("evaluation.every", "0")], "evaluation.stop_after: needs evaluation"),
            (&[("evaluation.min_delta", "0.01")], "evaluation.min_delta: is for evaluation.stop_after"),
            (&[("checkpoint.minutes", "0")], "checkpoint.minutes: must be a number above 0"),
            (&[("checkpoint.minutes", "2.5")], ""),
        ] {
            let found = errors(overrides);
            assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{overrides:?}: {found}");
        }
    }

    /// Hashes of the recipes from before these keys: they stand in runs and in checkpoints.
    #[test]
    fn an_unwritten_key_leaves_a_recipes_hash_as_it_was() {
        for (name, hash) in [
            ("addition", "da57045ac5e5ce7256d022e91be6db315508fab762c66ff65afe9a827916e36b"),
            ("smoke", "a4fa4b1fcf3744cd926a195052bf05ec45a51c97ec66bda9472955ec76aaa4b7"),
        ] {
            let recipe = parse(resolve(name), &Default::default()).unwrap();
            assert_eq!(super::super::hash(&recipe), hash, "{name}");
        }
    }
}
