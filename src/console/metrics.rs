//! `/metrics` in Prometheus' text format, and `/healthz`: what machines read.
//!
//! Names end in their unit, labels are bounded (operations of the contract, states of this program): no device, member or
//! article is ever a label. Everything comes from the snapshot; a scrape asks the loop for nothing.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::health::health;
use super::lanes::Operation;
use super::routes::Console;
use super::shop::Snapshot;
use crate::limits;

/// Every family: its name without the program's, its type, what it counts.
pub const FAMILIES: &[(&str, &str, &str)] = &[
    ("build_info", "gauge", "The program that runs; always 1."),
    ("uptime_seconds", "gauge", "Seconds since the daemon started."),
    ("ready", "gauge", "1 if store, rules and broker stand."),
    ("degraded", "gauge", "1 while nothing scarce is spent."),
    ("broker_connected", "gauge", "1 while the session with the broker stands."),
    ("bundle_version", "gauge", "Version of the rules in force; 0 without any."),
    ("requests_total", "counter", "Answers given to devices, by operation and outcome."),
    (
        "request_duration_seconds",
        "histogram",
        "From hearing a request to handing over its answer, the disk included.",
    ),
    ("replays_total", "counter", "First answers given again."),
    ("unspoken_total", "counter", "Answers that could not be handed to the broker; the device asks again."),
    ("decisions_total", "counter", "Decisions sent to the journal."),
    ("devices_online", "gauge", "Devices that are there."),
    ("devices_known", "gauge", "Devices that ever told their presence since the start."),
    ("open_quotes", "gauge", "Quotes that may still be settled."),
    ("answers_waiting", "gauge", "Answers that wait for the disk."),
    ("journal_durable_seq", "gauge", "The last decision on the disk."),
    ("journal_followed_seq", "gauge", "The last decision that the tables hold."),
    ("journal_missing", "gauge", "Decisions missing from the journal."),
    ("disk_free_bytes", "gauge", "Free on the data disk."),
    ("disk_wanted_bytes", "gauge", "Wanted free at least; below it nothing scarce is spent."),
    ("head_office_connected", "gauge", "1 while head office answers."),
    ("head_office_backlog", "gauge", "Decisions head office has not taken over."),
    ("head_office_oldest_seconds", "gauge", "Seconds the oldest of them has waited."),
    ("head_office_parked", "gauge", "Decisions set aside, for a person to look at."),
    ("head_office_batches_total", "counter", "Batches sent to head office, repetitions included."),
    ("console_requests_total", "counter", "Requests the console answered, by area and status or code."),
];

/// A value where one of a family is written.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str) {
        let found = FAMILIES.iter().find(|(known, ..)| *known == name);
        let (name, kind, help) = found.expect("every family written is in the list");
        write!(self.0, "# HELP aisled_{name} {help}\n# TYPE aisled_{name} {kind}\n")
            .expect("memory takes it");
    }

    fn one(&mut self, name: &str, value: impl std::fmt::Display) {
        self.family(name);
        writeln!(self.0, "aisled_{name} {value}").expect("memory takes it");
    }

    fn sample(&mut self, series: &str, labels: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "aisled_{series}{{{labels}}} {value}").expect("memory takes it");
    }

    /// The counts by operation, and how long they took.
    fn operations(&mut self, operations: &[Operation]) {
        self.family("requests_total");
        for of in operations {
            let op = of.op;
            self.sample("requests_total", &format!("op=\"{op}\",outcome=\"answered\""), of.answered);
            self.sample("requests_total", &format!("op=\"{op}\",outcome=\"refused\""), of.refused);
        }
        self.family("request_duration_seconds");
        for of in operations {
            let (op, name) = (of.op, "request_duration_seconds_bucket");
            let mut sum = 0;
            for (bound_us, count) in limits::LATENCY_BOUNDS_US.iter().zip(of.buckets) {
                sum += count;
                self.sample(name, &format!("op=\"{op}\",le=\"{}\"", seconds(u64::from(*bound_us))), sum);
            }
            let all = of.buckets.iter().sum::<u64>();
            self.sample(name, &format!("op=\"{op}\",le=\"+Inf\""), all);
            let label = format!("op=\"{op}\"");
            self.sample("request_duration_seconds_sum", &label, seconds(of.sum_us));
            self.sample("request_duration_seconds_count", &label, all);
        }
    }
}

/// Microseconds as seconds, without rounding.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The document. `console` holds the console's own answers by area and status.
pub fn metrics(shop: &Snapshot, console: &[(&str, u16, u64)]) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    text.family("build_info");
    text.sample("build_info", &format!("version=\"{}\",store=\"{}\"", shop.version, shop.store), 1);
    text.one("uptime_seconds", shop.up_s);
    text.one("ready", u8::from(health(shop).is_ready()));
    text.one("degraded", u8::from(shop.degraded));
    text.one("broker_connected", u8::from(shop.broker_up));
    text.one("bundle_version", shop.bundle.as_ref().map_or(0, |(version, _)| *version));
    text.operations(&shop.operations);
    text.one("replays_total", shop.counts.replayed);
    text.one("unspoken_total", shop.counts.unspoken);
    text.one("decisions_total", shop.counts.decisions);
    text.one("devices_online", shop.devices.iter().filter(|device| device.online).count());
    text.one("devices_known", shop.devices.len());
    text.one("open_quotes", shop.open_quotes);
    text.one("answers_waiting", shop.journal.waiting);
    text.one("journal_durable_seq", shop.journal.durable);
    text.one("journal_followed_seq", shop.journal.followed);
    text.one("journal_missing", shop.journal.missing);
    if let Some(free) = shop.disk.free_bytes {
        text.one("disk_free_bytes", free);
    }
    text.one("disk_wanted_bytes", shop.disk.min_bytes);
    if let Some(line) = &shop.head_office {
        text.one("head_office_connected", u8::from(line.connected));
        text.one("head_office_backlog", line.backlog);
        text.one("head_office_oldest_seconds", seconds(line.oldest_ms.unwrap_or_default() * 1_000));
        text.one("head_office_parked", line.parked.len());
        text.one("head_office_batches_total", line.batches);
    }
    text.family("console_requests_total");
    for (area, status, count) in console {
        text.sample("console_requests_total", &format!("area=\"{area}\",status=\"{status}\""), count);
    }
    text.0
}

/// Answers a scrape.
pub(super) async fn scrape(State(console): State<Arc<Console>>) -> Response {
    let own: Vec<(&str, u16, u64)> = {
        let tally = console.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.iter().map(|((area, status), count)| (*area, *status, *count)).collect()
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, kind)], metrics(&console.snapshot(), &own)).into_response()
}

/// Answers 200 if the shop is ready to sell, 503 if not; either way with what was looked at. That it answers says it lives.
pub(super) async fn healthz(State(console): State<Arc<Console>>) -> Response {
    let health = health(&console.snapshot());
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CONTENT_TYPE, "application/json")], health.document().to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::lanes::{Lanes, Visit};
    use crate::domain::calendar::UnixMs;
    use crate::domain::ids::DeviceId;

    #[test]
    fn does_the_document_say_what_it_counted() {
        let mut lanes = Lanes::default();
        let visit = Visit { device: DeviceId::new("till-1").expect("an id"), op: "quote" };
        for us in [400, 500, 501, 2_000_000] {
            lanes.answered(&visit, UnixMs(0), us, None);
        }
        let shop = Snapshot { operations: lanes.operations(), ..Snapshot::default() };
        let text = metrics(&shop, &[("page", 200, 3)]);
        for line in [
            "aisled_request_duration_seconds_bucket{op=\"quote\",le=\"0.0005\"} 2",
            "aisled_request_duration_seconds_bucket{op=\"quote\",le=\"0.001\"} 3",
            "aisled_request_duration_seconds_bucket{op=\"quote\",le=\"1\"} 3",
            "aisled_request_duration_seconds_bucket{op=\"quote\",le=\"+Inf\"} 4",
            "aisled_request_duration_seconds_sum{op=\"quote\"} 2.001401",
            "aisled_console_requests_total{area=\"page\",status=\"200\"} 3",
            "# TYPE aisled_requests_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("till-1"), "no device is a label");
    }
}
