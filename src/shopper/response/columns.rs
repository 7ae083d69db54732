//! A table of numbers to learn from, and how a column becomes what a linear model sees.
//!
//! Invariants: all columns are of one length; a value is finite, or NaN where it is missing. `Ruler` is fitted on the
//! rows to learn from only: logarithm, mean, spread and range come from there, so nothing leaks from the rows judged.
//! A missing value becomes the mean, and one more column says that it was missing.

use serde::{Deserialize, Serialize};

use super::ModelFault;

/// Numeric columns of equal length; NaN is a missing value.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// By column, then by row.
    values: Vec<Vec<f64>>,
    rows: usize,
}

impl Columns {
    /// Columns of `rows` values each; `None` where one has another length or a value is infinite.
    pub fn new(rows: usize, values: Vec<Vec<f64>>) -> Option<Columns> {
        let fits =
            |column: &Vec<f64>| column.len() == rows && !column.iter().any(|value| value.is_infinite());
        values.iter().all(fits).then_some(Columns { values, rows })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns.
    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// The same with these columns behind its own.
    pub fn with(&self, more: &[Vec<f64>]) -> Option<Columns> {
        Columns::new(self.rows, self.values.iter().chain(more).cloned().collect())
    }

    /// One row.
    pub fn row(&self, row: usize) -> Vec<f64> {
        self.values.iter().map(|column| column[row]).collect()
    }
}

/// How values of one column are measured before they are centred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// As they are.
    Plain,
    /// `sign(x) ln(1 + |x|)`: counts and money are skewed, and a tenth visit says less than the second.
    Log,
}

impl Measure {
    fn of(self, value: f64) -> f64 {
        match self {
            Measure::Plain => value,
            Measure::Log => value.signum() * value.abs().ln_1p(),
        }
    }
}

/// One input of a linear model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Tick {
    column: usize,
    is_missing_flag: bool,
    mean: f64,
    spread: f64,
    low: f64,
    high: f64,
}

/// Turns rows into standardised inputs: mean 0 and spread 1 over the rows it was fitted on, held to their range or somewhat beyond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruler {
    measure: Measure,
    ticks: Vec<Tick>,
}

impl Ruler {
    /// Of these rows. Columns that are constant there carry nothing and are left out. Inputs may go beyond the range of these
    /// rows by so many times its width: a file in order of time goes on beyond it, because counts grow.
    pub fn fit(columns: &Columns, rows: &[u32], measure: Measure, beyond: f64) -> Ruler {
        let mut ticks = Vec::new();
        for (column, values) in columns.values.iter().enumerate() {
            let seen = rows.iter().map(|row| values[*row as usize]);
            let present: Vec<f64> =
                seen.filter(|value| !value.is_nan()).map(|value| measure.of(value)).collect();
            let share = present.len() as f64 / rows.len().max(1) as f64;
            ticks.extend(tick(column, &present, beyond));
            if share > 0.0 && share < 1.0 {
                let (mean, spread) = (1.0 - share, (share * (1.0 - share)).sqrt());
                ticks.push(Tick { column, is_missing_flag: true, mean, spread, low: 0.0, high: 1.0 });
            }
        }
        Ruler { measure, ticks }
    }

    /// How many inputs a row becomes.
    pub fn width(&self) -> usize {
        self.ticks.len()
    }

    /// The inputs of some rows, one row after the other.
    pub fn apply(&self, columns: &Columns, rows: &[u32]) -> Vec<f64> {
        let mut inputs = Vec::with_capacity(rows.len() * self.ticks.len());
        for row in rows {
            inputs.extend(self.inputs(|column| columns.values[column][*row as usize]));
        }
        inputs
    }

    /// The inputs of one row, whose values `value` knows by column.
    pub fn inputs(&self, value: impl Fn(usize) -> f64) -> impl Iterator<Item = f64> {
        self.ticks.iter().map(move |tick| {
            let value = value(tick.column);
            let value = match (tick.is_missing_flag, value.is_nan()) {
                (true, missing) => f64::from(u8::from(missing)),
                (false, true) => return 0.0,
                (false, false) => self.measure.of(value).clamp(tick.low, tick.high),
            };
            (value - tick.mean) / tick.spread
        })
    }

    /// Could it have come from columns of this number?
    ///
    /// # Errors
    /// It reads a column that is not there, or a number of it is NaN, infinite, no spread or no range.
    pub fn check(&self, columns: usize) -> Result<(), ModelFault> {
        for (at, tick) in self.ticks.iter().enumerate() {
            if tick.column >= columns {
                return Err(ModelFault::Shape { what: "features", has: columns, needs: tick.column + 1 });
            }
            let all = [tick.mean, tick.spread, tick.low, tick.high];
            if !all.iter().all(|number| number.is_finite()) || tick.spread <= 0.0 || tick.low > tick.high {
                return Err(ModelFault::Number { what: "input", at });
            }
        }
        Ok(())
    }
}

fn tick(column: usize, present: &[f64], beyond: f64) -> Option<Tick> {
    let count = present.len() as f64;
    let mean = present.iter().sum::<f64>() / count;
    let spread = (present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let low = present.iter().copied().fold(f64::INFINITY, f64::min);
    let high = present.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The spread of huge but equal numbers is rounding; and what overflows cannot be measured.
    let tells = low < high && spread.is_finite() && spread > 1e-12 * mean.abs();
    let room = beyond * (high - low);
    let (low, high) = (low - room, high + room);
    tells.then_some(Tick { column, is_missing_flag: false, mean, spread, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_a_row_become() {
        let values = vec![vec![0.0, 2.0, 9.0], vec![7.0, 7.0, 8.0], vec![f64::NAN, 1.0, f64::NAN]];
        let columns = Columns::new(3, values).expect("of one length");
        let ruler = Ruler::fit(&columns, &[0, 1], Measure::Plain, 1.0);
        // The second column is constant among the first two rows; the third is there once, which is constant too.
        assert_eq!(ruler.width(), 2);
        assert_eq!(ruler.apply(&columns, &[0, 1, 2]), [-1.0, 1.0, 1.0, -1.0, 3.0, 1.0]);
        let held = Ruler::fit(&columns, &[0, 1], Measure::Plain, 0.0);
        assert_eq!(held.apply(&columns, &[2]), [1.0, 1.0]);
        assert_eq!(Columns::new(2, vec![vec![0.0]]), None);
        assert_eq!(Columns::new(1, vec![vec![f64::INFINITY]]), None);
    }
}
