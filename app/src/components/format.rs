//! Numbers in words and figures: precision that means something, units apart.

use domain::Score;

/// `1234567` → `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 trace`, `5,000 traces`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Three significant figures with a thousands letter: `1.23 M`.
pub fn short(n: f64) -> String {
    let (value, unit) = match n.abs() {
        x if x >= 1e9 => (n / 1e9, " B"),
        x if x >= 1e6 => (n / 1e6, " M"),
        x if x >= 1e4 => (n / 1e3, " k"),
        _ => (n, ""),
    };
    let places = if unit.is_empty() && value.fract() == 0.0 || value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.places$}{unit}")
}

/// Bytes in powers of 1,000: `12.3 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..100_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        100_000_000..1_000_000_000 => format!("{:.0} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// A length of time: `8 s`, `2 min 13 s`, `1 h 4 min`, `3 d`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..172_800 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// A length of time that is only guessed: `5 s`, `10 min`, `2.5 h`, `3 d`.
pub fn about(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 55.0 => format!("{:.0} s", (s / 5.0).ceil().max(1.0) * 5.0),
        s if s < 5_400.0 => format!("{:.0} min", (s / 60.0).round().max(1.0)),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A loss: four figures are enough to compare.
pub fn loss(value: f64) -> String {
    format!("{value:.3}")
}

/// `0.914 ± 0.012`: the score with half the width of its interval.
pub fn score(score: &Score) -> String {
    format!("{:.3} ± {:.3}", score.value, (score.high - score.low) / 2.0)
}

/// A score without its interval: `0.914`.
pub fn value(score: &Score) -> String {
    format!("{:.3}", score.value)
}

/// Half the width of a score's interval: ` ± 0.012`.
pub fn margin(score: &Score) -> String {
    format!(" ± {:.3}", (score.high - score.low) / 2.0)
}

/// `4 minutes ago`, `in 2 hours`, from seconds (positive: past).
pub fn ago(seconds: f64) -> String {
    let (s, past) = (seconds.abs(), seconds >= 0.0);
    let (n, unit) = match s {
        x if x < 45.0 => return "just now".to_owned(),
        x if x < 3_600.0 => ((x / 60.0).round().max(1.0), "minute"),
        x if x < 86_400.0 => ((x / 3_600.0).round(), "hour"),
        x if x < 2_592_000.0 => ((x / 86_400.0).round(), "day"),
        x if x < 31_536_000.0 => ((x / 2_592_000.0).round(), "month"),
        x => ((x / 31_536_000.0).round(), "year"),
    };
    let plural = if n == 1.0 { "" } else { "s" };
    if past { format!("{n} {unit}{plural} ago") } else { format!("in {n} {unit}{plural}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(short(1_234_567.0), "1.23 M");
        assert_eq!(short(412.0), "412");
        assert_eq!(bytes(12_340_000), "12.3 MB");
        assert_eq!(duration(133.2), "2 min 13 s");
        assert_eq!([3.0, 58.0, 602.0, 9_000.0].map(about), ["5 s", "1 min", "10 min", "2.5 h"]);
        assert_eq!(ago(120.0), "2 minutes ago");
        assert_eq!(ago(-7_200.0), "in 2 hours");
    }
}
