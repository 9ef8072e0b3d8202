//! Attests a peer, is attested by it, and exchanges a message with it. `guests/peer` does the same in C.
//!
//!     peer-rust client|server MESSAGE       meet a peer
//!     peer-rust evidence NONCE DATA         write evidence; NONCE in hexadecimal
//!     peer-rust flood COUNT                 ask for so much evidence, and say what came of it
//!     peer-rust seal|unseal CONTEXT         seal or unseal the standard input
//!     peer-rust policy                      write the policy by which a peer is accepted
//!     peer-rust mirror [COUNT]              verify evidence of its own, so many times
//!
//! The peer is at the other end of the first connection to a listening socket, if there is one
//! (`--listen`), otherwise of the standard input and output.
//!
//! PEER_POLICY is the policy, in TOML. Without it a peer must be the same program as this one, on
//! PEER_ROOT: `intel`, or `simulation`.
//!
//! Each side sends a nonce of 32 bytes. Each answers with its message and with evidence, for the other
//! side's nonce, that it says: its side, both nonces and the message. The side keeps an attacker from
//! sending a program its own evidence back, and the nonces keep both in one conversation. So each message
//! is known to come from the program that the policy names. It is not secret: a program that wants that
//! says its public key in its evidence.

use std::env;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::process::ExitCode;
use twine_attestation as api;

type Failure = Box<dyn std::error::Error>;

/// The exit code if the peer is refused.
const REFUSED: u8 = 3;

/// How what a side says begins.
const PROTOCOL: &[u8] = b"twine peer example 1";

/// The descriptor of the first listening socket. The standard streams come before it.
const LISTENER: i32 = 3;

const NONCE_BYTES: usize = 32;

/// Limit on the size of a message, so that it fits into evidence with what comes before it.
const MAX_MESSAGE: usize = 512;

/// Limit on the size of evidence.
const MAX_EVIDENCE: usize = 256 << 10;

/// The two ends of the conversation, as bytes that both sides know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client = b'C' as isize,
    Server = b'S' as isize,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// What a side says.
fn said(side: Side, own: &[u8], other: &[u8], message: &[u8]) -> Vec<u8> {
    [PROTOCOL, &[side as u8], own, other, message].concat()
}

/// The connection to the peer.
enum Link {
    Streams,
    Socket(TcpStream),
}

impl Link {
    /// Takes the first connection to a listening socket, if there is one.
    fn open() -> Link {
        // SAFETY: the runtime gives these descriptors only to what the launch names, and nothing here
        // closes this one.
        let listener = ManuallyDrop::new(unsafe { TcpListener::from_raw_fd(LISTENER) });
        // A listening socket does not wait until it is told to. This fails if there is none.
        let _ = listener.set_nonblocking(false);
        match listener.accept() {
            Ok((connection, _)) => Link::Socket(connection),
            Err(_) => Link::Streams,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Link::Streams => {
                io::stdout().write_all(bytes)?;
                io::stdout().flush()
            }
            Link::Socket(connection) => connection.write_all(bytes),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Link::Streams => io::stdin().read_exact(bytes),
            Link::Socket(connection) => connection.read_exact(bytes),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.write(&length.to_be_bytes())?;
        self.write(bytes)
    }

    fn receive(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.read(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > most {
            return Err(io::Error::other("the peer sends more than it may"));
        }
        let mut bytes = vec![0; length];
        self.read(&mut bytes)?;
        Ok(bytes)
    }
}

fn policy() -> Result<String, Failure> {
    match env::var("PEER_POLICY") {
        Ok(policy) => Ok(policy),
        Err(_) => {
            let root = env::var("PEER_ROOT").unwrap_or_else(|_| "intel".into());
            Ok(api::own_policy(&root)?)
        }
    }
}

fn meet(side: Side, message: &[u8]) -> Result<ExitCode, Failure> {
    if message.len() > MAX_MESSAGE {
        return Err("the message is too long".into());
    }
    let policy = policy()?;
    let mut link = Link::open();
    let mut own = [0; NONCE_BYTES];
    getrandom::fill(&mut own).map_err(|error| error.to_string())?;
    link.send(&own)?;
    let other = link.receive(NONCE_BYTES)?;
    if other.len() != NONCE_BYTES {
        return Err("the peer's nonce has another length".into());
    }

    link.send(message)?;
    link.send(&api::evidence(&other, &said(side, &own, &other, message))?)?;

    let received = link.receive(MAX_MESSAGE)?;
    let evidence = link.receive(MAX_EVIDENCE)?;
    let expected = said(side.other(), &other, &own, &received);
    match api::verify(&evidence, &policy, &own, &expected) {
        Ok(_) => {
            eprintln!("the peer says: {}", received.escape_ascii());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(error),
    }
}

/// Returns the exit code for evidence that is refused.
fn refused(error: api::Error) -> Result<ExitCode, Failure> {
    match error {
        api::Error::Refused(_) => {
            eprintln!("{error}");
            Ok(ExitCode::from(REFUSED))
        }
        error => Err(error.into()),
    }
}

/// Verifies evidence of its own.
fn mirror(count: u32) -> Result<ExitCode, Failure> {
    const NONCE: &[u8] = b"a nonce of 19 bytes";
    let policy = policy()?;
    let evidence = api::evidence(NONCE, b"mirror")?;
    for _ in 0..count {
        if let Err(error) = api::verify(&evidence, &policy, NONCE, b"mirror") {
            return refused(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn flood(count: u32) {
    let (mut made, mut again, mut failed) = (0, 0, 0);
    for number in 0..count {
        match api::evidence(b"a nonce", &number.to_be_bytes()) {
            Err(api::Error::Invalid) => {}
            result => eprintln!("a nonce of 7 bytes: {result:?}"),
        }
        match api::evidence(b"a nonce of 19 bytes", &number.to_be_bytes()) {
            Ok(_) => made += 1,
            Err(api::Error::Again) => again += 1,
            Err(_) => failed += 1,
        }
    }
    eprintln!("made {made}, again {again}, failed {failed}");
}

fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    bytes.collect()
}

fn input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn run() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["client", message] => return meet(Side::Client, message.as_bytes()),
        ["server", message] => return meet(Side::Server, message.as_bytes()),
        ["evidence", nonce, data] => {
            io::stdout().write_all(&api::evidence(&from_hex(nonce)?, data.as_bytes())?)?;
        }
        ["flood", count] => flood(count.parse()?),
        ["seal", context] => {
            io::stdout().write_all(&api::seal(context.as_bytes(), &input()?)?)?;
        }
        ["unseal", context] => {
            io::stdout().write_all(&api::unseal(context.as_bytes(), &input()?)?)?;
        }
        ["mirror"] => return mirror(1),
        ["mirror", count] => return mirror(count.parse()?),
        ["policy"] => print!("{}", policy()?),
        _ => return Err("usage: peer-rust client|server MESSAGE, and more in its source".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
