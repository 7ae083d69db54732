//! The live view: a few lines redrawn in place on a terminal, one plain line every few seconds elsewhere.
//!
//! Invariant: it only reads. What it cannot know at the moment (a daemon that is being killed, a head office that is
//! away) stays as it was last seen.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;

use crate::domain::text::Lang;
use crate::limits;

use super::report::grouped;

/// What there is to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    pub phase: Phase,
    /// Seconds since the load began, and how many it is to last.
    pub elapsed: f64,
    pub seconds: f64,
    pub requests: u64,
    pub sales: u64,
    pub sales_at_head_office: u64,
    pub devices_up: u64,
    pub offers: BTreeMap<String, u64>,
    pub head_office_is_open: bool,
    pub backlog: u64,
    pub bundle: u64,
    pub kills: u32,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Daemon and head office start.
    #[default]
    Opening,
    /// Tills and kiosks ask.
    Load,
    /// The tills are quiet and the backlog goes to head office.
    Drain,
}

/// How it is shown.
pub(super) enum Show {
    /// Not at all: `--json`.
    Nothing,
    /// A line now and then.
    Lines,
    /// Redrawn in place.
    Terminal,
}

/// Draws scenes.
pub(super) struct Live {
    show: Show,
    lang: Lang,
    titles: BTreeMap<String, String>,
    columns: usize,
    drawn: usize,
    last_line: Option<f64>,
    rates: VecDeque<(f64, u64)>,
    backlogs: VecDeque<u64>,
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Live {
    /// `titles` by promotion; `columns` of the terminal.
    pub(super) fn new(show: Show, lang: Lang, titles: BTreeMap<String, String>, columns: usize) -> Live {
        let (rates, backlogs) = (VecDeque::new(), VecDeque::new());
        Live { show, lang, titles, columns, drawn: 0, last_line: None, rates, backlogs }
    }

    /// Shows a scene. Called at a steady pace (`DEMO_FRAME_MS`).
    pub(super) fn draw(&mut self, scene: &Scene, out: &mut dyn Write) -> Result<()> {
        self.rates.push_back((scene.elapsed, scene.requests));
        if self.rates.len() > limits::DEMO_RATE_FRAMES {
            self.rates.pop_front();
        }
        self.backlogs.push_back(scene.backlog);
        if self.backlogs.len() > limits::DEMO_SPARK_FRAMES {
            self.backlogs.pop_front();
        }
        match self.show {
            Show::Nothing => Ok(()),
            Show::Lines => self.line(scene, out),
            Show::Terminal => self.frame(scene, out),
        }
    }

    /// Leaves what was drawn last and goes on below it.
    pub(super) fn done(&mut self) {
        self.drawn = 0;
    }

    fn rate(&self) -> u64 {
        match (self.rates.front(), self.rates.back()) {
            (Some((from, before)), Some((to, now))) if to > from => {
                (now.saturating_sub(*before) as f64 / (to - from)) as u64
            }
            _ => 0,
        }
    }

    fn line(&mut self, scene: &Scene, out: &mut dyn Write) -> Result<()> {
        let due = self.last_line.is_none_or(|last| scene.elapsed - last >= limits::DEMO_LINE_EVERY_S);
        if !due || scene.phase == Phase::Opening {
            return Ok(());
        }
        self.last_line = Some(scene.elapsed);
        let office = self.office(scene);
        let text = match self.lang {
            Lang::ZhCn => format!(
                "{:>5.1} 秒  请求 {}（每秒 {}）  销售 {}  {office}  待上报 {}  p50 {} µs  p99 {} µs",
                scene.elapsed,
                scene.requests,
                self.rate(),
                scene.sales,
                scene.backlog,
                scene.p50_us,
                scene.p99_us
            ),
            Lang::En => format!(
                "{:>5.1} s  {} requests ({}/s)  {} sales  {office}  {} to send  p50 {} µs  p99 {} µs",
                scene.elapsed,
                scene.requests,
                self.rate(),
                scene.sales,
                scene.backlog,
                scene.p50_us,
                scene.p99_us
            ),
        };
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    fn office(&self, scene: &Scene) -> &'static str {
        match (scene.head_office_is_open, self.lang) {
            (true, Lang::ZhCn) => "总部在线",
            (false, Lang::ZhCn) => "总部离线",
            (true, Lang::En) => "head office up",
            (false, Lang::En) => "head office AWAY",
        }
    }

    fn frame(&mut self, scene: &Scene, out: &mut dyn Write) -> Result<()> {
        let lines = self.lines(scene);
        let mut text = String::new();
        if self.drawn > 0 {
            write!(text, "\x1b[{}A", self.drawn)?;
        }
        // Without wrapping, a line is a line whatever the terminal's width: the next frame goes up by as many.
        text.push_str("\x1b[?7l");
        for line in &lines {
            writeln!(text, "\x1b[2K{}", clipped(line, self.columns))?;
        }
        text.push_str("\x1b[J\x1b[?7h");
        self.drawn = lines.len();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn lines(&self, scene: &Scene) -> Vec<String> {
        let zh = self.lang == Lang::ZhCn;
        let t = |chinese: &'static str, english: &'static str| if zh { chinese } else { english };
        let phase = match scene.phase {
            Phase::Opening => t("开门", "opening"),
            Phase::Load => t("营业中", "selling"),
            Phase::Drain => t("打烊，补传总部", "closed, the backlog drains"),
        };
        let done = if scene.seconds > 0.0 { (scene.elapsed / scene.seconds).clamp(0.0, 1.0) } else { 0.0 };
        let filled = (done * limits::DEMO_BAR_COLUMNS as f64) as usize;
        let bar: String =
            (0..limits::DEMO_BAR_COLUMNS).map(|at| if at < filled { '█' } else { '░' }).collect();
        let office = self.office(scene);
        let colour = if scene.head_office_is_open { "\x1b[32m" } else { "\x1b[31m" };
        let mut lines = vec![
            format!(
                "\x1b[1maisled\x1b[0m {} {bar} {:.0}/{:.0} s  {phase}",
                t("晨曦超市", "Chenxi Supermarket"),
                scene.elapsed.min(scene.seconds),
                scene.seconds
            ),
            format!(
                "{} {}  {} {}/s  {} {}  p50 {} µs  p99 {} µs",
                t("设备", "devices"),
                scene.devices_up,
                t("请求", "requests"),
                grouped(self.rate()),
                t("销售", "sales"),
                grouped(scene.sales),
                grouped(scene.p50_us),
                grouped(scene.p99_us)
            ),
            format!(
                "{colour}● {office}\x1b[0m  {} {}  {} {}  {} {}",
                t("总部已有销售", "sales there"),
                grouped(scene.sales_at_head_office),
                t("待上报", "backlog"),
                grouped(scene.backlog),
                t("规则包", "rules"),
                scene.bundle
            ),
            format!("\x1b[36m{}\x1b[0m", spark(&self.backlogs)),
        ];
        if scene.kills > 0 {
            lines.push(format!("{} {}", t("已被 kill -9", "killed with -9"), scene.kills));
        }
        let mut offers: Vec<(&String, &u64)> = scene.offers.iter().collect();
        offers.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (promotion, times) in offers.into_iter().take(limits::DEMO_OFFERS_SHOWN) {
            let title = self.titles.get(promotion).unwrap_or(promotion);
            lines.push(format!("{:>8}  {title}", grouped(*times)));
        }
        lines
    }
}

/// A small picture of numbers over time, as high as the highest.
fn spark(numbers: &VecDeque<u64>) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let top = BARS.len() as u64 - 1;
    let bar = |number: &u64| BARS[usize::try_from((number * top).div_ceil(most)).unwrap_or(0).min(7)];
    numbers.iter().map(bar).collect()
}

/// The text cut to so many columns; escape sequences take none, Chinese characters two.
fn clipped(text: &str, columns: usize) -> String {
    let (mut kept, mut width, mut escape) = (String::new(), 0, false);
    for letter in text.chars() {
        if escape || letter == '\x1b' {
            escape = letter == '\x1b' || !letter.is_ascii_alphabetic();
            kept.push(letter);
            continue;
        }
        width += if letter >= '\u{2e80}' { 2 } else { 1 };
        if width <= columns {
            kept.push(letter);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_backlog_seen_to_rise_and_fall() {
        assert_eq!(spark(&VecDeque::from([0, 1, 70, 35, 0])), "▁▂█▅▁");
        assert_eq!(spark(&VecDeque::from([0, 0])), "▁▁");
        assert_eq!(spark(&VecDeque::new()), "");
    }

    #[test]
    fn is_a_line_cut_by_what_is_seen_of_it() {
        assert_eq!(clipped("\x1b[31m满减满减\x1b[0m", 4), "\x1b[31m满减\x1b[0m");
        assert_eq!(clipped("abc", 80), "abc");
    }

    #[test]
    fn is_a_scene_plain_where_there_is_no_terminal() {
        let mut out = Vec::new();
        let mut live = Live::new(Show::Lines, Lang::En, BTreeMap::new(), 80);
        let scene = Scene { phase: Phase::Load, requests: 7, ..Scene::default() };
        live.draw(&scene, &mut out).expect("memory takes it");
        live.draw(&Scene { elapsed: 1.0, ..scene.clone() }, &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("7 requests") && !text.contains('\x1b'), "{text}");
        assert_eq!(text.lines().count(), 1, "a line now and then: {text}");
        let mut out = Vec::new();
        Live::new(Show::Terminal, Lang::ZhCn, BTreeMap::new(), 80).draw(&scene, &mut out).expect("as before");
        assert!(String::from_utf8(out).expect("text").contains("总部离线"));
    }
}
