//! The frame around every page, and how figures are written: money, counts, times, ages, in the reader's language.
//!
//! Everything comes from this program: one style sheet, one small script that keeps live pages live, one icon. Figures
//! are right-aligned and of one width; an empty page says what to do.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::door::{Client, Problem};
use super::shop::Snapshot;
use super::users::Role;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::money::Money;
use crate::domain::text::Lang;

/// The style sheet.
pub(super) const CSS: &str = include_str!("assets/console.css");
/// The script.
pub(super) const SCRIPT: &str = include_str!("assets/console.js");
/// The icon.
pub(super) const ICON: &str = include_str!("assets/icon.svg");

/// What a browser fetches beside a page, once.
pub const ASSET_BYTES: usize = CSS.len() + SCRIPT.len() + ICON.len();

/// One entry of the menu.
pub(super) struct Entry {
    /// Its address.
    pub(super) path: &'static str,
    /// Who may see it.
    pub(super) role: Role,
    /// English, Chinese.
    pub(super) words: (&'static str, &'static str),
}

/// The menu, in its order.
pub(super) const MENU: &[Entry] = &[
    Entry { path: "/", role: Role::Viewer, words: ("Now", "此刻") },
    Entry { path: "/sync", role: Role::Viewer, words: ("Sync", "同步") },
    Entry { path: "/why", role: Role::Manager, words: ("Why", "为什么") },
    Entry { path: "/campaigns", role: Role::Manager, words: ("Campaigns", "活动") },
    Entry { path: "/segments", role: Role::Manager, words: ("Segments", "客群") },
    Entry { path: "/when", role: Role::Manager, words: ("When", "时段") },
    Entry { path: "/simulator", role: Role::Manager, words: ("Simulator", "试算") },
    Entry { path: "/devices", role: Role::Viewer, words: ("Devices", "设备") },
    Entry { path: "/health", role: Role::Viewer, words: ("Health", "健康") },
    Entry { path: "/users", role: Role::Admin, words: ("Users", "用户") },
];

/// The reader's words and figures.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) lang: Lang,
    pub(super) shop: &'a Snapshot,
}

impl<'a> Words<'a> {
    pub(super) fn new(client: &Client, shop: &'a Snapshot) -> Words<'a> {
        Words { lang: client.lang, shop }
    }

    /// The one in the reader's language.
    pub(super) fn say(self, en: &'a str, zh: &'a str) -> &'a str {
        match self.lang {
            Lang::En => en,
            Lang::ZhCn => zh,
        }
    }

    /// An amount with its currency's decimals and thousands apart.
    pub(super) fn money(self, minor: i64) -> String {
        let Some(currency) = &self.shop.currency else { return count(minor) };
        let plain = currency.format(Money(minor));
        let digits = plain.trim_start_matches('-');
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) => (whole, format!(".{decimals}")),
            None => (digits, String::new()),
        };
        let whole = whole.parse::<i64>().map_or_else(|_| whole.to_owned(), count);
        format!("{}{whole}{decimals}", if minor < 0 { "\u{2212}" } else { "" })
    }

    /// The currency's code, for a table's head.
    pub(super) fn currency(self) -> &'a str {
        self.shop.currency.as_ref().map_or("", |currency| &currency.code)
    }

    /// A moment by the shop's wall clock, to the second; in UTC before there are rules.
    pub(super) fn time(self, at: UnixMs) -> String {
        let second = at.0.div_euclid(1_000).rem_euclid(60);
        match &self.shop.time_zone {
            Some(zone) => {
                let civil = zone.civil(at);
                format!("{} {:02}:{:02}:{second:02}", civil.day, civil.minute / 60, civil.minute % 60)
            }
            None => at.to_string(),
        }
    }

    /// A length of time in two units at most: `3 min 20 s`.
    pub(super) fn age(self, seconds: i64) -> String {
        let units: [(i64, &str, &str); 4] =
            [(86_400, "d", "天"), (3_600, "h", "小时"), (60, "min", "分"), (1, "s", "秒")];
        let seconds = seconds.max(0);
        let first = units.iter().position(|(unit, ..)| seconds >= *unit).unwrap_or(units.len() - 1);
        let mut parts = Vec::new();
        let mut left = seconds;
        for (unit, en, zh) in units.iter().skip(first).take(2) {
            let of = left / unit;
            left %= unit;
            if of > 0 || parts.is_empty() {
                parts.push(format!("{of}\u{a0}{}", self.say(en, zh)));
            }
        }
        parts.join(" ")
    }

    /// A duration of the machine: `480 µs`, `3.2 ms`, `1.20 s`.
    pub(super) fn duration(self, us: u64) -> String {
        match us {
            0..1_000 => format!("{us}\u{a0}µs"),
            1_000..100_000 => format!("{}.{}\u{a0}ms", us / 1_000, us % 1_000 / 100),
            100_000..1_000_000 => format!("{}\u{a0}ms", us / 1_000),
            _ => format!("{}.{:02}\u{a0}s", us / 1_000_000, us % 1_000_000 / 10_000),
        }
    }
}

/// A whole number with its thousands apart by a thin space.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0 { format!("\u{2212}{text}") } else { text }
}

/// Bytes in the largest unit that leaves a digit before the point.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let number = if unit == 0 || tenths >= 1_000 {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    format!("{number}\u{a0}{}", UNITS[unit])
}

/// A figure that stands by itself.
pub(super) fn figure(label: &str, value: &str, note: Markup) -> Markup {
    html! {
        div.figure {
            dt { (label) }
            dd { strong { (value) } @if !note.0.is_empty() { small { (note) } } }
        }
    }
}

/// What stands where nothing is to be shown yet, and what to do about it.
pub(super) fn empty(title: &str, advice: Markup) -> Markup {
    html! { div.empty { p { strong { (title) } } p { (advice) } } }
}

/// A table in a frame that scrolls by itself on a narrow screen.
pub(super) fn table(label: &str, head: Markup, rows: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table { thead { tr { (head) } } tbody { (rows) } }
        }
    }
}

/// How a state is shown: never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Plain,
}

/// A state in a word.
pub(super) fn pill(tone: Tone, text: &str) -> Markup {
    let (class, mark) = match tone {
        Tone::Good => ("pill good", "✓"),
        Tone::Warn => ("pill warn", "!"),
        Tone::Bad => ("pill bad", "✕"),
        Tone::Plain => ("pill", "·"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) } " " (text) } }
}

/// A code with what it is, why and what to do.
pub(super) fn code_card(code: Code, detail: &str, lang: Lang) -> Markup {
    let remedy = if lang == Lang::En { "What to do" } else { "处理办法" };
    html! {
        div.code {
            p { span.number { (code) } " " strong { (code.title(lang)) } }
            p { (code.cause(lang)) @if !detail.is_empty() { br; span.detail { (detail) } } }
            p { strong { (remedy) ": " } (code.remedy(lang)) }
        }
    }
}

/// What a page is made of.
pub(super) struct Page {
    pub(super) title: String,
    /// Asks for itself again each so many seconds where there are no scripts, and streams where there are.
    pub(super) live: Option<&'static str>,
    /// Seconds after which the browser asks again by itself.
    pub(super) again_s: Option<i64>,
    pub(super) body: Markup,
}

/// The whole document.
pub(super) fn document(page: Page, client: &Client, shop: &Snapshot) -> Markup {
    let words = Words::new(client, shop);
    let shop_name = match shop.names.get(client.lang) {
        "" => shop.store.as_str(),
        name => name,
    };
    let state = match (shop.broker_up, shop.bundle.is_some(), shop.degraded) {
        (_, false, _) => pill(Tone::Warn, words.say("No rules yet", "尚无规则")),
        (false, ..) => pill(Tone::Bad, words.say("Broker away", "消息服务断开")),
        (_, _, true) => pill(Tone::Warn, words.say("Nothing scarce spent", "暂停限量优惠")),
        _ => pill(Tone::Good, words.say("Selling", "营业中")),
    };
    let (other, other_name) = match client.lang {
        Lang::En => (Lang::ZhCn, "中文"),
        Lang::ZhCn => (Lang::En, "English"),
    };
    html! {
        (DOCTYPE)
        html lang=(client.lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · " (shop_name) }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href=(asset("console.css"));
                script src=(asset("console.js")) defer {}
                @if let Some(seconds) = page.again_s { meta http-equiv="refresh" content=(seconds); }
                @if page.live.is_some() { noscript { meta http-equiv="refresh" content="10"; } }
            }
            body {
                a.skip href="#main" { (words.say("Skip to the page", "跳到正文")) }
                header {
                    div.shop {
                        (PreEscaped(ICON))
                        span { (shop_name) }
                        @if client.session.is_some() { (state) }
                    }
                    div.who {
                        a href={ (client.path) "?lang=" (other.tag()) } lang=(other.tag()) hreflang=(other.tag()) { (other_name) }
                        @if let Some(session) = &client.session {
                            form method="post" action="/logout" {
                                input type="hidden" name="csrf" value=(session.csrf);
                                span.name { (session.name) }
                                button.quiet type="submit" { (words.say("Sign out", "退出")) }
                            }
                        }
                    }
                    @if let Some(session) = &client.session {
                        nav aria-label=(words.say("Pages", "页面")) {
                            ul {
                                @for entry in MENU.iter().filter(|entry| entry.role <= session.role) {
                                    @let here = client.path == entry.path;
                                    li { a href=(entry.path) aria-current=[here.then_some("page")] {
                                        (words.say(entry.words.0, entry.words.1))
                                    } }
                                }
                            }
                        }
                    }
                }
                main id="main" {
                    div.title {
                        h1 { (page.title) }
                        @if page.live.is_some() {
                            button.quiet.pause type="button" hidden
                                data-pause=(words.say("Pause", "暂停"))
                                data-resume=(words.say("Resume", "继续")) { (words.say("Pause", "暂停")) }
                        }
                    }
                    @match page.live {
                        Some(stream) => div id="live" data-stream=(stream) { (page.body) },
                        None => (page.body),
                    }
                }
                footer {
                    "aisled " (shop.version)
                    @if client.session.is_some() {
                        " · " (shop.store)
                        @if let Some((version, _)) = &shop.bundle { " · " (words.say("rules", "规则")) " " (version) }
                        " · " (words.time(shop.at))
                    }
                }
            }
        }
    }
}

/// The address of an asset: with what tells this program's from an older one's, so that it may be kept for ever.
pub(super) fn asset(name: &str) -> String {
    let text = if name.ends_with(".js") { SCRIPT } else { CSS };
    format!("/assets/{:08x}-{name}", crc32c::crc32c(text.as_bytes()))
}

/// The page of a problem.
pub(super) fn problem(problem: &Problem, client: &Client, shop: &Snapshot) -> Markup {
    let words = Words::new(client, shop);
    let body = html! {
        (code_card(problem.code, &problem.detail, client.lang))
        @if let Some(seconds) = problem.retry_after_s {
            p { (words.say("Try again in", "请等待")) " " (words.age(seconds)) }
        }
        p { a href="/" { (words.say("To the first page", "返回首页")) } }
    };
    let title = problem.code.title(client.lang).to_owned();
    let again_s = problem.retry_after_s.filter(|_| problem.code == Code::ConsoleCounting);
    document(Page { title, live: None, again_s, body }, client, shop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    #[test]
    fn how_are_figures_written() {
        let currency = |code: &str, minor_units| Currency { code: code.to_owned(), minor_units };
        let mut shop = Snapshot { currency: Some(currency("CNY", 2)), ..Snapshot::default() };
        let words = Words { lang: Lang::En, shop: &shop };
        assert_eq!(words.money(1_234_567), "12\u{202f}345.67");
        assert_eq!(words.money(-5), "\u{2212}0.05");
        assert_eq!(words.money(-123_456), "\u{2212}1\u{202f}234.56");
        assert_eq!(words.age(3_725), "1\u{a0}h 2\u{a0}min");
        assert_eq!((words.age(0), words.age(60)), ("0\u{a0}s".to_owned(), "1\u{a0}min".to_owned()));
        assert_eq!(words.duration(480), "480\u{a0}µs");
        assert_eq!(words.duration(3_260), "3.2\u{a0}ms");
        assert_eq!(words.duration(1_204_000), "1.20\u{a0}s");
        assert_eq!(
            (bytes(512), bytes(1_536), bytes(5 << 30)),
            ("512\u{a0}B".to_owned(), "1.5\u{a0}KiB".to_owned(), "5.0\u{a0}GiB".to_owned())
        );
        shop.currency = Some(currency("JPY", 0));
        assert_eq!(Words { lang: Lang::ZhCn, shop: &shop }.money(1_234), "1\u{202f}234");
    }

    #[test]
    fn does_everything_come_from_this_program() {
        for text in [CSS, SCRIPT, ICON] {
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http:") && !foreign.contains("https:") && !foreign.contains("//"),
                "an address"
            );
        }
    }
}
