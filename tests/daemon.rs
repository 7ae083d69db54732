//! Does the daemon keep the contract through its own door: real MQTT clients of both versions, over TCP, against the
//! whole program with its disk. Every wait is for an event, with a deadline that only a failure reaches.

#[path = "daemon/advice.rs"]
mod advice;
#[path = "daemon/bad_input.rs"]
mod bad_input;
#[path = "daemon/campaigns.rs"]
mod campaigns;
#[path = "support/child.rs"]
mod child;
#[path = "daemon/clocks.rs"]
mod clocks;
#[path = "daemon/conform.rs"]
mod conform;
#[path = "daemon/console.rs"]
mod console;
#[path = "daemon/devices.rs"]
mod devices;
#[path = "daemon/disk.rs"]
mod disk;
#[path = "daemon/gifts.rs"]
mod gifts;
#[path = "daemon/labels.rs"]
mod labels;
#[path = "daemon/numbers.rs"]
mod numbers;
#[path = "daemon/once.rs"]
mod once;
#[path = "daemon/online.rs"]
mod online;
#[path = "support/onnx.rs"]
mod onnx;
#[path = "daemon/orders.rs"]
mod orders;
#[path = "daemon/poslog.rs"]
mod poslog;
#[path = "daemon/privacy.rs"]
mod privacy;
#[path = "broker/raw.rs"]
mod raw;
#[path = "daemon/referrals.rs"]
mod referrals;
#[path = "daemon/replayed.rs"]
mod replayed;
#[path = "daemon/requests.rs"]
mod requests;
#[path = "support/rules.rs"]
mod rules;
#[path = "daemon/scarce.rs"]
mod scarce;
#[path = "daemon/segments.rs"]
mod segments;
#[path = "support/shop.rs"]
mod shop;
#[path = "daemon/siege.rs"]
mod siege;
#[path = "support/signed.rs"]
mod signed;
#[path = "support/till.rs"]
mod till;
#[path = "support/traces.rs"]
mod traces;
#[path = "daemon/trust.rs"]
mod trust;
#[path = "daemon/updates.rs"]
mod updates;
#[path = "daemon/vouchers.rs"]
mod vouchers;
#[path = "daemon/week.rs"]
mod week;
