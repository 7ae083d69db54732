//! The console: how soon its first page is there, and what playing with it costs the tills.
//!
//! A shop with fifty devices that ask at a pace and a thousand campaigns. Rounds in turns: nobody looks, then four browsers
//! ask for every page as fast as they are answered. The ratio of the tills' p99 is what is promised.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::child::Daemon;
use super::figures::{Goal, Latency, Pair, Ratio, histogram};
use super::load::{Ask, Devices};
use super::quote::DEVICES;
use super::shop::{self, Shop};
use super::{Extent, progress};
use crate::clock::{Clock as _, Stopwatch, SystemClock};
use crate::console::{Role, Users};
use crate::devices::topic::Op;

/// Campaigns of the shop.
const CAMPAIGNS: usize = 1_000;
/// Time between two requests of one device.
const EVERY: Duration = Duration::from_millis(100);
/// Looks at the first page, at a pace that is always answered.
const LOOKS: usize = 60;
/// Time between them.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Browsers that ask as fast as they are answered.
const BROWSERS: usize = 4;
/// What they ask for.
const PAGES: [&str; 8] = ["/", "/campaigns", "/segments", "/when", "/why", "/sync", "/devices", "/health"];
const PASSWORD: &str = "a sentence for the bench";

/// What was measured.
#[derive(Serialize)]
pub(super) struct Console {
    devices: usize,
    campaigns: usize,
    first_page: Latency,
    /// The page with its style, script and icon.
    first_page_bytes: usize,
    /// The tills', while the console is played with, against nobody looking.
    quote_p99: Ratio,
    /// Pages answered to the players, and refused for their pace.
    pages: [u64; 2],
}

impl Console {
    pub(super) fn goals(&self) -> Vec<Goal> {
        vec![
            Goal::at_most("console: first page p99, ms", self.first_page.p99_us / 1_000.0, 100.0),
            Goal::at_most("console: first page, KB", self.first_page_bytes as f64 / 1_024.0, 150.0),
            Goal::at_most("console: quote p99 while it is played with", self.quote_p99.ratio, 1.1),
        ]
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let Console { devices, campaigns, first_page, first_page_bytes, pages, .. } = self;
        vec![
            format!(
                "console, {devices} devices, {campaigns} campaigns: first page p50 {} us, p99 {} us, {first_page_bytes} bytes",
                first_page.p50_us, first_page.p99_us
            ),
            super::ratio_line("quote p99", &self.quote_p99),
            format!("  {} pages answered meanwhile, {} refused for their pace", pages[0], pages[1]),
        ]
    }
}

/// One browser's connection.
struct Browser {
    stream: BufReader<TcpStream>,
    addr: SocketAddr,
    cookies: String,
}

/// An answer: status, cookies set, body.
struct Said {
    status: u16,
    cookies: Vec<String>,
    body: Vec<u8>,
}

impl Browser {
    async fn connect(addr: SocketAddr, cookies: &str) -> Result<Browser> {
        let stream = TcpStream::connect(addr).await.context("failed to reach the console")?;
        Ok(Browser { stream: BufReader::new(stream), addr, cookies: cookies.to_owned() })
    }

    async fn ask(&mut self, path: &str, form: Option<&str>) -> Result<Said> {
        let (addr, cookies) = (self.addr, &self.cookies);
        let head = format!("Host: {addr}\r\nCookie: {cookies}\r\nAccept-Language: en\r\n");
        let request = match form {
            None => format!("GET {path} HTTP/1.1\r\n{head}\r\n"),
            Some(form) => format!(
                "POST {path} HTTP/1.1\r\n{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
        };
        self.stream.write_all(request.as_bytes()).await.context("failed to ask the console")?;
        let mut said = Said { status: 0, cookies: Vec::new(), body: Vec::new() };
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.context("failed to hear the console")? == 0 {
                bail!("failed to hear the console: it closed the connection");
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if said.status == 0 {
                let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
                said.status = status.context("failed to read an answer of the console")?;
            }
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().context("failed to read a length")?;
            } else if name.eq_ignore_ascii_case("set-cookie") {
                said.cookies.extend(value.split(';').next().map(str::to_owned));
            }
        }
        said.body.resize(length, 0);
        self.stream.read_exact(&mut said.body).await.context("failed to hear the console")?;
        Ok(said)
    }
}

/// Signs a user in; their cookies.
async fn sign_in(addr: SocketAddr, data: &Path) -> Result<String> {
    let users = Users::new(data);
    let now = SystemClock.now();
    let code = users.add("bench", Role::Admin, now).map_err(|error| anyhow!("failed to {error}"))?;
    users.set_password("bench", &code, PASSWORD, now).map_err(|error| anyhow!("failed to {error}"))?;
    let mut browser = Browser::connect(addr, "").await?;
    let page = browser.ask("/login", None).await?;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let secret = text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!(
        "csrf={}&name=bench&password={}",
        secret.context("failed to find the form's secret")?,
        PASSWORD.replace(' ', "+")
    );
    browser.cookies = page.cookies.join("; ");
    let said = browser.ask("/login", Some(&form)).await?;
    if said.status != 303 {
        bail!("failed to sign in to the console: status {}", said.status);
    }
    Ok(said.cookies.join("; "))
}

/// Asks for pages as fast as they are answered, until told to stop: how many were answered and refused.
async fn play(
    addr: SocketAddr,
    cookies: String,
    stop: watch::Receiver<bool>,
    nth: usize,
) -> Result<[u64; 2]> {
    let mut browser = Browser::connect(addr, &cookies).await?;
    let mut counts = [0, 0];
    for path in PAGES.iter().cycle().skip(nth) {
        if *stop.borrow() {
            break;
        }
        let said = browser.ask(path, None).await?;
        counts[usize::from(said.status == 429)] += 1;
    }
    Ok(counts)
}

/// Measures.
pub(super) fn measure(dir: &Path, shop: &Shop, extent: Extent) -> Result<Console> {
    let dir = dir.join("console");
    let mut rules = shop.rules.clone();
    for number in 0..CAMPAIGNS {
        let names = json!({ "zh-CN": format!("活动 {number}"), "en": format!("Campaign {number}") });
        let campaign = json!({ "id": format!("bench-{number}"), "names": names, "from": "2026-01-01", "to": "2026-12-31" });
        rules.campaigns.push(serde_json::from_value(campaign).context("failed to make a campaign")?);
    }
    Daemon::prepare(&dir, &shop::pack(&rules, &shop.members)?)?;
    let daemon = Daemon::start(&dir)?;
    daemon.until_active()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("failed to start the devices' runtime")?;
    let measured = runtime.block_on(rounds(&daemon, &dir.join("data"), shop, extent))?;
    runtime.shutdown_background();
    daemon.stop()?;
    Ok(measured)
}

async fn rounds(daemon: &Daemon, data: &Path, shop: &Shop, extent: Extent) -> Result<Console> {
    let addr = daemon.console()?;
    let devices = Devices::connect(daemon.addr, DEVICES).await?;
    let baskets = shop.baskets(200, 5..=10);
    let bodies: Arc<[String]> = baskets.iter().map(Value::to_string).collect();
    let quotes = |time| Ask {
        op: Op::Quote,
        bodies: bodies.clone(),
        answer_bytes: Arc::from([]),
        at_once: 1,
        every: Some(EVERY),
        checked: true,
        time,
    };
    let tender = json!([{ "kind": "cash", "amount": 100_000_000 }]);
    let sales = baskets.iter().map(|basket| {
        let mut basket = basket.clone();
        basket["tenders"] = tender.clone();
        basket.to_string()
    });
    progress("console: some sales, so that there is something to count");
    let sold = Ask { op: Op::Commit, bodies: sales.collect(), every: None, ..quotes(extent.round) };
    devices.round(sold).await?;
    let cookies = sign_in(addr, data).await?;
    let mut browser = Browser::connect(addr, &cookies).await?;
    let mut times = histogram();
    let mut bytes = 0;
    let mut pace = tokio::time::interval(LOOK_EVERY);
    for look in 0..LOOKS {
        pace.tick().await;
        let watch = Stopwatch::start(&SystemClock);
        let said = browser.ask("/", None).await?;
        if said.status != 200 {
            bail!("failed to see the first page: status {}", said.status);
        }
        times.record(watch.elapsed_us(&SystemClock) * 1_000).context("failed to keep a time")?;
        if look == 0 {
            bytes = said.body.len() + crate::console::ASSET_BYTES;
        }
    }
    let (mut pairs, mut pages) = (Vec::new(), [0, 0]);
    for round in 1..=extent.rounds {
        progress(&format!("console: round {round} of {}", extent.rounds));
        let quiet = devices.round(quotes(extent.round)).await?;
        let (stop, stopped) = watch::channel(false);
        let players: Vec<_> = (0..BROWSERS)
            .map(|nth| tokio::spawn(play(addr, cookies.clone(), stopped.clone(), nth)))
            .collect();
        let played = devices.round(quotes(extent.round)).await?;
        stop.send_replace(true);
        for player in players {
            let counts = player.await.context("failed to play with the console")??;
            pages = [pages[0] + counts[0], pages[1] + counts[1]];
        }
        let p99 = |latencies| Latency::of(latencies).p99_us;
        pairs.push(Pair { ours: p99(&played.latencies), theirs: p99(&quiet.latencies) });
    }
    Ok(Console {
        devices: DEVICES,
        campaigns: CAMPAIGNS,
        first_page: Latency::of(&times),
        first_page_bytes: bytes,
        quote_p99: Ratio::of(&pairs, "us", "nobody looks"),
        pages,
    })
}
