//! `aisled man DIR`: a manual page for the program and for each of its verbs, made from the command itself.
//!
//! The pages cannot fall behind the program. Packages write them to the manual's directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_mangen::Man;

use super::Exit;

/// Arguments of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Where to write the pages
    dir: PathBuf,
}

/// Writes a page for `command`, which is the whole program's, and for every verb below it.
///
/// # Errors
/// A page that cannot be written.
pub fn run(args: &ManArgs, command: Command, out: &mut dyn Write) -> Result<Exit> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("failed to make {}", args.dir.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = write_pages(&args.dir, &command, command.get_name())?;
    writeln!(out, "{pages} pages in {}", args.dir.display())?;
    Ok(Exit::Ok)
}

fn write_pages(dir: &Path, command: &Command, name: &str) -> Result<usize> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(name).render(&mut page).context("failed to render a page")?;
    let place = dir.join(format!("{name}.1"));
    std::fs::write(&place, page).with_context(|| format!("failed to write {}", place.display()))?;
    let mut pages = 1;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        pages += write_pages(dir, verb, &format!("{name}-{}", verb.get_name()))?;
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_each_verb_a_page_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let verb =
            Command::new("outbox").about("What waits").subcommand(Command::new("park").about("Set aside"));
        let command = Command::new("aisled").about("The whole").version("1.2.3").subcommand(verb);
        let mut said = Vec::new();
        run(&ManArgs { dir: dir.path().to_owned() }, command, &mut said).expect("pages are written");
        assert!(String::from_utf8_lossy(&said).starts_with("3 pages"));
        for (name, says) in
            [("aisled", "outbox"), ("aisled-outbox", "What waits"), ("aisled-outbox-park", "Set aside")]
        {
            let page = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).expect("it is there");
            assert!(page.contains(".TH") && page.contains(says), "{name}: {page}");
        }
    }
}
