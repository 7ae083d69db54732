//! What an online shop says to head office: where a single-use code is, and that it is wanted; how many points a member has; which
//! orders are to be handed over in which shop.
//!
//! An online shop is a store without shelves: it runs a box of its own, whose daemon quotes and commits its orders (`channel:
//! online`, the order's number as the request's id and the transaction's), so it spends points from slices lent to it and
//! redeems codes whose home it is, exactly as a shop does (I4, I8, I9). What a shop on a street does not need, it asks here:
//! a code that is at home in a shop is moved to it first, and comes back when the order falls through.
//!
//! ```text
//! aisle-partner/1/{store}/req   to head office   {"v":1,"id":...,"move":{"code","from","to"}}, or {...,"balance":{"member"}},
//!                                                "order":{"order","store","code","member","lines","ready","placed","until"},
//!                                                "cancel":{"order"}, "ask":{"order"}
//! aisle-partner/1/{store}/rep   from it          {"v":1,"re":...,"status":...,"data":{...}} or with "code" and "title"
//! ```
//! What becomes of an order is told without being asked for, as one more reply to the request that placed it; it may be lost,
//! and is asked for again.
//!
//! Invariants: a partner speaks for its own store only: one end of every move is that store. Asking again changes nothing and
//! tells how far it is, so a lost reply is asked for again. Nothing is told of a move before the log holds it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, MemberId, OrderId, RequestId, Sku, StoreId};
use crate::domain::member::{Token, TokenHash, TokenKind};
use crate::domain::order::{Order, OrderLine};
use crate::domain::text::Lang;
use crate::limits;

use super::lender::Lender;
use super::lender::homes::Asked;
use super::lender::orders::{OrderView, Wish};

const ROOT: &str = "aisle-partner/1/";
/// What head office hears.
pub const REQUESTS: &str = "aisle-partner/1/+/req";
/// Before a partner's user name, which no store's name begins with.
const USER: &str = "partner.";

/// A partner's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// 1.
    pub v: u32,
    /// The partner's own key, given back as `re`: the order's number, for example.
    pub id: RequestId,
    /// Have a code's home moved, or ask how far that is.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
    /// Ask what a member has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
    /// Have an order handed over in a shop, or say that it is ready or kept longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Placing>,
    /// Have an order not handed over any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Which>,
    /// Ask how far an order is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Which>,
}

/// An order that was paid online.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placing {
    /// Its number.
    pub order: OrderId,
    /// Where it is handed over.
    pub store: StoreId,
    /// The text of the QR code that the shopper shows; kept as a hash only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whose it is: shown the member's own card, phone or code, a till names the order as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// What is in it.
    pub lines: Vec<Article>,
    /// Is it packed?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ready: bool,
    /// When it was placed, RFC 3339.
    pub placed: String,
    /// Last moment it is handed over, RFC 3339.
    pub until: String,
}

/// What a shopper shows stays out of logs.
impl std::fmt::Debug for Placing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placing({} in {})", self.order, self.store)
    }
}

/// What was ordered of one article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Which.
    pub sku: Sku,
    /// Units.
    pub qty: u32,
    /// What the online shop calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// An order by its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Its number.
    pub order: OrderId,
}

/// What head office knows when a partner asks.
pub struct Known<'a> {
    /// A member's points.
    pub points: &'a dyn Fn(&MemberId) -> Option<i64>,
    /// The chain of the bundle that is offered.
    pub chain: Option<&'a str>,
    /// Its clock.
    pub now: UnixMs,
}

/// A code is to change its home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    /// Which.
    pub code: CouponCode,
    /// Its home.
    pub from: StoreId,
    /// Its new home.
    pub to: StoreId,
    /// Try once more what the old home kept: it may have taken the redemption back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// Whose points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// The member.
    pub member: MemberId,
}

/// The store a user speaks for as a partner.
pub(super) fn of_user(user: &str) -> Option<StoreId> {
    StoreId::new(user.strip_prefix(USER)?).ok()
}

/// The partner whose request topic this is.
pub(super) fn parse(topic: &str) -> Option<StoreId> {
    StoreId::new(topic.strip_prefix(ROOT)?.strip_suffix("/req")?).ok()
}

/// Where a partner hears its replies.
pub fn reply_topic(partner: &StoreId) -> String {
    format!("{ROOT}{partner}/rep")
}

fn problem(re: Option<&RequestId>, code: Code, detail: String) -> Value {
    let (status, title) = (code.status(), code.title(Lang::En));
    json!({ "v": 1, "re": re, "status": status, "code": code, "title": title, "detail": detail })
}

/// Answers a partner. What it changes is in the lender's records, to be made durable before the answer is said.
pub fn answer(lender: &mut Lender, known: &Known<'_>, partner: &StoreId, payload: &[u8]) -> Value {
    if payload.len() > limits::PARTNER_REQUEST_BYTES_MAX {
        return problem(
            None,
            Code::PayloadTooLarge,
            format!("at most {}", limits::PARTNER_REQUEST_BYTES_MAX),
        );
    }
    let request: Request = match serde_json::from_slice(payload) {
        Ok(request) => request,
        Err(error) => return problem(None, Code::MalformedPayload, error.to_string()),
    };
    let re = Some(&request.id);
    if request.v != 1 {
        return problem(re, Code::UnknownVersion, "version 1 is spoken here".to_owned());
    }
    let orders =
        |told: Result<OrderView, String>| told.map(|view| json!(view)).map_err(|why| (Code::HubOrder, why));
    let told = match (request.moving, request.balance, request.order, request.cancel, request.ask) {
        (Some(moving), None, None, None, None) => {
            moved(lender, partner, &moving).map_err(|why| (Code::HubMove, why))
        }
        (None, Some(Balance { member }), None, None, None) => {
            Ok(json!({ "member": member, "points": (known.points)(&member) }))
        }
        (None, None, Some(placing), None, None) => {
            orders(placed(lender, known, (partner, &request.id), placing))
        }
        (None, None, None, Some(Which { order }), None) => orders(lender.cancel_order(partner, &order)),
        (None, None, None, None, Some(Which { order })) => orders(lender.order(partner, &order)),
        _ => Err((Code::MalformedPayload, "one of move, balance, order, cancel and ask".to_owned())),
    };
    let data = match told {
        Ok(data) => data,
        Err((code, why)) => return problem(re, code, why),
    };
    json!({ "v": 1, "re": re, "status": 200, "data": data })
}

fn placed(
    lender: &mut Lender,
    known: &Known<'_>,
    (partner, request): (&StoreId, &RequestId),
    placing: Placing,
) -> Result<OrderView, String> {
    let time =
        |text: &str| UnixMs::parse_rfc3339(text).ok_or_else(|| format!("{text:?} is no RFC 3339 time"));
    let lines = placing.lines.into_iter().map(|Article { sku, qty, title }| OrderLine { sku, qty, title });
    let order = Order {
        id: placing.order,
        store: placing.store,
        member: placing.member,
        lines: lines.collect(),
        ready: placing.ready,
        placed: time(&placing.placed)?,
        until: time(&placing.until)?,
    };
    let code = placing.code.map(|value| hashed(value, known.chain)).transpose()?;
    let (partner, request) = (partner.clone(), request.clone());
    lender.place_order(Wish { partner, request, order, code, cancelled: false, changes: 1 }, known.now)
}

/// What a till makes of the code once it is scanned.
fn hashed(value: String, chain: Option<&str>) -> Result<TokenHash, String> {
    let is_text = (1..=limits::TOKEN_BYTES_MAX).contains(&value.len())
        && !value.trim().is_empty()
        && !value.chars().any(char::is_control);
    if !is_text {
        return Err(format!("a code is text of at most {} bytes", limits::TOKEN_BYTES_MAX));
    }
    let chain = chain.ok_or("head office offers no bundle, so the chain's codes cannot be told")?;
    Ok(Token { kind: TokenKind::Qr, value }.hash(chain))
}

/// What became of orders, each as one more reply to the request that placed it.
pub fn news(lender: &mut Lender) -> Vec<(StoreId, Value)> {
    let news = lender.order_news().into_iter();
    news.map(|(partner, re, view)| (partner, json!({ "v": 1, "re": re, "status": 200, "data": view })))
        .collect()
}

fn moved(lender: &mut Lender, partner: &StoreId, moving: &Moving) -> Result<Value, String> {
    let Moving { code, from, to, again } = moving;
    if from != partner && to != partner {
        return Err(format!("{partner} may have codes moved to itself and from itself only"));
    }
    let told = |view: super::lender::homes::MoveView| json!(view);
    let known = lender.move_of(code).filter(|view| view.from == *from && view.to == *to);
    // How far it is. Only who says so has a move tried again that the old home refused.
    if let Some(view) = known.filter(|view| !(*again && view.stage.has_failed())) {
        return Ok(told(view));
    }
    match lender.move_code(code, from, to) {
        Asked::Yes => lender.move_of(code).map(told).ok_or_else(|| "it is not known".to_owned()),
        Asked::Same => Err("both stores are one".to_owned()),
        Asked::StoreUnknown => Err("one of the stores never said hello".to_owned()),
        Asked::OnItsWay => Err("another move of it is not done yet".to_owned()),
        Asked::Elsewhere => Err("its home is another store since an earlier move".to_owned()),
        Asked::Full => Err("too many codes were moved".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: &str) -> StoreId {
        StoreId::new(id).expect("an id")
    }

    #[test]
    fn who_may_speak_where() {
        assert_eq!(of_user("partner.online"), Some(store("online")));
        assert_eq!(parse("aisle-partner/1/online/req"), Some(store("online")));
        for hostile in ["online", "partner.", "partner.a/b", "partner.+"] {
            assert_eq!(of_user(hostile), None, "{hostile}");
        }
        for hostile in
            ["aisle-partner/1/+/req", "aisle-partner/1/a/b/req", "aisle-partner/1//req", "aisle/1/online/req"]
        {
            assert_eq!(parse(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn what_is_answered_to_what() {
        let mut lender = Lender::new(1, false);
        let points = |member: &MemberId| (member.as_str() == "m-1").then_some(7);
        let known = Known { points: &points, chain: Some("sunrise"), now: UnixMs(0) };
        let mut ask = |text: &str| answer(&mut lender, &known, &store("online"), text.as_bytes());
        const DAYS: [&str; 2] = ["2026-11-22T10:00:00+08:00", "2026-11-25T22:00:00+08:00"];
        let order = |more: &str, [placed, until]: [&str; 2]| {
            format!(
                r#"{{"v":1,"id":"order-0001","order":{{"order":"W-1","store":"s01",{more},"lines":[{{"sku":"x","qty":1}}],"placed":"{placed}","until":"{until}"}}}}"#
            )
        };
        let table: [(&str, Value); 19] = [
            (r#"{"v":1,"id":"order-0001","balance":{"member":"m-1"}}"#, json!(200)),
            (r#"{"v":1,"id":"order-0001","balance":{"member":"nobody"}}"#, json!(200)),
            (r#"{"v":2,"id":"order-0001","balance":{"member":"m-1"}}"#, json!("AIS-1003")),
            (r#"{"v":1,"id":"order-0001"}"#, json!("AIS-1001")),
            (r#"{"v":1,"id":"short","balance":{"member":"m-1"}}"#, json!("AIS-1001")),
            (r#"{"v":1,"id":"order-0001","move":{"code":"C-1","from":"s01","to":"s02"}}"#, json!("AIS-6106")),
            (
                r#"{"v":1,"id":"order-0001","move":{"code":"C-1","from":"s01","to":"online"}}"#,
                json!("AIS-6106"),
            ),
            ("[[[[", json!("AIS-1001")),
            (r#"{"v":1,"id":"order-0001","ask":{"order":"W-1"}}"#, json!("AIS-6111")),
            (r#"{"v":1,"id":"order-0001","cancel":{"order":"W-1"}}"#, json!("AIS-6111")),
            (r#"{"v":1,"id":"order-0001","ask":{"order":"W 1"}}"#, json!("AIS-1001")),
            (
                r#"{"v":1,"id":"order-0001","ask":{"order":"W-1"},"cancel":{"order":"W-1"}}"#,
                json!("AIS-1001"),
            ),
            (&order(r#""code":"P-1""#, DAYS), json!("AIS-6111")),
            (&order(r#""code":"","member":"m-1""#, DAYS), json!("AIS-6111")),
            (&order(r#""code":"a\u0000b""#, DAYS), json!("AIS-6111")),
            (&order(r#""code":"P-1""#, [DAYS[0], "tomorrow"]), json!("AIS-6111")),
            (&order(r#""code":"P-1""#, [DAYS[1], DAYS[0]]), json!("AIS-6111")),
            (&order(r#""code":"P-1","price":5"#, DAYS), json!("AIS-1001")),
            (&order(r#""member":7"#, DAYS), json!("AIS-1001")),
        ];
        for (text, wanted) in &table {
            let reply = ask(text);
            let is = if wanted.is_number() { &reply["status"] } else { &reply["code"] };
            assert_eq!(is, wanted, "{text}: {reply}");
        }
        assert_eq!(ask(table[0].0)["data"], json!({ "member": "m-1", "points": 7 }));
    }

    #[test]
    fn is_every_published_example_understood() {
        let text = include_str!("../../config/partners.asyncapi.json");
        let document: Value = serde_json::from_str(text).expect("JSON");
        let examples =
            document["components"]["messages"]["request"]["examples"].as_array().expect("examples");
        assert!(examples.len() >= 3);
        for example in examples {
            let request: Request = serde_json::from_value(example["payload"].clone()).expect("a request");
            assert_eq!(serde_json::to_value(&request).expect("JSON"), example["payload"]);
        }
        assert_eq!(document["channels"]["requests"]["address"], json!("aisle-partner/1/{store}/req"));
        assert_eq!(
            document["channels"]["replies"]["address"],
            json!(reply_topic(&store("x")).replace("/x/", "/{store}/"))
        );
    }
}
