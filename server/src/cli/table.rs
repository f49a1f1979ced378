//! Tables and figures for a person at a terminal: columns as wide as they must be, numbers to the right.

use domain::{Micros, Score};

/// Rows under a head. A head that begins with `>` is a column of numbers.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let count = |text: &str| text.chars().count();
    let width = |i: usize| {
        let cells = rows.iter().map(|row| count(&row[i])).max().unwrap_or(0);
        cells.max(count(head[i].trim_start_matches('>')))
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(i, cell)| {
            let space = " ".repeat(widths[i].saturating_sub(count(cell)));
            if head[i].starts_with('>') { space + cell } else { (*cell).to_owned() + &space }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(head.iter().map(|h| h.trim_start_matches('>')).collect());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

/// Name and value, one a line.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

/// One line of at most `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let line = text.replace(['\n', '\r'], "⏎");
    if line.chars().count() <= most { line } else { line.chars().take(most - 1).chain(['…']).collect() }
}

/// `0.914 ± 0.012`: half the interval, which for small counts is not quite symmetric.
pub(super) fn score(score: Option<&Score>) -> String {
    score.map_or_else(|| "–".into(), |s| format!("{:.3} ± {:.3}", s.value, (s.high - s.low) / 2.0))
}

/// A figure with as many places as mean something.
pub(super) fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |v| if v.abs() >= 100.0 { format!("{v:.0}") } else { format!("{v:.4}") })
}

pub(super) fn bytes(bytes: u64) -> String {
    let mebi = bytes as f64 / f64::from(1 << 20);
    if mebi >= 1024.0 { format!("{:.1} GiB", mebi / 1024.0) } else { format!("{mebi:.1} MiB") }
}

/// `1 h 02 min`, `3 min 20 s`, `45 s`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// How long ago; the exact time stands in the JSON.
pub(super) fn ago(at: Micros) -> String {
    duration(Micros::now().seconds_since(at)) + " ago"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let rows = [vec!["a".to_owned(), "7".to_owned()], vec!["länger".to_owned(), "123".to_owned()]];
        assert_eq!(table(&["name", ">n"], &rows), "name      n\na         7\nlänger  123\n");
        assert_eq!(short("one\ntwo three", 8), "one⏎two…");
        assert_eq!([duration(45.2), duration(200.0), duration(3_720.0)], ["45 s", "3 min 20 s", "1 h 02 min"]);
    }
}
