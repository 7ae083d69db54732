//! An auditor's reading of decisions: what a shop's journal holds, and what head office's log holds, entry by entry.
//!
//! Both are read from disk after everything has stopped, in the order of the file, by the same fold, which is neither
//! the engine's nor head office's own. So a sale counts as done only if its bytes are there, and as done once only
//! if they are there once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use crate::cli::tills::SaleRecord as Acknowledged;
use crate::domain::basket::TransactionKey;
use crate::domain::ids::{DeviceId, Epoch, MemberId, RequestId, Seq, StoreId};
use crate::engine::decision::{Entry, Key, Record};
use crate::engine::input::{Body, Input};
use crate::engine::reply::Reply;
use crate::hub::files;
use crate::storage::disk::OsDisk;
use crate::storage::identity;
use crate::storage::journal::{Journal, JournalOptions};
use crate::storage::vault::Vault;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Entries.
    pub(crate) entries: u64,
    /// Number of the last one.
    pub(crate) last: Seq,
    /// Entries whose number was not one more than that of the one before.
    pub(crate) out_of_order: u64,
    /// Entries that are no decision.
    pub(crate) unreadable: u64,
    /// Each sale with what was to pay, in minor units, once for every time it was decided.
    pub(crate) sales: BTreeMap<TransactionKey, Vec<i64>>,
    /// Shelf value of all sales, in minor units.
    pub(crate) gross_minor: i64,
    /// What voids and returns gave back, in minor units.
    pub(crate) refunds_minor: i64,
    /// Decisions on a request that had been decided before.
    pub(crate) requests_repeated: u64,
    /// Points of each member whose account moved, as their last entry left them.
    pub(crate) points: BTreeMap<MemberId, i64>,
    /// Newest version of a bundle that an entry names: the last entry may be older than the rules it follows.
    pub(crate) bundle: u64,
    requests: BTreeMap<(DeviceId, RequestId), u32>,
}

impl Books {
    /// A shop's journal. Its daemon must have stopped.
    pub(crate) fn of_shop(data: &Path, store: &StoreId) -> Result<(Books, Epoch)> {
        let failed = |error: crate::storage::error::StorageError| anyhow!("failed to {error}");
        let identity = identity::load_or_create(data, store).map_err(failed)?;
        let options = JournalOptions::new(identity.epoch, 0);
        let (journal, report) =
            Journal::open(Arc::new(OsDisk), &data.join("journal"), options).map_err(failed)?;
        if !report.gaps.is_empty() || !report.quarantined.is_empty() {
            return Err(anyhow!("failed to read the journal whole: {report:?}"));
        }
        let vault = Vault::beside(data).map_err(failed)?;
        let mut books = Books::default();
        let mut reader = journal.reader(Seq(1));
        while let Some(entry) = reader.next().map_err(failed)? {
            let named = vault.named(entry.payload).map_err(|fault| anyhow!("failed to {fault}"))?;
            books.take(entry.seq, &named);
        }
        Ok((books, identity.epoch))
    }

    /// Head office's log of a shop.
    pub(crate) fn of_head_office(data: &Path, store: &StoreId, epoch: Epoch) -> Result<Books> {
        let mut books = Books::default();
        files::entries(data, store, epoch, |seq, bytes| books.take(seq, bytes))
            .map_err(|error| anyhow!("failed to {error}"))?;
        Ok(books)
    }

    fn take(&mut self, seq: Seq, bytes: &[u8]) {
        self.entries += 1;
        self.out_of_order += u64::from(seq.0 != self.last.0 + 1);
        self.last = seq;
        match Entry::decode(bytes) {
            Ok(entry) => self.book(&entry),
            Err(_) => self.unreadable += 1,
        }
    }

    fn book(&mut self, entry: &Entry) {
        if let Some(bundle) = &entry.bundle {
            self.bundle = self.bundle.max(bundle.version);
        }
        for change in entry.changes.iter() {
            if let (Key::Ledger(member), Some(Record::Ledger(ledger))) = (&change.key, &change.record) {
                self.points.insert(member.clone(), ledger.points.balance());
            }
        }
        let Input::Request(request) = &entry.input else { return };
        let times = self.requests.entry((request.device.clone(), request.id.clone())).or_default();
        *times += 1;
        self.requests_repeated += u64::from(*times > 1);
        match (&request.body, &entry.answer) {
            (Body::Commit(_), Ok(Reply::Commit(receipt))) => {
                let of = &receipt.transaction;
                let (device, business_day) = (of.device.clone(), of.business_day);
                let key = TransactionKey { device, business_day, seq: of.seq };
                self.sales.entry(key).or_default().push(receipt.figures.total.0);
                self.gross_minor += receipt.figures.subtotal.0;
            }
            (Body::Void(_) | Body::Return(_), Ok(Reply::Refund(refund))) => {
                self.refunds_minor += refund.refund.0;
            }
            _ => {}
        }
    }

    /// Sales, each counted once.
    pub(crate) fn distinct_sales(&self) -> u64 {
        self.sales.len() as u64
    }

    /// Times a sale was done again, or a request decided again.
    pub(crate) fn done_again(&self) -> u64 {
        let again: usize = self.sales.values().map(|times| times.len() - 1).sum();
        self.requests_repeated.max(again as u64)
    }

    /// What was to pay less what was given back, in minor units.
    pub(crate) fn net_minor(&self) -> i64 {
        self.sales.values().flatten().sum::<i64>() - self.refunds_minor
    }

    /// Acknowledged sales that are not here with the total that was acknowledged.
    pub(crate) fn missing<'a>(&self, acknowledged: &'a [Acknowledged]) -> Vec<&'a Acknowledged> {
        let is_here = |sale: &&Acknowledged| {
            let (device, business_day) = (sale.device.clone(), sale.business_day);
            let key = TransactionKey { device, business_day, seq: sale.seq };
            self.sales.get(&key).is_some_and(|totals| totals.contains(&sale.total))
        };
        acknowledged.iter().filter(|sale| !is_here(sale)).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::cli::journey::{Journey, bundle_of};
    use crate::devices::wire;
    use crate::domain::calendar::{Day, UnixMs};
    use crate::domain::ids::BundleRef;
    use crate::engine::decision::Facts;
    use crate::engine::{Engine, Identity, Outcome};
    use serde_json::json;

    /// The journal of a shop that sold so often at one till, and what the till was told.
    pub(in crate::cli::demo) fn journal(sales: u64) -> (Vec<Vec<u8>>, Vec<Acknowledged>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/complete-journey");
        let day: Day = "2026-03-01".parse().expect("valid");
        let (rules, ..) =
            bundle_of(&Journey::open(&folder, 0..1).expect("the extract in the repository"), day);
        let (sku, chain) = (rules.catalogue[0].sku.clone(), rules.shop.chain.clone());
        let reference = BundleRef { version: 1, hash: "0011223344556677".into() };
        let bundle = Bundle::compile(reference, rules).expect("rules that compile");
        let store = StoreId::new("s01").expect("valid");
        let identity = Identity { store, epoch: Epoch(1), secret: [7; 32], started: UnixMs(0) };
        let mut engine = Engine::new(identity, Seq(1));
        let mut entries = vec![engine.activate(Arc::new(bundle), UnixMs(1)).encode()];
        let mut told = Vec::new();
        let device = DeviceId::new("till-01").expect("valid");
        for seq in 1..=sales {
            let basket = json!({ "lines": [{ "line": "1", "sku": sku, "qty": seq }] });
            let data = json!({
                "transaction": { "business_day": day, "seq": seq },
                "basket": basket,
                "tenders": [{ "kind": "cash", "amount": 1_000_000 }],
            });
            let bytes = json!({ "v": 1, "id": format!("till-01.{seq}"), "data": data }).to_string();
            let (_, request) =
                wire::decode("commit", &device, bytes.as_bytes(), None, &chain).expect("a request");
            let input = Input::Request(Box::new(request));
            let mut facts = Facts::default();
            loop {
                let keys = engine.needs(&input, &facts);
                if keys.is_empty() {
                    break;
                }
                keys.into_iter().for_each(|key| facts.add(key, None));
            }
            let Outcome::Decided(entry) = engine.handle(input, facts, UnixMs(2)) else {
                panic!("a sale is a decision")
            };
            let Ok(Reply::Commit(receipt)) = &entry.answer else { panic!("{:?}", entry.answer) };
            let (total, decision) = (receipt.figures.total.0, receipt.decision.clone());
            told.push(Acknowledged { device: device.clone(), business_day: day, seq, total, decision });
            entries.push(entry.encode());
        }
        (entries, told)
    }

    /// Books of such a journal, entry by entry as numbered.
    pub(in crate::cli::demo) fn read<'a>(entries: impl IntoIterator<Item = (u64, &'a Vec<u8>)>) -> Books {
        let mut books = Books::default();
        entries.into_iter().for_each(|(seq, bytes)| books.take(Seq(seq), bytes));
        books
    }

    #[test]
    fn is_a_sale_that_is_missing_or_there_twice_found() {
        let (entries, told) = journal(3);
        let whole = read((1..).zip(&entries));
        assert_eq!((whole.entries, whole.last, whole.out_of_order, whole.unreadable), (4, Seq(4), 0, 0));
        assert_eq!((whole.distinct_sales(), whole.done_again(), whole.bundle), (3, 0, 1));
        assert_eq!(whole.net_minor(), told.iter().map(|sale| sale.total).sum::<i64>());
        assert!(whole.missing(&told).is_empty() && whole.gross_minor >= whole.net_minor());

        let short = read((1..).zip(&entries[..3]));
        assert_eq!(short.missing(&told), [&told[2]]);
        let twice = read((1..).zip(entries.iter().chain([&entries[2]])));
        assert_eq!((twice.distinct_sales(), twice.done_again()), (3, 1));
        let changed = Acknowledged { total: told[0].total + 1, ..told[0].clone() };
        assert_eq!(
            whole.missing(std::slice::from_ref(&changed)),
            [&changed],
            "another total is another sale"
        );
    }

    #[test]
    fn are_gaps_repetitions_and_garbage_found() {
        let (entries, _) = journal(2);
        assert_eq!(read([(1, &entries[0]), (3, &entries[2])]).out_of_order, 1);
        assert_eq!(read([(1, &entries[0]), (2, &entries[1]), (2, &entries[1])]).out_of_order, 1);
        assert_eq!(read([(1, &vec![9, 9])]).unreadable, 1);
    }
}
