//! What an online shop says to head office: where a single-use code is, and that it is wanted; how many points a member has.
//!
//! An online shop is a store without shelves: it runs a box of its own, whose daemon quotes and commits its orders (`channel:
//! online`, the order's number as the request's id and the transaction's), so it spends points from slices lent to it and
//! redeems codes whose home it is, exactly as a shop does (I4, I8, I9). What a shop on a street does not need, it asks here:
//! a code that is at home in a shop is moved to it first, and comes back when the order falls through.
//!
//! ```text
//! aisle-partner/1/{store}/req   to head office   {"v":1,"id":...,"move":{"code","from","to"}} or {...,"balance":{"member"}}
//! aisle-partner/1/{store}/rep   from it          {"v":1,"re":...,"status":...,"data":{...}} or with "code" and "title"
//! ```
//! Invariants: a partner speaks for its own store only: one end of every move is that store. Asking again changes nothing and
//! tells how far it is, so a lost reply is asked for again. Nothing is told of a move before the log holds it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::code::Code;
use crate::domain::ids::{CouponCode, MemberId, RequestId, StoreId};
use crate::domain::text::Lang;
use crate::limits;

use super::lender::Lender;
use super::lender::homes::Asked;

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
pub fn answer(
    lender: &mut Lender,
    points: &dyn Fn(&MemberId) -> Option<i64>,
    partner: &StoreId,
    payload: &[u8],
) -> Value {
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
    let data = match (request.moving, request.balance) {
        (Some(moving), None) => match moved(lender, partner, &moving) {
            Ok(data) => data,
            Err(detail) => return problem(re, Code::HubMove, detail),
        },
        (None, Some(Balance { member })) => json!({ "member": member, "points": points(&member) }),
        _ => return problem(re, Code::MalformedPayload, "one of move and balance".to_owned()),
    };
    json!({ "v": 1, "re": re, "status": 200, "data": data })
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
        let mut ask = |text: &str| answer(&mut lender, &points, &store("online"), text.as_bytes());
        let table = [
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
