//! Where things lie in a chart: scales, ticks, paths, smoothing. Pure; places are shares of the plot, 0 to 100.

/// One axis: the values at its ends, linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    pub log: bool,
}

impl Scale {
    /// Spans all finite values (above 0 when `log`), with a little room; 0 to 1 when there are none.
    pub fn around(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let usable = values.filter(|v| v.is_finite() && (!log || *v > 0.0));
        let (low, high) = usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return Self { low: if log { 0.1 } else { 0.0 }, high: 1.0, log };
        }
        if log {
            let room = (high / low).powf(0.04).max(1.02);
            return Self { low: low / room, high: high * room, log };
        }
        let room = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) * 0.1 };
        // A curve of positive values does not need negative room.
        let below = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        Self { low: below, high: high + room, log }
    }

    /// The place of a value, 0 to 100 from the low end.
    pub fn place(&self, value: f64) -> f64 {
        let of = |v: f64| if self.log { v.max(f64::MIN_POSITIVE).ln() } else { v };
        let (low, high) = (of(self.low), of(self.high));
        if high > low { (of(value) - low) / (high - low) * 100.0 } else { 50.0 }
    }

    /// Round values to label: about `wish` steps of 1, 2 or 5 times a power of ten; powers of ten when `log`.
    pub fn ticks(&self, wish: usize) -> Vec<f64> {
        if self.log {
            let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
            let powers: Vec<f64> = (first..=last).map(|p| 10_f64.powi(p)).collect();
            if powers.len() > 1 {
                return powers;
            }
        }
        let raw = (self.high - self.low) / wish.max(1) as f64;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw).unwrap_or(raw);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|k| k as f64 * step).take_while(|v| *v <= self.high + step * 1e-9).take(50).collect()
    }
}

/// An SVG path through points (already places); a gap where a value is not finite.
pub fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut out = String::new();
    let mut drawing = false;
    for (x, y) in points {
        if !y.is_finite() {
            drawing = false;
            continue;
        }
        out.push_str(&format!("{}{x:.2} {:.2}", if drawing { "L" } else { "M" }, 100.0 - y));
        drawing = true;
    }
    out
}

/// An SVG path of a dot at each point: lines of no length with round ends keep their shape when the picture stretches.
pub fn dots(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.filter(|(_, y)| y.is_finite()).map(|(x, y)| format!("M{x:.2} {:.2}h0", 100.0 - y)).collect()
}

/// Exponential moving average with the bias of its beginning taken out (Kingma & Ba 2015); `weight` 0 changes nothing.
pub fn smooth(values: &[f64], weight: f64) -> Vec<f64> {
    let (mut mean, mut total) = (0.0, 0.0);
    values
        .iter()
        .map(|value| {
            if !value.is_finite() {
                return *value;
            }
            mean = weight * mean + (1.0 - weight) * value;
            total = weight * total + (1.0 - weight);
            mean / total
        })
        .collect()
}

/// A tick's or point's value in few characters: `0.0012`, `1.5`, `12,000` as `12k`.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".to_owned(),
        s if s >= 1e9 => format!("{}G", trim(value / 1e9, 2)),
        s if s >= 1e6 => format!("{}M", trim(value / 1e6, 2)),
        s if s >= 1e4 => format!("{}k", trim(value / 1e3, 1)),
        s if s >= 100.0 => trim(value, 1),
        s if s >= 0.01 => trim(value, 4),
        s if s >= 0.000_1 => trim(value, 6),
        _ => format!("{value:.1e}"),
    }
}

fn trim(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let linear = |low, high| Scale { low, high, log: false }.ticks(4);
        assert_eq!(linear(0.0, 1.0), [0.0, 0.5, 1.0]);
        assert_eq!(linear(0.0, 600.0), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(Scale { low: 0.01, high: 20.0, log: true }.ticks(4), [0.01, 0.1, 1.0, 10.0]);
    }

    #[test]
    fn places_run_from_0_to_100() {
        let scale = Scale { low: 1.0, high: 100.0, log: true };
        assert_eq!([1.0, 10.0, 100.0].map(|v| scale.place(v).round()), [0.0, 50.0, 100.0]);
        assert_eq!(Scale::around([f64::NAN].into_iter(), false), Scale { low: 0.0, high: 1.0, log: false });
        assert!(Scale::around([3.0, 3.0].into_iter(), false).high > 3.0);
    }

    #[test]
    fn paths_break_at_gaps() {
        assert_eq!(path([(0.0, 0.0), (1.0, f64::NAN), (2.0, 100.0)].into_iter()), "M0.00 100.00M2.00 0.00");
    }

    #[test]
    fn dots_skip_gaps() {
        assert_eq!(dots([(0.0, 0.0), (1.0, f64::NAN), (2.0, 100.0)].into_iter()), "M0.00 100.00h0M2.00 0.00h0");
    }

    #[test]
    fn smoothing_by_hand() {
        assert_eq!(smooth(&[1.0, 3.0], 0.0), [1.0, 3.0]);
        // (0.5·0.5·1 + 0.5·3) / 0.75
        assert!((smooth(&[1.0, 3.0], 0.5)[1] - 1.75 / 0.75).abs() < 1e-12);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0.0, 0.0012, 1.5, 250.0, 12_000.0, 1e-6].map(figure),
            ["0", "0.0012", "1.5", "250", "12k", "1.0e-6"]
        );
    }
}
