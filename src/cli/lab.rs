//! `aisled lab`: the shop's own mathematics on an analyst's files.
//!
//! A verb a file. Each reads one file, says what is wrong with it row by row (a row left out never stops the rest), and
//! prints a table, or with `--json` one JSON object. Exit codes: 0 the whole file counts, 1 something in it does not or
//! nothing could be computed, 2 the arguments are wrong.

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

mod next_basket;
mod numbers;
mod peeking;
mod response;
mod rfm;
mod rules;
mod table;
mod uplift;
mod value;

use super::Exit;

/// Arguments of `lab`.
#[derive(Args, Clone, Debug)]
pub struct LabArgs {
    /// What to compute
    #[command(subcommand)]
    verb: LabVerb,
}

/// What to compute.
#[derive(Subcommand, Clone, Debug)]
enum LabVerb {
    /// Recency, frequency and money in fifths, and the segments they make
    Rfm(rfm::RfmArgs),
    /// Who answers an offer: learns from past answers, and says how well it tells them apart
    Response(response::ResponseArgs),
    /// Whom an offer moves: learns from treated and untreated, judged by Qini over random splits
    Uplift(uplift::UpliftArgs),
    /// What shoppers buy next: how well each source and the hybrid find a basket held back
    NextBasket(next_basket::NextBasketArgs),
    /// Association rules: what baskets that hold some items also hold
    Rules(rules::RulesArgs),
    /// What customers will buy and are worth: BG/NBD, Pareto/NBD and Gamma-Gamma beside a naive baseline
    Value(value::ValueArgs),
    /// Simulated campaigns looked at every day: how often does an interval lie?
    Peeking(peeking::PeekingArgs),
}

/// Runs the verb and prints to `out`.
///
/// # Errors
/// A file that cannot be read, or is no table with the columns asked for.
pub fn run(args: &LabArgs, out: &mut dyn Write) -> Result<Exit> {
    match &args.verb {
        LabVerb::Rfm(args) => rfm::run(args, out),
        LabVerb::Response(args) => response::run(args, out),
        LabVerb::Uplift(args) => uplift::run(args, out),
        LabVerb::NextBasket(args) => next_basket::run(args, out),
        LabVerb::Rules(args) => rules::run(args, out),
        LabVerb::Value(args) => value::run(args, out),
        LabVerb::Peeking(args) => peeking::run(args, out),
    }
}
