//! Health: what `/healthz` looks at, and the probes of `aisled check`, each with what to do.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::door::Client;
use crate::console::health::{Item, State as How, health};
use crate::console::page::{Tone, Words, bytes, code_card, count, figure, pill};
use crate::console::routes::{Answer, Console, framed};
use crate::console::shop::Question;
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::limits;

use super::{list, number, text};

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    let checked = console.count(Question::Check).await?;
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let health = health(&shop);
    let worst = health.items.iter().map(|item| item.state).max().unwrap_or(How::Ok);
    let (tone, verdict) = match worst {
        How::Ok => (Tone::Good, words.say("All is well", "一切正常")),
        How::Warn => {
            (Tone::Warn, words.say("Selling goes on; something is worth a look", "销售照常，有事项需要关注"))
        }
        How::Fail => (Tone::Bad, words.say("The shop cannot sell by its rules", "无法按规则销售")),
    };
    let told = match words.lang {
        Lang::En => "/en",
        Lang::ZhCn => "/zh-CN",
    };
    let body = html! {
        p.state { (pill(tone, verdict)) }
        dl.figures {
            (figure(words.say("Running for", "已运行"), &words.age(shop.up_s), html! {}))
            (figure(
                words.say("Free on the disk", "磁盘剩余"),
                &shop.disk.free_bytes.map_or("–".to_owned(), bytes),
                html! { (words.say("wanted at least", "至少需要")) " " (bytes(shop.disk.min_bytes)) },
            ))
            (figure(words.say("Answers waiting for the disk", "等待落盘的应答"), &count(shop.journal.waiting as i64), html! {}))
            (figure(words.say("Answers given again", "重复应答"), &count(shop.counts.replayed as i64), html! {}))
        }
        h2 { (words.say("The shop now", "当前状态")) }
        ul.probes { @for item in &health.items { (part(words, item)) } }
        h2 { (words.say("This box", "本机检查")) }
        @match &checked {
            // Devices have a page of their own: here are those that want somebody's attention.
            Ok(value) => ul.probes {
                @for probe in list(value, told).filter(|probe| !is_quiet_device(probe)).take(limits::CONSOLE_ROWS_MAX) {
                    (one(words, probe))
                }
            },
            Err(problem) => (code_card(problem.code, &problem.detail, words.lang)),
        }
        p.note { (words.say("The same from the shell: ", "在本机命令行执行：")) code { "aisled check" } }
    };
    Ok(framed(words.say("Health", "健康"), body, &client, &shop))
}

fn state_pill(words: Words<'_>, state: How) -> Markup {
    match state {
        How::Ok => pill(Tone::Good, words.say("well", "正常")),
        How::Warn => pill(Tone::Warn, words.say("look", "关注")),
        How::Fail => pill(Tone::Bad, words.say("fault", "故障")),
    }
}

fn part(words: Words<'_>, item: &Item) -> Markup {
    let name = match item.name {
        "store" => words.say("Journal and tables", "日志与数据表"),
        "bundle" => words.say("Rules", "规则"),
        "broker" => words.say("Devices' broker", "消息服务"),
        "head_office" => words.say("Head office", "总部"),
        "disk" => words.say("Disk", "磁盘"),
        _ => words.say("Clock", "时钟"),
    };
    let seen = match item.name {
        "store" => {
            let durable = number(&item.seen, "/durable");
            format!("{} {}", words.say("through decision", "已保存至决策"), count(durable))
        }
        "bundle" => text(&item.seen, "/hash").to_owned(),
        "head_office" => {
            format!("{} {}", count(number(&item.seen, "/backlog")), words.say("waiting", "条待发送"))
        }
        "disk" => words.shop.disk.free_bytes.map_or(String::new(), bytes),
        "clock" => words.time(words.shop.at),
        _ => String::new(),
    };
    html! {
        li {
            div.probe { (state_pill(words, item.state)) strong { (name) } span { (seen) } }
            @if let Some(code) = item.code { (code_card(code, "", words.lang)) }
        }
    }
}

fn one(words: Words<'_>, probe: &Value) -> Markup {
    let state = match text(probe, "/outcome") {
        "ok" => How::Ok,
        "warn" => How::Warn,
        _ => How::Fail,
    };
    let key = text(probe, "/key");
    html! {
        li {
            div.probe { (state_pill(words, state)) strong { (text(probe, "/title")) } span { (text(probe, "/cause")) } }
            @if let Some(code) = Code::parse(text(probe, "/code")) {
                (code_card(code, "", words.lang))
                @if !key.is_empty() { p.note { (words.say("Key in aisled.toml: ", "aisled.toml 中的配置项：")) code { (key) } } }
            }
        }
    }
}

fn is_quiet_device(probe: &Value) -> bool {
    text(probe, "/name").starts_with("device ") && text(probe, "/outcome") == "ok"
}
