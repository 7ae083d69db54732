//! When: sales by weekday and hour over the last five weeks, as a map of colours and as a table.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use maud::{Markup, html};
use serde_json::Value;

use super::{number, text};
use crate::console::chart::{heat, heat_legend};
use crate::console::door::Client;
use crate::console::page::{Words, code_card, count, empty, figure, table};
use crate::console::routes::{Answer, Console, Fields, framed};
use crate::console::shop::Question;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    Query(query): Query<Fields>,
) -> Answer {
    let hours = console.count(Question::Hours).await?;
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let by_money = query.get("by").is_some_and(|by| by == "money");
    let body = match &hours {
        Ok(hours) => map(words, hours, by_money),
        Err(problem) => code_card(problem.code, &problem.detail, words.lang),
    };
    Ok(framed(words.say("When people buy", "购买时段"), body, &client, &shop))
}

fn cells(hours: &Value, path: &str) -> [[u64; 24]; 7] {
    let mut cells = [[0; 24]; 7];
    for (day, row) in cells.iter_mut().enumerate() {
        for (hour, cell) in row.iter_mut().enumerate() {
            *cell = number(hours, &format!("/{path}/{day}/{hour}")).max(0).unsigned_abs();
        }
    }
    cells
}

fn map(words: Words<'_>, hours: &Value, by_money: bool) -> Markup {
    let sales = cells(hours, "sales");
    let total: u64 = sales.iter().flatten().sum();
    if total == 0 {
        return empty(
            words.say("Nothing was sold yet", "还没有销售"),
            html! { (words.say("The map fills with the first sale.", "产生第一笔销售后即显示。")) },
        );
    }
    let days = match words.lang {
        crate::domain::text::Lang::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        crate::domain::text::Lang::ZhCn => ["周一", "周二", "周三", "周四", "周五", "周六", "周日"],
    };
    let shown = if by_money { cells(hours, "net_minor") } else { sales };
    let say = |value: u64| if by_money { words.money(value as i64) } else { count(value as i64) };
    let (mut busiest, mut highest) = ((0, 0), 0);
    for (day, row) in shown.iter().enumerate() {
        for (hour, value) in row.iter().enumerate() {
            if *value > highest {
                (busiest, highest) = ((day, hour), *value);
            }
        }
    }
    let net: i64 = cells(hours, "net_minor").iter().flatten().map(|net| *net as i64).sum();
    let label = format!(
        "{}: {} {}:00, {}",
        words.say("Sales by weekday and hour; the busiest is", "按星期与小时的销售；最忙时段"),
        days[busiest.0],
        busiest.1,
        say(highest)
    );
    let head = html! { th { (words.say("Hour", "小时")) } @for day in days { th.figure { (day) } } };
    html! {
        p.note { (text(hours, "/from")) " – " (text(hours, "/to")) }
        dl.figures {
            (figure(words.say("Sales", "销售笔数"), &count(total as i64), html! {}))
            (figure(words.say("Sold for", "销售额"), &words.money(net), html! { (words.currency()) }))
            (figure(words.say("Busiest hour", "最忙时段"), &format!("{} {}:00", days[busiest.0], busiest.1), html! { (say(highest)) }))
        }
        p.switch {
            @if by_money { a href="/when" { (words.say("by number of sales", "按笔数")) } " · " strong { (words.say("by money", "按金额")) } }
            @else { strong { (words.say("by number of sales", "按笔数")) } " · " a href="/when?by=money" { (words.say("by money", "按金额")) } }
        }
        div.scroll tabindex="0" role="region" aria-label=(words.say("Map of hours", "时段图")) {
            (heat(&shown, days, &label, |day, hour, value| format!("{} {hour}:00: {}", days[day], say(value))))
        }
        @if !by_money { (heat_legend(highest, words.say("none", "无"))) }
        details {
            summary { (words.say("The same as a table", "以表格显示")) }
            (table(words.say("Sales by hour and weekday", "按小时与星期的销售"), head, html! {
                @for hour in 0..24 {
                    tr { th scope="row" { (hour) ":00" } @for row in &shown { td.figure { (say(row[hour])) } } }
                }
            }))
        }
    }
}
