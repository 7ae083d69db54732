//! `aisled bundle voucher`: what a partner's printer does, and what a shop's box makes of it.
//!
//! A partner signs with a key of its own (`aisled bundle keygen`), never with head office's; the public half goes into
//! `partners.toml`. Serials are the partner's to count: each is used once within a key.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::{Exit, read_folder, read_secret};
use crate::bundle::Bundle;
use crate::bundle::active::VoucherFault;
use crate::bundle::voucher::{Gives, Signed, Voucher};
use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, CouponCode, PromotionId};
use crate::domain::money::Money;
use crate::domain::text::Lang;

/// What to do with vouchers.
#[derive(Subcommand, Clone, Debug)]
pub enum VoucherVerb {
    /// Sign vouchers and print their texts, one a line
    Make(MakeArgs),
    /// Say what a voucher's text holds, and whether a folder's rules honour it
    Inspect {
        /// The text as printed
        text: String,
        /// The folder of the rules
        #[arg(long)]
        dir: Option<PathBuf>,
        /// On which day; its last one by default
        #[arg(long)]
        day: Option<Day>,
    },
}

/// Arguments of `voucher make`.
#[derive(Args, Clone, Debug)]
pub struct MakeArgs {
    /// File of the partner's secret key
    #[arg(long)]
    pub key: PathBuf,
    /// The chain whose shops honour it, as in shop.toml
    #[arg(long)]
    pub chain: String,
    /// First serial; never used before with this key
    #[arg(long)]
    pub serial: u64,
    /// How many
    #[arg(long, default_value_t = 1)]
    pub count: u16,
    /// Last day they are good
    #[arg(long)]
    pub last_day: Day,
    /// They set off this promotion
    #[arg(long, conflicts_with = "value", required_unless_present = "value")]
    pub promotion: Option<String>,
    /// They pay so much, in minor units
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub value: Option<i64>,
}

/// Runs the verb.
pub(super) fn run(verb: &VoucherVerb, lang: Lang, out: &mut dyn Write) -> Result<Exit> {
    match verb {
        VoucherVerb::Make(args) => make(args, out),
        VoucherVerb::Inspect { text, dir, day } => inspect(text, dir.as_deref(), *day, lang, out),
    }
}

fn make(args: &MakeArgs, out: &mut dyn Write) -> Result<Exit> {
    let secret = read_secret(&args.key)?;
    let gives = match (&args.promotion, args.value) {
        (Some(promotion), _) => Gives::Promotion(PromotionId::new(promotion)?),
        (None, Some(value)) => Gives::Value(Money(value)),
        (None, None) => bail!("a voucher gives a promotion or a value"),
    };
    let key = secret.public().id();
    for nth in 0..u64::from(args.count) {
        let serial = args.serial.checked_add(nth).context("the serials end before the last voucher")?;
        let voucher = Voucher { key, serial, last_day: args.last_day, gives: gives.clone() };
        let text = voucher.sign(&args.chain, &secret).context("its last day is not 1970 to 2149-06-06")?;
        writeln!(out, "{text}")?;
    }
    Ok(Exit::Ok)
}

fn inspect(
    text: &str,
    dir: Option<&Path>,
    day: Option<Day>,
    lang: Lang,
    out: &mut dyn Write,
) -> Result<Exit> {
    let code = CouponCode::normal(text)?;
    let refused = |out: &mut dyn Write, code: Code| -> Result<Exit> {
        writeln!(out, "{code} {}: {}", code.title(lang), code.remedy(lang))?;
        Ok(Exit::Finding)
    };
    let Ok(signed) = Signed::read(&code) else { return refused(out, Code::VoucherMalformed) };
    let Voucher { key, serial, last_day, gives } = &signed.voucher;
    let gives = match gives {
        Gives::Promotion(promotion) => format!("promotion {promotion}"),
        Gives::Value(value) => format!("value {} (minor units)", value.0),
    };
    writeln!(out, "key {key}\nserial {serial}\nlast day {last_day}\n{gives}")?;
    let Some(dir) = dir else { return Ok(Exit::Ok) };
    let Ok(authored) = read_folder(dir)? else {
        bail!("{} holds mistakes; aisled bundle check names them", dir.display());
    };
    let bundle = Bundle::compile(BundleRef { version: 0, hash: "".into() }, authored.rules)?;
    let fault = match bundle.honours(&code, day.unwrap_or(*last_day)) {
        Ok(_) => {
            writeln!(out, "honoured by {}", dir.display())?;
            return Ok(Exit::Ok);
        }
        Err(fault) => fault,
    };
    refused(
        out,
        match fault {
            VoucherFault::Malformed => Code::VoucherMalformed,
            VoucherFault::KeyUnknown => Code::VoucherKeyUnknown,
            VoucherFault::SignatureBad => Code::VoucherSignatureBad,
            VoucherFault::NotAllowed => Code::VoucherNotAllowed,
            VoucherFault::Expired => Code::CodeOutOfTime,
        },
    )
}
