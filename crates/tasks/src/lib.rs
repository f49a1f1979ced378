//! Task families: seeded generators of traces, each with a verifier that decides by itself whether an answer is right.
//! The same spec gives the same traces on every platform (ChaCha8, integers only).

mod addition;
mod dice;
mod duel;
mod sorting;

use dice::Dice;
use domain::{GenerateSpec, NewTrace, Step, TaskFamily, trace::MetaValue};
use std::collections::{BTreeMap, HashSet};

/// The hardest level of every family.
pub const HARDEST: u8 = 5;

/// One problem, before it becomes a trace.
struct Problem {
    prompt: String,
    /// Kind and content of each step.
    steps: Vec<(&'static str, String)>,
    answer: String,
}

/// The traces of a spec, made as they are asked for. Prompts do not repeat while the family has new ones to give.
pub fn generate(spec: &GenerateSpec) -> impl Iterator<Item = NewTrace> + Send + use<> {
    let spec = *spec;
    let mut dice = Dice::new(spec.seed, spec.family.key());
    let mut seen = HashSet::new();
    (0..spec.count).map(move |index| {
        let mut tries = 0;
        loop {
            let level = spec.difficulty.unwrap_or_else(|| 1 + dice.below(3) as u8).clamp(1, HARDEST);
            let problem = match spec.family {
                TaskFamily::Addition => addition::problem(&mut dice, level),
                TaskFamily::Sorting => sorting::problem(&mut dice, level),
                TaskFamily::HighCardDuel => duel::problem(&mut dice, level),
            };
            tries += 1;
            // A small space (one-digit sums) runs out: after enough tries a repeat is better than no end.
            if seen.insert(problem.prompt.clone()) || tries > 200 {
                return trace(&spec, level, index, problem);
            }
        }
    })
}

fn trace(spec: &GenerateSpec, level: u8, index: u32, problem: Problem) -> NewTrace {
    let meta = BTreeMap::from([
        ("source".to_owned(), MetaValue::from("generator")),
        ("family".to_owned(), MetaValue::from(spec.family.key())),
        ("difficulty".to_owned(), MetaValue::Int(level.into())),
        ("seed".to_owned(), MetaValue::Int(spec.seed as i64)),
        ("index".to_owned(), MetaValue::Int(index.into())),
    ]);
    let steps = problem.steps.into_iter().enumerate();
    NewTrace {
        trace_version: "1.0".to_owned(),
        history: Vec::new(),
        prompt: problem.prompt,
        final_answer: problem.answer,
        steps: steps.map(|(i, (kind, content))| Step { i: i as u32, kind: kind.to_owned(), content }).collect(),
        meta: Some(meta),
    }
}

/// Whether `answer` is right for `prompt`, decided from the prompt alone. A prompt that is not the family's own: no.
pub fn verify(family: TaskFamily, prompt: &str, answer: &str) -> bool {
    let answer = answer.trim();
    match family {
        TaskFamily::Addition => addition::verify(prompt, answer),
        TaskFamily::Sorting => sorting::verify(prompt, answer),
        TaskFamily::HighCardDuel => duel::verify(prompt, answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(family: TaskFamily, count: u32, seed: u64, difficulty: Option<u8>) -> GenerateSpec {
        GenerateSpec { family, count, seed, difficulty }
    }

    const GOLDEN: [(TaskFamily, &str, &str); 3] = [
        (TaskFamily::Addition, "9 + 41 =", "50"),
        (TaskFamily::Sorting, "sort 14 85 66 =", "14 66 85"),
        (
            TaskFamily::HighCardDuel,
            "Gus draws 2 of spades, Lea draws J of hearts. Ace is high; equal ranks: clubs < diamonds < hearts < spades. Who wins?",
            "Lea",
        ),
    ];

    /// Pins the bytes: a change here changes every dataset that people regenerate from a seed.
    #[test]
    fn first_traces_are_pinned() {
        for (family, prompt, answer) in GOLDEN {
            let trace = generate(&spec(family, 1, 1, None)).next().unwrap();
            assert_eq!((trace.prompt.as_str(), trace.final_answer.as_str()), (prompt, answer), "{family}");
        }
    }

    #[test]
    fn five_thousand_sums_are_all_different() {
        let prompts: HashSet<String> =
            generate(&spec(TaskFamily::Addition, 5_000, 1, None)).map(|t| t.prompt).collect();
        assert_eq!(prompts.len(), 5_000);
    }

    #[test]
    fn duel_is_a_real_decision() {
        let traces: Vec<NewTrace> = generate(&spec(TaskFamily::HighCardDuel, 1_000, 1, None)).collect();
        let first = traces.iter().filter(|t| t.prompt.starts_with(&t.final_answer)).count();
        assert!((400..600).contains(&first), "the first player wins {first} of 1000");
    }

    #[test]
    fn foreign_prompts_never_verify() {
        for family in TaskFamily::ALL {
            assert!(!verify(family, "What is the capital of France?", "Paris"));
            assert!(!verify(family, "", ""));
        }
    }

    proptest! {
        #[test]
        fn own_answer_verifies_and_a_changed_one_does_not(seed: u64, level in 1_u8..=5, which in 0_usize..3) {
            let family = TaskFamily::ALL[which];
            for trace in generate(&spec(family, 3, seed, Some(level))) {
                prop_assert!(verify(family, &trace.prompt, &trace.final_answer));
                let changed = format!("{}1", trace.final_answer);
                prop_assert!(!verify(family, &trace.prompt, &changed));
                prop_assert!(!verify(family, &trace.prompt, ""));
                prop_assert!(trace.validated().is_ok());
            }
        }
    }
}
