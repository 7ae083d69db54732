//! `aisled audit`: what was done to this box, and whether anybody changed the record of it.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Exit;
use super::words::tell;
use crate::audit::{self, AuditError};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::calendar::StoreZone;

/// Arguments of `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum AuditVerb {
    /// Is every act there as it was written? Exit code 1 and the first place if not
    Verify {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The last acts, the newest last
    Show {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        max: usize,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Writes down an act of the machine's user before it is done. Nothing is written where no data directory is yet.
pub(super) fn written(data_dir: &Path, act: &str, what: serde_json::Value) -> Result<()> {
    if !data_dir.is_dir() {
        return Ok(());
    }
    audit::append(data_dir, SystemClock.now(), &audit::machine_user(), act, what)
        .map(drop)
        .map_err(|error| anyhow!("failed to {error} ({})", error.code()))
}

/// Runs the verb on a data directory.
pub fn run(args: &AuditArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let failed = |error: AuditError| anyhow!("failed to {error} ({})", error.code());
    match args.verb {
        AuditVerb::Verify { json } => match audit::verify(data_dir) {
            Ok(checked) if json => {
                writeln!(out, "{}", serde_json::to_string(&json!({ "checks": true, "audit": checked }))?)?;
                Ok(Exit::Ok)
            }
            Ok(checked) => {
                let both = [
                    "acts {} to {} check; the last one's hash is {}",
                    "第 {} 至 {} 条操作记录校验通过；最后一条的哈希为 {}",
                ];
                tell(out, both, &[&checked.first, &checked.last, &checked.hash])?;
                Ok(Exit::Ok)
            }
            Err(error @ AuditError::Broken { .. }) => {
                match json {
                    true => writeln!(
                        out,
                        "{}",
                        json!({ "checks": false, "code": error.code(), "error": error.to_string() })
                    )?,
                    false => writeln!(out, "failed to {error} ({})", error.code())?,
                }
                Ok(Exit::Finding)
            }
            Err(error) => Err(failed(error)),
        },
        AuditVerb::Show { max, json } => {
            let acts = audit::last(data_dir, max).map_err(failed)?;
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&acts)?)?;
                return Ok(Exit::Ok);
            }
            let zone = StoreZone::new("UTC");
            for act in acts {
                let at = zone.as_ref().map_or_else(|| act.at.0.to_string(), |zone| zone.format(act.at));
                writeln!(out, "{:6} {at} {:24} {:20} {}", act.seq, act.who, act.act, act.what)?;
            }
            Ok(Exit::Ok)
        }
    }
}
