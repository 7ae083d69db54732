//! `aisled segments`: which segments the active bundle has, how many members each has, who they are, what two share, and
//! why somebody is not in one. Asks the running daemon, which counts beside its loop.
//!
//! Exit codes: 0 told, 1 there is no such segment or member, 3 no daemon runs.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Exit;
use super::ask::{list, not_running, plain};
use super::words::said;
use crate::daemon::census::Question;
use crate::daemon::control::{self, Ask};
use crate::domain::ids::{MemberId, SegmentId};
use crate::limits;

/// Arguments of `segments`.
#[derive(Args, Clone, Debug)]
pub struct SegmentsArgs {
    /// What about them
    #[command(subcommand)]
    pub about: About,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub enum About {
    /// How many members each segment has
    Count,
    /// The segments with members, the largest first
    List,
    /// Who is in a segment
    Who {
        /// Which
        #[arg(value_parser = segment)]
        segment: SegmentId,
        /// Members named at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// How many members two segments share
    Overlap {
        /// The one
        #[arg(value_parser = segment)]
        a: SegmentId,
        /// The other
        #[arg(value_parser = segment)]
        b: SegmentId,
    },
    /// What the shop's own members say of the scales: cuts of RFM, lifetime, spending, due, groups; for shop.toml
    Scales {
        /// Groups of members that are alike; none for 0
        #[arg(long, default_value_t = 5)]
        groups: usize,
    },
    /// Why a member is not in a segment: the part of its predicate that fails
    Why {
        /// Which
        #[arg(value_parser = segment)]
        segment: SegmentId,
        /// Who
        #[arg(value_parser = member)]
        member: MemberId,
    },
}

fn segment(text: &str) -> Result<SegmentId, String> {
    SegmentId::new(text).map_err(|fault| fault.to_string())
}

fn member(text: &str) -> Result<MemberId, String> {
    MemberId::new(text).map_err(|fault| fault.to_string())
}

/// Asks and tells.
pub fn run(args: &SegmentsArgs, data_dir: &Path, out: &mut dyn Write) -> Result<Exit> {
    let question = match args.about.clone() {
        About::Count | About::List => Question::Count,
        About::Who { segment, limit } => Question::Who { segment, most: limit },
        About::Overlap { a, b } => Question::Overlap { a, b },
        About::Scales { groups } => Question::Scales { groups: groups.min(limits::GROUPS_MAX) },
        About::Why { segment, member } => Question::Why { segment, member },
    };
    let Some(answer) = control::ask(data_dir, &Ask::Segments { question })? else {
        return not_running(data_dir, args.json, out);
    };
    let failed = answer.get("error").is_some();
    let exit = if failed { Exit::Finding } else { Exit::Ok };
    if args.json {
        writeln!(out, "{answer}")?;
        return Ok(exit);
    }
    if failed {
        writeln!(out, "{}", plain(answer.get("error")))?;
        return Ok(exit);
    }
    let text = |path: &str| plain(answer.pointer(path));
    let lang = super::explain::terminal_lang();
    let tell = |english: &str, paths: &[&str]| {
        let figures: Vec<String> = paths.iter().map(|path| text(path)).collect();
        let figures: Vec<&dyn std::fmt::Display> =
            figures.iter().map(|figure| figure as &dyn std::fmt::Display).collect();
        said(lang, english, &figures)
    };
    match &args.about {
        About::Count | About::List => {
            let mut segments: Vec<&Value> = list(&answer, "/segments").collect();
            if matches!(args.about, About::List) {
                segments.retain(|segment| segment["members"] != 0);
                segments.sort_by_key(|segment| std::cmp::Reverse(segment["members"].as_u64()));
            }
            writeln!(
                out,
                "{}",
                tell("{} members, {} of them learned of, on {}", &["/members", "/learned_of", "/day"])
            )?;
            let dirty = "{} lines of unknown articles (AIS-2001), {} details dropped (AIS-2023)";
            writeln!(out, "{}", tell(dirty, &["/dirty/unknown_lines", "/dirty/details_dropped"]))?;
            for segment in segments {
                writeln!(out, "{:>9}  {}", plain(segment.get("members")), plain(segment.get("segment")))?;
            }
        }
        About::Who { .. } => {
            writeln!(out, "{}", tell("{} members in {} on {}", &["/members", "/segment", "/day"]))?;
            for id in list(&answer, "/ids") {
                writeln!(out, "  {}", plain(Some(id)))?;
            }
        }
        About::Overlap { .. } => {
            let paths = ["/in_a", "/a", "/in_b", "/b", "/in_both", "/day"];
            writeln!(out, "{}", tell("{} in {}, {} in {}, {} in both, on {}", &paths))?;
        }
        About::Scales { .. } => writeln!(out, "# {}\n{}", text("/day"), text("/toml"))?,
        About::Why { .. } if answer["inside"] == true => {
            writeln!(out, "{}", tell("{} is in {}", &["/member", "/segment"]))?;
        }
        About::Why { .. } => {
            writeln!(out, "{}", tell("{} is not in {}", &["/member", "/segment"]))?;
            for leaf in list(&answer, "/failed") {
                writeln!(out, "  {}", plain(leaf.get(lang.tag())))?;
            }
        }
    }
    Ok(exit)
}
