//! Every stable code the program can answer with: what it is, why it happens and how to mend it, in both languages.
//!
//! A code is never reused and never changes its meaning; a new refusal gets a new line. Ranges: 1xxx the request
//! itself, 2xxx refused by a rule of the shop, 3xxx bundle, 4xxx configuration, 5xxx storage, 6xxx head office,
//! 7xxx broker and devices, 9xxx ours. `aisled explain AIS-2104` prints the page; `status` is the contract's.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Lang;

macro_rules! codes {
    ($($name:ident = $number:literal, $status:literal, $title_en:literal, $title_zh:literal,
        cause: $cause_en:literal, $cause_zh:literal, remedy: $remedy_en:literal, $remedy_zh:literal;)+) => {
        /// A stable code. Its documentation is its page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title_en] #[doc = $cause_en] $name = $number,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// The contract's status.
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status,)+ }
            }

            /// What it is, in a few words.
            pub fn title(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Code::$name, Lang::En) => $title_en, (Code::$name, Lang::ZhCn) => $title_zh,)+ }
            }

            /// When it happens.
            pub fn cause(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Code::$name, Lang::En) => $cause_en, (Code::$name, Lang::ZhCn) => $cause_zh,)+ }
            }

            /// What to do.
            pub fn remedy(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Code::$name, Lang::En) => $remedy_en, (Code::$name, Lang::ZhCn) => $remedy_zh,)+ }
            }
        }
    };
}

codes! {
    MalformedPayload = 1001, 400, "malformed request", "请求格式错误",
        cause: "the payload is not JSON or MessagePack, or not the document of this operation", "报文不是 JSON 或 MessagePack，或不符合该操作的文档",
        remedy: "the detail names the field by its path; compare with asyncapi.yaml", "按 detail 中的字段路径对照 asyncapi.yaml 修正";
    UnknownField = 1002, 400, "unknown field", "未知字段",
        cause: "the request holds a field that version 1 does not know", "请求含有版本 1 不认识的字段",
        remedy: "remove it or correct its spelling", "删除该字段或改正拼写";
    UnknownVersion = 1003, 400, "unknown contract version", "未知的接口版本",
        cause: "`v` is not 1", "`v` 不是 1",
        remedy: "send `\"v\":1`; the discovery document at svc/engine/status lists the versions", "发送 `\"v\":1`；可用版本见 svc/engine/status";
    BadId = 1004, 400, "bad id", "标识不合法",
        cause: "an id holds characters it must not, or is too short or too long", "标识含有不允许的字符，或过短、过长",
        remedy: "use the alphabet and length that the detail names", "按 detail 给出的字符集与长度修改";
    OutOfRange = 1005, 400, "value out of range", "数值超出范围",
        cause: "a quantity, price, amount or count is negative, zero or larger than a basket may hold", "数量、价格、金额为负、为零或过大",
        remedy: "the detail names the field and its range", "按 detail 给出的范围修改";
    TooDeep = 1006, 400, "nested too deep", "嵌套过深",
        cause: "the payload nests more than 16 containers", "报文嵌套超过 16 层",
        remedy: "send the document of the contract; it nests at most 8", "按接口文档发送（最多 8 层）";
    BadUtf8 = 1007, 400, "not UTF-8", "不是 UTF-8",
        cause: "the JSON payload is not valid UTF-8", "JSON 报文不是合法的 UTF-8",
        remedy: "encode text as UTF-8, not GBK", "请用 UTF-8 编码（不要用 GBK）";
    PayloadTooLarge = 1008, 413, "payload too large", "报文过大",
        cause: "the payload is larger than 64 KiB", "报文超过 64 KiB",
        remedy: "split the basket, or leave out what the contract does not ask for", "拆分购物篮，或去掉多余内容";
    UnsupportedContentType = 1009, 415, "unsupported content type", "不支持的内容类型",
        cause: "the content type is neither application/json nor application/msgpack", "内容类型既不是 application/json 也不是 application/msgpack",
        remedy: "send one of the two, or none and let the first byte tell", "使用二者之一，或不填";
    ForeignResponseTopic = 1010, 403, "response topic of another device", "响应主题属于其他设备",
        cause: "the response topic does not lie under the sender's own rep/", "响应主题不在发送设备自己的 rep/ 之下",
        remedy: "use aisle/1/{store}/dev/{your device}/rep/{instance}", "使用 aisle/1/{store}/dev/{本设备}/rep/{instance}";
    UnknownOperation = 1011, 404, "unknown operation", "未知操作",
        cause: "the topic names an operation that version 1 does not know", "主题中的操作不在版本 1 中",
        remedy: "use scan, quote, commit, void, return, feedback, event, enroll or wallet", "使用 scan、quote、commit、void、return、feedback、event、enroll 或 wallet";
    IdReused = 1012, 409, "id used for another request", "请求编号已用于另一请求",
        cause: "the device sent this id before with another body", "该设备曾用同一编号发送过不同的内容",
        remedy: "give each new request a new id; keep an id only to repeat the same bytes", "每个新请求使用新编号；仅在重发相同内容时沿用编号";
    BadTime = 1013, 400, "bad time", "时间格式错误",
        cause: "a time is not RFC 3339 with an offset, or a day is not YYYY-MM-DD", "时间不是带时区的 RFC 3339，或日期不是 YYYY-MM-DD",
        remedy: "write for example 2026-11-21T10:00:00+08:00", "例如 2026-11-21T10:00:00+08:00";
    Duplicate = 1014, 400, "named twice", "重复的名称",
        cause: "two entries of a list carry the same name: a line id, a gift card or a claimed promotion", "列表中两项使用同一名称：行号、储值卡或所选促销",
        remedy: "give each line its own id; send each card and claim once", "每行使用不同的行号；每张卡、每项选择只发送一次";

    UnknownSku = 2001, 404, "unknown article", "商品不存在",
        cause: "a sku is not in the bundle's catalogue and the line carries no unit price", "商品不在目录中，且该行没有单价",
        remedy: "send the till's unit_price with the line, or publish the article", "随该行发送收银机单价，或发布该商品";
    UnknownTransaction = 2002, 404, "unknown transaction", "交易不存在",
        cause: "no sale with this device, business day and number is known here", "本店没有该设备、营业日与流水号的销售",
        remedy: "check the three parts of the key; goods of another shop are returned there or without receipt", "核对三项；他店商品请在原店退货";
    TransactionExists = 2003, 409, "transaction exists with other content", "交易已存在且内容不同",
        cause: "a sale with this device, business day and number was committed with another content", "同一设备、营业日与流水号已提交过不同的销售",
        remedy: "give the new sale its own number", "为新的销售使用新的流水号";
    QuoteExpired = 2004, 410, "quote expired", "报价已过期",
        cause: "the quote is older than its expiry, or was made before the daemon restarted", "报价已过有效期，或服务已重启",
        remedy: "ask for a new quote, or commit with the basket", "重新报价，或直接用购物篮提交";
    QuoteOfAnotherDevice = 2005, 403, "quote of another device", "报价属于其他设备",
        cause: "the quote was made for another device", "该报价由其他设备取得",
        remedy: "commit on the device that asked, or ask again here", "在原设备提交，或在本机重新报价";
    AlreadyVoided = 2006, 409, "already voided", "已作废",
        cause: "the sale was voided before", "该销售已作废",
        remedy: "nothing is left to void or return", "无可作废或退货的内容";
    NothingLeftToReturn = 2007, 422, "more returned than sold", "退货数量超过销售数量",
        cause: "a line holds fewer units than are to come back, counting earlier returns", "该行剩余可退数量不足",
        remedy: "the detail names the line and what is left of it", "按 detail 给出的剩余数量退货";
    UnknownLine = 2008, 404, "unknown line", "行不存在",
        cause: "the sale has no line with this id", "销售中没有该行",
        remedy: "use the line ids of the receipt", "使用小票上的行号";
    PartialReturnBlocked = 2009, 422, "only all of it may come back", "仅可整单退货",
        cause: "a promotion on the line allows a return only as a whole", "该行的促销仅允许整单退货",
        remedy: "return every unit the promotion reached, or void the sale", "退回促销涉及的全部商品，或作废整单";
    TendersDoNotAddUp = 2010, 422, "payments do not add up", "付款金额不足",
        cause: "the payments are less than the total to pay", "付款合计小于应付金额",
        remedy: "the detail names both sums; change (找零) may make the payments more, never less", "detail 给出两个金额；付款可多（找零）不可少";
    MemberNeeded = 2011, 422, "a known member is needed", "需要会员",
        cause: "points were to be spent without a known member", "未识别会员而要使用积分",
        remedy: "scan the member first", "请先识别会员";
    ConsentNeeded = 2012, 422, "consent is needed", "需要会员同意",
        cause: "an enrolment came without consent to the programme", "入会时未同意会员计划",
        remedy: "ask the shopper and send consent.programme = true", "征得同意后发送 consent.programme = true";
    AlreadyEnrolled = 2013, 409, "already a member", "已是会员",
        cause: "the token belongs to a member already", "该凭证已属于某会员",
        remedy: "scan it instead", "请直接扫码";
    VoidAfterReturn = 2014, 409, "goods have come back already", "已有退货",
        cause: "part of the sale was returned before it was to be voided", "该销售已部分退货，不能整单作废",
        remedy: "return the rest line by line", "请逐行退回其余商品";
    AmountTooLarge = 2015, 422, "amount too large", "金额过大",
        cause: "prices and quantities multiply to more than a basket may hold", "单价与数量的乘积超过上限",
        remedy: "check the till's unit price; it is in minor units", "核对单价（以分为单位）";
    Busy = 2901, 503, "not now", "暂时繁忙",
        cause: "more decisions wait for the disk than the queue holds", "等待写盘的决策过多",
        remedy: "repeat the same request with the same id after retry_after_ms", "按 retry_after_ms 后以相同编号重发";
    SlowDown = 2902, 429, "slow down", "请求过快",
        cause: "the device sends faster than one device may", "该设备发送过快",
        remedy: "repeat after retry_after_ms", "按 retry_after_ms 后重发";
    NoBundle = 2903, 503, "no bundle yet", "尚无规则包",
        cause: "no bundle was installed on this box", "本机尚未安装规则包",
        remedy: "aisled bundle install FILE, or wait for head office", "执行 aisled bundle install FILE，或等待总部下发";
    ShuttingDown = 2904, 503, "shutting down", "正在停止",
        cause: "the daemon is being stopped", "服务正在停止",
        remedy: "repeat with the same id when svc/engine/status says ready", "待 svc/engine/status 就绪后以相同编号重发";
    Quarantined = 9001, 503, "request set aside", "请求已隔离",
        cause: "the same request broke a rule of our own twice", "同一请求两次触发内部断言",
        remedy: "send us the request and the log; the till goes on without the answer", "请将请求与日志发给我们；收银可继续";
}

impl Code {
    /// The number after `AIS-`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code of a text such as `AIS-2104`, in any case, with or without the prefix.
    pub fn parse(text: &str) -> Option<Code> {
        let text = text.trim().to_ascii_uppercase();
        let number: u16 = text.strip_prefix("AIS-").unwrap_or(&text).parse().ok()?;
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AIS-{:04}", self.number())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Code::parse(&text).ok_or_else(|| serde::de::Error::custom(format_args!("no code is called {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_code_a_page_of_its_own() {
        let mut numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::ALL.len(), "a number is used once, in rising order");
        assert!(numbers.is_sorted());
        for code in Code::ALL {
            for lang in [Lang::En, Lang::ZhCn] {
                for text in [code.title(lang), code.cause(lang), code.remedy(lang)] {
                    assert!(text.len() > 3, "{code} lacks a text");
                }
            }
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
    }
}
