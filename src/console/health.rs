//! Is the shop well? Each part with its state, and the code that says what to do.
//!
//! Ready is: store, rules and broker stand. What selling can go on without (head office, room for scarce things) is worth a
//! look and never makes a shop unready, so that no supervisor restarts a box that sells.

use serde_json::{Value, json};

use super::shop::Snapshot;
use crate::domain::code::Code;
use crate::limits;

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// Selling goes on, but someone should look.
    Warn,
    /// The shop cannot sell by its rules.
    Fail,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which: store, bundle, broker, head_office, disk, clock.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What to read about it.
    pub code: Option<Code>,
    /// What was seen.
    pub seen: Value,
}

/// All parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// In the order in which one rests on another.
    pub items: Vec<Item>,
}

impl Health {
    /// Can the shop sell by its rules?
    pub fn is_ready(&self) -> bool {
        self.items.iter().all(|item| item.state != State::Fail)
    }

    /// As machines read it.
    pub fn document(&self) -> Value {
        let items = self.items.iter().map(|item| {
            let state = match item.state {
                State::Ok => "ok",
                State::Warn => "warn",
                State::Fail => "fail",
            };
            (item.name.to_owned(), json!({ "state": state, "code": item.code, "seen": item.seen }))
        });
        let items: serde_json::Map<String, Value> = items.collect();
        json!({ "live": true, "ready": self.is_ready(), "parts": items })
    }
}

/// Looks at a snapshot.
pub fn health(shop: &Snapshot) -> Health {
    let item = |name, state, code, seen| Item { name, state, code, seen };
    let journal = shop.journal;
    let store = match (shop.disk.whole, journal.missing) {
        (true, 0) => (State::Ok, None),
        (true, _) => (State::Warn, Some(Code::JournalGap)),
        (false, _) => (State::Warn, shop.disk.code.or(Some(Code::Degraded))),
    };
    let mut items = vec![item(
        "store",
        store.0,
        store.1,
        json!({ "durable": journal.durable, "followed": journal.followed, "missing": journal.missing }),
    )];
    items.push(match &shop.bundle {
        Some((version, hash)) => {
            // Rules are in force without head office's network too; proposals are poorer.
            let code = shop.network.as_ref().map(|(code, _)| *code);
            let state = if code.is_some() { State::Warn } else { State::Ok };
            item("bundle", state, code, json!({ "version": version, "hash": hash }))
        }
        None => item("bundle", State::Fail, Some(Code::NoBundle), Value::Null),
    });
    items.push(match shop.broker_up {
        true => item("broker", State::Ok, None, Value::Null),
        false => item("broker", State::Fail, Some(Code::BrokerUnreachable), Value::Null),
    });
    items.extend(shop.head_office.as_ref().map(|line| {
        let away_ms = if line.connected { 0 } else { shop.at.ms_since(line.since) };
        let (state, code) = match &line.trouble {
            _ if !line.parked.is_empty() || line.stuck.is_some() => (
                State::Warn,
                line.trouble.as_ref().map_or(Some(Code::HeadOfficeUnreachable), |(code, _)| Some(*code)),
            ),
            Some((code, _)) if away_ms > limits::HEALTH_AWAY_MS => (State::Warn, Some(*code)),
            None if away_ms > limits::HEALTH_AWAY_MS => (State::Warn, Some(Code::HeadOfficeUnreachable)),
            _ => (State::Ok, None),
        };
        let seen = json!({
            "connected": line.connected,
            "away_s": away_ms / 1_000,
            "backlog": line.backlog,
            "oldest_s": line.oldest_ms.map(|ms| ms / 1_000),
            "parked": line.parked.len(),
        });
        item("head_office", state, code, seen)
    }));
    let disk = match shop.disk.free_bytes {
        Some(free) if free >= shop.disk.min_bytes => (State::Ok, None),
        _ => (State::Warn, Some(Code::DiskSpaceLow)),
    };
    items.push(item(
        "disk",
        disk.0,
        disk.1,
        json!({ "free_bytes": shop.disk.free_bytes, "wanted_bytes": shop.disk.min_bytes }),
    ));
    let told = (limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&shop.at.0);
    let clock = if told { (State::Ok, None) } else { (State::Warn, Some(Code::ClockWrong)) };
    items.push(item("clock", clock.0, clock.1, json!({ "at": shop.at.to_string() })));
    Health { items }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::shop::{SnapshotDisk, SnapshotLine};
    use crate::domain::calendar::UnixMs;

    fn well() -> Snapshot {
        Snapshot {
            at: UnixMs(limits::CLOCK_UNIX_MS_MIN),
            broker_up: true,
            bundle: Some((3, "ab".to_owned())),
            disk: SnapshotDisk { free_bytes: Some(9), min_bytes: 5, whole: true, code: None },
            ..Snapshot::default()
        }
    }

    fn found(shop: &Snapshot) -> (bool, Vec<(&'static str, State)>) {
        let health = health(shop);
        let of = health.items.iter().filter(|item| item.state != State::Ok);
        (health.is_ready(), of.map(|item| (item.name, item.state)).collect())
    }

    #[test]
    fn what_makes_a_shop_unready_and_what_is_only_worth_a_look() {
        assert_eq!(found(&well()), (true, vec![]));
        assert_eq!(found(&Snapshot { bundle: None, ..well() }), (false, vec![("bundle", State::Fail)]));
        let network = Some((Code::ModelUnreadable, String::new()));
        assert_eq!(found(&Snapshot { network, ..well() }), (true, vec![("bundle", State::Warn)]));
        assert_eq!(found(&Snapshot { broker_up: false, ..well() }), (false, vec![("broker", State::Fail)]));
        assert_eq!(found(&Snapshot { at: UnixMs(0), ..well() }), (true, vec![("clock", State::Warn)]));
        let disk = SnapshotDisk { free_bytes: Some(4), ..well().disk };
        assert_eq!(found(&Snapshot { disk, ..well() }), (true, vec![("disk", State::Warn)]));
        let line = |away_ms: i64| SnapshotLine {
            connected: false,
            since: well().at.plus_ms(-away_ms),
            backlog: 5,
            oldest_ms: None,
            applied: 0,
            durable: 0,
            parked: Vec::new(),
            stuck: None,
            clock_ahead_ms: None,
            download: None,
            trouble: None,
            batches: 0,
        };
        let away = |away_ms| Snapshot { head_office: Some(line(away_ms)), ..well() };
        assert_eq!(found(&away(limits::HEALTH_AWAY_MS)), (true, vec![]), "nothing unusual");
        assert_eq!(found(&away(limits::HEALTH_AWAY_MS + 1)), (true, vec![("head_office", State::Warn)]));
    }
}
