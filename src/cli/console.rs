//! `aisled console user`: who may sign in to the web pages.
//!
//! Changes the file of users in the data directory, which a running daemon reads at each request: no restart. A new user, or
//! one who forgot the password, gets a one-time code, printed once and good for a day.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::words::{of, tell};
use super::{Exit, audit};
use crate::clock::{Clock as _, SystemClock};
use crate::console::{Role, UserError, Users};

/// Arguments of `console`.
#[derive(Args, Clone, Debug)]
pub struct ConsoleArgs {
    /// What about it
    #[command(subcommand)]
    pub about: About,
}

/// What about the console.
#[derive(Subcommand, Clone, Debug)]
pub enum About {
    /// Who may sign in
    User {
        /// What to do
        #[command(subcommand)]
        verb: UserVerb,
    },
}

/// What to do with users.
#[derive(Subcommand, Clone, Debug)]
pub enum UserVerb {
    /// Add one, and print the one-time code of the first sign-in
    Add {
        /// What they type: a-z, 0-9, -, _ and .
        name: String,
        /// viewer sees how the shop runs, manager also what it sells, admin also who may look
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
    },
    /// Name them all
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove one, who is signed out at once
    Remove {
        /// Whom
        name: String,
    },
    /// Take a password away, and print a one-time code for a new one
    Passwd {
        /// Whose
        name: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "viewer, manager or admin".to_owned())
}

/// Does it, on the daemon's data directory.
///
/// # Errors
/// A file of users that cannot be read or written.
pub fn run(args: &ConsoleArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let About::User { verb } = &args.about;
    let users = Users::new(data_dir);
    let now = SystemClock.now();
    let failed = |error: UserError| anyhow!("failed to {error}");
    // Written down before it is done; what will be refused is no act.
    let written = |act: &str, name: &str, is_there: bool, what: Value| {
        let known = users.knows(name).map_err(failed)?;
        match known == is_there {
            true => audit::written(data_dir, act, what),
            false => Ok(()),
        }
    };
    match verb {
        UserVerb::Add { name, role } => {
            written("console.user_add", name, false, json!({ "user": name, "role": role }))?;
            let code = users.add(name, *role, now).map_err(failed)?;
            told(name, &code, out)?;
        }
        UserVerb::Passwd { name } => {
            written("console.user_passwd", name, true, json!({ "user": name }))?;
            let code = users.reset(name, now).map_err(failed)?;
            told(name, &code, out)?;
        }
        UserVerb::Remove { name } => {
            written("console.user_remove", name, true, json!({ "user": name }))?;
            users.remove(name).map_err(failed)?;
            tell(out, ["{} is removed and signed out", "{} 已删除并退出登录"], &[name])?;
        }
        UserVerb::List { json: true } => {
            let users = users.list().map_err(failed)?;
            let rows = users.iter().map(|user| {
                json!({ "name": user.name, "role": user.role, "password": user.password.is_some(), "code_waits": user.has_code(now) })
            });
            writeln!(out, "{:#}", json!(rows.collect::<Vec<_>>()))?;
        }
        UserVerb::List { json: false } => {
            let users = users.list().map_err(failed)?;
            if users.is_empty() {
                let both = [
                    "nobody yet: aisled console user add NAME --role admin",
                    "尚无用户：aisled console user add NAME --role admin",
                ];
                tell(out, both, &[])?;
            }
            for user in users {
                let state = match (&user.password, user.has_code(now)) {
                    (Some(_), _) => ["password set", "已设密码"],
                    (None, true) => ["one-time code waits", "一次性代码待使用"],
                    (None, false) => [
                        "one-time code expired: aisled console user passwd NAME",
                        "一次性代码已过期：aisled console user passwd NAME",
                    ],
                };
                writeln!(out, "{:<32}  {:<8}  {}", user.name, user.role.as_str(), of(state))?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn told(name: &str, code: &str, out: &mut dyn Write) -> Result<()> {
    let both = [
        "{} signs in at /setup of the console with this code, once, within a day:",
        "{} 请在一天内凭此代码于控制台 /setup 登录一次：",
    ];
    tell(out, both, &[&name])?;
    Ok(writeln!(out, "{code}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(dir: &Path, verb: UserVerb) -> Result<String> {
        let mut out = Vec::new();
        run(&ConsoleArgs { about: About::User { verb } }, dir, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn what_does_the_shell_say_of_users() {
        let dir = tempfile::tempdir().expect("a directory");
        let list = || ran(dir.path(), UserVerb::List { json: false }).expect("lists");
        let lin = || "lin".to_owned();
        assert!(list().contains("nobody yet"));
        let said = ran(dir.path(), UserVerb::Add { name: lin(), role: Role::Manager }).expect("adds");
        assert_eq!(said.lines().last().map(str::len), Some(14), "{said}");
        assert!(list().contains("lin") && list().contains("manager") && list().contains("code waits"));
        let again = ran(dir.path(), UserVerb::Add { name: lin(), role: Role::Manager });
        assert!(again.expect_err("is refused").to_string().contains("AIS-7516"));
        let other = ran(dir.path(), UserVerb::Passwd { name: lin() }).expect("resets");
        assert_ne!(said.lines().last(), other.lines().last());
        ran(dir.path(), UserVerb::Remove { name: lin() }).expect("removes");
        assert!(ran(dir.path(), UserVerb::Remove { name: lin() }).is_err());
        let json = ran(dir.path(), UserVerb::List { json: true }).expect("lists");
        assert_eq!(json.trim(), "[]");
        let acts = crate::audit::last(dir.path(), 9).expect("it reads");
        let acts: Vec<(&str, &Value)> =
            acts.iter().map(|act| (act.act.as_str(), &act.what["user"])).collect();
        let lin = json!("lin");
        let wanted = ["console.user_add", "console.user_passwd", "console.user_remove"];
        assert_eq!(acts, wanted.map(|act| (act, &lin)), "what was refused is no act");
    }
}
