//! Why a promotion did not apply, in words: the failed leaf with the value it saw, in both languages.
//!
//! While promotions are tried a reason is a small copyable `Why` that points at the rule's own leaf; it becomes a
//! sentence only if it is reported. Sentences state what is and what it takes, never a name or number of the member
//! beyond tier, tags and counts the till may show.

use crate::domain::calendar::{Day, Weekday};
use crate::domain::ids::PromotionId;
use crate::domain::money::Money;
use crate::domain::text::Texts;

use super::conditions::Cond;
use super::model::{Audience, Channel, Limit, LimitMeasure, LimitScope, Schedule};
use super::outcome::{NotApplied, Reason};
use super::resolution::Sitting;
use super::sets::Set;

/// Why a promotion gives nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why<'a> {
    Inactive,
    NotStarted(Day),
    Expired(Day),
    Schedule(&'a Schedule),
    NoCode,
    NotClaimed,
    Offline { hours: u32 },
    NoMember,
    Audience(&'a Audience),
    Condition { leaf: &'a Cond, seen: i64 },
    TooManyUnits { seen: u32, most: u32 },
    TooMuchSpent { seen: Money, most: Money },
    Units { seen: u32, need: u32, set: &'a Set },
    Spent { seen: Money, need: Money, set: &'a Set },
    Limit { limit: &'a Limit, used: i64 },
    Slice { limit: &'a Limit, left: i64 },
    Elsewhere { left: Money },
    LostTo { winner: &'a PromotionId, by: Option<Money> },
    UnitsTaken,
    NothingOff,
    TooFewPoints { seen: i64, need: i64 },
    GiftGone,
    TooEarly { left: Option<u32>, need: u32, days: bool },
}

impl Why<'_> {
    /// Its kind on the wire.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Why::Inactive => Reason::Inactive,
            Why::NotStarted(_) => Reason::NotStarted,
            Why::Expired(_) => Reason::Expired,
            Why::Schedule(_) => Reason::OutsideSchedule,
            Why::NoCode => Reason::NoCode,
            Why::NotClaimed => Reason::NotClaimed,
            Why::Offline { .. } => Reason::Offline,
            Why::NoMember => Reason::NoMember,
            Why::Audience(_) => Reason::Audience,
            Why::Condition { .. } | Why::TooManyUnits { .. } | Why::TooMuchSpent { .. } => Reason::Conditions,
            Why::Units { .. } => Reason::TooFewUnits,
            Why::Spent { .. } => Reason::TooLittleSpent,
            Why::Limit { limit, .. } => match limit.scope {
                LimitScope::Store | LimitScope::StoreDay => Reason::LimitStore,
                LimitScope::Chain => Reason::LimitChain,
                LimitScope::Member | LimitScope::MemberDay => Reason::LimitMember,
                LimitScope::Code => Reason::LimitCode,
                LimitScope::Device => Reason::LimitDevice,
            },
            Why::Slice { .. } => Reason::LimitChain,
            Why::Elsewhere { .. } => Reason::CodeElsewhere,
            Why::LostTo { .. } => Reason::LostTo,
            Why::UnitsTaken => Reason::UnitsTaken,
            Why::NothingOff => Reason::NothingOff,
            Why::TooFewPoints { .. } => Reason::TooFewPoints,
            Why::GiftGone => Reason::GiftGone,
            Why::TooEarly { .. } => Reason::TooEarly,
        }
    }

    /// How far from applying: the smaller, the sooner it is reported where not all can be.
    pub(super) fn distance(&self) -> u8 {
        match self {
            Why::LostTo { .. } => 0,
            Why::UnitsTaken | Why::NothingOff | Why::GiftGone => 1,
            Why::Limit { .. } | Why::Slice { .. } | Why::Elsewhere { .. } => 2,
            Why::Units { seen, .. } if *seen > 0 => 3,
            Why::Spent { .. } | Why::TooFewPoints { .. } => 3,
            Why::TooManyUnits { .. } | Why::TooMuchSpent { .. } => 4,
            Why::Units { .. } | Why::Condition { .. } => 4,
            Why::NotClaimed | Why::NoCode => 5,
            Why::Audience(_) | Why::NoMember => 6,
            Why::Offline { .. } => 7,
            Why::Schedule(_) | Why::TooEarly { .. } => 8,
            Why::NotStarted(_) => 9,
            Why::Expired(_) | Why::Inactive => 10,
        }
    }
}

/// A reported reason.
pub(super) fn not_applied(sitting: &Sitting<'_>, promotion: &PromotionId, why: &Why<'_>) -> NotApplied {
    let (loses_to, by) = match why {
        Why::LostTo { winner, by } => (Some((*winner).clone()), *by),
        _ => (None, None),
    };
    NotApplied {
        promotion: promotion.clone(),
        reason: why.reason(),
        detail: sentence(sitting, why),
        loses_to,
        by,
    }
}

fn sentence(sitting: &Sitting<'_>, why: &Why<'_>) -> Texts {
    let money = |amount: Money| sitting.book.currency.format(amount);
    match why {
        Why::Inactive => Texts::both("已停用", "it is switched off"),
        Why::NotStarted(from) => {
            let today = sitting.moment.today;
            Texts::both(
                &format!("今天 {today}，{from} 开始"),
                &format!("today is {today}, it begins on {from}"),
            )
        }
        Why::Expired(to) => {
            let today = sitting.moment.today;
            Texts::both(
                &format!("今天 {today}，{to} 已结束"),
                &format!("today is {today}, it ended with {to}"),
            )
        }
        Why::Schedule(schedule) => outside(schedule),
        Why::NoCode => Texts::both("未出示优惠券", "its coupon was not presented"),
        Why::NotClaimed => Texts::both("未选择兑换", "it was not claimed"),
        Why::Offline { hours } => Texts::both(
            &format!("与总部断线 {hours} 小时，需要联网"),
            &format!("head office has been out of reach for {hours} h, and it needs the line"),
        ),
        Why::NoMember => Texts::both("未识别会员", "it needs a known member"),
        Why::Audience(leaf) => audience(sitting, leaf),
        Why::Condition { leaf, seen } => condition(sitting, leaf, *seen),
        Why::TooManyUnits { seen, most } => Texts::both(
            &format!("已有 {seen} 件，最多 {most} 件"),
            &format!("{seen} unit(s), at most {most}"),
        ),
        Why::TooMuchSpent { seen, most } => Texts::both(
            &format!("已满 {}，最多 {}", money(*seen), money(*most)),
            &format!("{} spent, at most {}", money(*seen), money(*most)),
        ),
        Why::Units { seen, need, .. } => Texts::both(
            &format!("已有 {seen} 件，需要 {need} 件"),
            &format!("{seen} unit(s) of it, needs {need}"),
        ),
        Why::Spent { seen, need, .. } => Texts::both(
            &format!("已满 {}，需要 {}", money(*seen), money(*need)),
            &format!("{} spent on it, needs {}", money(*seen), money(*need)),
        ),
        Why::Limit { limit, used } => used_up(sitting, limit, *used),
        Why::Slice { limit, left } => {
            let left = amount_of(sitting, limit, *left);
            Texts::both(
                &format!("全部门店限额：本店额度剩 {left}，联网后总部会再拨"),
                &format!("{left} left of this shop's slice of the chain's limit; head office lends more"),
            )
        }
        Why::Elsewhere { left } => Texts::both(
            &format!("该券属于其他门店，本店最多可优惠 {}", money(*left)),
            &format!("the code is another shop's; it may bring {} off here", money(*left)),
        ),
        Why::LostTo { winner, by } => {
            let by = by.filter(|by| by.is_positive());
            Texts::both(
                &by.map_or(format!("不如 {winner}，不可同享"), |by| {
                    format!("比 {winner} 少优惠 {}", money(by))
                }),
                &by.map_or(format!("{winner} stands instead"), |by| {
                    format!("{winner} takes {} more off", money(by))
                }),
            )
        }
        Why::UnitsTaken => Texts::both("商品已用于其他促销", "its units were used up by earlier promotions"),
        Why::NothingOff => {
            Texts::both("没有可优惠的金额或数量", "nothing is left that it could take off or give")
        }
        Why::GiftGone => Texts::both("赠品已送完", "none of its gifts is at hand"),
        Why::TooEarly { left: None, .. } => {
            Texts::both("没有保质期或已打烊", "no best-before day is known, or trading has closed")
        }
        Why::TooEarly { left: Some(left), need, days: true } => Texts::both(
            &format!("距保质期还有 {left} 天，{need} 天内优惠"),
            &format!("{left} day(s) to the best-before day, needs at most {need}"),
        ),
        Why::TooEarly { left: Some(left), need, days: false } => Texts::both(
            &format!("距打烊还有 {left} 分钟，{need} 分钟内优惠"),
            &format!("{left} min to closing, needs at most {need}"),
        ),
        Why::TooFewPoints { seen, need } => Texts::both(
            &format!("可用积分 {seen}，需要 {need}"),
            &format!("{seen} points to spend, needs {need}"),
        ),
    }
}

fn list<T>(entries: &[T], show: impl Fn(&T) -> String) -> String {
    entries.iter().map(show).collect::<Vec<String>>().join(", ")
}

fn weekday(day: Weekday) -> (&'static str, &'static str) {
    match day {
        Weekday::Mon => ("星期一", "Monday"),
        Weekday::Tue => ("星期二", "Tuesday"),
        Weekday::Wed => ("星期三", "Wednesday"),
        Weekday::Thu => ("星期四", "Thursday"),
        Weekday::Fri => ("星期五", "Friday"),
        Weekday::Sat => ("星期六", "Saturday"),
        Weekday::Sun => ("星期日", "Sunday"),
    }
}

fn outside(schedule: &Schedule) -> Texts {
    let mut parts = Vec::new();
    if !schedule.weekdays.is_empty() {
        parts.push((
            list(&schedule.weekdays, |day| weekday(*day).0.to_owned()),
            list(&schedule.weekdays, |day| weekday(*day).1.to_owned()),
        ));
    }
    if !schedule.month_days.is_empty() {
        let days = list(&schedule.month_days, u8::to_string);
        parts.push((format!("每月 {days} 日"), format!("day {days} of the month")));
    }
    if !schedule.windows.is_empty() {
        let windows = list(&schedule.windows, |window| format!("{}-{}", window.from, window.to));
        parts.push((windows.clone(), windows));
    }
    if !schedule.except.is_empty() {
        let days = list(&schedule.except, Day::to_string);
        parts.push((format!("{days} 除外"), format!("not on {days}")));
    }
    Texts::both(
        &format!("仅限 {}", list(&parts, |part| part.0.clone())),
        &format!("only {}", list(&parts, |part| part.1.clone())),
    )
}

fn audience(sitting: &Sitting<'_>, leaf: &Audience) -> Texts {
    let Some(member) = sitting.sale.shopper.member else {
        return Texts::both("未识别会员", "it needs a known member");
    };
    let orders = member.orders();
    match leaf {
        Audience::Tier(tiers) => {
            let seen = member.profile.tier.as_ref();
            let needed = list(tiers, ToString::to_string);
            let (zh, en) = seen.map_or(("无".into(), "none".into()), |t| (t.to_string(), t.to_string()));
            Texts::both(&format!("等级为 {zh}，需要 {needed}"), &format!("tier is {en}, needs {needed}"))
        }
        Audience::Segment(segments) => {
            let needed = list(segments, ToString::to_string);
            Texts::both(&format!("不在人群 {needed} 中"), &format!("not in segment {needed}"))
        }
        Audience::Tag(tags) => {
            let needed = list(tags, ToString::to_string);
            Texts::both(&format!("没有标签 {needed}"), &format!("has no tag {needed}"))
        }
        Audience::Group(groups) => {
            let needed = list(groups, ToString::to_string);
            Texts::both(&format!("不属于 {needed}"), &format!("not of the group {needed}"))
        }
        Audience::Is(_) => Texts::both("仅限指定会员", "it is for other members"),
        Audience::Birthday(_) => Texts::both("不在生日期间", "it is not around the birthday"),
        Audience::FirstVisit => Texts::both(
            &format!("已有 {orders} 单，仅限首单"),
            &format!("{orders} order(s) before, needs none"),
        ),
        Audience::NthPurchase(n) => Texts::both(
            &format!("这是第 {} 单，需要第 {n} 单", u64::from(orders) + 1),
            &format!("this is order {}, needs order {n}", u64::from(orders) + 1),
        ),
        Audience::Drawn(_) => Texts::both("本次未中奖", "not drawn on this visit"),
        Audience::Everyone | Audience::Member | Audience::Any(_) | Audience::All(_) | Audience::Not(_) => {
            Texts::both("不在适用人群中", "it is not for this shopper")
        }
    }
}

fn channel(channel: Channel) -> (&'static str, &'static str) {
    match channel {
        Channel::Till => ("人工收银", "till"),
        Channel::Kiosk => ("自助机", "kiosk"),
        Channel::Online => ("线上", "online"),
    }
}

fn condition(sitting: &Sitting<'_>, leaf: &Cond, seen: i64) -> Texts {
    let sale = sitting.sale;
    match leaf {
        Cond::LineQty { qty_min, .. } => Texts::both(
            &format!("同一商品最多 {seen} 件，需要 {qty_min} 件"),
            &format!("{seen} unit(s) of one article, needs {qty_min}"),
        ),
        Cond::AllIn(_) => {
            Texts::both(&format!("有 {seen} 件不在范围内"), &format!("{seen} unit(s) are not of its set"))
        }
        Cond::Channel(channels) => {
            let (zh, en) = channel(sale.channel);
            Texts::both(
                &format!("渠道为 {zh}，需要 {}", list(channels, |c| channel(*c).0.to_owned())),
                &format!("channel is {en}, needs {}", list(channels, |c| channel(*c).1.to_owned())),
            )
        }
        Cond::Device(devices) => {
            let needed = list(devices, ToString::to_string);
            Texts::both(
                &format!("设备为 {}，需要 {needed}", sale.device),
                &format!("device is {}, needs {needed}", sale.device),
            )
        }
        Cond::Zone(zones) => {
            let needed = list(zones, ToString::to_string);
            let seen = sale.basket.zone.as_ref();
            let (zh, en) =
                seen.map_or(("未知".into(), "unknown".into()), |z| (z.to_string(), z.to_string()));
            Texts::both(&format!("区域为 {zh}，需要 {needed}"), &format!("zone is {en}, needs {needed}"))
        }
        Cond::Currency(code) => {
            let seen = &sitting.book.currency.code;
            Texts::both(&format!("币种为 {seen}，需要 {code}"), &format!("currency is {seen}, needs {code}"))
        }
        Cond::Any(_) => Texts::both("没有一个条件成立", "none of its conditions holds"),
        Cond::Not(_) => Texts::both("排除条件成立", "what rules it out is the case"),
        // These fail in a leaf of theirs or with a `Why` of their own.
        Cond::All(_) | Cond::Items { .. } => Texts::both("条件不成立", "a condition does not hold"),
    }
}

/// So much of what a limit measures.
fn amount_of(sitting: &Sitting<'_>, limit: &Limit, n: i64) -> String {
    match limit.measure {
        LimitMeasure::Money => sitting.book.currency.format(Money(n)),
        LimitMeasure::Uses | LimitMeasure::Units | LimitMeasure::Points => n.to_string(),
    }
}

fn used_up(sitting: &Sitting<'_>, limit: &Limit, used: i64) -> Texts {
    let (zh, en) = match limit.scope {
        LimitScope::Store => ("本店", "this shop"),
        LimitScope::StoreDay => ("本店今日", "this shop today"),
        LimitScope::Chain => ("全部门店", "the chain"),
        LimitScope::Member => ("该会员", "this member"),
        LimitScope::MemberDay => ("该会员今日", "this member today"),
        LimitScope::Code => ("该券", "this code"),
        LimitScope::Device => ("该设备今日", "this device today"),
    };
    let (unit_zh, unit_en) = match limit.measure {
        LimitMeasure::Uses => ("次", "use(s)"),
        LimitMeasure::Units => ("件", "unit(s)"),
        LimitMeasure::Money => ("优惠额", "off"),
        LimitMeasure::Points => ("积分", "point(s)"),
    };
    let (used, most) = (amount_of(sitting, limit, used), amount_of(sitting, limit, limit.max));
    Texts::both(
        &format!("{zh}已用 {used} {unit_zh}，上限 {most}"),
        &format!("{en} used {used} of {most} {unit_en}"),
    )
}
