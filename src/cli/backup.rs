//! `aisled backup` and `aisled restore`: a shop's data in one folder, and back as a new life of the box.
//!
//! Exit codes: 0 it checks, 1 it does not or could not be written, 2 there is data, or a daemon, where it was to go.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Exit;
use super::words::{of, tell};
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
    let epoch_then = manifest.epoch.0;
    let both = ["store      {}, epoch {} when it was taken", "门店       {}，备份时为 epoch {}"];
    tell(out, both, &[store, &epoch_then])?;
    let both = [
        "decisions  {} to {}, tables from a checkpoint at {}",
        "决策       {} 至 {}，数据表来自 {} 处的检查点",
    ];
    tell(out, both, &[&first.0, &through.0, &checkpoint.0])?;
    for (from, to) in missing {
        let both = ["missing    {} to {}, lost to damage before", "缺失       {} 至 {}，此前因损坏丢失"];
        tell(out, both, &[&from.0, &to.0])?;
    }
    let both = ["files      {} with {} bytes, each read back", "文件       {} 个，共 {} 字节，均已回读校验"];
    tell(out, both, &[&files.len(), &bytes])?;
    let has = |name: &str| {
        of(if files.contains_key(name) { ["in it", "包含"] } else { ["none there", "没有"] })
    };
    let both = ["devices    {}; keys of the shop's authority {}", "设备       {}；门店证书机构的密钥 {}"];
    tell(out, both, &[&has("devices"), &has("tls/authority.key")])?;
    if epoch.is_none() {
        let both = [
            "keep it    as safe as the box: it holds keys and names. Not in it: aisled.toml, and files outside the data directory \
             that it names (passwords, certificates, broker.devices_file)",
            "保管       须与本机同等安全：其中有密钥与姓名。不含：aisled.toml 及其所指数据目录以外的文件（密码、证书、broker.devices_file）",
        ];
        tell(out, both, &[])?;
    }
    if let Some(epoch) = epoch {
        let both = [
            "this box begins epoch {} with it: never start the former box again",
            "本机由此开始 epoch {}：切勿再启动原来的主机",
        ];
        tell(out, both, &[&epoch.0])?;
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
