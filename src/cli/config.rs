//! `aisled config show|doc|validate`: what is in force and why, the manual, and every error of a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Exit;
use crate::config::{Config, ConfigError, Environment, Loaded, Origin, Position, Problem, Setting};

/// Arguments of `config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigVerb {
    /// Print every key with the value in force
    Show {
        /// Say where each value comes from: the default, a line of the file, or the environment
        #[arg(long)]
        origin: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the default file, which is the manual
    Doc,
    /// Name every error of a file; exit code 2 if there is one
    Validate {
        /// The file
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb. `file` is the program's `--config`.
pub fn run(
    args: &ConfigArgs,
    file: Option<&Path>,
    environment: &Environment,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    match &args.verb {
        ConfigVerb::Doc => {
            out.write_all(Config::default_text().as_bytes())?;
            Ok(Exit::Ok)
        }
        ConfigVerb::Show { origin, json } => match Config::load(file, environment) {
            Err(error) => write_error(&error, *json, out),
            Ok(loaded) if *json => {
                write_json(&show_json(&loaded), out)?;
                Ok(Exit::Ok)
            }
            Ok(loaded) => {
                write_settings(&loaded, *origin, out)?;
                Ok(Exit::Ok)
            }
        },
        ConfigVerb::Validate { file, json } => match Config::load(Some(file), environment) {
            Err(error) => write_error(&error, *json, out),
            Ok(_) if *json => {
                write_json(&json!({ "valid": true, "problems": [] }), out)?;
                Ok(Exit::Ok)
            }
            Ok(_) => {
                writeln!(out, "{}: no errors", file.display())?;
                Ok(Exit::Ok)
            }
        },
    }
}

/// Writes what is wrong with a configuration, for `run` and other verbs that need one.
pub fn write_error(error: &ConfigError, json: bool, out: &mut dyn Write) -> std::io::Result<Exit> {
    if json {
        let problems: Vec<Value> = error.problems.iter().map(problem_json).collect();
        write_json(&json!({ "valid": false, "problems": problems }), out)?;
    } else {
        writeln!(out, "{error}")?;
        let count = error.problems.len();
        let (errors, code) = (if count == 1 { "error" } else { "errors" }, error.problems[0].code);
        writeln!(
            out,
            "{count} {errors}; `aisled explain {code}` tells more, `aisled config doc` prints the manual"
        )?;
    }
    Ok(Exit::Usage)
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "file": problem.file.to_string_lossy(),
        "line": problem.position.map(|at| at.line),
        "column": problem.position.map(|at| at.column),
        "key": problem.key,
        "code": problem.code,
        "message": problem.message,
        "allowed": problem.allowed,
    })
}

fn show_json(loaded: &Loaded) -> Value {
    let settings: Vec<Value> = (loaded.settings.iter())
        .map(|setting| {
            json!({
                "key": setting.key,
                "value": value_json(&setting.value),
                "origin": origin_text(setting, loaded),
            })
        })
        .collect();
    json!({ "file": loaded.file.as_ref().map(|file| file.to_string_lossy()), "settings": settings })
}

/// A value as TOML writes it, as JSON.
fn value_json(literal: &str) -> Value {
    (toml::from_str::<toml::Table>(&format!("value = {literal}")).ok())
        .and_then(|table| serde_json::to_value(table.get("value")).ok())
        .unwrap_or_else(|| Value::from(literal))
}

/// Prints a file that means the same as what is in force.
fn write_settings(loaded: &Loaded, with_origin: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let mut last_section = "";
    for setting in &loaded.settings {
        let (section, key) = setting.key.split_once('.').unwrap_or(("", &setting.key));
        if section != last_section {
            let gap = if last_section.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}[{section}]")?;
            last_section = section;
        }
        if with_origin {
            writeln!(out, "{key} = {}  # {}", setting.value, origin_text(setting, loaded))?;
        } else {
            writeln!(out, "{key} = {}", setting.value)?;
        }
    }
    Ok(())
}

fn origin_text(setting: &Setting, loaded: &Loaded) -> String {
    match (setting.origin, &loaded.file) {
        (Origin::Default, _) => "default".to_owned(),
        (Origin::File(Position { line, column }), Some(file)) => {
            format!("{}:{line}:{column}", file.display())
        }
        (Origin::File(Position { line, column }), None) => format!("{line}:{column}"),
        (Origin::Environment(variable), _) => format!("${variable}"),
    }
}

fn write_json(value: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `config` on a file with this text.
    fn ran(text: &str, verb: impl Fn(PathBuf) -> ConfigVerb) -> (Exit, String) {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let file = dir.path().join("a.toml");
        std::fs::write(&file, text).expect("it can be written");
        let mut out = Vec::new();
        let args = ConfigArgs { verb: verb(file.clone()) };
        let exit = run(&args, Some(&file), &Environment::default(), &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("the output is text");
        (exit, text.replace(&*dir.path().to_string_lossy(), "DIR"))
    }

    #[test]
    fn does_show_print_a_file_that_means_the_same() {
        let text = "[bundle]\ntrusted_keys = [\n]\n[log]\nlevel = 'debug' # much\n";
        let (exit, shown) = ran(text, |_| ConfigVerb::Show { origin: true, json: false });
        assert_eq!(exit, Exit::Ok);
        assert!(shown.contains("level = 'debug'  # DIR/a.toml:5:9\n"), "{shown}");
        assert!(shown.contains("[devices]\nrequests_per_second_max = 200  # default\n"), "{shown}");
        let parse = |text: &str| {
            Config::parse(Path::new(""), text, &Environment::default()).map(|loaded| loaded.config)
        };
        assert_eq!(parse(&shown), parse(text));
    }

    #[test]
    fn is_show_as_json_one_object_with_values_of_their_types() {
        let (_, shown) = ran("[log]\nlevel = 'debug'\n", |_| ConfigVerb::Show { origin: false, json: true });
        let shown: Value = serde_json::from_str(&shown).expect("it is JSON");
        let value = |key: &str| {
            let settings = shown["settings"].as_array().expect("it is a list");
            settings.iter().find(|setting| setting["key"] == key).expect("the key is shown").clone()
        };
        assert_eq!(value("log.level")["value"], "debug");
        assert_eq!(value("log.level")["origin"], "DIR/a.toml:2:9");
        assert_eq!(value("storage.sled_cache_mb")["value"], 4);
        assert_eq!(value("bundle.trusted_keys")["value"], json!([]));
    }

    #[test]
    fn does_validate_name_every_error_and_exit_with_2() {
        let bad = "[log]\nlevel = 1\nfromat = 'text'\n";
        let (exit, told) = ran(bad, |file| ConfigVerb::Validate { file, json: false });
        assert_eq!((exit, told.lines().count()), (Exit::Usage, 3));
        assert!(
            told.contains("DIR/a.toml:2:9: AIS-4004") && told.contains("DIR/a.toml:3:1: AIS-4003"),
            "{told}"
        );
        let (exit, told) = ran(bad, |file| ConfigVerb::Validate { file, json: true });
        let told: Value = serde_json::from_str(&told).expect("it is JSON");
        assert_eq!((exit, &told["problems"][1]["code"]), (Exit::Usage, &json!("AIS-4003")));
        let (exit, told) = ran("", |file| ConfigVerb::Validate { file, json: false });
        assert_eq!((exit, &*told), (Exit::Ok, "DIR/a.toml: no errors\n"));
    }

    #[test]
    fn is_doc_the_manual() {
        assert_eq!(ran("not toml", |_| ConfigVerb::Doc), (Exit::Ok, Config::default_text().to_owned()));
    }
}
