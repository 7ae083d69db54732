//! What a till or kiosk sends for a visit, in which order, and what it does with the answers.
//!
//! A till: scan, quote, commit; a quote that has expired meanwhile is asked for again. Sometimes a commit is repeated on
//! purpose, sometimes the sale is voided, goods come back, or the shopper says what they think. Receipt numbers rise by
//! one for each sale, void and return, and a number is used up even if its sale was refused: numbers are never reused.
//!
//! A kiosk: scan, and then the wallet, something seen at the shelf, a price check, or an enrolment.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::devices::topic::Op;
use crate::domain::calendar::Day;
use crate::domain::ids::DeviceId;
use crate::domain::member::Token;

use super::device::{Answer, Device, Exchange};
use super::tally::{SaleRecord, Tally, count};
use super::visit::{After, Stock, Visit};
use super::{DeviceSpec, Dice, Fleet, Role, Source};

/// Quotes asked for one sale: after a restart of the daemon one more is enough, a slow machine may need another.
const QUOTES_MAX: u32 = 3;

/// Runs one device until it is told to stop or has nothing to do.
pub async fn run(fleet: Fleet, spec: DeviceSpec, device: Device, mut stop: watch::Receiver<bool>) {
    let dice = Dice::new(fleet.seed, spec.id.as_str());
    let seq = fleet.seq_from;
    let mut actor = Actor { device, fleet, dice, seq };
    tokio::select! {
        () = actor.device.ready() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    while !*stop.borrow() {
        let goes_on = match spec.role {
            Role::Till => actor.till(&mut stop).await,
            Role::Kiosk => actor.kiosk().await,
        };
        if !goes_on {
            break;
        }
        let (least, most) = actor.fleet.think_ms;
        let think_ms = u64::from(least) + actor.dice.below(u64::from(most.saturating_sub(least)) + 1);
        if think_ms > 0 {
            tokio::select! {
                () = sleep(Duration::from_millis(think_ms)) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }
    actor.device.close().await;
}

struct Actor {
    device: Device,
    fleet: Fleet,
    dice: Dice,
    seq: u64,
}

/// A sale as the till knows it.
struct Sold {
    business_day: Day,
    seq: u64,
    exchange: Exchange,
}

fn token(token: &Token) -> Value {
    json!({ "kind": token.kind, "value": token.value })
}

impl Actor {
    fn tally(&self) -> &Tally {
        &self.fleet.tally
    }

    /// One visit at a till; false when there are no more.
    async fn till(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        let visit = match &self.fleet.source {
            Source::Stock(stock) => stock.visit(&mut self.dice),
            Source::Visits(visits) => {
                let next = async { visits.lock().await.recv().await };
                tokio::select! {
                    visit = next => visit,
                    _ = stop.wait_for(|stop| *stop) => None,
                }
            }
        };
        let Some(visit) = visit else { return false };
        count(&self.tally().counts.visits, 1);
        if let (true, Some(member)) = (visit.scan, &visit.member) {
            let data = json!({ "token": token(member), "locale": "zh-CN" });
            self.device.request(Op::Scan, data, None).await;
        }
        if let Some(sold) = self.sell(&visit).await {
            if self.dice.per_mille(self.fleet.repeats_per_mille) {
                self.device.repeat(&sold.exchange).await;
            }
            self.after(&visit, &sold).await;
        }
        true
    }

    /// Quotes and commits; `None` if there was no sale, or nobody knows whether there was.
    async fn sell(&mut self, visit: &Visit) -> Option<Sold> {
        let business_day = visit.business_day.unwrap_or(self.fleet.business_day);
        let seq = self.next_seq();
        for attempt in 0..QUOTES_MAX {
            let mut data = if visit.quote { self.quoted(visit).await? } else { unquoted(visit) };
            data["transaction"] = json!({ "business_day": business_day, "seq": seq });
            let exchange = self.device.request(Op::Commit, data, visit.at.as_deref()).await;
            match &exchange.answer {
                Answer::Document(receipt) => {
                    self.note_sale(business_day, seq, receipt);
                    return Some(Sold { business_day, seq, exchange });
                }
                Answer::Problem { status: 410, .. } if attempt + 1 < QUOTES_MAX => {
                    count(&self.tally().counts.requoted, 1);
                }
                Answer::Problem { code, detail, .. } => {
                    tracing::debug!(code, detail, "a simulated sale was refused");
                    return None;
                }
                Answer::Silence => {
                    self.tally().unsure_of(self.device.id().clone(), business_day, seq);
                    return None;
                }
            }
        }
        None
    }

    /// A commit of a quote, paid to the last fen; `None` if there is no quote.
    async fn quoted(&mut self, visit: &Visit) -> Option<Value> {
        let mut data = asked(visit);
        if let Some(at) = &visit.at {
            data["at"] = json!(at);
        }
        let exchange = self.device.request(Op::Quote, data, None).await;
        let Answer::Document(quote) = exchange.answer else { return None };
        count(&self.tally().counts.quotes, 1);
        let total = quote["total"].as_i64().unwrap_or_default();
        let kind = self.dice.pick(&["wallet", "wallet", "wallet", "card", "cash"]).copied().unwrap_or("cash");
        let mut data = json!({ "quote": quote["quote"], "tenders": tenders(kind, total) });
        if let Some(at) = &visit.at {
            // A sale of another day is one that was paid then.
            data["charged"] = json!({ "total": total, "at": at });
        }
        Some(data)
    }

    fn note_sale(&self, business_day: Day, seq: u64, receipt: &Value) {
        let tally = self.tally();
        let minor = |key: &str| receipt[key].as_i64().unwrap_or_default();
        let positive = |minor: i64| u64::try_from(minor).unwrap_or_default();
        count(&tally.counts.sales, 1);
        count(&tally.counts.sales_minor, positive(minor("total")));
        count(&tally.counts.discounts_minor, positive(minor("discount_total")));
        for applied in receipt["applied"].as_array().into_iter().flatten() {
            count(&tally.counts.offers_applied, 1);
            tally.offer(applied["promotion"].as_str().unwrap_or_default());
        }
        let coupons = receipt["coupons"].as_array().into_iter().flatten();
        let applied = coupons.filter(|coupon| coupon["outcome"] == "applied").count();
        count(&tally.counts.coupons_applied, applied as u64);
        tally.sale(SaleRecord {
            device: self.device.id().clone(),
            business_day,
            seq,
            total: minor("total"),
            decision: receipt["decision"].as_str().unwrap_or_default().to_owned(),
        });
    }

    fn note_refund(&self, refund: &Value) {
        let minor = refund["refund"].as_i64().unwrap_or_default();
        count(&self.tally().counts.refunds_minor, u64::try_from(minor).unwrap_or_default());
    }

    async fn after(&mut self, visit: &Visit, sold: &Sold) {
        let transaction = json!({ "business_day": sold.business_day, "seq": sold.seq });
        match visit.after {
            After::Nothing => {}
            After::Void => {
                let exchange =
                    self.device.request(Op::Void, json!({ "transaction": transaction }), None).await;
                if let Answer::Document(refund) = &exchange.answer {
                    count(&self.tally().counts.voids, 1);
                    self.note_refund(refund);
                }
            }
            After::Return => {
                let seq = self.next_seq();
                let data = json!({
                    "original": original(self.device.id(), sold),
                    "transaction": { "business_day": sold.business_day, "seq": seq },
                    "lines": [{ "line": "1", "qty": 1 }],
                });
                let exchange = self.device.request(Op::Return, data, None).await;
                if let Answer::Document(refund) = &exchange.answer {
                    count(&self.tally().counts.returns, 1);
                    self.note_refund(refund);
                }
            }
            After::Feedback(score) => {
                let data = json!({ "transaction": transaction, "score": score, "topic": "checkout" });
                self.device.request(Op::Feedback, data, None).await;
            }
        }
    }

    /// One shopper at a kiosk; false when there is nothing to do for it.
    async fn kiosk(&mut self) -> bool {
        let Source::Stock(stock) = &self.fleet.source else { return false };
        let stock = std::sync::Arc::clone(stock);
        count(&self.tally().counts.visits, 1);
        let stranger = stock.stranger(&self.fleet.run, &mut self.dice);
        let known = stock.member(&mut self.dice).filter(|_| self.dice.per_mille(900));
        let shown = known.as_ref().unwrap_or(&stranger);
        let data = json!({ "token": token(shown), "zone": "entrance", "locale": "zh-CN" });
        self.device.request(Op::Scan, data, None).await;
        match self.dice.below(10) {
            0..4 => {
                self.device.request(Op::Wallet, json!({ "member": token(shown) }), None).await;
            }
            4..7 => self.shelf(&stock, known.as_ref()).await,
            7..9 => self.price_check(&stock).await,
            _ => {}
        }
        if known.is_none() && self.dice.per_mille(300) {
            let consent = json!({ "programme": true, "personal": self.dice.per_mille(700) });
            let data = json!({ "token": token(&stranger), "consent": consent, "birthday": "08-15" });
            let exchange = self.device.request(Op::Enroll, data, None).await;
            if matches!(exchange.answer, Answer::Document(_)) {
                count(&self.tally().counts.enrolled, 1);
            }
        }
        true
    }

    async fn shelf(&mut self, stock: &Stock, member: Option<&Token>) {
        let kind = self.dice.pick(&["browse", "enquiry", "shelf"]).copied().unwrap_or("browse");
        let mut data = json!({ "kind": kind, "zone": "aisle-3" });
        if let Some(sku) = stock.sku(&mut self.dice) {
            data["sku"] = json!(sku);
        }
        if let Some(member) = member {
            data["member"] = token(member);
        }
        self.device.request(Op::Event, data, None).await;
    }

    async fn price_check(&mut self, stock: &Stock) {
        let Some(visit) = stock.visit(&mut self.dice) else { return };
        // Codes are for the till: a price check must not hold what somebody else wants to redeem.
        let mut data = asked(&Visit { coupons: Vec::new(), ..visit });
        data["channel"] = json!("kiosk");
        let exchange = self.device.request(Op::Quote, data, None).await;
        if matches!(exchange.answer, Answer::Document(_)) {
            count(&self.tally().counts.quotes, 1);
        }
    }

    fn next_seq(&mut self) -> u64 {
        let seq = self.seq;
        self.seq += 1;
        seq
    }
}

fn original(device: &DeviceId, sold: &Sold) -> Value {
    json!({ "device": device, "business_day": sold.business_day, "seq": sold.seq })
}

/// What a quote, or a commit without one, says of a visit.
fn asked(visit: &Visit) -> Value {
    let mut data = json!({ "basket": visit.basket() });
    if let Some(member) = &visit.member {
        data["member"] = token(member);
    }
    if !visit.coupons.is_empty() {
        data["coupons"] = json!(visit.coupons);
    }
    if visit.spend_points {
        data["points"] = json!({ "spend": "max" });
    }
    if !visit.claims.is_empty() {
        let claim = |(promotion, times): &(String, u32)| json!({ "promotion": promotion, "times": times });
        data["claims"] = visit.claims.iter().map(claim).collect();
    }
    data
}

/// A commit of a basket nobody quoted: paid in cash with what it costs at most, the rest is change.
fn unquoted(visit: &Visit) -> Value {
    let mut data = asked(visit);
    // A gift for a small price (加价购) comes on top of the goods: the note the shopper hands over covers it.
    let extra: i64 = if visit.claims.is_empty() { 0 } else { 10_000 };
    data["tenders"] = tenders("cash", visit.lines.iter().map(|line| line.worth_minor).sum::<i64>() + extra);
    data
}

/// One payment, or none where there is nothing to pay.
fn tenders(kind: &str, amount: i64) -> Value {
    if amount > 0 { json!([{ "kind": kind, "amount": amount }]) } else { json!([]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tills::visit::{Amount, VisitLine};
    use crate::domain::member::TokenKind;

    fn visit() -> Visit {
        Visit {
            member: Some(Token { kind: TokenKind::Card, value: "880000000001".into() }),
            lines: vec![
                VisitLine {
                    sku: "1".into(),
                    amount: Amount::Units(2),
                    unit_price: Some(500),
                    worth_minor: 1_000,
                },
                VisitLine { sku: "2".into(), amount: Amount::Grams(250), unit_price: None, worth_minor: 300 },
            ],
            coupons: vec!["FRESH10".into()],
            claims: vec![("addon".into(), 1)],
            spend_points: true,
            at: None,
            business_day: None,
            scan: true,
            quote: true,
            after: After::Nothing,
        }
    }

    #[test]
    fn is_a_visit_said_as_the_contract_has_it() {
        let expected = json!({
            "basket": { "lines": [
                { "line": "1", "sku": "1", "qty": 2, "unit_price": 500 },
                { "line": "2", "sku": "2", "weight_grams": 250 },
            ]},
            "member": { "kind": "card", "value": "880000000001" },
            "coupons": ["FRESH10"],
            "points": { "spend": "max" },
            "claims": [{ "promotion": "addon", "times": 1 }],
        });
        assert_eq!(asked(&visit()), expected);
        let bare =
            Visit { member: None, coupons: Vec::new(), claims: Vec::new(), spend_points: false, ..visit() };
        assert_eq!(asked(&bare), json!({ "basket": bare.basket() }));
    }

    #[test]
    fn what_does_a_till_ask_for_without_a_quote() {
        let bare = Visit { claims: Vec::new(), ..visit() };
        assert_eq!(unquoted(&bare)["tenders"], json!([{ "kind": "cash", "amount": 1_300 }]));
        assert_eq!(tenders("card", 0), json!([]));
    }
}
