//! `aisled lab`: the shop's own mathematics on an analyst's files. A verb a file.

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

mod next_basket;

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
    /// What shoppers buy next: how well each source and the hybrid find a basket held back
    NextBasket(next_basket::NextBasketArgs),
}

/// Runs the verb and prints to `out`.
///
/// # Errors
/// A file that cannot be read, or in which nothing can be measured.
pub fn run(args: &LabArgs, out: &mut dyn Write) -> Result<Exit> {
    match &args.verb {
        LabVerb::NextBasket(args) => next_basket::run(args, out),
    }
}
