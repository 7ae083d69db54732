//! Writing POSLog: one `Ticket` after the other, indented, so that two files can be compared line by line.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{CHANNELS, Kind, NAMESPACE, Name, OWN_NAMESPACE, ReturnLine, Sale, SaleLine, TENDERS, Ticket};
use crate::domain::basket::{Channel, Quantity};
use crate::domain::money::{Currency, Money};

type Done = io::Result<()>;

/// A POSLog being written.
pub struct PosLog<W: Write> {
    xml: Writer<W>,
    /// Decimals of the transaction being written.
    currency: Currency,
}

impl<W: Write> PosLog<W> {
    /// Begins the document.
    ///
    /// # Errors
    /// The output's.
    pub fn begin(out: W) -> io::Result<PosLog<W>> {
        let mut xml = Writer::new_with_indent(out, b' ', 1);
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let root = BytesStart::new("POSLog").with_attributes([
            ("xmlns", NAMESPACE),
            ("xmlns:aisle", OWN_NAMESPACE),
            ("MajorVersion", "6"),
        ]);
        xml.write_event(Event::Start(root))?;
        Ok(PosLog { xml, currency: Currency { code: String::new(), minor_units: 0 } })
    }

    /// Ends the document and gives the output back.
    ///
    /// # Errors
    /// The output's.
    pub fn end(mut self) -> io::Result<W> {
        self.xml.write_event(Event::End(BytesEnd::new("POSLog")))?;
        let mut out = self.xml.into_inner();
        out.write_all(b"\n")?;
        Ok(out)
    }

    /// Writes one transaction, its amounts with the decimals of its currency.
    ///
    /// # Errors
    /// The output's.
    pub fn ticket(&mut self, ticket: &Ticket, currency: &Currency) -> Done {
        self.currency = currency.clone();
        let training = matches!(&ticket.kind, Kind::Sale(sale) if sale.training);
        let mut attributes = vec![("CancelFlag", "false"), ("TrainingModeFlag", yes(training))];
        attributes.extend(ticket.decision.as_deref().map(|decision| ("aisle:Decision", decision)));
        self.inside("Transaction", &attributes, |log| {
            log.text("RetailStoreID", &ticket.store)?;
            log.name(&ticket.name)?;
            log.text("EndDateTime", &ticket.at)?;
            log.text("CurrencyCode", &ticket.currency)?;
            match &ticket.kind {
                Kind::Sale(sale) => log.sale(sale),
                Kind::Return { original, lines, refund } => log.back(original, lines, *refund),
                Kind::Void { refund } => log.void(ticket, *refund),
            }
        })
    }

    fn sale(&mut self, sale: &Sale) -> Done {
        let channel = CHANNELS.iter().find(|(channel, _)| *channel == sale.channel).map(|(_, word)| *word);
        let mut attributes = Vec::new();
        if sale.channel != Channel::default() {
            attributes.extend(channel.map(|word| ("aisle:Channel", word)));
        }
        attributes.extend(sale.zone.as_deref().map(|zone| ("aisle:Zone", zone)));
        self.inside("RetailTransaction", &attributes, |log| {
            let mut place = 0_u32;
            for line in &sale.lines {
                place += 1;
                log.item(place, &[("aisle:Line", &line.line)], |log| log.goods(line))?;
            }
            for gift in &sale.gifts {
                place += 1;
                log.item(place, &[("aisle:Gift", &gift.promotion)], |log| {
                    log.inside("Sale", &[("ItemType", "Stock")], |log| {
                        log.text("ItemID", &gift.sku)?;
                        log.money("ExtendedAmount", gift.amount)?;
                        log.inside_text("Quantity", &[("UnitOfMeasureCode", "EA")], &gift.qty.to_string())
                    })
                })?;
            }
            for code in &sale.coupons {
                place += 1;
                log.item(place, &[], |log| log.inside("Coupon", &[], |log| log.text("PrimaryLabel", code)))?;
            }
            for (promotion, times) in &sale.claims {
                let times = times.to_string();
                log.inside("aisle:Claim", &[("Promotion", promotion), ("Times", &times)], |_| Ok(()))?;
            }
            for (promotion, skus) in &sale.choices {
                log.inside("aisle:GiftChoice", &[("Promotion", promotion)], |log| {
                    skus.iter().try_for_each(|sku| log.text("ItemID", sku))
                })?;
            }
            sale.gone.iter().try_for_each(|sku| log.text("aisle:GiftGone", sku))?;
            for (kind, amount) in &sale.tenders {
                place += 1;
                let word = TENDERS.iter().find(|(known, _)| known == kind).map_or("Other", |(_, word)| *word);
                log.item(place, &[], |log| {
                    log.inside("Tender", &[("TenderType", word)], |log| log.money("Amount", *amount))
                })?;
            }
            log.total("TransactionGrossAmount", sale.gross)?;
            log.total("TransactionNetAmount", sale.total)?;
            let Some(member) = &sale.member else { return Ok(()) };
            log.inside("LoyaltyAccount", &[], |log| {
                log.text("LoyaltyAccountID", member)?;
                log.inside_text("Points", &[("Type", "PointsEarned")], &sale.points_earned.to_string())?;
                log.inside_text("Points", &[("Type", "PointsRedeemed")], &sale.points_spent.to_string())
            })
        })
    }

    fn goods(&mut self, line: &SaleLine) -> Done {
        self.inside("Sale", &[("ItemType", "Stock")], |log| {
            log.text("ItemID", &line.sku)?;
            if let Some(price) = line.unit_price {
                log.money("RegularSalesUnitPrice", price)?;
            }
            log.money("ExtendedAmount", line.net)?;
            let (unit, count) = match line.quantity {
                Quantity::Units(count) => ("EA", count),
                Quantity::Grams(grams) => ("GRM", grams),
            };
            log.inside_text("Quantity", &[("UnitOfMeasureCode", unit)], &count.to_string())?;
            if let Some(day) = &line.best_before {
                log.text("BestBeforeDate", day)?;
            }
            for (nth, (promotion, amount)) in (1..).zip(&line.modifiers) {
                let method = if promotion.is_some() { "Promotion" } else { "PriceRule" };
                log.inside("RetailPriceModifier", &[("MethodCode", method)], |log| {
                    log.text("SequenceNumber", &i32::to_string(&nth))?;
                    let action = if amount.0 < 0 { "Add" } else { "Subtract" };
                    let size = Money(amount.0.abs());
                    let size = log.currency.format(size);
                    log.inside_text("Amount", &[("Action", action)], &size)?;
                    promotion.as_ref().map_or(Ok(()), |promotion| log.text("PromotionID", promotion))
                })?;
            }
            Ok(())
        })
    }

    fn back(&mut self, original: &Name, lines: &[ReturnLine], refund: Money) -> Done {
        self.inside("RetailTransaction", &[], |log| {
            for (place, line) in (1..).zip(lines) {
                log.item(place, &[("aisle:Line", &line.line)], |log| {
                    log.inside("Return", &[("ItemType", "Stock")], |log| {
                        line.sku.as_ref().map_or(Ok(()), |sku| log.text("ItemID", sku))?;
                        log.money("ExtendedAmount", line.amount)?;
                        log.inside_text("Quantity", &[("UnitOfMeasureCode", "EA")], &line.qty.to_string())
                    })
                })?;
            }
            log.total("TransactionNetAmount", -refund)?;
            log.inside("TransactionLink", &[("ReasonCode", "Return")], |log| log.name(original))
        })
    }

    fn void(&mut self, ticket: &Ticket, refund: Money) -> Done {
        self.inside("RetailTransaction", &[("TransactionStatus", "PostVoided")], |log| {
            log.total("TransactionNetAmount", -refund)?;
            log.inside("TransactionLink", &[("ReasonCode", "Void")], |log| log.name(&ticket.name))
        })
    }

    fn name(&mut self, name: &Name) -> Done {
        self.text("WorkstationID", &name.device)?;
        self.text("BusinessDayDate", &name.business_day)?;
        self.text("SequenceNumber", &name.seq.to_string())
    }

    fn item(
        &mut self,
        place: u32,
        attributes: &[(&str, &str)],
        inner: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        self.inside("LineItem", attributes, |log| {
            log.text("SequenceNumber", &place.to_string())?;
            inner(log)
        })
    }

    fn total(&mut self, kind: &str, amount: Money) -> Done {
        let amount = self.currency.format(amount);
        self.inside_text("Total", &[("TotalType", kind)], &amount)
    }

    fn money(&mut self, element: &str, amount: Money) -> Done {
        let amount = self.currency.format(amount);
        self.text(element, &amount)
    }

    fn text(&mut self, element: &str, text: &str) -> Done {
        self.inside_text(element, &[], text)
    }

    fn inside_text(&mut self, element: &str, attributes: &[(&str, &str)], text: &str) -> Done {
        let element = self.xml.create_element(element).with_attributes(attributes.iter().copied());
        element.write_text_content(BytesText::new(text)).map(|_| ())
    }

    fn inside(
        &mut self,
        element: &str,
        attributes: &[(&str, &str)],
        inner: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        let start = BytesStart::new(element).with_attributes(attributes.iter().copied());
        self.xml.write_event(Event::Start(start))?;
        inner(self)?;
        self.xml.write_event(Event::End(BytesEnd::new(element)))
    }
}

fn yes(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}
