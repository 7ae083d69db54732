//! The engine by itself: requests in the contract's JSON, records from wherever a test keeps them.

use std::sync::Arc;

use aisled::bundle::Bundle;
use aisled::bundle::authoring::Authored;
use aisled::devices::wire;
use aisled::domain::calendar::UnixMs;
use aisled::domain::ids::{BundleRef, DeviceId, Epoch, Seq, StoreId};
use aisled::domain::member::{Token, TokenKind};
use aisled::engine::decision::{Entry, Facts, IssuedCode, Key, Known, Record};
use aisled::engine::input::Input;
use aisled::engine::reply::Answer;
use aisled::engine::{Engine, Identity, Outcome};
use serde_json::{Value, json};

/// Wednesday 2026-11-18, noon in Shanghai.
pub(crate) const NOON: UnixMs = UnixMs(1_794_974_400_000);

/// What came of a request.
pub(crate) enum Done {
    /// To be made durable.
    Decided(Box<Entry>),
    /// Answered from what is known.
    Answered(Answer),
}

pub(crate) struct Counter {
    pub(crate) engine: Engine,
    pub(crate) now: UnixMs,
    chain: String,
    asked: u64,
}

/// The tests' rules, compiled as version 1.
pub(crate) fn bundle(authored: &Authored) -> Arc<Bundle> {
    let reference = BundleRef { version: 1, hash: Arc::from("0123456789abcdef") };
    Arc::new(Bundle::compile(reference, authored.rules.clone()).expect("it compiles"))
}

/// What a bundle brings into the tables.
pub(crate) fn records(authored: &Authored, at: UnixMs) -> Vec<(Key, Record)> {
    let chain = &authored.rules.shop.chain;
    let mut records = Vec::new();
    for member in &authored.members {
        let own = Token { kind: TokenKind::Member, value: member.id.as_str().to_owned() };
        for token in member.tokens.iter().chain([&own]) {
            records.push((Key::Token(token.hash(chain)), Record::Token(member.id.clone())));
        }
        let known = Known {
            profile: member.profile.clone(),
            points: member.points,
            as_of: at,
            listed: Some(1),
            withdrawn: false,
            consent_at: None,
        };
        records.push((Key::Member(member.id.clone()), Record::Member(Box::new(known))));
    }
    for code in &authored.codes {
        let issued = IssuedCode {
            coupon: code.coupon.clone(),
            member: code.member.clone(),
            home: code.home.clone(),
            expires: None,
            listed: Some(1),
            moved: 0,
        };
        records.push((Key::Code(code.code.clone()), Record::Code(issued)));
    }
    records
}

impl Counter {
    /// An engine that goes on at `next` under these rules.
    pub(crate) fn new(bundle: Arc<Bundle>, next: Seq) -> Counter {
        Counter::living(bundle, next, Epoch(1))
    }

    /// The same in another life of the box.
    pub(crate) fn living(bundle: Arc<Bundle>, next: Seq, epoch: Epoch) -> Counter {
        let store = StoreId::new("s01").expect("an id");
        let identity = Identity { store, epoch, secret: [9; 32], started: NOON };
        let chain = bundle.shop.chain.clone();
        let mut engine = Engine::new(identity, next);
        engine.resume_bundle(bundle, NOON);
        Counter { engine, now: NOON, chain, asked: 0 }
    }

    /// A request of a device, under a new id.
    pub(crate) fn ask(
        &mut self,
        load: &mut dyn FnMut(&Key) -> Option<Record>,
        device: &str,
        op: &str,
        data: &Value,
    ) -> Done {
        self.ask_at(load, device, (op, None), data)
    }

    /// The same with the moment the device says it was.
    pub(crate) fn ask_at(
        &mut self,
        load: &mut dyn FnMut(&Key) -> Option<Record>,
        device: &str,
        (op, at): (&str, Option<&str>),
        data: &Value,
    ) -> Done {
        self.asked += 1;
        let id = format!("request.{}.{:06}", self.engine.next_seq().0, self.asked);
        let mut document = json!({ "v": 1, "id": id, "data": data });
        if let Some(at) = at {
            document["at"] = json!(at);
        }
        let payload = document.to_string().into_bytes();
        let device = DeviceId::new(device).expect("an id");
        let (_, request) = wire::decode(op, &device, &payload, None, &self.chain)
            .unwrap_or_else(|refused| panic!("{op} {data}: {refused:?}"));
        let input = Input::Request(Box::new(request));
        let mut facts = Facts::default();
        loop {
            let keys = self.engine.needs(&input, &facts);
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let record = load(&key);
                facts.add(key, record);
            }
        }
        match self.engine.handle(input, facts, self.now) {
            Outcome::Decided(entry) => Done::Decided(entry),
            Outcome::Read(answer) | Outcome::Again { answer, .. } => Done::Answered((*answer).clone()),
            Outcome::Deferred(refusal) => Done::Answered(Err(refusal)),
            Outcome::Passed => panic!("a request is never passed over"),
        }
    }
}
