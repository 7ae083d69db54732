//! What a case expects, against what came out.
//!
//! Each return is worked out on what the sale froze and on the returns before it, as the engine does; `expect` lines that
//! speak of a return mean the last one above them.

use crate::domain::ids::{LineId, PromotionId};
use crate::domain::money::Money;
use crate::domain::text::Lang;
use crate::pricing::outcome::{Addition, CouponOutcome, Near, NotApplied, Priced, Reason};
use crate::pricing::returns::{self, Refunded, ReturnFault, SoldGift, SoldLine, SoldSale, gift_line};

use super::{Given, Wrong, amount, number, word, wrong};

/// Why an expectation does not hold.
pub(super) enum Miss {
    /// It cannot be read.
    Wrong(Wrong),
    /// Something else came out.
    Found(String),
}

impl From<Wrong> for Miss {
    fn from(wrong: Wrong) -> Miss {
        Miss::Wrong(wrong)
    }
}

/// What came out of a case so far.
pub(super) struct Seen<'a> {
    given: &'a Given,
    priced: &'a Priced,
    gift_lines: Vec<LineId>,
    returned: Vec<(LineId, u32)>,
    refunded: Money,
    back: Option<Result<Refunded, ReturnFault>>,
}

fn same(found: String, wanted: String) -> Result<(), Miss> {
    if found == wanted { Ok(()) } else { Err(Miss::Found(found)) }
}

impl<'a> Seen<'a> {
    pub(super) fn new(given: &'a Given, priced: &'a Priced) -> Seen<'a> {
        let gift_lines = (1..=priced.gifts.len()).map(gift_line).collect();
        Seen { given, priced, gift_lines, returned: Vec::new(), refunded: Money::ZERO, back: None }
    }

    /// Goods come back: `1 milk, 2 line 3, 1 gift 1`.
    pub(super) fn give_back(&mut self, text: &str) -> Result<(), Wrong> {
        let mut back: Vec<(LineId, u32)> = Vec::new();
        for part in text.split(", ") {
            let form = || {
                wrong(
                    part,
                    "数量 商品，或 数量 line 行号，或 数量 gift 序号",
                    "how many of what, such as 1 milk, 1 line 2, 1 gift 1",
                )
            };
            let (qty, what) = part.trim().split_once(' ').ok_or_else(form)?;
            let qty: u32 = number(qty)?;
            let line = if let Some(line) = what.strip_prefix("line ") {
                word(line)?
            } else if let Some(nth) = what.strip_prefix("gift ") {
                gift_line(number(nth)?)
            } else {
                let sku = self.given.article(what)?;
                let mut lines = self.priced.lines.iter().filter(|line| line.sku == sku);
                let of_article = lines.find(|line| line.units >= self.back_of(&line.line) + qty);
                of_article.ok_or_else(form)?.line.clone()
            };
            back.push((line, qty));
        }
        let result = self.work_out(&back);
        if let Ok(refunded) = &result {
            self.refunded += refunded.amount;
            for (line, qty) in back {
                match self.returned.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, units)) => *units += qty,
                    None => self.returned.push((line, qty)),
                }
            }
        }
        self.back = Some(result);
        Ok(())
    }

    fn back_of(&self, line: &LineId) -> u32 {
        self.returned.iter().find(|(known, _)| known == line).map_or(0, |(_, units)| *units)
    }

    fn work_out(&self, back: &[(LineId, u32)]) -> Result<Refunded, ReturnFault> {
        let lines: Vec<SoldLine<'_>> = self
            .priced
            .lines
            .iter()
            .map(|line| SoldLine {
                line: &line.line,
                shares: &line.shares,
                returned: self.back_of(&line.line),
            })
            .collect();
        let gifts: Vec<SoldGift<'_>> = (self.priced.gifts.iter().zip(&self.gift_lines))
            .map(|(gift, line)| SoldGift {
                line,
                promotion: &gift.promotion,
                qty: gift.qty,
                paid: gift.unit_price,
                value: self.given.shelf_price(&gift.sku).unwrap_or(gift.unit_price),
                returned: self.back_of(line),
            })
            .collect();
        let sale = SoldSale {
            lines: &lines,
            gifts: &gifts,
            refunded: self.refunded,
            policy: &|promotion| self.given.policy(promotion),
            again: &|left| self.given.price(&returns::rest_of(&self.given.basket, left)).ok(),
        };
        returns::refund(&sale, back)
    }

    fn show(&self, amount: Money) -> String {
        self.given.currency.format(amount)
    }

    /// Does it hold?
    pub(super) fn compare(&self, expected: &str) -> Result<(), Miss> {
        let (text, quoted) = match expected.split_once('"') {
            Some((before, quoted)) => (before, Some(quoted.trim_end_matches('"'))),
            None => (expected, None),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let money = |text: &str| amount(text, &self.given.currency).map(|amount| self.show(amount));
        let priced = self.priced;
        match words.as_slice() {
            ["refund" | "left" | "taken" | "given" | "blocked" | "whole", ..] => self.compare_return(&words),
            ["total", amount] => same(self.show(priced.total), money(amount)?),
            ["off", amount] => same(self.show(priced.discount_total), money(amount)?),
            ["line", line, amount] => {
                let found = priced.lines.iter().find(|l| l.line.as_str() == *line);
                same(found.map_or("no such line".into(), |l| self.show(l.net)), money(amount)?)
            }
            ["shares", line, ..] => {
                let shares = priced.lines.iter().filter(|l| l.line.as_str() == *line).flat_map(|l| &l.shares);
                let found: Vec<String> =
                    shares.map(|s| format!("{} x {}", s.qty, self.show(s.net))).collect();
                same(found.join(", "), words[2..].join(" "))
            }
            ["earns", line, ..] => {
                let shares = priced.lines.iter().filter(|l| l.line.as_str() == *line).flat_map(|l| &l.shares);
                let found: Vec<String> = shares.map(|s| format!("{} x {}", s.qty, s.points)).collect();
                same(found.join(", "), words[2..].join(" "))
            }
            ["order", ..] => {
                let found: Vec<&str> = priced.applied.iter().map(|a| a.promotion.as_str()).collect();
                same(found.join(", "), words[1..].join(" "))
            }
            ["nothing", "applied"] => {
                let found: Vec<&str> = priced.applied.iter().map(|a| a.promotion.as_str()).collect();
                same(found.join(", "), String::new())
            }
            ["nothing", "near"] => {
                let found: Vec<String> = priced.near.iter().map(|near| self.show_near(near)).collect();
                same(found.join(", "), String::new())
            }
            ["no", promotion, reason] => self.compare_reason(promotion, reason, quoted),
            ["silent", promotion] => {
                let found = self.not_applied(promotion).map(|not| name_of(&not.reason));
                same(found.unwrap_or_default(), String::new())
            }
            ["lost", promotion, "to", winner, by @ ..] => {
                let found = self.not_applied(promotion).and_then(|not| {
                    let by = not.by.map_or(String::new(), |by| format!(" by {}", self.show(by)));
                    Some(format!("lost to {}{by}", not.loses_to.as_ref()?))
                });
                let by = by.get(1).map(|by| money(by)).transpose()?;
                let by = by.map_or(String::new(), |by| format!(" by {by}"));
                same(found.unwrap_or("not lost".into()), format!("lost to {winner}{by}"))
            }
            ["gift", article @ .., qty] if !article.is_empty() => {
                let sku = self.given.article(&article.join(" "))?;
                let found: u32 = priced.gifts.iter().filter(|g| g.sku == sku).map(|g| g.qty).sum();
                same(found.to_string(), number::<u32>(qty)?.to_string())
            }
            ["issue", coupon, days] => {
                let found: Vec<String> =
                    priced.issues.iter().map(|i| format!("{} {}", i.coupon, i.valid_days)).collect();
                same(found.join(", "), format!("{coupon} {days}"))
            }
            ["earn", points] => same(priced.points.earn.to_string(), number::<i64>(points)?.to_string()),
            ["balance", points] => {
                let found = priced.points.balance_after.map(|points| points.to_string());
                same(found.unwrap_or("no member".into()), number::<i64>(points)?.to_string())
            }
            ["spend", points, "for", amount] => same(
                format!("{} for {}", priced.points.spend, self.show(priced.points.spend_amount)),
                format!("{} for {}", number::<i64>(points)?, money(amount)?),
            ),
            ["short", reason] => {
                let found = priced.points.short.map(|reason| name_of(&reason));
                same(found.unwrap_or("not short".into()), name_of(&word::<Reason>(reason)?))
            }
            ["card", code, used, "left", left] => {
                let found = priced.gift_cards.iter().find(|card| card.code.as_str() == *code);
                let found = found.map(|c| format!("{} left {}", self.show(c.used), self.show(c.balance)));
                same(
                    found.unwrap_or("no such card".into()),
                    format!("{} left {}", money(used)?, money(left)?),
                )
            }
            ["code", code, outcome, reason @ ..] => {
                let found = priced.coupons.iter().find(|c| c.code.as_str() == *code);
                let shown = |outcome: &CouponOutcome, reason: Option<Reason>| {
                    let reason = reason.map_or(String::new(), |reason| format!(" {}", name_of(&reason)));
                    format!("{}{reason}", name_of(outcome))
                };
                let reason = reason.first().map(|reason| word::<Reason>(reason)).transpose()?;
                let found = found.map(|c| shown(&c.outcome, c.reason));
                same(found.unwrap_or("no such code".into()), shown(&word(outcome)?, reason))
            }
            ["near", promotion, add @ .., "gain", gain] => {
                let found = priced.near.iter().find(|n| n.promotion.as_str() == *promotion);
                let found = found.map(|near| self.show_near(near));
                same(
                    found.unwrap_or("nothing near".into()),
                    format!("{} gain {}", add.join(" "), money(gain)?),
                )
            }
            [promotion, amount, rest @ ..] if self.given.promotion(promotion).is_ok() => {
                let (found, found_times, found_units) = self.applied(&self.given.promotion(promotion)?);
                match rest {
                    [] => same(self.show(found), money(amount)?),
                    ["x", times, "units", units] => same(
                        format!("{} x {found_times} units {found_units}", self.show(found)),
                        format!("{} x {times} units {units}", money(amount)?),
                    ),
                    _ => Err(unknown(text).into()),
                }
            }
            _ => Err(unknown(text).into()),
        }
    }

    fn compare_return(&self, words: &[&str]) -> Result<(), Miss> {
        let back = self.back.as_ref().ok_or_else(|| {
            wrong(&words.join(" "), "先写一行 return", "a line that begins with return above it")
        })?;
        let back = match (back, words) {
            (Err(ReturnFault::PartialBlocked(by)), ["blocked", promotion]) => {
                return same(by.to_string(), (*promotion).to_owned());
            }
            (Err(fault), _) => return Err(Miss::Found(fault.to_string())),
            (Ok(back), _) => back,
        };
        match words {
            ["refund", money] => {
                same(self.show(back.amount), self.show(amount(money, &self.given.currency)?))
            }
            ["left", line, units] => {
                let found = back.lines.iter().find(|found| found.line.as_str() == *line);
                same(found.map_or("no such line".into(), |line| line.left.to_string()), (*units).to_owned())
            }
            ["taken", points] => same(back.points_taken.to_string(), number::<i64>(points)?.to_string()),
            ["given", points] => same(back.points_given.to_string(), number::<i64>(points)?.to_string()),
            ["whole"] if back.whole => Ok(()),
            ["whole"] => Err(Miss::Found("some goods stay".into())),
            ["blocked", _] => Err(Miss::Found(format!("refund {}", self.show(back.amount)))),
            _ => Err(unknown(&words.join(" ")).into()),
        }
    }

    fn compare_reason(&self, promotion: &str, reason: &str, quoted: Option<&str>) -> Result<(), Miss> {
        let reason: Reason = word(reason)?;
        let Some(found) = self.not_applied(promotion) else {
            let id: PromotionId = word(promotion)?;
            let (amount, times, _) = self.applied(&id);
            let found =
                if times > 0 { format!("it applied: {}", self.show(amount)) } else { "no reason".into() };
            return Err(Miss::Found(found));
        };
        same(name_of(&found.reason), name_of(&reason))?;
        match quoted {
            Some(text) if ![Lang::En, Lang::ZhCn].iter().any(|lang| found.detail.get(*lang) == text) => {
                Err(Miss::Found(format!("{:?}", found.detail.0.values().collect::<Vec<_>>())))
            }
            _ => Ok(()),
        }
    }

    fn not_applied(&self, promotion: &str) -> Option<&NotApplied> {
        self.priced.not_applied.iter().find(|not| not.promotion.as_str() == promotion)
    }

    fn applied(&self, promotion: &PromotionId) -> (Money, u32, u32) {
        let found = self.priced.applied.iter().find(|applied| applied.promotion == *promotion);
        found.map_or((Money::ZERO, 0, 0), |applied| (applied.amount, applied.times, applied.units))
    }

    fn show_near(&self, near: &Near) -> String {
        let gain = self.show(near.gain);
        match &near.add {
            Addition::Amount { amount } => format!("{} gain {gain}", self.show(*amount)),
            Addition::Units { sku, qty } => format!("{qty} {sku} gain {gain}"),
            Addition::Set { set, qty } => format!("{qty} of {set} gain {gain}"),
            Addition::From { from } => format!("{from} gain {gain}"),
        }
    }
}

/// A word of a closed list, as it is written.
fn name_of<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => format!("{other:?}"),
    }
}

fn unknown(found: &str) -> Wrong {
    let words = "total, off, line, shares, earns, order, nothing applied, nothing near, no, silent, lost, gift, issue, earn, \
                 balance, spend, short, card, code, near, refund, left, taken, given, blocked, whole";
    wrong(
        found,
        &format!("{words}，或活动编号加金额"),
        &format!("one of {words}, or the id of an offer and an amount"),
    )
}
