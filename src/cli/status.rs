//! `aisled status --watch`: the running daemon in a terminal, once a second, until q or Ctrl-C.
//!
//! Draws from the status document only. The terminal's size is asked for before each picture and nothing is drawn beyond it;
//! its settings come back however this ends. Where standard output is no terminal, the status is printed once.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use serde_json::{Value, json};

use super::Exit;
use super::ask::state;
use super::ask::{list, not_running, plain};
use super::words::{self, filled, led, of, padded};
use crate::daemon::control::{self, Ask};
use crate::domain::calendar::UnixMs;
use crate::limits;

/// The terminal with keys heard at once and not shown; as it was when this is dropped.
struct Keys {
    before: Termios,
}

impl Keys {
    fn take() -> Result<Keys> {
        let before =
            termios::tcgetattr(std::io::stdin()).context("failed to read the terminal's settings")?;
        let mut settings = before.clone();
        // Ctrl-C comes as a key, so that the settings come back.
        settings.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &settings)
            .context("failed to change the terminal's settings")?;
        Ok(Keys { before })
    }

    /// Waits for the next picture's time, or until somebody wants to leave.
    fn wants_to_leave(&self) -> Result<bool> {
        let stdin = std::io::stdin();
        let mut wait = [PollFd::new(&stdin, PollFlags::IN)];
        let every = Duration::from_millis(limits::WATCH_EVERY_MS);
        let every = Timespec { tv_sec: every.as_secs() as i64, tv_nsec: i64::from(every.subsec_nanos()) };
        match poll(&mut wait, Some(&every)) {
            // The window's size changed, for example: the next picture knows.
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error).context("failed to hear the keyboard"),
        }
        let mut keys = [0; 64];
        let count = rustix::io::read(&stdin, &mut keys).context("failed to hear the keyboard")?;
        Ok(count == 0 || keys[..count].iter().any(|key| matches!(key, b'q' | b'Q' | 3 | 4)))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal is gone: nothing is left to be put right.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Shows the daemon until somebody wants to leave. `None` where there is no terminal.
pub(super) fn watch(data_dir: &Path, out: &mut dyn Write) -> Result<Option<Exit>> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(None);
    }
    let keys = Keys::take()?;
    // A screen of its own, without a cursor; both back at the end.
    write!(out, "\x1b[?1049h\x1b[?25l")?;
    let shown = show(&keys, data_dir, out);
    write!(out, "\x1b[?25h\x1b[?1049l")?;
    out.flush()?;
    drop(keys);
    match shown? {
        Exit::NotRunning => not_running(data_dir, false, out).map(Some),
        exit => Ok(Some(exit)),
    }
}

fn show(keys: &Keys, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    loop {
        let Some(status) = control::ask(data_dir, &Ask::Status)? else { return Ok(Exit::NotRunning) };
        let size =
            termios::tcgetwinsize(std::io::stdout()).map_or((80, 24), |size| (size.ws_col, size.ws_row));
        let size = (usize::from(size.0).max(1), usize::from(size.1).max(1));
        out.write_all(screen(&picture(&status), size).as_bytes())?;
        out.flush()?;
        if keys.wants_to_leave()? {
            return Ok(Exit::Ok);
        }
    }
}

/// A picture as the terminal draws it: from the top left corner, each line cut at the width and cleared to its end.
fn screen(lines: &[String], (columns, rows): (usize, usize)) -> String {
    let mut drawn = String::from("\x1b[H");
    for (nth, line) in lines.iter().take(rows).enumerate() {
        let end = if nth + 1 == rows.min(lines.len()) { "" } else { "\r\n" };
        let mut left = columns;
        let mut fits = |letter: char| {
            left = left.checked_sub(words::columns(letter))?;
            Some(letter)
        };
        let cut: String = line.chars().filter(|c| !c.is_control()).map_while(&mut fits).collect();
        write!(drawn, "{cut}\x1b[K{end}").expect("memory takes it");
    }
    drawn.push_str("\x1b[J");
    drawn
}

/// The status in lines.
fn picture(status: &Value) -> Vec<String> {
    let text = |path: &str| plain(status.pointer(path));
    let number = |path: &str| status.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let mut lines = vec![
        filled(
            of([
                "aisled {}   {} (epoch {})   {}   up {} s   q leaves",
                "aisled {}   {}（epoch {}）   {}   已运行 {} 秒   按 q 退出",
            ]),
            &[&text("/version"), &text("/store"), &text("/epoch"), &of(state(status)), &text("/up_s")],
        ),
        filled(
            of([
                "rules {}   devices {} online   {} quotes open   {} requests, {} refused, {} answered again",
                "规则 {}   设备 {} 台在线   未决报价 {}   请求 {}，拒绝 {}，重复应答 {}",
            ]),
            &[
                &text("/bundle/version"),
                &text("/devices_online"),
                &text("/open_quotes"),
                &text("/counts/requests"),
                &text("/counts/refusals"),
                &text("/counts/replayed"),
            ],
        ),
        filled(
            of([
                "journal {} durable, tables {} behind, {} answers wait   {} MiB free",
                "日志落盘至 {}，数据表落后 {}，待发应答 {}   磁盘剩余 {} MiB",
            ]),
            &[
                &text("/journal/durable"),
                &(number("/journal/durable") - number("/journal/followed")),
                &text("/journal/waiting"),
                &(number("/disk/free_bytes") / (1024 * 1024)),
            ],
        ),
        match status.get("head_office").filter(|line| !line.is_null()) {
            None => of(["head office: none configured", "总部：未配置"]).to_owned(),
            Some(line) => {
                let both = match line["connected"] == json!(true) {
                    true => [
                        "head office up since {}, {} decisions to send{}",
                        "总部自 {} 起已连接，{} 条决策待发送{}",
                    ],
                    false => [
                        "head office away since {}, {} decisions to send{}",
                        "总部自 {} 起未连接，{} 条决策待发送{}",
                    ],
                };
                let since = line["since"].as_i64().map_or_else(String::new, |at| UnixMs(at).to_string());
                let oldest = of([", the oldest for {} s", "，最早的已等待 {} 秒"]);
                let oldest = line["oldest_unsent_ms"].as_i64().map(|ms| filled(oldest, &[&(ms / 1_000)]));
                filled(of(both), &[&since, &plain(line.get("backlog")), &oldest.unwrap_or_default()])
            }
        },
        String::new(),
        [padded(of(["device", "设备"]), 32), padded(of(["there", "在线"]), 7)].join(" ")
            + &[
                led(of(["a minute", "每分钟"]), 9),
                led(of(["slowest 1 %", "最慢 1%"]), 11),
                led(of(["answers", "应答"]), 10),
                led(of(["refused", "拒绝"]), 8),
            ]
            .map(|heading| format!(" {heading}"))
            .concat(),
    ];
    let mut lanes: Vec<&Value> = list(status, "/lanes").collect();
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane["per_minute"].as_i64()));
    lines.extend(lanes.into_iter().map(|lane| {
        let there = match lane["online"].as_bool() {
            Some(true) => of(["online", "在线"]),
            Some(false) => of(["away", "离线"]),
            None => "-",
        };
        format!(
            "{:<32} {} {:>9} {:>8} us {:>10} {:>8}",
            plain(lane.get("device")),
            padded(there, 7),
            plain(lane.get("per_minute")),
            plain(lane.get("p99_us")),
            plain(lane.get("answers")),
            plain(lane.get("refusals"))
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_the_picture_stay_in_its_window() {
        let lanes: Vec<Value> = (0..30)
            .map(|nth| json!({ "device": format!("till-{nth}"), "per_minute": nth, "p99_us": 5, "answers": 1, "refusals": 0 }))
            .collect();
        let status = json!({ "store": "s01", "lanes": lanes, "head_office": null });
        let lines = picture(&status);
        assert!(lines[6].starts_with("till-29 "), "the busiest first: {}", lines[6]);
        let chinese = vec!["总部自 2026-11-23 起未连接，7 条决策待发送".to_owned(); 9];
        for (lines, (columns, rows)) in [&lines, &chinese]
            .into_iter()
            .flat_map(|lines| [(80, 24), (20, 5), (1, 1), (500, 200)].map(|size| (lines, size)))
        {
            let drawn = screen(lines, (columns, rows));
            let plain = drawn.replace("\x1b[H", "").replace("\x1b[K", "").replace("\x1b[J", "");
            let drawn: Vec<&str> = plain.split("\r\n").collect();
            assert!(
                drawn.len() <= rows
                    && drawn.iter().all(|line| line.chars().map(words::columns).sum::<usize>() <= columns),
                "{drawn:?}"
            );
        }
    }
}
