//! `aisled campaigns results`: what each campaign did in this shop, from its journal. `quality` (a file of its own): whether
//! what was proposed was bought.
//!
//! Reads the journal beside a running daemon, changing nothing. Sales count on the till's business day, however late they
//! came; voids and returns take from the day of their sale; training counts for nothing. Which promotions belong to a
//! campaign, and what goods cost, say the rules each sale was priced under, among those the box keeps. The measures are
//! `shopper::results`. Who was shown an offer at a scan, or held out, counts on the day in the shop's time zone.
//! As of the last business day in the journal, unless told otherwise: the same journal gives the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

mod quality;

use super::Exit;
use super::bundle::Surroundings;
use super::explain::terminal_lang;
use super::replay::{KeptRules, journal};
use super::words::{padded, said, word};
use crate::bundle::Bundle;
use crate::domain::basket::TransactionKey;
use crate::domain::calendar::Day;
use crate::domain::ids::{CampaignId, MemberId};
use crate::domain::text::Lang;
use crate::engine::decision::{Entry, Quote};
use crate::engine::input::{Body, Input, Shown};
use crate::engine::reply::{Receipt, Refund, Reply};
use crate::limits;
use crate::shopper::results::{Basis, Bought, Happening, Measures, Range, Share, Tally};
use crate::storage::error::StorageError;

/// Arguments of `campaigns`.
#[derive(Args, Clone, Debug)]
pub struct CampaignsArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: CampaignsVerb,
}

/// What to do with campaigns.
#[derive(Subcommand, Clone, Debug)]
pub enum CampaignsVerb {
    /// What each did in this shop: participation, sales, cost, and what would not have been sold without it
    Results(ResultsArgs),
    /// Whether articles proposed at scans were bought: hits, repeats and new ones apart
    Quality(QualityArgs),
}

/// Arguments of `campaigns quality`.
#[derive(Args, Clone, Debug, Default)]
pub struct QualityArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `campaigns results`.
#[derive(Args, Clone, Debug, Default)]
pub struct ResultsArgs {
    /// Only this campaign
    #[arg(value_parser = CampaignId::new)]
    pub campaign: Option<CampaignId>,
    /// As of the end of this business day; by default the last in the journal
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<Day>,
    /// Print one JSON object, with the days
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print a line a campaign and day
    #[arg(long)]
    pub csv: bool,
    /// Public key to trust, as text or in a file; beside the configured ones
    #[arg(long)]
    pub key: Vec<String>,
}

/// What is kept of one sale.
struct Sold {
    day: Day,
    member: Option<MemberId>,
    net_minor: i64,
    margin_minor: Option<i64>,
    /// By campaign, what its promotions took off.
    discounts: BTreeMap<CampaignId, i64>,
}

/// What came back of a sale.
struct Back {
    net_minor: i64,
    whole: bool,
}

/// A shop's journal, as far as campaigns need it.
#[derive(Default)]
struct Read {
    sales: BTreeMap<TransactionKey, Sold>,
    backs: Vec<(TransactionKey, Back)>,
    scores: Vec<(TransactionKey, u8)>,
    /// Who was shown an offer of a campaign, or held out, and when first.
    shown: BTreeMap<(CampaignId, MemberId), (Day, bool)>,
    campaigns: BTreeMap<CampaignId, (Option<Day>, Option<Day>)>,
    unreadable: u64,
    without_rules: u64,
}

/// Answers `campaigns`, on the daemon's data directory.
///
/// # Errors
/// A journal that cannot be read, a campaign nobody knows.
pub fn run(
    args: &CampaignsArgs,
    data_dir: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let args = match &args.verb {
        CampaignsVerb::Results(args) => args,
        CampaignsVerb::Quality(QualityArgs { json }) => return quality::run(data_dir, *json, out),
    };
    let lang = terminal_lang();
    let mut trusted = surroundings.trusted.clone();
    for key in &args.key {
        trusted.push(super::bundle::public_key(key)?);
    }
    let read = read(data_dir, &mut KeptRules::new(data_dir, trusted), limits::RESULTS_SALES_MAX)?;
    let Some(last) = args.as_of.or_else(|| read.sales.values().map(|sold| sold.day).max()) else {
        writeln!(out, "{}", said(lang, "no sale is in the journal of {}", &[&data_dir.display()]))?;
        return Ok(Exit::Finding);
    };
    if let Some(campaign) = &args.campaign
        && !read.campaigns.contains_key(campaign)
    {
        bail!("failed to find campaign {campaign}: no rules that the shop sold under name it");
    }
    let wanted = read.campaigns.keys().filter(|id| args.campaign.as_ref().is_none_or(|only| only == *id));
    let told: Vec<(&CampaignId, Tally)> =
        wanted.filter_map(|id| Some((id, tally(&read, id, last)?))).collect();
    if args.json {
        let object = json!({
            "as_of": last,
            "campaigns": told.iter().map(|(id, tally)| whole(id, tally, last)).collect::<Vec<Value>>(),
            "sales": read.sales.len(), "unreadable": read.unreadable, "without_rules": read.without_rules,
        });
        writeln!(out, "{object:#}")?;
    } else if args.csv {
        write_csv(&told, out)?;
    } else {
        for (id, tally) in &told {
            print(lang, id, &tally.measures(last), out)?;
        }
        let Read { unreadable, without_rules, .. } = read;
        let line = "as of {}: {} sales, {} decisions unreadable, {} without their rules";
        writeln!(out, "{}", said(lang, line, &[&last, &read.sales.len(), &unreadable, &without_rules]))?;
    }
    Ok(if read.unreadable + read.without_rules == 0 { Exit::Ok } else { Exit::Finding })
}

/// What each campaign did, as of the last business day, for who shows it elsewhere; without the days.
///
/// # Errors
/// A journal that cannot be read, or holds more than `sales_max` sales.
pub(crate) fn results(data_dir: &Path, rules: &mut KeptRules, sales_max: usize) -> Result<Value> {
    let read = read(data_dir, rules, sales_max)?;
    let last = read.sales.values().map(|sold| sold.day).max();
    let told = last.map(|last| {
        let one = |id| {
            let mut object = json!(tally(&read, id, last)?.measures(last));
            object["campaign"] = json!(id);
            Some(object)
        };
        read.campaigns.keys().filter_map(one).collect::<Vec<Value>>()
    });
    Ok(json!({
        "as_of": last, "campaigns": told.unwrap_or_default(),
        "sales": read.sales.len(), "unreadable": read.unreadable, "without_rules": read.without_rules,
    }))
}

fn read(data_dir: &Path, rules: &mut KeptRules, sales_max: usize) -> Result<Read> {
    let (view, vault) = journal(data_dir)?;
    let mut read = Read::default();
    let mut reader = view.reader(view.first());
    loop {
        match reader.next() {
            Ok(Some(_)) if read.sales.len() >= sales_max => {
                bail!("failed to hold the journal: it has more than {sales_max} sales");
            }
            Ok(Some(raw)) => match vault.decode(raw.payload) {
                Ok(entry) => read.take(&entry, rules)?,
                Err(_) => read.unreadable += 1,
            },
            Ok(None) => return Ok(read),
            Err(StorageError::Gap { from, to }) => read.unreadable += to.0.saturating_sub(from.0) + 1,
            Err(error) => return Err(error).context("failed to read the journal"),
        }
    }
}

impl Read {
    fn take(&mut self, entry: &Entry, rules: &mut KeptRules) -> Result<()> {
        if let Input::Shown(shown) = &entry.input {
            let bundle = entry.bundle.as_ref().and_then(|reference| rules.find(reference).ok());
            self.without_rules += u64::from(bundle.is_none());
            return bundle.map_or(Ok(()), |bundle| self.shown(shown, &bundle));
        }
        let (Input::Request(request), Ok(reply)) = (&entry.input, &entry.answer) else { return Ok(()) };
        match (&request.body, reply) {
            (Body::Commit(commit), Reply::Commit(receipt)) if !commit.training => {
                let Some(quote) = entry.facts.quotes().next() else { return Ok(()) };
                let bundle = rules.find(&quote.bundle).ok();
                self.without_rules += u64::from(bundle.is_none());
                self.sold(&commit.transaction, (receipt, quote), bundle);
            }
            (Body::Void(original), Reply::Refund(refund)) => self.back(original, refund, true),
            (Body::Return(back), Reply::Refund(refund)) => {
                let sale = entry.facts.sale(&back.original);
                let whole = sale.is_some_and(|sale| sale.refunded + refund.refund == sale.total);
                self.back(&back.original, refund, whole);
            }
            (Body::Feedback(feedback), _) => {
                self.scores
                    .extend(feedback.transaction.clone().map(|transaction| (transaction, feedback.score)));
            }
            _ => {}
        }
        Ok(())
    }

    fn shown(&mut self, shown: &[Shown], bundle: &Bundle) -> Result<()> {
        self.know(bundle);
        for one in shown {
            let day = bundle.shop.time_zone.civil(one.at).day;
            let offered = one.offers.iter().filter_map(|offer| bundle.campaign_of(offer).cloned());
            let campaigns = offered.chain(one.cared.iter().cloned());
            // A coupon that somebody held out holds already is shown: they stay held out.
            let mut seen: BTreeMap<CampaignId, bool> = one.held.iter().map(|id| (id.clone(), true)).collect();
            for campaign in campaigns {
                seen.entry(campaign).or_insert(false);
            }
            for (campaign, held_out) in seen {
                let new = (day, held_out);
                let first = self.shown.entry((campaign, one.member.clone())).or_insert(new);
                *first = new.min(*first);
            }
        }
        if self.shown.len() > limits::RESULTS_SHOWN_MAX {
            bail!("failed to hold who was shown what: more than {} pairs", limits::RESULTS_SHOWN_MAX);
        }
        Ok(())
    }

    fn know(&mut self, bundle: &Bundle) {
        for campaign in &bundle.campaigns {
            self.campaigns.insert(campaign.id.clone(), (campaign.from, campaign.to));
        }
    }

    fn back(&mut self, original: &TransactionKey, refund: &Refund, whole: bool) {
        self.backs.push((original.clone(), Back { net_minor: refund.refund.0, whole }));
    }

    fn sold(
        &mut self,
        key: &TransactionKey,
        (receipt, quote): (&Receipt, &Quote),
        bundle: Option<Arc<Bundle>>,
    ) {
        let mut discounts = BTreeMap::new();
        if let Some(bundle) = &bundle {
            self.know(bundle);
            let shelf = receipt.figures.shelf.iter();
            let shelf = shelf.map(|change| (&change.promotion, change.amount.0 * i64::from(change.qty)));
            for (promotion, amount) in
                receipt.figures.applied.iter().map(|one| (&one.promotion, one.amount.0)).chain(shelf)
            {
                let campaign =
                    bundle.book.promotion(promotion).and_then(|promotion| promotion.campaign.clone());
                if let Some(campaign) = campaign {
                    *discounts.entry(campaign).or_default() += amount;
                }
            }
        }
        let net_minor = receipt.figures.total.0;
        let cost = bundle.and_then(|bundle| cost_minor(&bundle, receipt, quote));
        let (day, member) = (key.business_day, receipt.member.clone());
        let margin_minor = cost.map(|cost| net_minor - cost);
        self.sales.insert(key.clone(), Sold { day, member, net_minor, margin_minor, discounts });
    }
}

/// What the goods of a sale cost the shop, gifts included; none where the rules do not say of one.
fn cost_minor(bundle: &Bundle, receipt: &Receipt, quote: &Quote) -> Option<i64> {
    let rounding = bundle.shop.arithmetic.rounding;
    let mut cost = 0;
    for line in &quote.asked.basket.lines {
        let one = line.quantity.unit_amount(bundle.book.item(&line.sku)?.cost?, rounding);
        cost += one.0 * i64::from(line.quantity.units());
    }
    for gift in &receipt.figures.gifts {
        cost += bundle.book.item(&gift.sku)?.cost?.0 * i64::from(gift.qty);
    }
    Some(cost)
}

/// `None` for a campaign whose days nobody knows, or that is longer than results are told of.
fn tally(read: &Read, id: &CampaignId, last: Day) -> Option<Tally> {
    let (from, to) = read.campaigns.get(id)?;
    let used = || read.sales.values().filter(|sold| sold.discounts.contains_key(id)).map(|sold| sold.day);
    let shown = || read.shown.iter().filter(|((campaign, _), _)| campaign == id);
    let from = from.or_else(|| used().chain(shown().map(|(_, (day, _))| *day)).min())?;
    let mut tally = Tally::new(from, to.unwrap_or(last).max(from))?;
    let bought = |sold: &'_ Sold| -> (Option<i64>, i64) {
        (sold.margin_minor, sold.discounts.get(id).copied().unwrap_or_default())
    };
    for sold in read.sales.values() {
        let (margin_minor, discount_minor) = bought(sold);
        let (day, member, net_minor) = (sold.day, sold.member.as_ref(), sold.net_minor);
        let used = sold.discounts.contains_key(id);
        tally.fold(&Happening::Sold(Bought { day, member, net_minor, margin_minor, discount_minor, used }));
    }
    for ((_, member), (day, held_out)) in shown() {
        tally.fold(&Happening::Shown { day: *day, member, held_out: *held_out });
    }
    for (key, Back { net_minor, whole }) in &read.backs {
        let Some(sold) = read.sales.get(key) else { continue };
        let (margin_minor, discount_minor) = bought(sold);
        // What comes back in part takes its part of margin and discount, rounded down.
        let part = |amount: i64| match i128::from(sold.net_minor) {
            0 => amount,
            all => (i128::from(amount) * i128::from(*net_minor) / all) as i64,
        };
        let back = Bought {
            day: sold.day,
            member: sold.member.as_ref(),
            net_minor: *net_minor,
            margin_minor: margin_minor.map(part),
            discount_minor: part(discount_minor),
            used: sold.discounts.contains_key(id),
        };
        tally.fold(&Happening::TakenBack { back, whole: *whole });
    }
    for (key, score) in &read.scores {
        if let Some(sold) = read.sales.get(key).filter(|sold| sold.discounts.contains_key(id)) {
            tally.fold(&Happening::Scored { day: sold.day, score: *score });
        }
    }
    Some(tally)
}

fn whole(id: &CampaignId, tally: &Tally, last: Day) -> Value {
    let mut object = json!(tally.measures(last));
    object["campaign"] = json!(id);
    let day = |(day, tally)| {
        let mut object = json!(tally);
        object["day"] = json!(day);
        object
    };
    object["days"] = tally.days().map(day).collect();
    object
}

fn write_csv(told: &[(&CampaignId, Tally)], out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "campaign,day,baskets_with,net_with_minor,baskets_without,net_without_minor,discount_minor,margin_minor,margins_unknown,\
         scores,score_sum"
    )?;
    for (id, tally) in told {
        for (day, of) in tally.days() {
            writeln!(
                out,
                "{id},{day},{},{},{},{},{},{},{},{},{}",
                of.with.baskets,
                of.with.net_minor,
                of.without.baskets,
                of.without.net_minor,
                of.discount_minor,
                of.margin_minor,
                of.margins_unknown,
                of.scores,
                of.score_sum
            )?;
        }
    }
    Ok(())
}

fn print(lang: Lang, id: &CampaignId, of: &Measures, out: &mut dyn Write) -> Result<()> {
    let unknown = || word(lang, "cannot be told");
    let amount = |value: f64, unit: f64| format!("{:.2}", value / unit);
    let range = |range: Option<Range>, unit: f64| match range {
        Some(Range { value, low, high }) => {
            said(lang, "{} ({} to {})", &[&amount(value, unit), &amount(low, unit), &amount(high, unit)])
        }
        None => unknown(),
    };
    let share = |share: Option<Share>| match share {
        Some(Share { value, low, high, of }) => {
            let [value, low, high] = [value, low, high].map(|share| format!("{:.1}", 100.0 * share));
            said(lang, "{} % ({} to {}) of {}", &[&value, &low, &high, &of])
        }
        None => unknown(),
    };
    let money = |minor: Option<Range>| range(minor, 100.0);
    let basis = match of.basis {
        Some(Basis::Holdout) => "against members held out",
        Some(Basis::Before) => "against the days before",
        None => "nothing to compare with",
    };
    writeln!(out, "{id}")?;
    let shown = of.reach + of.held_out > 0;
    let reach = if shown {
        said(lang, "{} members, {} held out", &[&of.reach, &of.held_out])
    } else {
        word(lang, "not recorded")
    };
    let lines = [
        ("reach", reach),
        ("conversion", share(of.conversion)),
        ("members who used it", of.participants.to_string()),
        ("sales with it", share(of.participation)),
        ("average basket with it", money(of.average_basket)),
        ("average basket without", money(of.average_other_basket)),
        ("cost of its discounts", format!("{:.2}", of.cost_minor as f64 / 100.0)),
        ("incremental sales", format!("{}, {}", money(of.incremental_sales), word(lang, basis))),
        ("incremental margin", money(of.incremental_margin)),
        ("return on its cost", range(of.roi, 1.0)),
        ("came again", share(of.repurchase)),
        ("stayed after it", share(of.retention)),
        ("satisfaction, 0 to 10", range(of.satisfaction, 1.0)),
    ];
    for (what, figure) in lines {
        writeln!(out, "  {} {figure}", padded(&word(lang, what), 24))?;
    }
    if let Some(days) = of.days_more {
        writeln!(out, "  {}", said(lang, "not enough data yet: about {} days more", &[&days]))?;
    }
    Ok(())
}
