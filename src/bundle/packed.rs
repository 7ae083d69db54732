//! The packed form: one signed file, verified before anything in it is unpacked or read.
//!
//! ```text
//! magic "aisledb\n" 8 | format u16 | version u64 | signed at i64 (milliseconds since 1970, UTC) | key id 8
//! format 3 only: newer one promised by i64 (0: not promised) | mandate of the key 120 (all 0: the key is trusted itself)
//! rules, members, codes, each: packed bytes u64 | unpacked bytes u64 | records u64 | SHA-256 of the packed bytes 32
//! the three sections, each one zstd stream of records: length u32 | MessagePack with field names
//! ed25519 signature 64 over: "aisled bundle 2\n" (its format) | SHA-256 of everything before it
//! ```
//! A bundle that promises nothing and is signed by a trusted key itself is written in format 2, which every box reads.
//! Integers are big-endian. Invariants: the file is exactly as long as its header says; nothing is decompressed
//! before the signature has verified under a trusted key; every unpacked byte counts against the size the header
//! promises, which is bounded by `limits` in size and in ratio; a section must yield exactly its promised bytes and
//! records. Members and codes are read as a stream, one record in memory at a time, however many there are; a stream
//! checks its section's hash at its end, so a file changed after `open` is found out: use nothing of a stream that
//! did not end well.
//!
//! Readers are handed in; this module opens nothing.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take, Write};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::{BundleRef, MemberId, StoreId};
use crate::limits;

use super::document::{CodeRecord, MemberRecord, Rules};
use super::keys::{KeyId, PublicKey, SecretKey};
use super::mandate::{MANDATE_BYTES, Mandate};
use crate::domain::text::hex;

/// How a packed bundle begins.
pub const MAGIC: [u8; 8] = *b"aisledb\n";

/// The format of a bundle without a mandate or promise, and of one with.
const PLAIN: u16 = 2;
const TERMED: u16 = 3;
const SECTIONS: usize = 3;
const SECTION_HEADER_BYTES: usize = 3 * 8 + 32;
const HEADER_BYTES: usize = 8 + 2 + 8 + 8 + 8 + SECTIONS * SECTION_HEADER_BYTES;
/// What format 3 has behind the key's id.
const TERMS_BYTES: usize = 8 + MANDATE_BYTES;
const SIGNATURE_BYTES: usize = 64;
/// zstd's level: the last before time grows much faster than size falls.
const LEVEL: i32 = 9;
/// Deepest nesting of a record; authored files nest at most half as deep.
const DEPTH_MAX: usize = 2 * limits::AUTHORING_DEPTH_MAX;

/// Why a bundle was refused. Fits after "failed to open the bundle:".
#[derive(Debug)]
pub enum BundleError {
    /// Does not begin as a packed bundle does: another kind of file.
    NotABundle,
    /// Packed in a format of a newer program; update the box.
    UnknownFormat(u16),
    /// Signed with a key this box does not trust.
    UnknownKey(KeyId),
    /// Changed after it was signed, or signed by somebody else.
    BadSignature,
    /// What names the signing key is changed, ended before the bundle was signed, names another key, or is of a key this box
    /// does not trust.
    BadMandate,
    /// Its version is lower than one this box has had.
    Older {
        /// The bundle's version.
        version: u64,
        /// The lowest the box takes.
        floor: u64,
    },
    /// It or a section is larger than a box takes.
    TooLarge {
        /// Which part.
        part: &'static str,
        /// Its size in bytes or records.
        size: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A section unpacks to more than real data does.
    Ratio(&'static str),
    /// Ends before it should.
    Truncated,
    /// Signed, but holds what it must not; or bytes follow its end.
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        what: String,
    },
    /// Meant for other shops.
    WrongStore(StoreId),
    /// The reader failed.
    Read(io::Error),
}

impl BundleError {
    /// Its page.
    pub fn code(&self) -> Code {
        match self {
            BundleError::NotABundle => Code::NotABundle,
            BundleError::UnknownFormat(_) => Code::BundleFormatUnknown,
            BundleError::UnknownKey(_) => Code::BundleKeyUnknown,
            BundleError::BadSignature => Code::BundleSignatureBad,
            BundleError::BadMandate => Code::BundleMandateBad,
            BundleError::Older { .. } => Code::BundleOlder,
            BundleError::TooLarge { .. } => Code::BundleTooLarge,
            BundleError::Ratio(_) => Code::BundleRatio,
            BundleError::Truncated => Code::BundleTruncated,
            BundleError::Malformed { .. } => Code::BundleMalformed,
            BundleError::WrongStore(_) => Code::BundleWrongStore,
            BundleError::Read(_) => Code::BundleUnreadable,
        }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::NotABundle => f.write_str("it does not begin as a packed bundle does"),
            BundleError::UnknownFormat(format) => {
                write!(f, "it has format {format}, this program reads formats {PLAIN} and {TERMED}")
            }
            BundleError::UnknownKey(id) => write!(f, "it is signed with key {id}, which is not trusted here"),
            BundleError::BadSignature => f.write_str("its signature is not right"),
            BundleError::BadMandate => {
                f.write_str("no trusted key gave its signing key a mandate for that time")
            }
            BundleError::Older { version, floor } => {
                write!(f, "it has version {version}, and the version may not go below {floor}")
            }
            BundleError::TooLarge { part, size, limit } => {
                write!(f, "its {part} has size {size}, at most {limit} is allowed")
            }
            BundleError::Ratio(part) => write!(f, "its {part} unpacks to more than real data does"),
            BundleError::Truncated => f.write_str("it ends too early"),
            BundleError::Malformed { part, what } => write!(f, "its {part} is malformed: {what}"),
            BundleError::WrongStore(store) => write!(f, "it is not meant for shop {store}"),
            BundleError::Read(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl std::error::Error for BundleError {}

impl From<io::Error> for BundleError {
    fn from(error: io::Error) -> BundleError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => BundleError::Truncated,
            _ => BundleError::Read(error),
        }
    }
}

fn malformed(part: &'static str, what: impl fmt::Display) -> BundleError {
    BundleError::Malformed { part, what: what.to_string() }
}

/// A section's kind; the order in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rules,
    Members,
    Codes,
}

const PARTS: [Part; SECTIONS] = [Part::Rules, Part::Members, Part::Codes];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Rules => "rules section",
            Part::Members => "members section",
            Part::Codes => "codes section",
        }
    }

    fn bytes_max(self) -> u64 {
        match self {
            Part::Rules => limits::BUNDLE_RULES_BYTES_MAX,
            Part::Members | Part::Codes => limits::BUNDLE_RECORDS_BYTES_MAX,
        }
    }

    fn record_bytes_max(self) -> u64 {
        match self {
            Part::Rules => limits::BUNDLE_RULES_BYTES_MAX,
            Part::Members | Part::Codes => limits::BUNDLE_RECORD_BYTES_MAX as u64,
        }
    }

    fn records_max(self) -> u64 {
        match self {
            Part::Rules => 1,
            Part::Members | Part::Codes => limits::BUNDLE_RECORDS_MAX,
        }
    }
}

/// What the header promises of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Promise {
    packed: u64,
    unpacked: u64,
    records: u64,
    digest: [u8; 32],
}

impl Promise {
    fn check(&self, part: Part) -> Result<(), BundleError> {
        let too_large = |size, limit| BundleError::TooLarge { part: part.name(), size, limit };
        if self.unpacked > part.bytes_max() {
            return Err(too_large(self.unpacked, part.bytes_max()));
        }
        if self.records > part.records_max() {
            return Err(too_large(self.records, part.records_max()));
        }
        let unpacked_max = self.packed.saturating_mul(limits::BUNDLE_RATIO_MAX);
        if self.unpacked > limits::BUNDLE_RATIO_FLOOR_BYTES && self.unpacked > unpacked_max {
            return Err(BundleError::Ratio(part.name()));
        }
        Ok(())
    }
}

/// Under what a bundle is signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'m> {
    /// What names the signing key, where boxes do not trust it by itself.
    pub mandate: Option<&'m Mandate>,
    /// Until when head office promises a newer one: a box that has none by then says so, and sells on.
    pub newer_by: Option<UnixMs>,
}

/// What is packed: rules, members, codes.
pub type Parts<'r, M, C> = (&'r Rules, M, C);

/// Packs and signs a bundle, its members as they are at `signed_at`. The same input gives the same bytes.
///
/// # Errors
/// `TooLarge` or `Ratio` where a box would refuse the result.
pub fn pack<'r>(
    version: u64,
    signed_at: UnixMs,
    rules: &'r Rules,
    members: impl IntoIterator<Item = &'r MemberRecord>,
    codes: impl IntoIterator<Item = &'r CodeRecord>,
    key: &SecretKey,
) -> Result<Vec<u8>, BundleError> {
    pack_under(Terms::default(), version, signed_at, (rules, members, codes), key)
}

/// As `pack`, under terms.
///
/// # Errors
/// As for `pack`.
pub fn pack_under<'r>(
    terms: Terms<'_>,
    version: u64,
    signed_at: UnixMs,
    (rules, members, codes): Parts<
        'r,
        impl IntoIterator<Item = &'r MemberRecord>,
        impl IntoIterator<Item = &'r CodeRecord>,
    >,
    key: &SecretKey,
) -> Result<Vec<u8>, BundleError> {
    let format = if terms.mandate.is_none() && terms.newer_by.is_none() { PLAIN } else { TERMED };
    let sections =
        [section(Part::Rules, [rules])?, section(Part::Members, members)?, section(Part::Codes, codes)?];
    let mut file =
        Vec::with_capacity(HEADER_BYTES + sections.iter().map(|(_, packed)| packed.len()).sum::<usize>());
    file.extend(MAGIC);
    file.extend(format.to_be_bytes());
    file.extend(version.to_be_bytes());
    file.extend(signed_at.0.to_be_bytes());
    file.extend(key.public().id().0);
    if format == TERMED {
        file.extend(terms.newer_by.map_or(0, |by| by.0).to_be_bytes());
        file.extend(terms.mandate.map_or([0; MANDATE_BYTES], |mandate| *mandate.bytes()));
    }
    for (promise, _) in &sections {
        for number in [promise.packed, promise.unpacked, promise.records] {
            file.extend(number.to_be_bytes());
        }
        file.extend(promise.digest);
    }
    for (_, packed) in &sections {
        file.extend_from_slice(packed);
    }
    file.extend(key.sign(&signed_message(format, Sha256::digest(&file).into())));
    let size = file.len() as u64;
    if size > limits::BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge { part: "file", size, limit: limits::BUNDLE_BYTES_MAX });
    }
    Ok(file)
}

/// A bundle as a box keeps it once members of it were forgotten: the same rules, the members and codes that `stays` lets
/// stay, signed by the box itself. Its hash is not the bundle's any more; its version is.
///
/// # Errors
/// What reading the members or packing them gives.
pub fn without<R: Read + Seek>(
    opened: &mut Opened<R>,
    stays: &dyn Fn(&MemberId) -> bool,
    key: &SecretKey,
) -> Result<Vec<u8>, BundleError> {
    let members: Vec<MemberRecord> = opened
        .members()?
        .filter(|it| it.as_ref().map_or(true, |it| stays(&it.id)))
        .collect::<Result<_, _>>()?;
    let is_kept = |code: &CodeRecord| code.member.as_ref().is_none_or(stays);
    let codes: Vec<CodeRecord> =
        opened.codes()?.filter(|it| it.as_ref().map_or(true, is_kept)).collect::<Result<_, _>>()?;
    let terms = Terms { mandate: None, newer_by: opened.newer_by };
    let parts = (&opened.rules, &members, &codes);
    pack_under(terms, opened.reference.version, opened.signed_at, parts, key)
}

fn signed_message(format: u16, digest: [u8; 32]) -> Vec<u8> {
    [format!("aisled bundle {format}\n").as_bytes(), digest.as_slice()].concat()
}

fn section<T: Serialize>(
    part: Part,
    records: impl IntoIterator<Item = T>,
) -> Result<(Promise, Vec<u8>), BundleError> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    encoder.window_log(limits::BUNDLE_WINDOW_LOG_MAX)?;
    let (mut unpacked, mut count) = (0_u64, 0_u64);
    for record in records {
        let body = rmp_serde::to_vec_named(&record).map_err(|error| malformed(part.name(), error))?;
        let (size, limit) = (body.len() as u64, part.record_bytes_max());
        if size > limit {
            return Err(BundleError::TooLarge { part: "record", size, limit });
        }
        let length = u32::try_from(size).expect("a record is bounded by BUNDLE_RULES_BYTES_MAX");
        encoder.write_all(&length.to_be_bytes())?;
        encoder.write_all(&body)?;
        (unpacked, count) = (unpacked + 4 + size, count + 1);
    }
    let packed = encoder.finish()?;
    let digest = Sha256::digest(&packed).into();
    let promise = Promise { packed: packed.len() as u64, unpacked, records: count, digest };
    promise.check(part)?;
    Ok((promise, packed))
}

/// What a box takes.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The keys it trusts.
    pub trusted: &'a [PublicKey],
    /// The lowest version it takes: the highest it has had.
    pub floor: u64,
    /// Which shop it is; any bundle's, to look at it elsewhere.
    pub store: Option<&'a StoreId>,
}

/// A verified bundle: its rules, and its members and codes as streams.
#[derive(Debug)]
pub struct Opened<R> {
    /// Version and hash.
    pub reference: BundleRef,
    /// Who signed it.
    pub key: KeyId,
    /// When, by the signer's clock: how fresh its members are.
    pub signed_at: UnixMs,
    /// Until when head office promised a newer one.
    pub newer_by: Option<UnixMs>,
    /// What names the signing key, verified; nothing where it is trusted itself. Whether it is the newest is the box's to know.
    pub mandate: Option<Mandate>,
    /// Everything but members and codes.
    pub rules: Rules,
    reader: R,
    sections: [(Promise, u64); SECTIONS],
}

impl<R> Opened<R> {
    /// How many members it holds.
    pub fn member_count(&self) -> u64 {
        self.sections[Part::Members as usize].0.records
    }

    /// How many single-use codes it holds.
    pub fn code_count(&self) -> u64 {
        self.sections[Part::Codes as usize].0.records
    }
}

/// Verifies a bundle and reads its rules.
///
/// # Errors
/// See `BundleError`; a refused bundle changes nothing.
pub fn open<R: Read + Seek>(mut reader: R, admission: &Admission<'_>) -> Result<Opened<R>, BundleError> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(0))?;
    let header = Header::read(&mut reader, length)?;
    let key = header.signer(admission.trusted)?;
    let reference = header.verify(&mut reader, key)?;
    if header.version < admission.floor {
        return Err(BundleError::Older { version: header.version, floor: admission.floor });
    }
    let (rules, sections) = read_rules(&mut reader, &header)?;
    if let Some(store) = admission.store
        && !rules.shop.stores.is_empty()
        && !rules.shop.stores.contains(store)
    {
        return Err(BundleError::WrongStore(store.clone()));
    }
    let Header { key, signed_at, newer_by, mandate, .. } = header;
    Ok(Opened { reference, key, signed_at, newer_by, mandate, rules, reader, sections })
}

type Sections = [(Promise, u64); SECTIONS];

fn read_rules<R: Read + Seek>(reader: &mut R, header: &Header) -> Result<(Rules, Sections), BundleError> {
    for (part, promise) in PARTS.into_iter().zip(&header.sections) {
        promise.check(part)?;
    }
    let mut start = header.bytes.len() as u64;
    let sections = header.sections.map(|promise| {
        let from = start;
        start += promise.packed;
        (promise, from)
    });
    let mut records = Records::<Rules, _>::new(reader, Part::Rules, sections[Part::Rules as usize])?;
    let rules = records.next().unwrap_or_else(|| Err(malformed(Part::Rules.name(), "it is empty")))?;
    match records.next() {
        None => Ok((rules, sections)),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => Err(malformed(Part::Rules.name(), "it holds more than one record")),
    }
}

/// The rules of a file, without any proof: for head office, which publishes it itself.
///
/// # Errors
/// See `BundleError`; the signature is not looked at, the bounds are.
pub fn rules<R: Read + Seek>(mut reader: R) -> Result<Rules, BundleError> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(0))?;
    let header = Header::read(&mut reader, length)?;
    Ok(read_rules(&mut reader, &header)?.0)
}

impl<R: Read + Seek> Opened<R> {
    /// The members, in the order they were packed.
    ///
    /// # Errors
    /// The reader's; the stream's items carry the others.
    pub fn members(&mut self) -> Result<Records<MemberRecord, &mut R>, BundleError> {
        Records::new(&mut self.reader, Part::Members, self.sections[Part::Members as usize])
    }

    /// The single-use codes, in the order they were packed.
    ///
    /// # Errors
    /// The reader's; the stream's items carry the others.
    pub fn codes(&mut self) -> Result<Records<CodeRecord, &mut R>, BundleError> {
        Records::new(&mut self.reader, Part::Codes, self.sections[Part::Codes as usize])
    }
}

/// What a file calls itself, without any proof: for comparing with bundles that were verified when they were stored.
///
/// # Errors
/// See `BundleError`; the signature is not looked at.
pub fn reference<R: Read + Seek>(mut reader: R) -> Result<BundleRef, BundleError> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(0))?;
    let header = Header::read(&mut reader, length)?;
    let mut whole = Hashed { inner: reader, hasher: Sha256::new() };
    whole.hasher.update(&header.bytes);
    io::copy(&mut whole, &mut io::sink())?;
    let digest: [u8; 32] = whole.hasher.finalize().into();
    Ok(BundleRef { version: header.version, hash: Arc::from(hex(&digest[..8])) })
}

/// When a file says it was signed and until when it promises a newer one, without any proof: of bundles that were verified when
/// they were stored.
///
/// # Errors
/// See `BundleError`; the signature is not looked at.
pub fn times<R: Read + Seek>(mut reader: R) -> Result<(UnixMs, Option<UnixMs>), BundleError> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(0))?;
    let header = Header::read(&mut reader, length)?;
    Ok((header.signed_at, header.newer_by))
}

struct Header {
    bytes: Vec<u8>,
    format: u16,
    version: u64,
    signed_at: UnixMs,
    key: KeyId,
    newer_by: Option<UnixMs>,
    mandate: Option<Mandate>,
    sections: [Promise; SECTIONS],
    /// Bytes before the signature.
    signed: u64,
}

impl Header {
    /// Reads a header nobody has vouched for yet: only magic, format, key and lengths are looked at.
    fn read(reader: &mut impl Read, length: u64) -> Result<Header, BundleError> {
        let mut magic = [0; MAGIC.len()];
        let short = length < MAGIC.len() as u64;
        let magic_length = if short { usize::try_from(length).unwrap_or(0) } else { MAGIC.len() };
        reader.read_exact(&mut magic[..magic_length])?;
        if magic[..magic_length] != MAGIC[..magic_length] || length == 0 {
            return Err(BundleError::NotABundle);
        }
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(&magic);
        reader.read_exact(&mut bytes[MAGIC.len()..])?;
        let format = u16::from_be_bytes(take(&mut &bytes[MAGIC.len()..]));
        match format {
            PLAIN => {}
            TERMED => {
                bytes.resize(HEADER_BYTES + TERMS_BYTES, 0);
                reader.read_exact(&mut bytes[HEADER_BYTES..])?;
            }
            other => return Err(BundleError::UnknownFormat(other)),
        }
        let mut rest = &bytes[MAGIC.len() + 2..];
        let version = u64::from_be_bytes(take(&mut rest));
        let signed_at = UnixMs(i64::from_be_bytes(take(&mut rest)));
        let key = KeyId(take(&mut rest));
        let (mut newer_by, mut mandate) = (None, None);
        if format == TERMED {
            newer_by = Some(UnixMs(i64::from_be_bytes(take(&mut rest)))).filter(|by| by.0 != 0);
            let given: [u8; MANDATE_BYTES] = take(&mut rest);
            if given != [0; MANDATE_BYTES] {
                mandate = Some(Mandate::read(given).ok_or(BundleError::BadMandate)?);
            }
        }
        let sections: [Promise; SECTIONS] = std::array::from_fn(|_| Promise {
            packed: u64::from_be_bytes(take(&mut rest)),
            unpacked: u64::from_be_bytes(take(&mut rest)),
            records: u64::from_be_bytes(take(&mut rest)),
            digest: take(&mut rest),
        });
        let packed = sections.iter().fold(0_u64, |sum, promise| sum.saturating_add(promise.packed));
        let signed = packed.saturating_add(bytes.len() as u64);
        let whole = signed.saturating_add(SIGNATURE_BYTES as u64);
        let (size, limit) = (whole.max(length), limits::BUNDLE_BYTES_MAX);
        if size > limit {
            return Err(BundleError::TooLarge { part: "file", size, limit });
        }
        match length.cmp(&whole) {
            std::cmp::Ordering::Less => Err(BundleError::Truncated),
            std::cmp::Ordering::Greater => {
                Err(malformed("file", format_args!("{} bytes follow its end", length - whole)))
            }
            std::cmp::Ordering::Equal => {
                Ok(Header { bytes, format, version, signed_at, key, newer_by, mandate, sections, signed })
            }
        }
    }

    /// The key that must have signed: a trusted one, or one that a trusted one names for this time.
    fn signer<'k>(&'k self, trusted: &'k [PublicKey]) -> Result<&'k PublicKey, BundleError> {
        let with = |id: KeyId| trusted.iter().find(|key| key.id() == id);
        let Some(mandate) = &self.mandate else {
            return with(self.key).ok_or(BundleError::UnknownKey(self.key));
        };
        let by = with(mandate.by).ok_or(BundleError::UnknownKey(mandate.by))?;
        let holds = mandate.is_of(by) && mandate.signing.id() == self.key && self.signed_at <= mandate.until;
        if holds { Ok(&mandate.signing) } else { Err(BundleError::BadMandate) }
    }

    /// Checks the signature over the whole file; leaves the reader at its end.
    fn verify(&self, reader: &mut impl Read, key: &PublicKey) -> Result<BundleRef, BundleError> {
        let mut hasher = Sha256::new();
        hasher.update(&self.bytes);
        let mut left = self.signed - self.bytes.len() as u64;
        let mut buffer = [0; 16 * 1024];
        while left > 0 {
            let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            reader.read_exact(&mut buffer[..wanted])?;
            hasher.update(&buffer[..wanted]);
            left -= wanted as u64;
        }
        let mut signature = [0; SIGNATURE_BYTES];
        reader.read_exact(&mut signature)?;
        if !key.signed(&signed_message(self.format, hasher.clone().finalize().into()), &signature) {
            return Err(BundleError::BadSignature);
        }
        hasher.update(signature);
        let whole: [u8; 32] = hasher.finalize().into();
        Ok(BundleRef { version: self.version, hash: Arc::from(hex(&whole[..8])) })
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> [u8; N] {
    let (head, tail) = from.split_first_chunk().expect("HEADER_BYTES is the sum of its fields");
    *from = tail;
    *head
}

/// Passes bytes on and hashes them.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

type Unpacking<R> = BufReader<zstd::stream::read::Decoder<'static, BufReader<Hashed<Take<R>>>>>;

/// A section's records, one at a time. After an error it is at its end.
pub struct Records<T, R: Read> {
    unpacking: Unpacking<R>,
    part: Part,
    promise: Promise,
    unpacked: u64,
    records: u64,
    ended: bool,
    buffer: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned, R: Read + Seek> Records<T, R> {
    fn new(mut reader: R, part: Part, (promise, start): (Promise, u64)) -> Result<Self, BundleError> {
        reader.seek(SeekFrom::Start(start))?;
        let hashed = Hashed { inner: reader.take(promise.packed), hasher: Sha256::new() };
        let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(hashed))?;
        decoder.window_log_max(limits::BUNDLE_WINDOW_LOG_MAX)?;
        let unpacking = BufReader::with_capacity(64 * 1024, decoder);
        let (unpacked, records) = (0, 0);
        Ok(Records {
            unpacking,
            part,
            promise,
            unpacked,
            records,
            ended: false,
            buffer: Vec::new(),
            of: PhantomData,
        })
    }

    fn malformed(&self, what: impl fmt::Display) -> BundleError {
        malformed(self.part.name(), what)
    }

    /// Reads into the buffer; the decoder's own errors mean a malformed section.
    fn fill(&mut self, count: usize) -> Result<(), BundleError> {
        self.buffer.resize(count, 0);
        let read = self.unpacking.read_exact(&mut self.buffer);
        read.map_err(|error| malformed(self.part.name(), error))?;
        self.unpacked += count as u64;
        Ok(())
    }

    fn record(&mut self) -> Result<T, BundleError> {
        if self.promise.unpacked - self.unpacked < 4 {
            return Err(self.malformed("it holds more than its header says"));
        }
        self.fill(4)?;
        let length: [u8; 4] = self.buffer.as_slice().try_into().expect("fill(4) leaves 4 bytes");
        let length = u64::from(u32::from_be_bytes(length));
        if length > self.part.record_bytes_max() || length > self.promise.unpacked - self.unpacked {
            return Err(self.malformed(format_args!("record {} is too long", self.records)));
        }
        self.fill(usize::try_from(length).expect("bounded by record_bytes_max"))?;
        self.records += 1;
        let mut rest = self.buffer.as_slice();
        let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
        deserializer.set_max_depth(DEPTH_MAX);
        let record = T::deserialize(&mut deserializer);
        let record = record.map_err(|error| malformed(self.part.name(), error))?;
        if !rest.is_empty() {
            return Err(self.malformed(format_args!("bytes follow record {}", self.records)));
        }
        Ok(record)
    }

    /// After the last record: nothing more, and the packed bytes were those that were signed.
    fn end(&mut self) -> Result<(), BundleError> {
        let more = self.unpacking.read(&mut [0]).map_err(|error| malformed(self.part.name(), error))?;
        if more > 0 || self.unpacked != self.promise.unpacked {
            return Err(self.malformed("it does not hold what its header says"));
        }
        let hashed = self.unpacking.get_mut().get_mut().get_mut();
        io::copy(hashed, &mut io::sink())?;
        let digest: [u8; 32] = hashed.hasher.clone().finalize().into();
        if digest != self.promise.digest {
            return Err(self.malformed("it was changed while it was read"));
        }
        Ok(())
    }
}

impl<T: DeserializeOwned, R: Read + Seek> Iterator for Records<T, R> {
    type Item = Result<T, BundleError>;

    fn next(&mut self) -> Option<Result<T, BundleError>> {
        if self.ended {
            return None;
        }
        let item = if self.records < self.promise.records {
            Some(self.record())
        } else {
            self.ended = true;
            self.end().err().map(Err)
        };
        self.ended |= matches!(item, Some(Err(_)));
        item
    }
}
