//! The lender's log made shorter: written beside, read back, and moved over the old one.
//!
//! ```text
//! 1  lender.new    the shorter log (`lender::folding`), synced
//! 2                read back: does it tell what the lender knows? Otherwise it is removed and the old log stays
//! 3  rename        lender.new -> lender.log, the directory synced
//! ```
//! Invariants: at every moment `lender.log` is whole, the old one or the new one, and both make the same lender; a
//! `lender.new` that a crash leaves behind is read by nobody and written over. The backup takes the new log whole: a
//! part of one behind a part of the other would be neither.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use super::{Files, FilesError, LENDER_LOG, LENDER_MAGIC, Log, at, push_body, read_lender, sync_dir};
use crate::hub::lender::{self, Lender};
use crate::limits;

impl Files {
    /// Makes the lender's log shorter once it is long. Call right after `commit`, with the lender that wrote it.
    pub fn fold_lender(&mut self, lender: &Lender) -> Result<(), FilesError> {
        if self.lender.len < self.fold_at || !self.lender.pending.is_empty() {
            return Ok(());
        }
        let before = self.lender.len;
        let is_folded = self.fold_now(lender)?;
        self.fold_at = limits::LENDER_LOG_BYTES.max(2 * self.lender.len);
        match is_folded {
            true => tracing::info!(before, now = self.lender.len, "made the log of what is lent shorter"),
            false => tracing::error!(
                bytes = before,
                "the log of what is lent cannot be made shorter: it would not tell the same"
            ),
        }
        Ok(())
    }

    /// False if the shorter log would not tell what the lender knows: nothing has changed then.
    fn fold_now(&mut self, lender: &Lender) -> Result<bool, FilesError> {
        let path = self.dir.join(LENDER_LOG);
        let mut log: Vec<lender::Record> = Vec::new();
        let end = read_lender(&path, |record| {
            log.push(record);
            true
        })?;
        if end != self.lender.len {
            return Ok(false);
        }
        let mut bytes = LENDER_MAGIC.to_vec();
        for record in lender.fold(log) {
            let body = rmp_serde::to_vec_named(&record).expect("a record has string keys and known lengths");
            push_body(&mut bytes, &body);
        }
        let new = path.with_extension("new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new);
        let file = file.map_err(at("create", &new))?;
        file.write_all_at(&bytes, 0).map_err(at("write", &new))?;
        file.sync_all().map_err(at("sync", &new))?;
        let mut again = Lender::new(lender.incarnation(), false);
        let len = read_lender(&new, |record| again.replay(&record))?;
        if len != bytes.len() as u64 || !lender.is_told_by(&again) {
            fs::remove_file(&new).map_err(at("remove", &new))?;
            return Ok(false);
        }
        fs::rename(&new, &path).map_err(at("replace", &path))?;
        sync_dir(&self.dir)?;
        self.lender = Log { path, file, len, pending: Vec::new() };
        self.backed.retain(|copy, _| !copy.ends_with(LENDER_LOG));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::bundle::terms::{Budget, Terms};
    use crate::domain::calendar::UnixMs;
    use crate::domain::ids::{Epoch, Seq, StoreId};
    use crate::domain::lease::{Heard, Scope, Slices, Want, Word};
    use crate::engine::decision::{Change, Entry, Facts, Key, Record as Kept};
    use crate::engine::input::Input;
    use crate::engine::reply::{Noted, Reply};
    use crate::hub::files::LENDER_MAGIC_1;
    use crate::hub::ledger::Record;
    use crate::hub::lender::ScopeView;
    use crate::upstream::wire::{Ask, EntryHash, PROTOCOL};

    const NOW: UnixMs = UnixMs(0);

    fn store() -> StoreId {
        StoreId::new("s01").expect("an id")
    }

    fn terms() -> Terms {
        let budgets = BTreeMap::from([(Scope::Risk, Budget { max: 1_000_000, until: None })]);
        Terms { budgets, ..Terms::default() }
    }

    /// What is lent, as these files say.
    fn said(dir: &Path) -> Vec<ScopeView> {
        let (_, mut loaded) = Files::open(dir, false, NOW).expect("it opens");
        loaded.lender.set_terms(Some(terms()));
        assert_eq!(loaded.lender.check(), []);
        loaded.lender.view()
    }

    fn copy(from: &Path) -> tempfile::TempDir {
        fn all(from: &Path, to: &Path) {
            fs::create_dir_all(to).expect("a folder");
            for entry in fs::read_dir(from).expect("a folder").flatten() {
                let to = to.join(entry.file_name());
                if entry.path().is_dir() {
                    all(&entry.path(), &to);
                } else {
                    fs::copy(entry.path(), to).expect("it is copied");
                }
            }
        }
        let to = tempfile::tempdir().expect("a directory");
        all(from, to.path());
        to
    }

    fn taken(seq: u64, word: &Word, slices: &Slices) -> Record {
        let held = Change::put(Key::Lease(Epoch(1), Scope::Risk), Kept::Slices(slices.clone()));
        let heard = Change::put(Key::Heard(Epoch(1)), Kept::Heard(Heard { last: word.id }));
        let entry = Entry {
            seq: Seq(seq),
            epoch: Epoch(1),
            at: NOW,
            bundle: None,
            input: Input::Lease(word.clone()),
            facts: Facts::default(),
            answer: Ok(Reply::Noted(Noted::of(String::new()))),
            changes: vec![heard, held].into(),
        };
        let bytes = entry.encode();
        Record::Entry { seq: Seq(seq), hash: EntryHash::of(&bytes), bytes }
    }

    /// A head office that topped one shop up so often, and said a last word that nobody has answered.
    fn lent(dir: &Path, rounds: u64) -> (Files, Lender) {
        let (mut files, loaded) = Files::open(dir, false, NOW).expect("it opens");
        let (mut lender, mut slices) = (loaded.lender, Slices::default());
        lender.set_terms(Some(terms()));
        lender.hello(&store(), Epoch(1), NOW);
        for number in 1..=rounds + 1 {
            let wants = vec![Want { scope: Scope::Risk, left: 0, need: 10 * number.cast_signed() }];
            let ask =
                Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number, as_of: Seq(number - 1), wants };
            lender.ask(&store(), &ask, NOW, &|_| None);
            files.lend(&lender.take_records());
            files.commit().expect("it is written");
            lender.committed();
            if number > rounds {
                break;
            }
            for (_, words) in lender.words(NOW) {
                for word in &words.words {
                    slices.follow(word.id, &word.say);
                    let record = taken(number, word, &slices);
                    if let Record::Entry { bytes, .. } = &record {
                        let entry = Entry::decode(bytes).expect("just written");
                        lender.entry(&store(), Epoch(1), Seq(number), &entry);
                        lender.line(&store(), Epoch(1), Seq(number), true);
                    }
                    files.append((&store(), Epoch(1)), Seq(1), &[record]).expect("it is taken");
                }
            }
            files.commit().expect("it is written");
        }
        (files, lender)
    }

    #[test]
    fn is_the_log_whole_at_every_moment_of_its_folding_and_tells_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut files, lender) = lent(dir.path(), 30);
        let before = copy(dir.path());
        let long = files.lender.len;
        files.fold_lender(&lender).expect("nothing to do");
        assert_eq!(files.lender.len, long, "it is short enough");
        assert!(files.fold_now(&lender).expect("it is folded"));
        let backup = tempfile::tempdir().expect("a directory");
        files.backup(backup.path(), 1).expect("it is copied");
        assert!(files.lender.len * 4 < long, "{} of {long} bytes", files.lender.len);
        drop(files);
        let new = fs::read(dir.path().join(LENDER_LOG)).expect("it is there");
        let expected = said(before.path());
        assert!(expected[0].lent > 300 && expected[0].ghosts == 0, "{expected:?}");
        // Cut while the new one is written, synced or not: the old one stands, and whatever lies beside it is no harm.
        for written in (0..=new.len()).step_by(37).chain([new.len()]) {
            let cut = copy(before.path());
            fs::write(cut.path().join("lender.new"), &new[..written]).expect("it is written");
            assert_eq!(said(cut.path()), expected, "cut at {written}");
            let (mut files, loaded) = Files::open(cut.path(), false, NOW).expect("it opens");
            assert!(files.fold_now(&loaded.lender).expect("it is folded"), "cut at {written}");
            drop(files);
            assert_eq!(said(cut.path()), expected, "folded after a cut at {written}");
        }
        // Cut after the rename, and in the backup.
        assert_eq!(said(dir.path()), expected);
        assert_eq!(said(backup.path()), expected);
        assert!(!dir.path().join("lender.new").exists());
    }

    #[test]
    fn is_a_log_of_the_version_before_read_and_written_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(lent(dir.path(), 5));
        let expected = said(dir.path());
        let path = dir.path().join(LENDER_LOG);
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[..16].copy_from_slice(LENDER_MAGIC_1);
        fs::write(&path, bytes).expect("it is written");
        assert_eq!(said(dir.path()), expected);
        let (mut files, loaded) = Files::open(dir.path(), false, NOW).expect("it opens");
        files.fold_lender(&loaded.lender).expect("it is written anew");
        drop(files);
        assert_eq!(fs::read(&path).expect("it is there")[..16], *LENDER_MAGIC);
        assert_eq!(said(dir.path()), expected);
    }

    #[test]
    fn is_a_log_left_as_it_is_that_would_not_tell_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut files, mut lender) = lent(dir.path(), 5);
        lender.hello(&store(), Epoch(2), NOW);
        let wants = vec![Want { scope: Scope::Risk, left: 0, need: 70 }];
        let ask = Ask { v: PROTOCOL, epoch: Epoch(2), incarnation: 1, number: 1, as_of: Seq(0), wants };
        lender.ask(&store(), &ask, NOW, &|_| None);
        let log = fs::read(dir.path().join(LENDER_LOG)).expect("it is there");
        assert!(!files.fold_now(&lender).expect("it is tried"), "a word that the log does not hold");
        assert_eq!(fs::read(dir.path().join(LENDER_LOG)).expect("it is there"), log);
        assert!(!dir.path().join("lender.new").exists());
    }
}
