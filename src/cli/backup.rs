//! `aisled backup` and `aisled restore`: a shop's data in one folder, and back as a new life of the box.
//!
//! Exit codes: 0 it checks, 1 it does not or could not be written, 2 there is data, or a daemon, where it was to go.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Exit;
use crate::domain::ids::Epoch;
use crate::storage::backup::{self, Manifest};
use crate::storage::error::StorageError;

/// Arguments of `backup`.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// Where to: a folder that is empty or not there yet
    pub to: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `restore`.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// The backup
    pub from: PathBuf,
    /// Only read the backup and say whether it could be put back
    #[arg(long)]
    pub check: bool,
    /// The epoch of the new life; one more than the backup's where head office has not said otherwise
    #[arg(long, conflicts_with = "check")]
    pub epoch: Option<u64>,
    /// Who was forgotten since it was taken: the former data directory, or its file `forgotten`
    #[arg(long, value_name = "PATH", conflicts_with = "check")]
    pub forgotten: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Takes a backup; a daemon may be running.
pub fn take(args: &BackupArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    match backup::take(data_dir, &args.to) {
        // A backup of a disk that takes no byte any more is worth more than the line about it.
        Ok(manifest) => {
            let what = json!({ "to": args.to.display().to_string() });
            if let Err(error) = super::audit::written(data_dir, "backup.take", what) {
                tracing::warn!(error = format!("{error:#}"), "the backup is not in the audit log");
            }
            told("backup", &manifest, None, args.json, out)
        }
        Err(error) => failed(&error, args.json, out),
    }
}

/// Puts a backup back, or only checks it.
pub fn restore(args: &RestoreArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let done = match args.check {
        true => backup::check(&args.from).map(|manifest| (manifest, None)),
        false => backup::restore(&args.from, data_dir, args.epoch.map(Epoch), args.forgotten.as_deref())
            .map(|(manifest, epoch)| (manifest, Some(epoch))),
    };
    match done {
        Ok((manifest, epoch)) => {
            if let Some(epoch) = epoch {
                let what = json!({ "from": args.from.display().to_string(), "epoch": epoch });
                super::audit::written(data_dir, "restore", what)?;
            }
            told(if args.check { "check" } else { "restore" }, &manifest, epoch, args.json, out)
        }
        Err(error) => failed(&error, args.json, out),
    }
}

fn told(
    what: &str,
    manifest: &Manifest,
    epoch: Option<Epoch>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<Exit> {
    let bytes: u64 = manifest.files.values().map(|(bytes, _)| bytes).sum();
    let Manifest { store, first, through, checkpoint, missing, files, .. } = manifest;
    if as_json {
        let document = json!({
            "done": what, "store": store, "epoch": epoch.unwrap_or(manifest.epoch), "first": first,
            "through": through, "checkpoint": checkpoint, "missing": missing, "files": files.len(), "bytes": bytes,
        });
        writeln!(out, "{document}")?;
        return Ok(Exit::Ok);
    }
    writeln!(out, "store      {store}, epoch {} when it was taken", manifest.epoch.0)?;
    writeln!(out, "decisions  {} to {}, tables from a checkpoint at {}", first.0, through.0, checkpoint.0)?;
    for (from, to) in missing {
        writeln!(out, "missing    {} to {}, lost to damage before", from.0, to.0)?;
    }
    writeln!(out, "files      {} with {bytes} bytes, each read back", files.len())?;
    let has = |name: &str| if files.contains_key(name) { "in it" } else { "none there" };
    writeln!(
        out,
        "devices    {}; keys of the shop's authority {}",
        has("devices"),
        has("tls/authority.key")
    )?;
    if epoch.is_none() {
        writeln!(
            out,
            "keep it    as safe as the box: it holds keys and names. Not in it: aisled.toml, and files outside the data directory \
             that it names (passwords, certificates, broker.devices_file)"
        )?;
    }
    if let Some(epoch) = epoch {
        writeln!(out, "this box begins epoch {} with it: never start the former box again", epoch.0)?;
    }
    Ok(Exit::Ok)
}

fn failed(error: &StorageError, as_json: bool, out: &mut dyn Write) -> Result<Exit> {
    match as_json {
        true => writeln!(out, "{}", json!({ "code": error.code(), "error": error.to_string() }))?,
        false => writeln!(out, "failed to {error} ({})", error.code())?,
    }
    Ok(match error {
        StorageError::RestoreOver { .. } | StorageError::Locked { .. } => Exit::Usage,
        _ => Exit::Finding,
    })
}
