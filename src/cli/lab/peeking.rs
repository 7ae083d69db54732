//! `aisled lab peeking`: simulated campaigns with a known effect, looked at every day: how often the interval is wrong.

use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::table::print_json;
use crate::cli::Exit;
use crate::cli::explain::terminal_lang;
use crate::cli::words::said;
use crate::domain::code::Code;
use crate::limits;
use crate::shopper::experiment::lift::Reading;
use crate::shopper::experiment::peeking::{Campaigns, Outcome};

/// Arguments of `lab peeking`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
With --lift 0 every effect shown is false: at most --alpha of the runs may show one, however often they are looked at. With
another lift, at most --alpha of the runs may leave it out of any day's interval.")]
pub(crate) struct PeekingArgs {
    /// Campaigns
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Days of each, each with a look
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// New members a day in each arm
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    daily: u32,
    /// What is counted of a member
    #[arg(long, value_enum, default_value_t = Counted::Buy)]
    outcome: Counted,
    /// Share of members who buy where nothing is offered
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    rate: f64,
    /// The lift there is: 0.1 is ten per cent
    #[arg(long, default_value_t = 0.0, value_name = "LIFT")]
    lift: f64,
    /// Chance of a wrong interval over all looks
    #[arg(long, default_value_t = limits::EXPERIMENT_ALPHA, value_name = "SHARE")]
    alpha: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Counted {
    Buy,
    Spend,
}

/// Simulates, reads and prints.
pub(crate) fn run(args: &PeekingArgs, out: &mut dyn Write) -> Result<Exit> {
    let PeekingArgs { runs, days, daily, rate, lift, alpha, .. } = *args;
    let is_share = |share: f64| share > 0.0 && share < 1.0;
    if !is_share(alpha) || !is_share(rate) || !lift.is_finite() || lift <= -1.0 || rate * (1.0 + lift) >= 1.0
    {
        bail!(
            "failed to simulate: --rate, --rate with --lift, and --alpha must lie between 0 and 1 ({})",
            Code::OutOfRange
        );
    }
    let members = 2 * u128::from(runs) * u128::from(days) * u128::from(daily);
    if members > u128::from(limits::PEEKING_MEMBERS_MAX) {
        bail!(
            "failed to simulate {members} members: at most {} ({})",
            limits::PEEKING_MEMBERS_MAX,
            Code::LabTooMuch
        );
    }
    let outcome = match args.outcome {
        Counted::Buy => Outcome::Buy(rate),
        Counted::Spend => Outcome::Spend,
    };
    let reading = Reading { alpha, ..Reading::default() };
    let peeked = Campaigns { runs, days, daily, outcome, lift }.peek(&reading);
    let share = |count: u32| f64::from(count) / f64::from(runs);
    let days_to_show = (peeked.shown > 0).then(|| peeked.days_to_show as f64 / f64::from(peeked.shown));
    if args.json {
        let object = json!({
            "runs": runs, "days": days, "daily": daily, "lift": lift, "alpha": alpha,
            "showed_an_effect": share(peeked.shown), "left_the_lift_out": share(peeked.missed),
            "covered": 1.0 - share(peeked.missed), "days_to_show": days_to_show,
        });
        print_json(&object, out)?;
    } else {
        let lang = terminal_lang();
        let mut tell =
            |line: &str, figures: &[&dyn std::fmt::Display]| writeln!(out, "{}", said(lang, line, figures));
        tell("{} campaigns of {} days with {} members a day and arm, a look a day", &[&runs, &days, &daily])?;
        let [shown, missed, most] =
            [share(peeked.shown), share(peeked.missed), alpha].map(|share| format!("{:.2}", 100.0 * share));
        tell("{} % showed an effect; there is a lift of {}", &[&shown, &lift])?;
        if let Some(days) = days_to_show {
            tell("{} days until they did, on average", &[&format!("{days:.1}")])?;
        }
        tell("{} % left it out of some day's interval; at most {} % may", &[&missed, &most])?;
    }
    Ok(if share(peeked.missed) <= alpha { Exit::Ok } else { Exit::Finding })
}
