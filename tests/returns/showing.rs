//! What is a member shown at a scan: how often, in which order, of which campaign; and what is learned of it?

use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{CampaignId, MemberId, Seq};
use aisled::engine::Outcome;
use aisled::engine::advice::Baskets;
use aisled::engine::decision::{Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::{Reply, ScanReply};
use serde_json::{Value, json};

use super::counter::NOON;
use super::{World, rules};

const DAY_MS: i64 = 86_400_000;

/// The tests' rules with a campaign of two offers and a care message, shown as this says.
fn world(show: &Value) -> World {
    let mut authored = rules::authored();
    authored.rules.shop.holdout = 0;
    let campaign = json!({ "id": "tea", "from": "2026-11-01", "to": "2026-12-31", "show": show });
    authored.rules.campaigns.push(serde_json::from_value(campaign).expect("a campaign"));
    for id in ["tea-one", "tea-two"] {
        let promotion = json!({
            "id": id, "titles": { "en": id }, "campaign": "tea", "audience": "member",
            "benefit": { "order_amount": 100 }, "qualifier": { "amount_min": 100_000 },
        });
        authored.rules.promotions.push(serde_json::from_value(promotion).expect("a promotion"));
    }
    let care =
        json!({ "kind": "notice", "campaign": "tea", "audience": "member", "texts": { "en": "tea?" } });
    authored.rules.care.push(serde_json::from_value(care).expect("a care message"));
    World::new(&authored)
}

fn scanned(world: &mut World, member: u32) -> ScanReply {
    let token = json!({ "kind": "card", "value": member.to_string() });
    match world.ask("scan", &json!({ "token": token, "locale": "en" })) {
        Ok(Reply::Scan(reply)) => *reply,
        other => panic!("no scan: {other:?}"),
    }
}

/// Offers of the campaign, and whether its care message is there.
fn tea(reply: &ScanReply) -> (Vec<&str>, bool) {
    let offers =
        reply.offers.iter().map(|offer| offer.promotion.as_str()).filter(|id| id.starts_with("tea-"));
    (
        offers.collect(),
        reply.care.iter().any(|care| care.campaign.as_ref().is_some_and(|id| id.as_str() == "tea")),
    )
}

/// The decision that writes down what was shown; its entry.
fn written(world: &mut World) -> aisled::engine::decision::Entry {
    let input: Input = world.counter.engine.shown().expect("somebody was shown something");
    let mut facts = Facts::default();
    for key in world.counter.engine.needs(&input, &facts.clone()) {
        let record = world.records.get(&key).cloned();
        facts.add(key, record);
    }
    let now = world.counter.now;
    let Outcome::Decided(entry) = world.counter.engine.handle(input, facts, now) else {
        panic!("not decided")
    };
    let entry = aisled::engine::decision::Entry::decode(&entry.encode()).expect("it reads what it writes");
    for change in entry.changes.iter() {
        world.records.insert(change.key.clone(), change.record.clone().expect("nothing is removed"));
    }
    entry
}

#[test]
fn how_often_is_a_campaign_shown_to_a_member() {
    let mut world = world(&json!({ "per_day": 2, "days_apart": 0, "ever": 3, "worth": 100 }));
    let both = (vec!["tea-one", "tea-two"], true);
    assert_eq!(tea(&scanned(&mut world, 2_001)), both);
    assert_eq!(tea(&scanned(&mut world, 2_001)), both, "the second time, before the first is written");
    assert_eq!(tea(&scanned(&mut world, 2_001)), (vec![], false), "neither offers nor words");
    assert_eq!(tea(&scanned(&mut world, 2_002)), both, "it is each member's own bound");
    let entry = written(&mut world);
    let Input::Shown(shown) = &entry.input else { panic!("{:?}", entry.input) };
    assert_eq!(shown[0].cared, [CampaignId::new("tea").expect("an id")]);
    assert!(shown[2].cared.is_empty());
    assert_eq!(tea(&scanned(&mut world, 2_001)), (vec![], false), "nor once it is written");
    world.counter.now = UnixMs(NOON.0 + DAY_MS);
    assert_eq!(tea(&scanned(&mut world, 2_001)), both, "on another day");
    assert_eq!(tea(&scanned(&mut world, 2_001)), (vec![], false), "three times ever");
    written(&mut world);
    let key = Key::History(MemberId::new("m-2001").expect("an id"));
    let Some(Record::History(history)) = world.records.get(&key) else { panic!("nothing is remembered") };
    assert_eq!((history.shown.len(), history.shown[0].ever, history.shown[0].days.len()), (1, 3, 3));
    let stranger = scanned(&mut world, 9_999);
    assert!(stranger.member.is_none() && !tea(&stranger).1, "the care message is for members");
}

#[test]
fn is_anything_remembered_of_who_takes_consent_back() {
    let mut world = world(&json!({ "per_day": 1 }));
    scanned(&mut world, 2_001);
    let card = json!({ "kind": "card", "value": "2001" });
    let taken_back =
        json!({ "kind": "desk", "member": card, "consent": { "programme": true, "personal": false } });
    assert!(world.ask("event", &taken_back).is_ok());
    let entry = written(&mut world);
    assert!(entry.changes.is_empty(), "between being shown and it being written: {entry:?}");
    assert!(!world.records.contains_key(&Key::History(MemberId::new("m-2001").expect("an id"))));
    for _ in 0..3 {
        assert!(tea(&scanned(&mut world, 2_001)).1, "who is not known by purchases is not counted either");
    }
    assert!(world.counter.engine.shown().is_none(), "and nothing is written down");
}

#[test]
fn in_which_order_do_offers_stand() {
    let first = |show: &Value, member| {
        let mut world = world(show);
        let reply = scanned(&mut world, member);
        reply.offers.iter().map(|offer| offer.promotion.to_string()).collect::<Vec<_>>()
    };
    let plain = first(&json!({}), 2_001);
    assert!(
        !plain.iter().take(2).any(|id| id.starts_with("tea-")),
        "worth nothing said is worth nothing: {plain:?}"
    );
    assert_eq!(first(&json!({ "worth": 500 }), 2_001)[..2], ["tea-one", "tea-two"]);
    let loss = first(&json!({ "worth": -500 }), 2_001);
    assert!(
        !loss.iter().any(|id| id.starts_with("tea-")),
        "a loss stands last, and there are twelve others: {loss:?}"
    );
    // One of the two, the same all day, and not the same for everybody.
    let pick = json!({ "worth": 500, "pick": { "least": 1_000, "most": 9_000 } });
    let picked = |member| {
        let all = first(&pick, member);
        let tea: Vec<String> = all.into_iter().filter(|id| id.starts_with("tea-")).collect();
        assert_eq!(tea.len(), 1);
        tea[0].clone()
    };
    assert_eq!(picked(2_001), picked(2_001));
    let different: std::collections::BTreeSet<String> = (2_001..2_011).map(picked).collect();
    assert_eq!(different.len(), 2);
}

#[test]
fn is_a_campaign_shown_beyond_its_pace_or_to_those_kept_back_from_all() {
    let mut paced = world(&json!({ "worth": 500, "pace": 0 }));
    assert_eq!(tea(&scanned(&mut paced, 2_001)), (vec![], false), "there is no money");
    let mut authored = rules::authored();
    authored.rules.shop.holdout = 10_000;
    let mut nobody = World::new(&authored);
    let offers = scanned(&mut nobody, 2_001).offers;
    let of_a_campaign = |id: &&aisled::engine::reply::Offer| {
        authored.rules.promotions.iter().any(|known| known.id == id.promotion && known.campaign.is_some())
    };
    assert_eq!(offers.iter().filter(of_a_campaign).count(), 0);
    assert!(!offers.is_empty(), "what belongs to no campaign is no campaign's");
}

/// Members who come often answer, the others do not: the shop's own model puts the campaign first for those only.
#[test]
fn does_the_shop_learn_who_answers() {
    let mut world = world(&json!({ "worth": 1_000 }));
    let mut baskets = Baskets::default();
    let bundle = world.bundle.clone();
    let buy = |world: &mut World, member: u32, qty: u32| {
        let data = json!({ "basket": { "lines": [{ "line": "1", "sku": super::SKUS[1], "qty": qty }] },
            "member": { "kind": "card", "value": member.to_string() } });
        world.sell(data);
    };
    let mut folded = Seq(0);
    for week in 0..30 {
        world.counter.now = UnixMs(NOON.0 + week * 16 * DAY_MS);
        for member in 2_001..2_011_u32 {
            scanned(&mut world, member);
        }
        let entry = written(&mut world);
        world.entries.insert(entry.seq, entry);
        for member in 2_001..2_006 {
            // The regulars answer within the fortnight: a basket of ten bottles gets the money off.
            for visit in 1..4 {
                world.counter.now = UnixMs(NOON.0 + (week * 16 + visit) * DAY_MS);
                buy(&mut world, member, if visit == 3 { 10 } else { 1 });
            }
        }
        for (seq, entry) in world.entries.range(folded..) {
            baskets.fold(entry, &bundle);
            folded = Seq(seq.0 + 1);
        }
    }
    world.counter.now = UnixMs(NOON.0 + 40 * 16 * DAY_MS);
    let today = bundle.shop.time_zone.civil(world.counter.now).day;
    let learned = baskets.learned(today);
    let campaign = CampaignId::new("tea").expect("an id");
    let (shown, answered) = learned.counts(&campaign);
    assert!(shown >= 200 && answered >= 30 && answered <= shown * 6 / 10, "{answered} of {shown}");
    assert!(learned.spent_of(&campaign, today).0 > 0);
    let chance = |member: &str| {
        let key = Key::History(MemberId::new(member).expect("an id"));
        let Some(Record::History(history)) = world.records.get(&key) else { panic!("known") };
        let last = bundle.shop.time_zone.civil(UnixMs(NOON.0 + 29 * 16 * DAY_MS)).day;
        let day = i32::try_from(last.number()).expect("small");
        learned.probability(&campaign, history, day).expect("a model")
    };
    assert!(chance("m-2001") > 0.6 && chance("m-2010") < 0.4, "{} {}", chance("m-2001"), chance("m-2010"));
}
