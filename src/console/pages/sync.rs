//! Sync: what waits for head office, since when, and what is wrong with the line.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse as _;
use maud::{Markup, html};

use crate::console::door::Client;
use crate::console::page::{
    Page, Tone, Words, bytes, code_card, count, document, empty, figure, pill, table,
};
use crate::console::routes::{Answer, Console};
use crate::console::shop::SnapshotLine;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let title = words.say("Sync with head office", "与总部同步").to_owned();
    let page = Page { title, live: Some("/live/sync"), again_s: None, body: body(words) };
    Ok(document(page, &client, &shop).into_response())
}

pub(in crate::console) fn body(words: Words<'_>) -> Markup {
    let Some(line) = &words.shop.head_office else {
        return empty(
            words.say("This shop is on its own", "本店独立运行"),
            html! {
                (words.say("Nothing is sent anywhere. To connect it, set ", "不向任何地方发送数据。如需接入总部，请设置 "))
                code { "head_office.url" } (words.say(" in aisled.toml.", "（aisled.toml）。"))
            },
        );
    };
    html! { (state(words, line)) (troubles(words, line)) (places(words, line)) }
}

fn state(words: Words<'_>, line: &SnapshotLine) -> Markup {
    let shop = words.shop;
    let for_s = shop.at.ms_since(line.since) / 1_000;
    let word = match line.connected {
        true => pill(Tone::Good, words.say("Connected", "已连接")),
        false => pill(Tone::Warn, words.say("Away", "离线")),
    };
    let waiting = match line.oldest_ms {
        Some(ms) if line.backlog > 0 => words.age((ms / 1_000) as i64),
        _ if line.backlog > 0 => words.say("unknown", "未知").to_owned(),
        _ => "–".to_owned(),
    };
    html! {
        p.state {
            (word) " " (words.say("for", "已持续")) " " (words.age(for_s))
            @if !line.connected {
                ". " (words.say("Selling goes on; everything is kept and sent later.", "销售照常；所有数据已保存，稍后补发。"))
            }
        }
        dl.figures {
            (figure(
                words.say("Waiting to be sent", "待发送"),
                &count(line.backlog as i64),
                html! { (words.say("decisions", "条决策")) },
            ))
            (figure(words.say("The oldest has waited", "最早一条已等待"), &waiting, html! {}))
            (figure(
                words.say("Last taken over by head office", "总部最近确认"),
                &count(line.applied as i64),
                html! { (words.say("of", "共")) " " (count(shop.journal.durable as i64)) },
            ))
            (figure(
                words.say("Clock of head office", "总部时钟"),
                &line.clock_ahead_ms.map_or("–".to_owned(), |ms| {
                    format!("{}{}", if ms < 0 { "\u{2212}" } else { "+" }, words.duration(ms.unsigned_abs() * 1_000))
                }),
                html! { (words.say("ahead of this box", "与本机之差")) },
            ))
        }
    }
}

fn troubles(words: Words<'_>, line: &SnapshotLine) -> Markup {
    html! {
        @if let Some((code, detail)) = &line.trouble { (code_card(*code, detail, words.lang)) }
        @if let Some((seq, tries)) = line.stuck {
            p.note {
                (words.say("Decision", "决策")) " " (seq) " "
                (words.say("was sent in vain", "发送未成功，次数：")) " " (tries)
                (words.say(" times. Whoever runs the box can look at it: ", "。管理员可在本机查看："))
                code { "aisled outbox show " (seq) }
            }
        }
        @if !line.parked.is_empty() {
            p.note {
                (words.say("Set aside, for a person to look at:", "已搁置，等待人工处理："))
                @for seq in &line.parked { " " code { (seq) } }
                ". " code { "aisled outbox list" }
            }
        }
        @if let Some((version, there, all)) = line.download {
            p.note {
                (words.say("Rules", "规则")) " " (version) " " (words.say("are being fetched:", "正在下载："))
                " " (bytes(there)) " / " (bytes(all))
            }
        }
    }
}

fn places(words: Words<'_>, line: &SnapshotLine) -> Markup {
    let journal = words.shop.journal;
    let rows = [
        (words.say("Decided", "已决策"), journal.next.saturating_sub(1)),
        (words.say("On this box's disk", "已写入本机磁盘"), journal.durable),
        (words.say("Taken over by head office", "总部已接收"), line.applied),
        (words.say("In head office's backup", "总部已备份"), line.durable),
        (words.say("First one kept here", "本机保留的第一条"), journal.first),
    ];
    let head =
        html! { th { (words.say("Place", "位置")) } th.figure { (words.say("Decision", "决策编号")) } };
    let rows = html! { @for (name, value) in rows { tr { th scope="row" { (name) } td.figure { (count(value as i64)) } } } };
    html! {
        h2 { (words.say("How far everything is", "进度")) }
        (table(words.say("How far everything is", "进度"), head, rows))
    }
}
