//! A probe's answer, in the language of whoever reads it.
//!
//! What is said stands where it is seen, in both languages; figures and what others say (the system, a library) are put in as they
//! are. A probe's `name` is for programs and never translated; `title` is for people.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use serde::Serialize;

use crate::cli::words::{self, Both, in_language as of};
use crate::domain::code::Code;
use crate::domain::text::Lang;

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Selling goes on, but someone should look.
    Warn,
    /// The daemon would not start, or not do its work.
    Fail,
}

/// What was seen: sentences with their figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen(Vec<(Both, Vec<String>)>);

impl Seen {
    pub(super) fn of(both: Both, figures: &[&dyn Display]) -> Seen {
        debug_assert!(both.iter().all(|it| it.matches("{}").count() == figures.len()), "{both:?}");
        Seen(vec![(both, figures.iter().map(ToString::to_string).collect())])
    }

    /// What somebody else says, as it is.
    pub(super) fn quoted(text: impl Display) -> Seen {
        Seen::of(["{}"; 2], &[&text])
    }

    /// This, and that.
    pub(super) fn and(mut self, that: Seen) -> Seen {
        self.0.extend(that.0);
        self
    }

    pub(super) fn in_language(&self, lang: Lang) -> String {
        let sentences = self.0.iter().map(|(both, figures)| {
            let figures: Vec<&dyn Display> = figures.iter().map(|figure| figure as &dyn Display).collect();
            words::filled(of(*both, lang), &figures)
        });
        sentences.collect::<Vec<_>>().join(of(["; ", "；"], lang))
    }
}

impl From<Both> for Seen {
    fn from(both: Both) -> Seen {
        Seen::of(both, &[])
    }
}

/// One probe's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was looked at.
    pub(super) name: Cow<'static, str>,
    pub(super) outcome: Outcome,
    pub(super) code: Option<Code>,
    pub(super) cause: Seen,
    pub(super) key: &'static str,
}

/// A probe's answer as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told<'p> {
    /// What was looked at: the same in every language.
    pub name: &'p str,
    /// The same for people.
    pub title: String,
    /// What was found.
    pub outcome: Outcome,
    /// The stable code of a finding.
    pub code: Option<Code>,
    /// What was seen.
    pub cause: String,
    /// The key that mends it, `section.key`; empty if none does.
    pub key: &'static str,
    /// What to do about a finding.
    pub remedy: &'static str,
}

impl Probe {
    /// As it should be.
    pub(super) fn ok(name: impl Into<Cow<'static, str>>, seen: impl Into<Seen>) -> Probe {
        Probe { name: name.into(), outcome: Outcome::Ok, code: None, cause: seen.into(), key: "" }
    }

    /// A finding; the remedy is the code's.
    pub(super) fn finding(
        name: impl Into<Cow<'static, str>>,
        outcome: Outcome,
        code: Code,
        key: &'static str,
        cause: impl Into<Seen>,
    ) -> Probe {
        Probe { name: name.into(), outcome, code: Some(code), cause: cause.into(), key }
    }

    /// What is told of it in a language.
    pub fn told(&self, lang: Lang) -> Told<'_> {
        Told {
            name: &self.name,
            title: title(&self.name, lang),
            outcome: self.outcome,
            code: self.code,
            cause: self.cause.in_language(lang),
            key: self.key,
            remedy: self.code.map_or("", |code| code.remedy(lang)),
        }
    }
}

fn title(name: &str, lang: Lang) -> String {
    let both = match name {
        "config" => ["Configuration", "配置"],
        "data directory" => ["Data directory", "数据目录"],
        "free space" => ["Free space", "剩余空间"],
        "daemon" => ["Daemon", "服务"],
        "store" => ["Journal and tables", "日志与数据表"],
        "trusted keys" => ["Trusted keys", "受信任的密钥"],
        "bundle" => ["Rules", "规则包"],
        "network" => ["Network of proposals", "推荐网络"],
        "devices" => ["Devices' file", "设备文件"],
        "broker" => ["Broker", "消息服务"],
        "broker over TLS" => ["Broker over TLS", "加密消息服务"],
        "broker name" => ["Broker's name", "消息服务域名"],
        "broker certificate" => ["Broker's certificate", "消息服务证书"],
        "broker login" => ["Broker's login", "消息服务登录"],
        "broker password" => ["Broker's password", "消息服务密码"],
        "head office" => ["Head office", "总部"],
        "head office name" => ["Head office's name", "总部域名"],
        "head office certificate" => ["Head office's certificate", "总部证书"],
        "head office login" => ["Head office's login", "总部登录"],
        "head office password" => ["Head office's password", "总部密码"],
        "clock" => ["Clock", "时钟"],
        _ => {
            let device = name.strip_prefix("device ");
            return device.map_or(name.to_owned(), |id| format!("{} {id}", of(["Device", "设备"], lang)));
        }
    };
    of(both, lang).to_owned()
}

/// All of them, for a terminal.
pub(super) fn text(probes: &[Probe], lang: Lang) -> String {
    let mut text = String::new();
    for told in probes.iter().map(|probe| probe.told(lang)) {
        let mark = match told.outcome {
            Outcome::Ok => of(["ok  ", "正常"], lang),
            Outcome::Warn => of(["warn", "关注"], lang),
            Outcome::Fail => of(["FAIL", "故障"], lang),
        };
        writeln!(text, "{mark}  {} {}", words::padded(&told.title, 26), told.cause).expect("memory takes it");
        if let Some(code) = told.code {
            let key = if told.key.is_empty() { String::new() } else { format!(" [{}]", told.key) };
            writeln!(text, "      {code}{key}: {}", told.remedy).expect("memory takes it");
        }
    }
    let findings = probes.iter().filter(|probe| probe.outcome != Outcome::Ok).count();
    let all = probes.len();
    let verdict = match findings {
        0 => Seen::of(["all {} probes are well", "全部 {} 项检查正常"], &[&all]),
        _ => Seen::of(["{} of {} probes found something", "{} 项有问题，共 {} 项检查"], &[&findings, &all]),
    };
    text + &verdict.in_language(lang) + "\n"
}
