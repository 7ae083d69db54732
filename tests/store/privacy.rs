//! Is somebody who was forgotten gone from every file, and is the shop otherwise what it was?

use std::path::Path;

use aisled::domain::ids::{Epoch, MemberId, OrderId, Seq, Sku, StoreId};
use aisled::domain::member::{Token, TokenHash, TokenKind};
use aisled::domain::order::{Order, OrderLine, OrderState, OrderWord, Shown};
use aisled::engine::Outcome;
use aisled::engine::decision::{Encoder, Entry, Facts, Key, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::Reply;
use aisled::storage::backup;
use serde_json::{Value, json};

use super::traces::{found, of_hash};
use super::{Memory, commit, sale, work};

const PHONE: &str = "19912345678";
const OTHERS_PHONE: &str = "19912345679";

fn phone(number: &str) -> TokenHash {
    Token { kind: TokenKind::Phone, value: number.to_owned() }
        .hash(&super::rules::authored().rules.shop.chain)
}

/// Everything that tells who it is: the id, the number, and the number's plain hash.
fn needles(id: &MemberId, number: &str) -> Vec<Vec<u8>> {
    let plain = [id.as_str(), number].map(|text| text.as_bytes().to_vec());
    plain.into_iter().chain(of_hash(&phone(number))).collect()
}

fn token(number: &str) -> Value {
    json!({ "kind": "phone", "value": number })
}

/// A member who enrols by phone, buys, is seen, and says something.
fn somebody(shop: &mut Memory, number: &str, from: u64) -> MemberId {
    let enrol = json!({ "token": token(number), "consent": { "programme": true, "personal": true }, "birthday": "05-17" });
    let place = shop.decide("kiosk-1", "enroll", &enrol);
    let entry = shop.store.decision(place).expect("it can be read").expect("it was made");
    let Ok(Reply::Enroll(enrolled)) = entry.answer else { panic!("{:?}", entry.answer) };
    for seq in from..from + 3 {
        let mut basket = commit(seq);
        basket["member"] = token(number);
        shop.decide("till-1", "commit", &basket);
    }
    shop.decide("kiosk-1", "event", &json!({ "kind": "try_on", "member": token(number) }));
    let said = json!({ "transaction": { "device": "till-1", "business_day": "2026-11-18", "seq": from }, "score": 3, "text": format!("call me: {number}") });
    shop.decide("kiosk-1", "feedback", &said);
    enrolled.member
}

/// Head office says that an order waits for a member, and for whoever shows a code.
fn order_waits(shop: &mut Memory, id: &MemberId, code: &str) {
    let now = shop.counter.now;
    let order = Order {
        id: OrderId::new("W-1").expect("an id"),
        store: StoreId::new("s01").expect("an id"),
        member: Some(id.clone()),
        lines: vec![OrderLine { sku: Sku::new("a").expect("an id"), qty: 1, title: None }],
        ready: true,
        placed: now,
        until: now.plus_ms(86_400_000),
    };
    let chain = super::rules::authored().rules.shop.chain;
    let code = Token { kind: TokenKind::Qr, value: code.to_owned() }.hash(&chain);
    let word = OrderWord { incarnation: 1, nth: 1, order, code: Some(code), state: OrderState::Waiting };
    let (input, mut facts) = (Input::Order(Box::new(word)), Facts::default());
    loop {
        let keys = shop.counter.engine.needs(&input, &facts);
        if keys.is_empty() {
            break;
        }
        for key in keys {
            let record = shop.store.load(&key).expect("it can be read");
            facts.add(key, record);
        }
    }
    let Outcome::Decided(entry) = shop.counter.engine.handle(input, facts, now) else { panic!("it is new") };
    shop.commit(entry);
}

fn waiting(shop: &mut Memory, token: &Value) -> usize {
    let told = shop.ask("till-1", "scan", &json!({ "token": token }));
    let super::Done::Answered(Ok(Reply::Scan(reply))) = told else { panic!("a scan is answered") };
    reply.pickups.len()
}

#[test]
fn is_an_order_of_somebody_who_was_forgotten_nobodys_and_still_handed_over() {
    const CODE: &str = "PICK-7Q2M-X4TR";
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("data");
    let (gone, ..) = shop(&dir);
    let mut shop = Memory::open_with(&dir, 30);
    order_waits(&mut shop, &gone, CODE);
    shop.wait_followed();
    let qr = json!({ "kind": "qr", "value": CODE });
    assert_eq!((waiting(&mut shop, &qr), waiting(&mut shop, &token(PHONE))), (1, 1));
    // The code is in no file, nor its plain hash: nobody finds it out by trying all of them.
    let hash = Token { kind: TokenKind::Qr, value: CODE.to_owned() };
    let hash = hash.hash(&super::rules::authored().rules.shop.chain);
    let code: Vec<Vec<u8>> = std::iter::once(CODE.as_bytes().to_vec()).chain(of_hash(&hash)).collect();
    assert_eq!(found(&dir, &code), Vec::<String>::new());

    forget(&mut shop, &gone);
    let theirs = needles(&gone, PHONE);
    assert_eq!(found(&dir, &theirs), Vec::<String>::new());
    assert_eq!((waiting(&mut shop, &qr), waiting(&mut shop, &token(PHONE))), (1, 0));
    shop.store.close();
    for view in ["tables.current", "checkpoints"] {
        let path = dir.join(view);
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_dir_all(&path));
    }
    let mut shop = Memory::open_with(&dir, 30);
    assert_eq!(waiting(&mut shop, &qr), 1, "from the journal alone");
    let nobodys = shop.store.load(&Key::Waiting(Shown::Member(MemberId::nobody()))).expect("it can be read");
    assert_eq!(nobodys, None);
    let key = Key::Order(OrderId::new("W-1").expect("an id"));
    let Some(Record::Order(pickup)) = shop.store.load(&key).expect("it can be read") else {
        panic!("it is there")
    };
    assert_eq!(pickup.order.member, None);
    shop.decide("till-1", "event", &json!({ "kind": "pick_up", "order": "W-1" }));
    assert_eq!(waiting(&mut shop, &qr), 0);
    shop.wait_followed();
    shop.store.close();
    assert_eq!(found(&dir, &theirs), Vec::<String>::new());
}

fn decide_to_forget(shop: &mut Memory, id: &MemberId) {
    let vault = shop.store.vault();
    let number = vault.number_of(id);
    vault.bury(id).expect("it is written");
    let entry = shop.counter.engine.forget(id, number, shop.counter.now);
    shop.commit(entry);
}

fn forget(shop: &mut Memory, id: &MemberId) {
    decide_to_forget(shop, id);
    shop.wait_followed();
    shop.store.vault().forgetting_ended().expect("it is written");
}

fn total(entry: &Entry) -> Option<i64> {
    match &entry.answer {
        Ok(Reply::Commit(receipt)) => Some(receipt.figures.total.0),
        _ => None,
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(done.expect("cp runs").success());
}

/// A shop with two such members among others, one of whom is to be forgotten; closed, and its checkpoint made.
fn shop(dir: &Path) -> (MemberId, MemberId, Vec<Entry>) {
    let mut shop = Memory::open_with(dir, 30);
    work(&mut shop, 1, 20);
    let (gone, stays) = (somebody(&mut shop, PHONE, 5_000), somebody(&mut shop, OTHERS_PHONE, 6_000));
    shop.wait_followed();
    work(&mut shop, 100, 20);
    shop.wait_followed();
    let sent = shop.sent.clone();
    shop.store.close();
    (gone, stays, sent)
}

#[test]
fn does_any_file_name_somebody_who_was_forgotten() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("data");
    let (gone, stays, sent) = shop(&dir);
    let theirs = needles(&gone, PHONE);
    let before = found(&dir, &theirs);
    assert!(before.iter().any(|file| file == "names"), "{before:?}");
    assert!(before.iter().any(|file| file.starts_with("checkpoints/")), "{before:?}");
    assert!(!before.iter().any(|file| file.starts_with("journal/")), "the journal names nobody: {before:?}");
    // Each way of looking finds something where it is.
    for (nth, needle) in theirs.iter().enumerate() {
        let is_found = !found(&dir, std::slice::from_ref(needle)).is_empty();
        assert_eq!(
            is_found,
            ![3, 5].contains(&nth),
            "needle {nth}: as MessagePack and in hexadecimal nowhere"
        );
    }

    let mut shop = Memory::open_with(&dir, 30);
    forget(&mut shop, &gone);
    assert_eq!(found(&dir, &theirs), Vec::<String>::new(), "while the store is open");
    let strangers = shop.ask("till-1", "scan", &json!({ "token": token(PHONE) }));
    let super::Done::Answered(Ok(Reply::Scan(reply))) = strangers else { panic!("a scan is answered") };
    assert!(reply.member.is_none(), "a stranger from now on");
    for key in Key::of_member(&gone) {
        assert_eq!(shop.store.load(&key).expect("it can be read"), None);
    }
    for entry in &sent {
        let read = shop.store.decision(entry.seq).expect("it can be read").expect("it is there");
        assert_eq!(total(&read), total(entry), "decision {} comes to what it came to", entry.seq.0);
        assert_eq!(read.totals(), entry.totals());
        let names_them = serde_json::to_string(entry).expect("plain data").contains(&format!("\"{gone}\""));
        assert_eq!(read.encode() == entry.encode(), !names_them, "decision {}", entry.seq.0);
    }
    let known = shop.store.load(&Key::Ledger(stays.clone())).expect("it can be read");
    assert!(matches!(known, Some(Record::Ledger(ledger)) if ledger.visits == 3), "others are as they were");
    // What they bought may come back, and they may come back as somebody else.
    shop.decide("till-1", "void", &json!({ "transaction": sale(5_001) }));
    let anew = somebody(&mut shop, PHONE, 7_000);
    assert_ne!(anew, gone);
    shop.wait_followed();
    shop.store.close();
    assert_eq!(found(&dir, &needles(&gone, "no number")), Vec::<String>::new(), "nothing brings the id back");
    // Not even with nothing left but the journal and its names.
    for view in ["tables.current", "checkpoints"] {
        let path = dir.join(view);
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_dir_all(&path));
    }
    let mut again = Memory::open_with(&dir, 30);
    for key in Key::of_member(&gone).into_iter().chain(Key::of_member(&MemberId::nobody())) {
        assert_eq!(again.store.load(&key).expect("it can be read"), None, "{key:?}");
    }
    let known = again.store.load(&Key::Ledger(stays)).expect("it can be read");
    assert!(matches!(known, Some(Record::Ledger(ledger)) if ledger.visits == 3));
    again.store.close();
    assert_eq!(found(&dir, &needles(&gone, "no number")), Vec::<String>::new());
}

#[test]
fn is_a_forgetting_that_was_cut_off_finished_by_the_next_start() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let (before, after) = (root.path().join("before"), root.path().join("after"));
    let (gone, stays, _) = shop(&before);
    copy(&before, &after);
    let mut shop = Memory::open_with(&after, 30);
    // The decision is durable; a kill in any step after leaves files as they were before it or as they are after it.
    decide_to_forget(&mut shop, &gone);
    shop.wait_followed();
    shop.store.close();
    let theirs = needles(&gone, PHONE);
    assert!(after.join("forgetting").exists(), "until the bundles are looked through");
    let steps: [(&str, &[&str]); 5] = [
        (
            "buried only",
            &[
                "journal",
                "names",
                "names.copy",
                "tables",
                "tables-1",
                "tables-2",
                "tables.current",
                "checkpoints",
            ],
        ),
        (
            "decided",
            &["names", "names.copy", "tables", "tables-1", "tables-2", "tables.current", "checkpoints"],
        ),
        (
            "the checkpoint is written",
            &["names", "names.copy", "tables", "tables-1", "tables-2", "tables.current"],
        ),
        ("the tables are written", &["names.copy"]),
        ("erased", &[]),
    ];
    for (step, as_before) in steps {
        let dir = root.path().join(step.replace(' ', "-"));
        copy(&after, &dir);
        for name in as_before {
            let path = dir.join(name);
            drop(std::fs::remove_file(&path));
            drop(std::fs::remove_dir_all(&path));
            if before.join(name).exists() {
                copy(&before.join(name), &path);
            }
        }
        let is_there = !found(&dir, &theirs).is_empty();
        assert_eq!(is_there, !as_before.is_empty(), "{step}");
        let mut again = Memory::open_with(&dir, 30);
        assert_eq!(found(&dir, &theirs), Vec::<String>::new(), "{step}");
        let known = again.store.load(&Key::Ledger(stays.clone())).expect("it can be read");
        assert!(matches!(known, Some(Record::Ledger(ledger)) if ledger.visits == 3), "{step}");
        work(&mut again, 20_000, 5);
        again.wait_followed();
        again.store.close();
    }
}

#[test]
fn does_an_older_backup_bring_back_who_was_forgotten_since() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let (data, kept) = (root.path().join("data"), root.path().join("backup"));
    let (gone, _, _) = shop(&data);
    backup::take(&data, &kept).expect("it is taken");
    assert!(!found(&kept, &needles(&gone, PHONE)).is_empty(), "it was taken before");
    let mut shop = Memory::open_with(&data, 30);
    forget(&mut shop, &gone);
    shop.store.close();
    // The disk with the data is lost, what lies beside it is not; or the former directory is shown to it.
    let beside = root.path().join("data.forgotten");
    let shown = root.path().join("shown");
    std::fs::rename(&data, root.path().join("former")).expect("it is moved");
    for (dir, former) in [(&data, None), (&shown, Some(root.path().join("former")))] {
        assert!(beside.exists());
        backup::restore(&kept, dir, None, former.as_deref()).expect("it is put back");
        let mut again = Memory::open_with(dir, 30);
        assert_eq!(again.store.identity().epoch, Epoch(2));
        assert_eq!(found(dir, &needles(&gone, PHONE)), Vec::<String>::new());
        assert_eq!(again.store.load(&Key::Member(gone.clone())).expect("it can be read"), None);
        again.store.close();
    }
}

#[test]
fn is_a_bundles_member_brought_back_by_the_next_bundle() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("data");
    let authored = super::rules::authored();
    let listed = &authored.members[0];
    let mut shop = Memory::open(&dir);
    assert!(shop.store.load(&Key::Member(listed.id.clone())).expect("it can be read").is_some());
    forget(&mut shop, &listed.id);
    let number = shop.sent.last().map(|entry| entry.input.clone());
    assert!(
        matches!(number, Some(Input::Forget(forgotten)) if forgotten.number.is_none()),
        "no decision named them"
    );
    let bundle = shop.counter.engine.bundle().expect("it is active").clone();
    let entry = shop.counter.engine.activate(bundle, shop.counter.now);
    shop.commit(entry);
    shop.wait_followed();
    for key in Key::of_member(&listed.id) {
        assert_eq!(shop.store.load(&key).expect("it can be read"), None, "{key:?}");
    }
    let other = Key::Member(authored.members[1].id.clone());
    assert!(shop.store.load(&other).expect("it can be read").is_some());
}

#[test]
fn does_the_journal_say_the_same_with_numbers_as_with_names() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("data");
    let (_, _, sent) = shop(&dir);
    let shop = Memory::open(&dir);
    let vault = shop.store.vault();
    let mut reader = shop.store.journal().reader(Seq(1));
    let mut encoder = Encoder::default();
    let (mut numbered, mut named) = (0, 0);
    for entry in &sent {
        let raw = reader.next().expect("it can be read").expect("it is there");
        let plain = encoder.encode(entry).to_vec();
        assert_eq!(vault.named(raw.payload).expect("it reads"), plain, "decision {}", entry.seq.0);
        (numbered, named) = (numbered + raw.payload.len(), named + plain.len());
    }
    assert!(numbered < named, "{numbered} bytes with numbers, {named} with names");
}

#[test]
fn is_a_journal_whose_names_are_gone_refused() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("data");
    shop(&dir);
    std::fs::rename(dir.join("names"), root.path().join("names")).expect("it is moved");
    std::fs::remove_file(dir.join("names.copy")).expect("it is there");
    let refused =
        |dir: &Path| Memory::try_open(dir, super::Sizes::default(), 35).err().map(|error| error.code());
    assert_eq!(refused(&dir), Some("AIS-5013"), "nobody is taken for somebody else");
    let names = std::fs::read(root.path().join("names")).expect("it is there");
    std::fs::write(dir.join("names"), &names[1..]).expect("it is written");
    assert_eq!(refused(&dir), Some("AIS-5013"), "the first line says which number is next");
    std::fs::write(dir.join("names"), [&names[..], b"{\"Member\":[99"].concat()).expect("it is written");
    Memory::open(&dir).store.close();
    let rows =
        |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::to_vec).collect::<Vec<_>>();
    for name in ["names", "names.copy"] {
        let healed = std::fs::read(dir.join(name)).expect("it is there");
        assert_eq!(rows(&healed), rows(&names), "{name}: a torn line is no loss, and there are two again");
    }
}

#[test]
fn is_it_said_what_an_older_version_wrote_of_somebody() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    super::yesterday::unpack(dir.path());
    let mut shop = Memory::open(dir.path());
    let bought = commit(1)["member"]["value"].as_str().expect("a card").to_owned();
    let gone = MemberId::new(&format!("m-{bought}")).expect("an id");
    let vault = shop.store.vault();
    assert_eq!(vault.since(), Seq(24), "the decisions before it name members as they are");
    forget(&mut shop, &gone);
    let mut reader = shop.store.journal().reader(Seq(1));
    let mut plain = Vec::new();
    while let Some(raw) = reader.next().expect("it can be read") {
        if vault.decode_if_of(raw.payload, &gone).expect("it reads").is_some() {
            plain.push(raw.seq);
        }
    }
    assert!(!plain.is_empty() && plain.iter().all(|seq| *seq < vault.since()), "{plain:?}");
    shop.store.close();
    // Nobody comes back from them, whatever is built anew.
    for view in ["tables.current", "checkpoints"] {
        drop(std::fs::remove_file(dir.path().join(view)));
        drop(std::fs::remove_dir_all(dir.path().join(view)));
    }
    let mut again = Memory::open(dir.path());
    for key in Key::of_member(&gone) {
        assert_eq!(again.store.load(&key).expect("it can be read"), None, "{key:?}");
    }
    let beside = dir
        .path()
        .with_file_name(format!("{}.forgotten", dir.path().file_name().expect("a name").to_string_lossy()));
    std::fs::remove_file(beside).expect("it outlives the directory");
}
