//! THE MAP. aisled is the daemon on the box in every shop: it decides offers and prices for the shop's kiosks and tills,
//! remembers what was decided, and tells head office when it can.
//!
//! ```text
//! kiosks, tills --MQTT--> devices::link --> devices::wire --Input--> +--------+
//! head office  --bundle, members--> upstream --Command-------------> | daemon |--> engine.needs, engine.handle --> Entry   pure
//! shell        --control socket------------------------------------> |one loop|
//!                                                                    +---+----+
//!     1. storage::store appends the group to the journal, one sync        the shop's one truth
//!     2. devices publish the replies                                      only now
//!     3. the sled tables follow; upstream sends the journal on            views of it
//! ```
//!
//! # Where does a new thing go?
//! - a promotion kind: a variant of `pricing::model::Benefit` with its shape in `pricing/model/benefit.rs`, what it gives in
//!   `pricing/benefits/`, its faults in `pricing/check/benefits.rs`, its phase in `pricing/book.rs`, the ways to apply it that
//!   `best` may weigh in `pricing/best/columns.rs` (without them it is a whole), a text table in `tests/pricing/`
//! - a request: its shape in `devices/wire/request.rs`, a variant of `engine::input::Body`, a file beside `engine/sale.rs`,
//!   its reply in `engine::reply`; `config/asyncapi.yaml` is generated
//! - a word of head office: its frame in `upstream/wire.rs` (`DownKind`, `Down`), who says it in `hub/lender/`, a variant of
//!   `engine::input::Input`; something more that is lent: a `Scope` of `domain::lease`
//! - a table: a variant of `engine::decision::{Key, Record}`, the next tree number in `storage::tables`, and a newer
//!   `storage::format`, so that an older program leaves the directory alone
//! - something personal in a decision: a line in `engine::marks::FIELDS`, so that the journal holds a number instead
//! - an error: a line in `domain::code`, in both languages; a bound: a line in `limits`
//! - a page: a file in `console/pages`, a line in `console/routes.rs` and in the menu of `console/page.rs`
//! - a verb: a file in `cli` and a line in `main.rs`
//! - a field of the bundle: `bundle::document`; its check in `bundle/check.rs`; `config/schema/` is generated
//!
//! # Rooms, from pure to worldly (arrows: `tests/tidy.rs`)
//! `domain` nouns of the shop · `limits` every bound · `pricing` promotions · `shopper` segments · `bundle` rules, signed ·
//! `engine` decides · `audit` who did what to the box · `gate` connections, TLS, the shop's authority · `storage` journal, tables, commit · `devices` front door · `upstream`, `hub` the line to head office ·
//! `console` web pages, health, metrics · `clock`, `chance`, `config` · `simulation` worlds of shops, judged · `daemon` the one loop · `cli` a file per verb
//!
//! # Deliberately absent
//! No float near money (one file of `pricing/best` proposes with them what integers then prove). No clock, file or socket in the pure rooms. No actor framework, no configuration macro, no plug-ins:
//! a promotion is data. No copy of the journal for sending or auditing. No lock around the engine: one loop owns it.

pub mod audit;
pub mod bundle;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod devices;
pub mod domain;
pub mod engine;
pub mod gate;
pub mod hub;
pub mod limits;
pub mod pricing;
pub mod shopper;
pub mod simulation;
pub mod storage;
pub mod upstream;
