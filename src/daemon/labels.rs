//! Prices pushed to the shelf: gateways of electronic labels hear what changes at the minute it changes.
//!
//! A gateway says so in its presence: `"wants":["price"]`. Each presence, so each connect, brings the whole list; from then
//! on, what is other than it was told. Once a minute by the shop's clock, and with each bundle, all labels are worked out
//! beside the loop, while a gateway is there; what changed twice meanwhile is told once. What the broker does not take yet
//! waits here, in order, so much a second; a gateway that goes away is told anew when it is back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bundle::Bundle;
use crate::devices::link::{Link, Outgoing};
use crate::devices::topic::{Topic, Topics};
use crate::devices::wire::Format;
use crate::devices::wire::status::{DeviceStatus, Presence, PricePush, Prices};
use crate::domain::calendar::UnixMs;
use crate::domain::ids::DeviceId;
use crate::engine::labels::{changes, labels};
use crate::engine::reply::Label;
use crate::limits;

use super::Command;

/// The kind that a gateway wants and that its pushes have.
const KIND: &str = "price";

#[derive(Default)]
struct Gateway {
    /// What it has been told, or will be by what waits; nothing before its first list.
    told: Option<Arc<[Label]>>,
    waiting: VecDeque<Vec<u8>>,
}

/// The gateways that are there.
#[derive(Default)]
pub(super) struct Labels {
    gateways: BTreeMap<DeviceId, Gateway>,
    /// The minute and the rules the labels were worked out for last.
    done: Option<(i64, u64)>,
    at_work: bool,
}

impl Labels {
    /// A device said whether it is there, and what it wants.
    pub(super) fn presence(&mut self, device: &DeviceId, status: Option<&DeviceStatus>) {
        let wants = status
            .filter(|status| status.state == Presence::Online)
            .is_some_and(|status| status.wants.iter().any(|kind| kind == KIND));
        if !wants {
            self.gateways.remove(device);
        } else if self.gateways.len() < limits::LABEL_GATEWAYS_MAX || self.gateways.contains_key(device) {
            self.gateways.insert(device.clone(), Gateway::default());
            self.done = None;
        } else {
            tracing::warn!(%device, "more label gateways than are served; this one is told nothing");
        }
    }

    /// Once a second: works the labels out anew where it is time, and sends on what waits.
    pub(super) fn tick(
        &mut self,
        bundle: Option<&Arc<Bundle>>,
        now: UnixMs,
        (link, topics): (&Link, &Topics),
        commands: &mpsc::Sender<Command>,
    ) {
        if self.gateways.is_empty() {
            return;
        }
        self.send(link, topics);
        let Some(bundle) = bundle else { return };
        let moment = (now.0.div_euclid(60_000), bundle.reference.version);
        if self.at_work || self.done == Some(moment) {
            return;
        }
        (self.at_work, self.done) = (true, Some(moment));
        let (bundle, commands) = (bundle.clone(), commands.clone());
        tokio::task::spawn_blocking(move || {
            let worked_out = labels(&bundle, now).into();
            if commands.blocking_send(Command::Labels(worked_out)).is_err() {
                tracing::debug!("the labels come after the end");
            }
        });
    }

    /// The labels as they are now: each gateway is told what is new to it.
    pub(super) fn worked_out(&mut self, new: &Arc<[Label]>, now: &str, (link, topics): (&Link, &Topics)) {
        self.at_work = false;
        for gateway in self.gateways.values_mut() {
            let parts = match &gateway.told {
                None => parts(new, &[], true, now),
                Some(told) => {
                    let (other, gone) = changes(told, new);
                    if other.is_empty() && gone.is_empty() {
                        continue;
                    }
                    parts(&other, &gone, false, now)
                }
            };
            gateway.waiting.extend(parts);
            gateway.told = Some(new.clone());
        }
        self.send(link, topics);
    }

    fn send(&mut self, link: &Link, topics: &Topics) {
        for (device, gateway) in &mut self.gateways {
            for _ in 0..limits::LABEL_PARTS_AT_ONCE_MAX {
                let Some(payload) = gateway.waiting.front() else { break };
                let Ok(topic) = topics.build(Topic::Event { device: device.as_str(), kind: KIND }) else {
                    break;
                };
                let content_type = Some(Format::Json.content_type().to_owned());
                let message =
                    Outgoing { topic, payload: payload.clone(), content_type, ..Outgoing::default() };
                if link.publish(message).is_err() {
                    break;
                }
                gateway.waiting.pop_front();
            }
        }
    }
}

/// As many payloads as it takes; a whole list has one even when it is empty.
fn parts(prices: &[Label], gone: &[crate::domain::ids::Sku], whole: bool, now: &str) -> Vec<Vec<u8>> {
    let of = prices.len().max(gone.len()).div_ceil(limits::LABELS_IN_A_PART).max(1);
    let part = |nth: usize| {
        let prices = prices.chunks(limits::LABELS_IN_A_PART).nth(nth).unwrap_or_default().to_vec();
        let gone = gone.chunks(limits::LABELS_IN_A_PART).nth(nth).unwrap_or_default().to_vec();
        let (part, parts) = (nth as u32 + 1, of as u32);
        let data = Prices { whole, part, parts, prices, gone };
        PricePush::new(now.to_owned(), data).encode()
    };
    (0..of).map(part).collect()
}
