//! The reckoning: what the tills were told, what the shop's journal holds and what head office holds, side by side.
//!
//! Invariant: every figure has a second witness. Tills count receipts they heard; the books are read from disk after the
//! end (`books`); head office's own totals come from its fold. A check that does not hold is named, and the verb
//! exits with 1.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::cli::tills::{Figures, Tally};
use crate::domain::ids::{Seq, StoreId};
use crate::domain::text::Lang;
use crate::hub::files::Loaded;
use crate::hub::office::Snapshot;

use super::books::Books;

/// One count, as each witness has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// Which.
    pub name: &'static str,
    /// Do they agree?
    pub holds: bool,
    /// Who says what.
    pub witnesses: Vec<(&'static str, i64)>,
    #[serde(skip)]
    title: &'static str,
}

impl Check {
    /// All witnesses must say the same.
    pub(crate) fn same(
        name: &'static str,
        title: &'static str,
        witnesses: Vec<(&'static str, i64)>,
    ) -> Check {
        let holds = witnesses.windows(2).all(|pair| pair[0].1 == pair[1].1);
        Check { name, holds, witnesses, title }
    }

    /// All must say 0.
    pub(crate) fn none(
        name: &'static str,
        title: &'static str,
        witnesses: Vec<(&'static str, i64)>,
    ) -> Check {
        let holds = witnesses.iter().all(|(_, count)| *count == 0);
        Check { name, holds, witnesses, title }
    }
}

/// A count as a witness has it; one too large to be true disagrees with everything.
pub(crate) fn count(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// Prints one line for each check.
pub(crate) fn write_checks(checks: &[Check], out: &mut dyn Write) -> Result<()> {
    for check in checks {
        let mark = if check.holds { "✓" } else { "✗" };
        let say: Vec<String> = check.witnesses.iter().map(|(who, count)| format!("{who} {count}")).collect();
        writeln!(out, "  {mark} {}: {}", check.title, say.join(" · "))?;
    }
    Ok(())
}

/// What happened, apart from the counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    pub seconds: f64,
    pub drain_seconds: f64,
    pub offline_seconds: f64,
    pub devices: u64,
    pub kills: u32,
    pub backlog_peak: u64,
    pub drained: bool,
}

/// Everything `demo --json` says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub reconciled: bool,
    pub seconds: f64,
    pub drain_seconds: f64,
    pub offline_seconds: f64,
    pub devices: u64,
    pub kills: u32,
    pub requests: u64,
    pub requests_per_second: u64,
    pub replies: u64,
    pub refusals: u64,
    pub refused_by_code: BTreeMap<String, u64>,
    pub unanswered: u64,
    pub resends: u64,
    pub decisions: u64,
    pub sales_committed: u64,
    pub sales_at_shop: u64,
    pub sales_at_head_office: u64,
    pub duplicates_sent: u64,
    pub duplicates_answered_again: u64,
    pub duplicates_applied: u64,
    pub lost: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub latencies_us: BTreeMap<&'static str, (u64, u64)>,
    pub net_total_minor_tills: i64,
    pub net_total_minor_shop: i64,
    pub net_total_minor_head_office: i64,
    pub points_shop: i64,
    pub points_head_office: i64,
    pub points_members: u64,
    pub points_members_differing: u64,
    pub offers_applied: BTreeMap<String, u64>,
    pub backlog_peak: u64,
    pub bundle_version: u64,
    pub checks: Vec<Check>,
}

/// The two ends and what they are called.
pub(super) struct Ends<'a> {
    pub store: &'a StoreId,
    pub shop: &'a Books,
    pub office: &'a Books,
    pub office_says: &'a Loaded,
}

impl Report {
    /// Compares everything.
    pub(super) fn of(tally: &Tally, ends: &Ends<'_>, course: &Course, lang: Lang) -> Report {
        let (figures, acknowledged) = (tally.figures(), tally.sales());
        let view = Snapshot::of(ends.office_says).store(ends.store).cloned();
        let says = |of: fn(&crate::hub::office::StoreView) -> i64| view.as_ref().map_or(-1, of);
        let net_tills = net_of_tills(&figures);
        let points: Vec<(i64, Option<i64>)> = ends
            .shop
            .points
            .iter()
            .map(|(member, points)| (*points, ends.office_says.fold.balance(member)))
            .collect();
        let differing = points.iter().filter(|(shop, office)| Some(*shop) != *office).count() as u64;
        let (points_shop, points_office) = (
            points.iter().map(|(shop, _)| shop).sum::<i64>(),
            points.iter().filter_map(|(_, office)| *office).sum::<i64>(),
        );
        let again = ends.shop.done_again().max(ends.office.done_again()).max(figures.duplicates_differing);
        let lost = ends.office.missing(&acknowledged).len() as u64;
        let zh = lang == Lang::ZhCn;
        let t = |chinese: &'static str, english: &'static str| if zh { chinese } else { english };
        let (tills, shop, office) = (t("收银端", "tills"), t("门店", "shop"), t("总部", "head office"));
        let trouble = says(|view| count(view.quarantined + view.parked + view.withheld + view.lost));
        let checks = vec![
            Check::same(
                "requests",
                t("请求全部有答复", "every request has an answer"),
                vec![
                    (t("发出", "sent"), count(figures.requests)),
                    (t("答复", "answered"), count(figures.replies + figures.refusals)),
                ],
            ),
            Check::none(
                "garbled",
                t("无法理解或错投的答复", "answers garbled or to the wrong question"),
                vec![(tills, count(figures.unreadable + figures.miscorrelated))],
            ),
            Check::same(
                "sales",
                t("销售笔数一致", "the same number of sales"),
                vec![
                    (tills, count(figures.sales)),
                    (shop, count(ends.shop.distinct_sales())),
                    (office, says(|view| count(view.totals.sales))),
                ],
            ),
            Check::none(
                "lost",
                t("已确认而丢失的销售", "acknowledged sales lost"),
                vec![(shop, count(ends.shop.missing(&acknowledged).len() as u64)), (office, count(lost))],
            ),
            Check::same(
                "duplicates",
                t("重复发送得到同一答复", "what was sent twice got the first answer again"),
                vec![
                    (t("重复发送", "sent twice"), count(figures.duplicates_sent)),
                    (t("重放", "answered again"), count(figures.duplicates_replayed)),
                ],
            ),
            Check::none(
                "applied_twice",
                t("重复入账", "done twice"),
                vec![(shop, count(ends.shop.done_again())), (office, count(ends.office.done_again()))],
            ),
            Check::same(
                "net_total",
                t("净额一致（分）", "the same net total (minor units)"),
                vec![
                    (tills, net_tills),
                    (shop, ends.shop.net_minor()),
                    (office, says(|view| view.net_total_minor)),
                ],
            ),
            Check::same(
                "points",
                t("积分余额一致", "the same points"),
                vec![(shop, points_shop), (office, points_office)],
            ),
            Check::none(
                "points_by_member",
                t("积分不一致的会员", "members with other points at head office"),
                vec![(office, count(differing))],
            ),
            Check::same(
                "complete",
                t("决策全部到达总部", "every decision arrived"),
                vec![
                    (shop, count(ends.shop.last.0)),
                    (office, says(|view| count(view.applied_through.0))),
                    (t("总部文件", "in its files"), count(ends.office.entries)),
                ],
            ),
            Check::none(
                "order",
                t("乱序或缺号", "out of order or missing numbers"),
                vec![(shop, count(ends.shop.out_of_order)), (office, count(ends.office.out_of_order))],
            ),
            Check::none(
                "drained",
                t("到时仍未补齐", "still to be sent when the time was up"),
                vec![(shop, i64::from(!course.drained))],
            ),
            Check::none(
                "trouble",
                t("总部隔离、搁置或缺失的条目", "set aside, parked or missing at head office"),
                vec![(office, trouble), (shop, count(ends.shop.unreadable))],
            ),
        ];
        let latencies = tally.latencies(None);
        let of_op = |op: &'static str| {
            let latencies = tally.latencies(Some(op));
            (op, (latencies.value_at_quantile(0.5), latencies.value_at_quantile(0.99)))
        };
        let per_second = if course.seconds > 0.0 { figures.requests as f64 / course.seconds } else { 0.0 };
        Report {
            reconciled: checks.iter().all(|check| check.holds),
            seconds: course.seconds,
            drain_seconds: course.drain_seconds,
            offline_seconds: course.offline_seconds,
            devices: course.devices,
            kills: course.kills,
            requests: figures.requests,
            requests_per_second: per_second as u64,
            replies: figures.replies,
            refusals: figures.refusals,
            refused_by_code: tally.refused_by_code(),
            unanswered: figures.silences,
            resends: figures.resends,
            decisions: ends.shop.entries,
            sales_committed: figures.sales,
            sales_at_shop: ends.shop.distinct_sales(),
            sales_at_head_office: view.as_ref().map_or(0, |view| view.totals.sales),
            duplicates_sent: figures.duplicates_sent,
            duplicates_answered_again: figures.duplicates_replayed,
            duplicates_applied: again,
            lost,
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            latencies_us: ["scan", "quote", "commit"].into_iter().map(of_op).collect(),
            net_total_minor_tills: net_tills,
            net_total_minor_shop: ends.shop.net_minor(),
            net_total_minor_head_office: says(|view| view.net_total_minor),
            points_shop,
            points_head_office: points_office,
            points_members: points.len() as u64,
            points_members_differing: differing,
            offers_applied: tally.offers(),
            backlog_peak: course.backlog_peak,
            bundle_version: ends.shop.bundle,
            checks,
        }
    }

    /// For people.
    pub(super) fn write(&self, lang: Lang, out: &mut dyn Write) -> Result<()> {
        let zh = lang == Lang::ZhCn;
        let money = money(self.net_total_minor_shop);
        if zh {
            writeln!(
                out,
                "\n{:.1} 秒，{} 台设备：{} 个请求（每秒 {}），{} 笔销售，净额 ¥{money}",
                self.seconds, self.devices, self.requests, self.requests_per_second, self.sales_committed
            )?;
            writeln!(
                out,
                "答复时间 p50 {} µs，p99 {} µs；被规则拒绝 {} 次 {}",
                self.p50_us,
                self.p99_us,
                self.refusals,
                codes(&self.refused_by_code)
            )?;
            writeln!(
                out,
                "总部离线 {:.1} 秒，积压最多 {} 条，打烊后 {:.1} 秒内补齐；规则包版本 {}",
                self.offline_seconds, self.backlog_peak, self.drain_seconds, self.bundle_version
            )?;
            if self.kills > 0 {
                writeln!(out, "守护进程被强制终止（kill -9）{} 次；重发 {} 次", self.kills, self.resends)?;
            }
            writeln!(out, "\n对账：")?;
        } else {
            writeln!(
                out,
                "\n{:.1} s, {} devices: {} requests ({}/s), {} sales, net ¥{money}",
                self.seconds, self.devices, self.requests, self.requests_per_second, self.sales_committed
            )?;
            writeln!(
                out,
                "round trip p50 {} µs, p99 {} µs; {} refused by a rule {}",
                self.p50_us,
                self.p99_us,
                self.refusals,
                codes(&self.refused_by_code)
            )?;
            writeln!(
                out,
                "head office away for {:.1} s, backlog up to {}, drained {:.1} s after the load; rules version {}",
                self.offline_seconds, self.backlog_peak, self.drain_seconds, self.bundle_version
            )?;
            if self.kills > 0 {
                writeln!(
                    out,
                    "the daemon was killed (kill -9) {} times; {} resends",
                    self.kills, self.resends
                )?;
            }
            writeln!(out, "\nreconciled from the files of both ends:")?;
        }
        write_checks(&self.checks, out)?;
        writeln!(out, "\n{}", verdict(self.reconciled, lang))?;
        Ok(())
    }
}

/// What the tills rang up less what they gave back.
fn net_of_tills(figures: &Figures) -> i64 {
    count(figures.sales_minor) - count(figures.refunds_minor)
}

/// The last line.
pub(crate) fn verdict(reconciled: bool, lang: Lang) -> &'static str {
    match (reconciled, lang) {
        (true, Lang::ZhCn) => "全部对上：不丢、不重、不乱。",
        (true, Lang::En) => "Every count reconciles: nothing lost, nothing twice, in order.",
        (false, Lang::ZhCn) => "对不上：见上面标 ✗ 的项目。",
        (false, Lang::En) => "It does not reconcile: see the lines marked ✗.",
    }
}

fn codes(refused: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = refused.iter().map(|(code, times)| format!("{code}×{times}")).collect();
    if each.is_empty() { String::new() } else { format!("({})", each.join(", ")) }
}

/// Minor units as people write them: `-1,234.50`.
pub(super) fn money(minor: i64) -> String {
    let (whole, rest) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{rest:02}", grouped(whole))
}

/// `12,345`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number of the last entry head office has of a shop.
pub(super) fn applied_through(snapshot: &Snapshot, store: &StoreId) -> Seq {
    snapshot.store(store).map_or(Seq(0), |view| view.applied_through)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::books::tests::{journal, read};
    use crate::hub::fold::Fold;
    use crate::hub::ledger::Ledger;

    fn broken(tally: &Tally, shop: &Books, office: &Books) -> Vec<&'static str> {
        let store = StoreId::new("s01").expect("valid");
        let (ledger, fold) = (Ledger::new(1), Fold::default());
        let lender = crate::hub::lender::Lender::new(1, false);
        let office_says =
            Loaded { ledger, fold, seen: BTreeMap::new(), lender, quarantined: BTreeMap::new() };
        let ends = Ends { store: &store, shop, office, office_says: &office_says };
        let course = Course { drained: true, ..Course::default() };
        let report = Report::of(tally, &ends, &course, Lang::En);
        assert!(!report.reconciled);
        let mut out = Vec::new();
        report.write(Lang::En, &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("does not reconcile"), "{text}");
        report.checks.iter().filter(|check| !check.holds).map(|check| check.name).collect()
    }

    #[test]
    fn is_a_count_that_does_not_reconcile_named() {
        let (entries, _) = journal(2);
        let (whole, twice) =
            (read((1..).zip(&entries)), read((1..).zip(entries.iter().chain([&entries[1]]))));
        // The tills heard of no sale, and head office says of itself that it has none.
        let tally = Tally::default();
        assert_eq!(
            broken(&tally, &whole, &whole),
            ["sales", "net_total", "complete", "trouble"],
            "nobody but the files knows of the sales"
        );
        assert!(broken(&tally, &whole, &twice).contains(&"applied_twice"));
        tally.counts.requests.store(1, std::sync::atomic::Ordering::Release);
        tally.counts.duplicates_sent.store(1, std::sync::atomic::Ordering::Release);
        let named = broken(&tally, &whole, &whole);
        assert!(named.contains(&"requests") && named.contains(&"duplicates"), "{named:?}");
    }

    #[test]
    fn is_money_written_as_people_write_it() {
        assert_eq!(
            [money(0), money(5), money(-123_450), money(100_000_000)],
            ["0.00", "0.05", "-1,234.50", "1,000,000.00"]
        );
    }

    #[test]
    fn does_a_check_fail_when_one_witness_disagrees() {
        assert!(Check::same("a", "a", vec![("x", 3), ("y", 3), ("z", 3)]).holds);
        assert!(!Check::same("a", "a", vec![("x", 3), ("y", 3), ("z", 2)]).holds);
        assert!(!Check::same("a", "a", vec![("x", 2), ("y", 3), ("z", 3)]).holds);
        assert!(Check::none("a", "a", vec![("x", 0), ("y", 0)]).holds);
        assert!(!Check::none("a", "a", vec![("x", 0), ("y", 1)]).holds);
    }
}
