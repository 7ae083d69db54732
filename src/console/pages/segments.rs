//! Segments: how many members each has, who they are, and how many two share.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use maud::{Markup, html};
use serde_json::Value;

use super::{list, number, text};
use crate::console::door::{Client, Problem};
use crate::console::page::{Words, code_card, count, empty, figure, table};
use crate::console::routes::{Answer, Console, Fields, framed};
use crate::console::shop::Question;
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    Query(query): Query<Fields>,
) -> Answer {
    let given = |name: &str| {
        query
            .get(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty() && text.len() <= limits::NAME_BYTES_MAX)
    };
    let counts = console.count(Question::Segments).await?;
    let more = match (given("who"), given("a"), given("b")) {
        (Some(who), ..) => Some(console.ask(Question::Who(who)).await),
        (None, Some(a), Some(b)) => Some(console.ask(Question::Overlap(a, b)).await),
        _ => None,
    };
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let body = match &counts {
        Err(problem) => code_card(problem.code, &problem.detail, words.lang),
        Ok(counts) => html! {
            @match &more { Some(more) => (answered(words, more)), None => {} }
            (all(words, counts, (given("a"), given("b"))))
        },
    };
    Ok(framed(words.say("Segments", "客群"), body, &client, &shop))
}

fn answered(words: Words<'_>, more: &Result<Arc<Value>, Problem>) -> Markup {
    let of = match more {
        Ok(of) => of,
        Err(problem) => return code_card(problem.code, &problem.detail, words.lang),
    };
    if of.get("in_both").is_some() {
        let share = |part: i64, all: i64| {
            if all > 0 { format!("{}\u{a0}%", 100 * part / all) } else { "–".to_owned() }
        };
        let (both, a, b) = (number(of, "/in_both"), number(of, "/in_a"), number(of, "/in_b"));
        return html! {
            h2 { (text(of, "/a")) " ∩ " (text(of, "/b")) }
            dl.figures {
                (figure(words.say("In both", "同时属于"), &count(both), html! {}))
                (figure(text(of, "/a"), &count(a), html! { (share(both, a)) " " (words.say("are in the other, too", "同属另一客群")) }))
                (figure(text(of, "/b"), &count(b), html! { (share(both, b)) " " (words.say("are in the other, too", "同属另一客群")) }))
            }
        };
    }
    let ids: Vec<&str> = list(of, "/ids").filter_map(Value::as_str).collect();
    html! {
        h2 { (words.say("Who is in", "客群成员：")) " " (text(of, "/segment")) }
        p { (count(number(of, "/members"))) " " (words.say("members", "位会员"))
            @if (ids.len() as i64) < number(of, "/members") { ", " (words.say("the first", "前")) " " (ids.len()) ":" }
        }
        ul.ids { @for id in &ids { li { code { (id) } } } }
        p.note { code { "aisled segments who " (text(of, "/segment")) } }
    }
}

fn all(words: Words<'_>, counts: &Value, (a, b): (Option<String>, Option<String>)) -> Markup {
    let mut segments: Vec<(&str, i64)> =
        list(counts, "/segments").map(|of| (text(of, "/segment"), number(of, "/members"))).collect();
    segments.sort_by_key(|(id, members)| (-members, *id));
    let everybody = number(counts, "/members");
    if segments.is_empty() {
        return empty(
            words.say("The rules name no segment", "规则中没有客群"),
            html! { (words.say("Write them in segments.toml of the rules.", "请在规则的 segments.toml 中定义。")) },
        );
    }
    let highest = segments.first().map_or(1, |(_, members)| *members).max(1);
    let head = html! {
        th { (words.say("Segment", "客群")) } th.figure { (words.say("Members", "会员数")) } th.figure { (words.say("Of all", "占比")) }
        th { (words.say("Drawn", "图示")) } th { (words.say("Who", "名单")) }
    };
    let choice = |name: &'static str, label: &str, chosen: &Option<String>| {
        let label = label.to_owned();
        html! { label { span { (label) } select name=(name) { @for (id, _) in &segments {
            option value=(id) selected[chosen.as_deref() == Some(*id)] { (id) }
        } } } }
    };
    html! {
        dl.figures {
            (figure(words.say("Members", "会员"), &count(everybody), html! {}))
            (figure(words.say("Known by what they bought", "有购买记录"), &count(number(counts, "/learned_of")), html! {}))
            (figure(words.say("Segments", "客群"), &count(segments.len() as i64), html! { (text(counts, "/day")) }))
        }
        form.ask method="get" action="/segments" {
            (choice("a", words.say("How many are both in", "同时属于"), &a))
            (choice("b", words.say("and in", "和"), &b))
            button type="submit" { (words.say("Count", "统计")) }
        }
        (table(words.say("Segments", "客群"), head, html! {
            @for (id, members) in segments.iter().take(4 * limits::CONSOLE_ROWS_MAX) {
                tr {
                    th scope="row" { (id) }
                    td.figure { (count(*members)) }
                    td.figure { @if everybody > 0 { (1_000 * members / everybody / 10) "." (1_000 * members / everybody % 10) "\u{a0}%" } @else { "–" } }
                    td { svg.bar viewBox="0 0 120 12" aria-hidden="true" preserveAspectRatio="none" {
                        rect width=(120 * members / highest) height="12" rx="2" {}
                    } }
                    td { @if *members > 0 { a href={ "/segments?who=" (id) } aria-label={ (words.say("Who is in ", "名单：")) (id) } { (words.say("who", "名单")) } } }
                }
            }
        }))
    }
}
