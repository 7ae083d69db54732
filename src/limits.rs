//! Every bound in aisled: name, unit, reason. A queue, cache, loop, message or file without a line here does not exist.
//!
//! Names put the unit last. Relations between bounds are const assertions at the end, so that a change that
//! breaks one does not compile.

// --- the wire (devices) ---

/// Largest request or reply payload in bytes: the contract's 64 KiB.
pub const WIRE_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a payload, counted in open containers: no request needs more than 8.
pub const WIRE_DEPTH_MAX: usize = 16;
/// Shortest idempotency key in bytes: shorter keys collide within a device's day.
pub const REQUEST_ID_BYTES_MIN: usize = 8;
/// Longest idempotency key in bytes: a UUID with a prefix fits.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest device, store, promotion or other contract id in bytes.
pub const ID_BYTES_MAX: usize = 32;
/// Longest name in bytes that is not part of a topic: skus, promotions, members, codes.
pub const NAME_BYTES_MAX: usize = 64;
/// Days for which a committed answer is given again: 5 weeks, longer than the longest outage we promise (30 days).
pub const REPLAY_DAYS_MIN: i64 = 35;
/// Answers to reads (scan, quote, wallet) kept in memory for replay.
pub const READ_REPLAYS_MAX: usize = 16_384;

// --- the shop (domain) ---

/// Lines of one basket: ten times a full trolley.
pub const BASKET_LINES_MAX: usize = 500;
/// Units of one line.
pub const LINE_UNITS_MAX: u32 = 2_000;
/// Units of one basket: each has a frozen share of the receipt.
pub const BASKET_UNITS_MAX: u32 = 5_000;
/// Grams of one weighed line: a tonne.
pub const LINE_GRAMS_MAX: u32 = 1_000_000;
/// Price of one unit in minor units: a billion yuan, so that no sum of a basket can overflow.
pub const UNIT_PRICE_MINOR_MAX: i64 = 100_000_000_000;
/// Coupon codes presented with one basket.
pub const BASKET_COUPONS_MAX: usize = 32;
/// Claims, tenders or gift cards of one basket, each.
pub const BASKET_CLAIMS_MAX: usize = 16;
/// Points of one member: the same bound as money, for the same reason.
pub const POINTS_MAX: i64 = 1_000_000_000_000;
/// Points movements of one member not yet settled by head office; older ones are folded into one.
pub const MEMBER_OPEN_POINTS_MAX: usize = 64;
/// Promotions whose use is counted per member: the least recently used leave first.
pub const MEMBER_USAGE_MAX: usize = 256;
/// Tags, groups and coupons held by one member, each.
pub const MEMBER_TAGS_MAX: usize = 64;

// --- prices (pricing) ---

/// Promotions reported as not applied with one basket, closest first: more than a till or a person reads.
pub const NOT_APPLIED_MAX: usize = 64;
/// Smallest additions that would pay, reported with one basket.
pub const NEAR_MAX: usize = 3;
/// Additions checked by pricing the whole basket again, so that a quote's work stays bounded.
pub const NEAR_TRIES_MAX: usize = 4;
/// Tiers of one spend-and-save.
pub const SPEND_TIERS_MAX: usize = 32;
/// Nesting of conditions, audiences and excluded sets of one promotion.
pub const RULE_DEPTH_MAX: usize = 8;

// --- the journal (storage) ---

/// Decisions in one durable group: enough to amortise a sync, few enough that a group never takes long.
pub const GROUP_DECISIONS_MAX: usize = 256;
/// Decisions waiting for the commit thread; full means 503, not a hang.
pub const COMMIT_QUEUE_MAX: usize = 1_024;
/// Bytes of one journal frame's payload: a decision with its whole input is below 64 KiB twice over.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes after which a journal segment is closed and the next begun.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Decisions the tables may be behind the journal.
pub const TABLES_BEHIND_DECISIONS_MAX: usize = 4_096;

const _: () = assert!(FRAME_PAYLOAD_BYTES_MAX >= 2 * WIRE_PAYLOAD_BYTES_MAX);
const _: () = assert!(COMMIT_QUEUE_MAX >= GROUP_DECISIONS_MAX);
const _: () = assert!(TABLES_BEHIND_DECISIONS_MAX >= 2 * COMMIT_QUEUE_MAX);
const _: () = assert!(UNIT_PRICE_MINOR_MAX <= i64::MAX / 16 / BASKET_UNITS_MAX as i64);
const _: () = assert!(LINE_UNITS_MAX <= BASKET_UNITS_MAX);
