//! `aisled campaigns quality`: were the articles that were proposed at scans bought? From the journal, as `results`.
//!
//! A scan that proposed something counts once its member buys within `QUALITY_DAYS`: the first sale after it judges it, and where
//! a member was shown more than one list before that sale, the last. What was proposed and had been bought here before is a
//! repeat, the rest is new to the member; the two are told apart, because to propose what is always bought is easy.
//! What was shown is written once a minute and may stand behind its sale in the journal: moments decide, not places.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use super::super::explain::terminal_lang;
use super::super::replay::journal;
use super::super::{Exit, words::said};
use crate::domain::calendar::{DAY_MS, UnixMs};
use crate::domain::ids::{MemberId, Sku};
use crate::engine::decision::Entry;
use crate::engine::input::Input;
use crate::engine::reply::Reply;
use crate::limits;
use crate::storage::error::StorageError;

/// Days within which a sale judges what was proposed.
const QUALITY_DAYS: i64 = 14;
/// Lengths of a list that are judged.
const LENGTHS: [usize; 3] = [1, 4, limits::SCAN_SUGGESTIONS_MAX];

enum Happened {
    Proposed(Vec<Sku>),
    Bought(BTreeSet<Sku>),
}

#[derive(Default)]
struct Judged {
    /// Scans that proposed something.
    scans: u64,
    /// Of them, those a sale judged.
    judged: u64,
    /// By `LENGTHS`, judged ones of which something was bought.
    hits: [u64; LENGTHS.len()],
    /// Articles proposed in judged lists, and bought of them: repeats, new ones.
    articles: [(u64, u64); 2],
}

/// Reads the journal and tells.
///
/// # Errors
/// A journal that cannot be read, or is larger than results are told of.
pub(super) fn run(data_dir: &Path, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let (happened, unreadable) = read(data_dir)?;
    let judged = judge(happened);
    let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    let names = ["repeats", "new"];
    if json {
        let rates: BTreeMap<String, Option<f64>> = (LENGTHS.iter().zip(judged.hits))
            .map(|(length, hits)| (format!("hit_rate_at_{length}"), share(hits, judged.judged)))
            .collect();
        let by: BTreeMap<&str, serde_json::Value> = (names.into_iter().zip(judged.articles))
            .map(|(name, (proposed, bought))| {
                (
                    name,
                    json!({ "proposed": proposed, "bought": bought, "precision": share(bought, proposed) }),
                )
            })
            .collect();
        let object = json!({
            "scans": judged.scans, "judged": judged.judged, "hit_rates": rates, "articles": by, "unreadable": unreadable,
        });
        writeln!(out, "{object:#}")?;
    } else {
        let lang = terminal_lang();
        let per_cent =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        writeln!(
            out,
            "{}",
            said(
                lang,
                "{} scans proposed something, {} were judged by a sale",
                &[&judged.scans, &judged.judged]
            )
        )?;
        for (length, hits) in LENGTHS.iter().zip(judged.hits) {
            let rate = per_cent(share(hits, judged.judged));
            writeln!(out, "  {}", said(lang, "something of the first {} was bought: {}", &[length, &rate]))?;
        }
        for (name, (proposed, bought)) in
            ["bought before: {} of {} proposed, {}", "new to them: {} of {} proposed, {}"]
                .into_iter()
                .zip(judged.articles)
        {
            let rate = per_cent(share(bought, proposed));
            writeln!(out, "  {}", said(lang, name, &[&bought, &proposed, &rate]))?;
        }
    }
    Ok(if unreadable == 0 { Exit::Ok } else { Exit::Finding })
}

type Happenings = Vec<(UnixMs, MemberId, Happened)>;

fn read(data_dir: &Path) -> Result<(Happenings, u64)> {
    let (view, vault) = journal(data_dir)?;
    let (mut happened, mut unreadable): (Happenings, u64) = (Vec::new(), 0);
    let mut reader = view.reader(view.first());
    loop {
        match reader.next() {
            Ok(Some(raw)) => match vault.decode(raw.payload) {
                Ok(entry) => take(entry, &mut happened),
                Err(_) => unreadable += 1,
            },
            Ok(None) => break,
            Err(StorageError::Gap { from, to }) => unreadable += to.0.saturating_sub(from.0) + 1,
            Err(error) => bail!("failed to read the journal: {error}"),
        }
        if happened.len() > limits::RESULTS_SHOWN_MAX {
            bail!("failed to hold what was proposed and bought: more than {}", limits::RESULTS_SHOWN_MAX);
        }
    }
    happened.sort_by_key(|(at, ..)| *at);
    Ok((happened, unreadable))
}

fn take(entry: Entry, happened: &mut Happenings) {
    if let Ok(Reply::Commit(receipt)) = &entry.answer
        && let (Some(member), Some(quote), false) =
            (&receipt.member, entry.facts.quotes().next(), receipt.training)
    {
        let bought = quote.asked.basket.lines.iter().map(|line| line.sku.clone()).collect();
        happened.push((entry.at, member.clone(), Happened::Bought(bought)));
    }
    if let Input::Shown(shown) = entry.input {
        let proposed = shown.into_iter().filter(|one| !one.suggested.is_empty());
        happened.extend(proposed.map(|one| (one.at, one.member, Happened::Proposed(one.suggested))));
    }
}

fn judge(happened: Happenings) -> Judged {
    let mut judged = Judged::default();
    let mut waiting: BTreeMap<MemberId, (UnixMs, Vec<Sku>)> = BTreeMap::new();
    let mut owned: BTreeMap<MemberId, BTreeSet<Sku>> = BTreeMap::new();
    for (at, member, happened) in happened {
        match happened {
            Happened::Proposed(list) => {
                judged.scans += 1;
                waiting.insert(member, (at, list));
            }
            Happened::Bought(items) => {
                let own = owned.entry(member.clone()).or_default();
                let list =
                    waiting.remove(&member).filter(|(then, _)| at.ms_since(*then) <= QUALITY_DAYS * DAY_MS);
                if let Some((_, list)) = list {
                    judged.judged += 1;
                    for (hits, length) in judged.hits.iter_mut().zip(LENGTHS) {
                        *hits += u64::from(list.iter().take(length).any(|sku| items.contains(sku)));
                    }
                    for sku in &list {
                        let (proposed, bought) = &mut judged.articles[usize::from(!own.contains(sku))];
                        *proposed += 1;
                        *bought += u64::from(items.contains(sku));
                    }
                }
                own.extend(items);
            }
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_proposals_were_right() {
        let sku = |name: &str| Sku::new(name).expect("an id");
        let list = |names: &str| names.split(' ').map(sku).collect::<Vec<Sku>>();
        let days = |days: i64| UnixMs(days * DAY_MS);
        let event = |day, who: &str, what| (days(day), MemberId::new(who).expect("an id"), what);
        let bought = |names| Happened::Bought(list(names).into_iter().collect());
        let proposed = |names| Happened::Proposed(list(names));
        let judged = judge(vec![
            event(0, "anna", bought("milk tea")),
            // Judged by the sale on day 3: milk is a repeat, rice is new and not bought, oil is new and bought.
            event(2, "anna", proposed("rice milk oil")),
            event(3, "anna", bought("milk oil jam")),
            // Shown twice, the last list counts; nothing of it is bought.
            event(4, "anna", proposed("milk")),
            event(5, "anna", proposed("tea")),
            event(6, "anna", bought("milk")),
            // Too long ago, and never.
            event(7, "bert", proposed("tea")),
            event(30, "bert", bought("tea")),
            event(31, "carl", proposed("tea")),
        ]);
        assert_eq!((judged.scans, judged.judged, judged.hits), (5, 2, [0, 1, 1]));
        assert_eq!(
            judged.articles,
            [(2, 1), (2, 1)],
            "repeats: milk bought, tea not; new: oil bought, rice not"
        );
    }
}
