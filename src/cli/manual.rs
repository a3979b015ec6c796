//! `sockbench completions` and `sockbench man`: what a package installs beside the program.

use std::path::PathBuf;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Exit, files};

/// Print the completions of a shell, to be sourced or installed.
///
/// For example: sockbench completions bash > ~/.local/share/bash-completion/completions/sockbench
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages, one for each command, into a directory.
///
/// For example: sockbench man ~/.local/share/man/man1; then: man sockbench-load
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Where to; made if it is not there. Pages that are there are replaced
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<u8, Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sockbench", &mut script);
    files::to_stdout(&script).map(|()| 0)
}

pub(crate) fn man(args: &ManArgs) -> Result<u8, Exit> {
    std::fs::create_dir_all(&args.dir).map_err(|e| files::failed(&args.dir, &e))?;
    for (name, page) in pages()? {
        files::write(&args.dir.join(format!("{name}.1")), &page)?;
    }
    Ok(0)
}

/// Every page under its name.
fn pages() -> Result<Vec<(String, Vec<u8>)>, Exit> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let named = |c: &Command| c.get_display_name().unwrap_or_else(|| c.get_name()).to_owned();
    let commands = program.get_subcommands().filter(|c| !c.is_hide_set()).cloned();
    let all: Vec<Command> = std::iter::once(program.clone()).chain(commands).collect();
    let page = |c: Command| {
        let (name, mut page) = (named(&c), Vec::new());
        // A page is the long form.
        let written = Man::new(c.mut_args(|arg| arg.hide_short_help(false))).manual("sockbench").render(&mut page);
        written.map(|()| (name, page)).map_err(|e| Exit::environment(format!("a manual page: {e}")))
    };
    all.into_iter().map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_command_that_names_its_flags() {
        let pages = pages().expect("memory takes them");
        let of = |name: &str| {
            let page = pages.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}"));
            String::from_utf8(page.1.clone()).expect("text")
        };
        assert_eq!(pages.len(), Cli::command().get_subcommands().count() + 1);
        assert!(of("sockbench").contains("sockbench\\-load(1)"), "{}", of("sockbench"));
        let server = of("sockbench-server");
        assert!(server.contains("calibrated to \\-\\-cpu\\-work"), "also what the short help leaves out: {server}");
        assert!(server.contains("\\-\\-drain\\-timeout") && server.contains(".TH sockbench-server 1"), "{server}");
        assert!(!of("sockbench-sandbox").contains("reap"), "what is hidden in the help is hidden here");
    }
}
