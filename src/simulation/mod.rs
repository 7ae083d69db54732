//! Simulated worlds: many shops and head office in one thread under one clock, with every fault we can think of, judged.
//!
//! ```text
//! seed --weather--> world: tills --wire--> station (engine, journal over an emulated disk, sender) --frames--> office
//!                                                     '------ told to ------> judge <------'        (ledger, books)
//! ```
//! Real: the engine, the wire's decoder and encoder, the journal, the sender's machine, its batches and frames, head
//! office's ledger, books and lender. Simulated: time, chance, networks, disks, tables (a plain map), head office's files, the threads
//! of the daemon, shoppers. `random` chance · `weather` what goes wrong · `rules` the chain's · `stage` clock, queue, counts ·
//! `till` shoppers and devices · `station` a box (`sender` its line, `memory` its tables, `outbox` its journal as the sender reads it) ·
//! `office` head office · `judge` the model (`escrow` what was lent, `pickups` orders paid online) · `world` the events · `wrong` behaviours the judge must catch.
//!
//! Invariants: a seed is a world: run twice, it gives the same trace, and that is checked. No thread, no wall clock, no
//! randomly hashed map. To look into a violation, run its seed alone: `aisled simulate --seeds 1 --seed S`.

mod escrow;
mod judge;
mod memory;
mod office;
mod outbox;
mod pickups;
mod random;
mod rules;
mod sender;
mod stage;
mod station;
mod till;
mod weather;
mod world;
pub mod wrong;

pub use judge::Violation;
pub use rules::ChainRules;
pub use stage::Counts;
pub use world::{Ended, Plan, run};

/// Runs a seed twice: the same must come of it.
pub fn run_twice(seed: u64, plan: Plan, rules: &ChainRules, day_over: &dyn Fn()) -> Ended {
    let mut first = run(seed, plan, rules, day_over);
    let second = run(seed, plan, rules, day_over);
    if first != second {
        let text = format!("the same seed gave two worlds: {} and {}", first.trace, second.trace);
        first.found += 1;
        first.violations.push(Violation { invariant: "replay", seed, step: 0, text });
    }
    first
}
