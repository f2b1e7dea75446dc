//! Figures of one thing over the rounds of a run.

use std::fmt;

/// The unit of a figure. Its form and the better direction follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of something in a second; more is better.
    PerSecond,
    /// Less is better, as with all that follow.
    Seconds,
    Megabytes,
}

/// A figure for each round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    unit: Unit,
    figures: Vec<f64>,
}

impl Sample {
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            figures: Vec::new(),
        }
    }

    /// Adds the figure of a round.
    pub(crate) fn add(&mut self, figure: f64) {
        self.figures.push(figure);
        self.figures.sort_by(f64::total_cmp);
    }

    /// The one in the middle; of an even number, the lower of the two.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.figures.len().saturating_sub(1) / 2;
        self.figures.get(middle).copied().unwrap_or(f64::NAN)
    }

    /// The factor by which the median is better than another's.
    pub(crate) fn times_better(&self, other: &Self) -> f64 {
        match self.unit {
            Unit::PerSecond => self.median() / other.median(),
            Unit::Seconds | Unit::Megabytes => other.median() / self.median(),
        }
    }
}

/// The median, and the least and the greatest where there are several.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(self.unit, self.median()))?;
        if let [least, .., greatest] = self.figures.as_slice() {
            let (least, greatest) = (shown(self.unit, *least), shown(self.unit, *greatest));
            write!(f, " ({least} … {greatest})")?;
        }
        Ok(())
    }
}

/// A figure in three digits, by the unit that suits it.
pub(crate) fn shown(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::PerSecond => format!("{}/s", grouped(figure)),
        Unit::Megabytes => format!("{} MB", digits(figure)),
        Unit::Seconds if figure < 1e-3 => format!("{} µs", digits(figure * 1e6)),
        Unit::Seconds if figure < 1.0 => format!("{} ms", digits(figure * 1e3)),
        Unit::Seconds => format!("{} s", digits(figure)),
    }
}

fn digits(figure: f64) -> String {
    match figure {
        small if small < 10.0 => format!("{small:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        great => format!("{great:.0}"),
    }
}

/// A whole number with its thousands set apart.
fn grouped(figure: f64) -> String {
    let plain = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(unit: Unit, figures: &[f64]) -> Sample {
        let mut sample = Sample::new(unit);
        figures.iter().for_each(|figure| sample.add(*figure));
        sample
    }

    #[test]
    fn a_sample_shows_its_middle_and_its_ends() {
        let rate = sample(Unit::PerSecond, &[12_000.0, 900.4, 8_123.0]);
        assert_eq!(rate.to_string(), "8,123/s (900/s … 12,000/s)");
        let time = sample(Unit::Seconds, &[0.000_025]);
        assert_eq!(time.to_string(), "25.0 µs");
        assert_eq!(shown(Unit::Seconds, 0.0153), "15.3 ms");
        assert_eq!(shown(Unit::Seconds, 4.0), "4.00 s");
        assert_eq!(shown(Unit::Megabytes, 120.4), "120 MB");
    }

    #[test]
    fn better_is_more_of_a_rate_and_less_of_a_time() {
        let (slow, fast) = ([10.0], [40.0]);
        let rates = (
            sample(Unit::PerSecond, &fast),
            sample(Unit::PerSecond, &slow),
        );
        assert!((rates.0.times_better(&rates.1) - 4.0).abs() < 1e-9);
        let times = (sample(Unit::Seconds, &slow), sample(Unit::Seconds, &fast));
        assert!((times.0.times_better(&times.1) - 4.0).abs() < 1e-9);
    }
}
