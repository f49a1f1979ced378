//! High-card duel: two players draw one card each from one deck; the higher rank wins, and of equal ranks the higher suit.
//! The answer must be decided from both cards (there are no ties: no two cards of a deck are equal).

use crate::{Problem, dice::Dice};
use std::cmp::Ordering;

const RANKS: [&str; 13] = ["2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A"];
/// In rising order, as the prompt says.
const SUITS: [&str; 4] = ["clubs", "diamonds", "hearts", "spades"];
const PLAYERS: [&str; 12] = ["Ada", "Ben", "Cleo", "Dov", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kai", "Lea"];
const RULE: &str = "Ace is high; equal ranks: clubs < diamonds < hearts < spades.";

/// Rank and suit as places in their lists.
type Card = (usize, usize);

/// From level 3 on equal ranks come up often, so that the suit decides.
pub(crate) fn problem(dice: &mut Dice, level: u8) -> Problem {
    let first = dice.below(12) as usize;
    let second = (first + 1 + dice.below(11) as usize) % 12;
    let a = card(dice.below(52));
    let b = loop {
        let b = if level >= 3 && dice.below(3) == 0 { (a.0, dice.below(4) as usize) } else { card(dice.below(52)) };
        if b != a {
            break b;
        }
    };
    let (x, y) = (PLAYERS[first], PLAYERS[second]);
    let (rank_a, rank_b) = (RANKS[a.0], RANKS[b.0]);
    let comparison = match a.0.cmp(&b.0) {
        Ordering::Greater => format!("{rank_a} > {rank_b}"),
        Ordering::Less => format!("{rank_a} < {rank_b}"),
        Ordering::Equal if a.1 > b.1 => format!("{rank_a} = {rank_b}, {} > {}", SUITS[a.1], SUITS[b.1]),
        Ordering::Equal => format!("{rank_a} = {rank_b}, {} < {}", SUITS[a.1], SUITS[b.1]),
    };
    let winner = if a > b { x } else { y };
    Problem {
        prompt: format!("{x} draws {}, {y} draws {}. {RULE} Who wins?", name(a), name(b)),
        steps: vec![
            ("observe", format!("{x}: {}", name(a))),
            ("observe", format!("{y}: {}", name(b))),
            ("compare", comparison),
            ("result", format!("{winner} has the higher card")),
        ],
        answer: winner.to_owned(),
    }
}

fn card(n: u64) -> Card {
    ((n / 4) as usize, (n % 4) as usize)
}

fn name((rank, suit): Card) -> String {
    format!("{} of {}", RANKS[rank], SUITS[suit])
}

fn parse(text: &str) -> Option<(&str, Card)> {
    let (player, card) = text.trim().split_once(" draws ")?;
    let (rank, suit) = card.split_once(" of ")?;
    Some((player, (RANKS.iter().position(|r| *r == rank)?, SUITS.iter().position(|s| *s == suit)?)))
}

pub(crate) fn verify(prompt: &str, answer: &str) -> bool {
    let winner = || {
        let (hands, _) = prompt.split_once(". ")?;
        let (a, b) = hands.split_once(", ")?;
        let ((x, a), (y, b)) = (parse(a)?, parse(b)?);
        (a != b).then_some(if a > b { x } else { y })
    };
    winner().is_some_and(|winner| winner == answer)
}
