//! `aisled privacy`: forget a member, tell everything the box holds of one, and say what is kept for how long and why.
//!
//! `forget` and `export` ask the running daemon, or do it themselves where none runs on the data directory. What the journal
//! says of a member is read beside the daemon, after the vault's names (`storage::vault`).
//!
//! Exit codes: 0 done, 1 no such member, or it could not be done, 2 usage.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::{list, plain};
use super::explain::terminal_lang;
use super::replay::journal;
use super::{Exit, audit};
use crate::clock::SystemClock;
use crate::config::{Config, Environment};
use crate::daemon::control::{self, Ask};
use crate::daemon::privacy;
use crate::domain::ids::MemberId;
use crate::domain::text::Lang;

/// Arguments of `privacy`.
#[derive(Args, Clone, Debug)]
pub struct PrivacyArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: PrivacyVerb,
    /// The data directory, where it is not the configured one
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum PrivacyVerb {
    /// Forget a member: no file of the box names them afterwards, and nobody brings them back
    Forget {
        /// Who, by id
        #[arg(value_parser = member)]
        member: MemberId,
    },
    /// Everything the box holds of a member
    Export {
        /// Who, by id
        #[arg(value_parser = member)]
        member: MemberId,
    },
    /// What is kept, for how long, and why
    Retention,
}

fn member(text: &str) -> Result<MemberId, String> {
    MemberId::new(text).map_err(|fault| fault.to_string())
}

/// Does it, in the place that the configuration names.
pub fn run(
    args: &PrivacyArgs,
    file: Option<&Path>,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Exit> {
    match Config::load(file, environment) {
        Ok(loaded) => run_by(args, loaded.config, out),
        Err(error) => bail!("failed to read the configuration: {error}"),
    }
}

/// Does it, by this configuration.
pub fn run_by(args: &PrivacyArgs, mut config: Config, out: &mut dyn Write) -> Result<Exit> {
    if let Some(data) = &args.data {
        config.store.data_dir.clone_from(data);
    }
    if !config.store.data_dir.join("journal").is_dir() && !matches!(args.verb, PrivacyVerb::Retention) {
        bail!(
            "failed to find a journal in {}: has the daemon ever run here?",
            config.store.data_dir.display()
        );
    }
    match &args.verb {
        PrivacyVerb::Forget { member } => forget(&config, member, args.json, out),
        PrivacyVerb::Export { member } => export(&config, member, args.json, out),
        PrivacyVerb::Retention => retention(&config, args.json, out),
    }
}

fn refused(told: &Value, json: bool, out: &mut dyn Write) -> Result<Exit> {
    match json {
        true => writeln!(out, "{told}")?,
        false => writeln!(out, "{} {}", plain(told.get("error")), plain(told.get("code")))?,
    }
    Ok(Exit::Finding)
}

fn forget(config: &Config, member: &MemberId, json: bool, out: &mut dyn Write) -> Result<Exit> {
    // Before it is done, and whom is never said: the log is kept for years.
    audit::written(&config.store.data_dir, "privacy.forget", json!({}))?;
    let told = match control::ask(&config.store.data_dir, &Ask::Forget { member: member.clone() })? {
        Some(told) => told,
        None => privacy::forget_stopped(config, member, &SystemClock)?,
    };
    if told.get("error").is_some() {
        return refused(&told, json, out);
    }
    if told["already"] != json!(true) {
        let what = json!({ "number": told["number"], "decision": told["decision"] });
        if let Err(error) = audit::written(&config.store.data_dir, "privacy.forgotten", what) {
            tracing::warn!(
                error = format!("{error:#}"),
                "a forgetting that was done is not in the audit log"
            );
        }
    }
    if json {
        writeln!(out, "{told}")?;
        return Ok(Exit::Ok);
    }
    let zh = terminal_lang() == Lang::ZhCn;
    let mut say = |en: &str, text: &str| writeln!(out, "{}", if zh { text } else { en });
    if told["already"] == json!(true) {
        say("the member was forgotten before; nothing names them", "该会员此前已被遗忘，数据中不再出现")?;
        return Ok(Exit::Ok);
    }
    say(
        "the member is forgotten: no file of this box names them",
        "会员已被遗忘：本机任何文件均不再出现该会员",
    )?;
    say(
        "- head office and backups taken before still may: a restore here forgets again, head office decides for itself",
        "- 总部及此前的备份仍可能保留：在本机恢复备份时会再次遗忘，总部须自行处理",
    )?;
    for version in list(&told, "/rules_naming") {
        say(
            &format!("- the rules of bundle {version} name the member: publish rules that do not"),
            &format!("- 规则包 {version} 的规则指名该会员：请发布不含该会员的规则"),
        )?;
    }
    let before = list(&told, "/plain_decisions").count();
    if before > 0 {
        let days = config.storage.journal_retention_days;
        say(
            &format!(
                "- {before} decisions that an older version wrote name them until they are past their {days} days"
            ),
            &format!("- 旧版本写入的 {before} 个决策仍含该会员，保留 {days} 天后清除"),
        )?;
    }
    Ok(Exit::Ok)
}

/// A part of what is told, its heading in both languages, and where it stands.
const PARTS: [(&str, &str, &str); 6] = [
    ("profile", "Profile, consent and tier", "档案、同意与等级"),
    ("ledger", "Points, coupons and use of offers", "积分、优惠券与优惠使用"),
    ("history", "Learned from purchases", "由购买记录得出"),
    (
        "tokens_sha256",
        "Cards, phones and codes that find the member, as hashes",
        "识别会员的卡号、手机号与二维码（哈希）",
    ),
    ("codes", "Personal single-use codes", "个人单次券码"),
    (
        "decisions",
        "Purchases, returns, events, feedback and what was shown",
        "购买、退货、事件、反馈与展示记录",
    ),
];

fn export(config: &Config, member: &MemberId, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let data_dir = &config.store.data_dir;
    let (view, vault) = journal(data_dir)?;
    // By the number that the journal names them by: forgotten later, it is nobody's.
    audit::written(data_dir, "privacy.export", json!({ "number": vault.number_of(member) }))?;
    let mut told = match control::ask(data_dir, &Ask::Member { member: member.clone() })? {
        Some(told) => told,
        None => privacy::export_stopped(config, member)?,
    };
    if told.get("error").is_some() {
        return refused(&told, json, out);
    }
    let mut decisions = Vec::new();
    privacy::told_in_journal((&view, &vault), member, &mut |decision| {
        decisions.push(decision);
        Ok(())
    })
    .context("failed to read the journal")?;
    told["decisions"] = json!(decisions);
    if json {
        let headings = PARTS.map(|(part, en, zh)| (part.to_owned(), json!({ "en": en, "zh-CN": zh })));
        told["headings"] = Value::Object(headings.into_iter().collect());
        writeln!(out, "{told:#}")?;
        return Ok(Exit::Ok);
    }
    let zh = terminal_lang() == Lang::ZhCn;
    writeln!(out, "{} {member}", if zh { "会员" } else { "Member" })?;
    for (part, heading, heading_zh) in PARTS {
        writeln!(out, "\n# {}", if zh { heading_zh } else { heading })?;
        match &told[part] {
            Value::Null => writeln!(out, "-")?,
            Value::Array(items) if items.is_empty() => writeln!(out, "-")?,
            told => writeln!(out, "{told:#}")?,
        }
    }
    Ok(Exit::Ok)
}

/// A class of data: its name, how many days it is kept where that is a number, what it is, and why so long.
struct Class {
    class: &'static str,
    days: Option<u32>,
    en: &'static str,
    zh: &'static str,
}

fn classes(config: &Config) -> [Class; 8] {
    let journal = Some(config.storage.journal_retention_days);
    [
        Class {
            class: "decisions",
            days: journal,
            en: "every sale, return, enrolment, event, feedback and what was shown at scans, counted from head office's backup of it: \
                 the audit log, a request's first answer, and the goods that may come back; names stand in the vault only",
            zh: "销售、退货、入会、事件、反馈与展示记录，自总部备份后起算：用于审计、重复请求返回首次答复及退货；会员名称仅存于名称库",
        },
        Class {
            class: "sales",
            days: Some(config.privacy.sale_days),
            en: "what a sale took of limits and what came back of it, looked up by its number: a second void or return is refused",
            zh: "按交易号查询的限额占用与退货情况：防止重复撤销或退货",
        },
        Class {
            class: "learned",
            days: Some(config.privacy.profile_idle_days),
            en: "visits, category shares, marks and scores, only with consent to personal offers, counted from the last visit; gone at \
                 once when the consent is taken back",
            zh: "到店、品类占比、标记与评分，仅在同意个性化优惠时保存，自最近到店起算；撤回同意时立即删除",
        },
        Class {
            class: "profile",
            days: None,
            en: "name, tier, birthday without year, tags and consent as head office wrote them: while it lists the member, or until forgotten",
            zh: "总部提供的姓名、等级、生日（不含年份）、标签与同意：在总部名单内或被遗忘前保留",
        },
        Class {
            class: "points",
            days: None,
            en: "points, coupons and use of offers: owed to the member until spent, expired or forgotten",
            zh: "积分、优惠券与优惠使用次数：在使用、过期或被遗忘前属于会员",
        },
        Class {
            class: "names",
            days: None,
            en: "who the numbers of the decisions are: until forgotten",
            zh: "决策中编号对应的会员：在被遗忘前保留",
        },
        Class {
            class: "forgotten",
            days: None,
            en: "a keyed hash for each forgotten id, for good: so that no bundle and no backup brings them back",
            zh: "每个已遗忘会员编号的带密钥哈希，永久保留：防止规则包或备份使其恢复",
        },
        Class {
            class: "strangers",
            days: journal,
            en: "tokens that are no member's stand in decisions as keyed hashes, and can be read by nobody",
            zh: "非会员的识别码在决策中仅以带密钥哈希保存，无法还原",
        },
    ]
}

fn retention(config: &Config, json: bool, out: &mut dyn Write) -> Result<Exit> {
    // Nobody's data is shown: whoever may not write the log may read the rules.
    if let Err(error) = audit::written(&config.store.data_dir, "privacy.retention", json!({})) {
        tracing::warn!(error = format!("{error:#}"), "this is not in the audit log");
    }
    let classes = classes(config);
    if json {
        let row = |class: &Class| json!({ "class": class.class, "days": class.days, "en": class.en, "zh-CN": class.zh });
        writeln!(out, "{:#}", json!({ "retention": classes.iter().map(row).collect::<Vec<_>>() }))?;
        return Ok(Exit::Ok);
    }
    let zh = terminal_lang() == Lang::ZhCn;
    for Class { class, days, en, zh: text } in &classes {
        let days = match (days, zh) {
            (Some(days), true) => format!("{days} 天"),
            (Some(days), false) => format!("{days} days"),
            (None, true) => "长期".to_owned(),
            (None, false) => "kept".to_owned(),
        };
        writeln!(out, "{class:<10} {days:<10} {}", if zh { text } else { en })?;
    }
    Ok(Exit::Ok)
}
