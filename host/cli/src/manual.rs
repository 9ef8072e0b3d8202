//! Pages of the manual, and completions for shells: both are made of what `--help` says.

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
    /// The shell that completes
    shell: Shell,
}

#[derive(Debug, Parser)]
pub(crate) struct Man {
    /// The command whose page is printed [default: twine itself]
    #[arg(conflicts_with = "output")]
    command: Vec<String>,

    /// Write the pages of all commands to this folder instead, as twine.1, twine-run.1, ...
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Prints the completions for a shell.
pub(crate) fn completions(arguments: &Completions) -> ExitCode {
    let mut script = Vec::new();
    let mut command = crate::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "twine", &mut script);
    print::check(stdout().write_all(&script));
    ExitCode::SUCCESS
}

/// Prints or writes pages of the manual.
///
/// # Errors
/// When the pages can't be written.
pub(crate) fn man(arguments: &Man) -> Result<ExitCode, Failure> {
    if let Some(folder) = &arguments.output {
        return write_all(folder).map(|()| ExitCode::SUCCESS).map_err(|error| {
            Failure::system(
                format!("the pages can't be written to {}: {error}", folder.display()),
                &error,
                "name a folder that can be written",
            )
        });
    }
    let mut page = crate::Arguments::command();
    page.build();
    for name in &arguments.command {
        let inner = page.find_subcommand(name).filter(|inner| !is_help(inner)).cloned();
        let Some(inner) = inner else {
            let what = format!("there is no command `twine {}`", arguments.command.join(" "));
            return Ok(crate::usage(&page.error(ErrorKind::InvalidSubcommand, what)));
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

/// The page of a command that was built as part of all.
fn render(command: &clap::Command, to: &mut Vec<u8>) -> io::Result<()> {
    // `twine volume ls`, and as the name of its page `twine-volume-ls`.
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
