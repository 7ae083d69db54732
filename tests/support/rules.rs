//! The rules of the shop that the tests run: the example bundle, and one offer for each kind of scarce thing.

use std::path::Path;

use aisled::bundle::authoring::{self, Authored};
use aisled::bundle::keys::SecretKey;

/// Offers that run out, each over another scope.
const SCARCE: &str = r#"
[[promotion]]
id = "once-five"
titles = { zh-CN = "一次性券减5", en = "5 off, one code once" }
trigger = "code"
benefit = { order_amount = 500 }

[[promotion]]
id = "flyer-three"
titles = { zh-CN = "传单码减3", en = "3 off, the same code for three" }
trigger = "code"
benefit = { order_amount = 300 }
limits = [{ scope = "code", measure = "uses", max = 3 }]

[[promotion]]
id = "long-gone"
titles = { zh-CN = "过期券", en = "A coupon of last winter" }
trigger = "code"
benefit = { order_amount = 1000 }

[[promotion]]
id = "friend-four"
titles = { zh-CN = "好友推荐减4", en = "4 off, by a friend's code" }
audience = "member"
trigger = "code"
benefit = { order_amount = 400 }
limits = [{ scope = "code", measure = "uses", max = 2 }]

[[promotion]]
id = "claim-a-gift"
titles = { zh-CN = "任选一件赠品", en = "A gift, one of three" }
trigger = "claim"
benefit = { gift = { choices = ["6901234000062", "6901234000093", "6901234000086"] } }
returns = "claw_back"

[[promotion]]
id = "shelf-one"
titles = { zh-CN = "价签减1元", en = "1 off on the shelf" }
trigger = "code"
qualifier = { items = { skus = ["6901234000109"] } }
benefit = { line_amount = { amount = 100 } }
stacking = { stage = "shelf" }

[[promotion]]
id = "claim-last-days"
titles = { zh-CN = "临期五折", en = "Half price on the last days" }
trigger = "claim"
qualifier = { items = { skus = ["6901234000109"] } }
benefit = { markdown = { steps = [{ left = 2, off = 50 }] } }

[[promotion]]
id = "claim-for-good"
titles = { zh-CN = "每人一次，退货不恢复", en = "Once for each member, whatever comes back" }
audience = "member"
trigger = "claim"
benefit = { order_amount = 100 }
limits = [{ scope = "member", measure = "uses", max = 1, count_cancelled = true }, { scope = "store", measure = "uses", max = 3 }]

[[promotion]]
id = "claim-once"
titles = { zh-CN = "每人一次", en = "Once for each member" }
audience = "member"
trigger = "claim"
benefit = { order_amount = 100 }
limits = [{ scope = "member", measure = "uses", max = 1 }]

[[promotion]]
id = "first-five"
titles = { zh-CN = "抽纸前五名减1", en = "Tissues 1 off, the first five" }
qualifier = { items = { skus = ["6901234000086"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "store", measure = "uses", max = 5 }]

[[promotion]]
id = "spinach-twice"
titles = { zh-CN = "菠菜每人两次减1", en = "Spinach 1 off, twice for each member" }
audience = "member"
qualifier = { items = { skus = ["6901234000062"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "member", measure = "uses", max = 2 }]

[[promotion]]
id = "cake-per-till"
titles = { zh-CN = "蛋糕每台两次减1", en = "Cake 1 off, twice at each till" }
qualifier = { items = { skus = ["6901234000093"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "device", measure = "uses", max = 2 }]

[[promotion]]
id = "fifty-points-a-day"
titles = { zh-CN = "每日赠50积分", en = "50 points, once a day" }
audience = "member"
benefit = { points_fixed = 50 }
limits = [{ scope = "member_day", measure = "uses", max = 1 }]
returns = "claw_back"

[[promotion]]
id = "next-time-five"
titles = { zh-CN = "满200送下次5元券", en = "From 200: 5 off next time" }
audience = "member"
qualifier = { amount_min = 20000 }
benefit = { issue_coupon = { coupon = "next-five", valid_days = 14 } }
returns = "claw_back"
"#;

const COUPONS: &str = r#"
[[coupon]]
id = "once-five"
promotion = "once-five"

[[coupon]]
id = "next-five"
promotion = "once-five"
personal = true

[[coupon]]
id = "shelf-one"
promotion = "shelf-one"
code = "SHELF1"

[[coupon]]
id = "friend"
promotion = "friend-four"
referral = { points = 200, coupon = { coupon = "next-five", valid_days = 14 } }

[[coupon]]
id = "flyer-three"
promotion = "flyer-three"
code = "FLYER3"

[[coupon]]
id = "long-gone"
promotion = "long-gone"
code = "OLD10"
schedule = { from = "2026-01-01", to = "2026-01-31" }
"#;

/// A partner whose vouchers take 5 off or pay up to 50, and one whose key is not taken any more.
fn partners() -> String {
    let key = |partner: &SecretKey| partner.public().to_string();
    format!(
        "[[partner]]\nid = \"mall\"\nkeys = [{{ public = \"{}\", from = 2026-11-01 }}]\npromotions = [\"once-five\"]\nvalue_max = 5000\n\
         [[partner]]\nid = \"bank\"\nkeys = [{{ public = \"{}\", to = 2026-10-31 }}]\npromotions = [\"once-five\"]\n",
        key(&partner_key()),
        key(&SecretKey::from_seed(&[6; 32]))
    )
}

/// The key the partner `mall` signs with; that of `bank` has sixes.
pub(crate) fn partner_key() -> SecretKey {
    SecretKey::from_seed(&[5; 32])
}

/// Single-use codes ONCE-01 to ONCE-20 that anybody may use.
const CODES: u32 = 20;

/// Members m-2001 to m-2010 show cards 2001 to 2010 and begin with 1,000 points; the first two live together. The first and
/// the sixth have referral codes, FRIEND-1 and FRIEND-6.
const MEMBERS: u32 = 10;

/// The whole folder, read and checked.
pub(crate) fn authored() -> Authored {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/bundle-example");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the example bundle") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            continue;
        }
        let mut bytes = std::fs::read(&path).expect("a file");
        if name == "coupons.toml" {
            bytes.extend(COUPONS.as_bytes());
        }
        files.push((name, bytes));
    }
    files.push(("promotions/scarce.toml".to_owned(), SCARCE.as_bytes().to_vec()));
    files.push(("partners.toml".to_owned(), partners().into_bytes()));
    let mut authored = authoring::read(files).unwrap_or_else(|findings| {
        panic!("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    for n in 1..=MEMBERS {
        let household = if n <= 2 { serde_json::json!("h-1") } else { serde_json::Value::Null };
        authored.members.push(
            serde_json::from_value(serde_json::json!({
                "id": format!("m-{}", 2000 + n),
                "tokens": [{ "kind": "card", "value": format!("{}", 2000 + n) }],
                "points": 1_000,
                "profile": { "household": household, "name": format!("Member {n}"), "consent": { "programme": true, "personal": true } },
            }))
            .expect("a member"),
        );
    }
    for n in [1, 6] {
        let code = serde_json::json!({ "code": format!("FRIEND-{n}"), "coupon": "friend", "member": format!("m-{}", 2000 + n) });
        authored.codes.push(serde_json::from_value(code).expect("a code"));
    }
    for n in 1..=CODES {
        let code = serde_json::json!({ "code": format!("ONCE-{n:02}"), "coupon": "once-five" });
        authored.codes.push(serde_json::from_value(code).expect("a code"));
    }
    authored
}
