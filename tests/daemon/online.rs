//! Is a single-use code redeemed once, when an order on the net and a till in the shop want it at the same moment? Two boxes,
//! the reference head office between them, and the partner interface by which the online shop asks for the code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aisled::bundle::packed;
use aisled::clock::SystemClock;
use aisled::config::{Config, HeadOffice, LineTls, ServerUrl};
use aisled::daemon::{self, control};
use aisled::domain::ids::StoreId;
use aisled::hub::server::{Hub, HubConfig};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::rules;
use crate::shop::{cash, config, line, until};
use crate::signed::{key, signed_at};
use crate::till::soon;

const MILK: &str = "6901234000017";

/// Codes HOME-1 to HOME-8, at home in s01.
fn bundle() -> Vec<u8> {
    let mut authored = rules::authored();
    for n in 1..=8 {
        let code = json!({ "code": format!("HOME-{n}"), "coupon": "once-five", "home": "s01" });
        authored.codes.push(serde_json::from_value(code).expect("a code"));
    }
    packed::pack(1, signed_at(1), &authored.rules, &authored.members, &authored.codes, &key())
        .expect("it packs")
}

pub(crate) struct Box {
    pub(crate) dir: tempfile::TempDir,
    running: daemon::Running,
}

impl Box {
    pub(crate) async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.running.stop());
        stopped.await.expect("no panic").expect("in order");
    }
}

pub(crate) async fn open(store: &str, office: std::net::SocketAddr, bundle: Vec<u8>) -> Box {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config: Config = config(dir.path());
    config.store.id = StoreId::new(store).expect("an id");
    let url = ServerUrl::parse(&format!("mqtt://{office}")).expect("a url");
    config.head_office = Some(HeadOffice { url, login: None, tls: LineTls::default() });
    let inbox = dir.path().join("bundles/inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    std::fs::write(inbox.join("1.aisb"), bundle).expect("it is written");
    let started = tokio::task::spawn_blocking(move || daemon::start(config, Arc::new(SystemClock), None));
    let running = started.await.expect("no panic").expect("the daemon starts");
    let opened = Box { dir, running };
    until("head office's answer", || {
        let status = control::ask(opened.dir.path(), &control::Ask::Status).expect("it answers");
        status.is_some_and(|status| {
            status["head_office"]["connected"] == true && status["bundle"]["version"] == 1
        })
    })
    .await;
    opened
}

/// Sells a carton of milk with a code, by the box's own shell: was it redeemed?
async fn redeems(dir: PathBuf, code: &str, seq: u64) -> bool {
    let data = json!({
        "transaction": { "business_day": "2026-11-22", "seq": seq },
        "basket": { "lines": [line("1", MILK, 9)] },
        "coupons": [code],
        "tenders": cash(100_000),
        "channel": "online",
    });
    let payload = json!({ "v": 1, "id": format!("order-{seq:04}"), "data": data });
    let ask = control::Ask::Request { op: "commit".to_owned(), payload };
    let asked = tokio::task::spawn_blocking(move || control::ask(&dir, &ask));
    let reply = asked.await.expect("no panic").expect("it answers").expect("it runs");
    match reply["status"].as_u64() {
        Some(200) => reply["data"]["coupons"][0]["outcome"] == "applied",
        Some(409) => false,
        _ => panic!("{reply}"),
    }
}

struct Partner {
    client: AsyncClient,
    heard: mpsc::UnboundedReceiver<Value>,
}

impl Partner {
    async fn connect(office: std::net::SocketAddr, password: &str) -> Partner {
        let mut options = MqttOptions::new("order-desk", office.ip().to_string(), office.port());
        options.set_credentials("partner.online", password);
        let (client, mut events) = AsyncClient::new(options, 16);
        client.subscribe("aisle-partner/1/online/rep", QoS::AtLeastOnce).await.expect("the queue takes it");
        let (to, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(publish)) = event {
                    let _ = to.send(serde_json::from_slice(&publish.payload).expect("JSON"));
                }
            }
            // Refused, or head office is gone.
            let _ = to.send(Value::Null);
        });
        Partner { client, heard }
    }

    async fn ask(&mut self, request: Value) -> Value {
        let topic = "aisle-partner/1/online/req";
        self.client
            .publish(topic, QoS::AtLeastOnce, false, request.to_string())
            .await
            .expect("the queue takes it");
        soon("a reply of head office", self.heard.recv()).await.expect("it is connected")
    }

    /// Asks for a code until it is here, or stays where it was.
    async fn wants(&mut self, code: &str) -> String {
        let request = json!({ "v": 1, "id": format!("wants-{code}"), "move": { "code": code, "from": "s01", "to": "online" } });
        let mut often = tokio::time::interval(Duration::from_millis(50));
        let moved = async {
            loop {
                let reply = self.ask(request.clone()).await;
                assert_eq!(reply["re"], request["id"], "{reply}");
                let stage = reply["data"]["stage"].as_str().unwrap_or_else(|| panic!("{reply}"));
                if matches!(stage, "done" | "kept_by_old") {
                    return stage.to_owned();
                }
                often.tick().await;
            }
        };
        soon("the end of the move", moved).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_code_redeemed_once_online_or_in_the_shop() {
    let data = tempfile::tempdir().expect("a directory");
    let mut settings = HubConfig::new("127.0.0.1:0".parse().expect("an address"), data.path().to_owned());
    let online_id = StoreId::new("online").expect("an id");
    settings.partners.insert(online_id, "secret".to_owned());
    let office = Hub::start(settings, Arc::new(SystemClock)).await.expect("head office starts");
    let (shop, online) =
        (open("s01", office.addr(), bundle()).await, open("online", office.addr(), bundle()).await);
    let (in_shop, on_net) = (shop.dir.path().to_owned(), online.dir.path().to_owned());
    let mut stranger = Partner::connect(office.addr(), "guessed").await;
    assert_eq!(soon("the refusal", stranger.heard.recv()).await, Some(Value::Null));
    let mut partner = Partner::connect(office.addr(), "secret").await;

    let points = partner.ask(json!({ "v": 1, "id": "points-01", "balance": { "member": "m-2001" } })).await;
    assert_eq!(points["data"]["member"], "m-2001", "{points}");
    let foreign =
        json!({ "v": 1, "id": "foreign-01", "move": { "code": "HOME-1", "from": "s01", "to": "s02" } });
    assert_eq!(partner.ask(foreign).await["code"], "AIS-6106");

    // Moved first: good on the net, no more in the shop.
    assert!(!redeems(on_net.clone(), "HOME-1", 1).await, "it is not at home here yet");
    assert_eq!(partner.wants("HOME-1").await, "done");
    assert!(!redeems(in_shop.clone(), "HOME-1", 1).await);
    assert!(redeems(on_net.clone(), "HOME-1", 2).await);
    // Sent again: the first answer, and nothing twice.
    assert!(redeems(on_net.clone(), "HOME-1", 2).await);
    assert!(!redeems(on_net.clone(), "HOME-1", 3).await);

    // At the same moment: one of the two, whoever it is.
    for n in 2..=8_u64 {
        let code = format!("HOME-{n}");
        let at_the_till = tokio::spawn({
            let (dir, code) = (in_shop.clone(), code.clone());
            async move { redeems(dir, &code, 100 + n).await }
        });
        let moving = json!({ "v": 1, "id": format!("wants-{code}"), "move": { "code": code, "from": "s01", "to": "online" } });
        assert_eq!(partner.ask(moving.clone()).await["status"], 200);
        let sold = at_the_till.await.expect("no panic");
        assert_eq!(partner.wants(&code).await, if sold { "kept_by_old" } else { "done" });
        let ordered = redeems(on_net.clone(), &code, 100 + n).await;
        assert!(sold ^ ordered, "{code}: sold {sold}, ordered {ordered}");
        assert!(!redeems(on_net.clone(), &code, 200 + n).await, "{code} is redeemed once");
        assert!(!redeems(in_shop.clone(), &code, 200 + n).await, "{code} is redeemed once");
    }
    for opened in [shop, online] {
        opened.stop().await;
    }
    office.shutdown().await;
}
