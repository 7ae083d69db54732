//! A priced basket in figures: lines, what came off and by which promotion, what did not apply and why.
//!
//! Serves a past decision (figures as they are kept, with the reasons found again) and the simulator (a quote's reply): both are
//! read from their documents, whose names are the contract's.

use maud::{Markup, html};
use serde_json::Value;

use super::{in_lang, list, number, text};
use crate::console::page::{Words, count, figure, table};

/// Names of promotions and articles, by id: `{"promotions": {...}, "articles": {...}}`.
pub(super) struct Names<'v>(pub(super) &'v Value);

impl<'v> Names<'v> {
    pub(super) fn of(&self, kind: &str, id: &'v str, words: Words<'_>) -> &'v str {
        match in_lang(self.0.get(kind).and_then(|names| names.get(id)), words.lang) {
            "" => id,
            name => name,
        }
    }
}

/// Why a promotion did not apply, in a manager's words.
pub(super) fn reason_word<'w>(words: Words<'w>, reason: &'w str) -> &'w str {
    match reason {
        "inactive" => words.say("switched off", "已停用"),
        "not_started" => words.say("begins later", "尚未开始"),
        "expired" => words.say("has ended", "已结束"),
        "outside_schedule" => words.say("not on this day or at this hour", "不在活动时段"),
        "no_member" => words.say("needs a known member", "需要会员"),
        "audience" => words.say("the member is not in its audience", "会员不在适用人群"),
        "conditions" => words.say("a condition does not hold", "条件不满足"),
        "too_few_units" => words.say("too few units", "件数不足"),
        "too_little_spent" => words.say("too little spent", "金额不足"),
        "no_code" => words.say("its code was not shown", "未出示券码"),
        "not_claimed" => words.say("not chosen", "未选择"),
        "limit_store" => words.say("used up in this shop", "本店额度已用完"),
        "limit_chain" => words.say("used up in the chain", "全国额度已用完"),
        "limit_member" => words.say("used up by this member", "该会员次数已用完"),
        "limit_code" => words.say("the code is used up", "券码次数已用完"),
        "limit_device" => words.say("used up on this device", "该设备次数已用完"),
        "lost_to" => words.say("another promotion gave more", "其他促销更优惠"),
        "units_taken" => words.say("its articles went to other promotions", "商品已被其他促销占用"),
        "nothing_off" => words.say("would take nothing off", "无可优惠金额"),
        "too_few_points" => words.say("not enough points", "积分不足"),
        "gift_gone" => words.say("its gift is gone", "赠品已送完"),
        "too_early" => words.say("too early yet", "时间未到"),
        "offline" => words.say("does not run without head office", "断网时不可用"),
        "code_unknown" => words.say("the code is not known", "券码不存在"),
        "code_used" => words.say("the code was used before", "券码已使用"),
        "code_not_yours" => words.say("the code is another member's", "券码属于其他会员"),
        "code_held" => words.say("the code is held by an open quote", "券码已被另一报价占用"),
        "code_elsewhere" => words.say("the code is good in another shop", "券码仅限其他门店"),
        other => other,
    }
}

/// Everything about the basket.
pub(super) fn priced(words: Words<'_>, priced: &Value, names: &Names<'_>) -> Markup {
    html! {
        dl.figures {
            (figure(words.say("Before promotions", "原价合计"), &words.money(number(priced, "/subtotal")), html! { (words.currency()) }))
            (figure(words.say("Taken off", "优惠合计"), &words.money(-number(priced, "/discount_total")), html! {}))
            (figure(words.say("To pay", "应付"), &words.money(number(priced, "/total")), html! {}))
            @let points = priced.get("points").unwrap_or(&Value::Null);
            @if number(points, "/earn") != 0 || number(points, "/spend") != 0 {
                (figure(
                    words.say("Points", "积分"),
                    &format!("+{}", count(number(points, "/earn"))),
                    html! { @if number(points, "/spend") != 0 { (words.say("spent", "使用")) " " (count(number(points, "/spend"))) } },
                ))
            }
        }
        h2 { (words.say("Promotions that applied", "生效的促销")) }
        (applied(words, priced, names))
        h2 { (words.say("Line by line", "逐行明细")) }
        (lines(words, priced, names))
        (coupons(words, priced))
        (near(words, priced, names))
        h2 { (words.say("Promotions that did not apply", "未生效的促销")) }
        (not_applied(words, priced, names))
        @if let Some(resolution) = priced.get("resolution") {
            p.note {
                @if resolution.get("proved").and_then(Value::as_bool) == Some(true) {
                    (words.say("Proved: no other choice of these promotions is cheaper.", "已证明：在这些促销中没有更便宜的组合。"))
                } @else if number(resolution, "/gap") > 0 {
                    (words.say("A cheaper choice is possible, by at most ", "可能存在更便宜的组合，差额至多 ")) (words.money(number(resolution, "/gap")))
                }
            }
        }
    }
}

fn applied(words: Words<'_>, priced: &Value, names: &Names<'_>) -> Markup {
    if list(priced, "/applied").next().is_none() && list(priced, "/gifts").next().is_none() {
        return html! { p { (words.say("None.", "无。")) } };
    }
    let head = html! {
        th { (words.say("Promotion", "促销")) } th { (words.say("Code", "券码")) }
        th.figure { (words.say("Off", "优惠")) " " (words.currency()) }
    };
    table(
        words.say("Promotions that applied", "生效的促销"),
        head,
        html! {
            @for one in list(priced, "/applied") {
                @let id = text(one, "/promotion");
                tr {
                    th scope="row" { (titled(words, one, id, names)) }
                    td { (text(one, "/coupon")) }
                    td.figure { (words.money(-number(one, "/amount"))) }
                }
            }
            @for gift in list(priced, "/gifts") {
                tr {
                    th scope="row" { (titled(words, gift, text(gift, "/promotion"), names)) }
                    td { (words.say("gift", "赠品")) }
                    td.figure { (count(number(gift, "/qty"))) " × " (names.of("articles", text(gift, "/sku"), words)) }
                }
            }
        },
    )
}

/// A promotion by the reader's name for it, else as the document calls it.
fn titled<'v>(words: Words<'_>, one: &'v Value, id: &'v str, names: &Names<'v>) -> Markup {
    let title = match (names.of("promotions", id, words), text(one, "/title")) {
        (name, title) if name == id && !title.is_empty() => title,
        (name, _) => name,
    };
    html! { (title) @if title != id { br; small.id { (id) } } }
}

fn lines(words: Words<'_>, priced: &Value, names: &Names<'_>) -> Markup {
    let head = html! {
        th { (words.say("Article", "商品")) } th.figure { (words.say("Before", "原价")) }
        th { (words.say("Taken off by", "优惠来自")) } th.figure { (words.say("To pay", "应付")) }
    };
    table(
        words.say("Line by line", "逐行明细"),
        head,
        html! {
            @for line in list(priced, "/lines") {
                @let sku = match text(line, "/sku") { "" => text(line, "/line"), sku => sku };
                tr {
                    @let name = names.of("articles", sku, words);
                    th scope="row" { (name) @if name != sku { br; small.id { (sku) } } }
                    td.figure { (words.money(number(line, "/gross"))) }
                    td {
                        @for off in list(line, "/discounts") {
                            div.off { span { (names.of("promotions", text(off, "/promotion"), words)) } span.figure { (words.money(-number(off, "/amount"))) } }
                        }
                    }
                    td.figure { (words.money(number(line, "/net"))) }
                }
            }
        },
    )
}

fn coupons(words: Words<'_>, priced: &Value) -> Markup {
    if list(priced, "/coupons").next().is_none() {
        return html! {};
    }
    let outcome = |value: &Value| match text(value, "/outcome") {
        "applied" => words.say("applied", "已生效").to_owned(),
        "not_applied" => words.say("not applied", "未生效").to_owned(),
        "refused" => words.say("refused", "被拒绝").to_owned(),
        other => other.to_owned(),
    };
    html! {
        h2 { (words.say("Codes that were shown", "出示的券码")) }
        ul.plain {
            @for coupon in list(priced, "/coupons") {
                li {
                    code { (text(coupon, "/code")) } " " (outcome(coupon))
                    @if !text(coupon, "/reason").is_empty() { ": " (reason_word(words, text(coupon, "/reason"))) }
                }
            }
        }
    }
}

fn near(words: Words<'_>, priced: &Value, names: &Names<'_>) -> Markup {
    if list(priced, "/near").next().is_none() {
        return html! {};
    }
    html! {
        h2 { (words.say("Nearly reached", "即将达到")) }
        ul.plain {
            @for near in list(priced, "/near") {
                @let add = near.get("add").unwrap_or(&Value::Null);
                li {
                    (names.of("promotions", text(near, "/promotion"), words)) ": "
                    @if let Some(amount) = add.get("amount").and_then(Value::as_i64) {
                        (words.say("spend", "再消费")) " " (words.money(amount))
                    } @else if let Some(from) = add.get("from").and_then(Value::as_str) {
                        (words.say("come from", "时间")) " " (from)
                    } @else {
                        (words.say("add", "再加")) " " (count(number(add, "/qty"))) " × "
                        @match text(add, "/sku") {
                            "" => (words.say("of its articles", "件活动商品")),
                            sku => (names.of("articles", sku, words)),
                        }
                    }
                    " → " strong { (words.money(-number(near, "/gain"))) }
                }
            }
        }
    }
}

fn not_applied(words: Words<'_>, priced: &Value, names: &Names<'_>) -> Markup {
    if list(priced, "/not_applied").next().is_none() {
        return html! { p { (words.say("None.", "无。")) } };
    }
    let head = html! {
        th { (words.say("Promotion", "促销")) } th { (words.say("Why not", "原因")) } th { (words.say("What was seen", "实际情况")) }
    };
    table(
        words.say("Promotions that did not apply", "未生效的促销"),
        head,
        html! {
            @for not in list(priced, "/not_applied") {
                @let loser = text(not, "/loses_to");
                tr {
                    th scope="row" { (titled(words, not, text(not, "/promotion"), names)) }
                    td { (reason_word(words, text(not, "/reason"))) }
                    td {
                        (in_lang(not.get("detail"), words.lang))
                        @if !loser.is_empty() {
                            " " (words.say("to", "败给")) " " (names.of("promotions", loser, words))
                            @if let Some(by) = not.get("by").and_then(Value::as_i64) { " (" (words.money(by)) ")" }
                        }
                    }
                }
            }
        },
    )
}
