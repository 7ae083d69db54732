//! Is an order that was paid online handed over once, and does the online shop hear of it: a till, its daemon, head office, the
//! online shop's partner interface, and a line between shop and head office that can be cut.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aisled::clock::{Clock, SystemClock};
use aisled::devices::wire::Format;
use aisled::domain::ids::StoreId;
use aisled::hub::server::{Hub, HubConfig, Running};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::online::{self, Partner};
use crate::shop::card;
use crate::till::{Dialect, Till, soon};

const DAY_MS: i64 = 86_400_000;

/// The line from the shop to head office.
struct Wire {
    addr: SocketAddr,
    cut: watch::Sender<bool>,
}

impl Wire {
    async fn to(office: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (cut, is_cut) = watch::channel(false);
        let addr = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut is_cut = is_cut.clone();
                tokio::spawn(async move {
                    if *is_cut.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(office).await.expect("head office is there");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = is_cut.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Wire { addr, cut }
    }
}

async fn head_office(data: &Path) -> Running {
    let packed = data.join("1.aisb");
    std::fs::write(&packed, online::bundle()).expect("it is written");
    let mut settings = HubConfig::new("127.0.0.1:0".parse().expect("an address"), data.join("hub"));
    settings.partners.insert(StoreId::new("online").expect("an id"), "secret".to_owned());
    settings.bundle = Some((packed, 1));
    Hub::start(settings, Arc::new(SystemClock)).await.expect("head office starts")
}

fn order(id: &str, shown: Value, changes: Value) -> Value {
    let now = SystemClock.now();
    let mut order = json!({
        "order": id,
        "store": "s01",
        "lines": [{ "sku": "6901234000017", "qty": 2, "title": "鲜牛奶" }, { "sku": "online-only-7", "qty": 1 }],
        "placed": now.to_string(),
        "until": now.plus_ms(3 * DAY_MS).to_string(),
    });
    for more in [shown, changes] {
        let more = more.as_object().expect("an object").clone();
        order.as_object_mut().expect("an object").extend(more);
    }
    order
}

/// Asks until the order is so far; what is told without being asked for counts as well.
async fn until_stage(partner: &mut Partner, id: &str, stage: &str) -> Value {
    let asked = json!({ "v": 1, "id": format!("ask-{id}-00"), "ask": { "order": id } });
    let told = async {
        loop {
            let told = partner.ask(asked.clone()).await;
            if told["data"]["order"] == id && told["data"]["stage"] == stage {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(&format!("{id} to be {stage}"), told).await
}

async fn place(partner: &mut Partner, order: &Value) -> Value {
    let id = order["order"].as_str().expect("a number");
    let request = json!({ "v": 1, "id": format!("place-{id}"), "order": order });
    soon("the answer", async {
        loop {
            let told = partner.ask(request.clone()).await;
            if told["re"] == request["id"] {
                return told;
            }
        }
    })
    .await
}

fn qr(value: &str) -> Value {
    json!({ "token": { "kind": "qr", "value": value } })
}

fn pick_up(order: &str) -> Value {
    json!({ "kind": "pick_up", "order": order })
}

fn orders(scan: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let pickups = scan["pickups"].as_array().map(Vec::as_slice).unwrap_or_default();
    pickups.iter().map(|pickup| (text(&pickup["order"]), text(&pickup["state"]))).collect()
}

fn these<const N: usize>(orders: [(&str, &str); N]) -> Vec<(String, String)> {
    orders.map(|(order, state)| (order.to_owned(), state.to_owned())).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_an_order_paid_online_handed_over_once_and_does_the_online_shop_hear_of_it() {
    let data = tempfile::tempdir().expect("a directory");
    let office = head_office(data.path()).await;
    let wire = Wire::to(office.addr()).await;
    let shop = online::open("s01", wire.addr, online::bundle()).await;
    let broker = shop.running.addr.expect("the embedded broker listens");
    let mut till = Till::connect(broker, "till-1", Dialect::Five, Format::Json, "r1").await;
    let mut kiosk = Till::connect(broker, "kiosk-1", Dialect::Three, Format::MessagePack, "r1").await;
    let mut partner = Partner::connect(office.addr(), "secret").await;

    // Placed, told to the shop, found by its code and by nothing else, and not by the hash of it.
    let first = order("W-1", json!({ "code": "PICK-7Q2M-0001" }), json!({}));
    assert_eq!(place(&mut partner, &first).await["data"]["stage"], "placed");
    until_stage(&mut partner, "W-1", "waiting").await;
    let scanned = kiosk.ask("scan", qr("PICK-7Q2M-0001")).await.data().clone();
    assert_eq!(orders(&scanned), these([("W-1", "placed")]));
    assert_eq!(
        scanned["pickups"][0]["lines"][0],
        json!({ "sku": "6901234000017", "qty": 2, "title": "鲜牛奶" })
    );
    let nobodys = till.ask("scan", qr("PICK-7Q2M-0002")).await.data().clone();
    assert!(nobodys.get("pickups").is_none(), "{nobodys}");

    // Packed now: the same order, said again.
    let ready = order(
        "W-1",
        json!({ "code": "PICK-7Q2M-0001" }),
        json!({ "ready": true, "placed": first["placed"] }),
    );
    place(&mut partner, &ready).await;
    until_stage(&mut partner, "W-1", "waiting").await;
    let scanned = till.ask("scan", qr("PICK-7Q2M-0001")).await.data().clone();
    assert_eq!(orders(&scanned), these([("W-1", "ready")]));
    // Other lines under the same number are another order.
    let other =
        order("W-1", json!({ "code": "PICK-7Q2M-0001" }), json!({ "lines": [{ "sku": "x", "qty": 1 }] }));
    assert_eq!(place(&mut partner, &other).await["code"], "AIS-6111");
    let nowhere = order("W-9", json!({ "code": "PICK-7Q2M-0009" }), json!({ "store": "s99" }));
    assert_eq!(place(&mut partner, &nowhere).await["code"], "AIS-6111");

    // Handed over once; sent again it is the same answer, asked again a refusal that says when and where.
    assert_eq!(till.ask("event", pick_up("W-7")).await.refusal(), (404, "AIS-2201"));
    let handed = till.ask_as("event", "hand-over-1", &pick_up("W-1")).await;
    let decision = handed.data()["decision"].as_str().expect("a decision").to_owned();
    assert!(till.ask_as("event", "hand-over-1", &pick_up("W-1")).await.replayed());
    let second = kiosk.ask("event", pick_up("W-1")).await;
    assert_eq!(second.refusal(), (409, "AIS-2205"));
    let detail = second.0["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.contains("till-1") && detail.contains(&decision), "{detail}");
    assert!(kiosk.ask("scan", qr("PICK-7Q2M-0001")).await.data().get("pickups").is_none());
    let told = until_stage(&mut partner, "W-1", "collected").await["data"].clone();
    assert_eq!((&told["device"], &told["decision"]), (&json!("till-1"), &json!(decision)));
    assert!(told.get("after_cancel").is_none() && told.get("twice").is_none(), "{told}");

    // A member's order is found by the member's card; a cancelled one is not handed over.
    let theirs = order("W-2", json!({ "member": "m-2001" }), json!({ "ready": true }));
    let cancelled = order("W-3", json!({ "code": "PICK-7Q2M-0003" }), json!({}));
    let raced = order("W-4", json!({ "code": "PICK-7Q2M-0004", "member": "m-2001" }), json!({}));
    for placed in [&theirs, &cancelled, &raced] {
        place(&mut partner, placed).await;
        until_stage(&mut partner, placed["order"].as_str().expect("a number"), "waiting").await;
    }
    let scanned = kiosk.ask("scan", json!({ "token": card("2001") })).await.data().clone();
    assert_eq!(orders(&scanned), these([("W-2", "ready"), ("W-4", "placed")]));
    partner.ask(json!({ "v": 1, "id": "cancel-W-3", "cancel": { "order": "W-3" } })).await;
    until_stage(&mut partner, "W-3", "cancelled").await;
    assert_eq!(till.ask("event", pick_up("W-3")).await.refusal(), (410, "AIS-2204"));

    // The line is cut: handed over in the shop, cancelled at head office. The hand-over stands, and says so.
    wire.cut.send_replace(true);
    crate::shop::until("the shop alone", || {
        let status = aisled::daemon::control::ask(shop.dir.path(), &aisled::daemon::control::Ask::Status);
        status.expect("it answers").is_some_and(|status| status["head_office"]["connected"] == false)
    })
    .await;
    till.ask("event", pick_up("W-4")).await.data();
    partner.ask(json!({ "v": 1, "id": "cancel-W-4", "cancel": { "order": "W-4" } })).await;
    until_stage(&mut partner, "W-4", "cancelling").await;
    wire.cut.send_replace(false);
    let told = until_stage(&mut partner, "W-4", "collected").await["data"].clone();
    assert_eq!(told["after_cancel"], true, "{told}");
    assert_eq!(kiosk.ask("event", pick_up("W-4")).await.refusal(), (409, "AIS-2205"));

    // Head office starts again from its own files and knows as much.
    office.shutdown().await;
    let office = head_office(data.path()).await;
    let mut partner = Partner::connect(office.addr(), "secret").await;
    for (id, stage) in [("W-1", "collected"), ("W-2", "waiting"), ("W-3", "cancelled"), ("W-4", "collected")]
    {
        until_stage(&mut partner, id, stage).await;
    }
    drop((till, kiosk));
    shop.stop().await;
    office.shutdown().await;
}
