//! Do the web pages keep their promises through the real door: every page in both languages, who may see what, and that
//! nobody who plays with the console reaches a till.

use std::net::SocketAddr;

use aisled::config::Console;
use aisled::console::{FAMILIES, Role, Users};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::gate::authority::Authority;
use aisled::gate::tls;
use aisled::limits;
use clap::Parser as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::{NOON, Shop, cash, line, sale, until};
use crate::till::soon;

const PASSWORD: &str = "a long sentence";

#[derive(clap::Parser)]
struct Audit {
    #[command(flatten)]
    args: aisled::cli::audit::AuditArgs,
}

/// An answer: status, head, body.
struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut cookies = cookies.filter(|(known, _)| known.eq_ignore_ascii_case("set-cookie"));
        cookies.find_map(|(_, value)| {
            assert!(value.contains("HttpOnly") && value.contains("SameSite=Strict"), "{value}");
            let (key, rest) = value.split_once('=')?;
            (key == name).then(|| rest.split(';').next().unwrap_or_default().to_owned())
        })
    }

    fn has(&self, code: Code) -> bool {
        self.status == code.status() && self.body.contains(&code.to_string())
    }
}

/// A browser without scripts.
struct Browser {
    addr: SocketAddr,
    clock: aisled::clock::ManualClock,
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn of(shop: &Shop) -> Browser {
        let addr = shop.status()["console"].as_str().and_then(|addr| addr.parse().ok()).expect("it listens");
        Browser { addr, clock: shop.clock.clone(), cookies: Vec::new() }
    }

    async fn raw(&self, request: String) -> Said {
        // Each request earns its pace: the tests' clock stands still.
        self.clock.advance_ms(50);
        let talk = async {
            let mut stream = TcpStream::connect(self.addr).await.expect("it listens");
            stream.write_all(request.as_bytes()).await.expect("it hears");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("it answers");
            String::from_utf8(bytes).expect("text")
        };
        let text = soon("an answer of the console", talk).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Said { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn ask(&mut self, method: &str, path: &str, more: &str, body: &str) -> Said {
        let cookies: Vec<String> = self.cookies.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let host = if more.contains("Host: ") { String::new() } else { format!("Host: {}\r\n", self.addr) };
        let said = self
            .raw(format!(
                "{method} {path} HTTP/1.1\r\n{host}{more}Cookie: {}\r\nConnection: close\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                cookies.join("; "),
                body.len()
            ))
            .await;
        for name in ["aisled_session", "aisled_form", "aisled_lang"] {
            if let Some(value) = said.cookie(name) {
                self.cookies.retain(|(known, _)| known != name);
                self.cookies.push((name.to_owned(), value));
            }
        }
        said
    }

    /// A page; one that is being counted is asked for again, as a browser does.
    async fn get(&mut self, path: &str) -> Said {
        loop {
            let said = self.ask("GET", path, "", "").await;
            if !said.has(Code::ConsoleCounting) {
                return said;
            }
            assert!(said.body.contains("http-equiv=\"refresh\""), "{}", said.body);
        }
    }

    /// The secret that the forms of this page bring back.
    async fn secret(&mut self, path: &str) -> String {
        let page = self.get(path).await;
        let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    async fn post(&mut self, path: &str, csrf: &str, fields: &str) -> Said {
        self.ask("POST", path, "", &format!("csrf={csrf}&{fields}")).await
    }

    /// Signs a new user in with a one-time code, as the page does.
    async fn sign_in(shop: &Shop, name: &str, role: Role) -> Browser {
        let mut browser = Browser::of(shop);
        let now = aisled::clock::Clock::now(&shop.clock);
        let code = Users::new(shop.data()).add(name, role, now).expect("is added");
        let csrf = browser.secret("/setup").await;
        let fields =
            format!("name={name}&code={code}&password={PASSWORD}&again={PASSWORD}").replace(' ', "+");
        let said = browser.post("/setup", &csrf, &fields).await;
        assert_eq!((said.status, said.header("location")), (303, Some("/")), "{}", said.body);
        browser
    }
}

async fn open() -> Shop {
    let mut shop = Shop::open().await;
    let listen = "127.0.0.1:0".parse().expect("an address");
    shop.config.console = Some(Console { listen, hosts: Vec::new(), tls: None, metrics_for_all: false });
    shop.restart().await;
    shop.follows(1).await;
    until("the console", || shop.status()["console"].is_string()).await;
    shop
}

/// Sells something that a promotion reaches; the decision's name.
async fn sell(shop: &Shop) -> String {
    let mut till = shop.till("till-1").await;
    let basket = json!({ "lines": [line("1", "6901234000017", 3), line("2", "6901234000024", 1)] });
    let reply = till.ask("quote", json!({ "basket": basket })).await;
    let total = reply.data()["total"].as_i64().expect("a total");
    let quote = reply.data()["quote"].clone();
    let reply =
        till.ask("commit", json!({ "transaction": sale(1), "quote": quote, "tenders": cash(total) })).await;
    reply.data()["decision"].as_str().expect("a decision").to_owned()
}

const PAGES: [(&str, &str, &str); 10] = [
    ("/", "Now", "此刻"),
    ("/sync", "Sync with head office", "与总部同步"),
    ("/why", "Why this price", "为什么是这个价格"),
    ("/campaigns", "Campaigns", "活动"),
    ("/segments", "Segments", "客群"),
    ("/when", "When people buy", "购买时段"),
    ("/simulator", "Simulator", "试算"),
    ("/devices", "Devices", "设备"),
    ("/health", "Health", "健康"),
    ("/users", "Users", "用户"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_every_page_there_in_both_languages() {
    let mut shop = open().await;
    let decision = sell(&shop).await;
    let mut admin = Browser::sign_in(&shop, "ada", Role::Admin).await;
    for lang in ["en", "zh-CN"] {
        for (path, en, zh) in PAGES {
            let said = admin.get(&format!("{path}?lang={lang}")).await;
            let heading = if lang == "en" { en } else { zh };
            assert_eq!(said.status, 200, "{path}: {}", said.body);
            assert!(said.body.contains(&format!("<h1>{heading}</h1>")), "{path} in {lang}: {}", said.body);
            assert!(said.body.contains(&format!("<html lang=\"{lang}\"")), "{path}");
            assert!(said.body.len() <= 100 * 1024, "{path}: {} bytes", said.body.len());
            let text = said.body.replace("http://www.w3.org/2000/svg", "");
            for inline in [" style=", "<style", "onclick", "javascript:", "http://", "https://"] {
                assert!(!text.contains(inline), "{path} holds {inline}");
            }
            let policy = said.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(said.header("cache-control"), Some("no-store"));
        }
    }
    // What the sale left behind is on the pages.
    let why = admin.get(&format!("/why?decision={decision}&lang=en")).await;
    for seen in ["the same to the last fen", "Line by line", "Promotions that did not apply", &decision] {
        assert!(why.body.contains(seen), "{seen} is missing in {}", why.body);
    }
    let other = admin.get("/why?decision=another-shop/1/1").await;
    assert!(other.body.contains(&Code::ConsoleNoDecision.to_string()), "{}", other.body);
    assert!(admin.get("/when").await.body.contains("class=\"heat\""));
    let csrf = admin.secret("/simulator").await;
    let priced =
        admin.post("/simulator", &csrf, "basket=6901234000017+*+3&kind=card&member=&coupons=&points=").await;
    assert!(priced.status == 200 && priced.body.contains("Line by line"), "{}", priced.body);
    let wrong = admin.post("/simulator", &csrf, "basket=no-such-thing").await;
    assert!(wrong.body.contains(&Code::UnknownSku.to_string()), "{}", wrong.body);
    // Devices, with what they prove themselves with and until when.
    let known = format!("kiosk-9 cert:{} until=2027-01-02\n", "a1".repeat(32));
    std::fs::write(shop.data().join("devices"), known).expect("it is written");
    let devices = admin.get("/devices?lang=en").await;
    assert!(devices.body.contains("certificate 2027-01-02"), "{}", devices.body);
    // A locale that does not exist is no fault and is named nowhere.
    let said = admin.get("/?lang=tlh-KX").await;
    assert!(said.status == 200 && !said.body.contains("tlh"), "{}", said.body);
    // A live page's body comes by itself.
    let mut stream = TcpStream::connect(admin.addr).await.expect("it listens");
    let cookies: Vec<String> = admin.cookies.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let request =
        format!("GET /live/now HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", admin.addr, cookies.join("; "));
    stream.write_all(request.as_bytes()).await.expect("it hears");
    let mut heard = String::new();
    let mut part = [0; 4_096];
    while !heard.contains("data: ") || !heard.contains("till-1") {
        let count = soon("an event", stream.read(&mut part)).await.expect("it answers");
        assert_ne!(count, 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_what() {
    let mut shop = open().await;
    let mut stranger = Browser::of(&shop);
    for (path, ..) in PAGES {
        let said = stranger.get(path).await;
        assert_eq!((said.status, said.header("location")), (303, Some("/login")), "{path}");
        assert!(said.body.is_empty(), "{path}: {}", said.body);
    }
    assert!(stranger.get("/live/now").await.has(Code::ConsoleLoginNeeded));
    assert!(stranger.get("/login").await.body.contains("aisled console user add"), "nobody may sign in yet");

    let mut viewer = Browser::sign_in(&shop, "vic", Role::Viewer).await;
    let mut manager = Browser::sign_in(&shop, "mia", Role::Manager).await;
    for (path, ..) in PAGES {
        let seen = !matches!(path, "/why" | "/campaigns" | "/segments" | "/when" | "/simulator" | "/users");
        let said = viewer.get(path).await;
        assert_eq!(said.status == 200, seen, "{path} for a viewer: {}", said.status);
        assert!(seen || said.has(Code::ConsoleRoleMissing), "{path}: {}", said.body);
        assert_eq!(manager.get(path).await.status == 200, path != "/users", "{path} for a manager");
    }
    let csrf = viewer.secret("/").await;
    assert!(viewer.post("/simulator", &csrf, "basket=6901234000017").await.has(Code::ConsoleRoleMissing));
    assert!(viewer.post("/users/sign-out", &csrf, "name=mia").await.has(Code::ConsoleRoleMissing));
    assert!(viewer.get("/no-such-page").await.has(Code::ConsoleNoSuchPage));

    // Another role, another password or none at all counts at once.
    let users = Users::new(shop.data());
    users.reset("mia", NOON).expect("is reset");
    assert_eq!(manager.get("/").await.status, 303, "signed out");
    let said = viewer.post("/logout", &csrf, "").await;
    assert_eq!(said.header("location"), Some("/login"));
    assert_eq!(viewer.get("/").await.status, 303, "signed out");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_each_attack_refused_with_its_code() {
    let mut shop = open().await;
    let mut admin = Browser::sign_in(&shop, "ada", Role::Admin).await;
    let csrf = admin.secret("/").await;
    // Another name that points here (DNS rebinding), on every door.
    for path in ["/", "/login", "/metrics", "/healthz", "/live/now"] {
        let said = admin.ask("GET", path, "Host: evil.example\r\n", "").await;
        assert!(said.has(Code::ConsoleHostUnknown), "{path}: {} {}", said.status, said.body);
    }
    // A form of another site, one without its secret, one with another's.
    for path in ["/login", "/setup", "/logout", "/simulator", "/users/sign-out"] {
        let body = format!("csrf={csrf}&basket=6901234000017&name=ada");
        let said = admin.ask("POST", path, "Origin: http://evil.example\r\n", &body).await;
        assert!(said.has(Code::ConsoleForeignOrigin), "{path}: {}", said.body);
        let said = admin.ask("POST", path, "Sec-Fetch-Site: cross-site\r\n", &body).await;
        assert!(said.has(Code::ConsoleForeignOrigin), "{path}: {}", said.body);
        let said = admin.ask("POST", path, "", "name=ada&basket=6901234000017").await;
        assert!(said.has(Code::ConsoleFormStale), "{path}: {}", said.body);
        let said = admin.post(path, &"0".repeat(64), "name=ada&basket=6901234000017").await;
        assert!(said.has(Code::ConsoleFormStale), "{path}: {}", said.body);
    }
    let large = format!("csrf={csrf}&basket={}", "x".repeat(limits::CONSOLE_BODY_BYTES_MAX));
    assert!(admin.ask("POST", "/simulator", "", &large).await.has(Code::ConsoleBadForm));
    assert_eq!(admin.get("/").await.status, 200, "still signed in");

    // Wrong passwords, for a name that exists and for one that does not, look the same and then wait.
    for name in ["ada", "nobody"] {
        let mut thief = Browser::of(&shop);
        let secret = thief.secret("/login").await;
        let fields = format!("name={name}&password=guess");
        let mut seen = Vec::new();
        for _ in 0..=limits::CONSOLE_FAILURES_FREE {
            let said = thief.post("/login", &secret, &fields).await;
            seen.push((said.has(Code::ConsoleLoginWrong), said.has(Code::ConsoleLoginThrottled)));
        }
        assert!(thief.post("/login", &secret, &fields).await.has(Code::ConsoleLoginThrottled));
        let last = seen.pop().expect("the last one");
        assert_eq!(last, (false, true), "{name}");
        shop.clock.set(aisled::domain::calendar::UnixMs(
            aisled::clock::Clock::now(&shop.clock).0 + limits::CONSOLE_FAILURE_WAIT_MS_MAX + 1,
        ));
    }

    // Each is in the audit log, a wait once, and no name that nobody has.
    let acts = aisled::audit::last(shop.data(), 99).expect("it reads");
    let refused = |act: &str| -> Vec<Value> {
        acts.iter().filter(|one| one.act == act).map(|one| one.what["user"].clone()).collect()
    };
    let free = limits::CONSOLE_FAILURES_FREE as usize;
    let named = [vec![json!("ada"); free], vec![Value::Null; free]].concat();
    assert_eq!(refused("console.login_refused"), named);
    assert_eq!(refused("console.login_throttled"), [json!("ada"), Value::Null]);
    assert!(!acts.iter().any(|act| format!("{act:?}").contains("nobody")), "{acts:?}");

    // Faster than any person: refused, and the tills notice nothing.
    let mut fast = Browser::of(&shop);
    let mut till = shop.till("till-1").await;
    let clock = std::mem::replace(&mut fast.clock, aisled::clock::ManualClock::new(UnixMs(0)));
    let mut refused = 0;
    for _ in 0..2 * limits::CONSOLE_BURST_MAX {
        let said = fast.get("/login").await;
        refused += u32::from(said.has(Code::ConsoleTooFast));
        if refused > 2 {
            break;
        }
    }
    assert!(refused > 2, "it has a pace");
    clock.advance_ms(10_000);
    let reply = till.ask("quote", json!({ "basket": { "lines": [line("1", "6901234000017", 1)] } })).await;
    assert_eq!(reply.status(), 200);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_and_went_as_aisled_audit_tells_it() {
    let mut shop = open().await;
    let mut ada = Browser::sign_in(&shop, "ada", Role::Admin).await;
    let mut lin = Browser::sign_in(&shop, "lin", Role::Viewer).await;
    let csrf = lin.secret("/").await;
    assert_eq!(lin.post("/logout", &csrf, "").await.status, 303);
    let secret = lin.secret("/login").await;
    let fields = format!("name=lin&password={PASSWORD}").replace(' ', "+");
    assert_eq!(lin.post("/login", &secret, &fields).await.status, 303);
    let csrf = ada.secret("/").await;
    assert_eq!(ada.post("/users/sign-out", &csrf, "name=lin").await.status, 303);
    assert_eq!(lin.get("/").await.header("location"), Some("/login"), "signed out");

    let ran = |words: &[&str]| {
        let args = Audit::try_parse_from([&["audit"], words].concat()).expect("it parses").args;
        let mut out = Vec::new();
        let exit = aisled::cli::audit::run(&args, shop.data(), &mut out).expect("it reads");
        (exit, String::from_utf8(out).expect("text"))
    };
    let acts: Vec<Value> = serde_json::from_str(&ran(&["show", "--json"]).1).expect("a list");
    let acts: Vec<(&str, &str, Value)> = acts
        .iter()
        .map(|act| (act["who"].as_str().unwrap_or_default(), act["act"].as_str().unwrap_or_default(), act))
        .filter(|(who, ..)| who.starts_with("console"))
        .map(|(who, act, whole)| (who, act, whole["what"].clone()))
        .collect();
    let here = "127.0.0.1";
    let login = |role: &str, password: &str| json!({ "from": here, "role": role, "password": password });
    assert_eq!(
        acts,
        [
            ("console ada", "console.login", login("admin", "new")),
            ("console lin", "console.login", login("viewer", "new")),
            ("console lin", "console.logout", json!({ "from": here })),
            ("console lin", "console.login", login("viewer", "known")),
            ("console ada", "console.logout_all", json!({ "from": here, "user": "lin" })),
        ]
    );
    assert_eq!(ran(&["verify"]).0, aisled::cli::Exit::Ok);
    shop.stop().await;
}

/// Has the other end said or ended anything, within a drip's time?
async fn is_over(stream: &mut TcpStream) -> bool {
    let mut part = [0; 64];
    tokio::time::timeout(std::time::Duration::from_millis(100), stream.read(&mut part)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_where_the_audit_log_cannot_be_written() {
    let mut shop = open().await;
    let mut ada = Browser::sign_in(&shop, "ada", Role::Admin).await;
    let log = shop.data().join("audit.log");
    std::fs::remove_file(&log).expect("it is there");
    std::fs::create_dir(&log).expect("nobody writes into a folder");
    let csrf = ada.secret("/").await;
    let said = ada.post("/users/sign-out", &csrf, "name=ada").await;
    assert!(said.has(Code::AuditUnwritable), "what is not written down is not done: {}", said.body);
    assert_eq!(ada.get("/").await.status, 200, "still signed in");
    // Whoever mends the disk must see what is wrong with it.
    assert_eq!(ada.post("/logout", &csrf, "").await.status, 303);
    let secret = ada.secret("/login").await;
    let fields = format!("name=ada&password={PASSWORD}").replace(' ', "+");
    assert_eq!(ada.post("/login", &secret, &fields).await.status, 303);
    assert_eq!(ada.get("/health").await.status, 200);
    let mut till = shop.till("till-1").await;
    let reply = till.ask("quote", json!({ "basket": { "lines": [line("1", "6901234000017", 1)] } })).await;
    assert_eq!(reply.status(), 200, "selling goes on");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_connections_that_say_nothing_end_by_themselves() {
    let mut shop = open().await;
    let addr = Browser::of(&shop).addr;
    let mut idle = Vec::new();
    for nth in 0..=limits::CONSOLE_CONNECTIONS_PER_ADDRESS_MAX {
        let mut stream = TcpStream::connect(addr).await.expect("it listens");
        // A head that never ends; the last one is one too many and may be closed already.
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await;
        assert!(sent.is_ok() || nth == limits::CONSOLE_CONNECTIONS_PER_ADDRESS_MAX);
        idle.push(stream);
    }
    // And what drips: a head, and the body of a form, a byte at a time.
    let form = "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 9999\r\n\r\ncsrf=";
    drop(idle.pop());
    drop(idle.pop());
    let mut drips = Vec::new();
    for begun in ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", form] {
        drips.push(tokio::spawn(async move {
            let mut stream = loop {
                let mut stream = TcpStream::connect(addr).await.expect("it listens");
                // Those that left may still be counted.
                if stream.write_all(begun.as_bytes()).await.is_ok() && !is_over(&mut stream).await {
                    break stream;
                }
            };
            while stream.write_all(b"x").await.is_ok() && !is_over(&mut stream).await {}
        }));
    }
    let mut till = shop.till("till-1").await;
    let reply = till.ask("quote", json!({ "basket": { "lines": [line("1", "6901234000017", 1)] } })).await;
    assert_eq!(reply.status(), 200, "selling goes on");
    for drip in drips {
        soon("the end of a dripping connection", drip).await.expect("no panic");
    }
    for mut stream in idle {
        let mut rest = Vec::new();
        // Closed in order or reset: either way it ended.
        drop(soon("the end of a silent connection", stream.read_to_end(&mut rest)).await);
    }
    assert_eq!(Browser::of(&shop).get("/healthz").await.status, 200, "there is room again");
    shop.stop().await;
}

/// The shop's certificate on the console: its authority, and what a browser that believes it sees.
struct Encrypted {
    shop: Shop,
    authority: Authority,
}

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

impl Encrypted {
    async fn open() -> Encrypted {
        let mut shop = Shop::open().await;
        let authority = Authority::create(shop.data(), &shop.config.store.id, NOON).expect("it is made");
        let tls = shop.data().join("tls");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let tls = Some((tls.join("server.pem"), tls.join("server.key")));
        shop.config.console = Some(Console { listen, hosts: Vec::new(), tls, metrics_for_all: false });
        let encrypted = Encrypted { shop, authority };
        encrypted.issue();
        encrypted
    }

    fn issue(&self) {
        let names = NAMES.map(str::to_owned);
        self.authority.server(&names, NOON, true).expect("it is made");
    }

    async fn listens(&self) -> SocketAddr {
        until("the console", || self.shop.status()["console"].is_string()).await;
        Browser::of(&self.shop).addr
    }

    /// One request over TLS: the server's certificate and what it says.
    async fn ask(&self, addr: SocketAddr, request: &str) -> ([u8; 32], String) {
        // Each request earns its pace.
        self.shop.clock.advance_ms(50);
        let clock = std::sync::Arc::new(self.shop.clock.clone());
        let config = tls::client(self.authority.pem().as_bytes(), None, clock).expect("an authority");
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let talk = async {
            let socket = TcpStream::connect(addr).await.expect("it listens");
            let mut stream = connector.connect(name, socket).await.expect("it is believed");
            let chain = stream.get_ref().1.peer_certificates().expect("it showed one");
            let shown = tls::fingerprint(&chain[0]);
            stream.write_all(request.as_bytes()).await.expect("it hears");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("it answers and ends in order");
            (shown, String::from_utf8(bytes).expect("text"))
        };
        soon("an answer over TLS", talk).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_the_console_served_with_the_shops_certificate_and_a_renewed_one_taken_up() {
    let mut encrypted = Encrypted::open().await;
    encrypted.shop.restart().await;
    let addr = encrypted.listens().await;
    let request = "GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (first, said) = encrypted.ask(addr, request).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("; Secure"), "{said}");

    // Plain HTTP on that port is told what to do, and nothing else.
    let mut plain = Browser::of(&encrypted.shop);
    let said = plain.get("/login").await;
    assert!(
        said.has(Code::ConsolePlainText) && said.body.contains("https://"),
        "{} {}",
        said.head,
        said.body
    );
    assert!(said.cookie("aisled_form").is_none() && !said.body.contains("csrf"), "{}", said.body);

    // Half a renewal, a file that is no certificate: what was served is served on.
    let chain = encrypted.shop.data().join("tls/server.pem");
    let good = std::fs::read(&chain).expect("it is there");
    std::fs::write(&chain, "no certificate").expect("it is written");
    assert_eq!(encrypted.ask(addr, request).await.0, first);
    std::fs::write(&chain, good).expect("it is written");

    encrypted.issue();
    let renewed = soon("the renewed certificate", async {
        loop {
            let (shown, said) = encrypted.ask(addr, request).await;
            if shown != first {
                break said;
            }
        }
    })
    .await;
    assert!(renewed.starts_with("HTTP/1.1 200"), "{renewed}");
    encrypted.shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_machines_read_health_and_metrics() {
    let mut shop = open().await;
    sell(&shop).await;
    let mut browser = Browser::of(&shop);
    let health = soon("a picture of the shop", async {
        loop {
            let said = browser.get("/healthz").await;
            if said.status == 200 {
                break said;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let health: Value = serde_json::from_str(&health.body).expect("JSON");
    for part in ["store", "bundle", "broker", "disk", "clock"] {
        assert!(health["parts"][part]["state"].is_string(), "{part} is missing in {health}");
    }
    let mut text = String::new();
    while !text.contains("op=\"commit\"") {
        text = browser.get("/metrics").await.body;
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(FAMILIES.iter().any(|(known, ..)| format!("aisled_{known}") == base), "{line}");
        assert!(!line.contains("till-1"), "no device is a label: {line}");
    }
    // The linter of Prometheus itself, where it is installed.
    let lint = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    if let Ok(mut lint) = lint {
        use std::io::Write as _;
        lint.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let said = lint.wait_with_output().expect("it ends");
        let said = (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned());
        assert_eq!(said, (true, String::new()));
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_nobody_in_a_bug_report() {
    let mut shop = open().await;
    let authored = crate::rules::authored();
    let mut secrets = vec!["hq-account".to_owned(), "open-sesame-42".to_owned()];
    for member in &authored.members {
        secrets.push(member.id.to_string());
        secrets.extend(member.tokens.iter().map(|token| token.value.clone()));
    }
    secrets.extend(authored.codes.iter().map(|code| code.code.to_string()));
    secrets.retain(|secret| secret.len() >= 4);
    assert!(secrets.len() > 8, "there is something to keep: {secrets:?}");
    let known = &authored.members[0].tokens[0];
    let mut till = shop.till("till-2").await;
    let token = json!({ "kind": known.kind, "value": known.value });
    assert_eq!(till.ask("scan", json!({ "token": token })).await.status(), 200);
    sell(&shop).await;

    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    let text = format!(
        "store.id = \"s01\"\nstore.data_dir = {:?}\nbroker.listen = {:?}\n[head_office]\nurl = \"mqtt://127.0.0.1:1\"\n\
         username = \"hq-account\"\npassword_file = \"the-secret-file\"\n",
        shop.data(),
        shop.addr().to_string()
    );
    std::fs::write(path("aisled.toml"), text).expect("is written");
    std::fs::write(path("the-secret-file"), "open-sesame-42").expect("is written");
    let log: String =
        secrets.iter().map(|secret| format!("INFO member={secret} said {secret} code=AIS-2104\n")).collect();
    std::fs::write(path("log"), log).expect("is written");
    let args =
        aisled::cli::bugreport::BugreportArgs { output: path("report.tar.gz"), log: Some(path("log")) };
    let file = path("aisled.toml");
    let run = move || {
        let mut out = Vec::new();
        aisled::cli::bugreport::run(&args, Some(&file), &aisled::config::Environment::default(), &mut out)
    };
    tokio::task::spawn_blocking(run).await.expect("no panic").expect("is written");
    let packed = std::fs::File::open(path("report.tar.gz")).expect("it is there");
    let mut report = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut names = Vec::new();
    for part in report.entries().expect("a tar") {
        let mut part = part.expect("a part");
        names.push(part.path().expect("a name").display().to_string());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut part, &mut text).expect("text");
        assert!(text.len() > 20, "{names:?} says nothing: {text}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {names:?}: {text}");
        }
    }
    let told = ["versions.txt", "config.txt", "status.json", "check.json", "sizes.txt", "log.txt"];
    assert_eq!(names, told.map(|name| format!("aisled-bugreport/{name}")));
    shop.stop().await;
}

#[test]
fn does_every_query_of_the_dashboard_name_a_metric_that_exists() {
    let text = std::fs::read_to_string("config/grafana/aisled.json").expect("the dashboard is there");
    let board: Value = serde_json::from_str(&text).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = queries.filter_map(|target| target["expr"].as_str()).collect();
    assert!(queries.len() >= 10, "{queries:?}");
    for query in queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<&str> = words.filter_map(|word| word.strip_prefix("aisled_")).collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(FAMILIES.iter().any(|(known, ..)| *known == base), "{query} names {name}");
        }
    }
}
