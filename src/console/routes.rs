//! Addresses to pages, and what surrounds each: the door before, headers and the problem's page after.
//!
//! A handler answers with a page or a `Problem`; a problem travels as an extension of its response and is rendered here, in
//! the reader's language, with its code. What costs more than the snapshot is asked one at a time (`Console::ask`) and,
//! where it is counted over the whole journal, kept for a while (`Console::count`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, FromRequest as _, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::acts::Acts;
use super::door::{self, Client, Paces, Peer, Problem};
use super::page::{self, MENU, Page, document};
use super::server::ConsoleConfig;
use super::sessions::{self, Session, Sessions};
use super::shop::{Question, Shop, Snapshot};
use super::users::{Role, Users};
use super::{live, metrics, pages};
use crate::clock::Clock;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::text::Lang;
use crate::gate::Complaints;
use crate::limits;

/// What every request may use.
pub(super) struct Console {
    pub(super) shop: Arc<dyn Shop>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) users: Users,
    pub(super) acts: Acts,
    pub(super) stop: watch::Receiver<bool>,
    complaints: Arc<Complaints>,
    pub(super) streams: Arc<Semaphore>,
    hosts: Vec<String>,
    metrics_for_all: bool,
    secure: bool,
    sessions: Mutex<Sessions>,
    paces: Mutex<Paces>,
    heavy: Arc<Semaphore>,
    light: Arc<Semaphore>,
    proofs: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    counted: Mutex<BTreeMap<&'static str, (UnixMs, Counted)>>,
    counting: Mutex<BTreeSet<&'static str>>,
    /// How many counts have ended.
    done: watch::Sender<u64>,
    pub(super) tally: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

/// A form's fields.
pub(super) type Fields = BTreeMap<String, String>;

/// What a question gave.
pub(super) type Counted = Result<Arc<Value>, Problem>;

/// What a handler answers with.
pub(super) type Answer = Result<Response, Problem>;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        held(&self.sessions)
    }

    /// What is counted over the whole journal, or probed on the box: as it was a moment ago, or as soon as it is counted. The
    /// outer error is "being counted": the browser asks again by itself.
    pub(super) async fn count(self: &Arc<Self>, question: Question) -> Result<Counted, Problem> {
        let name = match &question {
            Question::Campaigns => "campaigns",
            Question::Segments => "segments",
            Question::Hours => "hours",
            _ => "check",
        };
        let good_ms = if name == "check" { limits::CONSOLE_CHECKED_MS } else { limits::CONSOLE_COUNTED_MS };
        let mut done = self.done.subscribe();
        if let Some(counted) = self.kept(name, good_ms) {
            return Ok(counted);
        }
        if held(&self.counting).insert(name) {
            let console = Arc::clone(self);
            tokio::spawn(async move {
                let counted = console.ask(question).await;
                held(&console.counted).insert(name, (console.clock.now(), counted));
                held(&console.counting).remove(name);
                console.done.send_modify(|done| *done += 1);
            });
        }
        if let Some(counted) = self.kept(name, limits::CONSOLE_STALE_MS) {
            return Ok(counted);
        }
        let counted = async {
            loop {
                if let Some(counted) = self.kept(name, limits::CONSOLE_STALE_MS) {
                    return counted;
                }
                if done.changed().await.is_err() {
                    return Err(Problem::new(Code::ConsoleBusy, ""));
                }
            }
        };
        let patience = Duration::from_millis(limits::CONSOLE_PATIENCE_MS);
        timeout(patience, counted).await.map_err(|_| Problem {
            retry_after_s: Some(limits::CONSOLE_COME_AGAIN_S),
            ..Problem::new(Code::ConsoleCounting, "")
        })
    }

    fn kept(&self, name: &str, good_ms: i64) -> Option<Counted> {
        let counted = held(&self.counted);
        let (at, value) = counted.get(name)?;
        let age_ms = self.clock.now().ms_since(*at);
        (0..good_ms).contains(&age_ms).then(|| value.clone())
    }

    /// Asks the daemon what its snapshot does not say, in a thread that may wait, one question of a weight at a time.
    pub(super) async fn ask(&self, question: Question) -> Counted {
        let is_light = matches!(
            question,
            Question::Decision(_) | Question::Recent | Question::Quote(_) | Question::Identities
        );
        let places = if is_light { &self.light } else { &self.heavy };
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Err(Problem::new(Code::ConsoleBusy, ""));
        };
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(|_| Problem::new(Code::ConsoleBusy, ""))?;
        drop(waiting);
        let shop = Arc::clone(&self.shop);
        let answered = tokio::task::spawn_blocking(move || {
            let answer = shop.ask(&question);
            drop(place);
            answer
        });
        let answer =
            answered.await.map_err(|_| Problem::new(Code::ConsoleBusy, "the count failed inside"))?;
        Ok(Arc::new(answer?))
    }

    /// Proves a password, or sets one: some 30 ms and 19 MiB, one at a time.
    pub(super) async fn prove<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Users) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.proofs).acquire_owned().await;
        let place = place.map_err(|_| Problem::new(Code::ConsoleBusy, ""))?;
        let users = self.users.clone();
        let proved = tokio::task::spawn_blocking(move || {
            let outcome = act(&users);
            drop(place);
            outcome
        });
        proved.await.map_err(|_| Problem::new(Code::ConsoleBusy, "the proof failed inside"))
    }
}

/// The whole console.
pub(super) fn router(
    config: &ConsoleConfig<'_>,
    shop: Arc<dyn Shop>,
    clock: Arc<dyn Clock>,
    complaints: Arc<Complaints>,
    stop: watch::Receiver<bool>,
) -> Router {
    let console = Arc::new(Console {
        snapshots: shop.snapshots(),
        shop,
        clock,
        users: Users::new(config.data_dir),
        acts: Acts::new(config.data_dir),
        complaints,
        stop,
        streams: Arc::new(Semaphore::new(limits::CONSOLE_STREAMS_MAX)),
        hosts: config.hosts.clone(),
        metrics_for_all: config.metrics_for_all,
        secure: config.tls.is_some(),
        sessions: Mutex::default(),
        paces: Mutex::default(),
        heavy: Arc::new(Semaphore::new(limits::CONSOLE_HEAVY_MAX)),
        light: Arc::new(Semaphore::new(limits::CONSOLE_HEAVY_MAX)),
        proofs: Arc::new(Semaphore::new(limits::CONSOLE_HEAVY_MAX)),
        waiting: Arc::new(Semaphore::new(limits::CONSOLE_HEAVY_WAITING_MAX)),
        counted: Mutex::default(),
        counting: Mutex::default(),
        done: watch::Sender::new(0),
        tally: Mutex::default(),
    });
    Router::new()
        .route("/", get(pages::now::show))
        .route("/sync", get(pages::sync::show))
        .route("/why", get(pages::why::show))
        .route("/campaigns", get(pages::campaigns::show))
        .route("/segments", get(pages::segments::show))
        .route("/when", get(pages::when::show))
        .route("/simulator", get(pages::simulator::show).post(pages::simulator::price))
        .route("/devices", get(pages::devices::show))
        .route("/health", get(pages::health::show))
        .route("/users", get(pages::users::show))
        .route("/users/sign-out", post(pages::users::sign_out))
        .route("/login", get(pages::login::show).post(pages::login::sign_in))
        .route("/setup", get(pages::login::first).post(pages::login::set_password))
        .route("/logout", post(pages::login::sign_out))
        .route("/live/{page}", get(live::stream))
        .route("/assets/{name}", get(asset))
        .route("/healthz", get(metrics::healthz))
        .route("/metrics", get(metrics::scrape))
        .fallback(|| async { Problem::new(Code::ConsoleNoSuchPage, "") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::ConsoleNoSuchPage, "") })
        .layer(axum::extract::DefaultBodyLimit::max(limits::CONSOLE_BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&console), door))
        .with_state(console)
}

/// Pages that nobody needs to be signed in for.
fn is_open(path: &str) -> bool {
    matches!(path, "/login" | "/setup" | "/healthz" | "/metrics") || path.starts_with("/assets/")
}

async fn door(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let query = request.uri().query().unwrap_or_default();
    let (lang, keep_lang) = door::lang(request.headers(), query, Lang::default());
    let now = console.clock.now();
    let token = door::cookie(request.headers(), door::SESSION_COOKIE).map(str::to_owned);
    let mut client = Client {
        peer,
        lang,
        session: None,
        token,
        form: door::cookie(request.headers(), door::FORM_COOKIE).map(str::to_owned),
        path: request.uri().path().to_owned(),
        secure: console.secure,
    };
    let entered = enter(&console, &mut client, (request.method(), request.headers()), now).await;
    let mut response = match entered {
        Ok(()) => {
            request.extensions_mut().insert(client.clone());
            next.run(request).await
        }
        Err(Entry::Problem(problem)) => problem.into_response(),
        Err(Entry::SignIn) => redirect("/login"),
    };
    let mut code = response.status().as_u16();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        code = problem.code.number();
        // Such that no page of the console sends: somebody plays with it.
        if matches!(
            problem.code,
            Code::ConsoleHostUnknown
                | Code::ConsoleForeignOrigin
                | Code::ConsoleTooFast
                | Code::ConsoleBadForm
        ) {
            let why = || format!("{} {}", client.path.chars().take(64).collect::<String>(), problem.detail);
            console.complaints.complain(problem.code, &client.peer.to_string(), why);
        }
        tracing::debug!(code = %problem.code, detail = problem.detail, "the console refuses");
        let text = page::problem(&problem, &client, &console.snapshot());
        let headers = response.headers().clone();
        response = (response.status(), text).into_response();
        response.headers_mut().extend(headers.into_iter().filter(|(name, _)| name.is_some()));
    }
    let area = match client.path.as_str() {
        "/healthz" | "/metrics" => "machine",
        path if path.starts_with("/assets/") => "asset",
        path if path.starts_with("/live/") => "live",
        _ => "page",
    };
    *held(&console.tally).entry((area, code)).or_default() += 1;
    if keep_lang {
        keep_cookie(&mut response, &client, (door::LANG_COOKIE, lang.tag()), Some(31_536_000));
    }
    guard_headers(&mut response);
    response
}

enum Entry {
    Problem(Problem),
    SignIn,
}

async fn enter(
    console: &Console,
    client: &mut Client,
    (method, headers): (&Method, &HeaderMap),
    now: UnixMs,
) -> Result<(), Entry> {
    door::check_host(headers, &console.hosts).map_err(Entry::Problem)?;
    if !held(&console.paces).take(client.peer, console.clock.ticks()) {
        sleep(Duration::from_millis(limits::CONSOLE_REFUSAL_DELAY_MS)).await;
        let problem = Problem { retry_after_s: Some(1), ..Problem::new(Code::ConsoleTooFast, "") };
        return Err(Entry::Problem(problem));
    }
    if method != Method::GET && method != Method::HEAD {
        door::check_origin(headers).map_err(Entry::Problem)?;
    }
    let path = client.path.as_str();
    if path == "/metrics" && !console.metrics_for_all && !client.peer.is_loopback() {
        return Err(Entry::Problem(Problem::new(Code::ConsoleRoleMissing, "console.metrics_for_all")));
    }
    if matches!(path, "/metrics" | "/healthz") || path.starts_with("/assets/") {
        return Ok(());
    }
    client.session = console.session(client.token.as_deref(), now);
    let Some(session) = &client.session else {
        return match () {
            () if is_open(path) => Ok(()),
            () if path.starts_with("/live/") || method != Method::GET => {
                Err(Entry::Problem(Problem::new(Code::ConsoleLoginNeeded, "")))
            }
            () => Err(Entry::SignIn),
        };
    };
    let page = path.strip_prefix("/live").unwrap_or(path);
    let first = format!("/{}", page.split('/').nth(1).unwrap_or_default());
    let needed = MENU.iter().find(|entry| entry.path == first || entry.path == "/" && first == "/now");
    match needed.map(|entry| entry.role).filter(|role| *role > session.role) {
        Some(role) => Err(Entry::Problem(Problem::new(Code::ConsoleRoleMissing, role.as_str()))),
        None => Ok(()),
    }
}

impl Console {
    /// Who is signed in with this token, and still may be.
    pub(super) fn session(&self, token: Option<&str>, now: UnixMs) -> Option<Session> {
        let mut session = self.sessions().find(token?, now)?;
        // Removed, reset or given another role meanwhile: the file says.
        let user = self.users.list().ok()?.into_iter().find(|user| user.name == session.name)?;
        user.password.as_ref()?;
        session.role = user.role;
        Some(session)
    }
}

fn guard_headers(response: &mut Response) {
    const HEADERS: &[(&str, &str)] = &[
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Sets a cookie that no script reads and no other site sends; without an age it ends with the browser.
pub(super) fn keep_cookie(
    response: &mut Response,
    client: &Client,
    (name, value): (&str, &str),
    seconds: Option<u32>,
) {
    let secure = if client.secure { "; Secure" } else { "" };
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Sends the browser to another page.
pub(super) fn redirect(path: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after_s
            && let Ok(value) = HeaderValue::from_str(&seconds.max(1).to_string())
        {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A page in its frame.
pub(super) fn framed(title: &str, body: Markup, client: &Client, shop: &Snapshot) -> Response {
    document(Page { title: title.to_owned(), live: None, again_s: None, body }, client, shop).into_response()
}

/// The fields of a form, once it is known to come from a page that this browser was shown.
pub(super) async fn fields(request: Request, client: &Client) -> Result<Fields, Problem> {
    let read = timeout(
        Duration::from_millis(limits::CONSOLE_BODY_MS_MAX),
        Form::<Fields>::from_request(request, &()),
    );
    let Form(fields) = read
        .await
        .map_err(|_| Problem::new(Code::ConsoleBadForm, "the form did not come in time"))?
        .map_err(|error| Problem::new(Code::ConsoleBadForm, error.body_text()))?;
    let wanted = client.session.as_ref().map(|session| &session.csrf).or(client.form.as_ref());
    let brought = fields.get("csrf").filter(|brought| !brought.is_empty());
    match (wanted, brought) {
        (Some(wanted), Some(brought)) if is_same(wanted, brought) => Ok(fields),
        _ => Err(Problem::new(Code::ConsoleFormStale, "")),
    }
}

/// Takes as long whichever byte differs.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

async fn asset(Path(name): Path<String>) -> Answer {
    let kept = |kind: &'static str, text: &'static str| {
        let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
        Ok((headers, text).into_response())
    };
    match name.as_str() {
        "icon.svg" => kept("image/svg+xml", page::ICON),
        name if name.ends_with("-console.css") => kept("text/css; charset=utf-8", page::CSS),
        name if name.ends_with("-console.js") => kept("text/javascript; charset=utf-8", page::SCRIPT),
        _ => Err(Problem::new(Code::ConsoleNoSuchPage, "")),
    }
}

/// A secret for a form that is shown before any session: the browser's own, or a new one with its cookie.
pub(super) fn form_secret(client: &Client) -> Result<(String, bool), Problem> {
    let well_formed = |secret: &&String| secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit());
    match client.form.as_ref().filter(well_formed) {
        Some(secret) => Ok((secret.clone(), false)),
        None => Ok((sessions::secret()?, true)),
    }
}

/// Whether somebody of this role may see a page of that one.
pub(super) fn may(session: Option<&Session>, role: Role) -> bool {
    session.is_some_and(|session| session.role >= role)
}
