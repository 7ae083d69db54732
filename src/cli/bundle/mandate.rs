//! `aisled bundle mandate`, and the terms that `bundle sign` puts into a bundle: whose mandate, and until when a newer one is promised.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;

use super::super::Exit;
use super::{read_secret, write_whole};
use crate::bundle::keys::PublicKey;
use crate::bundle::mandate::Mandate;
use crate::bundle::packed::Terms;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::code::Code;
use crate::limits;

/// Arguments of `bundle mandate`.
#[derive(Args, Clone, Debug)]
pub struct MandateArgs {
    /// File of the secret key that boxes trust: keep it away from the machine that signs bundles
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The public key that is to sign, as text or in a file
    #[arg(long = "for", value_name = "KEY")]
    pub signing: String,
    /// Goes up with each mandate of the trusted key; boxes that saw it take no bundle under a lower one
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub number: u64,
    /// Days for which bundles may be signed under it
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// Where the mandate goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Under what terms a bundle is signed.
#[derive(Args, Clone, Debug, Default)]
pub struct TermsArgs {
    /// File of the mandate of the signing key, where boxes do not trust it by itself
    #[arg(long, value_name = "FILE", requires = "trusted")]
    pub mandate: Option<PathBuf>,
    /// With --mandate: the public key boxes trust, as text or in a file; the bundle is opened with it before it is written
    #[arg(long, value_name = "KEY")]
    pub trusted: Option<String>,
    /// Promise a newer bundle within so many days; a box that has none by then says so and sells on
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BUNDLE_FRESH_DAYS_MAX)))]
    pub newer_within: Option<u32>,
}

impl TermsArgs {
    /// The mandate that is named.
    pub(super) fn mandate(&self) -> Result<Option<Mandate>> {
        let Some(file) = &self.mandate else { return Ok(None) };
        let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let read = text.parse().map_err(|_| {
            anyhow!("failed to read {}: it is no mandate ({})", file.display(), Code::BundleMandateBad)
        });
        read.map(Some)
    }

    /// The terms of a bundle that is signed now.
    pub(super) fn terms<'m>(&self, mandate: Option<&'m Mandate>, now: UnixMs) -> Terms<'m> {
        Terms { mandate, newer_by: self.newer_within.map(|days| now.plus_ms(i64::from(days) * DAY_MS)) }
    }
}

/// A public key, as text or in a file.
pub(super) fn read_key(given: &str) -> Result<PublicKey> {
    let text = if Path::new(given).exists() { fs::read_to_string(given) } else { Ok(given.to_owned()) };
    let text = text.with_context(|| format!("failed to read {given}"))?;
    text.parse()
        .map_err(|error| anyhow!("failed to read the key {given}: {error} ({})", Code::BundleKeyMalformed))
}

/// Signs a mandate.
pub(super) fn run(args: &MandateArgs, out: &mut dyn Write) -> Result<Exit> {
    let (trusted, signing) = (read_secret(&args.key)?, read_key(&args.signing)?);
    let until = SystemClock.now().plus_ms(i64::from(args.days) * DAY_MS);
    let mandate = Mandate::sign(&trusted, args.number, until, &signing);
    write_whole(&args.output, format!("{mandate}\n").as_bytes(), 0o644)?;
    let (number, days) = (args.number, args.days);
    writeln!(
        out,
        "{}: mandate {number} of {} for {}, {days} days",
        args.output.display(),
        trusted.public(),
        signing
    )?;
    Ok(Exit::Ok)
}
