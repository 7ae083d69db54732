//! `aisled completions SHELL`: the words a shell offers after the tabulator key.
//!
//! Made from the command itself, so they cannot fall behind it. Packages write them to the shell's directory.

use std::io::Write;

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

/// Arguments of `completions`.
#[derive(Args, Clone, Copy, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: OfferedShell,
}

/// The shells that are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OfferedShell {
    Bash,
    Zsh,
    Fish,
}

/// Writes the completions of `command`, which is the whole program's.
pub fn run(args: CompletionsArgs, mut command: Command, out: &mut dyn Write) -> std::io::Result<()> {
    let shell = match args.shell {
        OfferedShell::Bash => Shell::Bash,
        OfferedShell::Zsh => Shell::Zsh,
        OfferedShell::Fish => Shell::Fish,
    };
    // The generator panics on a writer that fails, so it writes to memory.
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_each_shell_learn_every_verb() {
        for shell in [OfferedShell::Bash, OfferedShell::Zsh, OfferedShell::Fish] {
            let command = Command::new("aisled").subcommand(Command::new("outbox"));
            let mut script = Vec::new();
            run(CompletionsArgs { shell }, command, &mut script).expect("memory takes it");
            let script = String::from_utf8(script).expect("a script is text");
            assert!(script.contains("outbox") && script.contains("aisled"), "{shell:?}");
        }
    }
}
