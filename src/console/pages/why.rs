//! Why: a decision from the journal, with its money promotion by promotion and the reasons of what did not apply.
//!
//! A member is named only here and in segments, to managers, by the id that the receipt holds.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use maud::{Markup, html};
use serde_json::Value;

use super::figures::{Names, priced};
use super::now::op_word;
use super::{list, number, text};
use crate::console::door::Client;
use crate::console::page::{Tone, Words, code_card, count, empty, pill, table};
use crate::console::routes::{Answer, Console, Fields, framed};
use crate::console::shop::Question;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    Query(query): Query<Fields>,
) -> Answer {
    let asked = query.get("decision").map(|asked| asked.trim()).filter(|asked| !asked.is_empty());
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let found = match asked {
        Some(asked) if asked.len() <= limits::NAME_BYTES_MAX => {
            Some(console.ask(Question::Decision(asked.to_owned())).await)
        }
        _ => None,
    };
    let recent = match found {
        Some(_) => None,
        None => Some(console.ask(Question::Recent).await?),
    };
    let body = html! {
        form.ask method="get" action="/why" role="search" {
            label { span { (words.say("Decision, as the receipt names it", "小票上的决策编号")) }
                input name="decision" value=[asked] placeholder="s01/1/4711" maxlength=(limits::NAME_BYTES_MAX); }
            button type="submit" { (words.say("Explain", "查看")) }
        }
        @match &found {
            Some(Ok(decision)) => (explained(words, decision)),
            Some(Err(problem)) => (code_card(problem.code, &problem.detail, words.lang)),
            None => {},
        }
        @if let Some(recent) = &recent { (latest(words, recent)) }
    };
    Ok(framed(words.say("Why this price", "为什么是这个价格"), body, &client, &shop))
}

fn latest(words: Words<'_>, recent: &Value) -> Markup {
    if list(recent, "/decisions").next().is_none() {
        return empty(
            words.say("Nothing was decided yet", "还没有决策"),
            html! { (words.say("Sales appear here a moment after the till has its receipt.", "收银机出小票后，销售会立即显示在这里。")) },
        );
    }
    let head = html! {
        th { (words.say("Decision", "决策")) } th { (words.say("When", "时间")) } th { (words.say("What", "内容")) }
        th { (words.say("Device", "设备")) } th.figure { (words.say("Amount", "金额")) " " (words.currency()) }
    };
    html! {
        h2 { (words.say("The latest", "最近的决策")) }
        (table(words.say("The latest decisions", "最近的决策"), head, html! {
            @for one in list(recent, "/decisions") {
                tr {
                    th scope="row" { a href={ "/why?decision=" (number(one, "/seq")) } { (count(number(one, "/seq"))) } }
                    td { (words.time(UnixMs(number(one, "/at")))) }
                    td {
                        (op_word(words, text(one, "/what")))
                        @if let Some(code) = Code::parse(text(one, "/code")) { " " (pill(Tone::Warn, &code.to_string())) }
                    }
                    td { (text(one, "/device")) }
                    td.figure { (one.get("total").and_then(Value::as_i64).map_or(String::new(), |total| words.money(total))) }
                }
            }
        }))
    }
}

fn explained(words: Words<'_>, decision: &Value) -> Markup {
    let same = match decision.get("same").and_then(Value::as_bool) {
        Some(true) => {
            pill(Tone::Good, words.say("priced again: the same to the last fen", "重新计算结果完全一致"))
        }
        Some(false) => pill(Tone::Bad, words.say("priced again: not the same", "重新计算结果不一致")),
        None => html! {},
    };
    let trouble = text(decision, "/trouble");
    let fact = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        html! { @if !value.is_empty() { div { dt { (name) } dd { (value) } } } }
    };
    html! {
        h2 { (words.say("Decision", "决策")) " " (text(decision, "/name")) }
        p.state { (same) }
        @if !trouble.is_empty() { p.note { (words.say("The reasons cannot be found again: ", "无法重新得出原因：")) (trouble) } }
        dl.facts {
            (fact(words.say("What", "内容"), op_word(words, text(decision, "/what"))))
            (fact(words.say("When", "时间"), &words.time(UnixMs(number(decision, "/at")))))
            (fact(words.say("Device", "设备"), text(decision, "/device")))
            (fact(words.say("Business day and number", "营业日与流水号"), text(decision, "/transaction")))
            (fact(words.say("Member", "会员"), text(decision, "/member")))
            (fact(words.say("Rules", "规则版本"), text(decision, "/rules")))
        }
        @if let Some(code) = Code::parse(text(decision, "/code")) {
            (code_card(code, text(decision, "/detail"), words.lang))
        }
        @if let Some(figures) = decision.get("figures").filter(|figures| figures.is_object()) {
            (priced(words, figures, &Names(decision.get("names").unwrap_or(&Value::Null))))
        }
        @if let Some(refund) = decision.get("refund").filter(|refund| refund.is_object()) { (given_back(words, refund)) }
        p.note {
            (words.say("All that is kept of it, from the shell: ", "在本机命令行查看全部内容："))
            code { "aisled explain " (text(decision, "/name")) }
        }
    }
}

fn given_back(words: Words<'_>, refund: &Value) -> Markup {
    let head = html! {
        th { (words.say("Line", "行")) } th.figure { (words.say("Units", "件数")) }
        th.figure { (words.say("Paid back", "退款")) " " (words.currency()) }
    };
    html! {
        h2 { (words.say("Paid back", "退款")) ": " (words.money(number(refund, "/refund"))) }
        (table(words.say("Paid back", "退款"), head, html! {
            @for line in list(refund, "/lines") {
                tr {
                    th scope="row" { (text(line, "/line")) }
                    td.figure { (count(number(line, "/qty"))) }
                    td.figure { (words.money(number(line, "/amount"))) }
                }
            }
        }))
    }
}
