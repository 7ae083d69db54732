//! What people do with the console, written into the audit log: who signed in, who was refused, who signed out.
//!
//! Invariants: a name that nobody has is never written down, for it may be a password typed into the wrong field; whoever
//! waits after wrong passwords is written once for each wait; refusals of an hour are bounded, so that no stranger pushes the
//! acts of others out of the log; a page waits for the disk, the tills never do.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::audit;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::limits;

/// The writer.
pub(super) struct Acts {
    dir: PathBuf,
    /// Since when refusals are counted, and how many there were.
    refusals: Mutex<(UnixMs, u32)>,
}

impl Acts {
    /// For the log of a data directory.
    pub(super) fn new(data_dir: &Path) -> Acts {
        Acts { dir: data_dir.to_owned(), refusals: Mutex::new((UnixMs(0), 0)) }
    }

    /// Writes down an act of a user; durable when this returns.
    pub(super) async fn write(
        &self,
        at: UnixMs,
        user: &str,
        act: &'static str,
        what: Value,
    ) -> Result<(), Code> {
        let (dir, who) = (self.dir.clone(), format!("console {user}"));
        let written = tokio::task::spawn_blocking(move || audit::append(&dir, at, who.trim(), act, what));
        let failed = |error: &dyn std::fmt::Display, code: Code| {
            tracing::error!(%error, %code, act, "an act of the console is not in the audit log");
            code
        };
        match written.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&error, error.code())),
            Err(error) => Err(failed(&error, Code::AuditUnwritable)),
        }
    }

    /// Somebody did not get in. `known` is who they said they are, where there is such a user.
    pub(super) async fn refuse(&self, at: UnixMs, act: &'static str, (from, known): (IpAddr, Option<&str>)) {
        let mut refusals = self.refusals.lock().await;
        let (since, count) = &mut *refusals;
        if at.ms_since(*since).abs() >= limits::CONSOLE_REFUSALS_AUDITED_MS {
            (*since, *count) = (at, 0);
        }
        *count += 1;
        let last = *count == limits::CONSOLE_REFUSALS_AUDITED_MAX;
        if *count > limits::CONSOLE_REFUSALS_AUDITED_MAX {
            return;
        }
        let mut what = json!({ "from": from, "user": known });
        if last {
            what["more"] = json!("further refusals of this hour are not written down");
        }
        // The log says so; whoever was refused is refused all the same.
        let _ = self.write(at, "", act, what).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn can_a_stranger_push_the_acts_of_others_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let acts = Acts::new(dir.path());
        let from = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..2 * limits::CONSOLE_REFUSALS_AUDITED_MAX {
            acts.refuse(UnixMs(1), "console.login_refused", (from, None)).await;
        }
        let told = || audit::last(dir.path(), 1_000).expect("it reads");
        assert_eq!(told().len(), limits::CONSOLE_REFUSALS_AUDITED_MAX as usize);
        assert!(told().last().is_some_and(|act| act.what["more"].is_string()));
        acts.write(UnixMs(2), "ada", "console.login", json!({})).await.expect("it is written");
        acts.refuse(
            UnixMs(limits::CONSOLE_REFUSALS_AUDITED_MS + 1),
            "console.login_refused",
            (from, Some("ada")),
        )
        .await;
        let last: Vec<_> = told().into_iter().rev().take(2).map(|act| (act.who, act.what)).collect();
        assert_eq!(last[0], ("console".to_owned(), json!({ "from": "127.0.0.1", "user": "ada" })));
        assert_eq!(last[1].0, "console ada");
        audit::verify(dir.path()).expect("it checks");
    }
}
