//! Examples of every request, reply and status: one believable afternoon at one till, whose figures add up.
//!
//! `tests/wire.rs` decodes every request with the real decoder and reads every reply into its type and back; a change
//! of the contract that forgets an example does not pass.

use serde_json::{Value, json};

use crate::devices::topic::Op;

/// An example of a message.
pub(super) struct Example {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) payload: Value,
}

fn example(name: &'static str, summary: &'static str, payload: Value) -> Example {
    Example { name, summary, payload }
}

fn request(id: &str, data: Value) -> Value {
    json!({ "v": 1, "id": id, "data": data })
}

fn reply(id: &str, data: Value) -> Value {
    json!({ "v": 1, "re": id, "status": 200, "data": data })
}

fn basket() -> Value {
    json!({ "lines": [
        { "line": "1", "sku": "6901234567892", "qty": 2, "unit_price": 1250 },
        { "line": "2", "sku": "2100017", "weight_grams": 756 }
    ] })
}

fn sale() -> Value {
    json!({ "business_day": "2026-11-21", "seq": 184 })
}

/// Examples of the requests of an operation.
pub(super) fn requests(op: Op) -> Vec<Example> {
    let card = json!({ "kind": "card", "value": "2990000012345" });
    match op {
        Op::Scan => vec![
            example(
                "card",
                "a member shows a card at the entrance",
                request(
                    "kiosk-1-20261121-0007",
                    json!({ "token": card, "zone": "entrance", "locale": "zh-CN" }),
                ),
            ),
            example(
                "phone",
                "a member types a phone number",
                request(
                    "till-01-20261121-0180",
                    json!({ "token": { "kind": "phone", "value": "+86 138 0013 8000" } }),
                ),
            ),
            example(
                "pick_up_code",
                "a shopper shows the code of an order paid online",
                request(
                    "till-01-20261121-0188",
                    json!({ "token": { "kind": "qr", "value": "PICK-7Q2M-X4TR-9KWE" }, "locale": "zh-CN" }),
                ),
            ),
        ],
        Op::Quote => vec![
            example(
                "coupon",
                "two boxes of tea and weighed apples, for a member with a coupon",
                request(
                    "till-01-20261121-0183",
                    json!({ "basket": basket(), "member": card, "coupons": ["SAVE-10"] }),
                ),
            ),
            example(
                "everything",
                "points, a chosen reward and a gift card as well, at a kiosk",
                request(
                    "till-01-20261121-0190",
                    json!({
                        "basket": { "lines": [
                            { "line": "1", "sku": "6901234567892", "qty": 6 },
                            { "line": "2", "sku": "6901234567915", "qty": 1, "best_before": "2026-11-22" }
                        ] },
                        "member": { "kind": "member", "value": "m-000481" }, "coupons": ["SAVE-10"], "points": { "spend": "max" },
                        "claims": [{ "promotion": "add-on-cup", "times": 1 }], "gift_cards": [{ "code": "GC-88301", "balance": 5000 }],
                        "gift_choices": [{ "promotion": "tea-gift", "skus": ["6901234500021"] }], "gifts_gone": ["6901234500038"],
                        "channel": "kiosk", "zone": "checkout-2", "locale": "en"
                    }),
                ),
            ),
        ],
        Op::Commit => vec![
            example(
                "quoted",
                "the quote was paid with a phone wallet",
                request(
                    "till-01-20261121-0184",
                    json!({
                        "transaction": sale(), "quote": "q-41-17", "tenders": [{ "kind": "wallet", "amount": 3325 }]
                    }),
                ),
            ),
            example(
                "basket",
                "a sale without a quote, paid in cash",
                request(
                    "till-01-20261121-0185",
                    json!({
                        "transaction": { "business_day": "2026-11-21", "seq": 185 },
                        "basket": { "lines": [{ "line": "1", "sku": "6901234567892", "qty": 1 }] },
                        "tenders": [{ "kind": "cash", "amount": 1250 }]
                    }),
                ),
            ),
            example(
                "late",
                "rung up while the engine was away: what the shopper paid stands",
                json!({
                    "v": 1, "id": "till-01-20261121-0186", "at": "2026-11-21T18:31:07+08:00",
                    "data": {
                        "transaction": { "business_day": "2026-11-21", "seq": 186 }, "basket": basket(), "member": card,
                        "tenders": [{ "kind": "cash", "amount": 3694 }],
                        "charged": { "total": 3694, "lines": [{ "line": "1", "net": 2500 }, { "line": "2", "net": 1194 }] }
                    }
                }),
            ),
            example(
                "training",
                "a new cashier practises",
                request(
                    "till-01-20261121-0187",
                    json!({
                        "transaction": { "business_day": "2026-11-21", "seq": 187 }, "basket": basket(), "tenders": [], "training": true
                    }),
                ),
            ),
        ],
        Op::Void => vec![example(
            "void",
            "the sale just made did not happen",
            request("till-01-20261121-0191", json!({ "transaction": sale() })),
        )],
        Op::Return => vec![example(
            "other_till",
            "one box of tea comes back, to another till than it was bought at",
            request(
                "till-02-20261125-0044",
                json!({
                    "original": { "device": "till-01", "business_day": "2026-11-21", "seq": 184 },
                    "transaction": { "business_day": "2026-11-25", "seq": 44 }, "lines": [{ "line": "1", "qty": 1 }]
                }),
            ),
        )],
        Op::Feedback => vec![example(
            "feedback",
            "a smiley at the exit, with a word",
            request(
                "kiosk-1-20261121-0311",
                json!({
                    "transaction": { "device": "till-01", "business_day": "2026-11-21", "seq": 184 }, "score": 9, "topic": "queue", "text": "很快"
                }),
            ),
        )],
        Op::Event => vec![
            example(
                "shelf",
                "a tea box was lifted from the shelf",
                request(
                    "shelf-7-00001201",
                    json!({ "kind": "shelf", "sku": "6901234567892", "zone": "tea" }),
                ),
            ),
            example(
                "try_on",
                "a known member in the fitting room",
                request(
                    "kiosk-3-00000419",
                    json!({ "kind": "try_on", "sku": "7700001", "zone": "fitting-1", "member": card }),
                ),
            ),
            example(
                "mark",
                "a member tasted the new tea; segments see it for a month, and the phone shown with the card is theirs too",
                request(
                    "kiosk-3-00000420",
                    json!({
                        "kind": "tasting", "sku": "6901234567892", "member": card, "mark": { "tag": "tried-tea", "days": 30 },
                        "link": { "kind": "phone", "value": "13800138000" }
                    }),
                ),
            ),
            example(
                "consent",
                "a member takes back what they agreed to: what was learned of them is forgotten at once",
                request(
                    "kiosk-3-00000421",
                    json!({ "kind": "consent", "member": card, "consent": { "programme": true, "personal": false } }),
                ),
            ),
            example(
                "pick_up",
                "the order goes over the counter: once the reply is here, and never a second time",
                request("till-01-20261121-0189", json!({ "kind": "pick_up", "order": "W-20261120-0009" })),
            ),
        ],
        Op::Enroll => vec![example(
            "enroll",
            "a shopper joins at the till",
            request(
                "till-01-20261121-0195",
                json!({
                    "token": { "kind": "phone", "value": "13800138000" }, "consent": { "programme": true, "personal": true }, "birthday": "08-15"
                }),
            ),
        )],
        Op::Wallet => vec![example(
            "wallet",
            "what does this member hold?",
            request("kiosk-1-20261121-0008", json!({ "member": card })),
        )],
    }
}

fn bundle() -> Value {
    json!({ "version": 41, "hash": "9f2c4e0a7b61d385" })
}

fn member() -> Value {
    json!({ "id": "m-000481", "name": "王女士", "tier": "gold", "points": { "balance": 1280, "spendable": 1280, "as_of": "2026-11-21T06:00:00.000Z" } })
}

fn figures() -> Value {
    json!({
        "subtotal": 3694, "discount_total": 369, "total": 3325,
        "lines": [
            { "line": "1", "gross": 2500, "net": 2250, "discounts": [{ "promotion": "save-10", "amount": 250 }] },
            { "line": "2", "gross": 1194, "net": 1075, "discounts": [{ "promotion": "save-10", "amount": 119 }] }
        ],
        "gifts": [],
        "applied": [{ "promotion": "save-10", "title": "10% off with the app coupon", "amount": 369, "coupon": "SAVE-10" }],
        "coupons": [{ "code": "SAVE-10", "outcome": "applied" }],
        "not_applied": [
            { "promotion": "gold-day", "reason": "outside_schedule", "detail": "runs on Wednesdays, today is Saturday" },
            { "promotion": "tea-3-for-2", "reason": "too_few_units", "detail": "needs 3 of tea, the basket holds 2" }
        ],
        "near": [{ "promotion": "tea-3-for-2", "add": { "sku": "6901234567892", "qty": 1 }, "gain": 1125 }],
        "points": { "earn": 33, "spend": 0, "balance_after": 1313 },
        "resolution": { "mode": "sequence", "proved": true, "gap": 0 },
        "bundle": bundle(), "data_age": { "bundle_s": 3600, "member_s": 43200 }
    })
}

fn with(mut to: Value, more: Value) -> Value {
    if let (Some(to), Value::Object(more)) = (to.as_object_mut(), more) {
        to.extend(more);
    }
    to
}

/// Examples of the replies to an operation.
pub(super) fn replies(op: Op) -> Vec<Example> {
    let issued = json!({ "code": "NEXT-7K2M", "promotion": "next-visit", "title": "5 yuan off your next visit", "expires": "2026-12-21T15:59:59.999Z" });
    let key = json!({ "device": "till-01", "business_day": "2026-11-21", "seq": 184 });
    match op {
        Op::Scan => vec![
            example(
                "known",
                "a gold member, and what is open to her",
                reply(
                    "kiosk-1-20261121-0007",
                    json!({
                        "member": member(),
                        "offers": [{ "promotion": "save-10", "title": "10% off with the app coupon", "text": "from 30 yuan on", "coupon": "SAVE-10", "expires": "2026-11-30", "reason": "you hold the coupon" }],
                        "recommendations": [{ "sku": "6901234567892", "score": 870, "because": "you buy it every 3 weeks" }],
                        "care": [{ "kind": "birthday", "text": "Happy birthday! A cake waits for you at the till." }],
                        "data_age": { "bundle_s": 3600, "member_s": 43200 }
                    }),
                ),
            ),
            example(
                "unknown",
                "an unknown token is no error: offers for everybody",
                reply(
                    "till-01-20261121-0180",
                    json!({
                        "member": null, "offers": [], "recommendations": [], "care": [], "data_age": { "bundle_s": 3600 }
                    }),
                ),
            ),
            example(
                "pick_up_code",
                "an order waits for whoever shows this code",
                reply(
                    "till-01-20261121-0188",
                    json!({
                        "member": null, "offers": [], "recommendations": [], "care": [], "data_age": { "bundle_s": 3600 },
                        "pickups": [{
                            "order": "W-20261120-0009", "lines": [{ "sku": "6901234567892", "qty": 2, "title": "龙井茶" }],
                            "until": "2026-11-23T22:00:00+08:00", "state": "ready"
                        }]
                    }),
                ),
            ),
        ],
        Op::Quote => vec![example(
            "coupon",
            "10 % off, and a hint: a third box of tea would pay",
            reply(
                "till-01-20261121-0183",
                with(figures(), json!({ "quote": "q-41-17", "expires": "2026-11-21T10:36:07.000Z" })),
            ),
        )],
        Op::Commit => {
            let receipt = with(
                figures(),
                json!({
                    "decision": "1-90417", "transaction": key, "member": "m-000481",
                    "units": [
                        { "line": "1", "sku": "6901234567892", "shares": [{ "qty": 2, "net": 1125, "discounts": [{ "promotion": "save-10", "amount": 125 }], "points": 11, "points_spent": 0 }] },
                        { "line": "2", "sku": "2100017", "shares": [{ "qty": 1, "net": 1075, "discounts": [{ "promotion": "save-10", "amount": 119 }], "points": 11, "points_spent": 0 }] }
                    ],
                    "points_ledger": [{ "reason": "earn", "points": 33 }],
                    "coupons_burned": ["SAVE-10"], "coupons_issued": [issued],
                    "texts": ["You saved 3.69 yuan today."]
                }),
            );
            let mut again = reply("till-01-20261121-0184", receipt.clone());
            again["replayed"] = Value::Bool(true);
            let late = with(
                receipt.clone(),
                json!({ "charged": { "total": 3694, "by_rules": 3325, "difference": 369, "flagged": true } }),
            );
            vec![
                example(
                    "receipt",
                    "the sale is on disk; this is what the receipt says",
                    reply("till-01-20261121-0184", receipt),
                ),
                example("again", "the same request once more: the first answer again", again),
                example(
                    "flagged",
                    "what the till charged differs from the rules; the sale stands as charged",
                    reply("till-01-20261121-0186", late),
                ),
            ]
        }
        Op::Void => vec![example(
            "void",
            "everything is given back",
            reply(
                "till-01-20261121-0191",
                json!({
                    "decision": "1-90425", "original": key, "refund": 3325,
                    "lines": [{ "line": "1", "qty": 2, "amount": 2250, "left": 0 }, { "line": "2", "qty": 1, "amount": 1075, "left": 0 }],
                    "points_ledger": [{ "reason": "claw_back", "points": -33 }], "points_balance_after": 1280,
                    "coupons_returned": ["SAVE-10"], "coupons_withdrawn": ["NEXT-7K2M"], "whole": true
                }),
            ),
        )],
        Op::Return => vec![example(
            "part",
            "one of two boxes, at what was paid for it",
            reply(
                "till-02-20261125-0044",
                json!({
                    "decision": "1-97733", "original": key, "refund": 1125,
                    "lines": [{ "line": "1", "qty": 1, "amount": 1125, "left": 1 }],
                    "points_ledger": [{ "reason": "claw_back", "points": -11 }], "points_balance_after": 1302,
                    "coupons_returned": [], "coupons_withdrawn": [], "whole": false
                }),
            ),
        )],
        Op::Feedback => {
            vec![example("noted", "kept", reply("kiosk-1-20261121-0311", json!({ "decision": "1-90431" })))]
        }
        Op::Event => {
            vec![
                example("noted", "kept", reply("shelf-7-00001201", json!({ "decision": "1-90440" }))),
                example(
                    "remarked",
                    "kept, and counted for nobody: the device's clock is ahead",
                    reply(
                        "kiosk-3-00000419",
                        json!({
                            "decision": "1-90441",
                            "remarks": [{ "code": "AIS-2021", "detail": "at is 2027-11-21T10:00:00+08:00, here it is 2026-11-21T10:00:00+08:00: kept, and not counted" }]
                        }),
                    ),
                ),
            ]
        }
        Op::Enroll => vec![example(
            "enrolled",
            "a member from now on, with or without a line to head office",
            reply("till-01-20261121-0195", json!({ "member": "s01-1-90433", "decision": "1-90433" })),
        )],
        Op::Wallet => vec![example(
            "held",
            "one coupon for the next visit",
            reply(
                "kiosk-1-20261121-0008",
                json!({
                    "member": member(), "coupons": [issued], "expiring_soon": [], "data_age": { "bundle_s": 3600, "member_s": 43200 }
                }),
            ),
        )],
    }
}

/// Examples of the daemon's status.
pub(super) fn engine_status() -> Vec<Example> {
    use crate::devices::wire::status::{EngineState, EngineStatus};
    use crate::domain::calendar::UnixMs;
    use crate::domain::ids::{Epoch, StoreId};
    let status = |state| {
        let store = StoreId::new("s01").expect("an id");
        let mut status = EngineStatus::new(state, store, Epoch(1), UnixMs(1_795_230_000_000));
        status.bundle = serde_json::from_value(bundle()).ok();
        serde_json::to_value(status).unwrap_or_default()
    };
    vec![
        example("ready", "it answers", status(EngineState::Ready)),
        example("offline", "its last will", status(EngineState::Offline)),
    ]
}

/// Examples of a device's status.
pub(super) fn device_status() -> Vec<Example> {
    vec![
        example(
            "online",
            "after each connect",
            json!({ "v": 1, "state": "online", "since": "2026-11-21T08:00:00+08:00", "software": "pos-demo 4.2.1" }),
        ),
        example(
            "label-gateway",
            "a gateway of shelf labels: it wants prices on its evt/price",
            json!({ "v": 1, "state": "online", "wants": ["price"] }),
        ),
        example("offline", "as last will", json!({ "v": 1, "state": "offline" })),
    ]
}

/// Examples of prices for the shelf.
pub(super) fn price_push() -> Vec<Example> {
    vec![example(
        "pricePush",
        "an evening markdown begins",
        json!({
            "v": 1,
            "at": "2026-11-21T20:00:00+08:00",
            "data": {
                "whole": false,
                "part": 1,
                "parts": 1,
                "prices": [{
                    "sku": "6901234567892", "price": 875, "instead_of": 1250, "sold_by": "piece",
                    "promotion": "evening-30", "title": "晚市七折",
                }],
            },
        }),
    )]
}

/// An example of a push.
pub(super) fn push() -> Vec<Example> {
    vec![example(
        "push",
        "a kind you do not know: ignore it",
        json!({ "v": 1, "at": "2026-11-21T10:40:00.000Z", "data": {} }),
    )]
}

pub(super) fn segment_moves() -> Vec<Example> {
    vec![example(
        "segmentMoves",
        "the third visit within four weeks",
        json!({
            "v": 1,
            "at": "2026-11-21T10:40:00.000Z",
            "data": {
                "member": "m-2001",
                "decision": "s01/1/4711",
                "entered": ["regulars"],
                "left": ["lapsed"],
            },
        }),
    )]
}
