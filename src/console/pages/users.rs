//! Users: who may look, who is signed in, and signing somebody out everywhere. Adding and removing is the shell's.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use maud::html;
use serde_json::json;

use crate::console::door::Client;
use crate::console::door::Problem;
use crate::console::page::{Words, count, table};
use crate::console::routes::{Answer, Console, fields, framed, may, redirect};
use crate::console::users::Role;
use crate::domain::code::Code;

/// A role in the reader's words.
fn role_word(words: Words<'_>, role: Role) -> &str {
    match role {
        Role::Viewer => words.say("viewer", "查看"),
        Role::Manager => words.say("manager", "店长"),
        Role::Admin => words.say("admin", "管理员"),
    }
}

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    let users = console.users.list()?;
    let now = console.clock.now();
    let shop = console.snapshot();
    let words = Words::new(&client, &shop);
    let csrf = client.session.as_ref().map_or("", |session| &session.csrf);
    let head = html! {
        th { (words.say("Name", "用户名")) } th { (words.say("Role", "角色")) } th { (words.say("Password", "密码")) }
        th.figure { (words.say("Signed in", "登录数")) } th { (words.say("Sign out", "退出登录")) }
    };
    let body = html! {
        (table(words.say("Users", "用户"), head, html! {
            @for user in &users {
                @let sessions = console.sessions().count(&user.name, now);
                tr {
                    th scope="row" { (user.name) }
                    td { (role_word(words, user.role)) }
                    td { @match (&user.password, user.has_code(now)) {
                        (Some(_), _) => (words.say("set", "已设置")),
                        (None, true) => (words.say("one-time code waits", "等待一次性代码")),
                        (None, false) => (words.say("code has expired", "代码已过期")),
                    } }
                    td.figure { (count(sessions as i64)) }
                    td { @if sessions > 0 {
                        form method="post" action="/users/sign-out" {
                            input type="hidden" name="csrf" value=(csrf);
                            input type="hidden" name="name" value=(user.name);
                            button.quiet type="submit" aria-label={ (words.say("Sign out everywhere: ", "全部退出：")) (user.name) } {
                                (words.say("everywhere", "全部退出"))
                            }
                        }
                    } }
                }
            }
        }))
        p.note {
            (words.say("Users are added and removed on the box: ", "添加和删除用户请在本机执行："))
            code { "aisled console user add NAME --role viewer|manager|admin" }
        }
    };
    Ok(framed(words.say("Users", "用户"), body, &client, &shop))
}

pub(in crate::console) async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    if !may(client.session.as_ref(), Role::Admin) {
        return Err(Problem::new(Code::ConsoleRoleMissing, Role::Admin.as_str()));
    }
    let fields = fields(request, &client).await?;
    let name = fields.get("name").map(String::as_str).unwrap_or_default();
    let by = client.session.as_ref().map_or("", |session| &session.name);
    let known = console.users.knows(name)?;
    let what = json!({ "from": client.peer, "user": known.then_some(name) });
    console
        .acts
        .write(console.clock.now(), by, "console.logout_all", what)
        .await
        .map_err(|code| Problem::new(code, ""))?;
    let ended = console.sessions().close_all(name);
    tracing::info!(sessions = ended, "an admin signed a user of the console out");
    Ok(redirect("/users"))
}
