//! Now: a lane for each device, with its last requests, its pace and how long it waits.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse as _;
use maud::{Markup, html};

use crate::console::chart::spark;
use crate::console::door::Client;
use crate::console::lanes::{Lane, Last};
use crate::console::page::{Page, Tone, Words, count, document, empty, figure, pill};
use crate::console::routes::{Answer, Console};
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let title = words.say("Now", "此刻").to_owned();
    let page = Page { title, live: Some("/live/now"), again_s: None, body: body(words) };
    Ok(document(page, &client, &shop).into_response())
}

pub(in crate::console) fn body(words: Words<'_>) -> Markup {
    let shop = words.shop;
    let online = shop.devices.iter().filter(|device| device.online).count();
    let per_minute: u32 = shop.lanes.iter().map(Lane::per_minute).sum();
    let slowest = shop.lanes.iter().filter_map(Lane::p99_us).max();
    let refused = shop.counts.refusals;
    html! {
        dl.figures {
            (figure(words.say("Devices online", "在线设备"), &count(online as i64), html! {}))
            (figure(words.say("Requests in the last minute", "最近一分钟请求"), &count(per_minute.into()), html! {}))
            (figure(
                words.say("Slowest of a hundred", "最慢的百分之一"),
                &slowest.map_or("–".to_owned(), |us| words.duration(us.into())),
                html! { (words.say("on the slowest device", "最慢的设备")) },
            ))
            (figure(words.say("Quotes open", "有效报价"), &count(shop.open_quotes as i64), html! {}))
            (figure(
                words.say("Answered since the start", "启动以来应答"),
                &count(shop.counts.replies as i64),
                html! { (count(refused as i64)) " " (words.say("refused", "次拒绝")) },
            ))
        }
        @if shop.lanes.is_empty() {
            (empty(
                words.say("No device has asked anything yet", "还没有设备发来请求"),
                html! {
                    (words.say("Connect a till or kiosk, or try it from the box: ", "请连接收银机或自助机，或在本机试一下："))
                    code { "aisled quote SKU" }
                },
            ))
        } @else {
            ul.lanes { @for lane in &shop.lanes { (row(words, lane)) } }
        }
    }
}

fn row(words: Words<'_>, lane: &Lane) -> Markup {
    let presence = words.shop.devices.iter().find(|device| device.id == lane.device);
    let seconds: Vec<u16> = lane.seconds().collect();
    let per_minute = count(lane.per_minute().into());
    let label = format!("{per_minute} {}", words.say("requests in the last minute", "次请求（最近一分钟）"));
    html! {
        li.lane {
            div.head {
                strong { (lane.device) }
                @match presence.map(|device| device.online) {
                    Some(true) => (pill(Tone::Good, words.say("online", "在线"))),
                    Some(false) => (pill(Tone::Bad, words.say("away", "离线"))),
                    None => {},
                }
            }
            (spark(&seconds, &label))
            dl.small {
                div { dt { (words.say("a minute", "每分钟")) } dd { (per_minute) } }
                div { dt { (words.say("slowest 1 %", "最慢 1%")) } dd {
                    (lane.p99_us().map_or("–".to_owned(), |us| words.duration(us.into())))
                } }
                div { dt { (words.say("refused", "拒绝")) } dd { (count(lane.refusals as i64)) } }
            }
            ol.last { @for last in lane.last.iter().take(limits::LANE_LAST) { (one(words, last)) } }
        }
    }
}

/// What a device asked, in a manager's word.
pub(super) fn op_word<'w>(words: Words<'w>, op: &'w str) -> &'w str {
    match op {
        "scan" => words.say("member shown", "识别会员"),
        "quote" => words.say("basket priced", "报价"),
        "commit" => words.say("sale", "销售"),
        "void" => words.say("sale undone", "作废"),
        "return" => words.say("return", "退货"),
        "feedback" => words.say("feedback", "评价"),
        "event" => words.say("event", "事件"),
        "enroll" => words.say("new member", "入会"),
        "wallet" => words.say("coupons shown", "查看卡券"),
        "members" => words.say("members from head office", "总部会员更新"),
        "lease" => words.say("limits from head office", "总部额度"),
        "shown" => words.say("offers shown", "展示记录"),
        "activate" => words.say("rules in force", "规则生效"),
        other => other,
    }
}

fn one(words: Words<'_>, last: &Last) -> Markup {
    let refused = last.code.map(|code| (code.to_string(), code.title(words.lang)));
    html! {
        li class=[refused.is_some().then_some("refused")] {
            span { (op_word(words, last.op)) }
            @if let Some((code, title)) = &refused { " " span.number title=(title) { (code) } }
            " " span.took { (words.duration(last.us.into())) }
        }
    }
}
