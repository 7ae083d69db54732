//! `aisled drive`.

use std::io::Write;

use anyhow::Result;
use clap::Args;

use super::Exit;

/// Arguments of `drive`.
#[derive(Args, Clone, Debug)]
pub struct DriveArgs {}

/// Runs.
pub fn run(_args: &DriveArgs, _out: &mut dyn Write) -> Result<Exit> {
    Ok(Exit::Usage)
}
