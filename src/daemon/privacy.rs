//! Forgetting a member, and telling everything that is known of one: what the loop does of it, and what is done without one.
//!
//! A forgetting, step by step; each may be cut off, and the next start goes on from the marker that the first one leaves:
//! 1. the vault buries the member: a marker, then who is forgotten, both durable. From here on nobody learns of them again
//! 2. a decision says so, and takes their records out of what is looked up; open quotes of theirs are closed
//! 3. the tables' thread writes tables and checkpoint anew without them, removes the former ones, and erases them from the vault
//! 4. kept bundles that name them are packed anew without them
//! 5. the marker goes
//!
//! What stays, and is said: backups taken before (a restore forgets again), rules that name a member (head office must
//! publish others), decisions of versions before there was a vault, until they are past their days, and what head office
//! had received: forgetting there is head office's. A decision that went up and is sent once more, because its
//! acknowledgement was lost before the forgetting, is another one to head office, which keeps the first and sets this one aside.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, MemberId, Seq};
use crate::domain::order::Shown;
use crate::domain::text::hex;
use crate::engine::decision::{Entry, Key, Record};
use crate::engine::input::{Body, Input};
use crate::engine::reply::Reply;
use crate::engine::{Engine, Identity};
use crate::storage::error::StorageError;
use crate::storage::journal::JournalView;
use crate::storage::store::{Footing, Store};
use crate::storage::tables::Tables;
use crate::storage::vault::Vault;

use super::bundles::{Rewritten, Shelf};
use super::{Command, Reached, open_store, reply, storage_failed};

/// A forgetting whose decision is made.
pub(super) struct Forgetting {
    pub(super) member: MemberId,
    pub(super) number: Option<u32>,
    /// The decision.
    pub(super) seq: Seq,
    pub(super) answer: Option<oneshot::Sender<Vec<u8>>>,
}

/// Why a member is not forgotten, or not any more.
pub(super) fn refusal(store: &mut Store, member: &MemberId) -> Result<Option<Value>> {
    let refused = |code: Code, why: &str| Some(json!({ "error": why, "code": code.to_string() }));
    let vault = store.vault();
    if vault.is_forgotten(member) {
        return Ok(Some(json!({ "forgotten": true, "already": true })));
    }
    if store.footing() != Footing::Whole {
        return Ok(refused(
            Code::Degraded,
            "the disk has no room, or is read-only: nothing can be written anew",
        ));
    }
    if !store.has_room() {
        return Ok(refused(Code::Busy, "decisions wait for the disk"));
    }
    let is_known = vault.number_of(member).is_some()
        || store.load(&Key::Member(member.clone())).map_err(storage_failed)?.is_some();
    Ok(if is_known { None } else { refused(Code::MemberUnknown, "no member with this id is known here") })
}

/// Steps 1 and 2. The decision is to be committed.
pub(super) fn begin(
    engine: &mut Engine,
    store: &Store,
    member: &MemberId,
    clock: &dyn Clock,
) -> Result<(Box<Entry>, Option<u32>)> {
    let vault = store.vault();
    let number = vault.number_of(member);
    vault.bury(member).map_err(storage_failed)?;
    Ok((engine.forget(member, number, clock.now()), number))
}

/// Step 4, once step 3 is done, and what is to be said.
pub(super) fn finish(
    shelf: &Shelf,
    (view, vault): (&JournalView, &Vault),
    active: Option<&BundleRef>,
    forgetting: &Forgetting,
) -> Result<Value> {
    if !vault.is_erased() {
        bail!("failed to write the tables anew; the next start of the daemon tries again");
    }
    let Rewritten { bundles, rules } = shelf.forget(active, Some(&forgetting.member))?;
    let plain = plain(view, vault, &forgetting.member)?;
    Ok(json!({
        "forgotten": true,
        "decision": forgetting.seq,
        "number": forgetting.number,
        "bundles_rewritten": bundles,
        "rules_naming": rules,
        "plain_decisions": plain,
    }))
}

/// Finishes several and tells the loop, then whoever asked.
pub(super) fn finish_all(
    shelf: &Shelf,
    (view, vault): &(JournalView, Vault),
    active: Option<&BundleRef>,
    decided: Vec<Forgetting>,
    commands: &mpsc::Sender<Command>,
) {
    let done = decided.into_iter().map(|mut forgetting| {
        let told = finish(shelf, (view, vault), active, &forgetting);
        (forgetting.answer.take(), told)
    });
    let done: Vec<_> = done.collect();
    let whole = done.iter().all(|(_, told)| told.is_ok());
    if commands.blocking_send(Command::Forgotten { whole }).is_err() {
        tracing::info!("the next start looks through the bundles once more");
    }
    for (answer, told) in done {
        let told = told.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        if let Some(answer) = answer {
            reply(answer, &told);
        }
    }
}

/// Decisions that an older version wrote and that name the member as they are.
fn plain(view: &JournalView, vault: &Vault, member: &MemberId) -> Result<Vec<Seq>> {
    let mut found = Vec::new();
    each(view, (view.first(), vault.since()), |seq, bytes| {
        if matches!(vault.decode_if_of(bytes, member), Ok(Some(_))) {
            found.push(seq);
        }
    })?;
    Ok(found)
}

fn each(view: &JournalView, (from, to): (Seq, Seq), mut take: impl FnMut(Seq, &[u8])) -> Result<()> {
    let mut reader = view.reader(from);
    loop {
        match reader.next() {
            Ok(Some(raw)) if raw.seq < to => take(raw.seq, raw.payload),
            Ok(_) => return Ok(()),
            Err(StorageError::Gap { .. }) => {}
            Err(error) => return Err(storage_failed(error)),
        }
    }
}

/// Forgets a member of a shop whose daemon does not run.
///
/// # Errors
/// The data directory cannot be opened or written.
pub fn forget_stopped(config: &Config, member: &MemberId, clock: &dyn Clock) -> Result<Value> {
    let (mut store, shelf) = open_store(config, watch::channel(Reached::default()).0)?;
    if let Some(refused) = refusal(&mut store, member)? {
        return Ok(refused);
    }
    let known = store.identity().clone();
    let identity =
        Identity { store: known.store, epoch: known.epoch, secret: known.secret, started: clock.now() };
    let mut engine = Engine::new(identity, store.next_seq());
    let (entry, number) = begin(&mut engine, &store, member, clock)?;
    store.commit(&entry).map_err(storage_failed)?;
    let (view, vault) = (store.journal(), store.vault());
    let active = store.active_bundle().map(|active| active.reference.clone());
    // The tables have followed, and step 3 is done, once it is closed.
    store.close();
    let forgetting = Forgetting { member: member.clone(), number, seq: entry.seq, answer: None };
    let told = finish(&shelf, (&view, &vault), active.as_ref(), &forgetting)?;
    vault.forgetting_ended().map_err(storage_failed)?;
    Ok(told)
}

/// Everything that the box holds of a member whose daemon does not run.
///
/// # Errors
/// The data directory cannot be opened.
pub fn export_stopped(config: &Config, member: &MemberId) -> Result<Value> {
    let (store, _) = open_store(config, watch::channel(Reached::default()).0)?;
    let told = known(&store.tables(), member);
    store.close();
    told
}

/// What the tables hold of a member.
pub(super) fn known(tables: &Tables, member: &MemberId) -> Result<Value> {
    let get = |key: &Key| tables.get(key).map_err(|fault| anyhow!("failed to {fault}"));
    let [known, ledger, history] = Key::of_member(member);
    let Some(Record::Member(known)) = get(&known)? else {
        let code = Code::MemberUnknown;
        return Ok(json!({ "error": "no member with this id is known here", "code": code.to_string() }));
    };
    let ledger = match get(&ledger)? {
        Some(Record::Ledger(ledger)) => json!(ledger),
        _ => Value::Null,
    };
    let history = match get(&history)? {
        Some(Record::History(history)) => json!(history.as_ref()),
        _ => Value::Null,
    };
    let (tokens, codes) = tables.held_by(member).map_err(|fault| anyhow!("failed to {fault}"))?;
    let waiting = match get(&Key::Waiting(Shown::Member(member.clone())))? {
        Some(Record::Waiting(waiting)) => waiting.0,
        _ => Vec::new(),
    };
    let orders = waiting.into_iter().map(|(id, _)| get(&Key::Order(id))).filter_map(Result::transpose);
    let orders = orders.collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "member": member,
        "orders": orders,
        "profile": known,
        "ledger": ledger,
        "history": history,
        "tokens_sha256": tokens.iter().map(|hash| hex(&hash.0)).collect::<Vec<_>>(),
        "codes": codes,
    }))
}

/// What the journal holds of a member, in order; of decisions that name others too, only what is theirs.
///
/// # Errors
/// The journal cannot be read.
pub fn told_in_journal(
    (view, vault): (&JournalView, &Vault),
    member: &MemberId,
    take: &mut dyn FnMut(Value) -> Result<()>,
) -> Result<()> {
    let mut taken = Ok(());
    each(view, (view.first(), Seq(u64::MAX)), |_, bytes| {
        if taken.is_ok()
            && let Ok(Some(entry)) = vault.decode_if_of(bytes, member)
        {
            taken = take(told(&entry, member));
        }
    })?;
    taken
}

fn told(entry: &Entry, member: &MemberId) -> Value {
    let (seq, at) = (entry.seq, entry.at.to_string());
    let whole = |what: &str| json!({ "decision": seq, "at": at, "what": what, "asked": entry.input, "answered": entry.answer });
    let part = |what: &str, of: Value| json!({ "decision": seq, "at": at, "what": what, "said": of });
    let changes_theirs = entry.changes.iter().any(|change| change.key.is_of(&|id| id == member));
    match &entry.input {
        Input::Members(update) => {
            let theirs: Vec<_> = update.members.iter().filter(|one| one.id == *member).collect();
            part("head_office", json!(theirs))
        }
        Input::Shown(shown) => {
            let theirs: Vec<_> = shown.iter().filter(|one| one.member == *member).collect();
            part("shown", json!(theirs))
        }
        Input::Lease(word) => part("points_lent", json!(word)),
        Input::Order(word) => part("order", json!(word)),
        Input::Activate(_) | Input::Forget(_) => part("mentioned", Value::Null),
        Input::Request(request) => {
            let owner = request.body.token().and_then(|token| entry.facts.owner(token));
            let buyer =
                entry.facts.quotes().filter_map(|quote| quote.member.as_ref()).any(|it| it.id == *member);
            let enrolled = matches!(&entry.answer, Ok(Reply::Enroll(enrolled)) if enrolled.member == *member);
            let is_sale = matches!(request.body, Body::Commit(_));
            match buyer || enrolled || owner == Some(member) || (changes_theirs && !is_sale) {
                true => whole(match request.body {
                    Body::Commit(_) => "purchase",
                    Body::Void(_) | Body::Return(_) => "return",
                    Body::Feedback(_) => "feedback",
                    Body::Enroll(_) => "enrolment",
                    _ => "event",
                }),
                // Somebody else bought with their code.
                false => part("mentioned", Value::Null),
            }
        }
    }
}

/// Finishes, after a start, a forgetting that a stop cut off: steps 4 and 5. The store has done step 3.
pub(super) fn resume(store: &Store, shelf: &Shelf, data_dir: &Path) -> Result<()> {
    let vault = store.vault();
    if !vault.is_forgetting() || store.footing() != Footing::Whole {
        return Ok(());
    }
    let active = store.active_bundle().map(|active| active.reference.clone());
    shelf
        .forget(active.as_ref(), None)
        .with_context(|| format!("failed to finish a forgetting in {}", data_dir.display()))?;
    vault.forgetting_ended().map_err(storage_failed)?;
    tracing::info!("a forgetting that was cut off is finished");
    Ok(())
}
