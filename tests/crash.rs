//! Is anything lost, done twice or half done when the daemon is killed in the middle of its work?
//!
//! `AISLED_KILL_CYCLES` (default 5): how often it is killed. `power` takes its disk away instead; what is looked at is in `ordeal`.

#[path = "support/child.rs"]
mod child;
#[path = "crash/ordeal.rs"]
mod ordeal;
#[path = "crash/power.rs"]
mod power;
#[path = "support/rules.rs"]
mod rules;
#[path = "support/signed.rs"]
mod signed;
#[path = "support/till.rs"]
mod till;

use std::io::Write as _;

use child::prepare;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_acknowledged_sale_there_once_however_often_the_daemon_is_killed() {
    let cycles = ordeal::times("AISLED_KILL_CYCLES", 5);
    let dir = tempfile::tempdir().expect("a directory for the test");
    let data = dir.path().join("data");
    let config = prepare(dir.path(), &data);
    let kill = |daemon: &mut Option<child::Daemon>| daemon.take().expect("it runs").kill();
    let figures = ordeal::endure((&config, &data), cycles, kill, |_| {}).await;
    drop(writeln!(std::io::stderr(), "kill -9: {figures}"));
}
