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

// --- head office (upstream, hub) ---

/// Journal entries of one batch: one ack per batch is then noise beside the entries.
pub const UPSTREAM_BATCH_ENTRIES_MAX: usize = 200;
/// Bytes of one batch after compression, unless it holds a single entry: a lost batch costs little on a thin line.
pub const UPSTREAM_BATCH_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one batch before compression: what a hostile or careless batch may make head office allocate.
pub const UPSTREAM_BATCH_RAW_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Milliseconds a decision waits for company before its batch leaves.
pub const UPSTREAM_BATCH_WAIT_MS: u64 = 1_000;
/// Batches sent and not yet answered: enough to fill a line of 100 ms and 10 Mbit/s, few enough to forget and resend.
pub const UPSTREAM_WINDOW_BATCHES: usize = 8;
/// Largest frame in bytes either way: one entry that does not compress, in its envelope.
pub const UPSTREAM_FRAME_BYTES_MAX: usize = 384 * 1024;
/// Largest MQTT packet in bytes on the line to head office: a frame, its topic, and the two properties a broker adds.
pub const UPSTREAM_PACKET_BYTES_MAX: usize = UPSTREAM_FRAME_BYTES_MAX + 4 * 1024;
/// Milliseconds without progress after which unanswered batches are sent again.
pub const UPSTREAM_ACK_WAIT_MS: u64 = 15_000;
/// Milliseconds head office has to answer a hello.
pub const UPSTREAM_STATE_WAIT_MS: u64 = 10_000;
/// Milliseconds between hellos on a quiet line: head office sees the shop, the shop sees that somebody answers.
pub const UPSTREAM_HELLO_EVERY_MS: u64 = 60_000;
/// Times a batch is sent without an answer before its entries go one by one.
pub const UPSTREAM_TRIES_TOGETHER_MAX: u32 = 3;
/// Times in a row that waiting for an answer ends in vain before the connection is given up.
pub const UPSTREAM_TIMEOUTS_MAX: u32 = 2;
/// First upper bound in milliseconds of the jittered wait before connecting to head office again.
pub const UPSTREAM_BACKOFF_MS_MIN: u64 = 1_000;
/// Last upper bound in milliseconds: five minutes, so that 5,000 shops do not return in the same second.
pub const UPSTREAM_BACKOFF_MS_MAX: u64 = 300_000;
/// Parked entries named in one ack and kept in the parking file; more than these want a human anyway.
pub const UPSTREAM_PARKED_MAX: usize = 1_024;
/// Marks (position, time) from which the age of the oldest unsent entry is told; beyond it every second one goes.
pub const UPSTREAM_AGE_MARKS_MAX: usize = 64;
/// Bytes of one piece of a bundle.
pub const UPSTREAM_CHUNK_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a bundle that is downloaded at all.
pub const UPSTREAM_BUNDLE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Milliseconds after which a piece of a bundle is asked for again.
pub const UPSTREAM_CHUNK_WAIT_MS: u64 = 10_000;
/// Milliseconds before a bundle is fetched again that arrived broken.
pub const UPSTREAM_BUNDLE_RETRY_MS: u64 = 300_000;
/// Members in one update from head office.
pub const UPSTREAM_MEMBERS_MAX: usize = 200;
/// Tokens of one member in an update.
pub const UPSTREAM_TOKENS_MAX: usize = 16;
/// Bytes of a program version in a hello.
pub const UPSTREAM_PROGRAM_BYTES_MAX: usize = 64;
/// Milliseconds by which the shop's and head office's clocks may differ before it is said.
pub const UPSTREAM_CLOCK_OFF_MS_MAX: u64 = 300_000;
/// Milliseconds between looks at the parking file, and between writes of the state file.
pub const UPSTREAM_FILES_EVERY_MS: u64 = 1_000;
/// Milliseconds after which a journal that could not be read is tried again.
pub const UPSTREAM_READ_RETRY_MS: u64 = 5_000;
/// Publishes of the shop that head office's broker has not acknowledged: the window, and room for a hello and a get.
pub const UPSTREAM_INFLIGHT_MAX: u16 = 16;
/// Happenings between the line's task and the sender; full means the line is not read for a moment.
pub const UPSTREAM_EVENTS_MAX: usize = 64;
/// Seconds between pings to head office.
pub const UPSTREAM_KEEP_ALIVE_S: u64 = 30;
/// Seconds to look up, connect and be accepted.
pub const UPSTREAM_CONNECT_S_MAX: u64 = 10;
/// Shops that one reference head office serves.
pub const HUB_STORES_MAX: usize = 8_192;
/// Lives of one shop's box that head office tells apart.
pub const HUB_EPOCHS_MAX: usize = 64;
/// Frames waiting for head office's writer; full means the line is not read for a moment.
pub const HUB_QUEUE_MAX: usize = 256;
/// Frames that one sync of head office covers.
pub const HUB_GROUP_MAX: usize = 64;
/// Milliseconds head office waits for more before it tells a shop its members' settled points.
pub const HUB_MEMBERS_WAIT_MS: u64 = 2_000;
/// Milliseconds between head office's backups, where it has one.
pub const HUB_BACKUP_EVERY_MS: u64 = 5_000;
/// Milliseconds head office may take to start, and to stop.
pub const HUB_START_STOP_MS_MAX: u64 = 10_000;
/// Conflicting entries kept per shop for a human; more are only counted.
pub const HUB_QUARANTINE_MAX: usize = 10_000;

const _: () = assert!(UPSTREAM_FRAME_BYTES_MAX >= FRAME_PAYLOAD_BYTES_MAX + 64 * 1024);
const _: () = assert!(UPSTREAM_BATCH_RAW_BYTES_MAX >= FRAME_PAYLOAD_BYTES_MAX + 64);
const _: () = assert!(UPSTREAM_INFLIGHT_MAX as usize > UPSTREAM_WINDOW_BATCHES);
const _: () = assert!(UPSTREAM_CHUNK_BYTES_MAX + 1_024 < UPSTREAM_FRAME_BYTES_MAX);
const _: () = assert!(UPSTREAM_BACKOFF_MS_MIN < UPSTREAM_BACKOFF_MS_MAX);
