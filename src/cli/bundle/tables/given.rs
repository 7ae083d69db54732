//! What a case stands on: the words before `expect`, as a sale that can be priced.
//!
//! A code that says nothing more is looked up as the shop's engine would: generic codes and single-use codes of the
//! folder, personal ones only for their member. Segments are those the folder declares, and those a case names.

use std::collections::BTreeMap;

use crate::domain::basket::{Basket, Choice, Claim, GiftCard, Line, Notes, PointsWish, Quantity};
use crate::domain::calendar::{Day, TimeOfDay, UnixMs};
use crate::domain::catalog::Item;
use crate::domain::ids::{CouponCode, DeviceId, LineId, MemberId, PromotionId, SegmentId, Sku};
use crate::domain::member::{Ledger, Member, Profile, Usage};
use crate::domain::money::{Currency, Money};
use crate::domain::text::Texts;
use crate::pricing::model::{Benefit, Channel, Promotion, ReturnPolicy};
use crate::pricing::outcome::{Priced, Reason};
use crate::pricing::{Book, BookRules, CouponRule, PresentedCode, Right, Sale, Shopper};

use super::{Case, Finding, Ground, Wrong, amount, number, word, wrong};

/// A case, ready to be priced.
pub struct Given {
    /// What is bought.
    pub basket: Basket,
    pub(super) currency: Currency,
    pub(super) catalogue: Vec<Item>,
    book: Book,
    member: Option<Member>,
    segments: Vec<SegmentId>,
    now: UnixMs,
    today: Day,
    device: DeviceId,
    channel: Channel,
    codes: Vec<PresentedCode>,
    usage: BTreeMap<PromotionId, Usage>,
    device_usage: BTreeMap<PromotionId, Usage>,
    offline_hours: Option<u32>,
}

impl Given {
    pub(super) fn read(ground: &Ground, at: &str, case: &Case) -> Result<Given, Vec<Finding>> {
        let said = |key: &str| {
            let mut lines = case.lines.iter();
            lines.find_map(|(line, text)| text.strip_prefix(key).map(|rest| (*line, rest.trim())))
        };
        let place = |key: &str| said(key).map_or(case.line, |(line, _)| line);
        let one = |line: usize, wrong: Wrong| vec![wrong.at(line, &case.title)];
        let promotions =
            offers(ground, said("with ").map(|(_, names)| names)).map_err(|w| one(place("with "), w))?;
        let book = compile(ground, promotions).map_err(|w| one(case.line, w))?;
        let (now, today) =
            moment(ground, said("at ").map_or(at, |(_, at)| at)).map_err(|w| one(place("at "), w))?;
        let mut given = Given {
            basket: Basket::default(),
            currency: ground.shop.currency.clone(),
            catalogue: ground.catalogue.clone(),
            book,
            member: None,
            segments: Vec::new(),
            now,
            today,
            device: DeviceId::new("till-1").expect("a constant id is valid"),
            channel: Channel::Till,
            codes: Vec::new(),
            usage: BTreeMap::new(),
            device_usage: BTreeMap::new(),
            offline_hours: None,
        };
        let mut findings = Vec::new();
        // The member first: what was used needs one.
        for first in [true, false] {
            for (line, text) in case.lines.iter().filter(|(_, text)| text.starts_with("member") == first) {
                let (key, rest) = text.split_once(' ').unwrap_or((text, ""));
                if let Err(wrong) = given.word(ground, key, rest.trim()) {
                    findings.push(wrong.at(*line, &case.title));
                }
            }
        }
        if given.basket.lines.is_empty() && findings.is_empty() {
            let wrong = wrong(&case.title, "一行 basket", "a line that begins with basket");
            findings.push(wrong.at(case.line, ""));
        }
        if findings.is_empty() { Ok(given) } else { Err(findings) }
    }

    fn word(&mut self, ground: &Ground, key: &str, rest: &str) -> Result<(), Wrong> {
        match key {
            "with" | "expect" | "at" | "return" => {}
            "zone" => self.basket.zone = Some(word(rest)?),
            "device" => self.device = word(rest)?,
            "channel" => self.channel = word(rest)?,
            "offline" => self.offline_hours = Some(number(rest)?),
            "basket" => {
                for text in rest.split(", ") {
                    let line = self.basket_line(self.basket.lines.len() + 1, text)?;
                    self.basket.lines.push(line);
                }
            }
            "member" => self.member(ground, rest)?,
            "code" => {
                let code = self.code(ground, rest)?;
                self.codes.push(code);
            }
            "claim" => {
                let (promotion, times) = rest.split_once(' ').unwrap_or((rest, "1"));
                let claim = Claim { promotion: self.promotion(promotion)?, times: number(times)? };
                self.basket.claims.push(claim);
            }
            "spend" => {
                self.basket.points =
                    Some(if rest == "max" { PointsWish::Max } else { PointsWish::Spend(number(rest)?) });
            }
            "card" => {
                let form = || wrong(rest, "card 卡号 余额", "card CODE balance");
                let (code, balance) = rest.split_once(' ').ok_or_else(form)?;
                let balance = amount(balance, &self.currency)?;
                self.basket.gift_cards.push(GiftCard { code: normal(code)?, balance });
            }
            "choose" | "gone" | "before" => self.note(key, rest)?,
            "used" => self.used(rest)?,
            _ => {
                let words = "basket, member, at, with, code, claim, spend, card, zone, channel, device, offline, used, \
                             choose, gone, before, return, expect";
                return Err(wrong(
                    &format!("{key} {rest}"),
                    &format!("以下之一开头：{words}"),
                    &format!("a line that begins with one of {words}"),
                ));
            }
        }
        Ok(())
    }

    fn note(&mut self, key: &str, rest: &str) -> Result<(), Wrong> {
        let form = || wrong(&format!("{key} {rest}"), "两项，以空格分开", "two words");
        let notes = self.basket.notes.get_or_insert_with(|| Box::new(Notes::default()));
        match key {
            "choose" => {
                let (promotion, chosen) = rest.split_once(' ').ok_or_else(form)?;
                let choice = Choice { promotion: word(promotion)?, skus: list(&self.catalogue, chosen)? };
                notes.choices.push(choice);
            }
            "gone" => notes.gone.extend(list(&self.catalogue, rest)?),
            _ => {
                let (line, day) = rest.split_once(' ').ok_or_else(form)?;
                notes.best_before.push((word(line)?, word(day)?));
            }
        }
        Ok(())
    }

    fn member(&mut self, ground: &Ground, rest: &str) -> Result<(), Wrong> {
        let mut member = Member {
            id: MemberId::new("m1").expect("a constant id is valid"),
            profile: Profile::default(),
            ledger: Ledger::default(),
            profile_as_of: UnixMs(0),
            history: None,
        };
        for part in rest.split_whitespace() {
            let Some((key, value)) = part.split_once('=') else {
                let known = ground.members.get(part).ok_or_else(|| {
                    wrong(part, "会员编号，或 键=值", "a member of the folder, or key=value")
                })?;
                member.id = known.id.clone();
                member.profile = known.profile.clone();
                member.ledger.points.settled = known.points;
                continue;
            };
            match key {
                "id" => member.id = word(value)?,
                "tier" => member.profile.tier = Some(word(value)?),
                "tag" => member.profile.tags.push(word(value)?),
                "group" => member.profile.groups.push(word(value)?),
                "birthday" => member.profile.birthday = Some(word(value)?),
                "consent" => member.profile.consent.personal = value == "personal",
                "orders" => member.ledger.visits = number(value)?,
                "points" => member.ledger.points.settled = number(value)?,
                "segment" => self.segments.push(word(value)?),
                _ => {
                    let keys = "id, tier, tag, group, birthday, consent, orders, points, segment";
                    return Err(wrong(
                        part,
                        &format!("{keys} 之一=值"),
                        &format!("one of {keys}, = and a value"),
                    ));
                }
            }
        }
        if let Some(segments) = &ground.segments {
            self.segments.extend(segments.of(&member, self.today));
        }
        self.segments.sort();
        self.segments.dedup();
        self.member = Some(member);
        Ok(())
    }

    fn code(&self, ground: &Ground, rest: &str) -> Result<PresentedCode, Wrong> {
        let (code, right) = if let Some((code, promotion)) = rest.split_once('=') {
            (normal(code)?, Ok(self.promotion(promotion)?.into()))
        } else if let Some((code, value)) = rest.split_once(" pays ") {
            (normal(code)?, Ok(Right::Value(amount(value, &self.currency)?)))
        } else if let Some((code, reason)) = rest.split_once('!') {
            (normal(code)?, Err(word::<Reason>(reason)?))
        } else {
            let code = normal(rest)?;
            let right = self.right(ground, &code);
            (code, right.map(Right::from))
        };
        Ok(PresentedCode { code, right, used: Usage::default() })
    }

    fn right(&self, ground: &Ground, code: &CouponCode) -> Result<PromotionId, Reason> {
        let is_it = |own: &CouponCode| CouponCode::normal(own.as_str()).is_ok_and(|own| own == *code);
        let generic = ground.coupons.iter().find(|coupon| coupon.code.as_ref().is_some_and(is_it));
        let issued = ground.codes.get(code);
        let by_id =
            || ground.coupons.iter().find(|coupon| Some(&coupon.id) == issued.map(|code| &code.coupon));
        let coupon = generic.or_else(by_id).ok_or(Reason::CodeUnknown)?;
        let owner = issued.and_then(|code| code.member.as_ref());
        if let (Some(rule), Some(owner)) = (&coupon.referral, owner) {
            let member = self.member.as_ref().ok_or(Reason::NoMember)?;
            if member.id == *owner {
                return Err(Reason::ReferralOwn);
            }
            if rule.new_only && member.orders() > 0 {
                return Err(Reason::ReferralNotNew);
            }
        } else if owner.is_some_and(|owner| self.member.as_ref().is_none_or(|member| member.id != *owner)) {
            return Err(Reason::CodeNotYours);
        }
        match coupon.schedule.closed(&ground.shop.time_zone, self.now) {
            Some(reason) => Err(reason),
            None => Ok(coupon.promotion.clone()),
        }
    }

    fn used(&mut self, rest: &str) -> Result<(), Wrong> {
        let form = || wrong(rest, "used 活动 范围 键=值", "used OFFER WHERE key=value");
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [promotion, by, what @ ..] = words.as_slice() else { return Err(form()) };
        let promotion = self.promotion(promotion)?;
        let today = self.today.number();
        let usage = match *by {
            "here" | "today" => self.usage.entry(promotion).or_default(),
            "device" => self.device_usage.entry(promotion).or_default(),
            "member" | "member-today" => match &mut self.member {
                Some(member) => member.ledger.usage.entry(promotion).or_default(),
                None => return Err(wrong(rest, "先写一行 member", "a line that begins with member")),
            },
            "code" => {
                let code = self.codes.iter_mut().find(|code| code.promotion() == Some(&promotion));
                &mut code
                    .ok_or_else(|| wrong(rest, "先写该活动的 code", "a code of the offer before it"))?
                    .used
            }
            _ => return Err(form()),
        };
        usage.day = if ["today", "member-today", "device"].contains(by) { today } else { today - 1 };
        for part in what {
            let (key, value) = part.split_once('=').ok_or_else(form)?;
            match key {
                "uses" => (usage.uses, usage.uses_on_day) = (number(value)?, number(value)?),
                "units" => (usage.units, usage.units_on_day) = (number(value)?, number(value)?),
                "points" => (usage.points, usage.points_on_day) = (number(value)?, number(value)?),
                "money" => {
                    let money = amount(value, &self.currency)?;
                    (usage.money, usage.money_on_day) = (money, money);
                }
                _ => return Err(form()),
            }
        }
        Ok(())
    }

    /// Prices a basket as this case's: of the same shopper, at the same moment.
    pub fn price(&self, basket: &Basket) -> Result<Priced, Wrong> {
        let sale = Sale {
            basket,
            shopper: Shopper {
                member: self.member.as_ref(),
                segments: &self.segments,
                now: self.now,
                zone: None,
            },
            codes: &self.codes,
            device: &self.device,
            channel: self.channel,
            usage: &self.usage,
            device_usage: &self.device_usage,
            offline_hours: self.offline_hours,
            lent: None,
        };
        self.book.price(&sale).map_err(|fault| {
            let found = format!("basket: {fault}");
            wrong(&found, "可以计价的购物篮", "a basket that can be priced")
        })
    }

    pub(super) fn policy(&self, promotion: &PromotionId) -> ReturnPolicy {
        self.book.promotion(promotion).map(|promotion| promotion.returns).unwrap_or_default()
    }

    pub(super) fn shelf_price(&self, sku: &Sku) -> Option<Money> {
        self.book.item(sku).map(|item| item.price)
    }

    /// A promotion of the case or of its ground.
    pub(super) fn promotion(&self, text: &str) -> Result<PromotionId, Wrong> {
        let id: PromotionId = word(text)?;
        if self.book.promotion(&id).is_none() {
            return Err(unknown_offer(text));
        }
        Ok(id)
    }

    fn basket_line(&self, number_of_line: usize, text: &str) -> Result<Line, Wrong> {
        let (what, price) = match text.split_once(" @ ") {
            Some((text, price)) => (text, Some(amount(price.trim(), &self.currency)?)),
            None => (text, None),
        };
        let form = || {
            wrong(
                text,
                "数量 商品，例如 2 牛奶 或 500g 苹果",
                "how many of what, such as 2 milk or 500g apple",
            )
        };
        let (quantity, article) = what.trim().split_once(' ').ok_or_else(form)?;
        let quantity = match quantity.strip_suffix('g') {
            Some(grams) => Quantity::Grams(grams.parse().ok().filter(|grams| *grams > 0).ok_or_else(form)?),
            None => Quantity::Units(quantity.parse().ok().filter(|units| *units > 0).ok_or_else(form)?),
        };
        let sku = match (self.article(article), price, Sku::new(article)) {
            (Ok(sku), _, _) => sku,
            // An article the shop does not know is sold at the till's price.
            (Err(_), Some(_), Ok(sku)) => sku,
            (Err(wrong), _, _) => return Err(wrong),
        };
        let line = LineId::new(&number_of_line.to_string()).expect("digits are a line id");
        Ok(Line { line, sku, quantity, unit_price: price })
    }

    /// An article by its sku, its name in any language, or a part of the name that only it has.
    pub(super) fn article(&self, text: &str) -> Result<Sku, Wrong> {
        article(&self.catalogue, text)
    }
}

fn list(catalogue: &[Item], text: &str) -> Result<Vec<Sku>, Wrong> {
    text.split(',').map(|part| article(catalogue, part.trim())).collect()
}

fn article(catalogue: &[Item], text: &str) -> Result<Sku, Wrong> {
    if let Some(item) = catalogue.iter().find(|item| item.sku.as_str() == text) {
        return Ok(item.sku.clone());
    }
    let has = |names: &Texts, is_it: &dyn Fn(&str) -> bool| names.0.values().any(|name| is_it(name));
    let named = |is_it: &dyn Fn(&str) -> bool| -> Vec<&Item> {
        catalogue.iter().filter(|item| has(&item.names, is_it)).collect()
    };
    let mut found = named(&|name| name == text);
    if found.is_empty() && !text.is_empty() {
        found = named(&|name| name.contains(text));
    }
    match found.as_slice() {
        [item] => Ok(item.sku.clone()),
        [] => Err(wrong(text, "商品编码或名称", "an article by its sku or name")),
        several => {
            let some: Vec<String> = several
                .iter()
                .take(3)
                .map(|item| format!("{} ({})", item.sku, item.names.0.values().next().map_or("", |n| n)))
                .collect();
            let (count, some) = (several.len(), some.join(", "));
            let zh_cn = format!("唯一的商品：有 {count} 个叫这个名字，例如 {some}");
            Err(wrong(text, &zh_cn, &format!("one article: {count} have it in their name, such as {some}")))
        }
    }
}

fn normal(code: &str) -> Result<CouponCode, Wrong> {
    CouponCode::normal(code).map_err(|error| wrong(code, "券码", &error.to_string()))
}

fn unknown_offer(text: &str) -> Wrong {
    wrong(text, "已有活动的编号", "the id of an offer that there is")
}

fn moment(ground: &Ground, at: &str) -> Result<(UnixMs, Day), Wrong> {
    let form = || wrong(at, "日期 时间，例如 2026-11-21 12:00", "a day and a time, such as 2026-11-21 12:00");
    let (day, time) = at.split_once(' ').ok_or_else(form)?;
    let day: Day = day.parse().map_err(|_| form())?;
    let time: TimeOfDay = time.trim().parse().map_err(|_| form())?;
    Ok((ground.shop.time_zone.at(day, time), day))
}

fn offers(ground: &Ground, with: Option<&str>) -> Result<Vec<Promotion>, Wrong> {
    let Some(with) = with else { return Ok(ground.promotions.clone()) };
    let offer = |name: &str| {
        let name = name.trim();
        let found = ground.promotions.iter().find(|offer| offer.id.as_str() == name);
        found.cloned().ok_or_else(|| unknown_offer(name))
    };
    with.split(',').map(offer).collect()
}

fn compile(ground: &Ground, mut promotions: Vec<Promotion>) -> Result<Book, Wrong> {
    let mut coupons: Vec<CouponRule> = ground
        .coupons
        .iter()
        .filter(|coupon| promotions.iter().any(|promotion| promotion.id == coupon.promotion))
        .map(|coupon| CouponRule { id: coupon.id.clone(), promotion: coupon.promotion.clone() })
        .collect();
    // A coupon for the next visit is a right to something, though the case leaves that out.
    let issued: Vec<_> = promotions
        .iter()
        .filter_map(|promotion| match &promotion.benefit {
            Benefit::IssueCoupon(issue) => Some(issue.coupon.clone()),
            Benefit::PointsRedeem(reward) => reward.coupon.as_ref().map(|issue| issue.coupon.clone()),
            _ => None,
        })
        .collect();
    for coupon in issued {
        if coupons.iter().any(|known| known.id == coupon) {
            continue;
        }
        let id = format!("next-visit-{}", coupons.len());
        let text = format!(
            "id = '{id}'\ntitles = {{ en = 'next' }}\ntrigger = 'code'\nbenefit = {{ order_amount = 1 }}"
        );
        let next: Promotion = toml::from_str(&text).expect("a constant promotion is valid");
        coupons.push(CouponRule { id: coupon, promotion: next.id.clone() });
        promotions.push(next);
    }
    let rules = BookRules {
        currency: ground.shop.currency.clone(),
        zone: ground.shop.time_zone.clone(),
        arithmetic: ground.shop.arithmetic,
        resolution: ground.shop.resolution,
        catalogue: ground.catalogue.clone(),
        promotions,
        points: ground.points.clone(),
        coupons,
    };
    let book = Book::compile(rules).map(|book| book.resolving(&ground.shop.group_resolution));
    book.map_err(|faults| {
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        wrong(&found.join("; "), "没有错误的活动", "offers without mistakes")
    })
}
