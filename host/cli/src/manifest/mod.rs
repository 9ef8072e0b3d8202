//! `twine manifest`: what an owner allows to be launched.

mod document;
mod held;
mod hosts;
mod init;
mod mounts;
mod read;
mod sign;
mod signed_file;
mod sockets;
#[cfg(test)]
mod tests;
mod warnings;
mod words;
mod write;

pub(crate) use held::Held;
pub(crate) use sign::sign_with;
pub(crate) use signed_file::SignedFile;

use crate::failure::Failure;
use crate::input::{self, MAX_TEXT_BYTES};
use crate::owner_key;
use crate::print::{print_error, print_json, print_line, print_text};
use crate::program::Program;
use clap::{Args, Subcommand};
use document::{Place, Problem};
use read::{Written, read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_evidence::bytes::{Digest, to_hex};
use twine_evidence::manifest::Manifest;
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::Signed;
use warnings::{Warning, warnings};
use words::Words;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a manifest for a program, with comments, to edit and sign
    #[command(long_about = "Write a manifest for a program, with comments, to edit and sign\n\n\
        The options are those of `twine run`. What stays the host's choice is left out: the files \
        of volumes, the values of secrets, and the addresses of sockets. A volume \
        opens in this deployment alone.")]
    Init(Box<init::Arguments>),
    /// Check a manifest: print all errors with line and column, and warn of what the host can do
    Check(Check),
    /// Sign a manifest with its owner's key, for `twine run --manifest`
    Sign(sign::Arguments),
    /// Say in words what a manifest allows, and whether its owner has signed it
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Manifest to check, in TOML or signed
    manifest: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Manifest to show, in TOML or signed
    manifest: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The first byte of a signed manifest: the tag of COSE_Sign1 (RFC 9052, section 4.2). No TOML
/// starts with it.
const SIGNED_START: u8 = 0xd2;

/// A manifest in one of its two forms.
enum Form {
    /// TOML.
    Written(Box<Written>),
    /// Signed, and the signature is valid.
    Signed(Box<Signed>),
}

/// Why a manifest can't be used.
enum Trouble {
    Failure(Failure),
    /// The file in TOML, and what is wrong in it.
    Problems(PathBuf, Vec<Problem>),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failure(failure)
    }
}

impl Form {
    fn open(path: &Path) -> Result<Self, Trouble> {
        let bytes = input::whole(path, MAX_TEXT_BYTES)?;
        if bytes.first() == Some(&SIGNED_START) {
            return Ok(Form::Signed(Box::new(open_signed(path, &bytes)?)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Failure::new(
                format!("{} is no manifest: it is neither signed nor a text", path.display()),
                "name a manifest; `twine manifest init PROGRAM` writes one",
            )
        })?;
        if text.starts_with("-----BEGIN ") {
            return Err(Failure::new(
                format!("{} is no manifest: it is a key or a certificate in PEM", path.display()),
                "name a manifest; `twine manifest init PROGRAM` writes one",
            )
            .into());
        }
        match read(text, folder_of(path)) {
            Ok(written) => Ok(Form::Written(Box::new(written))),
            Err(problems) => Err(Trouble::Problems(path.to_owned(), problems)),
        }
    }

    fn manifest(&self) -> &Manifest {
        match self {
            Form::Written(written) => &written.manifest,
            Form::Signed(signed) => signed.manifest(),
        }
    }

    fn owner(&self) -> &PublicKey {
        match self {
            Form::Written(written) => &written.owner,
            Form::Signed(signed) => signed.owner(),
        }
    }

    /// The place of a warning, if this was read from TOML.
    fn place(&self, warning: &Warning) -> Option<Place> {
        match self {
            Form::Written(written) => written.places.get(&warning.path).copied(),
            Form::Signed(_) => None,
        }
    }

    /// Prints the warnings for the manifest, which is in the file at `path`.
    fn warn(&self, path: &Path) {
        let mut found = warnings(self.manifest());
        found.sort_by_key(|warning| self.place(warning));
        for warning in found {
            self.print(path, &warning);
        }
    }

    fn print(&self, path: &Path, warning: &Warning) {
        let path = path.display();
        match self.place(warning) {
            Some(place) => print_error!("warning: {path}:{place}: {warning}"),
            None => print_error!("warning: {path}: {warning}"),
        }
    }
}

/// The folder of a file, to which the paths in a manifest are relative.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Opens a signed manifest, and verifies its signature.
fn open_signed(path: &Path, bytes: &[u8]) -> Result<Signed, Failure> {
    Signed::open(bytes).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "get it again from its owner, who signs it with `twine manifest sign`",
        )
    })
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Init(arguments) => init::run(*arguments).map_err(Trouble::from),
        Command::Check(arguments) => check(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Show(arguments) => show(&arguments),
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Trouble::Failure(failure)) => Err(failure),
        Err(Trouble::Problems(path, problems)) => {
            for Problem { place, cause, remedy } in problems {
                Failure::new(format!("{}:{place}: {cause}", path.display()), remedy).show();
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn check(arguments: &Check) -> Result<(), Trouble> {
    let path = &arguments.manifest;
    let form = Form::open(path)?;
    form.warn(path);
    if let Form::Written(written) = &form
        && let Some(warning) = other_program(path, written)
    {
        form.print(path, &warning);
    }
    let signed = match &form {
        Form::Signed(_) => "and signed by its owner",
        Form::Written(_) => "and not signed yet",
    };
    let Manifest { name, version, .. } = form.manifest();
    print_line!("{}: valid, {signed}: {name}, version {version}", path.display());
    Ok(())
}

/// Returns a warning if the program's file is there and is another program. The manifest is in the
/// file at `path`.
fn other_program(path: &Path, written: &Written) -> Option<Warning> {
    let file = written.file.as_ref()?;
    let program = folder_of(path).join(file);
    if !program.exists() {
        return None;
    }
    let found = Program::read(&program)
        .and_then(|read| read.sha256().map_err(|error| Failure::unreadable(&program, &error)));
    let text = match found {
        Ok(found) if found == written.manifest.terms.program.0 => return None,
        Ok(found) => format!("{file} has the SHA-256 {}, and is not allowed", to_hex(&found)),
        Err(failure) => failure.cause().to_owned(),
    };
    Some(Warning { path: "program-file".into(), text })
}

fn show(arguments: &Show) -> Result<(), Trouble> {
    let path = &arguments.manifest;
    let form = Form::open(path)?;
    let (manifest, owner) = (form.manifest(), form.owner());
    let signed = matches!(form, Form::Signed(_));
    if arguments.json {
        let warnings: Vec<_> = warnings(manifest)
            .into_iter()
            .map(|Warning { path, text }| serde_json::json!({ "path": path, "text": text }))
            .collect();
        let value = serde_json::json!({
            "signed": signed,
            "sha256": Digest::of(&manifest.encode()).to_string(),
            "owner": {
                "id": owner.id().to_string(),
                "algorithm": owner_key::algorithm_name(owner),
                "pem": owner_key::public_to_pem(owner),
            },
            "manifest": manifest,
            "warnings": warnings,
        });
        print_json(&format!("{value:#}"));
    } else {
        print_text!("{}", Words { manifest, owner, signed });
        form.warn(path);
    }
    Ok(())
}
