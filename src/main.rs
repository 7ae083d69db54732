//! Arguments in, exit code out.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use aisled::cli::{
    Exit, ask, audit, backup, bench, bugreport, bundle, campaigns, check, completions, config, conform,
    console, demo, devices, drive, explain, export, hub, import, lab, man, outbox, privacy, replay, run,
    segments, simulate,
};
use aisled::clock::SystemClock;
use aisled::config::{Config, Environment};
use aisled::domain::code::Code;
use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// The offer engine in every shop: prices, decides and remembers, for weeks without a line to head office.
#[derive(Parser)]
#[command(name = "aisled", version, about, max_term_width = 100)]
struct Cli {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the daemon in the foreground
    Run,
    /// Show it all on this machine: a shop, its tills, a head office that goes away, and every count reconciled
    Demo(demo::DemoArgs),
    /// Ring up a grocer's real baskets over MQTT and reconcile every count
    Drive(drive::DriveArgs),
    /// Is this box ready to sell, and if not, what to do about it?
    Check(check::CheckArgs),
    /// How is the running daemon?
    Status(ask::StatusArgs),
    /// Show a member to the running daemon, as a kiosk would
    Scan(ask::ScanArgs),
    /// Price a basket with the running daemon, as a till would
    Quote(ask::QuoteArgs),
    /// How many members each segment has, who they are, and why somebody is not in one
    Segments(segments::SegmentsArgs),
    /// Write, check, sign and install the rules a shop runs on
    Bundle(bundle::BundleArgs),
    /// What waits for head office, and what a human parked
    Outbox(outbox::OutboxArgs),
    /// Forget a member, tell all that is known of one, and say what is kept for how long
    Privacy(privacy::PrivacyArgs),
    /// Copy the shop's data into a folder, while the daemon sells, and read it back
    Backup(backup::BackupArgs),
    /// Put a backup into an empty data directory, as a new life of the box
    Restore(backup::RestoreArgs),
    /// Which tills and kiosks may connect, what each may do, and how it gets its identity
    Devices(devices::DevicesArgs),
    /// What was done to this box, and whether anybody changed the record of it
    Audit(audit::AuditArgs),
    /// Watch a device: which rules of the contract does it meet?
    Conform(conform::ConformArgs),
    /// A business day's sales, voids and returns for other systems
    Export(export::ExportArgs),
    /// Take a day's sales that were made elsewhere into the shop
    Import(import::ImportArgs),
    /// Run the reference head office
    Hub(hub::HubArgs),
    /// Measure this machine: quotes against an echo, commits against the raw disk, growth, memory
    Bench(bench::BenchArgs),
    /// What a code means and how to mend it, or all that is kept of a decision
    Explain(explain::ExplainArgs),
    /// Evaluate stored decisions again, which must give the same bytes
    Replay(replay::ReplayArgs),
    /// Simulate whole chains under every fault, from seeds, and judge that nothing is lost or overspent
    Simulate(simulate::SimulateArgs),
    /// What campaigns did in this shop
    Campaigns(campaigns::CampaignsArgs),
    /// Analyse files: segments, customer value, association rules, response, uplift
    Lab(lab::LabArgs),
    /// Show, document and check the configuration
    Config(config::ConfigArgs),
    /// Write one file for whoever mends the program, with nothing of a shopper or a secret in it
    Bugreport(bugreport::BugreportArgs),
    /// Who may sign in to the web pages
    Console(console::ConsoleArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    match answer(&cli, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            let mut complaint = std::io::stderr().lock();
            drop(writeln!(complaint, "{error:#}"));
            Exit::Finding.into()
        }
    }
}

/// `aisled … | head` is not a failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn answer(cli: &Cli, out: &mut dyn Write) -> Result<Exit> {
    let environment = Environment::of_process();
    let file = cli.config.as_deref();
    let data_dir = || ask::data_dir(file, &environment);
    match &cli.verb {
        Verb::Run => run::run(file, &environment, out),
        Verb::Demo(args) => demo::run(args, out),
        Verb::Drive(args) => drive::run(args, out),
        Verb::Check(args) => {
            let around = check::Surroundings {
                environment: &environment,
                clock: std::sync::Arc::new(SystemClock),
                known: &check::Known::of,
            };
            Ok(check::run(*args, file, (&around, explain::terminal_lang()), out)?)
        }
        Verb::Status(args) => ask::status(args, &data_dir()?, out),
        Verb::Scan(args) => ask::scan(args, &data_dir()?, out),
        Verb::Quote(args) => ask::quote(args, &data_dir()?, out),
        Verb::Segments(args) => segments::run(args, &data_dir()?, out),
        Verb::Bench(args) => bench::run(args, out),
        Verb::Bundle(args) => bundle::run(args, &bundle_surroundings(file, &environment)?, out),
        Verb::Explain(args) => match args.subject.as_deref().filter(|subject| Code::parse(subject).is_none())
        {
            Some(reference) => ask::decision(reference, &data_dir()?, out),
            None => Ok(explain::run(args, out)?),
        },
        Verb::Outbox(args) => outbox::run(args, &data_dir()?, out),
        Verb::Privacy(args) => privacy::run(args, file, &environment, out),
        Verb::Backup(args) => backup::take(args, &data_dir()?, out),
        Verb::Restore(args) => backup::restore(args, &data_dir()?, out),
        Verb::Devices(args) => devices::run(args, file, &environment, out),
        Verb::Audit(args) => audit::run(args, &data_dir()?, out),
        Verb::Conform(args) => conform::run(args, &data_dir()?, explain::terminal_lang(), out),
        Verb::Export(args) => export::run(args, &data_dir()?, &bundle_surroundings(file, &environment)?, out),
        Verb::Import(args) => import::run(args, &data_dir()?, &bundle_surroundings(file, &environment)?, out),
        Verb::Hub(args) => hub::run(args, out),
        Verb::Replay(args) => replay::run(args, &data_dir()?, &bundle_surroundings(file, &environment)?, out),
        Verb::Simulate(args) => simulate::run_worlds(args, out),
        Verb::Campaigns(args) => {
            campaigns::run(args, &data_dir()?, &bundle_surroundings(file, &environment)?, out)
        }
        Verb::Lab(args) => lab::run(args, out),
        Verb::Config(args) => Ok(config::run(args, file, &environment, out)?),
        Verb::Bugreport(args) => bugreport::run(args, file, &environment, out),
        Verb::Console(args) => console::run(args, &data_dir()?, out),
        Verb::Completions(args) => {
            completions::run(*args, Cli::command(), out)?;
            Ok(Exit::Ok)
        }
        Verb::Man(args) => man::run(args, Cli::command(), out),
    }
}

/// The configured keys and store, where there is a configuration; bundles can be written without one.
fn bundle_surroundings(
    file: Option<&std::path::Path>,
    environment: &Environment,
) -> Result<bundle::Surroundings> {
    let lang = explain::terminal_lang();
    let loaded = match Config::load(file, environment) {
        Ok(loaded) => loaded,
        Err(error) if file.is_some() => {
            return Err(anyhow::anyhow!("failed to read the configuration: {error}"));
        }
        Err(_) => return Ok(bundle::Surroundings { lang, ..bundle::Surroundings::default() }),
    };
    let keys = loaded.config.bundle.trusted_keys.iter().filter_map(|key| key.to_string().parse().ok());
    let trusted = keys.collect();
    let data_dir = Some(loaded.config.store.data_dir);
    let store = loaded.file.is_some().then_some(loaded.config.store.id);
    Ok(bundle::Surroundings { trusted, store, config_file: loaded.file, data_dir, lang })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn are_the_arguments_well_formed() {
        Cli::command().debug_assert();
    }
}
