//! The small rules of the simulated chain: a few articles, an offer of each kind that leaves a trace, members and codes.
//!
//! Versions differ in their number and one price; every version lists the same members and codes. A bundle's file is stood
//! in for by bytes made from its version: what is simulated is how it comes, not how it is signed.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::bundle::Bundle;
use crate::bundle::authoring::{self, Authored};
use crate::bundle::terms::Terms;
use crate::domain::calendar::UnixMs;
use crate::domain::ids::{BundleRef, CouponCode, CouponId, MemberId, StoreId};
use crate::domain::member::{Token, TokenKind};
use crate::engine::decision::{IssuedCode, Key, Known, Record};

/// Members m-1 to m-24 show cards c-1 to c-24 and begin with this many points.
pub(super) const MEMBER_POINTS: i64 = 1_000;
/// How many members there are.
pub(super) const MEMBERS: u64 = 24;
/// Articles a-1 to a-6.
pub(super) const ARTICLES: u64 = 6;
/// Single-use codes at home in each shop.
pub(super) const CODES_PER_SHOP: u64 = 12;
/// Versions there are.
pub(super) const VERSIONS: u64 = 12;

const SHOP: &str = r#"
chain = "sunrise"
currency = { code = "EUR", minor_units = 2 }
time_zone = "Europe/Berlin"
lang = "en"
quote_seconds = 600
leases = { risk_budget = RISK, overdraft = OVERDRAFT, pockets = true, outage_hours = 24, members = { prefix = "MB", count = MEMBERS } }
"#;

const POINTS: &str = r#"
earn = { points = 1, per_amount = 100 }
redeem = { points = 100, amount = 100, share_max = "50%" }
"#;

const PROMOTIONS: &str = r#"
[[promotion]]
id = "member-price"
titles = { en = "Member price" }
audience = "member"
benefit = "member_price"

[[promotion]]
id = "half-second"
titles = { en = "Second one half price" }
qualifier = { items = { skus = ["a-1"] } }
benefit = { nth_item = { n = 2, reward = { percent = 50 } } }

[[promotion]]
id = "once-five"
titles = { en = "5 off with a code, once" }
trigger = "code"
benefit = { order_amount = 500 }

[[promotion]]
id = "first-forty"
titles = { en = "1 off for the first forty in the shop" }
qualifier = { items = { skus = ["a-2"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "store", measure = "uses", max = 40 }]

[[promotion]]
id = "flash"
titles = { en = "1 off, so many in the whole chain" }
qualifier = { items = { skus = ["a-3"] } }
benefit = { line_amount = { amount = 100 } }
limits = [{ scope = "chain", measure = "uses", max = USES }]
offline = { mode = "leased" }

[[promotion]]
id = "campaign"
titles = { en = "2 off, from one budget" }
qualifier = { items = { skus = ["a-4"] } }
benefit = { line_amount = { amount = 200 } }
limits = [{ scope = "chain", measure = "money", max = MONEY }]
offline = { mode = "leased" }

[[promotion]]
id = "next-time"
titles = { en = "5 off next time" }
audience = "member"
qualifier = { amount_min = 6000 }
benefit = { issue_coupon = { coupon = "next", valid_days = 14 } }
returns = "claw_back"
"#;

const COUPONS: &str = r#"
[[coupon]]
id = "once"
promotion = "once-five"

[[coupon]]
id = "next"
promotion = "once-five"
personal = true
series = { prefix = "NX", count = CODES }
"#;

/// Every version of the rules, and what they bring into a box's tables.
#[derive(Debug)]
pub struct ChainRules {
    bundles: Vec<Arc<Bundle>>,
    files: Vec<(Vec<u8>, [u8; 32])>,
    members: Vec<(Key, Record)>,
    chain: String,
    terms: Terms,
}

impl ChainRules {
    /// Compiles every version, with budgets for so many shops that do not quite last.
    ///
    /// # Panics
    /// If the constants of this file are no valid rules.
    pub fn new(shops: usize) -> ChainRules {
        let authored = authored(shops);
        let terms = Terms::of(&authored.rules);
        let chain = authored.rules.shop.chain.clone();
        let bundle = |version: u64| {
            let reference = BundleRef { version, hash: Arc::from(format!("{version:064x}")) };
            let mut rules = authored.rules.clone();
            if let Some(item) = rules.catalogue.first_mut() {
                item.price.0 += i64::try_from(version).unwrap_or_default();
            }
            Arc::new(Bundle::compile(reference, rules).expect("the rules of the simulation compile"))
        };
        let bundles = (1..=VERSIONS).map(bundle).collect();
        let mut members = Vec::new();
        for member in &authored.members {
            for token in &member.tokens {
                members.push((Key::Token(token.hash(&chain)), Record::Token(member.id.clone())));
            }
            let known = Known {
                profile: member.profile.clone(),
                points: member.points,
                as_of: UnixMs(1_000),
                listed: Some(1),
                withdrawn: false,
                consent_at: None,
            };
            members.push((Key::Member(member.id.clone()), Record::Member(Box::new(known))));
        }
        let files = (1..=VERSIONS).map(made_up).collect();
        ChainRules { bundles, files, members, chain, terms }
    }

    /// A version of the rules; the newest for one that is not there.
    pub(super) fn bundle(&self, version: u64) -> &Arc<Bundle> {
        let place = usize::try_from(version.clamp(1, VERSIONS) - 1).unwrap_or(0);
        &self.bundles[place]
    }

    /// The file of a version and its hash.
    pub(super) fn file(&self, version: u64) -> (&[u8], &[u8; 32]) {
        let place = usize::try_from(version.clamp(1, VERSIONS) - 1).unwrap_or(0);
        let (bytes, hash) = &self.files[place];
        (bytes, hash)
    }

    /// What head office may lend.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Part of every token's hash.
    pub(super) fn chain(&self) -> &str {
        &self.chain
    }

    /// What a bundle lists for a shop: the members, its own codes, and those of a neighbour, which it must refuse.
    pub(super) fn records(&self, shop: usize, shops: usize) -> Vec<(Key, Record)> {
        let mut records = self.members.clone();
        for home in [shop, (shop + 1) % shops.max(1)] {
            for nth in 0..CODES_PER_SHOP {
                let code = CouponCode::new(&code(home, nth)).expect("a code");
                let coupon = CouponId::new("once").expect("a coupon id");
                let home = Some(store_id(home));
                let issued =
                    IssuedCode { coupon, member: None, home, expires: None, listed: Some(1), moved: 0 };
                records.push((Key::Code(code), Record::Code(issued)));
            }
        }
        records
    }
}

/// The bytes that stand for a bundle's file, and their hash.
fn made_up(version: u64) -> (Vec<u8>, [u8; 32]) {
    let mut bytes = Vec::with_capacity(2_560);
    for part in 0..80_u64 {
        bytes.extend_from_slice(&Sha256::digest([version.to_be_bytes(), part.to_be_bytes()].concat()));
    }
    let hash = Sha256::digest(&bytes).into();
    (bytes, hash)
}

/// A shop's name.
pub(super) fn store_id(shop: usize) -> StoreId {
    StoreId::new(&format!("s-{shop}")).expect("a store id")
}

/// A member's name.
pub(super) fn member_id(member: u64) -> MemberId {
    MemberId::new(&format!("m-{member}")).expect("a member id")
}

/// What a member has before anything happened; one who was enrolled in a shop has nothing.
pub(super) fn points_at_first(member: &MemberId) -> i64 {
    if member.as_str().starts_with("m-") { MEMBER_POINTS } else { 0 }
}

/// A single-use code at home in a shop.
pub(super) fn code(shop: usize, nth: u64) -> String {
    format!("ONCE-{shop}-{nth}")
}

fn authored(shops: usize) -> Authored {
    let budget = |each: usize| (shops.max(1) * each).to_string();
    let shop = SHOP
        .replace("RISK", &budget(1_500))
        .replace("OVERDRAFT", &budget(200))
        .replace("MEMBERS", &budget(6));
    let coupons = COUPONS.replace("CODES", &budget(6));
    let promotions = PROMOTIONS.replace("USES", &budget(8)).replace("MONEY", &budget(1_600));
    let mut catalogue = String::new();
    for article in 1..=ARTICLES {
        let price = 490 + article * 730;
        catalogue.push_str(&format!(
            "[[item]]\nsku = \"a-{article}\"\nnames = {{ en = \"Article {article}\" }}\nprice = {price}\nmember_price = {}\n",
            price - 40
        ));
    }
    let files = [
        ("shop.toml", shop.as_str()),
        ("points.toml", POINTS),
        ("promotions.toml", &promotions),
        ("coupons.toml", &coupons),
        ("catalogue.toml", &catalogue),
    ];
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let mut authored = authoring::read(files).unwrap_or_else(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        panic!("the rules of the simulation are not valid: {}", lines.join("; "))
    });
    for member in 1..=MEMBERS {
        authored.members.push(crate::bundle::document::MemberRecord {
            id: member_id(member),
            tokens: vec![Token { kind: TokenKind::Card, value: format!("c-{member}") }],
            points: MEMBER_POINTS,
            profile: crate::domain::member::Profile::default(),
        });
    }
    authored
}
