//! One file per verb. Each verb writes to the output it is given and answers with an `Exit`.
//!
//! `poslog` is what `export` and `import` share. Two files are no verbs but what `demo` and `drive` share: `journey` reads a grocer's real baskets, `tills` are
//! simulated devices that speak the contract over MQTT.

pub mod ask;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod bugreport;
pub mod bundle;
pub mod campaigns;
pub mod check;
pub mod completions;
pub mod config;
pub mod conform;
pub mod console;
pub mod demo;
pub mod devices;
pub mod drive;
pub mod explain;
pub mod export;
pub mod hub;
pub mod import;
pub mod journey;
pub mod lab;
pub mod man;
pub mod outbox;
pub mod poslog;
pub mod privacy;
pub mod replay;
pub mod run;
pub mod segments;
pub mod simulate;
mod status;
pub mod tills;
mod words;

/// How a verb ended: the process's exit code, the same for every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// It ran and found something.
    Finding = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// It needs a running daemon and there is none.
    NotRunning = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit as u8)
    }
}
