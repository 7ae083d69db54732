//! Where the tables' bytes are: in sled, or, on a disk that sled cannot open, in memory.
//!
//! Invariants: both keep the same bytes under the same keys in the same order, and a transaction counts whole or not at all;
//! a panic of sled is an error like any other. Memory holds `MEMORY_TABLES_BYTES_MAX` at most and then says that it is full:
//! it is what a shop sells from until its disk has room again, built from checkpoint and journal at each start.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use sled::{IVec, Transactional};

use crate::limits;

use super::{TREES, TablesFault};

/// One write of a transaction: tree, key, value or nothing.
pub(super) type Write = (usize, IVec, Option<IVec>);

/// The bytes.
pub(super) enum Backend {
    Sled(Sled),
    Memory(Mutex<Memory>),
}

pub(super) struct Sled {
    trees: Vec<sled::Tree>,
    db: sled::Db,
    file: File,
}

#[derive(Default)]
pub(super) struct Memory {
    trees: Vec<BTreeMap<Vec<u8>, IVec>>,
    bytes: u64,
}

impl Backend {
    pub(super) fn sled(dir: &Path, cache_bytes: u64) -> Result<Backend, TablesFault> {
        guarded(|| {
            let db = sled::Config::new().path(dir).cache_capacity(cache_bytes).open()?;
            let trees = TREES.iter().map(|name| open_tree(&db, name)).collect::<Result<Vec<_>, _>>()?;
            let file = File::options().write(true).open(dir.join("db"));
            let file =
                file.map_err(|e| TablesFault::Sled(format!("open {}: {e}", dir.join("db").display())))?;
            Ok(Backend::Sled(Sled { trees, db, file }))
        })
    }

    pub(super) fn memory() -> Backend {
        Backend::Memory(Mutex::new(Memory { trees: vec![BTreeMap::new(); TREES.len()], bytes: 0 }))
    }

    pub(super) fn is_memory(&self) -> bool {
        matches!(self, Backend::Memory(_))
    }

    pub(super) fn get(&self, tree: usize, key: &[u8]) -> Result<Option<IVec>, TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| Ok(sled.trees[tree].get(key)?)),
            Backend::Memory(memory) => Ok(lock(memory).trees[tree].get(key).cloned()),
        }
    }

    /// Up to `max` records from `from` on, in order of their keys.
    pub(super) fn page(
        &self,
        tree: usize,
        from: &[u8],
        max: usize,
    ) -> Result<Vec<(IVec, IVec)>, TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| {
                let page = sled.trees[tree].range(from.to_vec()..).take(max);
                Ok(page.collect::<Result<Vec<_>, _>>()?)
            }),
            Backend::Memory(memory) => {
                let memory = lock(memory);
                let range = memory.trees[tree].range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
                Ok(range.take(max).map(|(key, value)| (IVec::from(key.as_slice()), value.clone())).collect())
            }
        }
    }

    /// All of them or, after a crash, none.
    pub(super) fn transact(&self, writes: &[Write]) -> Result<(), TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| sled.transact(writes)),
            Backend::Memory(memory) => lock(memory).put(writes),
        }
    }

    /// Each by itself: for what is done again after a crash.
    pub(super) fn put(&self, writes: Vec<Write>) -> Result<(), TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| {
                let mut batches = vec![sled::Batch::default(); TREES.len()];
                for (tree, key, value) in writes {
                    match value {
                        Some(value) => batches[tree].insert(key, value),
                        None => batches[tree].remove(key),
                    }
                }
                for (tree, batch) in sled.trees.iter().zip(batches) {
                    tree.apply_batch(batch)?;
                }
                Ok(())
            }),
            Backend::Memory(memory) => lock(memory).put(&writes),
        }
    }

    /// Makes everything so far durable, where there is a disk.
    pub(super) fn sync(&self) -> Result<(), TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| {
                sled.db.flush()?;
                // As sled's own: a full or read-only disk is no damage.
                sled.file.sync_data().map_err(|e| TablesFault::from(sled::Error::Io(e)))
            }),
            Backend::Memory(_) => Ok(()),
        }
    }

    /// Bytes taken on the disk, or of memory.
    pub(super) fn bytes(&self) -> Result<u64, TablesFault> {
        match self {
            Backend::Sled(sled) => guarded(|| Ok(sled.db.size_on_disk()?)),
            Backend::Memory(memory) => Ok(lock(memory).bytes),
        }
    }
}

impl Sled {
    fn transact(&self, writes: &[Write]) -> Result<(), TablesFault> {
        let body = |trees: &Vec<TransactionalTree>| -> Result<(), ConflictableTransactionError<()>> {
            for (tree, key, value) in writes {
                match value {
                    Some(value) => trees[*tree].insert(key, value)?,
                    None => trees[*tree].remove(key)?,
                };
            }
            Ok(())
        };
        self.trees.as_slice().transaction(body).map_err(|error| match error {
            TransactionError::Abort(()) => TablesFault::Sled("a transaction was aborted".to_owned()),
            TransactionError::Storage(error) => error.into(),
        })
    }
}

impl Memory {
    fn put(&mut self, writes: &[Write]) -> Result<(), TablesFault> {
        let size = |key: &[u8], value: &[u8]| {
            (key.len() + value.len()) as u64 + limits::MEMORY_RECORD_OVERHEAD_BYTES
        };
        let more: u64 = writes.iter().filter_map(|(_, key, value)| Some(size(key, value.as_ref()?))).sum();
        if self.bytes + more > limits::MEMORY_TABLES_BYTES_MAX {
            return Err(TablesFault::Disk(std::io::ErrorKind::StorageFull.into()));
        }
        for (tree, key, value) in writes {
            let former = match value {
                Some(value) => {
                    self.bytes += size(key, value);
                    self.trees[*tree].insert(key.to_vec(), value.clone())
                }
                None => self.trees[*tree].remove(key.as_ref()),
            };
            self.bytes -= former.map_or(0, |former| size(key, &former));
        }
        Ok(())
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the one place where trees are opened, by number")]
fn open_tree(db: &sled::Db, name: &str) -> Result<sled::Tree, TablesFault> {
    Ok(db.open_tree(name)?)
}

pub(super) fn guarded<T>(body: impl FnOnce() -> Result<T, TablesFault>) -> Result<T, TablesFault> {
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(TablesFault::Sled("sled panicked".to_owned())))
}
