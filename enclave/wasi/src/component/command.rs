//! The interfaces of `wasi:cli`, `wasi:clocks` and `wasi:random`, and the world of commands.

use super::poll::Pollable;
use super::streams::{InputStream, OutputStream};
use crate::system::{Clock, StreamKind, SystemError};
use crate::{Exit, Wasi};
use bindings::wasi::{cli, clocks, random};
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "the interfaces define it"
)]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../target/patched/run-cargo-xtask-patch/wasip2/wit",
        world: "wasi:cli/command",
        imports: { default: trappable },
        trappable_error_type: {
            "wasi:io/streams.stream-error" => crate::component::Failed,
            "wasi:filesystem/types.error-code" => crate::component::Failed,
        },
        with: {
            "wasi:io/error.error": crate::component::Failure,
            "wasi:io/poll.pollable": crate::component::poll::Pollable,
            "wasi:io/streams.input-stream": crate::component::streams::InputStream,
            "wasi:io/streams.output-stream": crate::component::streams::OutputStream,
            "wasi:filesystem/types.descriptor": crate::component::files::OpenFile,
            "wasi:filesystem/types.directory-entry-stream": crate::component::files::Listing,
            "wasi:cli/terminal-input.terminal-input": crate::component::command::Terminal,
            "wasi:cli/terminal-output.terminal-output": crate::component::command::Terminal,
            "wasi:sockets/network.network": crate::component::sockets::Network,
            "wasi:sockets/tcp.tcp-socket": crate::component::sockets::Socket,
            "wasi:sockets/udp.udp-socket": crate::component::sockets::Socket,
            "wasi:sockets/udp.incoming-datagram-stream": crate::component::sockets::Socket,
            "wasi:sockets/udp.outgoing-datagram-stream": crate::component::sockets::Socket,
            "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::component::sockets::Socket,
        },
    });
}

pub use bindings::{Command, CommandPre};

/// A standard stream that is a terminal.
#[derive(Debug)]
pub struct Terminal;

/// The interfaces that a command may import, without their versions.
const INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The third number of the newest version that is provided, 0.2.x.
const NEWEST: u64 = 12;

/// The interfaces that [`add_component_to_linker`] defines, without their versions.
pub fn interfaces() -> &'static [&'static str] {
    &INTERFACES
}

/// Whether [`add_component_to_linker`] defines an interface: its name, with a version.
pub fn provides_interface(name: &str) -> bool {
    let Some((interface, version)) = name.split_once('@') else { return false };
    let patch = version.strip_prefix("0.2.").and_then(|patch| patch.parse::<u64>().ok());
    INTERFACES.contains(&interface) && patch.is_some_and(|patch| patch <= NEWEST)
}

/// Defines all interfaces that a command may import.
///
/// # Errors
/// One of them is defined already.
pub fn add_component_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    wasi: fn(&mut T) -> &mut Wasi,
) -> Result<()> {
    Command::add_to_linker::<T, HasSelf<Wasi>>(linker, &bindings::LinkOptions::default(), wasi)
}

impl Wasi {
    /// Returns a resource if a standard stream is a terminal.
    fn terminal(&mut self, stream: u64) -> Result<Option<Resource<Terminal>>> {
        match self.system.kind(stream) {
            Ok(StreamKind::Terminal) => Ok(Some(self.give(Terminal)?)),
            _ => Ok(None),
        }
    }

    /// Returns the time of a clock, or its resolution: interfaces of components have no error for it.
    fn clock(&mut self, time: std::result::Result<u64, SystemError>) -> Result<u64> {
        time.map_err(|error| wasmtime::format_err!("the host's clock failed: {error}"))
    }
}

impl cli::environment::Host for Wasi {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        let pairs = self.environment.texts().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            (name.to_owned(), value.to_owned())
        });
        Ok(pairs.collect())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.arguments.texts().collect())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl cli::exit::Host for Wasi {
    fn exit(&mut self, status: std::result::Result<(), ()>) -> Result<()> {
        Err(Exit(status.is_err().into()).into())
    }

    fn exit_with_code(&mut self, code: u8) -> Result<()> {
        Err(Exit(code.into()).into())
    }
}

impl cli::stdin::Host for Wasi {
    fn get_stdin(&mut self) -> Result<Resource<InputStream>> {
        Ok(self.give(InputStream::standard())?)
    }
}

impl cli::stdout::Host for Wasi {
    fn get_stdout(&mut self) -> Result<Resource<OutputStream>> {
        Ok(self.give(OutputStream::Standard(1))?)
    }
}

impl cli::stderr::Host for Wasi {
    fn get_stderr(&mut self) -> Result<Resource<OutputStream>> {
        Ok(self.give(OutputStream::Standard(2))?)
    }
}

impl cli::terminal_input::Host for Wasi {}
impl cli::terminal_output::Host for Wasi {}

impl cli::terminal_input::HostTerminalInput for Wasi {
    fn drop(&mut self, terminal: Resource<Terminal>) -> Result<()> {
        self.resources.delete(terminal)?;
        Ok(())
    }
}

impl cli::terminal_output::HostTerminalOutput for Wasi {
    fn drop(&mut self, terminal: Resource<Terminal>) -> Result<()> {
        self.resources.delete(terminal)?;
        Ok(())
    }
}

impl cli::terminal_stdin::Host for Wasi {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<Terminal>>> {
        self.terminal(0)
    }
}

impl cli::terminal_stdout::Host for Wasi {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<Terminal>>> {
        self.terminal(1)
    }
}

impl cli::terminal_stderr::Host for Wasi {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<Terminal>>> {
        self.terminal(2)
    }
}

impl clocks::monotonic_clock::Host for Wasi {
    fn now(&mut self) -> Result<u64> {
        let time = self.system.time(Clock::Monotonic);
        self.clock(time)
    }

    fn resolution(&mut self) -> Result<u64> {
        let resolution = self.system.resolution(Clock::Monotonic);
        self.clock(resolution)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<Pollable>> {
        Ok(self.give(Pollable::Until(when))?)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<Pollable>> {
        let now = clocks::monotonic_clock::Host::now(self)?;
        self.subscribe_instant(now.saturating_add(duration))
    }
}

/// Converts nanoseconds since 1970.
pub(super) fn datetime(nanoseconds: u64) -> clocks::wall_clock::Datetime {
    const SECOND: u64 = 1_000_000_000;
    let rest = (nanoseconds % SECOND) as u32;
    clocks::wall_clock::Datetime { seconds: nanoseconds / SECOND, nanoseconds: rest }
}

impl clocks::wall_clock::Host for Wasi {
    fn now(&mut self) -> Result<clocks::wall_clock::Datetime> {
        let time = self.system.time(Clock::Realtime);
        self.clock(time).map(datetime)
    }

    fn resolution(&mut self) -> Result<clocks::wall_clock::Datetime> {
        let resolution = self.system.resolution(Clock::Realtime);
        self.clock(resolution).map(datetime)
    }
}

/// An enclave knows no place: all times are UTC.
impl clocks::timezone::Host for Wasi {
    fn display(
        &mut self,
        when: clocks::wall_clock::Datetime,
    ) -> Result<clocks::timezone::TimezoneDisplay> {
        Ok(clocks::timezone::TimezoneDisplay {
            utc_offset: self.utc_offset(when)?,
            name: "UTC".into(),
            in_daylight_saving_time: false,
        })
    }

    fn utc_offset(&mut self, _: clocks::wall_clock::Datetime) -> Result<i32> {
        Ok(0)
    }
}

/// Limit on the random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// Returns random bytes of the CPU.
fn random_bytes(length: u64) -> Result<Vec<u8>> {
    let length = usize::try_from(length.min(MAX_RANDOM_BYTES + 1)).unwrap_or(usize::MAX);
    wasmtime::ensure!(
        length as u64 <= MAX_RANDOM_BYTES,
        "more than {MAX_RANDOM_BYTES} random bytes were asked for at once"
    );
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)
        .map_err(|_| wasmtime::format_err!("the CPU returns no random bytes"))?;
    Ok(bytes)
}

fn random_number() -> Result<u64> {
    getrandom::u64().map_err(|_| wasmtime::format_err!("the CPU returns no random bytes"))
}

impl random::random::Host for Wasi {
    fn get_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        random_bytes(length)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        random_number()
    }
}

/// What may be insecure is as secure as the rest.
impl random::insecure::Host for Wasi {
    fn get_insecure_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        random_number()
    }
}

impl random::insecure_seed::Host for Wasi {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((random_number()?, random_number()?))
    }
}
