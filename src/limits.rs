//! Every bound in aisled: name, unit, reason. A queue, cache, loop, message or file without a line here does not exist.
//!
//! Names put the unit last. Relations between bounds are const assertions at the end, so that a change that
//! breaks one does not compile.

use std::num::NonZeroU32;

// --- the wire (devices) ---

/// Largest request or reply payload in bytes: the contract's 64 KiB.
pub const WIRE_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a payload, counted in open containers: no request needs more than 8.
pub const WIRE_DEPTH_MAX: usize = 16;
/// Values (objects, lists, texts, numbers) in one payload: the largest commit with what the till charged has some 5,000.
/// Bounds the memory of reading one message to about 5 MiB, whatever its bytes are.
pub const WIRE_VALUES_MAX: usize = 16_384;
/// Bytes first reserved for a reply: a quote of 10 lines fits.
pub const WIRE_REPLY_BYTES_USUAL: usize = 4 * 1024;
/// Bytes of a problem's detail: a sentence or two with a path.
pub const DETAIL_BYTES_MAX: usize = 1_024;
/// Bytes of a sender's own key that a problem's detail repeats: enough to recognise a misspelt field.
pub const DETAIL_KEY_BYTES_MAX: usize = 48;
/// Bytes of a token's value: the longest QR code a member app shows.
pub const TOKEN_BYTES_MAX: usize = 128;
/// Fewest digits of a phone number: without a bound, every number typed as "-" would be one and the same member.
pub const PHONE_DIGITS_MIN: usize = 5;
/// Most digits of a phone number: E.164's 15 with a trunk or access prefix.
pub const PHONE_DIGITS_MAX: usize = 20;
/// Bytes of a locale such as `zh-Hans-CN`: BCP 47's recommended buffer.
pub const LOCALE_BYTES_MAX: usize = 35;
/// Bytes of a written time: RFC 3339 with nanoseconds and an offset.
pub const TIME_BYTES_MAX: usize = 35;
/// Bytes of a shopper's own words: a thousand Chinese characters and some.
pub const FEEDBACK_TEXT_BYTES_MAX: usize = 4_096;
/// Highest score of a feedback.
pub const FEEDBACK_SCORE_MAX: u8 = 10;
/// Highest number of a transaction within a day: what a JSON number holds exactly in every language (2^53 - 1).
pub const TRANSACTION_SEQ_MAX: i64 = 9_007_199_254_740_991;
/// Times one reward may be claimed with one basket.
pub const CLAIM_TIMES_MAX: u32 = 100;
/// Bytes of the name and version of a device's software in its presence.
pub const SOFTWARE_BYTES_MAX: usize = 64;
/// Shortest idempotency key in bytes: shorter keys collide within a device's day.
pub const REQUEST_ID_BYTES_MIN: usize = 8;
/// Longest idempotency key in bytes: a UUID with a prefix fits.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest device, store, promotion or other contract id in bytes.
pub const ID_BYTES_MAX: usize = 32;
/// Longest name in bytes that is not part of a topic: skus, promotions, members, codes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest code in bytes: a partner's voucher with its signature and the longest promotion id has 240.
pub const CODE_BYTES_MAX: usize = 240;
/// Days for which a committed answer is given again: 5 weeks, longer than the longest outage we promise (30 days).
pub const REPLAY_DAYS_MIN: i64 = 35;
/// Answers to reads (scan, quote, wallet) kept in memory for replay.
pub const READ_REPLAYS_MAX: usize = 1_024;
/// Bytes of those answers that are kept as such: a thousand scans at 2 KiB. A quote's answer is found again from the quote.
pub const READ_REPLAYS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Open quotes of one device: parked baskets of a busy till and its repricing.
pub const DEVICE_QUOTES_MAX: usize = 64;
/// Bytes first reserved for an open quote: ten lines fit.
pub const OPEN_QUOTE_BYTES_USUAL: usize = 1_024;
/// Open quotes of the shop.
pub const OPEN_QUOTES_MAX: usize = 4_096;
/// Bytes of all open quotes: as many as there may be, at 2 KiB each; baskets of hundreds of lines are fewer.
pub const OPEN_QUOTES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests remembered for having failed inside.
pub const PANICS_REMEMBERED_MAX: usize = 64;
/// Commands waiting for the daemon's loop, from the control socket and head office.
pub const COMMANDS_MAX: usize = 64;
/// Milliseconds between two looks at the bundle inbox, the watchdog and expired quotes.
pub const TICK_MS: u64 = 1_000;
/// Milliseconds a stop waits for what is decided to become durable and be spoken.
pub const STOP_MS_MAX: u64 = 5_000;
/// Days the tables keep a sale: longer than anything comes back, and two business years overlap.
pub const SALE_DAYS: u32 = 400;
/// Days after which what was learned of a member who does not come any more goes: three years, as long as a claim from a
/// purchase may be made in most of the chain's law.
pub const PROFILE_IDLE_DAYS: u32 = 1_095;
/// Weeks the tables remember having lived: more than ten years, the most that can be configured.
pub const LIVED_WEEKS_MAX: usize = 530;
/// Milliseconds that counting who is in which segment may take: a million members on a slow disk.
pub const SEGMENTS_MS_MAX: u64 = 120_000;
/// Members of a segment named in one answer.
pub const SEGMENT_MEMBERS_TOLD_MAX: usize = 100_000;
/// Bytes of one line on the control socket.
pub const CONTROL_LINE_BYTES_MAX: usize = 2 * WIRE_PAYLOAD_BYTES_MAX;
/// Rounds of loading facts before a decision: request, owner, sale, its decision, its member.
pub const FACT_ROUNDS_MAX: usize = 8;
/// Offers shown at a scan.
pub const SCAN_OFFERS_MAX: usize = 12;
/// Offers that are looked at for that where some of them are held back, capped or ranked.
pub const SCAN_OFFERS_LOOKED_AT_MAX: usize = 64;
/// Suggestions shown at a scan.
pub const SCAN_SUGGESTIONS_MAX: usize = 8;
/// Care messages shown at a scan.
pub const SCAN_CARE_MAX: usize = 4;
/// Coupons in one member's wallet: the oldest leave first.
pub const MEMBER_COUPONS_MAX: usize = 64;

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
/// A sum a shopper pays, in minor units: the dearest basket there may be.
pub const AMOUNT_MINOR_MAX: i64 = UNIT_PRICE_MINOR_MAX * BASKET_UNITS_MAX as i64;
/// Coupon codes presented with one basket: ten times what shop systems take (Shopify: 25), and each is one look-up.
pub const BASKET_COUPONS_MAX: usize = 256;
/// Claims, tenders or gift cards of one basket, each.
pub const BASKET_CLAIMS_MAX: usize = 16;
/// Gift articles that a till says it cannot hand out, with one basket.
pub const GIFTS_GONE_MAX: usize = 64;
/// Points of one member: the same bound as money, for the same reason.
pub const POINTS_MAX: i64 = 1_000_000_000_000;
/// Points movements of one member not yet settled by head office; older ones are folded into one.
pub const MEMBER_OPEN_POINTS_MAX: usize = 64;
/// Promotions whose use is counted per member: the least recently used leave first.
pub const MEMBER_USAGE_MAX: usize = 256;
/// Tags, groups and coupons held by one member, each.
pub const MEMBER_TAGS_MAX: usize = 64;
/// Further tokens of one member linked in this shop: a card, a phone, a code of each application.
pub const MEMBER_LINKED_MAX: u8 = 16;

// --- what the shop learns of a member (domain, shopper) ---

/// Sales of one member kept one by one: a year and a quarter of weekly shopping, 2 KiB at six categories each.
pub const HISTORY_VISITS_MAX: usize = 64;
/// Days before those whose sums are kept: with them, the year of whoever comes every day.
pub const HISTORY_DAYS_MAX: usize = 320;
/// Categories kept of one sale, the dearest ones: a full trolley has 20.
pub const HISTORY_PARTS_MAX: usize = 12;
/// Categories kept of one member: what a household buys again and again. A place in them fits a byte.
pub const HISTORY_CATEGORIES_MAX: usize = 64;
/// Kinds of events counted for one member: the contract names five.
pub const HISTORY_KINDS_MAX: usize = 16;
/// Segments told as entered with one decision, and as left.
pub const HISTORY_MOVES_MAX: usize = 32;
/// Campaigns with caps whose showing is remembered of one member: of more, the one shown longest ago leaves.
pub const HISTORY_CAMPAIGNS_MAX: usize = 16;
/// Times that one campaign was shown to one member whose days are kept: a cap per week may be as high.
pub const HISTORY_SHOWN_MAX: usize = 16;
/// Days a mark set by a device may hold: two years.
pub const MARK_DAYS_MAX: u32 = 730;
/// Milliseconds by which a device's clock may be ahead of the box's for what it saw to be believed.
pub const EVENT_AHEAD_MS_MAX: i64 = 300_000;
/// Milliseconds after which what a device saw is told too late to be counted: as long as its request ids are kept.
pub const EVENT_LATE_MS_MAX: i64 = REPLAY_DAYS_MIN * 86_400_000;

const _: () = assert!(HISTORY_CATEGORIES_MAX <= u8::MAX as usize);
const _: () = assert!(HISTORY_PARTS_MAX <= HISTORY_CATEGORIES_MAX);

// --- prices (pricing) ---

/// Promotions reported as not applied with one basket, closest first: more than a till or a person reads.
pub const NOT_APPLIED_MAX: usize = 64;
/// Smallest additions that would pay, reported with one basket.
pub const NEAR_MAX: usize = 3;
/// Additions checked by pricing the whole basket again, so that a quote's work stays bounded.
pub const NEAR_TRIES_MAX: usize = 3;
/// Work spent on proving one basket's best combination, in steps of some tens of nanoseconds: most need a thousandth.
pub const BEST_STEPS_MAX: u32 = 400_000;
/// Steps of it that one addition of `near` may take, so that hints never cost more than the answer.
pub const BEST_NEAR_STEPS_MAX: u32 = 4_000;
/// Steps of that spent at the prices of before, which mostly end the search; then better prices are worked out.
pub const BEST_AGAIN_STEPS_MAX: u32 = 500;
/// Steps spent on finding, among equally good combinations, one of fewer promotions.
pub const BEST_TIES_MAX: u32 = 500;
/// Promotions of a sale in and out of which every choice is tried where groups are resolved differently: 64 tries.
pub const MIXED_FREE_MAX: usize = 6;
/// Choices tried one after the other where there are more.
pub const MIXED_TRIES_MAX: usize = 64;
/// Steps that pricing one whole combination counts.
pub const BEST_TRIAL_STEPS: u32 = 2_000;
/// Steps that one turn of the order phase counts.
pub const BEST_ORDER_STEPS: u32 = 20;
/// Ways to apply one promotion that are weighed against each other, and of all promotions of one basket.
pub const BEST_COLUMNS_OF_ONE_MAX: usize = 4_096;
/// Ways to apply all promotions of one basket.
pub const BEST_COLUMNS_MAX: usize = 16_384;
/// Sets of goods whose incomplete groups tighten the bound: a row of a dense matrix each.
pub const BEST_CUTS_MAX: usize = 64;
/// How often such sets are looked for, each time in a relaxed packing that holds those found before.
pub const BEST_CUT_ROUNDS_MAX: usize = 4;
/// Rounds of the simplex method: a part of a basket needs a few for each of its goods.
pub const BEST_ROUNDS_MAX: usize = 400;
/// Columns that a round of it looks at; all of them once these gain nothing more.
pub const BEST_INCLINED_MAX: usize = 24;
/// States remembered while one part is searched: 1 MiB.
pub const BEST_SEEN_MAX: usize = 65_536;
/// Losses of the units that are weighed one by one against a threshold of the order, in minor units.
pub const BEST_LOSS_MAX: usize = 4_096;
/// Applications that are swapped for others to lose just so much, and others for each.
pub const BEST_LOSS_ITEMS_MAX: usize = 64;
/// See there.
pub const BEST_SWAPS_MAX: usize = 8;
/// Packings that lose just so much and are priced.
pub const BEST_LOSS_TRIALS_MAX: usize = 4;
/// Combinations of order promotions whose thresholds are weighed against each other as functions of one amount.
pub const BEST_COMBINATIONS_MAX: usize = 4_096;
/// Steps of one order promotion that are weighed so: "every 50" on a basket of 3,200.
pub const BEST_CURVE_STEPS_MAX: i64 = 64;
/// Promotions on the order that the search weighs against each other; more are applied as they come.
pub const BEST_ORDERS_MAX: usize = 32;
/// Goods, wholes and bounds of one basket's packing: rows of a dense matrix, 8 MiB.
pub const BEST_RESOURCES_MAX: usize = 1_024;
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
/// Bytes up to which a decision is kept plain: compressing less saves little and costs time in the commit path.
pub const ENTRY_PLAIN_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one decision when unpacked: the largest basket with its quote and receipt is a fifth of it.
pub const ENTRY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines of a basket, or members of an update, up to which a decision always fits a frame: a tenth of what one holds.
pub const ENTRY_LINES_ALWAYS_FIT: usize = 64;
/// Members of one decision: larger updates of head office are taken in parts.
pub const MEMBERS_DECISION_MAX: usize = 16;
/// Milliseconds the tables wait for more decisions before they follow.
pub const TABLES_FOLLOW_MS: u64 = 250;
/// Decisions that make the tables follow at once.
pub const TABLES_BATCH_DECISIONS: usize = 2_048;
/// Decisions of one transaction of the tables: sled frees the pages that a transaction replaces only when it is over.
pub const TABLES_TRANSACTION_DECISIONS: usize = 128;
/// Records a bundle's members are brought into the tables with, at a time.
pub const IMPORT_BATCH_RECORDS: usize = 8_192;
/// Damaged tables set aside that are kept, the newest ones: to be looked at by whoever wonders why.
pub const DAMAGED_TABLES_KEPT: usize = 2;
/// Milliseconds that count between two decisions, at most, for the age of a request: a clock that jumps ahead is a day
/// ahead, while nights and Sundays count in full.
pub const REQUEST_AGE_STEP_MS_MAX: i64 = 86_400_000;
/// Newest decisions whose requests are never forgotten, whatever clocks say: some days of the busiest shop.
pub const REQUESTS_KEPT_MIN: u64 = 65_536;
/// Request records looked at for their age with each batch of the tables.
pub const SWEEP_RECORDS: usize = 512;
/// Bytes of sled's page cache. It counts bytes as written and holds two to three times as many; what is asked for often
/// is little, and what is not comes from the system's own cache.
pub const SLED_CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes first reserved for a record of the tables: a sale or a request fits.
pub const RECORD_BYTES_USUAL: usize = 128;
/// Records of the tables kept decoded: a busy hour's members with what pricing reads of them, at some 2 KiB each 8 MiB.
pub const READ_CACHE_RECORDS_MAX: usize = 4_096;
/// Bytes of one record of the tables: sled keeps larger ones in files it does not sync.
pub const RECORD_BYTES_MAX: usize = 60 * 1024;
/// Bytes after which a journal segment is closed and the next begun.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of zeros a segment is filled ahead of its end, so that most syncs change no file length (journal.rs has the ratio).
pub const SEGMENT_AHEAD_BYTES: u64 = 256 * 1024;
/// Bytes between two remembered (sequence number, offset) marks of a segment: a look-up walks at most this far.
pub const SEGMENT_MARK_BYTES: u64 = 1024 * 1024;
/// Bytes read at once while a segment is scanned: four of the largest frames.
pub const SCAN_WINDOW_BYTES: usize = 4 * FRAME_PAYLOAD_BYTES_MAX;
/// Sequence numbers skipped when a damaged end hides how many were given out. Every decision takes at least its 4-byte
/// length, so no segment can hold more than this.
pub const SEQ_SKIP: u64 = SEGMENT_BYTES_MAX / 4;
/// Bytes that must be free to start with the tables: what journal and tables take at once when they are opened, twice
/// over. With less, sled fails half-way and looks damaged.
pub const START_ROOM_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that must be free to start at all to write: what the journal takes at once, four times over.
pub const JOURNAL_ROOM_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of the ballast: a month of sales in the journal, at some 500 bytes each.
pub const BALLAST_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes free below which the ballast goes: what a busy minute and a bundle's arrival take, before anyone looks again.
pub const BALLAST_DROP_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that must be free beside the ballast for the tables to come back to the disk.
pub const TABLES_ROOM_BYTES: u64 = 16 * 1024 * 1024;
/// Decisions the tables may be behind the journal.
pub const TABLES_BEHIND_DECISIONS_MAX: usize = 4_096;

/// Decisions between two checkpoints of the tables: a rebuild reads at most twice as many from the journal, in a
/// second.
pub const CHECKPOINT_EVERY_DECISIONS: u64 = 8_192;
/// So many times as late a checkpoint may be while sales come faster than the tables take them: it copies all tables, and
/// they fall behind meanwhile. A rebuild then reads at most twice so many, two months of sales, in ten seconds.
pub const CHECKPOINT_LATE_TIMES: u64 = 8;
/// Checkpoints kept: should the newest rot, the one before it does, and the journal is kept from that one on.
pub const CHECKPOINTS_KEPT: usize = 2;
/// Bytes of records packed together in a checkpoint: enough for the compressor, little to hold.
pub const CHECKPOINT_BLOCK_BYTES: usize = 256 * 1024;
/// Bytes one block of a checkpoint may hold when unpacked: a block, or one record larger than that.
pub const CHECKPOINT_RECORD_BYTES_MAX: usize = 4 * CHECKPOINT_BLOCK_BYTES;
/// How hard a checkpoint is compressed: the fastest, for it is written beside the sales.
pub const CHECKPOINT_ZSTD_LEVEL: i32 = 1;
/// Bytes of a checkpoint between two syncs: what the journal's own sync may have to wait for.
pub const CHECKPOINT_SYNC_BYTES: u64 = 1024 * 1024;

/// Bytes of the tables on the disk below which they are not copied to give room back: sled begins with several.
pub const TABLES_FLOOR_BYTES: u64 = 32 * 1024 * 1024;
/// How many times what they hold the tables may take on the disk before they are copied: sled's usual is 4 to 6.
pub const TABLES_RATIO_MAX: u64 = 8;
/// Bytes that sled needs for a record beside its key and value: its share of a page's head.
pub const TABLES_RECORD_OVERHEAD_BYTES: u64 = 16;
/// Bytes the tables may take in memory where sled cannot open: a shop of some 300,000 members and a month of sales.
pub const MEMORY_TABLES_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes counted for a record in memory beside its key and value.
pub const MEMORY_RECORD_OVERHEAD_BYTES: u64 = 96;
/// Milliseconds after which what is withheld may be asked for again: a disk does not become larger in seconds.
pub const DEGRADED_RETRY_MS: u32 = 60_000;
/// Ranges of lost decisions told in the status; a journal with more holes wants a human anyway.
pub const GAPS_TOLD_MAX: usize = 64;
/// Milliseconds after which the commit thread looks for upkeep when nothing is sold.
pub const UPKEEP_EVERY_MS: u64 = 1_000;

// --- configuration and checks ---

/// Bytes of aisled.toml and of the devices file, each: a thousand devices need a tenth of it.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Problems told of one aisled.toml; it has a tenth as many keys, so more is another kind of file.
pub const CONFIG_PROBLEMS_MAX: usize = 200;
/// Bytes of a secret in its file: any password or token, not a disk image.
pub const SECRET_BYTES_MAX: usize = 4 * 1024;
/// Tills and kiosks of one shop: ten times a hypermarket's.
pub const DEVICES_MAX: usize = 1_000;
/// Keys whose bundles are trusted at once: a current one, the next, and a few of a franchise.
pub const TRUSTED_KEYS_MAX: usize = 16;
/// Milliseconds that a check waits for a server to answer.
pub const CHECK_CONNECT_TIMEOUT_MS: u64 = 3_000;
/// Milliseconds that a check waits for a name to be looked up: a resolver of three servers asks each of them once in that time.
pub const CHECK_RESOLVE_TIMEOUT_MS: u64 = 5_000;
/// Days before its end at which a certificate that somebody must renew by hand is named: a month of somebody's holidays.
pub const CERTIFICATE_NOTICE_DAYS: i64 = 30;
/// Milliseconds that the clock may be behind the last decision: people correct minutes, batteries lose years.
pub const CHECK_CLOCK_BACK_MS: i64 = 300_000;
/// Addresses of one server that a check tries: with the wait above, at most 12 s.
pub const CHECK_ADDRESSES_MAX: usize = 4;
/// A wall clock before this (2026-01-01T00:00:00Z) was never set: this program is younger.
pub const CLOCK_UNIX_MS_MIN: i64 = 1_767_225_600_000;
/// A wall clock after this (2100-01-01T00:00:00Z) is wrong: no box lives so long.
pub const CLOCK_UNIX_MS_MAX: i64 = 4_102_444_800_000;

const _: () = assert!(CLOCK_UNIX_MS_MIN < CLOCK_UNIX_MS_MAX);
// --- the bundle ---

/// Longest predicate of a segment in bytes: a page of text; longer ones are lists that belong into a tag.
pub const PREDICATE_BYTES_MAX: usize = 4_096;
/// Deepest nesting of a predicate in parentheses and `!`: people lose count at five.
pub const PREDICATE_DEPTH_MAX: usize = 32;
/// Segments of one bundle: all of them are asked at once at every scan, from bitmaps, some 50 microseconds of so many.
pub const BUNDLE_SEGMENTS_MAX: usize = 100_000;
/// Conjunctions that one segment is taken apart into; a longer form is interpreted.
pub const SEGMENT_CLAUSES_MAX: usize = 32;
/// Conjunctions beyond the first of each segment, of all segments; what needs more is interpreted.
pub const SEGMENT_COLUMNS_MAX: usize = BUNDLE_SEGMENTS_MAX;
/// Rows of bits that one field's values are told apart by: 64 of 100,000 segments are 800 KB.
pub const SEGMENT_ROWS_MAX: usize = 64;
/// Bytes of one file of an authoring folder: members of a large chain as JSON.
pub const AUTHORING_FILE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Deepest nesting of an authoring file: an audience of audiences of audiences needs 12.
pub const AUTHORING_DEPTH_MAX: usize = 32;
/// Findings reported for one folder; a folder with more is not of the right kind.
pub const AUTHORING_FINDINGS_MAX: usize = 500;
/// Bytes of a packed bundle: a million members at about 100 bytes each, twice over.
pub const BUNDLE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of the rules section once unpacked: 50,000 articles and 10,000 promotions at about 1 KiB.
pub const BUNDLE_RULES_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of the members or codes section once unpacked: a million members at 1 KiB.
pub const BUNDLE_RECORDS_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Members or codes of one bundle, each.
pub const BUNDLE_RECORDS_MAX: u64 = 4_000_000;
/// Bytes of one member or code once unpacked: it must fit the tables' values.
pub const BUNDLE_RECORD_BYTES_MAX: usize = 32 * 1024;
/// Unpacked bytes a packed byte may become: real members reach 12, made-up ones that differ in their number only some
/// hundreds, repeated zeros 10,000 and more.
pub const BUNDLE_RATIO_MAX: u64 = 1_000;
/// Unpacked bytes below which the ratio is not looked at: small sections are all header.
pub const BUNDLE_RATIO_FLOOR_BYTES: u64 = 1024 * 1024;
/// Binary logarithm of the window a packed section may ask of its reader: 4 MiB of memory.
pub const BUNDLE_WINDOW_LOG_MAX: u32 = 22;
/// Shortest and longest time in seconds a quote is honoured.
pub const QUOTE_SECONDS_MIN: u32 = 10;
/// See `QUOTE_SECONDS_MIN`.
pub const QUOTE_SECONDS_MAX: u32 = 3_600;

const _: () = assert!(PREDICATE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(TABLES_ROOM_BYTES > BALLAST_DROP_BYTES);
const _: () =
    assert!(JOURNAL_ROOM_BYTES as u64 >= 4 * (SEGMENT_AHEAD_BYTES + FRAME_PAYLOAD_BYTES_MAX as u64));
const _: () = assert!(CHECKPOINT_RECORD_BYTES_MAX >= 2 * RECORD_BYTES_MAX);
const _: () = assert!(BUNDLE_RULES_BYTES_MAX <= BUNDLE_BYTES_MAX);
const _: () = assert!(FRAME_PAYLOAD_BYTES_MAX >= 2 * WIRE_PAYLOAD_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MAX >= 4 * FRAME_PAYLOAD_BYTES_MAX as u64);
const _: () = assert!(SEGMENT_AHEAD_BYTES <= SEGMENT_BYTES_MAX);
const _: () = assert!(TABLES_BATCH_DECISIONS <= TABLES_BEHIND_DECISIONS_MAX / 2);
const _: () = assert!(COMMIT_QUEUE_MAX >= GROUP_DECISIONS_MAX);
const _: () = assert!(TABLES_BEHIND_DECISIONS_MAX >= 2 * COMMIT_QUEUE_MAX);
const _: () = assert!(UNIT_PRICE_MINOR_MAX <= i64::MAX / 16 / BASKET_UNITS_MAX as i64);
const _: () = assert!(LINE_UNITS_MAX <= BASKET_UNITS_MAX);

// --- the lab (shopper, cli) ---

/// Customers of one analysed file: the largest shop we know has 200,000 members, and a million's totals are some 150 MiB.
pub const LAB_CUSTOMERS_MAX: usize = 1_000_000;
/// Faults of a file that are told one by one; the rest are counted.
pub const LAB_FAULTS_LISTED_MAX: usize = 100;
/// Customers that the models of customer value are fitted to, at least: fewer than three for each parameter fit anything.
pub const LAB_FIT_CUSTOMERS_MIN: usize = 12;
/// Customers or rules that a table lists; the JSON object has all.
pub const LAB_LISTED_MAX: usize = 10;
/// Baskets of one analysed file: two years of the busiest shop.
pub const LAB_BASKETS_MAX: usize = 4_000_000;
/// Items in all of them: 200 MiB as numbers.
pub const LAB_BASKET_ENTRIES_MAX: usize = 50_000_000;
/// Different items of one analysed file: three times the largest assortment we know.
pub const LAB_ITEMS_MAX: usize = 100_000;
/// Bytes of one basket as a line: the largest basket there may be, with names of some words.
pub const LAB_LINE_BYTES_MAX: usize = 64 * 1024;
/// Frequent sets of items held at a time: some 100 MiB; more is a support nobody can read the rules of.
pub const LAB_ITEMSETS_MAX: usize = 4_000_000;
/// Rules found at a time: some 150 MiB.
pub const LAB_RULES_MAX: usize = 1_000_000;
/// Items of one rule: what arules looks for where nothing is said.
pub const LAB_RULE_ITEMS_MAX: usize = 10;
/// Bytes of one name in an analysed file: a customer, an item. Longer ones are two columns in one.
pub const LAB_NAME_BYTES_MAX: usize = 256;

// --- response and uplift (shopper) ---

/// Bins of a column for trees: finer cuts of a few thousand rows follow chance. A missing value's bin is beside them.
pub const TREES_BINS_MAX: usize = 64;
/// Rows whose values decide where bins end: quantiles of more are the same to within half a bin.
pub const TREES_CUT_ROWS_MAX: usize = 50_000;
/// Steps of Newton's method: it ends after five to ten wherever it ends.
pub const RESPONSE_NEWTON_STEPS_MAX: usize = 40;
/// Rows of either outcome at least to learn from: a row of each for every fold, twice.
pub const RESPONSE_CLASS_ROWS_MIN: usize = 10;
/// Folds of the rows to learn from.
pub const RESPONSE_FOLDS: usize = 5;
/// Penalties tried, in rows' worth of log-likelihood: from nearly none to one that leaves a hint of each column.
pub const RESPONSE_RIDGES: [f64; 7] = [1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0];
/// Penalty of a model that a box fits by itself, in rows' worth: what was chosen most often on real campaigns.
pub const RESPONSE_RIDGE_USUAL: f64 = 100.0;
/// Numbers of one shopper that a model may read.
pub const RESPONSE_FEATURES_MAX: usize = 256;
/// Depths of trees tried: two questions see pairs of columns, three are the most that thousands of rows carry.
pub const RESPONSE_DEPTHS: [u32; 2] = [2, 3];
/// Trees at most: with steps of 0.03 the best number for thousands of rows is below half of it.
pub const RESPONSE_TREES_MAX: usize = 400;
/// Shares of the trees in the average, the preferred first: two different learners together are rarely worse than one.
pub const RESPONSE_SHARES: [f64; 4] = [0.25, 0.5, 0.75, 0.0];
/// Members that scales are worked out from: all of a very large shop.
pub const SCALES_MEMBERS_MAX: usize = 200_000;
/// Histories that a lifetime model is fitted on first where there are twice as many: some seconds of one core.
pub const VALUE_FIRST_LOOK: usize = 5_000;
/// Rows of each kind, responded or not, that must be named to choose by for folds not to be looked at as well.
pub const RESPONSE_JUDGED_MIN: usize = 30;
/// How firmly a calibration's slope is held at 1, in rows.
pub const RESPONSE_CALIBRATION_HOLD: f64 = 10.0;
/// Rows of either arm at least to learn a difference from: a leaf of the trees in every fold.
pub const UPLIFT_ARM_ROWS_MIN: usize = 50;
/// Folds among which a learner of differences is chosen.
pub const UPLIFT_FOLDS: usize = 3;
/// Rows among which it is chosen: more say little more, and each costs six learners three times.
pub const UPLIFT_CHOICE_ROWS_MAX: usize = 30_000;
/// Trees of such a learner: with steps of 0.05 enough for what little there is to learn.
pub const UPLIFT_TREES: usize = 80;
/// Penalty of its linear regressions, by row.
pub const UPLIFT_RIDGE: f64 = 0.05;
/// Penalty of its logistic regressions.
pub const UPLIFT_LOGISTIC_RIDGE: f64 = 100.0;
/// Random splits of one analysis at most.
pub const UPLIFT_SPLITS_MAX: u32 = 1_000;
/// Points of a Qini curve that are reported: every twentieth of the rows.
pub const UPLIFT_CURVE_POINTS: u32 = 20;
/// Numbers of one analysed file: 400 MB, a hundred columns of half a million rows.
pub const LAB_CELLS_MAX: usize = 50_000_000;
/// Part of the rows that may be the same as another before it is told.
pub const LAB_DUPLICATES_TOLD: f64 = 0.5;
/// Intervals between purchases whose median is a category's usual one: a year of a shop's milk.
pub const REPURCHASE_INTERVALS_MAX: usize = 2_000_000;
/// Groups that members are put into: more than a person can name.
pub const GROUPS_MAX: usize = 32;
/// Features that groups are made of.
pub const GROUP_FEATURES_MAX: usize = 32;
/// Rounds until groups have settled; most take a tenth.
pub const GROUP_ROUNDS_MAX: usize = 200;

// --- experiments (shopper) ---

/// Experiments of one chain at a time.
pub const EXPERIMENTS_MAX: usize = 256;
/// Arms of one experiment: more than these leave too few members for each.
pub const EXPERIMENT_ARMS_MAX: usize = 16;
/// Chance of ever showing an effect that is not there, over all looks at an experiment.
pub const EXPERIMENT_ALPHA: f64 = 0.05;
/// The smallest lift worth knowing, where nobody says.
pub const EXPERIMENT_WORTH: f64 = 0.05;
/// How large lifts usually are: the spread of effects over which an interval is mixed.
pub const EXPERIMENT_USUAL_LIFT: f64 = 0.1;
/// Members of an arm at least before anything is said.
pub const EXPERIMENT_ARM_MEMBERS_MIN: u64 = 100;
/// Variance of a lift's logarithm up to which the normal approximation is believed: an error of a fifth, 50 buyers an arm.
pub const EXPERIMENT_VARIANCE_MAX: f64 = 0.04;
/// Days that are foretold at most: an experiment that needs longer than a year is another experiment.
pub const EXPERIMENT_DAYS_MAX: u32 = 400;
/// Days before at least: three of each weekday, and as many again to see how they spread.
pub const SEASONAL_DAYS_MIN: usize = 28;
/// Resemblance of neighbouring days at most: above it a trend would be told from it by nothing.
pub const SEASONAL_RHO_MAX: f64 = 0.9;
/// Days of one campaign at most whose results are told: longer ones are not a campaign but a price.
pub const RESULTS_DAYS_MAX: i64 = 400;
/// Days before a campaign that its days are compared with: eight of each weekday.
pub const RESULTS_BEFORE_DAYS: i64 = 56;
/// Days after it, or after a first use, in which coming again counts.
pub const RESULTS_AFTER_DAYS: i64 = 28;
/// Days from exposure in which what a member buys is the outcome.
pub const RESULTS_OUTCOME_DAYS: i64 = 14;
/// Members of one campaign who are told apart: some 30 MiB with ten days each.
pub const RESULTS_MEMBERS_MAX: usize = 50_000;
/// Sales of a journal whose campaigns are told: a year of a busy shop, some 300 MiB.
pub const RESULTS_SALES_MAX: usize = 1_000_000;
/// Pairs of a campaign and a member who was shown it: ten campaigns for as many members as one tells apart, some 50 MiB.
pub const RESULTS_SHOWN_MAX: usize = 10 * RESULTS_MEMBERS_MAX;
/// Median of what a simulated member spends who spends anything, in minor units.
pub const PEEKING_SPEND_MINOR: f64 = 3_000.0;
/// Members of all simulated campaigns together: some seconds.
pub const PEEKING_MEMBERS_MAX: u64 = 10_000_000_000;

// --- the console ---

/// Devices whose last requests are kept: the largest shop has some 200; 1 KiB each, copied once a second.
pub const LANES_MAX: usize = 200;
/// Requests of one device that are kept: what fits its lane on a page with fifty of them.
pub const LANE_LAST: usize = 3;
/// Durations of one device that are kept: enough for a slowest of a hundred.
pub const LANE_TIMES: usize = 128;
/// Seconds of one device whose answers are counted each: a minute.
pub const LANE_SECONDS: usize = 60;
/// Microseconds that split the durations of answers: around the 5 ms a quote and the 25 ms a commit should take.
pub const LATENCY_BOUNDS_US: [u32; 10] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];
/// Connections the console holds at once: a dozen people with a browser's six each.
pub const CONSOLE_CONNECTIONS_MAX: usize = 96;
/// Of them from one address, so that one machine cannot lock the others out.
pub const CONSOLE_CONNECTIONS_PER_ADDRESS_MAX: usize = 32;
/// Milliseconds for a request's head, and between two requests of a connection: beyond it the connection ends.
pub const CONSOLE_HEAD_MS_MAX: u64 = 5_000;
/// Milliseconds for a request's body: forms of a few hundred bytes.
pub const CONSOLE_BODY_MS_MAX: u64 = 5_000;
/// Milliseconds a connection lasts at most, live pages included: their browsers come back by themselves.
pub const CONSOLE_CONNECTION_MS_MAX: u64 = 600_000;
/// Milliseconds a browser has to say who it is under TLS.
pub const CONSOLE_HANDSHAKE_MS_MAX: u64 = 5_000;
/// Milliseconds between two looks at the files of the console's certificate: two stats.
pub const CONSOLE_CERTIFICATE_LOOK_MS: u64 = 1_000;
/// Bytes of a request's body: a basket of a hundred lines typed into the simulator.
pub const CONSOLE_BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a request's head that are buffered; hyper's least is 8 KiB.
pub const CONSOLE_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Requests of one address that are answered each second: a page and its assets are four.
pub const CONSOLE_REQUESTS_PER_S: u32 = 20;
/// Requests of one address that may come at once.
pub const CONSOLE_BURST_MAX: u32 = 60;
/// Milliseconds before a request beyond that is refused: with the connections of one address it bounds what refusing costs.
pub const CONSOLE_REFUSAL_DELAY_MS: u64 = 250;
/// Addresses and names whose pace or failures are remembered; the longest silent one leaves first.
pub const CONSOLE_PACED_MAX: usize = 1_024;
/// Pages that count or read the journal at once: one, so that a second core stays with the tills.
pub const CONSOLE_HEAVY_MAX: usize = 1;
/// Requests that wait for that place; more are told to come again.
pub const CONSOLE_HEAVY_WAITING_MAX: usize = 8;
/// Threads beside the console's own: one counts, one looks up, one proves passwords, one writes the audit log.
pub const CONSOLE_THREADS_MAX: usize = 4;
/// Milliseconds for which what was counted over the whole journal is shown again.
pub const CONSOLE_COUNTED_MS: i64 = 60_000;
/// Milliseconds for which it is shown while it is counted anew.
pub const CONSOLE_STALE_MS: i64 = 600_000;
/// Milliseconds a browser waits for a count before it is told to come again.
pub const CONSOLE_PATIENCE_MS: u64 = 3_000;
/// Seconds after which it does.
pub const CONSOLE_COME_AGAIN_S: i64 = 3;
/// Milliseconds for which the probes of the check are shown again.
pub const CONSOLE_CHECKED_MS: i64 = 10_000;
/// Live pages open at once: each costs a page a second.
pub const CONSOLE_STREAMS_MAX: usize = 24;
/// People who may sign in.
pub const CONSOLE_USERS_MAX: usize = 64;
/// Bytes of the file of users.
pub const CONSOLE_USERS_BYTES_MAX: usize = 64 * 1024;
/// Sessions at once: everybody with four browsers; the oldest leaves first.
pub const CONSOLE_SESSIONS_MAX: usize = 256;
/// Milliseconds a session lasts: a long shift.
pub const CONSOLE_SESSION_MS: i64 = 12 * 3_600_000;
/// Milliseconds after which a session nobody uses ends.
pub const CONSOLE_SESSION_IDLE_MS: i64 = 2 * 3_600_000;
/// Milliseconds a one-time code for the first sign-in is good for: until tomorrow's shift.
pub const CONSOLE_CODE_MS: i64 = 24 * 3_600_000;
/// Shortest password in characters, as NIST SP 800-63B asks of one that is throttled and chosen by its user, and two more.
pub const CONSOLE_PASSWORD_CHARS_MIN: usize = 10;
/// Longest password in bytes: any sentence.
pub const CONSOLE_PASSWORD_BYTES_MAX: usize = 256;
/// KiB of memory that proving a password takes (argon2id, RFC 9106; OWASP's least for two passes).
pub const CONSOLE_ARGON_KIB: u32 = 19_456;
/// Passes over that memory.
pub const CONSOLE_ARGON_PASSES: u32 = 2;
/// Wrong passwords, of an address or for a name, that cost no wait.
pub const CONSOLE_FAILURES_FREE: u32 = 5;
/// Milliseconds to wait after the next one; doubled with each further.
pub const CONSOLE_FAILURE_WAIT_MS: i64 = 2_000;
/// Milliseconds to wait at most; after as long without a failure all are forgiven.
pub const CONSOLE_FAILURE_WAIT_MS_MAX: i64 = 15 * 60_000;
/// Milliseconds in which refused sign-ins are counted for the audit log.
pub const CONSOLE_REFUSALS_AUDITED_MS: i64 = 3_600_000;
/// Of them, such that are written down: people who forget, not a machine that guesses; the log holds a week of that.
pub const CONSOLE_REFUSALS_AUDITED_MAX: u32 = 120;
/// Names beside its own address under which the console may be reached.
pub const CONSOLE_HOSTS_MAX: usize = 16;
/// Rows of a table on one page.
pub const CONSOLE_ROWS_MAX: usize = 50;
/// Lines of a basket that the simulator takes.
pub const CONSOLE_BASKET_LINES_MAX: usize = 100;
/// Members of a segment that a page names.
pub const CONSOLE_WHO_MAX: usize = 200;
/// Days whose sales are shown by weekday and hour: five whole weeks, the journal's least.
pub const CONSOLE_HOURS_DAYS: i64 = 35;
/// Sales the console reads for campaigns' results, some 60 MiB; with more, the verb of the shell reads them.
pub const CONSOLE_RESULTS_SALES_MAX: usize = 200_000;
/// Decisions at the journal's end that the latest ones are looked for in: most are asked for by devices.
pub const CONSOLE_RECENT_LOOK: u64 = 200;
/// How much the console's threads give way to the tills on a busy processor, where the supervisor allows it: a sixth.
pub const CONSOLE_NICE: i32 = 8;
/// Milliseconds between two tries to listen on an address that is taken.
pub const CONSOLE_LISTEN_AGAIN_MS: u64 = 10_000;
/// Milliseconds that head office may be away before health says so: an hour without it is nothing unusual.
pub const HEALTH_AWAY_MS: i64 = 3_600_000;
/// Milliseconds between two pictures of `status --watch`.
pub const WATCH_EVERY_MS: u64 = 1_000;
/// Files of the data directory whose sizes go into a bug report.
pub const BUGREPORT_FILES_MAX: usize = 2_000;
/// Lines of the log that go into a bug report: the last start and what came of it.
pub const BUGREPORT_LOG_LINES: usize = 2_000;
/// Words of one of those lines.
pub const BUGREPORT_LINE_WORDS: usize = 80;
const _: () = assert!(CONSOLE_HEAD_BYTES_MAX >= 8 * 1024);

// --- the broker and the link (devices) ---

/// Largest MQTT packet in bytes that broker and link carry: a payload beyond the contract's 64 KiB still reaches the
/// daemon, which answers 413; a device that sends more than this is disconnected.
pub const MQTT_PACKET_BYTES_MAX: usize = 256 * 1024;
/// Connections the embedded broker holds at once: the largest shop has some 200 devices.
pub const BROKER_CONNECTIONS_MAX: usize = 1_024;
/// Connections one device may hold at once: an application, its replacement while it restarts, and someone's debugger.
pub const CONNECTIONS_PER_DEVICE_MAX: u32 = 8;
/// Connections that have not said who they are: all devices of a shop that come at once, after a power cut. Silent strangers
/// cannot take the places of devices that are in.
pub const BROKER_STRANGERS_MAX: usize = 512;
/// Of these, connections from one address of the network.
pub const BROKER_STRANGERS_EACH_MAX: usize = 32;
/// Milliseconds for the TLS handshake, and again for the first byte behind it: a device's radio is slow, a slow-loris slower.
pub const GATE_PATIENCE_MS: u64 = 5_000;
/// Milliseconds from the first byte until the whole CONNECT is there and believed: below the broker crate's own 10 s.
pub const GATE_INTRODUCTION_MS: u64 = 8_000;
/// Milliseconds between two looks of what a gate has refused: each is named once in this time, then counted.
pub const COMPLAINTS_EVERY_MS: u64 = 60_000;
/// Different complaints that are named in that time; more share one count.
pub const COMPLAINTS_MAX: usize = 1_024;
/// Milliseconds before accepting again where the system gives no socket.
pub const ACCEPT_AGAIN_MS: u64 = 100;
/// Rounds of PBKDF2 on a device's password, 128 random bits: a connect costs a millisecond.
pub const DEVICE_HASH_ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not 0");
/// Rounds of a proof that is still read: a hand-made file cannot make each connect take seconds.
pub const DEVICE_HASH_ROUNDS_MAX: NonZeroU32 = NonZeroU32::new(100_000).expect("it is not 0");
/// Milliseconds an enrolment code is good for: the way from the office to the till.
pub const ENROL_CODE_MS: u64 = 15 * 60_000;
/// Wrong codes after which those that wait are thrown away: of 2^40 codes, nobody guesses one in so many tries.
pub const ENROL_TRIES_MAX: u32 = 20;
/// Codes that wait at once.
pub const ENROL_CODES_MAX: usize = 64;
/// Bytes of an enrolment request, head and body.
pub const ENROL_BYTES_MAX: usize = 4 * 1024;
/// Milliseconds the box's clock may be behind the signer's of its bundle before it is said to be wrong: a day.
pub const CLOCK_BEHIND_MS_MAX: i64 = 86_400_000;
/// Milliseconds the box's clock may be ahead of the newest thing it believes before it is doubted: no shop that keeps its rules
/// decides nothing for half a year.
pub const CLOCK_AHEAD_MS_MAX: i64 = 180 * 86_400_000;
/// Days within which a signed bundle may promise a newer one at most.
pub const BUNDLE_FRESH_DAYS_MAX: u32 = 3_650;
/// Days the shop's own authority lasts: longer than a box.
pub const AUTHORITY_DAYS: i64 = 20 * 365;
/// Days a server or device certificate lasts: what tablets still take (397).
pub const CERTIFICATE_DAYS: i64 = 397;
/// Days before its end at which the box gives itself a new certificate.
pub const CERTIFICATE_RENEW_DAYS: i64 = 60;
/// Names and addresses in the box's certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 32;
/// Bytes of a certificate or key file.
pub const PEM_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the audit log after which it goes on in a new file: some 20,000 acts.
pub const AUDIT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files of the audit log that are kept, the present one among them.
pub const AUDIT_FILES_MAX: usize = 8;
/// Bytes of one act in the audit log.
pub const AUDIT_LINE_BYTES_MAX: usize = 8 * 1024;
/// Seconds the embedded broker keeps the session of a device that went away: longer than a till needs to restart.
pub const BROKER_SESSION_EXPIRY_S_MAX: u64 = 3_600;
/// Messages the embedded broker queues for one session; beyond it the oldest goes (its sender has long retried).
pub const BROKER_QUEUED_MESSAGES_MAX: usize = 2_048;
/// Bytes the embedded broker queues for one session.
pub const BROKER_QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages on their way to one connection before its queue is used.
pub const BROKER_LANE_MESSAGES_MAX: usize = 1_024;
/// Retained messages of the embedded broker: a status for each device, and the daemon's.
pub const BROKER_RETAINED_MAX: usize = 2_048;
/// Bytes of one retained message: the discovery document is below 4 KiB.
pub const BROKER_RETAINED_BYTES_MAX: usize = 16 * 1024;
/// Subscriptions of one device: its replies, its events, the daemon's status, and room for a careless client.
pub const BROKER_SUBSCRIPTIONS_MAX: usize = 16;
/// Topic aliases a device may keep in the broker.
pub const BROKER_TOPIC_ALIASES_MAX: u16 = 16;
/// Users whose connects the broker counts; more share one count.
pub const PACED_USERS_MAX: usize = 2_048;
/// Connects of one user that cost nothing: a till restarting its programs, a script in a loop.
pub const CONNECT_BURST_MAX: u32 = 50;
/// Connects of one user forgotten each second: the pace that costs nothing for ever.
pub const CONNECTS_FORGIVEN_PER_S: u32 = 10;
/// Milliseconds by which each further connect is slower than the one before.
pub const CONNECT_DELAY_STEP_MS: u64 = 100;
/// Milliseconds a connect is slowed at most: below the 5 s after which clients give up.
pub const CONNECT_DELAY_MS_MAX: u64 = 4_000;
/// Milliseconds before a refused connect or publish is answered: a client that loops is held to two a second.
pub const REFUSAL_DELAY_MS: u64 = 500;
/// Milliseconds the broker may take to start, and to stop.
pub const BROKER_START_STOP_MS_MAX: u64 = 5_000;
/// Requests the daemon holds without having acknowledged them (MQTT 5's receive maximum): the broker keeps the rest.
pub const LINK_UNACKED_MAX: u16 = 512;
/// Publishes of the daemon that the broker has not acknowledged.
pub const LINK_INFLIGHT_MAX: u16 = 256;
/// Publishes and acknowledgements waiting for the link's socket; full means the caller is told, not blocked.
pub const LINK_QUEUE_MAX: usize = 2_048;
/// Seconds between the link's pings: a dead broker is noticed within twice this.
pub const LINK_KEEP_ALIVE_S: u64 = 5;
/// Seconds the link waits for a connect and its acknowledgement.
pub const LINK_CONNECT_S_MAX: u64 = 5;
/// Milliseconds between the daemon's last word and the end of its own broker: connections deliver what their lanes hold, and
/// have no way to say that they have.
pub const LINK_FAREWELL_MS: u64 = 100;
/// First upper bound in milliseconds of the link's jittered wait before it connects again.
pub const LINK_BACKOFF_MS_MIN: u64 = 100;
/// Last upper bound in milliseconds: the broker is in the shop, so being away longer than needed helps nobody.
pub const LINK_BACKOFF_MS_MAX: u64 = 10_000;

const _: () = assert!(MQTT_PACKET_BYTES_MAX >= 2 * WIRE_PAYLOAD_BYTES_MAX);
const _: () = assert!(LINK_QUEUE_MAX >= LINK_UNACKED_MAX as usize + LINK_INFLIGHT_MAX as usize);
const _: () = assert!(BROKER_QUEUED_MESSAGES_MAX > LINK_UNACKED_MAX as usize);
const _: () = assert!(BROKER_LANE_MESSAGES_MAX > LINK_UNACKED_MAX as usize);
const _: () = assert!(BROKER_RETAINED_MAX > BROKER_CONNECTIONS_MAX);
// A device that is slowed down is not cut off for it.
const _: () = assert!(GATE_INTRODUCTION_MS >= CONNECT_DELAY_MS_MAX + REFUSAL_DELAY_MS + 1_000);
const _: () = assert!(LINK_BACKOFF_MS_MIN < LINK_BACKOFF_MS_MAX);
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
/// Shops let in per second, the others told to come again: 5,000 that come at once are in within minutes, while their hellos
/// and what they have gathered stay below what their sales are in an ordinary second.
pub const HUB_ADMISSIONS_PER_SECOND: u64 = 50;
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

// --- simulated devices (cli) ---

/// Publishes of a simulated device that wait for its socket: it has one request on its way at a time.
pub const SIMULATED_QUEUE_MAX: usize = 64;
/// Seconds between a simulated device's pings.
pub const SIMULATED_KEEP_ALIVE_S: u64 = 10;
/// Last upper bound in milliseconds of a simulated device's wait before it connects again: impatient, as tills are.
pub const SIMULATED_BACKOFF_MS_MAX: u64 = 1_000;
/// Milliseconds after which a request is repeated that was told to wait, but not how long.
pub const SIMULATED_WAIT_MS: u32 = 200;
/// Milliseconds a simulated device takes at most to say goodbye.
pub const SIMULATED_GOODBYE_MS_MAX: u64 = 2_000;

const _: () = assert!(LINK_BACKOFF_MS_MIN <= SIMULATED_BACKOFF_MS_MAX);

// --- demo and drive ---

/// First port of the demonstration: below the range from which systems number outgoing connections, so that a port
/// whose daemon was killed is still free when it comes back.
pub const DEMO_PORT_FIRST: u16 = 20_000;
/// Ports from there on.
pub const DEMO_PORTS: u64 = 10_000;
/// Ports tried before it is given up.
pub const DEMO_PORT_TRIES_MAX: u32 = 100;
/// Milliseconds the demonstration's daemon may take until it sells: a slow machine after a kill with a long journal.
pub const DEMO_START_MS_MAX: u64 = 60_000;
/// Milliseconds between looks at something that is awaited.
pub const DEMO_LOOK_MS: u64 = 20;
/// Requests a second of one simulated device: faster than it can go, because its pace is not what is shown.
pub const DEMO_REQUESTS_PER_SECOND_MAX: u32 = 1_000;
/// Of 1,000 sales, how many a till of the demonstration sends twice.
pub const DEMO_REPEATS_PER_MILLE: u32 = 50;
/// Part of the load's time after which head office goes away.
pub const DEMO_AWAY_FROM: f64 = 0.25;
/// Part of the load's time for which it is away: a third.
pub const DEMO_AWAY_FOR: f64 = 1.0 / 3.0;
/// Sales between two kills: the daemon is at work again, and its disk has something to lose.
pub const DEMO_SALES_BETWEEN_KILLS: u64 = 5;
/// Microseconds within which the moment of a kill is drawn.
pub const DEMO_KILL_WITHIN_US: u64 = 150_000;
/// Milliseconds the backlog may take to drain: the longest wait before the line is tried again, and the sending.
pub const DEMO_DRAIN_MS_MAX: u64 = 120_000;
/// Milliseconds of quiet after which head office has said all it had to say about members.
pub const DEMO_QUIET_MS: u64 = HUB_MEMBERS_WAIT_MS + 700;
/// Milliseconds between two pictures of the live view.
pub const DEMO_FRAME_MS: u64 = 250;
/// Pictures over which the rate is taken: two seconds.
pub const DEMO_RATE_FRAMES: usize = 8;
/// Pictures the backlog's curve shows.
pub const DEMO_SPARK_FRAMES: usize = 72;
/// Seconds between two lines where there is no terminal.
pub const DEMO_LINE_EVERY_S: f64 = 5.0;
/// Columns of the progress bar.
pub const DEMO_BAR_COLUMNS: usize = 24;
/// Columns of a terminal that does not say.
pub const DEMO_COLUMNS: usize = 100;
/// Promotions the live view names.
pub const DEMO_OFFERS_SHOWN: usize = 8;
/// Baskets handed to the tills before they are wanted: the reader never holds a till back, and never runs far ahead.
pub const DRIVE_VISITS_AHEAD: usize = 64;
/// Milliseconds after which a till of the drive gives a request up: a daemon that is driven may be restarted meanwhile.
pub const DRIVE_PATIENCE_MS: u32 = 300_000;
/// Milliseconds between two lines of progress where there is no terminal.
pub const DRIVE_LINE_EVERY_MS: u64 = 5_000;
/// Differences and troubles `replay` tells one by one: the first say what is wrong, the counts how often.
pub const REPLAY_TOLD_MAX: usize = 20;
/// Days of its own sales a bundle is tried on: four weeks, so that each weekday counts the same.
pub const SIMULATE_DAYS: i64 = 28;
/// Baskets, conflicts and goods below cost that a simulation lists one by one.
pub const SIMULATE_LISTED_MAX: usize = 20;
/// Milliseconds between two lines of progress of a simulation.
pub const SIMULATE_LINE_EVERY_MS: u64 = 2_000;
/// Threads that simulate worlds at the same time: more than any machine of ours has processors for.
pub const SIMULATE_JOBS_MAX: usize = 256;
/// Bytes of one recorded basket as a line of JSON: what a device may send at most.
pub const RECORDED_BASKET_BYTES_MAX: usize = 64 * 1024;
/// Slices of one scope that a box holds at a time: one in use, one that came early, the rest while old ones drain.
pub const LEASE_SLICES_MAX: usize = 4;
/// Letters of what the numbers of a series begin with: staff read it aloud.
pub const PREFIX_BYTES_MAX: usize = 8;
/// Numbers of one series: nine digits are as many as a person copies.
pub const SERIES_NUMBERS_MAX: i64 = 1_000_000_000;
/// Bytes of head office's log of words from which on it is folded: some hundred thousand words, read in a second at a start.
pub const LENDER_LOG_BYTES: u64 = 16 * 1024 * 1024;
/// Words in one frame to a shop: each becomes a decision there, and a shop that was away long gets the next ones after.
pub const LEASE_WORDS_MAX: usize = 64;
/// Words said to one life of a box and not yet seen in its journal; beyond it nothing more is said.
pub const LEASE_WORDS_UNHEARD_MAX: usize = 256;
/// Milliseconds after which words that a shop's journal does not show are said again.
pub const LEASE_RESEND_MS: i64 = 30_000;
/// Milliseconds between two requests of a shop for slices at least: what it wants changes with each sale.
pub const LEASE_ASK_MS_MIN: u64 = 5_000;
/// Milliseconds after which a shop that wants something says so again, unchanged: the request before may be lost.
pub const LEASE_ASK_EVERY_MS: u64 = 60_000;
/// Of what is not lent, head office keeps this part back when it lends to one shop: those who ask later get some too.
pub const LEASE_KEPT_BACK_PART: i64 = 2;
/// A share of what is not lent that is at most this part of what the shop holds anyway is a trickle: it gets all of the rest.
pub const LEASE_TRICKLE_PART: i64 = 32;
/// Slices are called back for another shop only where this part of what is left is more than all that the other has.
pub const LEASE_RECALL_PART: i64 = 4;
/// Milliseconds between two looks for a shop to call slices of one scope back from: the first have to come back before
/// another look helps.
pub const LEASE_RECALL_MS: i64 = 60_000;
/// Shops, of those that hold most, among which one is chosen to give slices back.
pub const LEASE_RECALL_LOOKS_MAX: usize = 16;
/// Of the time a slice is good for, the part that may be left before it is made good for longer.
pub const LEASE_PROLONG_PART: i64 = 2;
/// Hours without a line that slices are good for, where the bundle does not say: a long weekend.
pub const LEASE_OUTAGE_HOURS: u32 = 72;
/// Most hours a bundle may say: what a lost box holds is held back at least that long.
pub const LEASE_OUTAGE_HOURS_MAX: u32 = 24 * 90;
/// Most a budget may be, in the unit of its scope: sums over all shops stay far inside 64 bits.
pub const LEASE_BUDGET_MAX: i64 = 1 << 50;
/// Words of head office that wait in the daemon for room in its store; more come again.
pub const LEASE_WORDS_WAITING_MAX: usize = 256;
/// Findings of the lender's own check that are kept.
pub const LEASE_FINDINGS_MAX: usize = 100;
/// Milliseconds after which what was spent counts half: a day.
pub const LEASE_PACE_MS: i64 = 86_400_000;
/// Milliseconds after which a scope nobody looked at is not wanted any more: a week.
pub const LEASE_WANT_MS: i64 = 7 * 86_400_000;
/// Scopes a box asks for at a time.
pub const LEASE_WANTS_MAX: usize = 1_024;
/// The part of a chain-wide limit worth holding before anything was spent.
pub const LEASE_FIRST_PART: i64 = 64;
/// The same of what has no limit of its own (risk in minor units, points): a hundred yuan or points for one.
pub const LEASE_FIRST_NEED: i64 = 10_000;

/// Baskets before the last that weights of recommendation are fitted on, each with sources that have not seen it: a short
/// list of members says more that way, and each costs a build.
pub const RECOMMEND_ROUNDS_MAX: usize = 4;
/// Rows the trees of recommendation are grown on: 32 bytes each once binned, and a minute of one core at most.
pub const RECOMMEND_ROWS_MAX: usize = 1_000_000;
/// Members whose last basket a shop's weights are fitted on: a rebuild stays within ten seconds.
pub const RECOMMEND_TRAINED_ON_MAX: usize = 1_500;
/// Entries of inverted lists that one question looks at: a tenth of a millisecond.
pub const RECOMMEND_ENTRIES_MAX: usize = 15_000;
/// Candidates of one source of people in a shop: those of all together are scored within half a millisecond.
pub const RECOMMEND_CANDIDATES: usize = 50;
/// Items of a member, bought last, that pairs are counted over: the count costs their square.
pub const RECOMMEND_ITEMS_OF_MEMBER_MAX: usize = 60;
/// Pairs of items counted over all members, and over all baskets: half a second each, twice in a rebuild.
pub const RECOMMEND_PAIRS_COUNTED_MAX: usize = 20_000_000;
/// Others kept for each item: 30,000 items and three tables stay within 24 MiB.
pub const RECOMMEND_PAIRS_KEPT: usize = 32;
/// Bytes of one line of a file of histories: a member with 100,000 lines is one.
pub const LAB_MEMBER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items of all baskets in a file of histories: some gigabytes of memory.
pub const LAB_BOUGHT_MAX: usize = 50_000_000;
/// Lines of a file of histories left out that are told one by one.
pub const LAB_LINES_TOLD_MAX: usize = 20;
/// Newest baskets of a member that proposals are made from: two years of a weekly shop.
pub const ADVICE_BASKETS_OF_MEMBER_MAX: usize = 100;
/// Lines that proposals are made from: 20,000 members with 50 baskets of 6, some 60 MB and 10 s of one core.
pub const ADVICE_LINES_MAX: usize = 6_000_000;
/// Articles that may be proposed.
pub const ADVICE_ITEMS_MAX: usize = 65_536;
/// Members in a segment below which it says nothing of what such people buy.
pub const ADVICE_SEGMENT_MEMBERS_MIN: usize = 10;
/// Segments of one member that are looked at for that.
pub const ADVICE_SEGMENTS_OF_MEMBER_MAX: usize = 32;
/// Members whose sales since the last model are at hand: the busiest hour of a hypermarket.
pub const LATELY_MEMBERS_MAX: usize = 4_096;
/// Such sales of one member: more within an hour are a mistake.
pub const LATELY_BASKETS_MAX: usize = 4;
/// Articles suggested with a quote that asks for it: a till's screen shows few.
pub const QUOTE_SUGGESTIONS_MAX: usize = 4;
/// Ms between two models: what was bought this morning is known in the afternoon.
pub const ADVICE_EVERY_MS: u64 = 3_600_000;
/// Decisions the maker of proposals reads at once from the journal.
pub const ADVICE_READ_ENTRIES: usize = 512;
/// Bytes of them.
pub const ADVICE_READ_BYTES: usize = 4 * 1024 * 1024;
/// Scans whose offers and suggestions wait to be written down: a minute of them in a large shop.
pub const SHOWN_WAITING_MAX: usize = 1_024;
/// Times a campaign was shown that its models are made from, of all campaigns: a year of a large shop, some 10 MB.
pub const ANSWERS_MAX: usize = 65_536;
/// Of one campaign, with fewer there is no model: a rate serves.
pub const ANSWER_ROWS_MIN: usize = 200;
/// Campaigns whose money is followed.
pub const ANSWER_CAMPAIGNS_MAX: usize = 1_024;
/// Ms between two decisions that write them down; a power cut forgets at most these.
pub const SHOWN_EVERY_MS: i64 = 60_000;

/// Factors of a shipped factorisation for each item: a member's product with 30,000 items stays within half a millisecond.
pub const RECOMMEND_RANK_MAX: usize = 64;
/// Articles a shipped network knows: with a layer of 100 between input and output, what a question may cost.
pub const RECOMMEND_NETWORK_ITEMS_MAX: usize = 4_096;
/// Multiply-adds of one question to it: 4 MB of weights pass through the processor within half a millisecond, at each scan.
pub const RECOMMEND_NETWORK_MULTIPLY_ADDS_MAX: usize = 1_000_000;
/// Bytes of its file: the weights of as many multiply-adds, and as many again.
pub const RECOMMEND_NETWORK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Its nodes, tensors, inputs and outputs: a dozen layers have 50.
pub const RECOMMEND_NETWORK_PARTS_MAX: usize = 256;
/// Fields of its file, at 200 bytes each in memory while it is read: 64 layers with the notes of who exported them have 5,000.
pub const RECOMMEND_NETWORK_FIELDS_MAX: usize = 65_536;
/// Characters of its names that are told.
pub const RECOMMEND_NETWORK_NAME_CHARS_MAX: usize = 120;

/// Codes whose home was ever moved, kept so that a new life of a box is told again.
pub const HUB_MOVES_MAX: usize = 65_536;
/// Words said for one move of a code: beyond that a human has to look at why nothing answers.
pub const HUB_MOVE_WORDS_MAX: usize = 256;
/// The last moment of a moved code that is not listed any more, in ms since 1970: before any clock's.
pub const CODE_WITHDRAWN_MS: i64 = -1;
const _: () = assert!(LEASE_WORDS_MAX <= LEASE_WORDS_UNHEARD_MAX);
const _: () = assert!(LEASE_ASK_MS_MIN < LEASE_ASK_EVERY_MS);

// --- other systems' files (cli) ---

/// Bytes of one POSLog: a day of 50,000 sales at 1.2 KiB. It is read at once, to see that it is whole before any of it counts.
pub const POSLOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Open elements of a POSLog: ours nests 6, other writers' headers 10.
pub const POSLOG_DEPTH_MAX: usize = 32;
/// Elements and attributes of one transaction: a full basket of 500 lines at 40 each, and as many again.
pub const POSLOG_VALUES_MAX: usize = 40_000;
/// Bytes of one element's text: no name, code or amount needs a tenth of it.
pub const POSLOG_TEXT_BYTES_MAX: usize = 4_096;
/// Attributes of one element.
pub const POSLOG_ATTRIBUTES_MAX: usize = 32;
/// Transactions told one by one: whoever mends a file mends these first.
pub const POSLOG_TOLD_MAX: usize = 1_000;
/// Times one transaction is offered to a daemon that says "not now": a minute or two of a busy disk.
pub const POSLOG_TRIES_MAX: usize = 120;

/// Devices watched at a time: whoever connects tills connects one after the other.
pub const WATCHES_MAX: usize = 8;
/// Sightings kept of one device until they are asked for, some 400 bytes each.
pub const WATCH_SIGHTINGS_MAX: usize = 8_192;
/// Sightings told at once: with details of a kilobyte they fit an answer of the control socket.
pub const WATCH_TOLD_MAX: usize = 2_048;
/// Milliseconds after which a watch ends that nobody asked about.
pub const WATCH_MS_MAX: u64 = 30_000;
/// Milliseconds between two questions of who watches.
pub const WATCH_LOOK_MS: u64 = 200;

/// Kinds of pushes that a device may want.
pub const WANTED_KINDS_MAX: usize = 8;
/// Gateways of shelf labels in one shop: one a floor, and one a supplier.
pub const LABEL_GATEWAYS_MAX: usize = 8;
/// Labels of one push: at 300 bytes each with a long title they stay below the contract's 64 KiB.
pub const LABELS_IN_A_PART: usize = 100;
/// Pushes handed to the broker at once for one gateway; the others follow second by second.
pub const LABEL_PARTS_AT_ONCE_MAX: usize = 16;

/// Bytes of a partner's request: an order of the most lines with the longest titles in Chinese, escaped, is most of it.
pub const PARTNER_REQUEST_BYTES_MAX: usize = 24 * 1024;

/// Lines of one order that is picked up: eight such orders with their titles are one reply to a scan.
pub const ORDER_LINES_MAX: usize = 40;
/// Bytes of what the online shop calls an article: 32 Chinese characters.
pub const ORDER_TITLE_BYTES_MAX: usize = 96;
/// Longest time in milliseconds from placing an order to the end of its keeping: goods are not stored for good.
pub const ORDER_KEEP_MS_MAX: i64 = 90 * 86_400_000;
/// Orders that wait in one shop at once: a large shop's shelf, several days of its orders.
pub const ORDERS_WAITING_MAX: u32 = 2_000;
/// Orders that wait under one member or code: all are told at a scan.
pub const ORDERS_SHOWN_MAX: usize = 8;
/// Days since it last changed after which a shop, and head office, let go of an order: its keeping and as long again, in which
/// a second hand-over is refused by name.
pub const ORDER_REMEMBERED_DAYS: u32 = 180;
/// Orders of one frame to a shop: with the most lines and longest titles they fill two thirds of it.
pub const ORDERS_TOLD_MAX: usize = 24;
/// Orders of one shop that were told and not answered by its journal: a frame's worth three times over.
pub const ORDERS_UNHEARD_MAX: usize = 3 * ORDERS_TOLD_MAX;
/// Milliseconds after which an order that no journal answers is told again.
pub const ORDER_RESEND_MS: i64 = 60_000;
/// Orders that `aisled hub status` names because somebody should look at them.
pub const HUB_FLAGGED_ORDERS_MAX: usize = 100;
/// Orders that head office holds, those that are over included until they are forgotten: some 600 bytes each.
pub const HUB_ORDERS_MAX: usize = 200_000;

const _: () = assert!(ORDER_REMEMBERED_DAYS as i64 * 86_400_000 >= 2 * ORDER_KEEP_MS_MAX);
const _: () = assert!(
    ORDERS_SHOWN_MAX * ORDER_LINES_MAX * (NAME_BYTES_MAX + ORDER_TITLE_BYTES_MAX + 64)
        < MQTT_PACKET_BYTES_MAX / 2
);
const _: () = assert!(
    ORDERS_TOLD_MAX * ORDER_LINES_MAX * (NAME_BYTES_MAX + ORDER_TITLE_BYTES_MAX + 64)
        < UPSTREAM_FRAME_BYTES_MAX
);

/// Requests judged in one watch, some 300 bytes each: a day of a busy till.
pub const CONFORM_REQUESTS_MAX: u64 = 200_000;

const _: () = assert!(RECOMMEND_NETWORK_BYTES_MAX >= 2 * 4 * RECOMMEND_NETWORK_MULTIPLY_ADDS_MAX);
const _: () = assert!((RECOMMEND_NETWORK_BYTES_MAX as u64) < BUNDLE_RULES_BYTES_MAX / 2);
