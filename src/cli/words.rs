//! What verbs say to people, in the terminal's language.
//!
//! Both languages stand where they are said (`tell`), `{}` for each figure. What the lab, `campaigns` and `segments` say stands there
//! in English, and the table has the Chinese; a test sees to it that both have as many figures.

use std::fmt::Display;
use std::io::Write;

use crate::domain::text::Lang;

use super::explain::terminal_lang;

/// A sentence with its figures, in a language.
pub(super) fn said(lang: Lang, english: &str, figures: &[&dyn Display]) -> String {
    let sentence = match lang {
        Lang::En => english,
        Lang::ZhCn => {
            TABLE.iter().find(|(known, _)| *known == english).map_or(english, |(_, chinese)| chinese)
        }
    };
    filled(sentence, figures)
}

/// A sentence with a figure in the place of each `{}`.
pub(super) fn filled(sentence: &str, figures: &[&dyn Display]) -> String {
    let mut out = String::with_capacity(sentence.len() + 8 * figures.len());
    let mut parts = sentence.split("{}");
    out.push_str(parts.next().unwrap_or_default());
    let mut figures = figures.iter();
    for part in parts {
        if let Some(figure) = figures.next() {
            out.push_str(&figure.to_string());
        }
        out.push_str(part);
    }
    out
}

/// A sentence in English and Chinese.
pub(super) type Both = [&'static str; 2];

/// It in a language.
pub(super) fn in_language([english, chinese]: Both, lang: Lang) -> &'static str {
    match lang {
        Lang::En => english,
        Lang::ZhCn => chinese,
    }
}

/// It in the terminal's language.
pub(super) fn of(both: Both) -> &'static str {
    in_language(both, terminal_lang())
}

/// Writes a line in the terminal's language.
pub(super) fn tell(out: &mut dyn Write, both: Both, figures: &[&dyn Display]) -> std::io::Result<()> {
    tell_in(terminal_lang(), out, both, figures)
}

/// Writes a line in a language.
pub(super) fn tell_in(
    lang: Lang,
    out: &mut dyn Write,
    both: Both,
    figures: &[&dyn Display],
) -> std::io::Result<()> {
    debug_assert!(both.iter().all(|it| it.matches("{}").count() == figures.len()), "{both:?}");
    writeln!(out, "{}", filled(in_language(both, lang), figures))
}

/// A word or heading without figures.
pub(super) fn word(lang: Lang, english: &str) -> String {
    said(lang, english, &[])
}

/// The same with the blanks in front.
pub(super) fn led(text: &str, width: usize) -> String {
    let blanks = padded(text, width).len() - text.len();
    format!("{}{text}", " ".repeat(blanks))
}

/// Columns of a terminal that a character takes: a Chinese one takes two.
pub(super) fn columns(letter: char) -> usize {
    if letter as u32 >= 0x2e80 { 2 } else { 1 }
}

/// Fills up with blanks to a width in columns of a terminal.
pub(super) fn padded(text: &str, width: usize) -> String {
    let columns: usize = text.chars().map(columns).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(columns)))
}

const TABLE: &[(&str, &str)] = &[
    // campaigns
    ("no sale is in the journal of {}", "{} 的日志中没有销售"),
    (
        "as of {}: {} sales, {} decisions unreadable, {} without their rules",
        "截至 {}：{} 笔销售，{} 条决策无法读取，{} 条缺少规则包",
    ),
    ("reach", "触达"),
    ("{} members, {} held out", "{} 位会员，另有 {} 位为对照组"),
    ("not recorded", "未记录"),
    ("conversion", "转化率"),
    ("members who used it", "参与会员数"),
    ("sales with it", "使用活动的销售占比"),
    ("average basket with it", "使用活动的客单价"),
    ("average basket without", "未使用活动的客单价"),
    ("cost of its discounts", "优惠成本"),
    ("incremental sales", "增量销售额"),
    ("incremental margin", "增量毛利"),
    ("return on its cost", "投入产出比"),
    ("came again", "复购"),
    ("stayed after it", "留存"),
    ("satisfaction, 0 to 10", "满意度（0–10）"),
    ("against members held out", "与对照组会员相比"),
    ("against the days before", "与活动前相比"),
    ("nothing to compare with", "无可比对象"),
    ("cannot be told", "无法判断"),
    ("{} ({} to {})", "{}（{} 至 {}）"),
    ("{} % ({} to {}) of {}", "{}%（{} 至 {}），共 {}"),
    ("not enough data yet: about {} days more", "数据尚不足：约还需 {} 天"),
    (
        "{} scans proposed something, {} were judged by a sale",
        "{} 次扫码给出推荐，其中 {} 次由其后的销售检验",
    ),
    ("something of the first {} was bought: {}", "前 {} 件中有买到的：{}"),
    ("bought before: {} of {} proposed, {}", "曾经买过的：买到 {} 件，推荐 {} 件，{}"),
    ("new to them: {} of {} proposed, {}", "未曾买过的：买到 {} 件，推荐 {} 件，{}"),
    // segments
    ("{} members, {} of them learned of, on {}", "{} 位会员，其中 {} 位有消费画像，{}"),
    (
        "{} lines of unknown articles (AIS-2001), {} details dropped (AIS-2023)",
        "{} 行未知商品（AIS-2001），{} 项明细已舍弃（AIS-2023）",
    ),
    ("{} members in {} on {}", "{} 位会员属于 {}，{}"),
    ("{} in {}, {} in {}, {} in both, on {}", "{} 位属于 {}，{} 位属于 {}，{} 位同属两者，{}"),
    ("{} is in {}", "{} 属于 {}"),
    ("{} is not in {}", "{} 不属于 {}"),
    // lab
    ("{} customers, {} orders as of {}; {} rows left out", "{} 位顾客，{} 笔订单，截至 {}；{} 行未计入"),
    ("{} orders are dated after {} and count, as in R", "{} 笔订单晚于 {}，与 R 一致仍计入"),
    ("segment", "分层"),
    ("customers", "顾客"),
    ("orders", "订单"),
    ("revenue", "销售额"),
    ("per order", "单均"),
    ("{} baskets ({} empty), {} items; {} rows left out", "{} 个购物篮（{} 个为空），{} 种商品；{} 行未计入"),
    (
        "{} rules from {} sets in at least {} baskets each",
        "{} 条规则，来自 {} 个项集，每个至少出现于 {} 个购物篮",
    ),
    ("sets of more than {} items were not looked for", "未查找超过 {} 件的项集"),
    ("support", "支持度"),
    ("confidence", "置信度"),
    ("coverage", "覆盖度"),
    ("lift", "提升度"),
    ("count", "次数"),
    ("rule", "规则"),
    ("{} users, {} items, {} baskets before the last", "{} 位用户，{} 种商品，末次之前共 {} 个购物篮"),
    (
        "weights fitted on {} baskets in {} rounds, {} rows, {} % of their items among the candidates",
        "权重由 {} 个购物篮经 {} 轮拟合，{} 行，其中 {}% 的商品在候选之内",
    ),
    ("seconds: read {}, build {}, answer {}", "秒：读取 {}，建模 {}，推荐 {}"),
    (
        "repeat: over the {} users who bought again, explore: over the {} who bought something new",
        "repeat：{} 位有复购的用户；explore：{} 位买了新品的用户",
    ),
    ("{} customers; {} rows left out", "{} 位顾客；{} 行未计入"),
    ("expected", "预期"),
    ("13 weeks", "13 周"),
    ("26 weeks", "26 周"),
    ("52 weeks", "52 周"),
    ("mean P(alive)", "平均存活概率"),
    ("12 months", "12 个月"),
    ("12 months: discounted by {} a month", "12 个月：按月折现率 {}"),
    ("best by BG/NBD", "BG/NBD 最高者"),
    ("naive", "朴素"),
    ("P(alive)", "存活概率"),
    ("spend", "客单"),
    (
        "{} campaigns of {} days with {} members a day and arm, a look a day",
        "{} 个活动，各 {} 天，每天每组 {} 位会员，每天查看一次",
    ),
    ("{} % showed an effect; there is a lift of {}", "{}% 显示有效果；真实提升为 {}"),
    ("{} days until they did, on average", "平均 {} 天后显示"),
    ("{} % left it out of some day's interval; at most {} % may", "{}% 在某天的区间漏掉真值；上限为 {}%"),
    ("{} rows learned from, {} responded", "{} 行用于学习，其中 {} 行响应"),
    ("{} rows chosen by, {} responded", "{} 行用于选择，其中 {} 行响应"),
    ("{} rows judged by, {} responded", "{} 行用于评判，其中 {} 行响应"),
    ("{} columns", "{} 列"),
    ("lift at 10 %", "前 10% 提升度"),
    ("log-loss", "对数损失"),
    ("base rate", "基准率"),
    ("logistic", "逻辑回归"),
    ("trees", "树"),
    ("average", "平均"),
    ("plain", "原值"),
    ("logarithmic", "对数"),
    (
        "PR-AUC is average precision. logistic: {} inputs, ridge {}; trees: {} of depth {}, {} % of the average; calibrated",
        "PR-AUC 为平均精度。逻辑回归：{}输入，岭 {}；树：{} 棵，深度 {}，占平均 {}%；已校准",
    ),
    ("{} rows treated, outcome {} on average", "{} 行受干预，平均结果 {}"),
    ("{} rows untreated, outcome {}", "{} 行未受干预，平均结果 {}"),
    ("Qini over {} random splits, {} % held back", "Qini：{} 次随机划分，留出 {}%"),
    ("mean", "均值"),
    ("95 % interval", "95% 区间"),
    ("one split tells none", "一次划分无法给出"),
    ("chosen on the rows to learn from", "在学习行上选出"),
    ("by chance", "随机"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of a source with its Chinese behind it: `"English", "中文"`.
    fn pairs(source: &str) -> Vec<(String, String)> {
        let source = source.replace("'\"'", "");
        let (mut texts, mut rest) = (Vec::new(), source.as_str());
        while let Some((between, behind)) = rest.split_once('"') {
            let mut escaped = false;
            let end = behind.find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            let Some((text, after)) = end.and_then(|end| Some((&behind[..end], behind.get(end + 1..)?)))
            else {
                break;
            };
            texts.push((between.trim() == ",", text.to_owned()));
            rest = after;
        }
        let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
        let both =
            texts.windows(2).filter(|pair| pair[1].0 && is_chinese(&pair[1].1) && !is_chinese(&pair[0].1));
        both.map(|pair| (pair[0].1.clone(), pair[1].1.clone())).collect()
    }

    fn sources(dir: &std::path::Path) -> Vec<String> {
        let entries =
            std::fs::read_dir(dir).expect("the sources are there").flatten().map(|entry| entry.path());
        let of = |path: std::path::PathBuf| match path.is_dir() {
            true => sources(&path),
            false => vec![std::fs::read_to_string(path).expect("text")],
        };
        entries.flat_map(of).collect()
    }

    #[test]
    fn have_both_languages_as_many_figures() {
        let all = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli"));
        let spoken: Vec<_> = all.iter().flat_map(|source| pairs(source)).collect();
        assert!(spoken.len() > 250, "{} sentences are found", spoken.len());
        for (english, chinese) in spoken {
            let count = |text: &str| text.matches("{}").count();
            assert_eq!(count(&english), count(&chinese), "{english}");
        }
        assert_eq!(said(Lang::En, "{} of {}", &[&1, &"two"]), "1 of two");
        assert_eq!(said(Lang::ZhCn, "{} is in {}", &[&"m-1", &"regular"]), "m-1 属于 regular");
        assert_eq!(padded("触达", 6), "触达  ");
    }
}
