//! `aisled bundle sample`: the sample shop on a box that has no rules yet, to try it out or to see that it works.
//!
//! Invariants: a box that believes any key, or has any bundle, is left as it is. The key is made here, signs this one bundle
//! and is forgotten. It is trusted by one line of the configuration, the one that the manual shows as the default; every
//! other byte of the file stays.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Surroundings, newest, put_into_inbox};
use crate::cli::Exit;
use crate::cli::demo::sample;

/// The line of the default configuration that takes the key.
const DEFAULT_LINE: &str = "#trusted_keys = []";

/// Makes the key, has the configuration believe it, and puts the bundle where the daemon looks.
pub(super) fn run(surroundings: &Surroundings, out: &mut dyn Write) -> Result<Exit> {
    let (Some(config), Some(data)) = (&surroundings.config_file, &surroundings.data_dir) else {
        bail!("failed to find a configuration file: `aisled config doc` writes one")
    };
    if !surroundings.trusted.is_empty() || newest(data)?.is_some() {
        writeln!(
            out,
            "this box has keys or a bundle of its own: the sample shop is only for one that has none"
        )?;
        return Ok(Exit::Finding);
    }
    let written =
        fs::read_to_string(config).with_context(|| format!("failed to read {}", config.display()))?;
    let key = sample::fresh_key()?;
    let Some(trusting) = trusting(&written, &key.public().to_string()) else {
        writeln!(out, "{} has no line `{DEFAULT_LINE}` to take the key", config.display())?;
        return Ok(Exit::Usage);
    };
    let signed = sample::shop(1, &key)?;
    let place = put_into_inbox(data, 1, &signed.packed)?;
    super::write_whole(config, trusting.as_bytes(), 0o644)?;
    writeln!(out, "the sample shop waits in {}, its key stands in {}", place.display(), config.display())?;
    if Path::new("/run/systemd/system").exists() {
        let restarted = Command::new("systemctl").args(["try-restart", "aisled.service"]).status();
        let is_done = restarted.is_ok_and(|status| status.success());
        writeln!(
            out,
            "{}",
            if is_done { "aisled.service was restarted" } else { "now: systemctl restart aisled" }
        )?;
    } else {
        writeln!(out, "now start or restart the daemon")?;
    }
    Ok(Exit::Ok)
}

/// The configuration with the key; none if the default line is not there.
fn trusting(config: &str, key: &str) -> Option<String> {
    let (before, after) = config.split_once(DEFAULT_LINE)?;
    Some(format!("{before}trusted_keys = [\"{key}\"]{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_the_configuration_keep_every_other_line() {
        let manual = include_str!("../../../config/aisled.toml");
        let with = trusting(manual, "aisled-ed25519:00").expect("the manual shows the default");
        let changed = manual.lines().zip(with.lines()).filter(|(before, after)| before != after);
        assert_eq!(changed.collect::<Vec<_>>(), [(DEFAULT_LINE, "trusted_keys = [\"aisled-ed25519:00\"]")]);
        assert_eq!(trusting(&with, "aisled-ed25519:11"), None, "once");
    }
}
