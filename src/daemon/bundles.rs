//! Bundles on this box: from the inbox to the shelf to the active one.
//!
//! Layout below `<data>/bundles`: `inbox/*.aisb` waits (put there whole by `aisled bundle install` or by
//! `upstream`), `<version>-<hash>.aisb` is kept (decisions name it), `active.aisb` is a second name of the active one.
//! Once somebody was forgotten, no kept file names them: the box packs such a file anew without them and signs it itself, with
//! a key that never leaves it and is believed of kept files only; the file keeps the name it is known by.
//! A file is verified, compiled and synced before it is kept, and kept before it becomes active; what is refused is moved to
//! `refused/` with its code in the log. The version never goes down, nor does the number of a mandate (`mandates.json`): a
//! signing key that was replaced signs nothing any more. What is kept stays readable, whoever signed it.

use std::fs::{self, File};
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bundle::document::Rules;
use crate::bundle::keys::{PublicKey, SecretKey};
use crate::bundle::mandate::Seen;
use crate::bundle::packed::{self, Admission, Opened};
use crate::bundle::{Bundle, Plan, plan};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, MemberId, StoreId};
use crate::domain::member::{Token, TokenKind};
use crate::engine::decision::{IssuedCode, Key, Known, Record};
use crate::storage::identity;
use crate::storage::store::{Roll, Store};
use crate::storage::vault::Vault;

const MANDATES_FILE: &str = "mandates.json";

/// Where bundles are and whose are believed.
#[derive(Clone)]
pub(super) struct Shelf {
    dir: PathBuf,
    trusted: Arc<[PublicKey]>,
    store: StoreId,
    /// The key of this box, from the first start on.
    own: Arc<OnceLock<[u8; 32]>>,
    /// Who was forgotten, once the store is open.
    vault: Arc<OnceLock<Vault>>,
}

/// What was done to bundles so that they name somebody forgotten no more.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Rewritten {
    /// Versions of the bundles that were packed anew.
    pub(super) bundles: Vec<u64>,
    /// Versions whose rules name a member that was forgotten: only head office can change rules.
    pub(super) rules: Vec<u64>,
}

/// The key with which a box signs what it packed anew, from its secret.
fn own_seed(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(secret).chain_update(b"aisled kept bundles 1").finalize().into()
}

/// What a box trusts of the bundles it keeps: beside `trusted` its own key.
pub(crate) fn trusted_of_kept(data_dir: &Path, trusted: &[PublicKey]) -> Vec<PublicKey> {
    let own =
        identity::read(data_dir).ok().map(|known| SecretKey::from_seed(&own_seed(&known.secret)).public());
    trusted.iter().cloned().chain(own).collect()
}

/// Is this the bundle `reference`? What the box packed anew has another hash and stands under the name it had.
pub(crate) fn is_kept<R>(opened: &Opened<R>, reference: &BundleRef, trusted: &[PublicKey]) -> bool {
    let is_head_offices = trusted.iter().any(|key| key.id() == opened.key);
    opened.reference == *reference || (!is_head_offices && opened.reference.version == reference.version)
}

impl Shelf {
    /// The shelf of a data directory; makes its folders.
    pub(super) fn new(data_dir: &Path, trusted: Vec<PublicKey>, store: StoreId) -> Result<Shelf> {
        let dir = data_dir.join("bundles");
        for folder in ["inbox", "refused"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("failed to make {}", path.display()))?;
        }
        let own = Arc::new(OnceLock::new());
        if let Ok(known) = identity::read(data_dir) {
            own.get_or_init(|| own_seed(&known.secret));
        }
        Ok(Shelf { dir, trusted: trusted.into(), store, own, vault: Arc::new(OnceLock::new()) })
    }

    /// From now on who was forgotten is known.
    pub(super) fn store_is_open(&self, store: &Store) {
        self.own.get_or_init(|| own_seed(&store.identity().secret));
        self.vault.get_or_init(|| store.vault());
    }

    /// Where a file may be put for the daemon to find.
    pub(super) fn inbox(&self) -> PathBuf {
        self.dir.join("inbox")
    }

    fn kept(&self, reference: &BundleRef) -> PathBuf {
        self.dir.join(format!("{}-{}.aisb", reference.version, reference.hash))
    }

    fn open(&self, path: &Path, floor: u64) -> Result<Opened<BufReader<File>>> {
        self.open_trusting(path, floor, &self.trusted)
    }

    /// Opens a kept bundle.
    fn open_kept(&self, reference: &BundleRef) -> Result<Opened<BufReader<File>>> {
        let own = self.own.get().map(|seed| SecretKey::from_seed(seed).public());
        let trusted: Vec<PublicKey> = self.trusted.iter().cloned().chain(own).collect();
        let opened = self.open_trusting(&self.kept(reference), reference.version, &trusted)?;
        match is_kept(&opened, reference, &self.trusted) {
            true => Ok(opened),
            false => Err(anyhow!("failed to load bundle {}: the file is another one", reference.version)),
        }
    }

    fn open_trusting(
        &self,
        path: &Path,
        floor: u64,
        trusted: &[PublicKey],
    ) -> Result<Opened<BufReader<File>>> {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let admission = Admission { trusted, floor, store: Some(&self.store) };
        packed::open(BufReader::new(file), &admission)
            .map_err(|error| anyhow!("failed to open {}: {error} ({})", path.display(), error.code()))
    }

    /// Compiles a kept bundle.
    pub(super) fn load(&self, reference: &BundleRef) -> Result<Bundle> {
        compiled(reference, self.open_kept(reference)?.rules)
    }

    /// The same without what proposes: a former bundle only prices goods that come back, and a network takes long to read.
    pub(super) fn load_past(&self, reference: &BundleRef) -> Result<Bundle> {
        compiled(reference, Rules { network: None, ..self.open_kept(reference)?.rules })
    }

    /// The newest file of the inbox that is to become active: verified, compiled and kept. Everything else in the inbox
    /// is moved away and named in the log. `in_force` is false where the current one could not be read at the start:
    /// then it is taken once more.
    pub(super) fn take(&self, current: Option<&BundleRef>, in_force: bool) -> Option<Arc<Bundle>> {
        let entries = fs::read_dir(self.inbox()).ok()?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "aisb"))
            .collect();
        files.sort();
        let mut taken: Option<Bundle> = None;
        for path in files {
            let newest = taken.as_ref().map(|bundle| &bundle.reference).or(current);
            let in_force = in_force || taken.is_some();
            // A file that breaks a rule of our own is refused like any other, and never tried again.
            let admitted = catch_unwind(AssertUnwindSafe(|| self.admit(&path, newest, in_force)));
            let admitted =
                admitted.unwrap_or_else(|_| Err(anyhow!("failed to admit {}: it panicked", path.display())));
            match admitted {
                Ok(Some(bundle)) => taken = Some(bundle),
                Ok(None) => self.discard(&path),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "a bundle is refused; the active one stays"
                    );
                    self.refuse(&path);
                }
            }
        }
        taken.map(Arc::new)
    }

    /// A file that is kept stays in the inbox too, until a later look finds that it is active: a crash before its
    /// activation is durable loses nothing.
    fn admit(&self, path: &Path, current: Option<&BundleRef>, in_force: bool) -> Result<Option<Bundle>> {
        let opened = self.open(path, current.map_or(0, |current| current.version))?;
        let mut seen = self.mandates()?;
        if let Some(mandate) = opened.mandate.as_ref().filter(|mandate| !seen.takes(mandate)) {
            let code = Code::BundleMandateOlder;
            return Err(anyhow!(
                "failed to admit {}: its mandate {} is outdone ({code})",
                path.display(),
                mandate.number
            ));
        }
        match plan(current, &opened.reference) {
            Plan::Same if in_force => return Ok(None),
            Plan::Same | Plan::Activate => {}
            refused @ (Plan::Older | Plan::Clash) => {
                let code = refused.code().map(|code| code.to_string()).unwrap_or_default();
                return Err(anyhow!(
                    "failed to activate bundle {}: {refused:?} ({code})",
                    opened.reference.version
                ));
            }
        }
        let mandate = opened.mandate.clone();
        let bundle = Bundle::compile(opened.reference, opened.rules)
            .map_err(|error| anyhow!("failed to compile {}: {error} ({})", path.display(), error.code()))?;
        if mandate.is_some_and(|mandate| seen.remember(&mandate)) {
            self.keep_mandates(&seen)?;
        }
        let kept = self.kept(&bundle.reference);
        // Whoever put it there may not have waited for the disk; decisions that name it will.
        File::open(path).and_then(|file| file.sync_all()).context("failed to sync a bundle")?;
        match self.without_forgotten(&mut self.open(path, bundle.reference.version)?)? {
            Some(bytes) => self.write(&bytes, &kept)?,
            None => self.name_also(path, &kept)?,
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).context("failed to sync the bundles")?;
        Ok(Some(bundle))
    }

    /// A bundle without those who were forgotten; nothing if it names none of them.
    fn without_forgotten(&self, opened: &mut Opened<BufReader<File>>) -> Result<Option<Vec<u8>>> {
        let (Some(vault), Some(seed)) = (self.vault.get(), self.own.get()) else { return Ok(None) };
        if !vault.forgets() {
            return Ok(None);
        }
        let failed = |error: packed::BundleError| {
            anyhow!("failed to look through a bundle: {error} ({})", error.code())
        };
        let (mut is_named, is_gone) = (false, |id: &MemberId| vault.is_forgotten(id));
        for member in opened.members().map_err(failed)? {
            is_named |= is_gone(&member.map_err(failed)?.id);
        }
        for code in opened.codes().map_err(failed)? {
            is_named |= code.map_err(failed)?.member.as_ref().is_some_and(is_gone);
        }
        if !is_named {
            return Ok(None);
        }
        packed::without(opened, &|id| !is_gone(id), &SecretKey::from_seed(seed)).map(Some).map_err(failed)
    }

    /// Packs every kept bundle anew that names somebody forgotten, and lets go of what is of no use any more: refused files,
    /// pieces of downloads, what waits in the inbox though it is active.
    pub(super) fn forget(&self, active: Option<&BundleRef>, gone: Option<&MemberId>) -> Result<Rewritten> {
        let mut rewritten = Rewritten::default();
        let listed = fs::read_dir(&self.dir).context("failed to list the bundles")?;
        let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for path in files {
            let Some(reference) = reference_of(&path) else { continue };
            let mut opened = match self.open_kept(&reference) {
                Ok(opened) => opened,
                Err(error) if active == Some(&reference) => return Err(error),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "a kept bundle cannot be looked through; it is removed"
                    );
                    fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
                    continue;
                }
            };
            let rules = serde_json::to_string(&opened.rules).context("failed to look through rules")?;
            if gone.is_some_and(|id| rules.contains(&format!("\"{id}\""))) {
                rewritten.rules.push(reference.version);
            }
            if let Some(bytes) = self.without_forgotten(&mut opened)? {
                self.write(&bytes, &path)?;
                rewritten.bundles.push(reference.version);
            }
            if active == Some(&reference) {
                self.mark_active(&reference)?;
            }
        }
        let inbox = fs::read_dir(self.inbox()).context("failed to list the inbox")?;
        for path in inbox.filter_map(|entry| Some(entry.ok()?.path())) {
            let reference =
                File::open(&path).ok().and_then(|file| packed::reference(BufReader::new(file)).ok());
            if reference.as_ref() == active && active.is_some() {
                self.discard(&path);
            }
        }
        let downloads = self.dir.with_file_name("upstream");
        for folder in [self.dir.join("refused"), downloads] {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let is_bundle = |path: &PathBuf| {
                path.extension().is_some_and(|kind| kind == "aisb" || kind == "part" || kind == "packed")
            };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_bundle) {
                fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
            }
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).context("failed to sync the bundles")?;
        Ok(rewritten)
    }

    /// Writes a kept bundle, at once and whole, whatever had its name before.
    fn write(&self, bytes: &[u8], path: &Path) -> Result<()> {
        let draft = self.dir.join("kept.draft");
        fs::write(&draft, bytes)
            .and_then(|()| File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, path))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// The newest mandates this box has seen: `{"<id of the trusted key>":[number,"<id of the signing key>"]}`.
    fn mandates(&self) -> Result<Seen> {
        let path = self.dir.join(MANDATES_FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Seen::default()),
            read => read.with_context(|| format!("failed to read {}", path.display()))?,
        };
        // A file that does not read must not open the door to every key there ever was.
        serde_json::from_slice(&bytes).with_context(|| format!("failed to read {}", path.display()))
    }

    fn keep_mandates(&self, seen: &Seen) -> Result<()> {
        let path = self.dir.join(MANDATES_FILE);
        let bytes = serde_json::to_vec(seen).context("failed to write the mandates")?;
        crate::config::private::place(&path, &bytes)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// When a kept bundle was signed, and until when head office promised a newer one.
    pub(super) fn times(&self, reference: &BundleRef) -> Option<(UnixMs, Option<UnixMs>)> {
        packed::times(BufReader::new(File::open(self.kept(reference)).ok()?)).ok()
    }

    /// Gives the active bundle its second name.
    pub(super) fn mark_active(&self, reference: &BundleRef) -> Result<()> {
        self.name_also(&self.kept(reference), &self.dir.join("active.aisb"))
    }

    /// Gives a file one more name, at once and whole, whatever had that name before.
    fn name_also(&self, file: &Path, name: &Path) -> Result<()> {
        let draft = self.dir.join("name.draft");
        let failed = || format!("failed to name {} also {}", file.display(), name.display());
        if draft.exists() {
            fs::remove_file(&draft).with_context(failed)?;
        }
        fs::hard_link(file, &draft).with_context(failed)?;
        fs::rename(&draft, name).with_context(failed)?;
        // Two names of one file are not renamed to each other: the draft may be left.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(failed),
            _ => Ok(()),
        }
    }

    fn discard(&self, path: &Path) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "a bundle already active stays in the inbox");
        }
    }

    fn refuse(&self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        if let Err(error) = fs::rename(path, self.dir.join("refused").join(name)) {
            tracing::warn!(%error, path = %path.display(), "a refused bundle stays in the inbox");
        }
    }
}

impl Roll for Shelf {
    fn records(
        &self,
        bundle: &BundleRef,
        at: UnixMs,
        take: &mut dyn FnMut(Key, Record),
    ) -> std::result::Result<(), String> {
        let mut opened = self.open_kept(bundle).map_err(|error| format!("{error:#}"))?;
        let chain = opened.rules.shop.chain.clone();
        // A signer whose clock is ahead does not outdo what head office says later.
        let as_of = opened.signed_at.min(at);
        for member in opened.members().map_err(|e| e.to_string())? {
            let member = member.map_err(|e| e.to_string())?;
            let own = Token { kind: TokenKind::Member, value: member.id.as_str().to_owned() };
            for token in member.tokens.iter().chain([&own]) {
                take(Key::Token(token.hash(&chain)), Record::Token(member.id.clone()));
            }
            let known = Known {
                profile: member.profile,
                points: member.points,
                as_of,
                listed: Some(bundle.version),
                withdrawn: false,
                consent_at: None,
            };
            take(Key::Member(member.id), Record::Member(Box::new(known)));
        }
        for code in opened.codes().map_err(|e| e.to_string())? {
            let code = code.map_err(|e| e.to_string())?;
            let issued = IssuedCode {
                coupon: code.coupon,
                member: code.member,
                home: code.home,
                expires: None,
                listed: Some(bundle.version),
                moved: 0,
            };
            let normal =
                crate::domain::ids::CouponCode::normal(code.code.as_str()).map_err(|e| e.to_string())?;
            take(Key::Code(normal), Record::Code(issued));
        }
        Ok(())
    }
}

/// What a kept file is, by its name.
fn reference_of(path: &Path) -> Option<BundleRef> {
    let (version, hash) = path.file_name()?.to_str()?.strip_suffix(".aisb")?.split_once('-')?;
    Some(BundleRef { version: version.parse().ok()?, hash: Arc::from(hash) })
}

fn compiled(reference: &BundleRef, rules: Rules) -> Result<Bundle> {
    Bundle::compile(reference.clone(), rules)
        .map_err(|error| anyhow!("failed to load bundle {}: {error}", reference.version))
}

/// Does a file wait in the inbox?
pub(super) fn waits(shelf: &Shelf) -> bool {
    fs::read_dir(shelf.inbox()).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "aisb")))
    })
}
