//! What every request passes before any page is made, in order: host, pace, origin, language, session.
//!
//! A name that is not the console's own is refused, whatever it resolves to, so that a page elsewhere that points its name
//! here reaches nothing (DNS rebinding); an address typed as a number cannot be such a name. A form from another origin is
//! refused before it is read. Each address has a pace, so that no browser or script takes the tills' processor.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN};

use super::sessions::Session;
use crate::clock::Ticks;
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::limits;

/// The cookie that holds a session's token.
pub(super) const SESSION_COOKIE: &str = "aisled_session";
/// The cookie that a form shown before any session must match.
pub(super) const FORM_COOKIE: &str = "aisled_form";
/// The cookie that remembers the language.
pub(super) const LANG_COOKIE: &str = "aisled_lang";

/// From where a connection comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Who asks, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) peer: IpAddr,
    pub(super) lang: Lang,
    pub(super) session: Option<Session>,
    pub(super) token: Option<String>,
    /// What a form shown before any session brings back.
    pub(super) form: Option<String>,
    /// The page's own address.
    pub(super) path: String,
    /// Whether the console speaks TLS: then its cookies go nowhere else.
    pub(super) secure: bool,
}

/// A request that is not answered as asked.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) detail: String,
    pub(super) retry_after_s: Option<i64>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), retry_after_s: None }
    }
}

impl From<super::users::UserError> for Problem {
    fn from(error: super::users::UserError) -> Problem {
        Problem::new(error.code, error.detail)
    }
}

impl From<super::shop::Trouble> for Problem {
    fn from(trouble: super::shop::Trouble) -> Problem {
        Problem::new(trouble.code, trouble.detail)
    }
}

/// A header as text; nothing if it is not there or no text.
fn header(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// May the console be asked under the name that this request gives?
pub(super) fn check_host(headers: &HeaderMap, names: &[String]) -> Result<(), Problem> {
    let host = header(headers, HOST).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let known = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(limits::NAME_BYTES_MAX).collect();
    known.then_some(()).ok_or_else(|| Problem::new(Code::ConsoleHostUnknown, shown))
}

/// Was this form sent from a page of the console?
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let host = header(headers, HOST).unwrap_or_default();
    let own = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    };
    let foreign = headers.contains_key(ORIGIN) && !header(headers, ORIGIN).is_some_and(own);
    let site = header(headers, "sec-fetch-site");
    if foreign || site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Problem::new(Code::ConsoleForeignOrigin, ""));
    }
    Ok(())
}

/// A cookie's value.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The reader's language: asked for, remembered, the browser's, else the shop's. One that does not exist is passed over.
pub(super) fn lang(headers: &HeaderMap, query: &str, shop: Lang) -> (Lang, bool) {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Lang::of_locale);
    let kept = cookie(headers, LANG_COOKIE).and_then(Lang::of_locale);
    let browsers = header(headers, ACCEPT_LANGUAGE).unwrap_or_default();
    let browsers = browsers.split(',').filter_map(|range| Lang::of_locale(range.split(';').next()?.trim()));
    let lang = asked.or(kept).or_else(|| browsers.into_iter().next()).unwrap_or(shop);
    (lang, asked.is_some() && asked != kept)
}

/// The pace of each address: a bucket that holds a burst and refills steadily.
#[derive(Debug, Default)]
pub(super) struct Paces {
    credits: BTreeMap<IpAddr, (i64, Ticks)>,
}

impl Paces {
    /// May this address be answered now?
    pub(super) fn take(&mut self, address: IpAddr, now: Ticks) -> bool {
        const US: i64 = 1_000_000;
        let burst = i64::from(limits::CONSOLE_BURST_MAX) * US;
        if self.credits.len() >= limits::CONSOLE_PACED_MAX && !self.credits.contains_key(&address) {
            let longest = self.credits.iter().min_by_key(|(_, (_, at))| *at).map(|(address, _)| *address);
            longest.and_then(|address| self.credits.remove(&address));
        }
        let (credit, at) = self.credits.entry(address).or_insert((burst, now));
        let elapsed = i64::try_from(now.since(*at).as_micros()).unwrap_or(i64::MAX);
        let earned = elapsed.saturating_mul(i64::from(limits::CONSOLE_REQUESTS_PER_S));
        (*credit, *at) = (credit.saturating_add(earned).min(burst), now);
        let enough = *credit >= US;
        *credit -= if enough { US } else { 0 };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::domain::calendar::UnixMs;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().expect("a header"))
        });
        pairs.collect()
    }

    #[test]
    fn under_which_names_is_the_console_there() {
        let own = ["office.shop".to_owned()];
        for (host, there) in [
            ("127.0.0.1:8780", true),
            ("[::1]:8780", true),
            ("192.168.1.5", true),
            ("localhost:9", true),
            ("Office.Shop:8780", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8780", false),
            ("office.shop.evil.example", false),
            ("", false),
        ] {
            let outcome = check_host(&headers(&[("host", host)]), &own);
            assert_eq!(
                outcome.map_err(|p| p.code),
                there.then_some(()).ok_or(Code::ConsoleHostUnknown),
                "{host}"
            );
        }
    }

    #[test]
    fn from_which_pages_is_a_form_taken() {
        for (origin, site, taken) in [
            (Some("http://127.0.0.1:8780"), Some("same-origin"), true),
            (Some("https://127.0.0.1:8780"), None, true),
            (None, None, true),
            (Some("http://127.0.0.1:8781"), None, false),
            (Some("http://evil.example"), None, false),
            (Some("null"), None, false),
            (None, Some("cross-site"), false),
            (None, Some("same-site"), false),
        ] {
            let mut pairs = vec![("host", "127.0.0.1:8780")];
            pairs.extend(origin.map(|origin| ("origin", origin)));
            pairs.extend(site.map(|site| ("sec-fetch-site", site)));
            assert_eq!(check_origin(&headers(&pairs)).is_ok(), taken, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn which_language_is_read() {
        let of = |query: &str, pairs: &[(&'static str, &str)]| lang(&headers(pairs), query, Lang::ZhCn).0;
        assert_eq!(of("", &[]), Lang::ZhCn, "the shop's");
        assert_eq!(of("", &[("accept-language", "fr-FR, en-GB;q=0.8, zh;q=0.5")]), Lang::En);
        assert_eq!(of("", &[("accept-language", "zh-TW")]), Lang::ZhCn);
        assert_eq!(of("lang=en", &[("accept-language", "zh")]), Lang::En);
        assert_eq!(of("lang=xx-YY", &[("accept-language", "en")]), Lang::En, "one that does not exist");
        assert_eq!(of("", &[("cookie", "a=b; aisled_lang=en"), ("accept-language", "zh")]), Lang::En);
    }

    #[test]
    fn how_fast_may_an_address_ask() {
        let (clock, mut paces) = (ManualClock::new(UnixMs(0)), Paces::default());
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let burst = (0..1_000).filter(|_| paces.take(a, clock.ticks())).count();
        assert_eq!(burst, limits::CONSOLE_BURST_MAX as usize);
        assert!(paces.take(b, clock.ticks()), "another address has its own");
        clock.advance_ms(1_000);
        let later = (0..1_000).filter(|_| paces.take(a, clock.ticks())).count();
        assert_eq!(later, limits::CONSOLE_REQUESTS_PER_S as usize);
        for nth in 0..3_000_u32 {
            paces.take(IpAddr::from(nth.to_be_bytes()), clock.ticks());
        }
        assert!(paces.credits.len() <= limits::CONSOLE_PACED_MAX);
    }
}
