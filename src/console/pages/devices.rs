//! Devices: who may connect, who is there, and with which software.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use maud::html;
use serde_json::Value;

use crate::console::door::{Client, Problem};
use crate::console::page::{Tone, Words, count, empty, figure, pill, table};
use crate::console::routes::{Console, framed};
use crate::console::shop::Question;

use super::{list, text};

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Result<Response, Problem> {
    let identities = console.ask(Question::Identities).await;
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let (mode, named): (&str, Vec<&Value>) = match &identities {
        Ok(value) => (text(value, "/mode"), list(value, "/devices").collect()),
        Err(_) => ("", Vec::new()),
    };
    // Each device, with its identity where it has one.
    let mut rows: BTreeMap<&str, Option<&Value>> =
        named.iter().map(|known| (text(known, "/device"), Some(*known))).collect();
    for id in shop.devices.iter().map(|device| &device.id).chain(shop.lanes.iter().map(|lane| &lane.device)) {
        rows.entry(id.as_str()).or_default();
    }
    let online = shop.devices.iter().filter(|device| device.online).count();
    let identity = match mode {
        "open" => words.say("Any program on this box may connect", "本机任何程序均可连接"),
        "named" => words.say("Only devices with an identity may connect", "仅已登记的设备可连接"),
        _ => words.say("The shop's own broker decides who may connect", "由门店自己的消息服务决定"),
    };
    let head = html! {
        th { (words.say("Device", "设备")) } th { (words.say("There", "在线")) } th { (words.say("Since", "自")) }
        th { (words.say("Software", "软件")) } th.figure { (words.say("Answers", "应答")) }
        th.figure { (words.say("Refused", "拒绝")) }
        @if mode == "named" { th { (words.say("Identity", "身份")) } }
    };
    let body = html! {
        dl.figures {
            (figure(words.say("Online", "在线"), &count(online as i64), html! {}))
            (figure(words.say("Known", "已知"), &count(rows.len() as i64), html! {}))
        }
        p.state { (pill(if mode == "open" { Tone::Warn } else { Tone::Plain }, identity)) }
        @if rows.is_empty() {
            (empty(
                words.say("No device yet", "尚无设备"),
                html! { (words.say("Connect one to the broker at the address that ", "请将设备连接到以下命令给出的地址：")) code { "aisled check" } (words.say(" names.", "。")) },
            ))
        } @else {
            (table(words.say("Devices", "设备"), head, html! {
                @for (id, known) in &rows {
                    @let presence = shop.devices.iter().find(|device| device.id.as_str() == *id);
                    @let lane = shop.lanes.iter().find(|lane| lane.device.as_str() == *id);
                    tr {
                        th scope="row" { (id) }
                        td { @match presence {
                            Some(device) if device.online => (pill(Tone::Good, words.say("online", "在线"))),
                            Some(_) => (pill(Tone::Bad, words.say("away", "离线"))),
                            None => (pill(Tone::Plain, words.say("never said", "未报告"))),
                        } }
                        td { (presence.map(|device| words.time(device.since)).unwrap_or_default()) }
                        td { (presence.and_then(|device| device.software.as_deref()).unwrap_or("–")) }
                        td.figure { (count(lane.map_or(0, |lane| lane.answers) as i64)) }
                        td.figure { (count(lane.map_or(0, |lane| lane.refusals) as i64)) }
                        @if mode == "named" { td {
                            @match known {
                                None => (pill(Tone::Bad, words.say("none", "无"))),
                                Some(known) => {
                                    @if known["password"] == true { (words.say("password", "密码")) " " }
                                    @else { (words.say("certificate", "证书")) " " (text(known, "/until")) }
                                }
                            }
                        } }
                    }
                }
            }))
        }
    };
    Ok(framed(words.say("Devices", "设备"), body, &client, &shop))
}
