//! Head office's network: an ONNX model that is given what a member bought and says how well each article suits.
//!
//! ```text
//! bytes --decode, graph::check, tract--> Network: a row of `width` numbers in, a row of `width` numbers out
//! Network + which column is which item --> Wired: a member's past --row--> scores of the shop's items
//! row: each basket with an item adds FADE^(baskets since) to the item's column; an item nobody sells here stays 0
//! ```
//! The seam to `tract`: no other module names it. Bytes are hostile until `read` has answered. Invariants: tract is only given
//! a graph whose every tensor, operator, shape and cost was checked here (`graph`), because it works constants out and
//! allocates while it reads; a panic of it ends here as a fault; a network that was read answers a row of noughts and one of
//! ones with numbers, and costs at most `RECOMMEND_NETWORK_MULTIPLY_ADDS_MAX` multiply-adds a question.

mod graph;
#[cfg(test)]
#[path = "../../../tests/support/onnx.rs"]
pub(super) mod onnx;
mod outline;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    Datum, Framework, InferenceModelExt, IntoRunnable, Tensor, TypedRunnableModel, tvec,
};

use super::history::{Item, Past};
use super::tally::Tally;
use crate::domain::code::Code;
use crate::limits;

/// What a basket counts less with each basket since: part of what a shipped network is fitted with, so it never changes.
const FADE: f32 = 0.9;

/// A network that was checked, ready to be asked.
pub struct Network {
    plan: Arc<TypedRunnableModel>,
    width: usize,
}

impl fmt::Debug for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Network({})", self.width)
    }
}

/// Why a network is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// The bytes are no ONNX model, or one with parts that are not taken: what, and where.
    Unreadable(String),
    /// Something has another shape than it must.
    Shape {
        /// The input, output, tensor or node.
        place: String,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// A number is NaN or infinite.
    NotFinite {
        /// The tensor, attribute or answer.
        place: String,
        /// Which of its numbers, from 0.
        at: usize,
    },
    /// An operator that is not taken.
    Operator {
        /// The node.
        node: String,
        /// What it is called.
        operator: String,
    },
    /// It is larger than a box works with.
    Large {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is taken.
        most: usize,
    },
}

impl NetworkFault {
    /// What `aisled explain` has a page about.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            NetworkFault::Unreadable(_) => Code::ModelUnreadable,
            NetworkFault::Shape { .. } => Code::ModelShape,
            NetworkFault::NotFinite { .. } => Code::ModelNotFinite,
            NetworkFault::Operator { .. } => Code::ModelOperator,
            NetworkFault::Large { .. } => Code::ModelTooLarge,
        }
    }

    fn shape(place: impl Into<String>, wanted: impl Into<String>, found: impl Into<String>) -> NetworkFault {
        NetworkFault::Shape { place: place.into(), wanted: wanted.into(), found: found.into() }
    }

    fn large(what: &'static str, found: u64, most: usize) -> Result<(), NetworkFault> {
        if found > most as u64 { Err(NetworkFault::Large { what, found, most }) } else { Ok(()) }
    }
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "use the network: ")?;
        match self {
            NetworkFault::Unreadable(what) => write!(out, "{what}"),
            NetworkFault::Shape { place, wanted, found } => {
                write!(out, "{place} has shape {found} and should have {wanted}")
            }
            NetworkFault::NotFinite { place, at } => write!(out, "number {at} of {place} is not finite"),
            NetworkFault::Operator { node, operator } => {
                write!(out, "{node} has the operator {operator}; there are {}", graph::operators())
            }
            NetworkFault::Large { what, found, most } => write!(out, "{found} {what}, at most {most}"),
        }
    }
}

impl std::error::Error for NetworkFault {}

impl Network {
    /// Reads an ONNX model of `width` columns.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(bytes: &[u8], width: usize) -> Result<Network, NetworkFault> {
        if width == 0 {
            return Err(NetworkFault::shape("the list of articles", "1 at least", "0"));
        }
        NetworkFault::large("articles", width as u64, limits::RECOMMEND_NETWORK_ITEMS_MAX)?;
        NetworkFault::large("bytes", bytes.len() as u64, limits::RECOMMEND_NETWORK_BYTES_MAX)?;
        let fields = outline::fields(bytes, limits::RECOMMEND_NETWORK_FIELDS_MAX);
        NetworkFault::large("fields", fields as u64, limits::RECOMMEND_NETWORK_FIELDS_MAX)?;
        let read = catch_unwind(AssertUnwindSafe(|| Network::read_checked(bytes, width)));
        read.unwrap_or_else(|_| Err(NetworkFault::Unreadable("what reads it stumbles over it".to_owned())))
    }

    fn read_checked(bytes: &[u8], width: usize) -> Result<Network, NetworkFault> {
        let onnx = tract_onnx::onnx().with_ignore_value_info(true);
        let proto = onnx.proto_model_for_read(&mut &*bytes);
        let mut proto = proto.map_err(|error| unreadable("it is no ONNX model", &error))?;
        graph::check(&mut proto, width)?;
        let failed = |error| unreadable("it cannot be made ready", &error);
        let model = onnx.model_for_proto_model(&proto).map_err(failed)?;
        let plan = model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(failed)?;
        let network = Network { plan, width };
        for (number, what) in [(0.0, "the answer to noughts"), (1.0, "the answer to ones")] {
            let answer = network.ask(vec![number; width])?;
            if let Some(at) = answer.iter().position(|score| !score.is_finite()) {
                return Err(NetworkFault::NotFinite { place: what.to_owned(), at });
            }
        }
        Ok(network)
    }

    /// How many columns it has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// A score for each column.
    fn ask(&self, row: Vec<f32>) -> Result<Vec<f32>, NetworkFault> {
        let asked = || {
            let row = Tensor::from_shape(&[1, self.width], &row)?;
            let mut answers = self.plan.run(tvec![row.into()])?;
            let answer = answers.remove(0);
            let is_row = answer.datum_type() == f32::datum_type() && answer.shape() == [1, self.width];
            let scores = answer.to_plain_array_view::<f32>()?.iter().copied().collect();
            Ok((is_row, scores))
        };
        match catch_unwind(AssertUnwindSafe(asked)) {
            Ok(Ok((true, scores))) => Ok(scores),
            Ok(Ok((false, scores))) => {
                let wanted = format!("[1, {}]", self.width);
                Err(NetworkFault::shape("the answer", wanted, format!("of {} numbers", scores.len())))
            }
            Ok(Err(error)) => Err(unreadable("it cannot be run", &error)),
            Err(_) => Err(NetworkFault::Unreadable("what runs it stumbles over it".to_owned())),
        }
    }
}

/// The reader's own words are cut: they may quote the file.
fn unreadable(what: &str, error: &tract_onnx::prelude::TractError) -> NetworkFault {
    NetworkFault::Unreadable(format!("{what}: {}", graph::quoted(&format!("{error:#}"))))
}

/// A network with the shop's numbers of its columns' items.
#[derive(Clone, Debug)]
pub struct Wired {
    network: Arc<Network>,
    /// The item of each column; nothing for what this shop never sold.
    items: Arc<[Option<Item>]>,
    /// The column of each item and one, or nothing.
    columns: Arc<[u32]>,
}

impl Wired {
    /// `items` are the items of the columns, in their order; those beyond the last column are passed over.
    #[must_use]
    pub fn new(network: Arc<Network>, items: impl IntoIterator<Item = Option<Item>>) -> Wired {
        let items: Arc<[Option<Item>]> = items.into_iter().take(network.width).collect();
        let known = items.iter().flatten().max().map_or(0, |item| *item as usize + 1);
        let mut columns = vec![0; known];
        for (column, item) in (1..).zip(items.iter()) {
            if let Some(item) = item {
                columns[*item as usize] = column;
            }
        }
        Wired { network, items, columns: columns.into() }
    }

    /// Adds what is above nothing into `into`, for items below `item_count`. Who bought nothing of its columns is told nothing,
    /// and so is everybody where the network does not answer with numbers.
    pub(super) fn score(&self, past: Past<'_>, item_count: usize, into: &mut Tally) {
        let mut row = vec![0.0_f32; self.network.width];
        let mut is_known = false;
        for (at, basket) in past.iter().enumerate() {
            let counts = FADE.powf((past.len() - 1 - at) as f32);
            let columns = basket.iter().filter_map(|item| self.columns.get(*item as usize)?.checked_sub(1));
            for column in columns {
                row[column as usize] += counts;
                is_known = true;
            }
        }
        if !is_known {
            return;
        }
        let scores = self.network.ask(row).unwrap_or_default();
        for (item, score) in self.items.iter().zip(scores) {
            if let Some(item) = item.filter(|item| (*item as usize) < item_count)
                && score > 0.0
                && score.is_finite()
            {
                into.add(item, score);
            }
        }
    }
}
