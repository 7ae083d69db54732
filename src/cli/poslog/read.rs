//! Reading POSLog, ours or somebody else's: one transaction at a time, each bounded, nothing of a file believed.
//!
//! A document type, and with it any entity of the file's own, is refused: there is none to expand. Elements are known by
//! their local names; what is not known is passed over. A transaction that is no sale, return or void (a drawer opened, a
//! cashier signed on, a sale cancelled before it was paid) is counted and passed over. Two kinds of fault: the document
//! is not well-formed, which ends the reading (`Err`), and one transaction lacks something or holds what cannot be, which
//! costs only itself (`Read::Bad`).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{CHANNELS, Fault, Gift, Kind, Name, ReturnLine, Sale, SaleLine, TENDERS, Ticket};
use crate::domain::basket::{Channel, Quantity, TenderKind};
use crate::domain::code::Code;
use crate::domain::money::{Currency, Money};
use crate::limits;

/// What was read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A transaction, and the line it begins on.
    Ticket(u64, Box<Ticket>),
    /// Not a sale, return or void.
    Other(u64),
    /// A transaction that cannot be taken.
    Bad(Fault),
}

/// A POSLog being read.
pub struct PosLog<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    currency: &'a Currency,
    line: u64,
    counted_to: usize,
    depth: usize,
    began: bool,
}

/// An element with what is in it.
#[derive(Debug, Default)]
struct Node {
    name: String,
    line: u64,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

impl<'a> PosLog<'a> {
    /// Reads a file's text; its amounts have the decimals of `currency`.
    ///
    /// # Errors
    /// More than is read at a time, or not UTF-8.
    pub fn of(bytes: &'a [u8], currency: &'a Currency) -> Result<PosLog<'a>, Fault> {
        let fault = |line, detail| Fault { line, code: Code::PoslogMalformed, detail };
        if bytes.len() > limits::POSLOG_BYTES_MAX {
            let detail =
                format!("{} bytes, at most {}; split the day", bytes.len(), limits::POSLOG_BYTES_MAX);
            return Err(fault(1, detail));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() as u64;
            fault(line, "it is not UTF-8".to_owned())
        })?;
        let reader = Reader::from_str(text);
        Ok(PosLog { text, reader, currency, line: 1, counted_to: 0, depth: 0, began: false })
    }

    /// The next transaction; `None` at the end of a whole document.
    ///
    /// # Errors
    /// The document is not well-formed, or more than is read: nothing behind this can be read.
    pub fn next_transaction(&mut self) -> Result<Option<Read>, Fault> {
        loop {
            let event = self.event()?;
            let begins = self.line;
            match event {
                Event::Start(start) if self.depth == 1 => {
                    let is_root = start.local_name().as_ref() == "POSLog";
                    if !is_root || std::mem::replace(&mut self.began, true) {
                        return Err(self.fault("the document is not one POSLog".to_owned()));
                    }
                }
                Event::Start(start) => {
                    let node = self.node(&start)?;
                    if let Some(read) = self.transaction(&node, begins) {
                        return Ok(Some(read));
                    }
                }
                Event::Empty(start) => {
                    let node = self.begun(&start)?;
                    if let Some(read) = self.transaction(&node, begins) {
                        return Ok(Some(read));
                    }
                }
                Event::Eof if self.depth == 0 && self.began => return Ok(None),
                Event::Eof => return Err(self.fault("the document ends early".to_owned())),
                _ => {}
            }
        }
    }

    fn transaction(&self, node: &Node, begins: u64) -> Option<Read> {
        (node.name == "Transaction").then(|| match ticket(node, self.currency) {
            Ok(Some(ticket)) => Read::Ticket(begins, Box::new(ticket)),
            Ok(None) => Read::Other(begins),
            Err(fault) => Read::Bad(fault),
        })
    }

    fn fault(&self, detail: String) -> Fault {
        Fault { line: self.line, code: Code::PoslogMalformed, detail }
    }

    /// The next event; the line is the one it begins on, the depth counts it if it is a start.
    fn event(&mut self) -> Result<Event<'a>, Fault> {
        let from = usize::try_from(self.reader.buffer_position()).unwrap_or(self.text.len());
        let seen = &self.text.as_bytes()[self.counted_to..from.max(self.counted_to)];
        self.line += seen.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted_to = from.max(self.counted_to);
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let to = usize::try_from(self.reader.error_position()).unwrap_or(from);
                let to = to.clamp(self.counted_to, self.text.len());
                let seen = &self.text.as_bytes()[self.counted_to..to];
                self.line += seen.iter().filter(|byte| **byte == b'\n').count() as u64;
                return Err(self.fault(error.to_string()));
            }
        };
        match &event {
            Event::Start(_) => self.depth += 1,
            Event::Empty(_) if self.depth == 0 => {
                return Err(self.fault("the document is not one POSLog".to_owned()));
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::DocType(_) => {
                return Err(self.fault("it brings a document type; entities are not expanded".to_owned()));
            }
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose();
                let encoding = encoding.map_err(|error| self.fault(error.to_string()))?;
                if encoding.is_some_and(|named| !named.eq_ignore_ascii_case("utf-8")) {
                    return Err(self.fault("its encoding is not UTF-8".to_owned()));
                }
            }
            _ => {}
        }
        if self.depth > limits::POSLOG_DEPTH_MAX {
            return Err(self.fault(format!("nested deeper than {}", limits::POSLOG_DEPTH_MAX)));
        }
        Ok(event)
    }

    /// The element that `start` begins, whole. No recursion: a stack of what is open.
    fn node(&mut self, start: &BytesStart<'_>) -> Result<Node, Fault> {
        let mut open = vec![self.begun(start)?];
        let mut values = 1_usize;
        loop {
            let event = self.event()?;
            let top = open.last_mut().expect("one is open until the outer one is closed");
            match event {
                Event::Start(start) => {
                    let node = self.begun(&start)?;
                    values += 1 + node.attributes.len();
                    open.push(node);
                }
                Event::Empty(start) => {
                    let node = self.begun(&start)?;
                    values += 1 + node.attributes.len();
                    open.last_mut().expect("one is open").children.push(node);
                }
                Event::Text(text) => top.text.push_str(text.as_ref()),
                Event::CData(text) => top.text.push_str(text.as_ref()),
                Event::GeneralRef(named) => {
                    let character = match named.resolve_char_ref() {
                        Ok(Some(character)) => Some(character),
                        Ok(None) => predefined(named.as_ref()),
                        Err(_) => None,
                    };
                    match character {
                        Some(character) => top.text.push(character),
                        None => {
                            let detail = format!("the entity &{}; is not known", named.as_ref() as &str);
                            return Err(self.fault(detail));
                        }
                    }
                }
                Event::End(_) => {
                    let mut done = open.pop().expect("one is open");
                    done.text = done.text.trim().to_owned();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Event::Eof => return Err(self.fault("the document ends early".to_owned())),
                _ => {}
            }
            let text = open.last().map_or(0, |top| top.text.len());
            if values > limits::POSLOG_VALUES_MAX || text > limits::POSLOG_TEXT_BYTES_MAX {
                return Err(self.fault("one transaction holds more than is read".to_owned()));
            }
        }
    }

    fn begun(&self, start: &BytesStart<'_>) -> Result<Node, Fault> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.fault(error.to_string()))?;
            if attributes.len() >= limits::POSLOG_ATTRIBUTES_MAX {
                return Err(self.fault("an element has more attributes than are read".to_owned()));
            }
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Explicit1_0)
                .map_err(|error| self.fault(error.to_string()))?;
            attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        let name = start.local_name().as_ref().to_owned();
        Ok(Node { name, line: self.line, attributes, ..Node::default() })
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

impl Node {
    fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn is(&self, flag: &str) -> bool {
        self.attribute(flag).is_some_and(|value| value == "true" || value == "1")
    }

    fn bad(&self, detail: String) -> Fault {
        Fault { line: self.line, code: Code::PoslogValue, detail }
    }

    /// The child's text, which must be there.
    fn text(&self, name: &str) -> Result<&str, Fault> {
        match self.child(name).map(|child| child.text.as_str()) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.bad(format!("{} has no {name}", self.name))),
        }
    }

    fn whole(&self, name: &str) -> Result<i64, Fault> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.bad(format!("{name} is no whole number")))
    }

    /// A decimal amount as minor units: no more decimals than the currency has, but noughts.
    fn money(&self, name: &str, currency: &Currency) -> Result<Money, Fault> {
        let text = self.text(name)?;
        scaled(text, currency.minor_units)
            .filter(|minor| minor.abs() <= limits::AMOUNT_MINOR_MAX)
            .map(Money)
            .ok_or_else(|| self.bad(format!("{name} is no amount with {} decimals", currency.minor_units)))
    }

    fn name(&self) -> Result<Name, Fault> {
        Ok(Name {
            device: self.text("WorkstationID")?.to_owned(),
            business_day: self.text("BusinessDayDate")?.to_owned(),
            seq: self.whole("SequenceNumber")?,
        })
    }

    /// The till's own name of a line, else its place.
    fn line_name(&self) -> Result<String, Fault> {
        self.attribute("Line").map_or_else(|| self.text("SequenceNumber"), Ok).map(str::to_owned)
    }

    fn promotion(&self) -> Result<String, Fault> {
        let promotion = self.attribute("Promotion").map(str::to_owned);
        promotion.ok_or_else(|| self.bad(format!("{} names no Promotion", self.name)))
    }

    /// How many pieces or grams.
    fn quantity(&self) -> Result<Quantity, Fault> {
        let Some(node) = self.child("Quantity") else { return Ok(Quantity::Units(1)) };
        let unit = node.attribute("UnitOfMeasureCode").unwrap_or("EA");
        let read = |decimals| {
            scaled(&node.text, decimals)
                .and_then(|count| u32::try_from(count).ok())
                .filter(|count| *count > 0)
                .ok_or_else(|| node.bad(format!("Quantity is none of {unit}")))
        };
        match unit {
            "GRM" => read(0).map(Quantity::Grams),
            "KGM" => read(3).map(Quantity::Grams),
            _ => read(0).map(Quantity::Units),
        }
    }
}

/// `12.5` with 2 decimals is 1250; anything else than digits around one point, or lost decimals, is nothing.
fn scaled(text: &str, decimals: u8) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let (kept, lost) = part.split_at(part.len().min(usize::from(decimals)));
    if lost.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let number: i64 = format!("{whole}{kept:0<width$}", width = usize::from(decimals)).parse().ok()?;
    Some(if negative { -number } else { number })
}

/// A transaction of its element; `None` if it is not one of ours.
fn ticket(node: &Node, currency: &Currency) -> Result<Option<Ticket>, Fault> {
    let Some(retail) = node.child("RetailTransaction") else { return Ok(None) };
    let status = retail.attribute("TransactionStatus").unwrap_or("Delivered");
    if node.is("CancelFlag") || matches!(status, "Suspended" | "Cancelled" | "Canceled") {
        return Ok(None);
    }
    let code = node.child("CurrencyCode").map_or(currency.code.as_str(), |child| child.text.as_str());
    if code != currency.code {
        return Err(node.bad(format!("CurrencyCode is {code:.3}, the shop sells in {}", currency.code)));
    }
    let at = node.child("EndDateTime").or_else(|| node.child("BeginDateTime"));
    let at = at.map(|at| at.text.clone()).filter(|at| !at.is_empty());
    let store = node.child("RetailStoreID").or_else(|| node.child("BusinessUnit")?.child("UnitID"));
    let store = store.map(|store| store.text.clone());
    Ok(Some(Ticket {
        store: store.ok_or_else(|| node.bad("Transaction has no RetailStoreID".to_owned()))?,
        name: node.name()?,
        at: at.ok_or_else(|| node.bad("Transaction has no EndDateTime".to_owned()))?,
        currency: code.to_owned(),
        decision: node.attribute("Decision").map(str::to_owned),
        kind: kind(node, retail, status, currency)?,
    }))
}

fn kind(node: &Node, retail: &Node, status: &str, currency: &Currency) -> Result<Kind, Fault> {
    let total =
        retail.all("Total").find(|total| total.attribute("TotalType") == Some("TransactionNetAmount"));
    let net = || match total {
        Some(total) => {
            let minor = scaled(&total.text, currency.minor_units);
            let minor = minor.filter(|minor| minor.abs() <= limits::AMOUNT_MINOR_MAX);
            minor.map(Money).ok_or_else(|| total.bad("Total is no amount".to_owned()))
        }
        None => Err(retail.bad("RetailTransaction has no Total of TransactionNetAmount".to_owned())),
    };
    if status == "PostVoided" {
        return Ok(Kind::Void { refund: -net()? });
    }
    let items = || retail.all("LineItem").filter(|item| !item.is("VoidFlag"));
    let returned: Vec<&Node> = items().filter(|item| item.child("Return").is_some()).collect();
    if returned.is_empty() {
        return Ok(Kind::Sale(Box::new(sale(node, retail, net()?, currency)?)));
    }
    if let Some(sold) = items().find(|item| item.child("Sale").is_some() && item.attribute("Gift").is_none())
    {
        return Err(sold.bad("goods are sold and returned in one transaction; make two of it".to_owned()));
    }
    let link =
        retail.child("TransactionLink").or_else(|| returned[0].child("Return")?.child("TransactionLink"));
    let link = link.ok_or_else(|| retail.bad("a return has no TransactionLink to its sale".to_owned()))?;
    let mut lines = Vec::new();
    for item in returned {
        let Some(back) = item.child("Return") else { continue };
        lines.push(ReturnLine {
            line: item.line_name()?,
            sku: back.child("ItemID").map(|sku| sku.text.clone()),
            qty: back.quantity()?.units(),
            amount: back.money("ExtendedAmount", currency)?,
        });
    }
    Ok(Kind::Return { original: link.name()?, lines, refund: -net()? })
}

fn sale(node: &Node, retail: &Node, total: Money, currency: &Currency) -> Result<Sale, Fault> {
    let mut read = Sale { total, training: node.is("TrainingModeFlag"), ..Sale::default() };
    if let Some(word) = retail.attribute("Channel") {
        let known = CHANNELS.iter().find(|(_, known)| *known == word).map(|(channel, _)| *channel);
        read.channel = known.ok_or_else(|| retail.bad(format!("no Channel is called {word:.20}")))?;
    } else {
        read.channel = Channel::default();
    }
    read.zone = retail.attribute("Zone").map(str::to_owned);
    for item in retail.all("LineItem").filter(|item| !item.is("VoidFlag")) {
        if let Some(sold) = item.child("Sale") {
            let (sku, amount) = (sold.text("ItemID")?.to_owned(), sold.money("ExtendedAmount", currency)?);
            let quantity = sold.quantity()?;
            match item.attribute("Gift") {
                Some(promotion) => {
                    let (qty, promotion) = (quantity.units(), promotion.to_owned());
                    read.gifts.push(Gift { sku, qty, amount, promotion });
                }
                None => read.lines.push(goods(item, sold, (sku, quantity, amount), currency)?),
            }
        } else if let Some(tender) = item.child("Tender") {
            let word = tender.attribute("TenderType").unwrap_or("Other");
            let kind =
                TENDERS.iter().find(|(_, known)| *known == word).map_or(TenderKind::Other, |(kind, _)| *kind);
            read.tenders.push((kind, tender.money("Amount", currency)?));
        } else if let Some(coupon) = item.child("Coupon") {
            read.coupons.push(coupon.text("PrimaryLabel")?.to_owned());
        }
    }
    for claim in retail.all("Claim") {
        let times = claim.attribute("Times").unwrap_or("1").parse();
        let times = times.map_err(|_| claim.bad("Times is no whole number".to_owned()))?;
        read.claims.push((claim.promotion()?, times));
    }
    for choice in retail.all("GiftChoice") {
        let skus = choice.all("ItemID").map(|sku| sku.text.clone());
        read.choices.push((choice.promotion()?, skus.collect()));
    }
    read.gone = retail.all("GiftGone").map(|sku| sku.text.clone()).collect();
    if let Some(account) = retail.child("LoyaltyAccount") {
        read.member = Some(account.text("LoyaltyAccountID")?.to_owned());
        for points in account.all("Points") {
            let count =
                || points.text.parse().map_err(|_| points.bad("Points is no whole number".to_owned()));
            match points.attribute("Type") {
                Some("PointsEarned") => read.points_earned = count()?,
                Some("PointsRedeemed") => read.points_spent = count()?,
                _ => {}
            }
        }
    }
    Ok(read)
}

fn goods(
    item: &Node,
    sold: &Node,
    (sku, quantity, net): (String, Quantity, Money),
    currency: &Currency,
) -> Result<SaleLine, Fault> {
    let unit_price = match sold.child("RegularSalesUnitPrice") {
        Some(_) => Some(sold.money("RegularSalesUnitPrice", currency)?),
        None => None,
    };
    let best_before = sold.child("BestBeforeDate").map(|day| day.text.clone());
    Ok(SaleLine {
        line: item.line_name()?,
        sku,
        quantity,
        unit_price,
        net,
        modifiers: Vec::new(),
        best_before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yuan() -> Currency {
        Currency { code: "CNY".to_owned(), minor_units: 2 }
    }

    fn read(text: &str) -> Result<Vec<Read>, Fault> {
        let currency = yuan();
        let mut log = PosLog::of(text.as_bytes(), &currency)?;
        let mut all = Vec::new();
        while let Some(next) = log.next_transaction()? {
            all.push(next);
        }
        Ok(all)
    }

    #[test]
    fn what_is_an_amount() {
        let table = [
            ("12.50", Some(1_250)),
            ("12.5", Some(1_250)),
            ("12", Some(1_200)),
            ("-0.01", Some(-1)),
            ("1.000", Some(100)),
            ("1.005", None),
            ("1,5", None),
            ("", None),
            (".5", None),
            ("1e3", None),
            ("99999999999999999999", None),
            ("１", None),
        ];
        for (text, minor) in table {
            assert_eq!(scaled(text, 2), minor, "{text:?}");
        }
    }

    #[test]
    fn is_hostile_xml_refused_with_its_line() {
        let deep = format!("<POSLog>\n{}", "<a>".repeat(100));
        let many = format!("<POSLog><Transaction>{}</Transaction></POSLog>", "<a/>".repeat(70_000));
        let long = format!("<POSLog><Transaction>{}</Transaction></POSLog>", "x".repeat(20_000));
        let wide = format!(
            "<POSLog><Transaction {}/></POSLog>",
            (0..99).map(|n| format!("a{n}='' ")).collect::<String>()
        );
        let table = [
            ("<!DOCTYPE a [<!ENTITY b \"c\">]>\n<POSLog/>", 1, "document type"),
            ("<POSLog>\n<Transaction>\n&boom;</Transaction></POSLog>", 3, "entity"),
            ("<POSLog>\n<Transaction></POSLog>", 2, ""),
            ("<POSLog>\n<Transaction>", 2, "ends early"),
            ("<Other/>", 1, "not one POSLog"),
            ("<POSLog></POSLog>\n<POSLog></POSLog>", 2, "not one POSLog"),
            ("", 1, "ends early"),
            ("<?xml version='1.0' encoding='GBK'?><POSLog></POSLog>", 1, "UTF-8"),
            (&deep, 2, "deeper"),
            (&many, 1, "more than is read"),
            (&long, 1, "more than is read"),
            (&wide, 1, ""),
        ];
        for (text, line, why) in table {
            let fault = read(text).expect_err(&text[..text.len().min(60)]);
            assert_eq!((fault.line, fault.code), (line, Code::PoslogMalformed), "{fault:?}");
            assert!(fault.detail.contains(why), "{fault:?}");
        }
        let currency = yuan();
        let fault = PosLog::of(b"<POSLog>\n\xff", &currency).err().expect("not UTF-8");
        assert_eq!(fault.line, 2);
    }

    const PIECES: [&str; 24] = [
        "<POSLog>",
        "</POSLog>",
        "<Transaction>",
        "</Transaction>",
        "<RetailTransaction TransactionStatus='PostVoided'>",
        "<RetailTransaction>",
        "</RetailTransaction>",
        "<LineItem>",
        "</LineItem>",
        "<Sale>",
        "</Sale>",
        "<Return/>",
        "<SequenceNumber>1</SequenceNumber>",
        "<Total TotalType='TransactionNetAmount'>9</Total>",
        "<WorkstationID>t</WorkstationID>",
        "<Quantity>3</Quantity>",
        "<ItemID>a</ItemID>",
        "<ExtendedAmount>1.0</ExtendedAmount>",
        "&amp;",
        "&#x1F600;",
        "<!--",
        "-->",
        "<![CDATA[x]]>",
        "\u{feff}",
    ];

    proptest::proptest! {
        #[test]
        fn do_bent_documents_ever_harm(pieces in proptest::collection::vec(0..PIECES.len(), 0..60), cut in 0..400_usize) {
            let mut text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
            let cut = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.replace_range(..cut, "<POSLog><Transaction>");
            // It ends, with an end or a fault on a line that is there.
            if let Err(fault) = read(&text) {
                proptest::prop_assert_eq!(fault.line, 1);
            }
        }
    }

    #[test]
    fn does_a_bad_transaction_cost_only_itself() {
        let all = read(
            "<POSLog xmlns:x='urn:x'>\n<Transaction><ControlTransaction/></Transaction>\n<Transaction>\n\
             <RetailStoreID>s01</RetailStoreID><WorkstationID>t</WorkstationID><RetailTransaction/></Transaction>\n\
             <x:Transaction><RetailStoreID>s01</RetailStoreID><WorkstationID>till-1</WorkstationID>\
             <BusinessDayDate>2026-11-18</BusinessDayDate><SequenceNumber>7</SequenceNumber>\
             <EndDateTime>2026-11-18T10:00:00+08:00</EndDateTime><RetailTransaction><LineItem>\
             <SequenceNumber>1</SequenceNumber><Sale><ItemID>a&amp;b</ItemID><ExtendedAmount>1.20</ExtendedAmount>\
             <Quantity UnitOfMeasureCode='KGM'>0.35</Quantity></Sale></LineItem>\
             <Total TotalType='TransactionNetAmount'>1.20</Total></RetailTransaction></x:Transaction></POSLog>",
        )
        .expect("well-formed");
        assert_eq!(all[0], Read::Other(2));
        assert!(
            matches!(&all[1], Read::Bad(fault) if fault.line == 3 && fault.code == Code::PoslogValue),
            "{all:?}"
        );
        let Read::Ticket(5, ticket) = &all[2] else { panic!("{all:?}") };
        let Kind::Sale(sale) = &ticket.kind else { panic!("{ticket:?}") };
        assert_eq!((sale.total, sale.lines[0].sku.as_str()), (Money(120), "a&b"));
        assert_eq!(sale.lines[0].quantity, Quantity::Grams(350));
    }
}
