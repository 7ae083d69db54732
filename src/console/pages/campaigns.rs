//! Campaigns: whom they reached, who bought, and what would not have been sold without them, each with its interval.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use maud::{Markup, html};
use serde_json::Value;

use super::{in_lang, list, number, text};
use crate::console::chart::interval;
use crate::console::door::Client;
use crate::console::page::{Tone, Words, code_card, count, empty, figure, pill, table};
use crate::console::routes::{Answer, Console, Fields, framed};
use crate::console::shop::Question;
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    Query(query): Query<Fields>,
) -> Answer {
    let asked = console.count(Question::Campaigns).await?;
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let title = words.say("Campaigns", "活动");
    let results = match &asked {
        Ok(results) => results,
        Err(problem) => {
            return Ok(framed(title, code_card(problem.code, &problem.detail, words.lang), &client, &shop));
        }
    };
    let one = query
        .get("campaign")
        .and_then(|id| list(results, "/campaigns").find(|one| text(one, "/campaign") == id));
    let body = match one {
        Some(campaign) => whole(words, campaign),
        None => all(words, results, &query),
    };
    Ok(framed(title, body, &client, &shop))
}

/// A share with its interval in percent.
fn share(value: Option<&Value>) -> String {
    let percent = |name: &str| value.and_then(|of| of.get(name)).and_then(Value::as_f64).map(|x| x * 100.0);
    match (percent("value"), percent("low"), percent("high")) {
        (Some(value), Some(low), Some(high)) => format!("{value:.1}\u{a0}% ({low:.1}–{high:.1})"),
        _ => "–".to_owned(),
    }
}

fn range(value: Option<&Value>) -> Option<(f64, f64, f64)> {
    let of = |name: &str| value?.get(name)?.as_f64();
    Some((of("low")?, of("value")?, of("high")?))
}

fn amount(words: Words<'_>, minor: f64) -> String {
    words.money(minor.round() as i64)
}

/// What the increment says, in a sentence that claims no more than the figures do.
fn verdict(words: Words<'_>, of: &Value) -> Markup {
    let Some((low, _, high)) = range(of.get("incremental_sales")) else {
        let more = of.get("days_more").and_then(Value::as_i64);
        return html! {
            (pill(Tone::Plain, words.say("not enough data yet", "数据不足")))
            @if let Some(days) = more {
                " " (words.say("about", "约还需")) " " (count(days)) " " (words.say("days more", "天"))
            }
        };
    };
    match (low > 0.0, high < 0.0) {
        (true, _) => pill(Tone::Good, words.say("sells more", "提升销售")),
        (_, true) => pill(Tone::Bad, words.say("sells less", "降低销售")),
        _ => pill(Tone::Plain, words.say("no difference seen yet", "尚未见差异")),
    }
}

fn name<'v>(of: &'v Value, words: Words<'_>) -> &'v str {
    match in_lang(of.get("names"), words.lang) {
        "" => text(of, "/campaign"),
        name => name,
    }
}

fn all(words: Words<'_>, results: &Value, query: &Fields) -> Markup {
    let sought = query.get("q").map(|q| q.trim().to_lowercase()).unwrap_or_default();
    let is_found = |of: &&Value| {
        sought.is_empty()
            || text(of, "/campaign").to_lowercase().contains(&sought)
            || name(of, words).to_lowercase().contains(&sought)
    };
    let found: Vec<&Value> = list(results, "/campaigns").filter(is_found).collect();
    let rows = limits::CONSOLE_ROWS_MAX;
    let pages = found.len().div_ceil(rows).max(1);
    let at = query.get("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).clamp(1, pages);
    if found.is_empty() && sought.is_empty() {
        return empty(
            words.say("No campaign has a result yet", "还没有活动结果"),
            html! {
                (words.say(
                    "Results appear once something was sold under rules with campaigns. Give promotions a campaign in the rules.",
                    "按含有活动的规则产生销售后，这里会显示结果。请在规则中为促销指定活动。",
                ))
            },
        );
    }
    let head = html! {
        th { (words.say("Campaign", "活动")) } th.figure { (words.say("Reached", "触达")) } th.figure { (words.say("Used by", "使用人数")) }
        th.figure { (words.say("Of those reached", "转化率")) } th.figure { (words.say("Sales with it", "相关销售")) " " (words.currency()) }
        th.figure { (words.say("Cost", "成本")) " " (words.currency()) } th { (words.say("Effect", "效果")) }
    };
    html! {
        form.ask method="get" action="/campaigns" role="search" {
            label { span { (words.say("Find", "查找")) } input name="q" value=(sought) maxlength="64"; }
            button type="submit" { (words.say("Find", "查找")) }
        }
        p.note {
            (words.say("As of the end of", "截至营业日")) " " (text(results, "/as_of")) ", "
            (count(number(results, "/sales"))) " " (words.say("sales", "笔销售")) ". "
            (words.say("Ranges hold the truth 19 times in 20.", "区间的置信度为 95%。"))
        }
        (table(words.say("Campaigns", "活动"), head, html! {
            @for of in found.iter().skip((at - 1) * rows).take(rows) {
                tr {
                    th scope="row" { a href={ "/campaigns?campaign=" (text(of, "/campaign")) } { (name(of, words)) } }
                    td.figure { (count(number(of, "/reach"))) }
                    td.figure { (count(number(of, "/participants"))) }
                    td.figure { (share(of.get("conversion"))) }
                    td.figure { (words.money(number(of, "/net_minor"))) }
                    td.figure { (words.money(number(of, "/cost_minor"))) }
                    td { (verdict(words, of)) }
                }
            }
        }))
        @if pages > 1 {
            nav.pages aria-label=(words.say("More campaigns", "更多活动")) {
                @if at > 1 { a href={ "/campaigns?page=" (at - 1) "&q=" (urlencoded(&sought)) } rel="prev" { (words.say("Back", "上一页")) } }
                span { (at) " / " (pages) }
                @if at < pages { a href={ "/campaigns?page=" (at + 1) "&q=" (urlencoded(&sought)) } rel="next" { (words.say("On", "下一页")) } }
            }
        }
    }
}

/// A text as a query carries it.
fn urlencoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn whole(words: Words<'_>, of: &Value) -> Markup {
    html! {
        p { a href="/campaigns" { "← " (words.say("All campaigns", "全部活动")) } }
        h2 { (name(of, words)) }
        p.state { (verdict(words, of)) }
        dl.figures {
            (figure(words.say("Reached", "触达"), &count(number(of, "/reach")), html! {
                (words.say("held out for comparison", "对照组")) ": " (count(number(of, "/held_out")))
            }))
            (figure(words.say("Used by", "使用人数"), &count(number(of, "/participants")), html! { (count(number(of, "/baskets"))) " " (words.say("baskets", "笔")) }))
            (figure(words.say("Of those reached", "转化率"), &share(of.get("conversion")), html! {}))
            (figure(words.say("Sales with it", "相关销售"), &words.money(number(of, "/net_minor")), html! { (words.currency()) }))
            (figure(words.say("Taken off", "优惠成本"), &words.money(number(of, "/cost_minor")), html! { (words.currency()) }))
        }
        h2 { (words.say("What it changed", "带来的变化")) }
        (effects(words, of))
        h2 { (words.say("Those who used it", "使用者")) }
        dl.facts {
            div { dt { (words.say("Baskets with it, on its days", "活动期间使用占比")) } dd { (share(of.get("participation"))) } }
            div { dt { (words.say("Came again", "复购")) } dd { (share(of.get("repurchase"))) } }
            div { dt { (words.say("Still there after it ended", "活动后留存")) } dd { (share(of.get("retention"))) } }
            div { dt { (words.say("Satisfaction, of 10", "满意度（10 分）")) } dd {
                (range(of.get("satisfaction")).map_or("–".to_owned(), |(low, value, high)| format!("{value:.1} ({low:.1}–{high:.1})")))
            } }
        }
    }
}

fn effects(words: Words<'_>, of: &Value) -> Markup {
    let basis = match text(of, "/basis") {
        "holdout" => words.say(
            "Against members who were held out: what is left is the campaign's.",
            "与对照组会员比较：差异来自活动本身。",
        ),
        "before" => words
            .say("Against the days before: other things changed, too.", "与活动前比较：其他因素也可能变化。"),
        _ => words.say("There is nothing to compare with yet.", "尚无可比较的数据。"),
    };
    let rows = [
        (words.say("Sales that would not have been", "增量销售"), range(of.get("incremental_sales"))),
        (words.say("Margin that would not have been", "增量毛利"), range(of.get("incremental_margin"))),
    ];
    let ends = rows.iter().filter_map(|(_, range)| *range).flat_map(|(low, _, high)| [low, high]);
    let (least, most) = ends.fold((0.0_f64, 0.0_f64), |(least, most), end| (least.min(end), most.max(end)));
    let head = html! {
        th { (words.say("Effect", "效果")) } th.figure { (words.currency()) } th.figure { (words.say("between", "区间")) } th { (words.say("Drawn", "图示")) }
    };
    html! {
        p { (basis) }
        (table(words.say("What it changed", "带来的变化"), head, html! {
            @for (label, range) in &rows {
                tr {
                    th scope="row" { (label) }
                    @match range {
                        Some((low, value, high)) => {
                            @let said = format!("{label}: {} ({} – {})", amount(words, *value), amount(words, *low), amount(words, *high));
                            td.figure { (amount(words, *value)) }
                            td.figure { (amount(words, *low)) " – " (amount(words, *high)) }
                            td { (interval((*low, *value, *high), (least, most), &said)) }
                        }
                        None => td colspan="3" { (verdict(words, &Value::Null)) },
                    }
                }
            }
            @if let Some((low, value, high)) = range(of.get("roi")) {
                tr {
                    th scope="row" { (words.say("Earned for each unit of cost", "投入产出比")) }
                    td.figure { (format!("{value:.2}")) } td.figure { (format!("{low:.2} – {high:.2}")) } td {}
                }
            }
        }))
    }
}
