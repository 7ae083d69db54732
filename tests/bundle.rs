//! Bundles from the outside: what a folder's author is told, what a box refuses, what survives the way between them.

#[path = "bundle/advice.rs"]
mod advice;
#[path = "bundle/attacks.rs"]
mod attacks;
#[path = "support/onnx.rs"]
mod onnx;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use aisled::bundle::authoring::{self, Authored, Finding};
use aisled::bundle::document::{CodeRecord, MemberRecord, Rules};
use aisled::bundle::keys::{PublicKey, SecretKey};
use aisled::bundle::packed::{self, Admission, BundleError};
use aisled::bundle::{Bundle, diff};
use aisled::cli::Exit;
use aisled::cli::bundle::{self as verb, BundleArgs, BundleVerb, EXAMPLE, Surroundings};
use aisled::clock::{Stopwatch, SystemClock};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::domain::ids::{CouponCode, MemberId, StoreId};

const SHOP: &str = r#"chain = "sunrise"
currency = { code = "CNY" }
time_zone = "Asia/Shanghai"
"#;

fn folder(files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn example() -> Authored {
    authoring::read(folder(EXAMPLE)).expect("the example is right")
}

fn places(result: Result<Authored, Vec<Finding>>) -> Vec<String> {
    let findings = result.expect_err("the folder is wrong");
    findings
        .iter()
        .map(|finding| format!("{}:{}:{} {}", finding.file, finding.line, finding.column, finding.code))
        .collect()
}

/// When the tests sign.
const SIGNED: UnixMs = UnixMs(1_794_888_000_000);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn admission(trusted: &[PublicKey]) -> Admission<'_> {
    Admission { trusted, floor: 0, store: None }
}

fn open(file: &[u8], admission: &Admission<'_>) -> Result<Authored, BundleError> {
    let mut opened = packed::open(Cursor::new(file), admission)?;
    let members = opened.members()?.collect::<Result<Vec<MemberRecord>, _>>()?;
    let codes = opened.codes()?.collect::<Result<Vec<CodeRecord>, _>>()?;
    Ok(Authored { rules: opened.rules, members, codes })
}

#[test]
fn are_five_mistakes_in_one_folder_all_named_with_their_place() {
    let files = folder(&[
        (
            "shop.toml",
            "chain = \"sunrise\"\ncurrency = { code = \"CNY\" }\ntime_zone = \"Asia/Shanghia\"\nquote_secs = 3\n",
        ),
        ("catalogue.toml", "[[item]]\nsku = \"a\"\nprice = 12.5\n\n[[item]]\nsku = \"ü\"\nprice = 1\n"),
        (
            "promotions.toml",
            "[[promotion]]\nid = \"p\"\ntitles = { en = \"P\" }\nbenefit = { line_persent = 10 }\n",
        ),
        ("coupons.json", "{\n  \"coupon\": [\n    { \"id\": \"c\",\n      \"promotion\": 5 }\n  ]\n}\n"),
        ("care.toml", "[[care]\n"),
    ]);
    assert_eq!(
        places(authoring::read(files)),
        [
            "care.toml:1:8 AIS-3103",
            "catalogue.toml:3:9 AIS-3104",
            "catalogue.toml:6:7 AIS-3104",
            "coupons.json:4:20 AIS-3104",
            "promotions.toml:4:13 AIS-3104",
            "shop.toml:3:13 AIS-3104",
            "shop.toml:4:1 AIS-3104",
        ]
    );
}

#[test]
fn are_experiments_that_cannot_be_named_at_the_campaign_that_makes_them() {
    let campaign = |id: &str, more: &str| format!("[[campaign]]\nid = \"{id}\"\n{more}\n");
    let layer = |from: u16, to: u16| format!("layer = {{ id = \"l\", from = {from}, to = {to} }}");
    let said = |campaigns: [String; 2]| {
        places(authoring::read(folder(&[("shop.toml", SHOP), ("campaigns.toml", &campaigns.concat())])))
    };
    let plain = || campaign("b", "");
    assert_eq!(said([campaign("a", "holdout = 10001"), plain()]), ["campaigns.toml:3:11 AIS-8103"]);
    assert_eq!(said([campaign("a", &layer(5, 5)), plain()]), ["campaigns.toml:3:9 AIS-8103"]);
    assert_eq!(said([plain(), campaign("a", &layer(0, 10_001))]), ["campaigns.toml:6:9 AIS-8103"]);
    let overlap = [campaign("a", &layer(0, 5_001)), campaign("b", &layer(5_000, 10_000))];
    assert_eq!(said(overlap), ["campaigns.toml:6:9 AIS-8103"]);
    let apart = [campaign("a", &layer(0, 5_000)), campaign("b", &layer(5_000, 10_000))].concat();
    let read = authoring::read(folder(&[("shop.toml", SHOP), ("campaigns.toml", &apart)]));
    read.expect("campaigns of a layer that share no member");
}

#[test]
fn are_mistakes_between_files_named_at_the_entry_that_makes_them() {
    let files = folder(&[
        ("shop.toml", &format!("{SHOP}[[tiers]]\nid = \"gold\"\n")),
        ("catalogue.toml", "[[item]]\nsku = \"a\"\nprice = 100\n[[item]]\nsku = \"a\"\nprice = -1\n"),
        ("segments.toml", "[[segment]]\nid = \"s\"\nwhen = 'tier == \"gold\" && pionts > 3'\n"),
        (
            "promotions.toml",
            "[[promotion]]\nid = \"p\"\ntitles = { en = \"P\" }\naudience = { any = [\"member\", { segment = [\"t\"] }] }\n\
             benefit = { gift = { choices = [\"a\", \"b\"] } }\nschedule = { from = 2026-02-01, to = 2026-01-01 }\n",
        ),
        ("coupons.toml", "[[coupon]]\nid = \"c\"\npromotion = \"q\"\n"),
        (
            "codes.json",
            "{ \"code\": [\n { \"code\": \"X1\", \"coupon\": \"c\" },\n { \"code\": \"x1\", \"coupon\": \"d\" },\n { \"code\": \"pv1:1\", \"coupon\": \"c\" } ] }",
        ),
        ("members.json", "{ \"member\": [ { \"id\": \"m\", \"profile\": { \"tier\": \"golden\" } } ] }"),
        (
            "partners.toml",
            "[[partner]]\nid = \"mall\"\nkeys = []\npromotions = [\"q\", \"p\"]\nvalue_max = 0\n",
        ),
    ]);
    assert_eq!(
        places(authoring::read(files)),
        [
            "catalogue.toml:5:7 AIS-3105",
            "catalogue.toml:6:9 AIS-3108",
            "codes.json:3:12 AIS-3105",
            "codes.json:3:28 AIS-3106",
            "codes.json:4:12 AIS-3109",
            "coupons.toml:3:13 AIS-3106",
            "members.json:1:49 AIS-3106",
            "partners.toml:3:8 AIS-3109",
            "partners.toml:4:15 AIS-3106",
            "partners.toml:4:20 AIS-3106",
            "partners.toml:5:13 AIS-3109",
            "promotions.toml:4:44 AIS-3106",
            "promotions.toml:5:38 AIS-3108",
            "promotions.toml:6:38 AIS-3108",
            "segments.toml:3:27 AIS-3107",
        ]
    );
}

#[test]
fn where_does_a_folder_name_a_series_that_cannot_be_lent() {
    let said = |members: &str, coupons: &str| {
        let shop = format!("{SHOP}leases = {{ members = {members} }}\n");
        let promotions = "[[promotion]]\nid = \"p\"\ntitles = { en = \"P\" }\ntrigger = \"code\"\nbenefit = { order_amount = 5 }\n\
            [[promotion]]\nid = \"q\"\ntitles = { en = \"Q\" }\naudience = \"member\"\ntrigger = \"claim\"\n\
            benefit = { points_redeem = { points = 9, coupon = { coupon = \"bought\", valid_days = 9 } } }\n";
        let files =
            [("shop.toml", shop.as_str()), ("promotions.toml", promotions), ("coupons.toml", coupons)];
        match authoring::read(folder(&files)) {
            Ok(_) => Vec::new(),
            refused => places(refused),
        }
    };
    let coupon = |id: &str, more: &str| format!("[[coupon]]\nid = \"{id}\"\npromotion = \"p\"\n{more}\n");
    let members = "{ prefix = \"MB\", count = 10 }";
    let series = |prefix: &str| format!("series = {{ prefix = \"{prefix}\", count = 10 }}");
    let bought = coupon("bought", "");
    let with = |coupons: &str| said(members, &format!("{bought}{coupons}"));
    assert_eq!(with(&[coupon("a", &series("NX")), coupon("b", &series("NY"))].concat()), [""; 0]);
    assert_eq!(with(&coupon("a", &series("MB"))), ["coupons.toml:8:21 AIS-3105"], "the members'");
    assert_eq!(
        with(&[coupon("a", &series("NX")), coupon("b", &series("NX"))].concat()),
        ["coupons.toml:12:21 AIS-3105"]
    );
    assert_eq!(with(&coupon("a", &series("nx"))), ["coupons.toml:8:21 AIS-3104"]);
    let none = "series = { prefix = \"NX\", count = 0 }";
    assert_eq!(with(&coupon("a", none)), ["coupons.toml:8:35 AIS-3109"]);
    let public = format!("code = \"FLYER\"\n{}", series("NX"));
    assert_eq!(with(&coupon("a", &public)), ["coupons.toml:9:10 AIS-3109"], "everybody's");
    let sold = coupon("bought", &series("NX"));
    assert_eq!(said(members, &sold), ["coupons.toml:4:10 AIS-3109"], "points would be spent for nothing");
    let many = "{ prefix = \"MB\", count = 1000000001 }";
    assert_eq!(said(many, &bought), ["shop.toml:4:47 AIS-3109"]);
}

#[test]
fn where_does_a_folder_name_what_cannot_be_measured_or_shown() {
    let scales = "[scales.lifetime]\nr = nan\nalpha = 1\na = 1\nb = 1\n";
    assert_eq!(
        places(authoring::read(folder(&[("shop.toml", &format!("{SHOP}{scales}"))]))),
        ["shop.toml:5:5 AIS-3104"]
    );
    let groups = "[scales.groups]\nfeatures = [\"visits_13w\"]\ndeviations = [1]\ncentres = [[1], [1, 2]]\n";
    assert_eq!(
        places(authoring::read(folder(&[("shop.toml", &format!("{SHOP}{groups}"))])))[0][..10],
        *"shop.toml:"
    );
    let article = "[[item]]\nsku = \"a\"\nprice = 100\ncategories = [\"food\", \"dairy\"]\n";
    let with = |files: &[(&str, &str)]| {
        let all = [("shop.toml", SHOP), ("catalogue.toml", article)];
        places(authoring::read(folder(&[&all, files].concat())))
    };
    let segment = |when: &str| format!("[[segment]]\nid = \"s\"\nwhen = '{when}'\n");
    for (when, column) in
        [("visits > 1 && attr.size > 3", 28), ("share[\"dary\"] > 10", 15), ("rfm.segment == \"Best\"", 9)]
    {
        assert_eq!(
            with(&[("segments.toml", &segment(when))]),
            [format!("segments.toml:3:{column} AIS-3107")],
            "{when}"
        );
    }
    let campaign = |show: &str| format!("[[campaign]]\nid = \"c\"\nshow = {show}\n");
    for show in [
        "{ per_week = 17 }",
        "{ weight = 10001 }",
        "{ pace = 100 }",
        "{ pick = { least = 2, most = 1 } }",
        "{ response = { weights = { vists = 1 } } }",
        "{ response = { weights = { tier = 1 } } }",
    ] {
        let found = with(&[("campaigns.toml", &campaign(show))]);
        assert!(
            found.len() == 1 && found[0].starts_with("campaigns.toml:3:") && found[0].ends_with("AIS-3109"),
            "{show}: {found:?}"
        );
    }
    let odd = with(&[("campaigns.toml", &campaign("{ response = { weights = { visits = inf } } }"))]);
    assert!(odd.len() == 1 && odd[0].ends_with("AIS-3104"), "{odd:?}");
    let care = "[[care]]\nkind = \"notice\"\ncampaign = \"nobody\"\ntexts = { en = \"hello\" }\n";
    assert_eq!(with(&[("care.toml", care)]), ["care.toml:3:12 AIS-3106"]);
    let factors = |numbers: &str| format!("{{ \"item\": [ {{ \"sku\": \"a\", \"numbers\": {numbers} }} ] }}");
    assert!(with(&[("factors.json", &factors("[]"))])[0].ends_with("AIS-3109"));
    assert!(with(&[("factors.json", &factors("[1, 1e9]"))])[0].ends_with("AIS-3104"));
    let two =
        "{ \"item\": [ { \"sku\": \"a\", \"numbers\": [1, 2] }, { \"sku\": \"b\", \"numbers\": [1] } ] }";
    let found = with(&[("factors.json", two)]);
    assert_eq!(
        found.iter().map(|line| &line[line.len() - 8..]).collect::<Vec<_>>(),
        ["AIS-3106", "AIS-3109"],
        "{found:?}"
    );
}

/// Two articles: whoever bought the first is told of the second.
fn with_network(file: &str, model: &[u8], columns: &str) -> Result<Authored, Vec<Finding>> {
    let articles = "[[item]]\nsku = \"a\"\nprice = 100\n[[item]]\nsku = \"b\"\nprice = 200\n";
    let mut files = folder(&[("shop.toml", SHOP), ("catalogue.toml", articles)]);
    if !columns.is_empty() {
        files.push(("network.json".to_owned(), columns.as_bytes().to_vec()));
    }
    files.push((file.to_owned(), model.to_vec()));
    authoring::read(files)
}

#[test]
fn is_a_network_taken_with_its_columns_and_refused_by_name() {
    let good = onnx::layer(&[-50.0, 50.0, 0.0, 0.0], &[0.0, 0.0]);
    let columns = |skus: &[&str]| {
        let items: Vec<String> = skus.iter().map(|sku| format!("{{ \"sku\": \"{sku}\" }}")).collect();
        format!("{{ \"item\": [ {} ] }}", items.join(", "))
    };
    let both = columns(&["a", "b"]);
    let network =
        with_network("network.onnx", &good, &both).expect("it is right").rules.network.expect("it is kept");
    assert_eq!((network.items.len(), &network.model.0), (2, &good));
    for (model, columns, code) in [
        (&good[..40], &*both, "network.onnx:0:0 AIS-3023"),
        (b"", &both, "network.onnx:0:0 AIS-3023"),
        (&*onnx::layer(&[0.0; 9], &[0.0; 3]), &both, "network.onnx:0:0 AIS-3021"),
        (&*onnx::layer(&[0.0, f32::NAN, 0.0, 0.0], &[0.0; 2]), &both, "network.onnx:0:0 AIS-3022"),
        (
            &*onnx::model((2, 2), &[], &[onnx::node("Loop", &["x"], "y", &[])]),
            &both,
            "network.onnx:0:0 AIS-3024",
        ),
        (&vec![0; 9_000_000], &both, "network.onnx:0:0 AIS-3025"),
        (&good, &columns(&["a", "c"]), "network.json:1:38 AIS-3106"),
        (&good, "", "network.json:0:0 AIS-3102"),
    ] {
        assert_eq!(places(with_network("network.onnx", model, columns)), [code]);
    }
    assert!(places(with_network("network.onnx", &good, &columns(&["a", "a"])))[0].ends_with("AIS-3105"));
    assert_eq!(
        places(with_network("next.onnx", &good, &both)),
        ["network.onnx:0:0 AIS-3102", "next.onnx:0:0 AIS-3101"]
    );
}

#[test]
fn does_a_network_survive_the_way_to_a_box_and_a_bad_one_cost_no_rules() {
    let columns = "{ \"item\": [ { \"sku\": \"a\" }, { \"sku\": \"b\" } ] }";
    let good = onnx::layer(&[-50.0, 50.0, 0.0, 0.0], &[0.0, 0.0]);
    let mut rules = with_network("network.onnx", &good, columns).expect("it is right").rules;
    let way = |rules: &Rules| {
        let file = packed::pack(1, SIGNED, rules, &[], &[], &key(7)).expect("it packs");
        let opened = packed::open(Cursor::new(file), &admission(&[key(7).public()])).expect("it opens");
        assert_eq!(opened.rules.network, rules.network);
        let text = serde_json::to_string(&rules).expect("it is written");
        assert_eq!(serde_json::from_str::<Rules>(&text).expect("it is read").network, rules.network);
        Bundle::compile(opened.reference, opened.rules)
            .expect("the rules are good")
            .network
            .expect("it is there")
    };
    let columns = way(&rules).expect("it is good");
    assert_eq!((columns.network.width(), columns.items.len()), (2, 2));
    let network = rules.network.as_mut().expect("it is there");
    network.model.0.truncate(100);
    assert_eq!(way(&rules).expect_err("it is cut short").code(), Code::ModelUnreadable);
    let other = Rules { network: None, ..rules.clone() };
    let told: Vec<String> = diff::differences(&rules, &other).iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].starts_with("~ network:") && told[0].len() < 300, "{told:?}");
}

#[test]
fn which_files_does_a_folder_hold() {
    let with = |path: &str, text: &str| authoring::read(folder(&[("shop.toml", SHOP), (path, text)]));
    assert!(with("README.md", "words").is_ok());
    assert!(with(".git/config.toml", "[x").is_ok());
    assert!(with("promotions/summer.toml", "").is_ok());
    assert_eq!(places(with("promotion.toml", "")), ["promotion.toml:0:0 AIS-3101"]);
    assert!(places(with("shop.json", "{}")).contains(&"shop.toml:0:0 AIS-3105".to_owned()));
    assert_eq!(places(authoring::read(Vec::new())), ["shop.toml:0:0 AIS-3102"]);
    let gbk = vec![("shop.toml".to_owned(), b"chain = \"a\"\nnames = { zh-CN = \"\xb3\xac\" }".to_vec())];
    assert_eq!(places(authoring::read(gbk)), ["shop.toml:2:20 AIS-3103"]);
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    assert_eq!(places(with("care.json", &deep)), ["care.json:1:33 AIS-3103"]);
    let deep = format!("care = {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(places(with("care.toml", &deep)), ["care.toml:1:88 AIS-3103"]);
}

#[test]
fn do_promotions_keep_the_order_of_paths_and_files() {
    let promotion = |id: &str| {
        format!("[[promotion]]\nid = \"{id}\"\ntitles = {{ en = \"x\" }}\nbenefit = \"member_price\"\n")
    };
    let files = folder(&[
        ("promotions/b.toml", &promotion("four")),
        ("promotions.toml", &(promotion("two") + &promotion("one"))),
        ("promotions/a.toml", &promotion("three")),
        ("shop.toml", SHOP),
    ]);
    let authored = authoring::read(files).expect("the folder is right");
    let ids: Vec<&str> = authored.rules.promotions.iter().map(|promotion| promotion.id.as_str()).collect();
    assert_eq!(ids, ["two", "one", "three", "four"]);
}

#[test]
fn does_a_bundle_survive_being_packed() {
    let authored = example();
    let pack = || packed::pack(3, SIGNED, &authored.rules, &authored.members, &authored.codes, &key(1));
    let file = pack().expect("the example packs");
    assert_eq!(file, pack().expect("the example packs"), "the same input gives the same bytes");
    let trusted = [key(2).public(), key(1).public()];
    assert_eq!(open(&file, &admission(&trusted)).expect("our own file"), authored);

    let opened = packed::open(Cursor::new(&file), &admission(&trusted)).expect("our own file");
    assert_eq!((opened.reference.version, opened.member_count(), opened.code_count()), (3, 2, 2));
    assert_eq!(opened.signed_at, SIGNED, "how fresh its members are");
    let unproved = packed::reference(Cursor::new(&file)).expect("our own file");
    assert_eq!(opened.reference, unproved, "the hash is that of the whole file");
    let bundle = Bundle::compile(opened.reference, opened.rules).expect("the example compiles");
    let flyer = bundle.generic(&CouponCode::normal("warm10").expect("a code")).expect("the flyer's code");
    assert_eq!(flyer.id.as_str(), "flyer");
}

#[test]
fn is_a_bundle_refused_wherever_a_byte_is_changed() {
    let authored = example();
    let file =
        packed::pack(3, SIGNED, &authored.rules, &authored.members, &authored.codes, &key(1)).expect("packs");
    let trusted = [key(1).public()];
    for place in 0..file.len() {
        for flip in [0x01, 0x80] {
            let mut changed = file.clone();
            changed[place] ^= flip;
            assert!(open(&changed, &admission(&trusted)).is_err(), "byte {place} ^ {flip:#x}");
        }
    }
}

#[test]
fn is_a_bundle_refused_wherever_it_is_cut() {
    let authored = example();
    let file =
        packed::pack(3, SIGNED, &authored.rules, &authored.members, &authored.codes, &key(1)).expect("packs");
    let trusted = [key(1).public()];
    for length in 0..file.len() {
        let error = open(&file[..length], &admission(&trusted)).err();
        match error {
            Some(BundleError::NotABundle) if length == 0 => {}
            Some(BundleError::Truncated) if length > 0 => {}
            other => panic!("cut at {length}: {other:?}"),
        }
    }
    let mut longer = file;
    longer.push(0);
    let error = open(&longer, &admission(&trusted)).expect_err("a byte follows the end");
    assert_eq!(error.code(), Code::BundleMalformed);
}

#[test]
fn which_bundles_does_a_box_refuse() {
    let authored = example();
    let mut rules = authored.rules;
    rules.shop.stores = vec![StoreId::new("sh-001").expect("an id")];
    let pack = |version, seed| packed::pack(version, SIGNED, &rules, &[], &[], &key(seed)).expect("packs");
    let trusted = [key(1).public()];
    let (here, there) = (StoreId::new("sh-001").expect("an id"), StoreId::new("sh-002").expect("an id"));
    let with = |floor, store| Admission { trusted: &trusted, floor, store };
    let code = |file: &[u8], admission: &Admission<'_>| open(file, admission).err().map(|error| error.code());

    assert_eq!(code(&pack(5, 1), &with(5, Some(&here))), None);
    assert_eq!(code(&pack(4, 1), &with(5, None)), Some(Code::BundleOlder));
    assert_eq!(code(&pack(5, 2), &with(0, None)), Some(Code::BundleKeyUnknown));
    assert_eq!(code(&pack(5, 1), &with(0, Some(&there))), Some(Code::BundleWrongStore));
    assert_eq!(code(b"PK\x03\x04 and so on", &with(0, None)), Some(Code::NotABundle));
    assert_eq!(code(&pack(5, 1), &admission(&[])), Some(Code::BundleKeyUnknown));

    let mut newer = pack(5, 1);
    newer[9] = 4;
    assert_eq!(code(&newer, &with(0, None)), Some(Code::BundleFormatUnknown));

    let mut unsigned = pack(5, 1);
    let signature = unsigned.len() - 64;
    unsigned[signature..].fill(0);
    assert_eq!(code(&unsigned, &with(0, None)), Some(Code::BundleSignatureBad));

    // Another's bundle under the name of a trusted key.
    let mut foreign = pack(5, 2);
    foreign[26..34].copy_from_slice(&key(1).public().id().0);
    assert_eq!(code(&foreign, &with(0, None)), Some(Code::BundleSignatureBad));
}

/// A bundle whose header and sections are as wanted, rightly signed: what only a mistaken head office could make.
fn forged(sections: [(Vec<u8>, u64, u64); 3]) -> Vec<u8> {
    use ed25519_dalek::Signer;
    use sha2::{Digest, Sha256};
    let secret = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let mut file = packed::MAGIC.to_vec();
    file.extend(2_u16.to_be_bytes());
    file.extend(9_u64.to_be_bytes());
    file.extend(SIGNED.0.to_be_bytes());
    file.extend(key(1).public().id().0);
    for (bytes, unpacked, records) in &sections {
        file.extend((bytes.len() as u64).to_be_bytes());
        file.extend(unpacked.to_be_bytes());
        file.extend(records.to_be_bytes());
        file.extend(Sha256::digest(bytes));
    }
    for (bytes, ..) in &sections {
        file.extend(bytes);
    }
    let message = [b"aisled bundle 2\n".as_slice(), &Sha256::digest(&file)].concat();
    let signature = secret.sign(&message).to_bytes();
    file.extend(signature);
    file
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 9).expect("packs")
}

fn record(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short body");
    [length.to_be_bytes().as_slice(), body].concat()
}

fn rules_section(rules: &Rules) -> (Vec<u8>, u64, u64) {
    let body = record(&rmp_serde::to_vec_named(rules).expect("encodes"));
    (zstd(&body), body.len() as u64, 1)
}

#[test]
fn does_a_rightly_signed_but_wrong_bundle_do_harm() {
    let authored = example();
    let empty = || (zstd(b""), 0, 0);
    let trusted = [key(1).public()];
    let refused = |sections| {
        let error = open(&forged(sections), &admission(&trusted)).expect_err("it is wrong");
        (error.code(), error.to_string())
    };
    let good = || rules_section(&authored.rules);
    assert!(open(&forged([good(), empty(), empty()]), &admission(&trusted)).is_ok(), "the forger can write");

    let zeros = vec![0_u8; 100 * 1024 * 1024];
    let bomb = zstd(&zeros);
    assert_eq!(refused([good(), (bomb.clone(), zeros.len() as u64, 1_000), empty()]).0, Code::BundleRatio);
    assert_eq!(refused([good(), (bomb.clone(), 2 << 30, 1_000), empty()]).0, Code::BundleTooLarge);
    assert_eq!(refused([good(), (zstd(b""), 0, u64::MAX), empty()]).0, Code::BundleTooLarge);
    // A bomb that promises little is read no further than its promise.
    let (code, text) = refused([good(), (bomb, 1_000, 10), empty()]);
    assert_eq!(code, Code::BundleMalformed, "{text}");

    let deep = record(&[0x91; 20_000]);
    for (wrong, records) in [
        (record(b"\xc0"), 1),
        (record(b""), 1),
        (record(&[0x80, 0x80]), 1),
        (deep, 1),
        (vec![0xff; 8], 1),
        (vec![0, 0], 1),
        (Vec::new(), 1),
        (record(b"\x80"), 0),
    ] {
        let section = (zstd(&wrong), wrong.len() as u64, records);
        assert_eq!(refused([good(), empty(), section.clone()]).0, Code::BundleMalformed, "{wrong:?}");
        assert_eq!(refused([section, empty(), empty()]).0, Code::BundleMalformed, "{wrong:?}");
    }
    assert_eq!(refused([good(), (b"not zstd".to_vec(), 8, 1), empty()]).0, Code::BundleMalformed);
}

#[test]
fn are_many_members_read_one_at_a_time() {
    let authored = example();
    let id = |n: u32| MemberId::new(&format!("m-{n}")).expect("an id");
    let member = |n: u32| MemberRecord { id: id(n), ..authored.members[0].clone() };
    let members: Vec<MemberRecord> = (0..50_000).map(member).collect();
    let file = packed::pack(1, SIGNED, &authored.rules, &members, &[], &key(1)).expect("packs");
    let trusted = [key(1).public()];
    let mut opened = packed::open(Cursor::new(&file), &admission(&trusted)).expect("opens");
    let read = opened.members().expect("seeks").map(|member| member.expect("reads").id);
    assert!(read.eq(members.iter().map(|member| member.id.clone())));
}

#[test]
fn is_the_published_schema_that_of_the_code() {
    let bless = std::env::var_os("AISLED_BLESS").is_some();
    for (name, schema) in authoring::schemas() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/schema/{name}.json"));
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if bless {
            fs::write(&path, &text).expect("the schema is written");
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(published == text, "{} is stale; run this test with AISLED_BLESS=1", path.display());
    }
}

#[test]
fn what_changed_between_two_bundles() {
    let before = example().rules;
    let mut now = before.clone();
    now.promotions[0].active = false;
    now.promotions.swap(1, 2);
    now.catalogue.remove(0);
    now.shop.quote_seconds = 60;
    let lines: Vec<String> = diff::differences(&before, &now).iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "~ shop: quote_seconds 300 -> 60");
    assert_eq!(lines[1], "- item 6901234000017");
    assert_eq!(lines[2], "~ promotion member-price: active true -> false");
    assert!(lines[3].starts_with("~ promotions: order of application [\"member-price\""), "{}", lines[3]);
    assert_eq!(lines.len(), 4);
    assert!(diff::differences(&before, &before).is_empty());
}

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, verb: BundleVerb) -> (Exit, String) {
        let mut out = Vec::new();
        let exit =
            verb::run(&BundleArgs { verb }, &Surroundings::default(), &mut out).expect("the verb runs");
        (exit, String::from_utf8(out).expect("text"))
    }

    fn sign(&self, version: u64) -> (Exit, String) {
        let output = self.path(&format!("{version}.aisb"));
        let (dir, key, terms) = (self.path("folder"), self.path("key"), Default::default());
        self.run(BundleVerb::Sign { dir, key, version, output, terms })
    }

    fn install(&self, name: &str) -> (Exit, String) {
        let key = vec![self.path("key.pub").display().to_string()];
        self.run(BundleVerb::Install { file: self.path(name), data: self.path("data"), key })
    }
}

#[test]
fn does_the_way_from_init_to_install_work_as_its_readme_says() {
    let desk = Desk::new();
    fs::create_dir(desk.path("data")).expect("a directory");
    assert_eq!(desk.run(BundleVerb::Init { dir: desk.path("folder") }).0, Exit::Ok);
    let check = BundleVerb::Check { path: desk.path("folder"), key: Vec::new(), json: false };
    let (exit, text) = desk.run(check);
    assert_eq!(exit, Exit::Ok, "{text}");
    assert_eq!(desk.run(BundleVerb::Keygen { file: desk.path("key") }).0, Exit::Ok);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(desk.path("key")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for version in [1, 2, 3] {
        assert_eq!(desk.sign(version).0, Exit::Ok);
    }
    let key = vec![desk.path("key.pub").display().to_string()];
    let (exit, text) =
        desk.run(BundleVerb::Verify { file: desk.path("2.aisb"), key: key.clone(), store: None });
    assert_eq!(exit, Exit::Ok, "{text}");

    assert_eq!(desk.install("2.aisb").0, Exit::Ok);
    let installed = desk.path("data/bundles/inbox/2.aisb");
    assert_eq!(fs::read(&installed).expect("installed"), fs::read(desk.path("2.aisb")).expect("signed"));
    let (exit, text) = desk.install("2.aisb");
    assert_eq!((exit, text.contains("already")), (Exit::Ok, true));
    let (exit, text) = desk.install("1.aisb");
    assert_eq!((exit, text.contains("AIS-3005")), (Exit::Finding, true), "{text}");
    assert!(!desk.path("data/bundles/inbox/1.aisb").exists());

    // The daemon took it: the version still cannot go down.
    fs::rename(&installed, desk.path("data/bundles/active.aisb")).expect("renamed");
    assert_eq!(desk.install("1.aisb").0, Exit::Finding);
    assert_eq!(desk.install("3.aisb").0, Exit::Ok);
    let names: Vec<_> = fs::read_dir(desk.path("data/bundles/inbox")).expect("a directory").collect();
    assert_eq!(names.len(), 1, "no temporary file is left");

    // Another bundle of the same version, and one nobody signed.
    fs::write(desk.path("folder/care.toml"), "").expect("written");
    fs::remove_file(desk.path("3.aisb")).expect("removed");
    assert_eq!(desk.sign(3).0, Exit::Ok);
    assert!(desk.install("3.aisb").1.contains("AIS-3011"));
    let (exit, text) =
        desk.run(BundleVerb::Install { file: desk.path("2.aisb"), data: desk.path("data"), key: vec![] });
    assert_eq!((exit, text.contains("AIS-3003")), (Exit::Finding, true), "{text}");

    let (_, text) = desk.run(BundleVerb::Diff {
        before: desk.path("2.aisb"),
        now: desk.path("folder"),
        key,
        json: false,
    });
    assert!(text.starts_with("~ care: "), "{text}");
}

#[test]
fn does_check_tell_a_program_what_it_tells_people() {
    let desk = Desk::new();
    fs::create_dir(desk.path("folder")).expect("a directory");
    fs::write(desk.path("folder/shop.toml"), SHOP.replace("CNY", "yuan")).expect("written");
    let (exit, text) = desk.run(BundleVerb::Check { path: desk.path("folder"), key: vec![], json: false });
    assert_eq!(exit, Exit::Finding);
    assert!(text.contains("folder/shop.toml:2:21: AIS-3109 \"yuan\" is not an ISO 4217 code"), "{text}");
    let (_, text) = desk.run(BundleVerb::Check { path: desk.path("folder"), key: vec![], json: true });
    let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(object["ok"], false);
    assert_eq!((&object["findings"][0]["line"], &object["findings"][0]["column"]), (&2.into(), &21.into()));
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("the peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// `cargo test --release --test bundle -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_do_200_000_members_cost() {
    let clock = SystemClock;
    let authored = example();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("big.aisb");
    let started = Stopwatch::start(&clock);
    let members = (0..200_000_u32).map(|n| {
        let mut member = authored.members[usize::from(n % 3 == 0)].clone();
        member.id = MemberId::new(&format!("m-{n}")).expect("an id");
        for token in &mut member.tokens {
            token.value = format!("138{:08}", n.wrapping_mul(2_654_435_761) % 100_000_000);
        }
        member.points = i64::from(n.wrapping_mul(40_503) % 9_999);
        member
    });
    let members: Vec<MemberRecord> = members.collect();
    let file = packed::pack(1, SIGNED, &authored.rules, &members, &[], &key(1)).expect("packs");
    let packed_ms = started.elapsed(&clock).as_millis();
    let size = file.len();
    fs::write(&path, file).expect("written");
    drop(members);
    fs::write("/proc/self/clear_refs", "5").expect("the peak is forgotten");
    let before = peak_kib();
    let started = Stopwatch::start(&clock);
    let trusted = [key(1).public()];
    let mut opened =
        packed::open(fs::File::open(&path).expect("there"), &admission(&trusted)).expect("our own file");
    let opened_ms = started.elapsed(&clock).as_millis();
    let count = opened.members().expect("seeks").filter(|member| member.is_ok()).count();
    let all_ms = started.elapsed(&clock).as_millis();
    let grown = peak_kib().saturating_sub(before);
    let text = format!(
        "200,000 members: packed in {packed_ms} ms to {size} bytes; verified in {opened_ms} ms, all {count} read \
         after {all_ms} ms, peak memory grew by {grown} KiB\n"
    );
    std::io::stderr().write_all(text.as_bytes()).expect("stderr");
}
