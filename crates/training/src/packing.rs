//! Puts rows together into sequences with little padding: best-fit decreasing, which truncates nothing (Ding et al. 2024,
//! "Fewer Truncations Improve Language Modeling").

use std::collections::BTreeMap;

/// Longest first, each row goes where it leaves the least room. `rows`: the row numbers; those of equal length are taken in
/// this order. `lengths`: by row number. A row longer than `capacity` gets a sequence of its own.
pub(crate) fn best_fit(rows: &[usize], lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut longest_first = rows.to_vec();
    longest_first.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
    let mut sequences: Vec<Vec<usize>> = Vec::new();
    // Room left → sequences with just that.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for row in longest_first {
        let length = lengths[row];
        let (room, place) = match open.range(length..).next().map(|(room, places)| (*room, places.len())) {
            Some((room, count)) => {
                let places = open.entry(room).or_default();
                let place = places.swap_remove(count - 1);
                if places.is_empty() {
                    open.remove(&room);
                }
                (room, place)
            }
            None => {
                sequences.push(Vec::new());
                (capacity.max(length), sequences.len() - 1)
            }
        };
        sequences[place].push(row);
        if room > length {
            open.entry(room - length).or_default().push(place);
        }
    }
    sequences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 8 alone; 7+3; 6+4; then 2 fits behind 8.
        let lengths = [3, 8, 6, 2, 7, 4];
        assert_eq!(best_fit(&[0, 1, 2, 3, 4, 5], &lengths, 10), [vec![1, 3], vec![4, 0], vec![2, 5]]);
        assert_eq!(best_fit(&[0, 1], &[12, 1], 10), [vec![0], vec![1]]);
        assert_eq!(best_fit(&[1, 0], &[5, 5], 10), [vec![1, 0]], "equal lengths stay in their order");
    }

    #[test]
    fn nothing_is_lost_and_little_is_wasted() {
        let mut random = model::random::Random(5);
        let lengths: Vec<usize> = (0..2_000).map(|_| 1 + random.below(100)).collect();
        let rows: Vec<usize> = (0..lengths.len()).collect();
        let sequences = best_fit(&rows, &lengths, 128);
        let mut seen: Vec<usize> = sequences.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, rows);
        assert!(sequences.iter().all(|s| s.iter().map(|row| lengths[*row]).sum::<usize>() <= 128));
        let tokens: usize = lengths.iter().sum();
        assert!(tokens as f64 > 0.97 * (sequences.len() * 128) as f64, "{tokens} in {}", sequences.len());
    }
}
