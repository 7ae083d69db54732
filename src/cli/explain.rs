//! `aisled explain CODE`: what a code means and what to do, offline, in the reader's language.
//!
//! Without an argument it lists every code. What the pages say stands in `domain::code`.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;

use super::Exit;
use crate::domain::code::Code;
use crate::domain::text::Lang;

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A code such as AIS-2104; all of them if left out
    pub subject: Option<String>,
    /// zh-CN or en; by default the terminal's (LC_ALL, LC_MESSAGES, LANG)
    #[arg(long, value_name = "LANG", value_parser = parse_lang)]
    pub lang: Option<Lang>,
    /// All codes as one page of Markdown, in both languages
    #[arg(long, conflicts_with = "subject")]
    pub markdown: bool,
}

fn parse_lang(text: &str) -> Result<Lang, String> {
    Lang::of_locale(text).ok_or_else(|| "zh-CN or en".to_owned())
}

/// The terminal's language; English if it is neither.
pub fn terminal_lang() -> Lang {
    lang_of(|name| std::env::var(name).ok())
}

/// POSIX precedence: the first variable that says anything decides.
fn lang_of(variable: impl Fn(&str) -> Option<String>) -> Lang {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .and_then(|value| Lang::of_locale(&value))
        .unwrap_or(Lang::En)
}

/// Prints a page, or the list. A text that is no code is a usage error.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> std::io::Result<Exit> {
    let lang = args.lang.unwrap_or_else(terminal_lang);
    if args.markdown {
        out.write_all(index().as_bytes())?;
        return Ok(Exit::Ok);
    }
    let Some(subject) = &args.subject else {
        out.write_all(list_codes(lang).as_bytes())?;
        return Ok(Exit::Ok);
    };
    match Code::parse(subject) {
        Some(code) => {
            out.write_all(explain_code(code, lang).as_bytes())?;
            Ok(Exit::Ok)
        }
        None => {
            match lang {
                Lang::En => writeln!(out, "no code is called {subject:?}; `aisled explain` lists them all")?,
                Lang::ZhCn => writeln!(out, "没有代码 {subject:?}；`aisled explain` 列出全部代码")?,
            }
            Ok(Exit::Usage)
        }
    }
}

/// A code's page: title, cause, remedy, and the status a device sees with it.
pub fn explain_code(code: Code, lang: Lang) -> String {
    let (cause, remedy, status) = match lang {
        Lang::En => ("cause", "remedy", "status"),
        Lang::ZhCn => ("原因", "处理", "状态"),
    };
    let mut page = String::new();
    let lines = [(cause, code.cause(lang)), (remedy, code.remedy(lang))];
    write!(page, "{code}  {}\n\n", code.title(lang)).expect("memory takes it");
    for (name, text) in lines {
        writeln!(page, "{name}: {text}").expect("memory takes it");
    }
    if is_answered_to_devices(code) {
        writeln!(page, "{status}: {}", code.status()).expect("memory takes it");
    }
    page
}

/// A line for each code, in order.
pub fn list_codes(lang: Lang) -> String {
    Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title(lang))).collect()
}

/// Every code with cause and remedy, English above Chinese: `config/guides/errors.md`.
pub fn index() -> String {
    let mut page = "# Error codes · 错误代码\n\nMade by `aisled explain --markdown`.\n\n\
                    | code | what · 说明 | cause · 原因 | remedy · 处理 |\n|---|---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let both = |of: fn(Code, Lang) -> &'static str| {
            format!("{}<br>{}", of(*code, Lang::En), of(*code, Lang::ZhCn)).replace('|', "\\|")
        };
        let (what, cause, remedy) = (both(Code::title), both(Code::cause), both(Code::remedy));
        writeln!(page, "| {code} | {what} | {cause} | {remedy} |").expect("memory takes it");
    }
    page
}

/// Codes about configuration, disk and head office are for operators; a device never sees their status.
fn is_answered_to_devices(code: Code) -> bool {
    matches!(code.number() / 1000, 1 | 2 | 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(subject: Option<&str>, lang: Lang) -> (Exit, String) {
        let mut out = Vec::new();
        let args = ExplainArgs { subject: subject.map(str::to_owned), lang: Some(lang), markdown: false };
        let exit = run(&args, &mut out).expect("memory takes it");
        (exit, String::from_utf8(out).expect("a page is text"))
    }

    #[test]
    fn is_the_index_of_the_guides_what_the_codes_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/guides/errors.md");
        if std::env::var_os("AISLED_WRITE").is_some() {
            std::fs::write(&path, index()).expect("the checked-in file can be written");
        }
        let checked_in = std::fs::read_to_string(&path).expect("the index is checked in");
        assert!(checked_in == index(), "AISLED_WRITE=1 cargo test --lib explain, and look at the diff");
    }

    #[test]
    fn does_every_code_have_a_page_in_both_languages() {
        for code in Code::ALL {
            for lang in [Lang::En, Lang::ZhCn] {
                let (exit, page) = explained(Some(&code.to_string()), lang);
                assert_eq!(exit, Exit::Ok);
                for part in [&*code.to_string(), code.title(lang), code.cause(lang), code.remedy(lang)] {
                    assert!(page.contains(part), "{part:?} is missing in\n{page}");
                }
            }
        }
    }

    #[test]
    fn is_every_code_listed() {
        let (exit, list) = explained(None, Lang::ZhCn);
        assert_eq!((exit, list.lines().count()), (Exit::Ok, Code::ALL.len()));
    }

    #[test]
    fn what_is_said_of_a_code_that_does_not_exist() {
        let (exit, text) = explained(Some("AIS-0000"), Lang::En);
        assert_eq!(exit, Exit::Usage);
        assert!(text.contains("AIS-0000"), "{text}");
    }

    #[test]
    fn which_language_does_the_terminal_speak() {
        let lang = |set: &[(&str, &str)]| {
            lang_of(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(lang(&[("LANG", "zh_CN.UTF-8")]), Lang::ZhCn);
        assert_eq!(lang(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "en_GB.UTF-8")]), Lang::En);
        assert_eq!(lang(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")]), Lang::ZhCn);
        assert_eq!(lang(&[("LANG", "C")]), Lang::En);
        assert_eq!(lang(&[]), Lang::En);
    }
}
