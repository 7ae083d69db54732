//! Do simulated chains keep every promise under faults, and does the judge see each wrong behaviour? The long runs are
//! `aisled simulate`'s; these are short, so that they run with every test.

use aisled::simulation::wrong::{ALL, Wrong};
use aisled::simulation::{ChainRules, Ended, Plan, run, run_twice};

const SHOPS: usize = 3;

fn plan(days: u64, wrong: Option<Wrong>) -> Plan {
    Plan { shops: SHOPS, days, wrong }
}

fn told(ended: &Ended) -> Vec<String> {
    let violations = ended.violations.iter();
    violations.map(|found| format!("{} step {}: {}", found.invariant, found.step, found.text)).collect()
}

#[test]
fn does_every_world_keep_its_promises_and_run_the_same_again() {
    let rules = ChainRules::new(SHOPS);
    let (mut sales, mut faults, mut words, mut picked_up, mut doubted) = (0, 0, 0, 0, 0);
    for seed in 1..=30 {
        let ended = run_twice(seed, plan(2, None), &rules, &|| {});
        assert_eq!(ended.found, 0, "seed {seed}: {:#?}", told(&ended));
        sales += ended.counts.sales;
        words += ended.counts.words;
        picked_up += ended.counts.picked_up;
        doubted += ended.counts.doubted;
        faults += ended.counts.kills + ended.counts.power_cuts + ended.counts.office_crashes;
    }
    assert!(doubted > 10, "clocks jump, and {doubted} decisions say so");
    assert!(sales > 300 && faults > 50 && words > 50, "{sales} sales, {faults} faults, {words} words");
    assert!(picked_up > 30, "{picked_up} orders were handed over");
}

#[test]
fn are_two_seeds_two_worlds() {
    let rules = ChainRules::new(SHOPS);
    assert_ne!(run(1, plan(1, None), &rules, &|| {}).trace, run(2, plan(1, None), &rules, &|| {}).trace);
}

#[test]
fn is_every_wrong_behaviour_seen() {
    const SEEDS: u64 = 60;
    let rules = ChainRules::new(SHOPS);
    for (wrong, name, _) in ALL {
        let seen = (1..=SEEDS).find(|seed| run(*seed, plan(6, Some(wrong)), &rules, &|| {}).found > 0);
        assert!(seen.is_some(), "{name}: {SEEDS} worlds and nothing was noticed");
    }
}
