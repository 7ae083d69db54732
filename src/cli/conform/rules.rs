//! The rules of the device contract, each judged from what a device was seen to do. Pure: sightings in, verdicts out.
//!
//! A rule is broken by one example; it is met when it was seen kept at least once; else it was not seen, which is no
//! fault: a watch of a minute sees no lost reply.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::daemon::sightings::{AnswerTo, Asked, Sighting};
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::text::Lang;

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Seen kept.
    Met,
    /// Seen broken.
    Broken,
    /// Nothing was seen that it is about.
    NotSeen,
}

macro_rules! rules {
    ($($name:ident, $en:literal, $zh:literal, $remedy_en:literal, $remedy_zh:literal;)+) => {
        /// A rule of the contract that can be seen from outside.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Rule {
            $(#[doc = $en] $name,)+
        }

        impl Rule {
            /// All of them, in the order they are told.
            pub const ALL: &'static [Rule] = &[$(Rule::$name),+];

            /// What it asks.
            pub fn title(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Rule::$name, Lang::En) => $en, (Rule::$name, Lang::ZhCn) => $zh,)+ }
            }

            /// What to do where it is broken.
            pub fn remedy(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Rule::$name, Lang::En) => $remedy_en, (Rule::$name, Lang::ZhCn) => $remedy_zh,)+ }
            }
        }
    };
}

rules! {
    Document, "requests are version 1 documents of their operation", "请求是版本 1 的合法文档",
        "compare the field that the example names with asyncapi.yaml", "按示例中的字段对照 asyncapi.yaml";
    Fields, "no unknown fields", "没有未知字段",
        "remove the field or correct its spelling", "删除该字段或改正拼写";
    Ids, "ids have 8 to 64 clean characters, names the alphabet of their kind", "编号 8–64 个合法字符，名称符合字符集",
        "use a UUID for each request; a-z, 0-9 and - for names in topics", "每个请求使用 UUID；主题中的名称只用 a-z、0-9 与 -";
    FreshId, "a new request has a new id", "新请求使用新编号",
        "make an id for each request; keep it only to send the same bytes again", "每个请求生成新编号；仅重发相同内容时沿用";
    Retry, "without a reply, or told to wait, the same bytes go out again under the same id", "无应答或被要求稍候时，以同一编号重发相同内容",
        "keep id and body until the reply is there; a new id for the same sale is a second sale", "收到应答前保留编号与内容；同一销售换新编号即为第二笔销售";
    Patience, "waits as long as a 429 or 503 says", "遵守 429、503 的等待时间",
        "wait retry_after_ms before the same request goes out again", "等待 retry_after_ms 后再重发";
    ReplyTopic, "replies are asked for below its own rep/", "应答主题在本设备 rep/ 之下",
        "set the response topic to aisle/1/{store}/dev/{device}/rep/{instance}", "响应主题设为 aisle/1/{store}/dev/{device}/rep/{instance}";
    ContentType, "the content type is that of the payload", "内容类型与报文一致",
        "send application/json or application/msgpack, or none at all", "使用 application/json 或 application/msgpack，或不填";
    Qos, "requests go out with QoS 1", "请求使用 QoS 1",
        "publish with QoS 1: QoS 0 may be lost without a sign", "以 QoS 1 发布；QoS 0 可能无声丢失";
    Size, "payloads of at most 64 KiB, 16 levels deep", "报文不超过 64 KiB、16 层",
        "split the basket, or leave out what the contract does not ask for", "拆分购物篮，或去掉多余内容";
    Time, "times are RFC 3339 with an offset, days YYYY-MM-DD", "时间为带时区的 RFC 3339，日期为 YYYY-MM-DD",
        "write for example 2026-11-21T10:00:00+08:00", "例如 2026-11-21T10:00:00+08:00";
    Numbers, "business day and number are unique and rise", "营业日与流水号唯一且递增",
        "number receipts upwards within a business day, across restarts too", "同一营业日内流水号递增，重启后亦然";
    Quotes, "a quote is committed before it expires", "在报价到期前提交",
        "quote again when `expires` has passed, or commit with the basket", "过了 `expires` 请重新报价，或用购物篮提交";
    Presence, "says that it is there: retained on its status", "在 status 上发布保留的在线状态",
        "publish {\"v\":1,\"state\":\"online\"} retained after each connect", "每次连接后以保留消息发布 {\"v\":1,\"state\":\"online\"}";
    LastWill, "a last will, or a farewell, says when it is gone", "以遗嘱或告别说明离线",
        "set the same topic with state offline as retained last will", "以同一主题、state 为 offline 设置保留的遗嘱消息";
}

/// A rule with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// What became of it.
    pub verdict: Verdict,
    /// How often it was seen kept.
    pub kept: u64,
    /// How often it was seen broken.
    pub broken: u64,
    /// The first time it was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// The last request of each id and of each meaning.
struct Sent {
    digest: String,
    meaning: String,
    answered: Option<u64>,
    /// Until when it was told to wait.
    wait_until: Option<UnixMs>,
    settled: bool,
    /// It names a sale or return.
    is_sale: bool,
}

/// Everything seen so far, and what it says of each rule.
#[derive(Default)]
pub struct Judge {
    tally: BTreeMap<Rule, (u64, u64, Option<String>)>,
    sent: BTreeMap<String, Sent>,
    by_meaning: BTreeMap<String, String>,
    last_sale: Option<(String, i64)>,
    sales: BTreeMap<(String, i64), String>,
    quotes: BTreeMap<String, String>,
    /// Requests seen.
    pub requests: u64,
    /// Sales and returns that were taken.
    pub transactions: u64,
}

impl Judge {
    fn kept(&mut self, rule: Rule) {
        self.tally.entry(rule).or_default().0 += 1;
    }

    fn broken(&mut self, rule: Rule, example: String) {
        let (_, broken, first) = self.tally.entry(rule).or_default();
        *broken += 1;
        first.get_or_insert(example);
    }

    fn say(&mut self, rule: Rule, broken: Option<String>) {
        match broken {
            Some(example) => self.broken(rule, example),
            None => self.kept(rule),
        }
    }

    /// Is a device there by what it said before the watch?
    pub fn online(&mut self) {
        self.kept(Rule::Presence);
    }

    /// Takes what was seen next.
    pub fn see(&mut self, sighting: &Sighting) {
        match sighting {
            Sighting::Request(asked) => self.request(asked),
            Sighting::Reply { at, re, status, code, retry_after_ms, quote } => {
                if let Some((quote, expires)) = quote {
                    self.quotes.insert(quote.clone(), expires.clone());
                }
                let expired = code.as_deref() == Some(Code::QuoteExpired.to_string().as_str());
                let Some(re) = re else { return };
                if expired {
                    self.broken(Rule::Quotes, format!("{re} committed a quote that had expired"));
                }
                if let Some(sent) = self.sent.get_mut(re) {
                    let is_first = sent.is_sale && !sent.settled && *status == 200;
                    self.transactions += u64::from(is_first);
                    sent.answered = Some(*status);
                    sent.wait_until = retry_after_ms
                        .filter(|_| matches!(status, 429 | 503))
                        .map(|wait_ms| at.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)));
                    sent.settled = !matches!(status, 429 | 503);
                }
            }
            Sighting::Presence { online, fault, .. } => match fault {
                Some((code, detail)) => self.broken(Rule::Presence, format!("{code} {detail}")),
                None if *online => self.kept(Rule::Presence),
                None => self.kept(Rule::LastWill),
            },
        }
    }

    fn request(&mut self, asked: &Asked) {
        self.requests += 1;
        let id = asked.id.clone().unwrap_or_else(|| "a request without an id".to_owned());
        let named = format!("{} {id}", asked.op);
        self.by_fault(asked, &named);
        let qos = (asked.qos == 0).then(|| format!("{named} came with QoS 0"));
        self.say(Rule::Qos, qos);
        match asked.answer_to {
            AnswerTo::Foreign => {
                self.broken(Rule::ReplyTopic, format!("{named} asks to be answered elsewhere"))
            }
            AnswerTo::Own | AnswerTo::Unsaid => self.kept(Rule::ReplyTopic),
        }
        self.retries(asked, &id, &named);
        if let Some(sale) = &asked.sale {
            self.numbers(sale, &id, &named);
        }
        if let Some(quote) = &asked.quote {
            let expires = self.quotes.get(quote).and_then(|expires| UnixMs::parse_rfc3339(expires));
            match expires {
                Some(expires) if asked.at > expires => {
                    self.broken(Rule::Quotes, format!("{named} commits quote {quote} after {expires}"));
                }
                _ => self.kept(Rule::Quotes),
            }
        }
    }

    /// What the door says of it.
    fn by_fault(&mut self, asked: &Asked, named: &str) {
        let at_fault = asked.fault.as_ref().map(|(code, _)| match code {
            Code::UnknownField => Rule::Fields,
            Code::BadId => Rule::Ids,
            Code::PayloadTooLarge | Code::TooDeep => Rule::Size,
            Code::BadTime => Rule::Time,
            Code::UnsupportedContentType => Rule::ContentType,
            _ => Rule::Document,
        });
        let example = asked.fault.as_ref().map(|(code, detail)| format!("{named}: {code} {detail}"));
        for rule in [Rule::Document, Rule::Fields, Rule::Ids, Rule::Size, Rule::ContentType] {
            match &example {
                Some(example) if at_fault == Some(rule) => self.broken(rule, example.clone()),
                // What is not read to its end says nothing of the rest.
                Some(_) => {}
                None => self.kept(rule),
            }
        }
        match &example {
            Some(example) if at_fault == Some(Rule::Time) => self.broken(Rule::Time, example.clone()),
            None if asked.timed || asked.sale.is_some() => self.kept(Rule::Time),
            _ => {}
        }
    }

    fn retries(&mut self, asked: &Asked, id: &str, named: &str) {
        if let Some(before) = self.sent.get(id) {
            let again = before.digest == asked.digest;
            let early = before.wait_until.filter(|until| asked.at < *until).is_some();
            let waited = before.wait_until.is_some();
            if !again {
                let what = if before.meaning == asked.meaning {
                    "the same data in other bytes"
                } else {
                    "other data"
                };
                self.broken(Rule::FreshId, format!("{named} came again with {what}"));
                return;
            }
            self.kept(Rule::Retry);
            if waited {
                let early = early.then(|| format!("{named} came again before the time it was told"));
                self.say(Rule::Patience, early);
            }
            return;
        }
        self.kept(Rule::FreshId);
        // A write under a new id, though the same one is not settled yet. A read may be asked anew at any time.
        let is_write = !matches!(asked.op.as_str(), "scan" | "quote" | "wallet" | "event" | "feedback");
        if let Some(former) = self.by_meaning.get(&asked.meaning).filter(|_| is_write)
            && self.sent.get(former).is_some_and(|sent| !sent.settled)
        {
            let example = format!("{named} is {former} again, which was not answered, under a new id");
            self.broken(Rule::Retry, example);
        }
        self.by_meaning.insert(asked.meaning.clone(), id.to_owned());
        let (digest, meaning, is_sale) = (asked.digest.clone(), asked.meaning.clone(), asked.sale.is_some());
        self.sent.insert(
            id.to_owned(),
            Sent { digest, meaning, answered: None, wait_until: None, settled: false, is_sale },
        );
    }

    fn numbers(&mut self, sale: &(String, i64), id: &str, named: &str) {
        match self.sales.get(sale) {
            // Sent again.
            Some(known) if known == id => return,
            Some(known) => {
                let (day, seq) = sale;
                self.broken(Rule::Numbers, format!("{named} is {day} {seq}, as {known} was"));
            }
            None => {
                let back = self.last_sale.as_ref().filter(|last| *last > sale && last.0 == sale.0);
                let back =
                    back.map(|(day, seq)| format!("{named} is {} {} after {day} {seq}", sale.0, sale.1));
                self.say(Rule::Numbers, back);
                self.last_sale = Some(sale.clone());
            }
        }
        self.sales.insert(sale.clone(), id.to_owned());
    }

    /// All rules with what became of them.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |rule: &Rule| {
            let (kept, broken, example) = self.tally.get(rule).cloned().unwrap_or_default();
            let verdict = match (kept, broken) {
                (_, 1..) => Verdict::Broken,
                (1.., 0) => Verdict::Met,
                (0, 0) => Verdict::NotSeen,
            };
            Finding { rule: *rule, verdict, kept, broken, example }
        };
        Rule::ALL.iter().map(finding).collect()
    }

    /// Requests that were never answered.
    pub fn unanswered(&self) -> usize {
        self.sent.values().filter(|sent| sent.answered.is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: i64, op: &str, id: &str, digest: &str, meaning: &str) -> Asked {
        Asked {
            at: UnixMs(at),
            op: op.to_owned(),
            id: Some(id.to_owned()),
            bytes: 100,
            digest: digest.to_owned(),
            meaning: meaning.to_owned(),
            content_type: None,
            qos: 1,
            answer_to: AnswerTo::Own,
            fault: None,
            timed: false,
            sale: None,
            quote: None,
        }
    }

    fn reply(at: i64, re: &str, status: u64, wait_ms: Option<u64>) -> Sighting {
        Sighting::Reply {
            at: UnixMs(at),
            re: Some(re.to_owned()),
            status,
            code: None,
            retry_after_ms: wait_ms,
            quote: None,
        }
    }

    fn verdict(judge: &Judge, rule: Rule) -> Verdict {
        judge.findings().into_iter().find(|finding| finding.rule == rule).expect("every rule is told").verdict
    }

    #[test]
    fn what_is_a_proper_retry() {
        // request under an id, what came of it, and the request after: which rule is met or broken
        let first = || Sighting::Request(asked(0, "commit", "id-1", "a", "m"));
        let table: [(&str, Vec<Sighting>, Rule, Verdict); 6] = [
            ("same bytes again", vec![first(), first()], Rule::Retry, Verdict::Met),
            (
                "new id for the same sale",
                vec![first(), Sighting::Request(asked(1, "commit", "id-2", "b", "m"))],
                Rule::Retry,
                Verdict::Broken,
            ),
            (
                "the same sale once more after its answer is another matter",
                vec![
                    first(),
                    reply(1, "id-1", 409, None),
                    Sighting::Request(asked(2, "commit", "id-2", "b", "m")),
                ],
                Rule::Retry,
                Verdict::NotSeen,
            ),
            (
                "same id, other bytes",
                vec![first(), Sighting::Request(asked(1, "commit", "id-1", "b", "n"))],
                Rule::FreshId,
                Verdict::Broken,
            ),
            (
                "too early after 503",
                vec![
                    first(),
                    reply(1, "id-1", 503, Some(500)),
                    Sighting::Request(asked(400, "commit", "id-1", "a", "m")),
                ],
                Rule::Patience,
                Verdict::Broken,
            ),
            (
                "in time after 503",
                vec![
                    first(),
                    reply(1, "id-1", 503, Some(500)),
                    Sighting::Request(asked(502, "commit", "id-1", "a", "m")),
                ],
                Rule::Patience,
                Verdict::Met,
            ),
        ];
        for (what, sightings, rule, wanted) in table {
            let mut judge = Judge::default();
            sightings.iter().for_each(|sighting| judge.see(sighting));
            assert_eq!(verdict(&judge, rule), wanted, "{what}");
        }
    }

    #[test]
    fn do_numbers_rise_within_a_day() {
        let table = [
            (vec![("2026-11-18", 1), ("2026-11-18", 2), ("2026-11-19", 1)], Verdict::Met),
            (vec![("2026-11-18", 2), ("2026-11-18", 1)], Verdict::Broken),
            (vec![("2026-11-18", 2), ("2026-11-18", 2)], Verdict::Broken),
        ];
        for (names, wanted) in table {
            let mut judge = Judge::default();
            for (nth, (day, seq)) in names.iter().enumerate() {
                let id = format!("id-{nth}");
                let sale = Some(((*day).to_owned(), *seq));
                judge.see(&Sighting::Request(Asked { sale, ..asked(0, "commit", &id, &id, &id) }));
            }
            assert_eq!(verdict(&judge, Rule::Numbers), wanted, "{names:?}");
        }
    }
}
