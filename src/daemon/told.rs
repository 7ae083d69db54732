//! What the daemon tells of itself: the answer to `aisled status --json`.

use super::Shop;
use crate::bundle::Bundle;
use crate::bundle::active::Columns;
use crate::devices::broker::Door;
use crate::shopper::recommend::NetworkFault;

use super::console::Window;

/// Head office's network: how many articles it knows, or why it is of no use.
fn told_of(network: &Result<Columns, NetworkFault>) -> serde_json::Value {
    match network {
        Ok(columns) => serde_json::json!({ "items": columns.items.len() }),
        Err(fault) => serde_json::json!({ "code": fault.code(), "cause": fault.to_string() }),
    }
}

/// A bundle comes into force: whoever keeps the box hears of a network that is of no use; the shop proposes without it.
pub(super) fn tell_of_network(bundle: &Bundle) {
    if let Some(Err(fault)) = &bundle.network {
        let (version, code) = (bundle.reference.version, fault.code());
        tracing::warn!(%code, version, error = %fault, "head office's network is of no use; proposals are made without it");
    }
}

impl Shop {
    pub(super) fn status(&self) -> serde_json::Value {
        let store = &self.desk.store;
        let identity = store.identity();
        let now = self.clock.now();
        let bundle = self.desk.engine.bundle().map(|bundle| &bundle.reference);
        serde_json::json!({
            "state": self.state(),
            "store": identity.store,
            "epoch": identity.epoch,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "up_s": now.ms_since(self.started) / 1_000,
            "bundle": bundle,
            "bundle_age": self.age.status(now),
            "network": self.desk.engine.bundle().and_then(|bundle| bundle.network.as_ref().map(told_of)),
            "open_quotes": self.desk.engine.open_quotes(),
            "proposals": self.desk.engine.advised(),
            "devices_online": self.present.values().filter(|presence| presence.online).count(),
            "devices": self.present.iter().map(|(device, presence)| serde_json::json!({
                "device": device, "online": presence.online, "since": presence.since,
            })).collect::<Vec<_>>(),
            "refused": self.door.as_ref().map(Door::refusals),
            "link_up": self.desk.link().is_up(),
            "lanes": self.desk.lanes.lanes().iter().map(|lane| serde_json::json!({
                "device": lane.device, "per_minute": lane.per_minute(), "p99_us": lane.p99_us(),
                "answers": lane.answers, "refusals": lane.refusals,
                "online": self.present.get(&lane.device).map(|presence| presence.online),
            })).collect::<Vec<_>>(),
            "console": self.window.as_ref().and_then(Window::address),
            "counts": self.desk.counts,
            "journal": {
                "next": store.next_seq(),
                "durable": store.durable(),
                "followed": store.followed(),
                "first": store.journal().first(),
                "missing": store.keeper().missing().iter().map(|gap| [gap.from, gap.to]).collect::<Vec<_>>(),
                "waiting": self.desk.waiting(),
            },
            "disk": { "free_bytes": self.disk.free_bytes, "footing": format!("{:?}", store.footing()), "code": store.hindered() },
            "head_office": self.sender.as_ref().map(|sender| sender.upstream.status().borrow().clone()),
        })
    }
}
