//! Simulator: what a basket would cost now, asked as a till asks, never sold.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::figures::{Names, priced};
use crate::console::door::{Client, Problem};
use crate::console::page::{Words, code_card, empty};
use crate::console::routes::{Answer, Console, Fields, fields, framed};
use crate::console::shop::Question;
use crate::domain::code::Code;
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let body = html! { (form(words, &client, &Fields::new())) };
    Ok(framed(words.say("Simulator", "试算"), body, &client, &shop))
}

pub(in crate::console) async fn price(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    let fields = fields(request, &client).await?;
    let priced = match document(&fields) {
        Ok(document) => console.ask(Question::Quote(document)).await,
        Err(problem) => Err(problem),
    };
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let body = html! { (form(words, &client, &fields)) (outcome(words, &priced)) };
    Ok(framed(words.say("Simulator", "试算"), body, &client, &shop))
}

fn form(words: Words<'_>, client: &Client, given: &Fields) -> Markup {
    let value = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let kinds = [
        ("phone", words.say("phone", "手机号")),
        ("card", words.say("card", "会员卡")),
        ("qr", words.say("QR code", "二维码")),
        ("member", words.say("member id", "会员编号")),
    ];
    html! {
        form.basket method="post" action="/simulator" {
            input type="hidden" name="csrf" value=(client.session.as_ref().map_or("", |session| &session.csrf));
            label {
                span { (words.say("Basket: an article a line, with × and how many", "购物篮：每行一个商品，可加 × 和数量")) }
                textarea name="basket" rows="5" required spellcheck="false" placeholder="6901001 × 2\n6901002" { (value("basket")) }
            }
            div.row {
                label { span { (words.say("Member", "会员")) } select name="kind" {
                    @for (kind, word) in kinds { option value=(kind) selected[value("kind") == kind] { (word) } }
                } }
                label { span { (words.say("what it says", "内容")) } input name="member" value=(value("member")) autocomplete="off" maxlength=(limits::TOKEN_BYTES_MAX); }
                label { span { (words.say("Codes", "券码")) } input name="coupons" value=(value("coupons")) autocomplete="off" maxlength=(limits::CODE_BYTES_MAX); }
                label { span { (words.say("Points to spend", "使用积分")) } input name="points" value=(value("points")) inputmode="numeric" autocomplete="off" maxlength="12"; }
            }
            button type="submit" { (words.say("Price it", "试算")) }
        }
        p.note { (words.say("Nothing is sold. A code for one use is held for the few minutes of a quote, as at a till.", "不会产生销售。单次券会像收银报价一样短暂占用几分钟。")) }
    }
}

/// A basket as it is typed: `SKU`, `SKU × 2`, `SKU*2`, `SKU 2`.
fn line(nth: usize, text: &str) -> Result<Value, Problem> {
    // An article's own x is no sign: only one that stands apart is.
    let apart: Vec<&str> = text.split_whitespace().filter(|part| *part != "x").collect();
    let (sku, qty) = match (text.split_once(['×', '*']), apart.as_slice()) {
        (Some((sku, qty)), _) => (sku.trim(), qty.trim()),
        (None, [sku, qty]) => (*sku, *qty),
        (None, _) => (text.trim(), "1"),
    };
    let wrong = || Problem::new(Code::ConsoleBadForm, format!("{}: {text}", nth + 1));
    let qty: u32 = qty.parse().map_err(|_| wrong())?;
    if sku.is_empty() || sku.len() > limits::NAME_BYTES_MAX {
        return Err(wrong());
    }
    Ok(json!({ "line": (nth + 1).to_string(), "sku": sku, "qty": qty }))
}

fn document(fields: &Fields) -> Result<Value, Problem> {
    let value = |name: &str| fields.get(name).map(|value| value.trim()).unwrap_or_default();
    let typed: Vec<&str> = value("basket").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if typed.is_empty() || typed.len() > limits::CONSOLE_BASKET_LINES_MAX {
        let detail = format!("basket: 1 to {} lines", limits::CONSOLE_BASKET_LINES_MAX);
        return Err(Problem::new(Code::ConsoleBadForm, detail));
    }
    let lines = typed.iter().enumerate().map(|(nth, text)| line(nth, text));
    let mut data = json!({ "basket": { "lines": lines.collect::<Result<Vec<Value>, Problem>>()? } });
    if !value("member").is_empty() {
        data["member"] = json!({ "kind": value("kind"), "value": value("member") });
    }
    let coupons: Vec<&str> =
        value("coupons").split([' ', ',', ';', '，']).filter(|code| !code.is_empty()).collect();
    if !coupons.is_empty() {
        data["coupons"] = json!(coupons);
    }
    if !value("points").is_empty() {
        let points: i64 =
            value("points").parse().map_err(|_| Problem::new(Code::ConsoleBadForm, "points"))?;
        data["points"] = json!({ "spend": points });
    }
    Ok(data)
}

fn outcome(words: Words<'_>, answer: &Result<Arc<Value>, Problem>) -> Markup {
    let reply = match answer {
        Ok(reply) => reply,
        Err(problem) => return code_card(problem.code, &problem.detail, words.lang),
    };
    let names = Names(reply.get("names").unwrap_or(&Value::Null));
    match reply.pointer("/reply/data") {
        Some(data) => {
            html! { section aria-live="polite" { h2 { (words.say("What a till would say", "收银机将得到的结果")) } (priced(words, data, &names)) } }
        }
        None => match Code::parse(super::text(reply, "/reply/code")) {
            Some(code) => code_card(code, super::text(reply, "/reply/detail"), words.lang),
            None => empty(words.say("No answer", "没有应答"), html! {}),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_may_a_basket_be_typed() {
        for (typed, sku, qty) in [
            ("6901001", "6901001", 1),
            ("6901001 × 2", "6901001", 2),
            ("6901001*3", "6901001", 3),
            ("6901001 x 4", "6901001", 4),
            ("box-6 5", "box-6", 5),
            ("xl-shirt", "xl-shirt", 1),
        ] {
            let line = line(0, typed).expect("it is understood");
            assert_eq!((line["sku"].as_str(), line["qty"].as_u64()), (Some(sku), Some(qty)), "{typed}");
        }
        assert!(line(0, "a × d").is_err() && line(0, "× 2").is_err());
    }

    #[test]
    fn what_is_a_till_asked() {
        let fields = |pairs: &[(&str, &str)]| -> Fields {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let asked = document(&fields(&[
            ("basket", "a\n\n b × 2 "),
            ("kind", "phone"),
            ("member", "138"),
            ("coupons", "X, Y"),
            ("points", "50"),
        ]));
        let asked = asked.expect("it is understood");
        assert_eq!(asked["basket"]["lines"][1], json!({ "line": "2", "sku": "b", "qty": 2 }));
        assert_eq!((&asked["coupons"], &asked["points"]), (&json!(["X", "Y"]), &json!({ "spend": 50 })));
        assert!(document(&fields(&[("basket", " ")])).is_err());
        assert!(document(&fields(&[("basket", "a"), ("points", "all")])).is_err());
    }
}
