//! Do frames keep their bounds, whatever arrives?

use proptest::prelude::*;

use super::*;
use crate::domain::ids::{MemberId, OrderId, PromotionId, Sku};
use crate::domain::lease::{LeaseId, Say, Scope};
use crate::domain::member::TokenHash;
use crate::domain::order::{Order, OrderLine, OrderState};

fn store() -> StoreId {
    StoreId::new("s1").expect("a store id")
}

fn batch(items: &[Item]) -> (Batch, usize) {
    let (body, count) = Packer::default().pack(items).expect("packs");
    let batch =
        Batch { v: PROTOCOL, epoch: Epoch(1), from: Seq(7), first: Seq(7), count: count as u32, body };
    (batch, count)
}

/// Bytes that do not compress.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push((seed >> 56) as u8);
    }
    bytes
}

#[test]
fn does_a_topic_name_one_frame_of_one_shop() {
    let hello = Up::Get(Get { v: PROTOCOL, version: 1, offset: 0 });
    assert_eq!(parse_up(&hello.topic(&store())), Some((store(), UpKind::Get)));
    for hostile in ["aisle/1/a/b/up/get", "aisle/1//up/get", "aisle/1/+/up/get", "aisle/1/s1/up/get/x", "x"] {
        assert_eq!(parse_up(hostile), None, "{hostile}");
    }
    assert_eq!(parse_down("aisle/1/s1/down/ack", &store()), Some(DownKind::Ack));
    assert_eq!(parse_down("aisle/1/s12/down/ack", &store()), None);
}

#[test]
fn do_orders_keep_their_bounds() {
    let title = Some("茶".repeat(limits::ORDER_TITLE_BYTES_MAX / 3));
    let line = |n: usize| OrderLine {
        sku: Sku::new(&format!("{n:x<64}")).expect("an id"),
        qty: limits::LINE_UNITS_MAX,
        title: title.clone(),
    };
    let order = Order {
        id: OrderId::new(&"W".repeat(64)).expect("an id"),
        store: store(),
        member: MemberId::new(&"m".repeat(64)).ok(),
        lines: (0..limits::ORDER_LINES_MAX).map(line).collect(),
        ready: true,
        placed: UnixMs(0),
        until: UnixMs(limits::ORDER_KEEP_MS_MAX),
    };
    let code = Some(TokenHash([255; 32]));
    let word = OrderWord { incarnation: 2, nth: 1, order, code, state: OrderState::Waiting };
    let frame = |orders| Orders { v: PROTOCOL, incarnation: 2, epoch: Epoch(3), orders };
    let fair = Down::Orders(frame(vec![word.clone(); limits::ORDERS_TOLD_MAX]));
    let bytes = fair.encode();
    assert!(bytes.len() <= limits::UPSTREAM_FRAME_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Down::decode(DownKind::Orders, &bytes), Ok(fair));
    let with = |order: Order| vec![OrderWord { order, ..word.clone() }];
    let lines = |lines| with(Order { lines, ..word.order.clone() });
    let long = Some("x".repeat(limits::ORDER_TITLE_BYTES_MAX + 1));
    for (hostile, what) in [
        (vec![], "orders"),
        (vec![word.clone(); limits::ORDERS_TOLD_MAX + 1], "orders"),
        (vec![OrderWord { incarnation: 1, ..word.clone() }], "incarnation"),
        (vec![OrderWord { nth: 0, ..word.clone() }], "nth"),
        (lines(vec![]), "order"),
        (lines(vec![line(1); limits::ORDER_LINES_MAX + 1]), "order"),
        (lines(vec![OrderLine { qty: 0, ..line(1) }]), "order"),
        (lines(vec![OrderLine { title: long, ..line(1) }]), "order"),
        (with(Order { until: UnixMs(-1), ..word.order.clone() }), "order"),
        (with(Order { until: UnixMs(i64::MAX), ..word.order.clone() }), "order"),
    ] {
        let decoded = Down::decode(DownKind::Orders, &Down::Orders(frame(hostile)).encode());
        assert_eq!(decoded, Err(WireError::Bound(what)));
    }
}

#[test]
fn do_requests_and_words_keep_their_bounds() {
    let promotion = PromotionId::new(&"p".repeat(64)).expect("an id");
    let want = Want { scope: Scope::Uses(promotion), left: i64::MIN, need: i64::MAX };
    let wants = vec![want; limits::LEASE_WANTS_MAX];
    let ask = Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number: 1, as_of: Seq(9), wants };
    let bytes = Up::Ask(ask.clone()).encode();
    assert!(bytes.len() <= limits::UPSTREAM_FRAME_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Up::decode(UpKind::Ask, &bytes), Ok(Up::Ask(ask.clone())));
    let mut many = ask.clone();
    many.wants.push(many.wants[0].clone());
    for (hostile, what) in [(many, "wants"), (Ask { number: 0, ..ask }, "number")] {
        assert_eq!(Up::decode(UpKind::Ask, &Up::Ask(hostile).encode()), Err(WireError::Bound(what)));
    }
    let id = |number| LeaseId { incarnation: 2, number };
    let say = Say::Grant { scope: Scope::Risk, amount: 5, expires: UnixMs(7), first: None };
    let word = |number| Word { id: id(number), epoch: Epoch(3), say: say.clone() };
    let words = |words| Words { v: PROTOCOL, incarnation: 2, epoch: Epoch(3), words };
    let fair = Down::Words(words(vec![word(1), Word { say: Say::Greet, ..word(2) }]));
    assert_eq!(Down::decode(DownKind::Words, &fair.encode()), Ok(fair));
    let foreign = Word { epoch: Epoch(4), ..word(1) };
    let huge = Say::Grant { scope: Scope::Risk, amount: i64::MAX, expires: UnixMs(7), first: None };
    for (hostile, what) in [
        (vec![], "words"),
        ((1..=65).map(word).collect(), "words"),
        (vec![foreign], "epoch and incarnation"),
        (vec![word(2), word(1)], "order"),
        (vec![Word { say: huge, ..word(1) }], "amount"),
    ] {
        let decoded = Down::decode(DownKind::Words, &Down::Words(words(hostile)).encode());
        assert_eq!(decoded, Err(WireError::Bound(what)));
    }
}

#[test]
fn does_an_entry_as_large_as_the_journal_takes_fit_a_frame_alone() {
    let items = [
        Item::new(noise(limits::FRAME_PAYLOAD_BYTES_MAX, 1)),
        Item::new(noise(limits::FRAME_PAYLOAD_BYTES_MAX, 2)),
    ];
    let (batch, count) = batch(&items);
    assert_eq!(count, 1);
    let bytes = Up::Batch(batch.clone()).encode();
    assert!(bytes.len() <= limits::UPSTREAM_FRAME_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Up::decode(UpKind::Batch, &bytes), Ok(Up::Batch(batch.clone())));
    assert_eq!(Unpacker::default().unpack(&batch).expect("unpacks"), &items[..1]);
}

#[test]
fn does_a_batch_stay_inside_its_size() {
    let items: Vec<Item> = (0..300).map(|seed| Item::new(noise(2_000, seed))).collect();
    let (batch, count) = batch(&items);
    assert!((20..=32).contains(&count), "{count} entries of 2,000 bytes in 64 KiB");
    assert!(batch.body.0.len() <= limits::UPSTREAM_BATCH_BYTES_MAX);
    assert_eq!(Unpacker::default().unpack(&batch).expect("unpacks"), &items[..count]);
}

#[test]
fn is_a_bomb_refused_before_it_goes_off() {
    let raw = vec![0; 64 * 1024 * 1024];
    let body = Blob(zstd::bulk::compress(&raw, 3).expect("compresses"));
    assert!(body.0.len() < 64 * 1024);
    let bomb = Batch { v: 1, epoch: Epoch(1), from: Seq(1), first: Seq(1), count: 200, body };
    assert_eq!(Unpacker::default().unpack(&bomb), Err(WireError::Bound("body")));
}

#[test]
fn is_another_version_named_even_if_its_fields_differ() {
    #[derive(Serialize)]
    struct Later {
        v: u16,
        news: &'static str,
    }
    let bytes = rmp_serde::to_vec_named(&Later { v: 2, news: "x" }).expect("writes");
    assert_eq!(Up::decode(UpKind::Hello, &bytes), Err(WireError::Version(2)));
}

#[test]
fn is_a_flipped_bit_found() {
    let (whole, _) = batch(&[Item::new(vec![1, 2, 3]), Item::withheld(b"parked")]);
    assert_eq!(Unpacker::default().unpack(&whole).expect("unpacks")[1].bytes, None);
    let mut raw = zstd::bulk::decompress(&whole.body.0, 1_000).expect("decompresses");
    raw[ENTRY_HEAD_BYTES] ^= 1;
    let body = Blob(zstd::bulk::compress(&raw, 3).expect("compresses"));
    assert_eq!(Unpacker::default().unpack(&Batch { body, ..whole }), Err(WireError::Hash(Seq(7))));
}

proptest! {
    #[test]
    fn does_hostile_input_always_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for kind in [UpKind::Hello, UpKind::Batch, UpKind::Get, UpKind::Ask] {
            let _ = Up::decode(kind, &bytes);
        }
        for kind in
            [DownKind::State, DownKind::Ack, DownKind::Offer, DownKind::Chunk, DownKind::Members, DownKind::Words, DownKind::Orders]
        {
            let _ = Down::decode(kind, &bytes);
        }
        let _ = Unpacker::default().unpack(&Batch { v: 1, epoch: Epoch(1), from: Seq(1), first: Seq(1), count: 9, body: Blob(bytes) });
    }

    #[test]
    fn does_a_damaged_frame_end_in_an_answer(at in 0_usize..400, with in any::<u8>(), cut in 0_usize..400) {
        let (batch, _) = batch(&[Item::new(noise(150, 3)), Item::new(vec![7; 500])]);
        let mut bytes = Up::Batch(batch).encode();
        let at = at % bytes.len();
        bytes[at] = with;
        bytes.truncate(bytes.len().saturating_sub(cut % 50));
        if let Ok(Up::Batch(batch)) = Up::decode(UpKind::Batch, &bytes) {
            let _ = Unpacker::default().unpack(&batch);
        }
    }
}
