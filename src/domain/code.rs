//! Every stable code the program can answer with: what it is, why it happens and how to mend it, in both languages.
//!
//! A code is never reused and never changes its meaning; a new refusal gets a new line. Ranges: 1xxx the request
//! itself, 2xxx refused by a rule of the shop, 3xxx bundle, 4xxx configuration, 5xxx storage, 6xxx head office,
//! 7xxx broker and devices, 75xx the console, 8xxx files given to the lab, 9xxx ours. `aisled explain AIS-2104` prints the page; `status` is the contract's.

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
        cause: "points were to be spent, or a referral code was presented, without a known member", "未识别会员而要使用积分或推荐码",
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
    TooFewPoints = 2016, 422, "not enough points", "积分不足",
        cause: "the member holds fewer points than the sale would spend", "会员积分少于本次要使用的积分",
        remedy: "quote again: `points.spend` = \"max\" spends what there is", "重新报价；`points.spend` 设为 \"max\" 则使用全部可用积分";
    CodeUsedMeanwhile = 2017, 409, "coupon used meanwhile", "优惠券已被使用",
        cause: "a single-use code of the quote was redeemed by another sale", "报价中的单次券已被另一笔销售使用",
        remedy: "quote again without the code", "去掉该券后重新报价";
    CodeMovedMeanwhile = 2018, 409, "coupon moved meanwhile", "优惠券已转至其他门店",
        cause: "head office moved a single-use code of the quote to another shop after the quote was made", "报价之后，总部已将其中的单次券转至其他门店",
        remedy: "quote again without the code; it is redeemed at its new home", "去掉该券后重新报价；该券在新的所属门店使用";
    TokenTaken = 2019, 409, "token of another member", "凭证属于其他会员",
        cause: "the token that was to be linked belongs to another member", "要绑定的凭证已属于另一会员",
        remedy: "ask head office to merge the two members", "请总部合并两个会员";
    TooManyTokens = 2020, 422, "too many tokens", "凭证过多",
        cause: "the member has as many linked tokens as a member may have", "该会员绑定的凭证已达上限",
        remedy: "let head office take away those that are not used", "请总部清理不再使用的凭证";
    TimeNotBelieved = 2021, 422, "time not believed", "时间不可信",
        cause: "a device says that something was seen in the future, or so long ago that it is not counted any more", "设备上报的时间在将来，或早于可计入的期限",
        remedy: "set the device's clock; what it said is kept in the journal and counted for nobody", "校准设备时钟；该记录已留存但不计入会员画像";
    TokenUnknown = 2022, 404, "token of nobody", "凭证无人持有",
        cause: "an event names a member by a token that nobody known here holds", "事件所带凭证在本店没有对应会员",
        remedy: "nothing; enrol the shopper for such events to be counted", "无需处理；办理入会后此类事件才会计入";
    DetailDropped = 2023, 422, "details dropped", "明细已舍弃",
        cause: "a member's history holds no more categories, parts of a sale, kinds of events or marks than its bounds; the oldest left, or the cheapest of one sale", "会员历史的品类、单次销售的部分、事件种类或标记已达上限，最旧者（或同一销售中金额最小者）已舍弃",
        remedy: "nothing: sums stay exact; `aisled segments count` says how many details are gone", "无需处理：合计仍然准确；`aisled segments count` 显示舍弃数量";
    SeriesEmpty = 2024, 409, "no number left here", "本店号码已用完",
        cause: "what head office lent this shop of a series of coupon codes or member numbers is used up or has expired: the sale stands without the coupon, the member is enrolled under an id of the shop's own", "总部借给本店的券码或会员号段已用完或过期：销售照常成立但未发券；入会照常，会员号由本店自行生成",
        remedy: "nothing at the till; the shop asks for more as soon as it has a line, and head office raises `count` when the series itself runs out", "收银端无需处理；恢复联网后门店自动申请；若整个号段用尽，请总部调大 `count`";
    ClockDoubted = 2025, 503, "decided under a doubtful clock", "决定时系统时间可疑",
        cause: "the box's clock was more than a day behind, or half a year ahead, of when its rules were signed and what it decided before: the decision stands, its windows of time held by that clock", "主机时钟比规则签发时间及此前的决定早一天以上，或晚半年以上：该决定有效，时段类优惠按当时的时钟判断",
        remedy: "set the clock and switch on time synchronisation; `at` of this decision is not to be relied on", "校准时间并启用自动对时；该决定的时间不可信";

    CodeUnknown = 2101, 422, "code not known", "券码不存在",
        cause: "no rules of this shop and no issued coupon know the code", "本店规则与已发放的券中没有该券码",
        remedy: "check the spelling; a code issued elsewhere today is known here after head office's next update", "核对券码；他处当天发放的券在总部下次更新后可用";
    CodeUsed = 2102, 409, "code used before", "券码已使用",
        cause: "the code is good for one sale and a sale used it, or it stands twice in this basket", "该券只能使用一次且已被使用，或在本单中重复出现",
        remedy: "void or return that sale whole if it was a mistake; the code is good again then", "若属误用，整单作废或退货后该券恢复可用";
    CodeNotYours = 2103, 422, "code of another member", "券码属于其他会员",
        cause: "the code was given to one member, and the sale is another's or nobody's", "该券只限本人使用，而本单是其他会员或非会员",
        remedy: "scan the member it was given to", "请识别券的持有会员";
    CodeHeld = 2104, 409, "code held by another quote", "券码正被其他报价占用",
        cause: "an open quote of another basket holds the single-use code", "另一购物篮的未完成报价正在占用该单次券",
        remedy: "finish that sale, or wait until its quote expires", "完成那笔销售，或等待其报价过期";
    CodeElsewhere = 2105, 422, "code of another shop", "券码须在其他门店使用",
        cause: "the code may be redeemed without asking in its own shop only", "该券只能在其所属门店直接使用",
        remedy: "redeem it in the shop that issued it", "请到发券门店使用";
    CodeOutOfTime = 2106, 422, "code out of time", "券码不在有效期内",
        cause: "the code is not good yet, not at this hour, or not any more", "该券尚未生效、不在可用时段或已过期",
        remedy: "the coupon's reason says which of them", "原因见 reason";
    ReferralOwn = 2107, 422, "own referral code", "本人的推荐码",
        cause: "the referral code belongs to the shopper or to somebody of their household", "推荐码属于购物者本人或其家庭成员",
        remedy: "hand it on: it is for others, and its owner gains when they buy", "请转给他人使用；他人购买后本人获得奖励";
    ReferralNotNew = 2108, 422, "not a new member", "不是新会员",
        cause: "the referral code is for a member's first purchase, or another one serves this sale already", "推荐码仅限会员首单，或本单已使用另一推荐码",
        remedy: "leave it out; offers for members apply as ever", "去掉该推荐码；其他会员优惠照常";
    VoucherMalformed = 2111, 422, "voucher damaged", "合作方券码残缺",
        cause: "the code begins as a partner's voucher does and is not a whole one", "券码以合作方券的前缀开头但内容不完整",
        remedy: "scan it again; typed by hand, a letter is wrong or missing", "请重新扫码；手工输入时有错漏字符";
    VoucherKeyUnknown = 2112, 422, "voucher of an unknown partner", "未知的合作方",
        cause: "no partner of the shop's rules signs with the voucher's key", "规则包的合作方均不使用该券的密钥",
        remedy: "check whether partners.toml lists the partner's present key, and whether this box has the newest bundle", "核对 partners.toml 中的合作方公钥，以及本机规则包是否最新";
    VoucherSignatureBad = 2113, 422, "voucher not genuine", "合作方券码签名不符",
        cause: "the voucher was changed after its partner signed it, is another chain's, or is forged", "该券在签发后被改动、属于其他商家或为伪造",
        remedy: "do not take it; tell the partner if there are several", "请勿接受；多次出现时通知合作方";
    VoucherNotAllowed = 2114, 422, "voucher not agreed on", "合作方券超出约定",
        cause: "the partner may not issue this promotion or so much money, or its key is not taken on this day", "合作方无权发放该促销或该金额，或其密钥当天不可用",
        remedy: "compare the partner's promotions, value_max and days in partners.toml with what was agreed", "核对 partners.toml 中的 promotions、value_max 与日期";
    MemberUnknown = 2115, 404, "unknown member", "未知会员",
        cause: "no member with this id is known on this box", "本机没有该会员编号的记录",
        remedy: "look the id up with aisled scan KIND VALUE, or ask head office", "用 aisled scan 查询会员编号，或询问总部";
    MemberForgotten = 2116, 410, "member was forgotten", "会员已被遗忘",
        cause: "the member asked to be forgotten: what is left is what their baskets cost, in decisions that name nobody", "会员要求被遗忘：仅保留不指向任何人的购物篮金额",
        remedy: "nothing; a decision of theirs may come out otherwise when it is replayed without their birthday or attributes", "无需处理；缺少生日或属性时，重放其决策的结果可能不同";
    OrderUnknown = 2201, 404, "unknown order", "订单不存在",
        cause: "no order of this number waits here: it was never sent to this shop, is for another shop, or is long over", "本店没有该编号的待取订单：从未发送到本店、属于其他门店，或早已结束",
        remedy: "read the shop on the shopper's message; with the right shop and a line to head office, wait a minute and scan again", "核对顾客通知中的取货门店；若门店无误且与总部连通，请一分钟后重新扫码";
    OrderElsewhere = 2202, 422, "order of another shop", "订单须在其他门店提取",
        cause: "the order is to be handed over in another shop; the detail names it", "该订单须在其他门店提取，门店见 detail",
        remedy: "send the shopper to the shop that the detail names", "请顾客前往 detail 所示门店";
    OrderExpired = 2203, 410, "order kept no longer", "订单已过保留期",
        cause: "the last moment at which the order is handed over has passed; the detail says when", "订单已超过最后取货时间，时间见 detail",
        remedy: "let the online shop keep it longer, or cancel it there and give the money back", "请线上商城延长保留期，或取消订单并退款";
    OrderCancelled = 2204, 410, "order cancelled", "订单已取消",
        cause: "the online shop cancelled the order before it was handed over", "线上商城已在交付前取消该订单",
        remedy: "do not hand it over: the money goes back online; put the goods back", "请勿交付，款项由线上退回；商品请归架";
    OrderCollected = 2205, 409, "order handed over before", "订单已交付",
        cause: "the order was handed over already; the detail says when, at which device and in which decision", "该订单已交付，时间、设备与决策编号见 detail",
        remedy: "do not hand it over again; `aisled explain DECISION` shows the first hand-over", "请勿再次交付；用 `aisled explain 决策编号` 查看首次交付";
    OrdersFull = 2206, 422, "no room for another order", "待取订单已满",
        cause: "the shop holds as many waiting orders as it may, in all or of one member or code", "本店或同一会员、同一取货码的待取订单已达上限",
        remedy: "hand over, cancel or let expire what waits, then place the order again", "先交付、取消或等待过期，再重新下单";

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

    NotABundle = 3001, 422, "not a bundle", "不是规则包",
        cause: "the file does not begin as a packed bundle does", "文件开头不是打包的规则包",
        remedy: "make one with aisled bundle sign; a folder is checked with aisled bundle check", "用 aisled bundle sign 生成；文件夹请用 aisled bundle check";
    BundleFormatUnknown = 3002, 422, "unknown bundle format", "未知的规则包格式",
        cause: "the bundle was packed by a newer program than this one", "规则包由更新的程序打包",
        remedy: "update aisled on this box, or sign the bundle with the version the box runs", "升级本机 aisled，或用本机版本重新签名";
    BundleKeyUnknown = 3003, 403, "unknown signing key", "未知的签名密钥",
        cause: "no trusted public key is the one the bundle was signed with", "规则包的签名密钥不在信任列表中",
        remedy: "add the key to the configuration's trusted keys, if it is head office's", "若确为总部密钥，请加入配置的信任列表";
    BundleSignatureBad = 3004, 403, "bad signature", "签名不符",
        cause: "the bundle was changed after it was signed, or by somebody without the key", "规则包在签名后被改动，或并非由密钥持有者签名",
        remedy: "fetch it again from head office; the active bundle stays", "请重新从总部获取；当前规则包不变";
    BundleOlder = 3005, 409, "older than the active bundle", "版本低于当前规则包",
        cause: "the bundle's version is lower than one this box has had", "规则包版本低于本机已用过的版本",
        remedy: "publish the old rules again under a higher version", "以更高版本重新发布旧规则";
    BundleTooLarge = 3006, 413, "bundle too large", "规则包过大",
        cause: "the bundle or one of its sections is larger than a box may take", "规则包或其中一节超过上限",
        remedy: "the detail names the section and its limit; ship fewer members or codes to a shop", "按 detail 中的限制减少会员或券码";
    BundleRatio = 3007, 422, "unpacks to too much", "解压后过大",
        cause: "a section unpacks to far more than real data does", "某节解压后的大小异常",
        remedy: "do not use this file; ask who signed it", "请勿使用该文件，并联系签名者";
    BundleTruncated = 3008, 422, "bundle cut short", "规则包不完整",
        cause: "the file ends before the bundle does", "文件提前结束",
        remedy: "copy or fetch it again", "请重新复制或获取";
    BundleMalformed = 3009, 422, "bundle malformed", "规则包内容错误",
        cause: "a signed bundle holds what a bundle must not, or bytes after its end", "已签名的规则包含有不允许的内容，或末尾有多余字节",
        remedy: "sign the folder again with a released aisled", "用正式版 aisled 重新签名";
    BundleWrongStore = 3010, 403, "not for this shop", "不适用于本店",
        cause: "the bundle lists the shops it is for, and this one is not among them", "规则包列出的门店不含本店",
        remedy: "install the bundle of this shop, or add the shop to shop.toml's stores", "安装本店的规则包，或在 shop.toml 的 stores 中加入本店";
    BundleClash = 3011, 409, "same version, other content", "版本相同但内容不同",
        cause: "two bundles were signed with the same version", "两个规则包使用了同一版本号",
        remedy: "sign the newer one with a higher version", "以更高版本号重新签名";
    BundleKeyMalformed = 3012, 422, "not a key", "不是密钥",
        cause: "a key file or a public key does not read as one", "密钥文件或公钥格式不正确",
        remedy: "a secret key file holds 64 hexadecimal digits, a public key is aisled-ed25519:<64 digits>; aisled bundle keygen makes both", "私钥文件为 64 位十六进制，公钥为 aisled-ed25519:<64 位>；可用 aisled bundle keygen 生成";
    BundleUnreadable = 3013, 503, "bundle cannot be read", "无法读取规则包",
        cause: "the disk or connection the bundle comes from failed", "规则包所在的磁盘或连接出错",
        remedy: "the detail names the system's error; the active bundle stays", "detail 给出系统错误；当前规则包不变";
    BundleStale = 3014, 503, "rules older than promised", "规则包已过时",
        cause: "head office promised newer rules by a date that has passed: it sent none, or somebody keeps them from this box", "总部承诺的更新日期已过：总部未下发，或有人阻止本机收到更新",
        remedy: "look at the line to head office and ask it for its newest version; selling goes on by the rules there are", "检查与总部的线路并询问其最新版本；期间按现有规则继续销售";
    BundleMandateBad = 3015, 403, "signing key without a mandate", "签名密钥未获授权",
        cause: "the statement that names the signing key is changed, ended before the bundle was signed, or not signed by a trusted key", "授权签名密钥的声明被改动、在签名前已失效，或不是由受信任密钥签发",
        remedy: "let the holder of the trusted key make a new one with aisled bundle mandate", "请受信任密钥的持有者用 aisled bundle mandate 重新签发";
    BundleMandateOlder = 3016, 403, "signing key was replaced", "签名密钥已被替换",
        cause: "a later statement of the same trusted key names another signing key", "同一受信任密钥已在更新的声明中指定了其他签名密钥",
        remedy: "sign with the key of the newest statement; the old one may be in wrong hands", "使用最新声明中的密钥签名；旧密钥可能已泄露";
    ModelShape = 3021, 422, "model of the wrong shape", "模型形状不符",
        cause: "a shipped model has not as many numbers as belong together, for its features or for the shop's members and items, or no rank or too large a one", "下发的模型的数值个数与其特征数或本店会员数、商品数不符，或维数为零或过大",
        remedy: "ship it as it was fitted, exported for this shop; the detail names the side, what there should be and what there is", "按拟合所得、为本店导出后下发；detail 指出哪一侧、应有与实有的个数";
    ModelNotFinite = 3022, 422, "model with a number that is none", "模型含有非数值",
        cause: "a shipped model, or a shopper's row it is asked about, holds NaN or infinity, or a spread that is none", "下发的模型或所询问的会员数据含有 NaN、无穷大，或非正的离散度",
        remedy: "look at how it was fitted; the detail names the place; until then offers keep the bundle's order", "检查其训练过程；detail 指出所在处；此前优惠按规则包中的顺序排列";
    ModelUnreadable = 3023, 422, "model cannot be read", "模型无法读取",
        cause: "the shipped network is no ONNX file, is cut short, or holds what is not taken: weights in another file or of another type than 32-bit floats, functions, a training, an attribute or an opset of another kind", "下发的网络不是 ONNX 文件、不完整，或含有不接受的内容：权重在另一文件或不是 32 位浮点数、函数、训练信息、其他属性或 opset",
        remedy: "export it again in one file, in inference mode, with an opset of 9 to 18; the detail names the part; until then the shop proposes without it", "以推理模式、opset 9 到 18 重新导出为单个文件；detail 指出所在部分；此前本店不用它也照常推荐";
    ModelOperator = 3024, 422, "model with an operator that is not taken", "模型含有不支持的算子",
        cause: "a node of the shipped network has an operator that is none of a row going through layers", "下发的网络中某个节点的算子不属于“一行数据逐层计算”所需",
        remedy: "the detail names the node and the operators there are; export the model without it", "detail 指出节点和可用的算子；去掉该算子后重新导出";
    ModelTooLarge = 3025, 413, "model too large", "模型过大",
        cause: "the shipped network has more bytes, articles, nodes or multiply-adds than a box works with between a scan and its reply", "下发的网络的字节数、商品数、节点数或乘加次数超过设备在扫码应答之间所能承担",
        remedy: "make a layer narrower or name fewer articles; the detail says how much is taken", "缩小某一层或减少商品数；detail 给出上限";
    AuthoringFileUnknown = 3101, 422, "unknown file", "未知的文件",
        cause: "a TOML, JSON or ONNX file of the folder has a name no bundle knows", "文件夹中的 TOML、JSON 或 ONNX 文件名不被识别",
        remedy: "name it as the detail says, or move it out of the folder", "按 detail 改名，或移出文件夹";
    AuthoringFileMissing = 3102, 422, "file missing", "缺少文件",
        cause: "a folder needs at least shop.toml; network.onnx and network.json need each other", "文件夹至少需要 shop.toml；network.onnx 与 network.json 须同时存在",
        remedy: "aisled bundle init DIR writes an example to start from", "可用 aisled bundle init DIR 生成示例";
    AuthoringSyntax = 3103, 422, "not readable as TOML or JSON", "不是合法的 TOML 或 JSON",
        cause: "the file breaks the syntax of its format at the position named", "文件在所示位置语法错误",
        remedy: "compare the line with the example of aisled bundle init", "请对照 aisled bundle init 的示例";
    AuthoringField = 3104, 422, "field missing, unknown or of another kind", "字段缺失、未知或类型不符",
        cause: "an entry lacks a field it needs, has one nobody knows, or holds a value that does not fit", "条目缺少必需字段、含有未知字段，或值不合适",
        remedy: "the message says what is expected; aisled bundle schema prints every field", "按提示修改；aisled bundle schema 列出全部字段";
    AuthoringDuplicate = 3105, 422, "id used twice", "标识重复",
        cause: "two entries have the same id, code or token", "两个条目使用同一标识、券码或凭证",
        remedy: "give one of them another", "请修改其中之一";
    AuthoringReference = 3106, 422, "refers to nothing", "引用不存在",
        cause: "an entry names a promotion, article, segment, tier, coupon or campaign that the folder does not hold", "条目引用了文件夹中不存在的促销、商品、人群、等级、券或活动",
        remedy: "correct the spelling or add what is meant", "改正拼写，或补充被引用的内容";
    AuthoringPredicate = 3107, 422, "segment does not compile", "人群条件有误",
        cause: "a segment's `when` is not a predicate over the member", "人群的 `when` 不是合法的会员条件",
        remedy: "the position is that of the fault inside the predicate; the message says what is expected there", "位置指向条件内出错处，请按提示修改";
    AuthoringRule = 3108, 422, "promotion does not compile", "促销规则有误",
        cause: "a promotion's parts do not go together", "促销的各部分不相容",
        remedy: "the message names the part and what it needs", "按提示修改相应部分";
    AuthoringRange = 3109, 422, "value out of range", "数值超出范围",
        cause: "a price, count, day or text is outside what a shop may use", "价格、数量、日期或文字超出允许范围",
        remedy: "the message names the range", "按提示的范围修改";
    AdviceMonotone = 3201, 422, "buying more or joining can cost more", "多买或入会反而更贵",
        cause: "a condition, audience or stacking rule takes an offer away from somebody who joins, presents a coupon or buys one thing more", "条件、适用人群或叠加方式会使入会、出示优惠券或多买一件的顾客失去优惠",
        remedy: "cap what is given (caps, a tier) in place of the condition, weigh offers against each other (mode = \"best_of\", resolution = \"best\"), or leave it if that is meant", "改用上限（caps）或阶梯代替该条件，或让优惠择优（mode = \"best_of\"、resolution = \"best\"）；若有意如此可忽略";
    AdviceNever = 3202, 422, "can never apply", "永远不会生效",
        cause: "the schedule, audience, conditions, sets or thresholds of an entry cannot all be met, or it gives nothing at today's prices", "时段、人群、条件、商品范围或门槛无法同时满足，或按当前价格不产生任何优惠",
        remedy: "mend the part named, or write active = false", "修改所示部分，或写 active = false";
    AdviceOverlap = 3203, 422, "the same offer twice", "优惠重复",
        cause: "two promotions give the same kind of benefit on the same goods to the same people at the same time, and both apply", "两条促销在同一时间对相同商品、相同人群给予同类优惠，且会同时生效",
        remedy: "let one of them end before the other begins, put both into one stacking group with mode = \"best_of\", or leave it if both are meant to apply", "错开时间，或放入同一叠加组并设 mode = \"best_of\"；若确需同享可忽略";
    AdviceBelowCost = 3204, 422, "sells below cost", "低于成本",
        cause: "in the worst basket the promotion alone takes a unit below what the shop pays for it", "在最不利的购物篮中，仅此促销就会使单价低于成本",
        remedy: "give the article a floor_price, write caps.floor_price, or lower the benefit; aisled bundle simulate shows what it costs on real baskets", "设置商品 floor_price 或 caps.floor_price，或降低优惠；aisled bundle simulate 可用真实购物篮估算";
    AdviceNoCode = 3205, 422, "no code can reach a shopper", "没有可用的券码",
        cause: "a coupon has no code, or is only issued by an offer that needs such a coupon first", "该券没有券码，或仅由需要先持有该券的优惠发放",
        remedy: "give it a code, write codes.json, or let an offer that everybody can reach issue it", "填写 code 或 codes.json，或由人人可达的优惠发放";

    ConfigUnreadable = 4001, 503, "configuration cannot be read", "无法读取配置文件",
        cause: "aisled.toml does not exist, may not be read, or is larger than 1 MiB", "aisled.toml 不存在、无读取权限，或超过 1 MiB",
        remedy: "check the path given with --config or AISLED_CONFIG and its permissions; `aisled config doc` prints a file to begin with", "检查 --config 或 AISLED_CONFIG 给出的路径及权限；`aisled config doc` 可输出初始配置";
    ConfigSyntax = 4002, 503, "configuration is not TOML", "配置文件不是合法的 TOML",
        cause: "the line and column named do not follow TOML's grammar, or the file is not UTF-8", "所指行列不符合 TOML 语法，或文件不是 UTF-8 编码",
        remedy: "correct the place named: texts stand in double quotes, a key stands once; save as UTF-8, not GBK", "修正所指位置：文本加双引号，同一键只写一次；以 UTF-8（而非 GBK）保存";
    ConfigUnknownKey = 4003, 503, "unknown configuration key", "未知的配置项",
        cause: "the section or key is not one of this version", "该节或键不属于本版本",
        remedy: "take the name suggested, or look it up with `aisled config doc`", "改用提示的名称，或用 `aisled config doc` 查询";
    ConfigWrongType = 4004, 503, "configuration value of the wrong type", "配置值类型错误",
        cause: "the value is, for example, a text where a number is expected", "例如应为数字处写了文本",
        remedy: "write what the message allows", "按提示的类型填写";
    ConfigValue = 4005, 503, "configuration value not allowed", "配置值不被允许",
        cause: "the value has the right type but is out of range or not in the form needed", "类型正确，但超出范围或格式不符",
        remedy: "write what the message allows", "按提示的范围或格式填写";
    ConfigKeyMissing = 4006, 503, "configuration key missing", "缺少配置项",
        cause: "another key makes this one necessary", "另一配置项要求必须填写此项",
        remedy: "add the key the message names", "补充提示中的配置项";
    SecretInConfig = 4007, 503, "secret in the configuration", "配置中含有密钥",
        cause: "the key would put a password or private key into a file that is shown, copied and backed up", "该键会把密码或私钥写进会被查看、复制和备份的文件",
        remedy: "put the secret into a file of its own (mode 0600) or a systemd credential, and name it with the key that ends in _file", "将密钥放入单独文件（权限 0600）或 systemd 凭据，并用以 _file 结尾的键指向它";
    KeysContradict = 4008, 503, "configuration keys contradict", "配置项互相矛盾",
        cause: "two keys ask for different things", "两个配置项的要求不一致",
        remedy: "decide which of the two is meant, as the message says", "按提示二者取一";
    DevicesFile = 4009, 503, "bad line in the devices file", "设备文件中有错误行",
        cause: "a line does not hold a device id and the proof of who it is, or a device stands twice", "某行不是“设备号 凭证”，或设备重复",
        remedy: "let aisled devices add, rotate and remove write the file; each device once", "请用 aisled devices add、rotate、remove 维护该文件；每台设备一行";
    SecretUnreadable = 4010, 503, "secret cannot be read", "无法读取密钥",
        cause: "a password file or systemd credential is missing, empty, too long or may not be read", "密码文件或 systemd 凭据缺失、为空、过长或无读取权限",
        remedy: "create the file named for the user aisled with mode 0600, or add LoadCredential= to the unit", "为用户 aisled 创建所指文件（权限 0600），或在单元中加入 LoadCredential=";
    ListenNotLoopback = 4011, 503, "embedded broker on the network", "内置消息服务不可对外监听",
        cause: "broker.listen is not a loopback address, and it does not encrypt", "broker.listen 不是回环地址，而该端口不加密",
        remedy: "keep broker.listen on 127.0.0.1 and set broker.listen_tls, which encrypts and asks every device for its proof", "broker.listen 保持 127.0.0.1，并设置 broker.listen_tls（加密且要求设备凭证）";
    DevicesUnwritable = 4012, 503, "devices file cannot be written", "无法写入设备文件",
        cause: "the devices file or its directory may not be written, or the disk is full", "设备文件或其目录无写权限，或磁盘已满",
        remedy: "run the verb as root or as the user aisled; the message says what the system said", "以 root 或用户 aisled 执行；消息给出系统错误";
    SecretOpen = 4013, 503, "secret that others can read", "密钥文件可被他人读取",
        cause: "a password or key file may be read by every user of this machine, or written by its group", "密码或密钥文件可被本机所有用户读取，或可被同组用户改写",
        remedy: "chmod 600 the file (640 for root and the group aisled), and change the secret if others use this machine", "对文件执行 chmod 600（root 与 aisled 组可用 640）；若本机有其他用户，请更换密钥";
    CertificateUnusable = 4014, 503, "certificate or key unusable", "证书或密钥无法使用",
        cause: "a certificate or key file cannot be read or made, or the two do not belong together", "证书或密钥文件无法读取、无法生成，或二者不匹配",
        remedy: "the message names the file; give PEM files of one pair, or `aisled devices ca init` for the shop's own", "消息给出文件名；请提供配套的 PEM 文件，或用 aisled devices ca init 生成门店证书";
    DataDirUnusable = 4101, 503, "data directory unusable", "数据目录不可用",
        cause: "the data directory does not exist, is no directory, or the user may not write to it", "数据目录不存在、不是目录，或当前用户无写权限",
        remedy: "create it for the user aisled (systemd does: StateDirectory=aisled), or correct store.data_dir", "为用户 aisled 创建目录（systemd 的 StateDirectory=aisled 会自动创建），或修正 store.data_dir";
    DiskSpaceLow = 4102, 503, "little space on the disk", "磁盘空间不足",
        cause: "less is free where the data lies than storage.free_space_min_mb", "数据所在磁盘剩余空间低于 storage.free_space_min_mb",
        remedy: "free space on that disk; sales go on, but nothing scarce is given", "清理磁盘；销售继续，但暂停发放限量优惠";
    NoTrustedKey = 4103, 503, "no bundle is trusted", "未信任任何规则包签名",
        cause: "bundle.trusted_keys is empty, so no bundle can be verified", "bundle.trusted_keys 为空，任何规则包都无法验证",
        remedy: "add the public key that head office signs with", "加入总部签名所用的公钥";
    BrokerPortTaken = 4104, 503, "broker port taken", "端口被占用",
        cause: "another program listens on broker.listen", "另有程序正在监听 broker.listen",
        remedy: "stop it (often a mosquitto), or choose another port", "停止该程序（常为 mosquitto），或改用其他端口";
    BrokerNotReached = 4105, 503, "broker does not answer", "消息服务无应答",
        cause: "no connection to the shop's broker could be opened", "无法连接店内消息服务",
        remedy: "check that it runs and that broker.url names it", "检查其是否运行、broker.url 是否正确";
    HeadOfficeNameUnknown = 4106, 503, "head office's name is unknown", "无法解析总部域名",
        cause: "DNS gives no address for the host of head_office.url", "DNS 无法解析 head_office.url 的主机名",
        remedy: "check the name, the box's DNS server and its line; selling goes on", "检查域名、DNS 与线路；销售不受影响";
    HeadOfficeUnreachable = 4107, 503, "head office does not answer", "总部无应答",
        cause: "no connection to head_office.url could be opened", "无法连接 head_office.url",
        remedy: "check the line, the firewall and the port, and for a public address IPAddressAllow= of the systemd unit; selling goes on and the journal waits", "检查线路、防火墙与端口；公网地址还须在 systemd 单元中加 IPAddressAllow=；销售继续，待发数据会保留";
    PlainTextToHeadOffice = 4108, 503, "head office is spoken to in plain text", "与总部的通信未加密",
        cause: "head_office.url begins with mqtt:// and leaves this machine", "head_office.url 以 mqtt:// 开头且不在本机",
        remedy: "use mqtts://, or a tunnel that ends on this machine", "改用 mqtts://，或使用终点在本机的加密隧道";
    ClockWrong = 4109, 503, "wall clock is wrong", "系统时间错误",
        cause: "the clock shows a time before this program was written, before the last decision of this box or the signing of its rules, or after 2100", "系统时间早于本程序编写时间、本机最近一次决策或规则包签名时间，或晚于 2100 年",
        remedy: "set the clock and switch on time synchronisation (timedatectl set-ntp true); an empty battery does this at each start", "校准时间并启用自动对时（timedatectl set-ntp true）；主板电池耗尽会反复出现";
    BrokerCertificate = 4110, 503, "broker's certificate is refused", "消息服务证书不被接受",
        cause: "the certificate of the shop's own broker is of another authority, for another name or has ended, or the broker does not take the daemon's", "门店自有消息服务的证书由其他机构签发、名称不符或已过期，或其不接受本服务的证书",
        remedy: "the detail says which; compare broker.ca_file, broker.cert_file and broker.url with the broker's own files", "按提示核对 broker.ca_file、broker.cert_file、broker.url 与消息服务自身的文件";
    BrokerRefuses = 4111, 503, "broker refuses the daemon", "消息服务拒绝本服务",
        cause: "the shop's own broker does not take the daemon's user name and password, or what answers is no MQTT broker", "门店自有消息服务不接受本服务的用户名或密码，或应答方不是 MQTT 服务",
        remedy: "check broker.username, broker.password_file and the broker's own password file", "检查 broker.username、broker.password_file 与消息服务的密码文件";

    DiskFailed = 5001, 503, "disk failure", "磁盘故障",
        cause: "a disk operation failed; the log names the operation and the file", "磁盘操作失败，日志中有操作与文件名",
        remedy: "the daemon stops and restarts by itself; if it comes back, check and replace the disk", "服务会自动停止并重启；若再次出现，请检查并更换磁盘";
    DiskFull = 5002, 503, "disk full", "磁盘已满",
        cause: "no space is left for the journal", "日志没有可用空间",
        remedy: "free space on the data disk; nothing acknowledged is lost", "释放数据盘空间；已确认的数据不会丢失";
    DiskReadOnly = 5003, 503, "disk is read-only", "磁盘只读",
        cause: "the data directory cannot be written", "数据目录无法写入",
        remedy: "check the mount and the disk's health; the system remounts a failing disk read-only", "检查挂载与磁盘健康；磁盘出错时系统会改为只读";
    JournalPoisoned = 5004, 503, "journal stopped", "日志已停止写入",
        cause: "an earlier write or sync failed, so nothing more is acknowledged", "此前写入或同步失败，因此不再确认新的数据",
        remedy: "let the supervisor restart the daemon; the failure before this one is the cause", "等待自动重启；原因见此前的错误";
    JournalVersion = 5005, 503, "journal of a later version", "日志版本过新",
        cause: "a newer daemon has written this data directory", "该数据目录由更新版本的服务写入",
        remedy: "install that version again; nothing was changed", "请重新安装该版本；数据未被改动";
    DirectoryLocked = 5006, 503, "data directory in use", "数据目录被占用",
        cause: "another daemon runs on this data directory", "另一个服务正在使用该数据目录",
        remedy: "stop the process that the message names, or use another directory", "停止提示中的进程，或使用其他目录";
    GroupTooLarge = 5007, 503, "group too large", "分组过大",
        cause: "decisions were grouped beyond what one journal frame holds", "一组决策超过单个日志帧的容量",
        remedy: "this is ours: send us the log", "这是程序问题：请将日志发给我们";
    GroupCount = 5008, 503, "group of a wrong size", "分组数量错误",
        cause: "a group holds no decision or too many", "一组决策为空或数量过多",
        remedy: "this is ours: send us the log", "这是程序问题：请将日志发给我们";
    DecisionPruned = 5009, 503, "decision no longer here", "决策已清理",
        cause: "the decision is durable at head office and was pruned here", "该决策已在总部持久保存，本店已清理",
        remedy: "ask head office for it", "请向总部查询";
    JournalGap = 5010, 503, "decisions missing", "日志有缺口",
        cause: "decisions were damaged on the disk and stand in quarantine", "部分决策在磁盘上损坏，已隔离",
        remedy: "tell head office the numbers, keep the quarantine directory and check the disk", "将编号告知总部，保留 quarantine 目录并检查磁盘";
    JournalDamaged = 5011, 503, "journal damaged", "日志损坏",
        cause: "bytes of the journal do not check; none of them was used", "日志校验失败，损坏内容未被使用",
        remedy: "the segment is set aside at the next start; check the disk", "下次启动时会隔离该段；请检查磁盘";
    EpochOlder = 5012, 503, "copy of an older box", "旧设备的副本",
        cause: "the journal holds a later epoch than this box was given", "日志中的纪元比本机的更新",
        remedy: "find out which box is alive and start only that one", "确认正在使用的设备，只启动那一台";
    StorageIdentity = 5013, 503, "identity of the data directory", "数据目录身份异常",
        cause: "identity.json is unreadable, belongs to another store, or is missing beside a journal", "identity.json 无法读取、属于其他门店，或缺失而日志仍在",
        remedy: "correct store.id in aisled.toml, or restore the file from a backup", "改正 aisled.toml 中的 store.id，或从备份恢复该文件";
    StorageTables = 5014, 503, "tables failed", "数据表故障",
        cause: "sled failed or a record of the tables does not check", "sled 出错，或表中记录校验失败",
        remedy: "restart: the tables are set aside and rebuilt from the journal; no sale is lost", "重启即可：数据表会被隔离并由日志重建，销售不会丢失";
    StorageEntry = 5015, 503, "decision of a newer version", "由更新版本写入的决策",
        cause: "the journal holds an intact decision that this version cannot read", "日志中有本版本无法读取的完整决策",
        remedy: "install the newer version again; a downgrade is not supported", "重新安装较新的版本；不支持降级";
    Degraded = 5016, 503, "nothing scarce is given now", "暂停发放限量优惠",
        cause: "the data disk is low on space, full or read-only: the shop sells by its rules but spends nothing that is limited, no single-use codes, no limited offers, no points", "数据盘空间不足、已满或只读：照常销售，但暂停单次券、限量优惠与积分抵扣",
        remedy: "free space on the data disk or check its mount; the daemon goes back to normal by itself", "清理数据盘或检查挂载；恢复后服务自动回到正常";
    StorageCheckpoint = 5017, 503, "checkpoint does not check", "检查点校验失败",
        cause: "bytes of a checkpoint of the tables changed on the disk; none of them was used", "数据表检查点在磁盘上损坏，未被使用",
        remedy: "the one before it stands in and the next is written anew; check the disk", "将使用前一个检查点并重新生成；请检查磁盘";
    BackupBad = 5018, 422, "backup does not check", "备份校验失败",
        cause: "a file of the backup is missing, changed or of another format", "备份中的文件缺失、被改动或格式不符",
        remedy: "use another backup; make the next with aisled backup, which reads back what it wrote", "请使用其他备份；aisled backup 会在写入后回读校验";
    RestoreOver = 5019, 409, "there is data already", "目标目录已有数据",
        cause: "a backup was to be restored over a directory that holds a shop's data", "恢复的目标目录中已有门店数据",
        remedy: "move that directory away first, or restore into another one", "请先移走该目录，或恢复到其他目录";
    DirectoryMoved = 5020, 503, "data from another machine", "数据来自其他机器",
        cause: "the data directory was last used on a machine with another /etc/machine-id: a disk that moved, or a copy of one", "数据目录上次在 machine-id 不同的机器上使用：磁盘被移动或复制",
        remedy: "nothing, if the disk moved; of two that run, stop the copy; where machine-id changes at each boot, set storage.bound_to_machine = false; head office writes the old life's slices off with aisled hub write-off", "若为移动磁盘则无需处理；若两台同时运行，请停用副本；若 machine-id 每次启动都变化，请设置 storage.bound_to_machine = false；旧生命周期的额度可在总部用 aisled hub write-off 核销";
    NameDamaged = 5021, 503, "name does not check", "名称记录校验失败",
        cause: "a line of the file `names` in the data directory changed on the disk: a personal value of older decisions reads as forgotten; tables and checkpoints still have it", "数据目录中 names 文件的一行在磁盘上损坏：较早决策中的该个人信息按已遗忘处理；数据表与检查点仍保留",
        remedy: "put `names` back from a backup if the older decisions are to name the member again; check the disk", "如需较早决策重新显示该会员，请从备份恢复 names 文件；并检查磁盘";

    AuditBroken = 5022, 422, "audit log does not check", "审计日志校验失败",
        cause: "an act was changed, taken out or cut off after it was written", "审计记录在写入后被修改、删除或截断",
        remedy: "the message names the first place; keep the files, compare with a backup and with the system's journal, which holds each act's hash", "消息给出首个出错位置；请保留文件并与备份及系统日志（含每条记录的哈希）核对";
    AuditUnwritable = 5023, 503, "audit log cannot be written", "无法写入审计日志",
        cause: "audit.log in the data directory may not be written, or the disk is full", "数据目录中的 audit.log 无写权限，或磁盘已满",
        remedy: "free space or mend the permissions, then do it again; what must be audited is not done unaudited", "释放空间或修正权限后重试；须审计的操作不会在无审计时执行";

    HeadOfficeNotFound = 6001, 503, "head office's name is not found", "找不到总部地址",
        cause: "the name service knows no address of head office, or there is no line at all", "域名服务没有总部的地址，或线路不通",
        remedy: "check the shop's line and head_office.url; selling goes on meanwhile", "检查门店线路与 head_office.url；期间销售不受影响";
    HeadOfficeNoLine = 6002, 503, "no connection to head office", "无法连接总部",
        cause: "the connection to head office's broker is refused, broken or unanswered", "与总部消息服务器的连接被拒绝、中断或无应答",
        remedy: "check line and firewall, then whether head office's broker runs", "检查线路与防火墙，再确认总部消息服务器是否运行";
    HeadOfficeCertificate = 6003, 503, "head office's certificate is refused", "总部证书不被接受",
        cause: "the certificate is not signed by the configured authority, or is for another name", "证书不是由所配置的机构签发，或名称不符",
        remedy: "compare the authority configured here with head office's certificate", "核对本机配置的签发机构与总部证书";
    HeadOfficeClock = 6004, 503, "this clock and head office's differ", "本机时钟与总部不一致",
        cause: "a certificate is not valid at this box's time, or the two clocks are minutes apart", "按本机时间证书无效，或两边时钟相差数分钟",
        remedy: "set this box's clock first; if it is right, renew the certificate", "先校准本机时钟；若时钟正确则更新证书";
    HeadOfficeRefuses = 6005, 503, "head office's broker refuses the connection", "总部消息服务器拒绝连接",
        cause: "the broker is full, stopping, or does not speak MQTT 5", "消息服务器已满、正在停止或不支持 MQTT 5",
        remedy: "the detail names its reason; ask whoever runs head office's broker", "detail 给出原因；联系总部消息服务器管理员";
    HeadOfficeLogin = 6006, 503, "head office refuses this shop's login", "总部拒绝本店的登录",
        cause: "user name or password is wrong, or the shop may not hear its own topics", "用户名或密码错误，或无权订阅本店主题",
        remedy: "check head_office.username and its password; the user name is the store id", "检查 head_office.username 与密码；用户名即门店编号";
    HeadOfficeSilent = 6007, 503, "head office does not answer", "总部没有应答",
        cause: "the broker is there, and the service behind it does not acknowledge", "消息服务器在线，但其后的服务没有确认",
        remedy: "look at head office's service; `aisled outbox status` names an entry it stumbles over", "检查总部服务；aisled outbox status 会指出卡住的记录";
    HeadOfficeContradicts = 6008, 503, "head office contradicts itself or this shop", "总部信息矛盾",
        cause: "it answers as an older incarnation, or has more of this journal than this box", "总部以更早的版本应答，或持有比本机更多的日志",
        remedy: "was head office restored, or this box copied? a copied or spare box needs a new epoch", "确认总部是否恢复过备份、本机是否为复制品；复制或备用机需要新的 epoch";
    OutboxUnreadable = 6009, 503, "the journal cannot be read for sending", "无法读取待发送的日志",
        cause: "an entry that is due to head office does not read from this box's journal", "应发送给总部的记录无法从日志读取",
        remedy: "see the storage error in the log; selling goes on, and so do the entries before it", "查看日志中的存储错误；销售与之前的记录不受影响";
    HeadOfficeName = 6010, 503, "head office's certificate is for another name", "总部证书名称不符",
        cause: "the certificate is good, but does not name the host of head_office.url", "证书有效，但不含 head_office.url 的主机名",
        remedy: "write the name the certificate holds into head_office.url; if it was right, somebody stands between", "在 head_office.url 中填写证书所含的名称；若原本正确，则可能有人居中冒充";
    HeadOfficeExpired = 6011, 503, "head office's certificate has ended", "总部证书已过期",
        cause: "by this box's clock the certificate ended", "按本机时钟，证书已过期",
        remedy: "if this box's clock is right, head office must renew its certificate; selling goes on", "若本机时钟正确，请总部更新证书；销售不受影响";
    HeadOfficeWantsCertificate = 6012, 503, "head office refuses this shop's certificate", "总部拒绝本店证书",
        cause: "head office wants a certificate of this shop and got none, or one that ended, is of another authority or of another shop", "总部要求本店证书，而本店未提供，或证书已过期、由其他机构签发或属于其他门店",
        remedy: "check head_office.cert_file and head_office.key_file, and ask head office for a new certificate of this shop", "检查 head_office.cert_file 与 head_office.key_file，并向总部申请新的门店证书";
    HubData = 6101, 503, "head office's data cannot be used", "总部数据不可用",
        cause: "a file of head office's data cannot be read or written, or is of another format", "总部数据文件无法读写或格式不符",
        remedy: "the message names the file and what the system said", "按消息中的文件与系统提示处理";
    HubRunning = 6102, 503, "head office runs already", "总部服务已在运行",
        cause: "another head office holds this data directory", "另一总部进程占用该数据目录",
        remedy: "stop it, or give this one a directory of its own", "停止它，或使用另一个目录";
    HubListen = 6103, 503, "head office cannot listen", "总部服务无法监听",
        cause: "the address is taken or not of this machine, or it is beyond loopback without a password", "地址被占用或不属于本机，或对外监听而未设密码",
        remedy: "choose another address, or give a password file", "更换地址，或提供密码文件";
    HubBundle = 6104, 503, "the bundle to offer cannot be read", "无法读取要发布的规则包",
        cause: "the file is missing, empty, too large, or not a packed bundle", "文件缺失、为空、过大或不是规则包",
        remedy: "make it with aisled bundle sign", "使用 aisled bundle sign 生成";
    HubEnded = 6105, 503, "head office ended", "总部服务已结束",
        cause: "its broker or its writer stopped", "其消息服务器或写入线程停止",
        remedy: "the message says why; start it again, shops send what is missing", "按消息处理后重新启动，门店会补发";
    HubMove = 6106, 503, "a code's home is not moved", "券的所属门店未转移",
        cause: "its home redeemed it, does not know it or is another shop, or the shop it goes to knows of a later move", "该券已被使用、原门店没有该券或并非其所属门店，或新门店已知更晚的转移",
        remedy: "`aisled hub status` names both shops; ask again from where its home is, if it is to move at all", "aisled hub status 会列出两家门店；如仍需转移，请从现所属门店重新发起";
    HubCounts = 6107, 503, "a shop and head office count otherwise", "门店与总部的统计不一致",
        cause: "the same entries come to other counts or sums in the shop's tables and in head office's books: one of the two is damaged, runs a program that counts otherwise, or the shop's disk was copied", "同一批条目在门店数据表与总部账目中的统计不同：一方数据损坏、程序统计方式不同，或门店磁盘曾被复制",
        remedy: "`aisled hub status` shows both; every entry is kept, so `aisled replay` and the receipts say who is right; nothing stops meanwhile", "aisled hub status 会显示双方数字；所有条目均已保留，可用 aisled replay 与小票核对；期间业务不受影响";
    HubShop = 6108, 401, "a shop is not let in", "门店被拒绝接入",
        cause: "a shop's password is wrong, or its certificate does not name the store it says it is", "门店密码错误，或证书未注明其所称的门店",
        remedy: "give the shop a certificate with its store id as DNS name; somebody else may use that id", "为门店签发以其编号为 DNS 名称的证书；也可能有他人冒用该编号";
    HubOrder = 6111, 409, "an order is not taken", "订单未被接受",
        cause: "an online shop's order is for a shop that never said hello, out of bounds, known with other content, over already or another partner's; the detail says which", "线上订单的门店从未连接、内容超出上限、与已知内容不同、已经结束或属于其他合作方，详见 detail",
        remedy: "correct the order as the detail says; a changed order gets a number of its own", "按 detail 修正；内容不同的订单请使用新的编号";
    BrokerNotLoopback = 7001, 503, "embedded broker on a network address", "内置消息代理监听了网络地址",
        cause: "the embedded broker was told to listen on an address that other machines reach, where it would serve plain text", "内置消息代理被配置为监听其他机器可达的地址，而它只提供明文连接",
        remedy: "keep the loopback default and set broker.listen_tls for the network", "保留默认的本机地址，网络设备请使用 broker.listen_tls";
    BrokerCannotListen = 7002, 503, "embedded broker cannot listen", "内置消息代理无法监听",
        cause: "its address is taken by another program or is not of this machine", "地址被其他程序占用，或不属于本机",
        remedy: "stop the other broker, or give this one another port", "停止另一个代理，或改用其他端口";
    BrokerDidNotStart = 7003, 503, "embedded broker did not start", "内置消息代理未能启动",
        cause: "it was not ready within 5 seconds", "5 秒内未就绪",
        remedy: "look at the log above this line; a box out of memory or file handles shows here first", "查看此前的日志；内存或文件句柄不足常在此处先暴露";
    BrokerEnded = 7004, 503, "embedded broker ended", "内置消息代理意外退出",
        cause: "it stopped while the daemon needed it", "守护进程仍需要它时它停止了",
        remedy: "the supervisor restarts the daemon; send us the log", "守护进程会被自动重启；请将日志发给我们";
    NoRandomness = 7005, 503, "no random bytes", "无法取得随机数",
        cause: "the system gives no random bytes for the secret between daemon and broker", "系统无法提供守护进程与代理之间密钥所需的随机数",
        remedy: "check that /dev/urandom is readable by the service", "检查服务是否可读 /dev/urandom";
    BrokerUnreachable = 7101, 503, "no connection to the broker", "未连接到消息代理",
        cause: "a message was to go out while the daemon had no connection to its broker", "发送消息时守护进程未连接到消息代理",
        remedy: "the log says why it cannot connect: address, user name, password or certificate; devices ask again by themselves", "日志给出无法连接的原因（地址、用户名、密码或证书）；设备会自行重试";
    BrokerTooSlow = 7102, 503, "broker does not keep up", "消息代理跟不上",
        cause: "2,048 messages wait for the broker already", "已有 2,048 条消息等待代理接收",
        remedy: "look at the box's load and at who sends so much; devices ask again by themselves", "检查主机负载与发送量异常的设备；设备会自行重试";
    MessageTooLarge = 7103, 503, "message too large for the broker", "消息超过代理上限",
        cause: "the broker takes smaller packets than the daemon was to send", "代理允许的报文小于守护进程要发送的",
        remedy: "raise the broker's maximum packet size to 256 KiB", "将代理的最大报文调到 256 KiB";
    MessageTopic = 7104, 503, "message without a proper topic", "消息主题不合法",
        cause: "a message was to go to an empty topic or to one with a wildcard", "消息主题为空或含通配符",
        remedy: "send us the log: the daemon builds its topics itself", "请将日志发给我们：主题由守护进程自行生成";

    DeviceRefused = 7201, 401, "unknown device or wrong proof", "设备未登记或凭证错误",
        cause: "a device connected under a name that is not in the devices file, or with a wrong password or certificate", "设备名不在设备文件中，或密码、证书不符",
        remedy: "aisled devices list shows who is known; add the device, or rotate its password if it is lost", "用 aisled devices list 查看；登记该设备，或在密码遗失时轮换";
    DeviceClientId = 7202, 403, "client id of another", "使用了他人的客户端标识",
        cause: "a device gave a client id that is neither its own id nor begins with it and a dot, or a lasting session under another than its own", "设备的 client id 既不是自己的编号也不以“编号.”开头，或以其他标识请求持久会话",
        remedy: "set the client id to the device id; if it was meant, somebody tries to take over a session", "将 client id 设为设备编号；若为有意，则有人试图接管会话";
    DeviceTopic = 7203, 403, "topic that is not the device's", "主题不属于该设备",
        cause: "a device published, subscribed or left a will where its role has no right", "设备在其角色无权的主题上发布、订阅或设置遗嘱",
        remedy: "a device writes below its own dev/{device}/ and hears its own rep/ and evt/; a kiosk does not sell: aisled devices list shows roles", "设备只能写自己的 dev/{device}/ 并收听自己的 rep/ 与 evt/；kiosk 不能销售：角色见 aisled devices list";
    DeviceLoop = 7204, 429, "device connects in a loop", "设备循环重连",
        cause: "a device connects again and again: two hold one identity, or its library resends what was refused", "设备不断重连：两台设备共用一个身份，或其程序库不断重发被拒内容",
        remedy: "look for AIS-7203 of the same device; give each device an identity of its own", "查看同一设备的 AIS-7203；为每台设备分配独立身份";
    DeviceConnections = 7205, 429, "too many connections of one device", "单台设备连接过多",
        cause: "a device holds as many connections as one device may", "该设备的连接数已达上限",
        remedy: "close those it does not use; a program per device, not per request", "关闭不用的连接；每台设备一个连接，而非每次请求一个";
    GateFull = 7206, 503, "too many connections", "连接过多",
        cause: "as many connections as a box takes are open, or as many that have not said who they are", "本机连接数已达上限，或未表明身份的连接过多",
        remedy: "find who opens them by the address named; devices that are connected sell on", "按所示地址查找来源；已连接的设备继续销售";
    GateSilent = 7207, 408, "connection that says nothing", "连接无数据",
        cause: "a connection was opened and no handshake or first byte came in time", "连接建立后未在时限内完成握手或发送数据",
        remedy: "nothing, if it was a scan; a device that does this has a broken network", "若为扫描则无需处理；若为设备，请检查其网络";
    GateTls = 7208, 401, "encryption refused", "加密连接被拒绝",
        cause: "a device spoke no TLS 1.3, does not believe this box's authority, or showed a certificate nobody here signed", "设备不支持 TLS 1.3、不信任本机证书机构，或出示了非本机签发的证书",
        remedy: "give the device the shop's authority (aisled devices ca show) or enrol it again", "将门店证书机构（aisled devices ca show）提供给设备，或重新登记";
    DeviceUnknown = 7211, 404, "device not known", "设备不存在",
        cause: "no line of the devices file names this device", "设备文件中没有该设备",
        remedy: "aisled devices list shows who is known; aisled devices add makes a new one", "用 aisled devices list 查看；用 aisled devices add 新增";
    DeviceKnown = 7212, 409, "device known already", "设备已存在",
        cause: "the devices file holds this device", "设备文件中已有该设备",
        remedy: "aisled devices rotate gives it a new password; remove it first to begin anew", "用 aisled devices rotate 更换密码；或先移除再新增";
    DevicesTooMany = 7213, 422, "too many devices", "设备过多",
        cause: "the devices file holds as many devices as a shop may have", "设备数量已达门店上限",
        remedy: "remove those that are gone", "移除不再使用的设备";
    DeviceNoMosquitto = 7214, 422, "proof that Mosquitto does not take", "Mosquitto 不支持的凭证",
        cause: "a device has a proof of an earlier version, or a certificate only", "设备使用旧版凭证，或仅有证书",
        remedy: "aisled devices rotate DEVICE gives it a password whose proof Mosquitto takes", "执行 aisled devices rotate 设备号 以生成 Mosquitto 支持的凭证";
    DeviceCertificateEnds = 7215, 401, "device's certificate ends", "设备证书即将到期",
        cause: "the certificate with which a device proves itself has ended, or ends within a month", "设备用于证明身份的证书已过期或将在一个月内到期",
        remedy: "`aisled devices rotate DEVICE --certificate FOLDER` makes a new one; carry both files to the device", "执行 `aisled devices rotate 设备号 --certificate 目录` 生成新证书，并将两个文件复制到设备";
    EnrolCode = 7221, 403, "enrolment code not good", "登记码无效",
        cause: "the code was never given, is for another device, was used, or is older than 15 minutes; after many wrong ones all are thrown away", "登记码不存在、属于其他设备、已使用或超过 15 分钟；多次错误后全部作废",
        remedy: "ask for a new one: aisled devices enroll DEVICE", "重新获取：aisled devices enroll 设备号";
    EnrolClosed = 7222, 409, "nobody can enrol here", "未开放登记",
        cause: "the box listens on no encrypted port, so a device could not fetch its identity", "本机未监听加密端口，设备无法获取身份",
        remedy: "set broker.listen_tls, or carry the password over by hand: aisled devices add", "设置 broker.listen_tls，或用 aisled devices add 手工登记";
    EnrolRequest = 7223, 400, "enrolment request malformed", "登记请求格式错误",
        cause: "what came to the encrypted port is no GET /ca.pem and no POST /enroll with device and code", "到达加密端口的请求不是 GET /ca.pem，也不是带 device 与 code 的 POST /enroll",
        remedy: "send POST /enroll with {\"device\":\"...\",\"code\":\"...\"}; see examples/python/enroll.py", "发送 POST /enroll，内容 {\"device\":\"...\",\"code\":\"...\"}；参见 examples/python/enroll.py";
    ConsoleHostUnknown = 7501, 421, "another host's name", "主机名不符",
        cause: "the console was asked under a name that is not its own: a wrong link, a proxy that passes another name, or a page elsewhere that points its name here", "访问管理页面所用的主机名不属于它：链接有误、代理改了主机名，或其他网页把域名指向了本机",
        remedy: "open the address of console.listen, or add the name to console.hosts", "请用 console.listen 的地址访问，或将该主机名加入 console.hosts";
    ConsoleForeignOrigin = 7502, 403, "sent from another site", "请求来自其他网站",
        cause: "a form was sent to the console from a page that is not the console's", "提交表单的页面不是本管理页面",
        remedy: "nothing was done; open the console itself and do it there", "未执行任何操作；请打开管理页面后再操作";
    ConsoleFormStale = 7503, 403, "form too old", "表单已失效",
        cause: "the form was opened before the last sign-in, or its secret is missing", "表单在重新登录之前打开，或缺少校验值",
        remedy: "nothing was done; reload the page and send it again", "未执行任何操作；请刷新页面后重试";
    ConsoleLoginNeeded = 7504, 401, "sign in first", "请先登录",
        cause: "nobody is signed in, or the session has ended", "尚未登录，或会话已结束",
        remedy: "sign in; without a name, ask whoever runs the box for `aisled console user add NAME`", "请登录；没有账号请联系管理员执行 `aisled console user add 名称`";
    ConsoleLoginWrong = 7505, 401, "name or password wrong", "用户名或密码错误",
        cause: "no such user, or another password", "用户不存在或密码不符",
        remedy: "try again; a forgotten password is replaced with `aisled console user passwd NAME`", "请重试；忘记密码请联系管理员执行 `aisled console user passwd 名称`";
    ConsoleLoginThrottled = 7506, 429, "too many wrong passwords", "密码错误次数过多",
        cause: "this name, or this address, failed to sign in too often", "该用户或该地址登录失败次数过多",
        remedy: "wait as long as the page says", "请按页面提示的时间等待";
    ConsoleRoleMissing = 7507, 403, "not for this role", "权限不足",
        cause: "the page needs a higher role than the one that is signed in", "当前角色无权查看该页面",
        remedy: "ask whoever runs the box for the role: `aisled console user add NAME --role manager`", "请联系管理员授予角色：`aisled console user add 名称 --role manager`";
    ConsoleTooFast = 7508, 429, "too many requests", "请求过于频繁",
        cause: "this address asks for more pages than the console answers, so that selling is never slowed", "该地址请求页面过于频繁；为不影响销售，予以限制",
        remedy: "wait a second; a script reads /metrics once in ten seconds at most", "请稍候再试；脚本读取 /metrics 的间隔不少于十秒";
    ConsoleNoSuchPage = 7509, 404, "no such page", "页面不存在",
        cause: "the console has no page of this name", "管理页面中没有该页",
        remedy: "choose one from the menu", "请从菜单中选择";
    ConsoleBusy = 7510, 503, "console busy", "管理页面繁忙",
        cause: "others are counting already, and selling comes first", "已有其他统计正在进行，销售优先",
        remedy: "try again in a few seconds", "请数秒后重试";
    ConsoleCannotListen = 7511, 503, "console cannot listen", "管理页面无法监听",
        cause: "the address of console.listen is taken, or is not this machine's; selling goes on without the console", "console.listen 的地址已被占用或不属于本机；销售照常，管理页面不可用",
        remedy: "free the port or change console.listen; the daemon tries again every ten seconds", "释放端口或修改 console.listen；服务每十秒重试一次";
    ConsoleBadForm = 7512, 400, "form not understood", "表单无法读取",
        cause: "a field is missing, too long or not what it should be", "字段缺失、过长或格式错误",
        remedy: "the detail names the field", "按提示修改该字段";
    ConsoleUsersFile = 7513, 503, "users cannot be read", "无法读取用户文件",
        cause: "the file of the console's users is damaged, or cannot be read or written", "管理页面的用户文件损坏或无法读写",
        remedy: "check console-users.json in the data directory; removing it removes every user", "检查数据目录中的 console-users.json；删除该文件即删除所有用户";
    ConsolePasswordWeak = 7514, 422, "password too short", "密码过短",
        cause: "the new password is too short, too long, or twice not the same", "新密码过短、过长，或两次输入不一致",
        remedy: "choose a sentence of ten characters or more, and type it twice", "请使用至少十个字符的密码，并输入两次";
    ConsoleCodeWrong = 7515, 401, "one-time code wrong", "一次性代码无效",
        cause: "the code is wrong, was used before, or is older than a day", "代码错误、已使用，或超过一天",
        remedy: "ask for a new one: `aisled console user passwd NAME`", "请重新获取：`aisled console user passwd 名称`";
    ConsoleUserExists = 7516, 409, "user exists", "用户已存在",
        cause: "a user of this name is there already", "该用户名已存在",
        remedy: "choose another name, or replace the password: `aisled console user passwd NAME`", "请换用其他名称，或重置密码：`aisled console user passwd 名称`";
    ConsoleUserUnknown = 7517, 404, "no such user", "用户不存在",
        cause: "no user of this name is there", "没有该用户",
        remedy: "`aisled console user list` names them all", "执行 `aisled console user list` 查看全部用户";
    ConsoleNoDecision = 7518, 404, "no such decision", "没有该决策",
        cause: "no decision of this number is in the journal of this box: it is another shop's, or older than the journal is kept", "本机日志中没有该编号的决策：属于其他门店，或已超过保留期",
        remedy: "check the reference on the receipt (STORE/EPOCH/NUMBER); head office keeps older ones", "核对小票上的编号（门店/周期/序号）；更早的决策由总部保存";
    ConsoleCannotCount = 7519, 503, "cannot be counted now", "暂时无法统计",
        cause: "the journal or the tables could not be read for this page, or hold more than the console counts", "无法读取该页所需的日志或数据表，或数据量超过管理页面的统计上限",
        remedy: "read the detail; the verb of the same name in the shell counts without that bound", "查看详细信息；命令行中的同名命令不受该上限限制";
    ConsoleCertificate = 7520, 503, "console's certificate cannot be read", "管理页面证书无法读取",
        cause: "console.certificate_file or console.key_file is missing, is not PEM, or the two do not belong together; selling goes on without the console", "console.certificate_file 或 console.key_file 不存在、不是 PEM 格式，或两者不匹配；销售照常，管理页面不可用",
        remedy: "mend the files the detail names; the daemon looks at them again by itself", "修正提示的文件；服务会自动重新读取";
    ConsoleCounting = 7521, 503, "being counted", "正在统计",
        cause: "the page counts over all the shop's decisions, which takes a while; the tills come first", "该页需要统计门店全部决策，需要一些时间；收银优先",
        remedy: "wait: the page comes by itself", "请稍候，页面会自动刷新";
    ConsolePlainText = 7522, 400, "plain HTTP on the encrypted port", "对加密端口使用了明文 HTTP",
        cause: "the console is served over TLS, and the browser spoke plain HTTP: the address began with http://", "管理页面仅提供加密访问，而浏览器使用了明文 HTTP：地址以 http:// 开头",
        remedy: "open the same address with https:// in front", "请将地址开头改为 https:// 后重新访问";

    LabColumns = 8001, 400, "not the columns asked for", "缺少所需的列",
        cause: "the first line of an analysed file does not name the columns the analysis reads", "待分析文件的首行没有分析所需的列名",
        remedy: "the message lists the columns; name them in the first line, in any order, others may stand beside them", "按消息列出的列名写在首行，顺序不限，可有其他列";
    LabValue = 8002, 422, "not a value of this column", "该列的值不合法",
        cause: "a row of an analysed file holds no number, a negative one, NaN, infinity or no day where one belongs, or lacks the column", "待分析文件的某行在该列不是数字、为负、为 NaN 或无穷、不是日期，或缺少该列",
        remedy: "the message names line and column; the row was left out and the rest counts", "消息给出行与列；该行已略过，其余照常计算";
    LabContradiction = 8003, 422, "a row contradicts itself", "该行自相矛盾",
        cause: "a customer without repeat purchases has a day of the last one, one with some has none, or bought after the end of the observation", "没有复购却有最近复购时间，有复购却没有，或最近购买晚于观察期末",
        remedy: "x counts repeat purchases, t_x is when the last one was and T how long the customer was seen, both since the first purchase", "x 为复购次数，t_x 为最近复购时间，T 为观察时长，均自首购起算";
    LabTooFew = 8004, 422, "too few rows", "行数过少",
        cause: "an analysed file holds fewer sound rows than the analysis needs", "待分析文件中有效的行少于分析所需",
        remedy: "the message names both numbers; see the faults of the rows first", "消息给出两个数字；请先处理各行的错误";
    LabNothingToFit = 8005, 422, "nothing to fit", "没有可拟合的内容",
        cause: "no customer of the file came back, or all are alike, so that no model can tell them apart", "文件中无人复购，或所有客户完全相同，模型无从区分",
        remedy: "observe longer, or take customers of a longer period", "延长观察期，或选取更长时期的客户";
    LabNoOptimum = 8006, 422, "the fit found no optimum", "拟合未收敛",
        cause: "the likelihood has no maximum inside the range that is searched: a parameter runs off, or its top is flat", "在搜索范围内似然函数没有最大值：参数趋于极端，或顶部平坦",
        remedy: "small or uniform files often have none: rather use another model or the naive baseline beside it, or observe longer", "样本小或过于一致时常见：请改用其他模型或旁边的朴素基线，或延长观察期";
    LabTooMuch = 8007, 413, "more than an analysis holds", "超出分析的上限",
        cause: "a file has more customers, items or results than one analysis keeps in memory", "文件中的客户、商品或结果超出一次分析的内存上限",
        remedy: "the message names the bound: split the file, or ask for higher support and confidence", "消息给出上限：拆分文件，或提高支持度与置信度";
    LabConstant = 8008, 422, "a column that never changes", "列值恒定",
        cause: "a column of an analysed file holds one value in all rows to learn from, or no number at all", "待分析文件中某列在学习用的行里只有一个值，或没有任何数字",
        remedy: "nothing: the column is left out; if it should say something, look at how the file was made", "无需处理：该列不参与计算；若本应有变化，请检查文件的生成过程";
    LabDuplicates = 8009, 422, "rows that repeat", "重复的行",
        cause: "most rows of an analysed file are the same as another row", "待分析文件中多数行与其他行完全相同",
        remedy: "look at how the file was made: figures from repeated rows look surer than they are", "请检查文件的生成过程：重复行会使结果显得过于可靠";
    TrialWrong = 8103, 422, "a plan of experiments that cannot be", "实验方案不成立",
        cause: "experiments of a layer overlap, a range or holdout is impossible, or an id is missing or there twice", "同层实验区间重叠、区间或保留比例不合法，或标识缺失、重复",
        remedy: "the message names the experiment; ranges of one layer must not share buckets of 0 to 10,000", "消息给出实验名；同一层的区间在 0 至 10,000 内不得重叠";
    PoslogMalformed = 8201, 400, "not a POSLog that can be read", "无法读取的 POSLog",
        cause: "the file is not well-formed UTF-8 XML with a POSLog, brings a document type or entities of its own, or nests or holds more than is read", "文件不是 UTF-8 的良构 POSLog XML，含有文档类型声明或自定义实体，或嵌套、内容超出上限",
        remedy: "the message names the line; nothing of the file was taken: mend it or split it, and import it again", "消息给出行号；文件未导入任何内容，请修正或拆分后重新导入";
    PoslogValue = 8202, 422, "a transaction lacks something", "交易缺少内容或数值不合法",
        cause: "a transaction of a POSLog has no store, till, day, number, time, article or total, or a value that is none", "POSLog 中某笔交易缺少门店、设备、日期、流水号、时间、商品或合计，或数值不合法",
        remedy: "the message names the line; the others were taken: mend this one and import the file again, what is here is not taken twice", "消息给出行号；其余已导入，修正后重新导入即可，不会重复";
    PoslogOtherShop = 8203, 422, "a transaction of another shop", "其他门店的交易",
        cause: "the RetailStoreID of a transaction is not this shop's id", "交易的 RetailStoreID 不是本店编号",
        remedy: "import it in its own shop", "请在所属门店导入";
    PoslogDiffers = 8204, 409, "here with other figures", "已存在但数字不同",
        cause: "a transaction of this name is in the shop with another amount, the rules give back another amount than the file says, or its member is not known here", "该交易在本店的金额与文件不同，或退款金额不同，或会员不存在",
        remedy: "the shop's figure stands; compare the two with `aisled export poslog --day` and correct the books by hand", "以本店数字为准；请用 `aisled export poslog --day` 对照后人工更正账目";

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
