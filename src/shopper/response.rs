//! Who answers an offer: a model small enough to ship, and the learners behind `aisled lab response`.
//!
//! `ResponseModel` is a logistic regression as a box holds it: fitted there or shipped in the bundle, checked before it is
//! used. It ranks offers (`targeting`); no price depends on it. `fit` compares it with trees and averages both.

pub mod columns;
pub mod fit;
pub mod logistic;
pub mod measures;

use serde::{Deserialize, Serialize};

use crate::domain::code::Code;
use crate::limits;
use columns::{Columns, Measure, Ruler};
use fit::NothingToLearn;
use logistic::Inputs;

/// The chance that a shopper answers, from numbers known about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseModel {
    /// What each number of a row is, in order.
    pub features: Vec<String>,
    /// How a row becomes inputs.
    pub ruler: Ruler,
    /// One an input, the intercept last.
    pub weights: Vec<f64>,
}

/// Why a model is refused. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelFault {
    /// It has so many of something, and needs another number.
    Shape {
        /// Of what.
        what: &'static str,
        /// How many there are.
        has: usize,
        /// How many there should be; for what may be fewer, at most.
        needs: usize,
    },
    /// A number is NaN, infinite, or no spread or range.
    Number {
        /// Which kind.
        what: &'static str,
        /// Its place, from 0.
        at: usize,
    },
}

impl ModelFault {
    /// Its stable code.
    pub fn code(&self) -> Code {
        match self {
            ModelFault::Shape { .. } => Code::ModelShape,
            ModelFault::Number { .. } => Code::ModelNotFinite,
        }
    }
}

impl std::fmt::Display for ModelFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ModelFault::Shape { what, has, needs } => {
                write!(f, "use a response model: {has} {what}, not {needs}")
            }
            ModelFault::Number { what, at } => {
                write!(f, "use a response model: {what} {at} is no finite, sensible number")
            }
        }
    }
}

impl std::error::Error for ModelFault {}

impl ResponseModel {
    /// Fits a model on a shop's own answers, 0 or 1 by row.
    ///
    /// # Errors
    /// Too few of one class.
    pub fn fit(
        features: Vec<String>,
        columns: &Columns,
        outcomes: &[f64],
    ) -> Result<ResponseModel, NothingToLearn> {
        let responded = outcomes.iter().filter(|outcome| **outcome > 0.5).count();
        let did_not = outcomes.len() - responded;
        if responded.min(did_not) < limits::RESPONSE_CLASS_ROWS_MIN {
            return Err(NothingToLearn::TooFew { responded, did_not });
        }
        let rows: Vec<u32> = (0..columns.rows() as u32).collect();
        let ruler = Ruler::fit(columns, &rows, Measure::Log, 0.0);
        let (width, values) = (ruler.width(), ruler.apply(columns, &rows));
        let inputs = Inputs { values: &values, width };
        let weights =
            logistic::fit_logistic(inputs, outcomes, limits::RESPONSE_RIDGE_USUAL, &vec![0.0; width + 1]);
        Ok(ResponseModel { features, ruler, weights })
    }

    /// Checks a model that came from elsewhere.
    ///
    /// # Errors
    /// See `ModelFault`.
    pub fn check(&self) -> Result<(), ModelFault> {
        let width = self.ruler.width();
        if self.features.len() > limits::RESPONSE_FEATURES_MAX {
            let needs = limits::RESPONSE_FEATURES_MAX;
            return Err(ModelFault::Shape { what: "features", has: self.features.len(), needs });
        }
        if self.weights.len() != width + 1 {
            return Err(ModelFault::Shape { what: "weights", has: self.weights.len(), needs: width + 1 });
        }
        self.ruler.check(self.features.len())?;
        match self.weights.iter().position(|weight| !weight.is_finite()) {
            Some(at) => Err(ModelFault::Number { what: "weight", at }),
            None => Ok(()),
        }
    }

    /// The chance that the shopper of this row answers; NaN in the row is a number nobody knows.
    ///
    /// # Errors
    /// The row has another shape than the model, or holds an infinite number.
    pub fn probability(&self, row: &[f64]) -> Result<f64, ModelFault> {
        if row.len() != self.features.len() {
            return Err(ModelFault::Shape {
                what: "numbers of a shopper",
                has: row.len(),
                needs: self.features.len(),
            });
        }
        if let Some(at) = row.iter().position(|value| value.is_infinite()) {
            return Err(ModelFault::Number { what: "number of a shopper", at });
        }
        Ok(logistic::probability(logistic::margin(
            &self.weights,
            &self.ruler.inputs(|column| row[column]).collect::<Vec<_>>(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted() -> ResponseModel {
        let visits: Vec<f64> = (0..200).map(|row| f64::from(row % 20)).collect();
        let known =
            (0..200).map(|row| if row % 3 == 0 { f64::NAN } else { 1.0 + f64::from(row % 2) }).collect();
        let outcomes: Vec<f64> = visits.iter().map(|visits| f64::from(u8::from(*visits > 12.0))).collect();
        let columns = Columns::new(200, vec![visits, known]).expect("of one length");
        ResponseModel::fit(vec!["visits".to_owned(), "known".to_owned()], &columns, &outcomes)
            .expect("both classes")
    }

    #[test]
    fn does_a_model_rank_shoppers_and_survive_its_journey() {
        let model = fitted();
        assert_eq!(model.check(), Ok(()));
        let chance = |visits: f64| model.probability(&[visits, f64::NAN]).expect("of its shape");
        assert!(chance(19.0) > 1.8 * chance(2.0) && chance(19.0) < 1.0, "{} {}", chance(19.0), chance(2.0));
        let text = serde_json::to_string(&model).expect("numbers are finite");
        let back: ResponseModel = serde_json::from_str(&text).expect("the same form");
        assert_eq!(back.probability(&[7.0, 1.0]), model.probability(&[7.0, 1.0]));
    }

    #[test]
    fn is_a_model_refused_that_is_of_another_shape_or_holds_no_number() {
        let with = |change: &dyn Fn(&mut ResponseModel)| {
            let mut model = fitted();
            change(&mut model);
            let fault = model.check().expect_err("it is wrong");
            (fault.code(), fault.to_string())
        };
        let (code, text) = with(&|model| model.weights.truncate(1));
        assert_eq!((code, text.as_str()), (Code::ModelShape, "use a response model: 1 weights, not 4"));
        assert_eq!(with(&|model| model.weights[1] = f64::NAN).0, Code::ModelNotFinite);
        assert_eq!(with(&|model| model.features.truncate(1)).0, Code::ModelShape);
        let model = fitted();
        assert_eq!(model.probability(&[1.0]).map_err(|fault| fault.code()), Err(Code::ModelShape));
        assert_eq!(
            model.probability(&[1.0, f64::INFINITY]).map_err(|fault| fault.code()),
            Err(Code::ModelNotFinite)
        );
    }
}
