//! The shop's line to head office: the journal goes up, acks, bundles and members come down.
//!
//! `wire` frames and their bounds · `backlog` the journal as the sender sees it, and packing · `machine` the sender, pure ·
//! `download` fetching a bundle, pure · `asking` when to ask for slices, pure · `link` the thin shell around them: rumqttc, a reading thread, the state file ·
//! `files` what survives a restart and what a human parked.
//!
//! Invariants: losing head office is a state with an age and a named cause, never an error of the shop; the guarantee is
//! the journal's and head office's acknowledgement, never the MQTT client's; nothing here waits for the disk on an
//! async thread, and nothing of the shop waits for anything here.

mod asking;
pub mod backlog;
pub mod download;
pub mod files;
pub mod link;
pub mod machine;
pub mod wire;
