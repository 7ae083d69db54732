//! A business day's transactions as the journal holds them, one after the other, read beside a running daemon.
//!
//! A void has no number of its own: it stands under the business day of the sale it undoes. Decisions that are gone or
//! cannot be read are told and passed. Nothing is gathered: a day may have any number of sales.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::{Gift, Kind, Name, ReturnLine, Sale, SaleLine, Ticket};
use crate::bundle::Bundle;
use crate::cli::replay::KeptRules;
use crate::domain::basket::TransactionKey;
use crate::domain::calendar::Day;
use crate::domain::ids::Seq;
use crate::domain::money::Money;
use crate::engine::decision::{Entry, Quote};
use crate::engine::input::{Body, Commit, Input};
use crate::engine::reply::{Receipt, Refund, Reply, TransactionView};
use crate::pricing::outcome::CouponOutcome;
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::vault::Vault;

/// The transactions of one business day.
pub struct Transactions<'a> {
    view: &'a JournalView,
    vault: &'a Vault,
    rules: KeptRules,
    day: Day,
    /// What could not be read.
    pub troubles: Vec<String>,
}

impl<'a> Transactions<'a> {
    /// Those of `day` in the journal behind `view`, told with the rules that `rules` finds.
    pub(in crate::cli) fn of(
        (view, vault): &'a (JournalView, Vault),
        rules: KeptRules,
        day: Day,
    ) -> Transactions<'a> {
        Transactions { view, vault, rules, day, troubles: Vec::new() }
    }

    /// Hands each to `take`, in the order they were decided.
    ///
    /// # Errors
    /// A journal that cannot be read at all, and what `take` says.
    pub fn each(&mut self, take: &mut dyn FnMut(&Ticket, &Bundle) -> Result<()>) -> Result<()> {
        let mut reader = self.view.reader(self.view.first());
        loop {
            let (seq, decoded) = match reader.next() {
                Ok(Some(raw)) => (raw.seq, self.vault.decode(raw.payload)),
                Ok(None) => return Ok(()),
                Err(StorageError::Gap { from, to }) => {
                    self.troubles.push(format!("decisions {} to {} are missing", from.0, to.0));
                    continue;
                }
                Err(error) => return Err(error).context("failed to read the journal"),
            };
            let entry = match decoded {
                Ok(entry) => entry,
                Err(fault) => {
                    self.troubles.push(format!("decision {}: failed to {fault}", seq.0));
                    continue;
                }
            };
            if let Some(told) = self.ticket(&entry) {
                match told {
                    Ok((ticket, bundle)) => take(&ticket, &bundle)?,
                    Err(why) => self.troubles.push(format!("decision {}: {why}", seq.0)),
                }
            }
        }
    }

    /// The transaction of an entry, if it is one of the day.
    fn ticket(&mut self, entry: &Entry) -> Option<Result<(Ticket, Arc<Bundle>), String>> {
        let Input::Request(request) = &entry.input else { return None };
        let key = match (&request.body, &entry.answer) {
            (Body::Commit(commit), Ok(Reply::Commit(_))) => &commit.transaction,
            (Body::Void(original), Ok(Reply::Refund(_))) => original,
            (Body::Return(back), Ok(Reply::Refund(_))) => &back.transaction,
            _ => return None,
        };
        if key.business_day != self.day {
            return None;
        }
        let reference = entry.bundle.as_ref()?;
        let bundle = match self.rules.find(reference) {
            Ok(bundle) => bundle,
            Err(why) => return Some(Err(why)),
        };
        let (kind, decision, at) = match (&request.body, &entry.answer) {
            (Body::Commit(commit), Ok(Reply::Commit(receipt))) => {
                let quote = entry.facts.quotes().next()?;
                let sale = sale(commit, quote, receipt);
                (Kind::Sale(Box::new(sale)), &receipt.decision, quote.made_at)
            }
            (Body::Return(back), Ok(Reply::Refund(refund))) => {
                let original = name(&back.original);
                let sold = entry.facts.sale(&back.original).map(|sale| sale.decision);
                let lines = self.returned(refund, sold);
                (Kind::Return { original, lines, refund: refund.refund }, &refund.decision, entry.at)
            }
            (_, Ok(Reply::Refund(refund))) => {
                (Kind::Void { refund: refund.refund }, &refund.decision, entry.at)
            }
            _ => return None,
        };
        let ticket = Ticket {
            store: decision.split('/').next().unwrap_or_default().to_owned(),
            name: name(key),
            at: bundle
                .shop
                .time_zone
                .format(request.at.filter(|_| !matches!(kind, Kind::Sale(_))).unwrap_or(at)),
            currency: bundle.shop.currency.code.clone(),
            decision: Some(decision.clone()),
            kind,
        };
        Some(Ok((ticket, bundle)))
    }

    fn returned(&self, refund: &Refund, sold: Option<Seq>) -> Vec<ReturnLine> {
        let sale = sold.and_then(|seq| match self.view.reader(seq).next() {
            Ok(Some(raw)) if raw.seq == seq => self.vault.decode(raw.payload).ok(),
            _ => None,
        });
        let units = match sale.as_ref().map(|entry| &entry.answer) {
            Some(Ok(Reply::Commit(receipt))) => receipt.units.as_slice(),
            _ => &[],
        };
        let line = |back: &crate::engine::reply::RefundLine| ReturnLine {
            line: back.line.as_str().to_owned(),
            sku: units.iter().find(|line| line.line == back.line).map(|line| line.sku.as_str().to_owned()),
            qty: back.qty,
            amount: back.amount,
        };
        refund.lines.iter().map(line).collect()
    }
}

fn name(key: &TransactionKey) -> Name {
    let TransactionKey { device, business_day, seq } = key;
    Name {
        device: device.as_str().to_owned(),
        business_day: business_day.to_string(),
        seq: i64::try_from(*seq).unwrap_or(i64::MAX),
    }
}

/// The same, as a reply names it.
impl From<&TransactionView> for Name {
    fn from(view: &TransactionView) -> Name {
        let TransactionView { device, business_day, seq } = view.clone();
        name(&TransactionKey { device, business_day, seq })
    }
}

fn sale(commit: &Commit, quote: &Quote, receipt: &Receipt) -> Sale {
    let (basket, figures) = (&quote.asked.basket, &receipt.figures);
    let line = |asked: &crate::domain::basket::Line| {
        let told = figures.lines.iter().find(|line| line.line == asked.line)?;
        let mut modifiers: Vec<(Option<String>, Money)> = (told.discounts.iter())
            .map(|off| (Some(off.promotion.as_str().to_owned()), off.amount))
            .collect();
        let by_promotions: Money = told.discounts.iter().map(|off| off.amount).sum();
        let otherwise = told.gross - by_promotions - told.net;
        modifiers.extend((otherwise != Money::ZERO).then_some((None, otherwise)));
        let best_before = basket.best_before().iter().find(|(line, _)| *line == asked.line);
        Some(SaleLine {
            line: asked.line.as_str().to_owned(),
            sku: asked.sku.as_str().to_owned(),
            quantity: asked.quantity,
            unit_price: asked.unit_price,
            net: told.net,
            modifiers,
            best_before: best_before.map(|(_, day)| day.to_string()),
        })
    };
    let gift = |gift: &crate::pricing::outcome::GivenGift| Gift {
        sku: gift.sku.as_str().to_owned(),
        qty: gift.qty,
        amount: gift.unit_price.times(gift.qty),
        promotion: gift.promotion.as_str().to_owned(),
    };
    let used = figures.coupons.iter().filter(|coupon| coupon.outcome == CouponOutcome::Applied);
    Sale {
        lines: basket.lines.iter().filter_map(line).collect(),
        gifts: figures.gifts.iter().map(gift).collect(),
        coupons: used.map(|coupon| coupon.code.as_str().to_owned()).collect(),
        claims: (basket.claims.iter())
            .map(|claim| (claim.promotion.as_str().to_owned(), claim.times))
            .collect(),
        choices: (basket.choices().iter())
            .map(|choice| {
                let skus = choice.skus.iter().map(|sku| sku.as_str().to_owned());
                (choice.promotion.as_str().to_owned(), skus.collect())
            })
            .collect(),
        gone: basket.gone().iter().map(|sku| sku.as_str().to_owned()).collect(),
        tenders: commit.tenders.iter().map(|tender| (tender.kind, tender.amount)).collect(),
        member: receipt.member.as_ref().map(|member| member.as_str().to_owned()),
        points_spent: figures.points.spend,
        points_earned: figures.points.earn,
        channel: quote.asked.channel,
        zone: basket.zone.as_ref().map(|zone| zone.as_str().to_owned()),
        gross: figures.subtotal,
        total: figures.total,
        training: commit.training,
    }
}
