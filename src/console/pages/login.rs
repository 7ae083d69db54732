//! Signing in and out, and the first password with a one-time code. Both forms work without scripts.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde_json::json;

use crate::console::door::{Client, FORM_COOKIE, Problem, SESSION_COOKIE};
use crate::console::page::{Page, Words, code_card, document, empty};
use crate::console::routes::{Answer, Console, Fields, fields, form_secret, keep_cookie, redirect};
use crate::domain::code::Code;
use crate::limits;

pub(in crate::console) async fn show(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    if client.session.is_some() {
        return Ok(redirect("/"));
    }
    page(&console, &client, Form::SignIn, None)
}

pub(in crate::console) async fn first(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
) -> Answer {
    page(&console, &client, Form::First, None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    SignIn,
    First,
}

fn page(console: &Console, client: &Client, form: Form, problem: Option<&Problem>) -> Answer {
    let (secret, is_new) = form_secret(client)?;
    let shop = console.snapshot();
    let words = Words::new(client, &shop);
    let nobody = console.users.list().is_ok_and(|users| users.is_empty());
    let body = html! {
        div.sign-in {
            @if let Some(problem) = problem {
                (code_card(problem.code, &problem.detail, words.lang))
                @if let Some(seconds) = problem.retry_after_s {
                    p role="alert" { (words.say("Try again in", "请等待")) " " (words.age(seconds)) }
                }
            }
            @if nobody {
                (empty(
                    words.say("Nobody may sign in yet", "还没有任何用户"),
                    html! {
                        (words.say("On the box, run ", "请在本机执行 "))
                        code { "aisled console user add NAME --role admin" }
                        (words.say(". It prints a one-time code for the first sign-in.", "，它会输出首次登录所需的一次性代码。"))
                    },
                ))
            }
            (inputs(words, form, &secret))
            p { @match form {
                Form::SignIn => a href="/setup" { (words.say("I have a one-time code", "我有一次性代码")) },
                Form::First => a href="/login" { (words.say("I have a password", "我已有密码")) },
            } }
        }
    };
    let title = match form {
        Form::SignIn => words.say("Sign in", "登录"),
        Form::First => words.say("First sign-in", "首次登录"),
    };
    let status = problem.and_then(|problem| StatusCode::from_u16(problem.code.status()).ok());
    let text = document(Page { title: title.to_owned(), live: None, again_s: None, body }, client, &shop);
    let mut response = (status.unwrap_or(StatusCode::OK), text).into_response();
    if is_new {
        keep_cookie(&mut response, client, (FORM_COOKIE, &secret), None);
    }
    Ok(response)
}

fn inputs(words: Words<'_>, form: Form, secret: &str) -> Markup {
    let (least, most) = (limits::CONSOLE_PASSWORD_CHARS_MIN, limits::CONSOLE_PASSWORD_BYTES_MAX);
    html! {
        form method="post" action=(if form == Form::SignIn { "/login" } else { "/setup" }) {
            input type="hidden" name="csrf" value=(secret);
            label { span { (words.say("Name", "用户名")) }
                input name="name" required autocomplete="username" autocapitalize="none" spellcheck="false" maxlength=(limits::ID_BYTES_MAX); }
            @match form {
                Form::SignIn => {
                    label { span { (words.say("Password", "密码")) }
                        input name="password" type="password" required autocomplete="current-password" maxlength=(most); }
                    button type="submit" { (words.say("Sign in", "登录")) }
                }
                Form::First => {
                    label { span { (words.say("One-time code", "一次性代码")) }
                        input name="code" required autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" maxlength="32"; }
                    label { span { (words.say("New password, ten characters or more", "新密码，至少十个字符")) }
                        input name="password" type="password" required autocomplete="new-password" minlength=(least) maxlength=(most); }
                    label { span { (words.say("The same again", "再次输入")) }
                        input name="again" type="password" required autocomplete="new-password" minlength=(least) maxlength=(most); }
                    button type="submit" { (words.say("Set the password and sign in", "设置密码并登录")) }
                }
            }
        }
    }
}

fn field(fields: &Fields, name: &str, most: usize) -> Result<String, Problem> {
    let value = fields.get(name).map(String::as_str).unwrap_or_default();
    match value.len() {
        0 => Err(Problem::new(Code::ConsoleBadForm, format!("{name} is missing"))),
        bytes if bytes > most => Err(Problem::new(Code::ConsoleBadForm, format!("{name} is too long"))),
        _ => Ok(value.to_owned()),
    }
}

/// Refuses before any password is looked at, while this name or address must wait. A try counts as a failure until it has
/// succeeded, so that many at once gain nothing.
fn try_once(console: &Console, client: &Client, name: &str) -> Result<(), Problem> {
    let now = console.clock.now();
    let mut sessions = console.sessions();
    match sessions.wait_ms(client.peer, name, now) {
        None => {
            sessions.failed(client.peer, name, now);
            Ok(())
        }
        Some(ms) => {
            let retry_after_s = Some((ms + 999) / 1_000);
            Err(Problem { retry_after_s, ..Problem::new(Code::ConsoleLoginThrottled, "") })
        }
    }
}

/// Opens a session, or shows the form again with what was wrong.
async fn outcome(
    console: &Console,
    client: &Client,
    form: Form,
    name: &str,
    proved: Result<crate::console::users::User, Problem>,
) -> Answer {
    let now = console.clock.now();
    match proved {
        Ok(user) => {
            let token = {
                let mut sessions = console.sessions();
                sessions.forgive(client.peer, name, true);
                sessions.open(&user, now)?
            };
            let what = json!({ "from": client.peer, "role": user.role, "password": if form == Form::First { "new" } else { "known" } });
            // Whoever mends a full disk must see the pages that tell of it: the system's journal has the missing line.
            let _ = console.acts.write(now, &user.name, "console.login", what).await;
            let mut response = redirect("/");
            keep_cookie(&mut response, client, (SESSION_COOKIE, &token), None);
            Ok(response)
        }
        Err(problem) => {
            // Read only where it is written down: whoever waits costs nothing.
            let who = || (client.peer, console.users.knows(name).unwrap_or(false).then_some(name));
            match problem.code {
                Code::ConsoleLoginWrong | Code::ConsoleCodeWrong => {
                    tracing::warn!(peer = %client.peer, code = %problem.code, "a sign-in to the console failed");
                    console.acts.refuse(now, "console.login_refused", who()).await;
                }
                Code::ConsoleLoginThrottled => {
                    if console.sessions().is_told_first(client.peer, name, now) {
                        console.acts.refuse(now, "console.login_throttled", who()).await;
                    }
                }
                _ => console.sessions().forgive(client.peer, name, false),
            }
            page(console, client, form, Some(&problem))
        }
    }
}

pub(in crate::console) async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    let fields = fields(request, &client).await?;
    let name = field(&fields, "name", limits::ID_BYTES_MAX)?;
    let password = field(&fields, "password", limits::CONSOLE_PASSWORD_BYTES_MAX)?;
    let proved = match try_once(&console, &client, &name) {
        Ok(()) => {
            let name = name.clone();
            let proved = console.prove(move |users| users.prove(&name, &password)).await?;
            // What is wrong with a sign-in is never told closer than that.
            proved.map_err(|error| Problem::new(error.code, ""))
        }
        Err(problem) => Err(problem),
    };
    outcome(&console, &client, Form::SignIn, &name, proved).await
}

pub(in crate::console) async fn set_password(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    let fields = fields(request, &client).await?;
    let name = field(&fields, "name", limits::ID_BYTES_MAX)?;
    let code = field(&fields, "code", limits::NAME_BYTES_MAX)?;
    let password = field(&fields, "password", limits::CONSOLE_PASSWORD_BYTES_MAX)?;
    let is_same = fields.get("again").is_some_and(|again| *again == password);
    let now = console.clock.now();
    let proved = match try_once(&console, &client, &name) {
        Ok(()) if is_same => {
            let name = name.clone();
            let set = console.prove(move |users| users.set_password(&name, &code, &password, now)).await?;
            set.map_err(|error| Problem::new(error.code, ""))
        }
        Ok(()) => Err(Problem::new(Code::ConsolePasswordWeak, "")),
        Err(problem) => Err(problem),
    };
    outcome(&console, &client, Form::First, &name, proved).await
}

pub(in crate::console) async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, Problem> {
    fields(request, &client).await?;
    if let Some(token) = &client.token {
        console.sessions().close(token);
    }
    if let Some(session) = &client.session {
        let what = json!({ "from": client.peer });
        let _ = console.acts.write(console.clock.now(), &session.name, "console.logout", what).await;
    }
    let mut response = redirect("/login");
    keep_cookie(&mut response, &client, (SESSION_COOKIE, ""), Some(0));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_field_bounded() {
        let fields: Fields = [("name".to_owned(), "lin".to_owned())].into();
        assert_eq!(field(&fields, "name", 3).map_err(|p| p.code), Ok("lin".to_owned()));
        assert_eq!(field(&fields, "name", 2).map_err(|p| p.code), Err(Code::ConsoleBadForm));
        assert_eq!(field(&fields, "code", 9).map_err(|p| p.code), Err(Code::ConsoleBadForm));
    }
}
