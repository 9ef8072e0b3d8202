//! Manual pages and shell completions. Both are generated from the texts of `--help`.

use crate::failure::Failure;
use crate::print;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use std::io::{self, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
pub(crate) struct Completions {
    /// Shell to generate completions for
    shell: Shell,
}

#[derive(Debug, Parser)]
pub(crate) struct Man {
    /// Command whose page to print [default: twine itself]
    #[arg(conflicts_with = "output")]
    command: Vec<String>,

    /// Write the pages of all commands to this folder, as twine.1, twine-run.1, ...
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Prints completions for a shell.
pub(crate) fn completions(arguments: &Completions) -> ExitCode {
    let mut script = Vec::new();
    let mut command = crate::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "twine", &mut script);
    print::check(stdout().write_all(&script));
    ExitCode::SUCCESS
}

/// Prints a manual page, or writes all of them.
///
/// # Errors
/// If the pages can't be written.
pub(crate) fn man(arguments: &Man) -> Result<ExitCode, Failure> {
    if let Some(folder) = &arguments.output {
        return write_all(folder).map(|()| ExitCode::SUCCESS).map_err(|error| {
            Failure::system(
                format!("the manual pages can't be written to {}: {error}", folder.display()),
                &error,
                "name a folder that this user can write",
            )
        });
    }
    let mut page = crate::Arguments::command();
    page.build();
    for name in &arguments.command {
        let inner = page.find_subcommand(name).filter(|inner| !is_help(inner)).cloned();
        let Some(inner) = inner else {
            let cause = format!("there is no command `twine {}`", arguments.command.join(" "));
            return Ok(crate::usage(&page.error(ErrorKind::InvalidSubcommand, cause)));
        };
        page = inner;
    }
    let mut text = Vec::new();
    let rendered = render(&page, &mut text);
    print::check(rendered.and_then(|()| stdout().write_all(&text)));
    Ok(ExitCode::SUCCESS)
}

fn is_help(command: &clap::Command) -> bool {
    command.get_name() == "help"
}

/// Renders the page of a command. `build` was called on the top command.
fn render(command: &clap::Command, to: &mut Vec<u8>) -> io::Result<()> {
    // The page of `twine volume ls` is named `twine-volume-ls`.
    let usage = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let name = usage.replace(' ', "-");
    let page = command.clone().display_name(name.clone()).name(name.clone()).bin_name(usage);
    clap_mangen::Man::new(page).title(name.to_uppercase()).manual("Twine").render(to)
}

/// Writes the pages of all commands.
fn write_all(folder: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut all = crate::Arguments::command();
    all.build();
    let mut commands = vec![&all];
    while let Some(command) = commands.pop() {
        let mut text = Vec::new();
        render(command, &mut text)?;
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
        std::fs::write(folder.join(format!("{name}.1")), text)?;
        commands.extend(command.get_subcommands().filter(|command| !is_help(command)));
    }
    Ok(())
}
