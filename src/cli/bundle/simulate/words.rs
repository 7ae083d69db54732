//! What a simulation says, in words and columns, in both languages.

use crate::domain::money::Money;
use crate::domain::text::Lang;
use crate::limits;

use super::tally::{Report, Side};

pub(super) fn lines(report: &Report, after: &Side, lang: Lang) -> Vec<String> {
    let say = |zh_cn: &str, en: &str| match lang {
        Lang::ZhCn => zh_cn.to_owned(),
        Lang::En => en.to_owned(),
    };
    let currency = &after.bundle.shop.currency;
    let money = |minor: i64| currency.format(Money(minor));
    let title = |id: &crate::domain::ids::PromotionId| {
        let promotion = after.bundle.book.promotion(id);
        promotion.map_or(String::new(), |promotion| promotion.titles.get(lang).to_owned())
    };
    let mut lines = Vec::new();
    let baskets = &report.baskets;
    let span = |at: &Option<String>| at.as_deref().map_or(String::new(), |at| at.chars().take(10).collect());
    let (first, last) = (span(&baskets.first), span(&baskets.last));
    lines.push(match lang {
        Lang::En => format!(
            "{} baskets of {} members, {first} to {last}; offers reach {}",
            baskets.priced, baskets.members, baskets.touched
        ),
        Lang::ZhCn => format!(
            "{} 个购物篮，{} 位会员，{first} 至 {last}；活动触及 {} 个",
            baskets.priced, baskets.members, baskets.touched
        ),
    });
    lines.push(format!("{}: {}", say("现行", "before"), report.rules_before));
    lines.push(format!("{}: {}", say("拟用", "after"), report.rules_after));
    for (why, count) in baskets.unpriced_because.iter().take(limits::SIMULATE_LISTED_MAX) {
        lines.push(format!("{} {count}: {why}", say("无法计价", "not priced")));
    }
    let column = |name: &str, cells: [String; 3]| {
        let [a, b, c] = cells;
        format!("  {name:<28} {a:>14} {b:>14} {c:>14}")
    };
    let heads = [say("现行", "before"), say("拟用", "after"), say("变化", "change")];
    lines.push(column("", heads));
    let names = [say("原价", "shelf"), say("优惠", "discount"), say("实收", "to pay"), say("毛利", "margin")];
    for ((name, was), is) in names.iter().zip(report.before.figures()).zip(report.after.figures()) {
        lines.push(column(name, [money(was), money(is), money(is - was)]));
    }
    let (without_cost, unproved) = report.after.doubts();
    if without_cost > 0 {
        let en = format!("margin leaves out {without_cost} units whose cost the catalogue does not say");
        lines.push(say(&format!("毛利未计 {without_cost} 件没有成本的商品"), &en));
    }
    if unproved > 0 {
        let en = format!("{unproved} baskets without a proof that no combination is better");
        lines.push(say(&format!("{unproved} 个购物篮未证明为最优组合"), &en));
    }
    let changes = &report.changes;
    lines.push(match lang {
        Lang::En => format!(
            "{} baskets cost the same, {} less ({}), {} more ({})",
            changes.same,
            changes.cheaper,
            money(changes.cheaper_minor),
            changes.dearer,
            money(changes.dearer_minor)
        ),
        Lang::ZhCn => format!(
            "{} 个不变，{} 个更便宜 ({})，{} 个更贵 ({})",
            changes.same,
            changes.cheaper,
            money(changes.cheaper_minor),
            changes.dearer,
            money(changes.dearer_minor)
        ),
    });
    for (basket, before, after, because) in changes.largest() {
        let because: Vec<String> = because
            .into_iter()
            .map(|(promotion, was, is)| format!("{promotion} {} -> {}", money(was), money(is)))
            .collect();
        lines.push(format!("  {basket}: {} -> {} ({})", money(before), money(after), because.join(", ")));
    }
    let heads = ["baskets", "members", "cost"].map(str::to_owned);
    let heads = if lang == Lang::En { heads } else { ["购物篮", "会员", "费用"].map(str::to_owned) };
    lines.push(column(&say("活动 (现行 -> 拟用)", "offer (before -> after)"), heads));
    for (promotion, both) in &report.promotions {
        let ((a, b, c), (d, e, f)) = (both.before.figures(), both.after.figures());
        let cells = [format!("{a} -> {d}"), format!("{b} -> {e}"), format!("{} -> {}", money(c), money(f))];
        lines.push(format!("{}  {}", column(promotion.as_str(), cells), title(promotion)));
    }
    for conflict in report.conflicts.iter().take(limits::SIMULATE_LISTED_MAX) {
        let (loser, winner, before, after) =
            (&conflict.loser, &conflict.winner, conflict.before, conflict.after);
        lines.push(match lang {
            Lang::En => format!("  {loser} loses to {winner}: {before} -> {after} times"),
            Lang::ZhCn => format!("  {loser} 让位于 {winner}：{before} -> {after} 次"),
        });
    }
    for loss in report.below_cost.iter().take(limits::SIMULATE_LISTED_MAX) {
        let (promotion, sku, before, units) = (&loss.promotion, &loss.sku, loss.units_before, loss.units);
        let lost = money(loss.loss_minor);
        lines.push(match lang {
            Lang::En => {
                format!("  {promotion} sells {sku} below cost: {before} -> {units} units, {lost} lost")
            }
            Lang::ZhCn => format!("  {promotion} 使 {sku} 低于成本：{before} -> {units} 件，亏 {lost}"),
        });
    }
    lines
}
