//! One frame in, answers out, around one sync: what runs on head office's writer thread.
//!
//! Invariants: `handle` changes memory only; what it owes is said by `commit`, after the disk has it. One ack for each line
//! of a group, with the line's numbers after the group. A frame that is not understood is counted and dropped: its
//! sender sends again. The bundle's bytes are read piece by piece and never held.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bundle::packed;
use crate::bundle::terms::Terms;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{Epoch, MemberId, PromotionId, Seq, StoreId};
use crate::engine::input::MembersUpdate;
use crate::limits;
use crate::upstream::wire::{
    Ack, Ask, Batch, Blob, Chunk, Down, Get, Hello, Members, Offer, PROTOCOL, State, Unpacker, Up, UpKind,
    WireError,
};

use super::compare::{Compare, Compared, Difference};
use super::files::{Files, FilesError, Loaded, Seen};
use super::fold::{Fold, Totals};
use super::ledger::{Ledger, Record};
use super::lender::homes::MoveView;
use super::lender::orders::OrderView;
use super::lender::{Breach, Lender, ScopeView};
use super::partner::Known;

/// A bundle that shops may fetch.
#[derive(Debug)]
pub struct Published {
    offer: Offer,
    file: File,
    /// What may be lent under its rules; none if they cannot be read here.
    terms: Option<Terms>,
    /// The chain of its rules.
    chain: Option<String>,
}

impl Published {
    /// Reads the file once for its hash.
    pub fn open(path: &Path, version: u64) -> std::io::Result<Published> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        if !(1..=limits::UPSTREAM_BUNDLE_BYTES_MAX).contains(&size) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a bundle of no or too many bytes",
            ));
        }
        let mut hasher = Sha256::new();
        let mut piece = vec![0; limits::UPSTREAM_CHUNK_BYTES_MAX];
        let mut offset = 0;
        while offset < size {
            let wanted = piece.len().min(usize::try_from(size - offset).unwrap_or(usize::MAX));
            file.read_exact_at(&mut piece[..wanted], offset)?;
            hasher.update(&piece[..wanted]);
            offset += wanted as u64;
        }
        let offer = Offer { v: PROTOCOL, version, hash: Blob(hasher.finalize().to_vec()), size };
        let (terms, chain) = match packed::rules(&file) {
            Ok(rules) => (Some(Terms::of(&rules)), Some(rules.shop.chain)),
            Err(error) => {
                tracing::warn!(%error, "nothing is lent: the rules of the bundle to offer cannot be read");
                (None, None)
            }
        };
        Ok(Published { offer, file, terms, chain })
    }

    fn chunk(&self, get: &Get) -> Option<Chunk> {
        if get.version != self.offer.version || get.offset >= self.offer.size {
            return None;
        }
        let left = usize::try_from(self.offer.size - get.offset).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(limits::UPSTREAM_CHUNK_BYTES_MAX)];
        self.file.read_exact_at(&mut bytes, get.offset).ok()?;
        Some(Chunk { v: PROTOCOL, version: get.version, offset: get.offset, bytes: Blob(bytes) })
    }
}

/// One store, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreView {
    /// Which.
    pub store: StoreId,
    /// The newest epoch it sent from.
    pub epoch: Epoch,
    /// Of that epoch.
    pub applied_through: Seq,
    /// Of that epoch.
    pub durable_through: Seq,
    /// What its entries say.
    #[serde(flatten)]
    pub totals: Totals,
    /// Sales less refunds, in minor units.
    pub net_total_minor: i64,
    /// Entries that came under a taken key with another hash.
    pub quarantined: u64,
    /// Entries that came again, since head office started.
    pub duplicates: u64,
    /// Kept and not understood.
    pub parked: u64,
    /// Known by hash only.
    pub withheld: u64,
    /// Numbers the shop's journal lost.
    pub lost: u64,
    /// Where the shop counts otherwise than head office.
    pub differs: Option<Difference>,
    /// The bundle it says it runs on.
    pub bundle_reported: Option<u64>,
    /// Its program's version.
    pub program: String,
    /// When it last said hello.
    pub last_seen: Option<UnixMs>,
}

/// All stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Which life of head office's data this is.
    pub incarnation: u64,
    /// By id.
    pub stores: Vec<StoreView>,
    /// Frames that were not understood, since the start.
    pub malformed: u64,
    /// What is lent, by scope.
    pub leases: Vec<ScopeView>,
    /// Boxes that have to be heard, or written off, before anything is lent again.
    pub unknown: Vec<(StoreId, Epoch)>,
    /// Codes on their way to another home, and those that did not go.
    pub moves: Vec<MoveView>,
    /// Orders that were handed over against the online shop's wish or twice, and those a shop refused; `HUB_FLAGGED_ORDERS_MAX`
    /// at most.
    pub orders: Vec<OrderView>,
    /// What the lender's own check finds; always empty.
    pub breaches: Vec<Breach>,
}

impl Snapshot {
    /// One store's view.
    pub fn store(&self, id: &StoreId) -> Option<&StoreView> {
        self.stores.iter().find(|view| view.store == *id)
    }

    /// Of what is loaded from files.
    pub fn of(loaded: &Loaded) -> Snapshot {
        let parts = (&loaded.ledger, &loaded.fold, &loaded.seen, &loaded.quarantined, &loaded.lender);
        snapshot(parts, &Compare::default(), &BTreeMap::new(), 0)
    }
}

type Parts<'a> = (&'a Ledger, &'a Fold, &'a BTreeMap<StoreId, Seen>, &'a BTreeMap<StoreId, u64>, &'a Lender);

fn snapshot(
    (ledger, fold, seen, quarantined, lender): Parts<'_>,
    compare: &Compare,
    duplicates: &BTreeMap<StoreId, u64>,
    malformed: u64,
) -> Snapshot {
    let view = |store: &StoreId| {
        let lines = ledger.lines(store);
        let newest = lines.last();
        let totals = fold.totals(store);
        let seen = seen.get(store);
        StoreView {
            store: store.clone(),
            epoch: newest.map_or(Epoch(0), |line| line.epoch),
            applied_through: newest.map_or(Seq(0), |line| line.applied_through),
            durable_through: newest.map_or(Seq(0), |line| line.durable_through),
            net_total_minor: totals.net_total_minor(),
            totals,
            quarantined: quarantined.get(store).copied().unwrap_or(0),
            duplicates: duplicates.get(store).copied().unwrap_or(0),
            parked: lines.iter().map(|line| line.parked).sum(),
            withheld: lines.iter().map(|line| line.withheld).sum(),
            lost: lines.iter().map(|line| line.lost).sum(),
            differs: compare.difference(store).cloned(),
            bundle_reported: seen.and_then(|seen| seen.bundle),
            program: seen.map(|seen| seen.program.clone()).unwrap_or_default(),
            last_seen: seen.map(|seen| seen.at),
        }
    };
    Snapshot {
        incarnation: ledger.incarnation(),
        stores: ledger.stores().map(view).collect(),
        malformed,
        leases: lender.view(),
        unknown: lender.unknown().cloned().collect(),
        moves: lender.moves(),
        orders: lender.flagged_orders(),
        breaches: lender.check(),
    }
}

/// A running head office without its line.
#[derive(Debug)]
pub struct Office {
    files: Files,
    ledger: Ledger,
    fold: Fold,
    lender: Lender,
    /// The clock at the last happening.
    now: UnixMs,
    seen: BTreeMap<StoreId, Seen>,
    quarantined: BTreeMap<StoreId, u64>,
    duplicates: BTreeMap<StoreId, u64>,
    malformed: u64,
    compare: Compare,
    unpacker: Unpacker,
    bundle: Option<Published>,
    backup: Option<PathBuf>,
    /// To be answered after the sync.
    answers: Vec<(StoreId, Down)>,
    /// Lines to be acknowledged after the sync, and whether a batch did not follow.
    acks: BTreeMap<(StoreId, Epoch), bool>,
}

impl Office {
    /// Opens or makes the data in `dir`. With `backup`, shops may forget only what was copied there.
    pub fn open(
        dir: &Path,
        bundle: Option<Published>,
        backup: Option<PathBuf>,
        now: UnixMs,
    ) -> Result<Office, FilesError> {
        let (files, loaded) = Files::open(dir, backup.is_some(), now)?;
        let Loaded { ledger, fold, seen, mut lender, quarantined } = loaded;
        lender.set_terms(bundle.as_ref().and_then(|bundle| bundle.terms.clone()));
        let mut office = Office {
            files,
            ledger,
            fold,
            lender,
            now,
            seen,
            quarantined,
            duplicates: BTreeMap::new(),
            malformed: 0,
            compare: Compare::default(),
            unpacker: Unpacker::default(),
            bundle,
            backup,
            answers: Vec::new(),
            acks: BTreeMap::new(),
        };
        office.renew_if_outdone()?;
        Ok(office)
    }

    /// Offers to every known store; published at the start, because a broker's memory may be gone.
    pub fn offers(&self) -> Vec<(StoreId, Down)> {
        let offer = self.bundle.as_ref().map(|bundle| bundle.offer.clone());
        let to_each =
            |offer: Offer| self.ledger.stores().map(move |s| (s.clone(), Down::Offer(offer.clone())));
        offer.map(to_each).into_iter().flatten().collect()
    }

    /// Takes one frame. An error is the disk's; nothing may be answered after it.
    pub fn handle(
        &mut self,
        store: StoreId,
        kind: UpKind,
        bytes: &[u8],
        now: UnixMs,
    ) -> Result<(), FilesError> {
        self.now = now;
        match Up::decode(kind, bytes) {
            Ok(Up::Ask(ask)) => {
                self.ask(&store, &ask);
                Ok(())
            }
            Ok(Up::Hello(hello)) => self.hello(store, hello, now),
            Ok(Up::Batch(batch)) => self.batch(store, &batch),
            Ok(Up::Get(get)) => {
                let chunk = self.bundle.as_ref().and_then(|bundle| bundle.chunk(&get));
                self.answers.extend(chunk.map(|chunk| (store, Down::Chunk(chunk))));
                Ok(())
            }
            Err(error) => {
                self.malformed(&store, &error);
                Ok(())
            }
        }
    }

    fn malformed(&mut self, store: &StoreId, error: &WireError) {
        self.malformed += 1;
        tracing::warn!(%store, %error, "a frame was not understood and dropped");
    }

    fn hello(&mut self, store: StoreId, hello: Hello, now: UnixMs) -> Result<(), FilesError> {
        let Some((standing, renewed)) = self.ledger.hello(&store, &hello) else {
            tracing::warn!(%store, "no room for another store");
            return Ok(());
        };
        if renewed {
            let incarnation = self.ledger.incarnation();
            self.renew(incarnation)?;
            tracing::warn!(%store, incarnation, "this shop knows more than head office: restored, shops send again");
        }
        self.lender.hello(&store, hello.epoch, now);
        if let Some(tally) = hello.tally {
            let through = self.ledger.read_through(&store, tally.epoch);
            let epoch = tally.epoch;
            self.compare.said(&store, tally);
            self.compare(&store, epoch, through.map_or(Seq(0), |(through, _)| through));
        }
        let seen = Seen {
            epoch: hello.epoch,
            bundle: hello.bundle,
            program: hello.program,
            next: hello.next,
            at: now,
        };
        self.files.seen(&store, &seen)?;
        self.seen.insert(store.clone(), seen);
        self.fold.tell_again(&store);
        let incarnation = self.ledger.incarnation();
        let asked = self.lender.floor(&store, hello.epoch);
        let state = State { v: PROTOCOL, nonce: hello.nonce, incarnation, standing, at: now, asked };
        self.answers.push((store.clone(), Down::State(state)));
        if let Some(bundle) = &self.bundle {
            self.answers.push((store, Down::Offer(bundle.offer.clone())));
        }
        Ok(())
    }

    fn ask(&mut self, store: &StoreId, ask: &Ask) {
        let fold = &self.fold;
        let served = self.lender.ask(store, ask, self.now, &|member| fold.balance(member));
        tracing::debug!(%store, number = ask.number, ?served, "a request for slices");
    }

    /// A box heard words that are not known here: head office lost data, and nobody told it.
    fn renew_if_outdone(&mut self) -> Result<(), FilesError> {
        if self.lender.is_outdone() {
            let incarnation = self.ledger.renew();
            self.renew(incarnation)?;
            tracing::warn!(
                incarnation,
                "a shop holds what head office does not know of having lent: shops send again"
            );
        }
        Ok(())
    }

    /// Another incarnation, of which nobody knows what it lacks. That it is blind is written first: the other way round, a
    /// crash in between would leave a head office that lends what it may have lent.
    fn renew(&mut self, incarnation: u64) -> Result<(), FilesError> {
        self.lender.renewed(incarnation, true);
        let records = self.lender.take_records();
        self.files.lend(&records);
        self.files.commit()?;
        self.files.renewed(incarnation)
    }

    fn batch(&mut self, store: StoreId, batch: &Batch) -> Result<(), FilesError> {
        let line = (store.clone(), batch.epoch);
        let items = match self.unpacker.unpack(batch) {
            Ok(items) => items,
            Err(error) => {
                self.malformed(&store, &error);
                self.acks.insert(line, true);
                return Ok(());
            }
        };
        let outcome = self.ledger.apply(&store, batch, items);
        *self.acks.entry(line).or_default() |= outcome.again;
        if outcome.duplicates > 0 {
            *self.duplicates.entry(store.clone()).or_default() += outcome.duplicates;
        }
        self.lend_by(&store, batch.epoch);
        for record in &outcome.records {
            let Record::Entry { seq, bytes, .. } = record else { continue };
            match self.fold.entry(&store, *seq, bytes) {
                Some(entry) => {
                    self.lender.entry(&store, batch.epoch, *seq, &entry);
                    self.compare(&store, batch.epoch, *seq);
                }
                None => {
                    self.ledger.park(&store, batch.epoch, *seq);
                    self.lender.unread(&store, batch.epoch);
                }
            }
        }
        self.lend_by(&store, batch.epoch);
        self.lender.go_on_moving();
        self.renew_if_outdone()?;
        if let (false, Some(base)) = (outcome.records.is_empty(), self.ledger.base(&store, batch.epoch)) {
            self.files.append((&store, batch.epoch), base, &outcome.records)?;
        }
        if !outcome.conflicts.is_empty() {
            let count = self.quarantined.entry(store.clone()).or_default();
            let room = (limits::HUB_QUARANTINE_MAX as u64).saturating_sub(*count);
            *count += outcome.conflicts.len() as u64;
            let kept = outcome.conflicts.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            tracing::warn!(%store, seq = outcome.conflicts[0].seq.0, "the same key came with another hash: set aside");
            self.files.quarantine(&store, batch.epoch, &outcome.conflicts[..kept])?;
        }
        Ok(())
    }

    /// Holds what a shop counts against what is counted here, once both are of the same entries.
    fn compare(&mut self, store: &StoreId, epoch: Epoch, through: Seq) {
        let compared = self.compare.reached((&self.ledger, &self.fold), store, epoch, through);
        if compared == Compared::Otherwise {
            let found = self.compare.difference(store);
            tracing::error!(%store, ?found, code = %Code::HubCounts, "this shop counts its journal otherwise than head office");
        }
    }

    /// The lender goes by what the ledger has of a line.
    fn lend_by(&mut self, store: &StoreId, epoch: Epoch) {
        if let Some((through, whole)) = self.ledger.read_through(store, epoch) {
            self.lender.line(store, epoch, through, whole);
        }
    }

    /// Time passed: what was lent and has ended is called back. Before a commit, every few seconds.
    pub fn tick(&mut self, now: UnixMs) {
        self.now = now;
        self.lender.tick(now);
    }

    /// A partner asks: the answer, to be said after the commit.
    pub fn partner(&mut self, partner: &StoreId, payload: &[u8], now: UnixMs) -> serde_json::Value {
        self.now = now;
        let fold = &self.fold;
        let chain = self.bundle.as_ref().and_then(|bundle| bundle.chain.as_deref());
        let known = Known { points: &|member| fold.balance(member), chain, now };
        let answer = super::partner::answer(&mut self.lender, &known, partner, payload);
        self.lender.go_on_moving();
        answer
    }

    /// A human gives a box up; false if it is not known or was given up before. Before a commit.
    pub fn write_off(&mut self, store: &StoreId, epoch: Epoch) -> bool {
        self.lender.write_off(store, epoch)
    }

    /// A human calls everything of a promotion back. Before a commit.
    pub fn drain(&mut self, promotion: &PromotionId) {
        self.lender.drain(promotion);
    }

    /// Makes everything handled so far durable, then says what is owed.
    pub fn commit(&mut self) -> Result<Vec<(StoreId, Down)>, FilesError> {
        let records = self.lender.take_records();
        self.files.lend(&records);
        self.files.commit()?;
        self.lender.committed();
        self.files.fold_lender(&self.lender)?;
        let acks = std::mem::take(&mut self.acks);
        let mut answers = std::mem::take(&mut self.answers);
        for ((store, epoch), again) in acks {
            if self.backup.is_none() {
                self.ledger.backed_up(&store, epoch);
            }
            answers.push(self.ack(store, epoch, again));
        }
        answers.extend(self.words());
        Ok(answers)
    }

    fn words(&mut self) -> impl Iterator<Item = (StoreId, Down)> + use<> {
        let orders = self.lender.order_frames(self.now).into_iter();
        let orders = orders.map(|(store, orders)| (store, Down::Orders(orders)));
        let words = self.lender.words(self.now).into_iter();
        words.map(|(store, words)| (store, Down::Words(words))).chain(orders)
    }

    /// What partners are to hear without having asked. After a commit.
    pub fn partner_news(&mut self) -> Vec<(StoreId, serde_json::Value)> {
        super::partner::news(&mut self.lender)
    }

    fn ack(&self, store: StoreId, epoch: Epoch, again: bool) -> (StoreId, Down) {
        let standing = self.ledger.standing(&store, epoch, false);
        let incarnation = self.ledger.incarnation();
        (store, Down::Ack(Ack { v: PROTOCOL, incarnation, standing, again }))
    }

    /// Runs the backup, if there is one; shops are told what they may forget now.
    pub fn back_up(&mut self) -> Result<Vec<(StoreId, Down)>, FilesError> {
        let Some(to) = self.backup.clone() else { return Ok(Vec::new()) };
        let lines = self.files.backup(&to, self.ledger.incarnation())?;
        let mut answers = Vec::new();
        for (store, epoch) in lines {
            let before = self.ledger.standing(&store, epoch, false).durable_through;
            self.ledger.backed_up(&store, epoch);
            if self.ledger.standing(&store, epoch, false).durable_through > before {
                answers.push(self.ack(store, epoch, false));
            }
        }
        self.files.note_backup(&self.ledger)?;
        self.lender.covered();
        answers.extend(self.words());
        Ok(answers)
    }

    /// Tells stores their members' settled points. Only between commits.
    pub fn tell_members(&mut self, now: UnixMs) -> Vec<(StoreId, Down)> {
        let mut answers = Vec::new();
        for store in self.fold.to_tell() {
            let Some(epoch) = self.seen.get(&store).map(|seen| seen.epoch) else { continue };
            let settled_through = self.ledger.standing(&store, epoch, true).applied_through;
            loop {
                let members = self.fold.tell(&store);
                if members.is_empty() {
                    break;
                }
                let update = MembersUpdate { as_of: now, settled_through, members };
                let incarnation = self.ledger.incarnation();
                let frame = Members { v: PROTOCOL, incarnation, epoch, update };
                answers.push((store.clone(), Down::Members(frame)));
            }
        }
        answers
    }

    /// A member's points, if they are known here.
    pub fn balance(&self, member: &MemberId) -> Option<i64> {
        self.fold.balance(member)
    }

    /// All stores, now.
    pub fn snapshot(&self) -> Snapshot {
        let parts = (&self.ledger, &self.fold, &self.seen, &self.quarantined, &self.lender);
        snapshot(parts, &self.compare, &self.duplicates, self.malformed)
    }
}
