//! `twine key`: makes and shows the keys of owners.

use crate::failure::Failure;
use crate::input::{self, MAX_TEXT_BYTES};
use crate::output::{not_new, write_new};
use crate::owner_key::{self, OwnerKey, algorithm_name, public_from_pem, public_to_pem};
use crate::print::{print_error, print_line, print_text};
use clap::{Args, Subcommand, ValueEnum};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_evidence::owner::{Algorithm, PublicKey};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a private key, which signs manifests, and its public key, which manifests name
    New(New),
    /// Print the public key of a private one, in PEM
    Public(Public),
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Algorithm of the key: ECDSA on P-256, which key services and smart cards have too, or
    /// Ed25519
    #[arg(long = "type", value_enum, default_value = "p256", value_name = "TYPE")]
    algorithm: Name,

    /// File to write the private key to, in PEM (PKCS#8). Only this user can read it. A file that
    /// is there is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// File to write the public key to, in PEM [default: the standard output]
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Public {
    /// Key of an owner, private or public, in PEM
    key: PathBuf,

    /// Print the key's id instead: the SHA-256 of its DER, which names the owner in policies and in
    /// evidence
    #[arg(long)]
    id: bool,
}

/// The name of an algorithm on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    P256,
    Ed25519,
}

impl From<Name> for Algorithm {
    fn from(name: Name) -> Self {
        match name {
            Name::P256 => Algorithm::Es256,
            Name::Ed25519 => Algorithm::EdDsa,
        }
    }
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::New(arguments) => new(arguments)?,
        Command::Public(arguments) => public(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The failure with a key in a file.
pub(crate) fn bad_key(path: &Path, error: &owner_key::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()), error.remedy())
}

/// Reads the private key of an owner from a file.
pub(crate) fn read_private(path: &Path) -> Result<OwnerKey, Failure> {
    let pem = input::whole(path, MAX_TEXT_BYTES)?;
    OwnerKey::from_pem(&pem).map_err(|error| bad_key(path, &error))
}

/// Reads the public key of an owner from a file with either half of the key.
fn read_either(path: &Path) -> Result<PublicKey, Failure> {
    let pem = input::whole(path, MAX_TEXT_BYTES)?;
    match public_from_pem(&pem) {
        Err(owner_key::Error::Private) => OwnerKey::from_pem(&pem).map(|key| key.public().clone()),
        public => public,
    }
    .map_err(|error| bad_key(path, &error))
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    not_new(path, error, "name another file: keys are never overwritten")
}

fn new(arguments: &New) -> Result<(), Failure> {
    let New { algorithm, output, public } = arguments;
    let key = OwnerKey::generate((*algorithm).into())
        .map_err(|error| Failure::new(&error, error.remedy()))?;
    write_new(output, key.to_pem().as_bytes(), 0o600)
        .map_err(|error| not_written(output, &error))?;
    let pem = public_to_pem(key.public());
    match public {
        None => print_text!("{pem}"),
        Some(path) => {
            if let Err(error) = write_new(path, pem.as_bytes(), 0o644) {
                // Nobody has used the private key yet.
                let _ = fs::remove_file(output);
                return Err(not_written(path, &error));
            }
        }
    }
    print_error!("twine: the key {} of {}", key.public().id(), algorithm_name(key.public()));
    Ok(())
}

fn public(arguments: &Public) -> Result<(), Failure> {
    let key = read_either(&arguments.key)?;
    if arguments.id {
        print_line!("{}", key.id());
    } else {
        print_text!("{}", public_to_pem(&key));
    }
    Ok(())
}
