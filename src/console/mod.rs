//! The web pages for whoever runs the shop, with health and metrics.
//!
//! ```text
//! daemon's loop --Snapshot, once a second--> watch --> Now, Sync, Devices, /metrics, /healthz     (never asks the loop)
//! browser --> server: bounded, timed --> door: host, origin, pace --> session, role --> page
//!                                                     Why, Campaigns, Segments, When --> Shop::ask, one at a time
//! ```
//! Invariants: runs in a thread of its own and only reads; a page that needs more than the snapshot waits for one of
//! `CONSOLE_HEAVY_MAX` places, and what is counted over the whole journal is counted at most once in a while. No asset
//! comes from elsewhere, no script stands in a page. Every text is in both languages where it is written.
//!
//! Layout: `shop` what the daemon hands in · `lanes` a device's last requests · `server` connections · `certificate` what they are served with · `door` hosts,
//! origins, paces · `users`, `sessions` who may · `acts` what they did, for the audit log · `routes` addresses to pages · `page` the frame and how figures are
//! written · `chart` inline SVG · `pages` one file each · `live` server-sent events · `metrics`, `health`.

mod acts;
mod certificate;
mod chart;
mod door;
mod health;
mod lanes;
mod live;
mod metrics;
mod page;
mod pages;
mod routes;
mod server;
mod sessions;
mod shop;
mod users;

pub use health::{Health, health};
pub use lanes::{Lane, Lanes, Last, Visit};
pub use metrics::{FAMILIES, metrics};
pub use page::ASSET_BYTES;
pub use server::{ConsoleConfig, ConsoleError, serve};
pub use shop::{
    Counts, Question, Shop, Snapshot, SnapshotDevice, SnapshotDisk, SnapshotJournal, SnapshotLine, Trouble,
};
pub use users::{Role, User, UserError, Users};
