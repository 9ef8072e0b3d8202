//! What the operator allows programs of deployments: where they may listen, and whom they may connect
//! to. Nothing without a rule.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use twine_protocol::network::{Connect, Listen};
use twine_protocol::wire::{SocketStatus, Status};

/// How long one address of a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address on which programs may listen, and its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRule {
    address: IpAddr,
    /// `None`: all.
    ports: Option<RangeInclusive<u16>>,
}

/// Hosts that programs may connect to, and their ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRule {
    host: Hosts,
    /// `None`: all.
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// All.
    All,
    /// Those whose names end so, with the dot.
    Below(String),
    /// This name or address, in lower case.
    One(String),
}

/// A rule that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoRule(&'static str);

/// What the operator allows.
#[derive(Debug, Clone)]
pub struct Network {
    /// Where programs may listen. The first rule that has the port is taken.
    pub listen: Vec<ListenRule>,
    /// Whom they may connect to.
    pub connect: Vec<ConnectRule>,
    /// Writes a line to the host's log.
    pub log: fn(fmt::Arguments<'_>),
}

impl Default for Network {
    /// Allows nothing.
    fn default() -> Self {
        Network { listen: Vec::new(), connect: Vec::new(), log: |_| () }
    }
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(first..=last)
}

/// Splits `HOST[:PORTS]`. An IPv6 address with ports is in brackets.
fn split(text: &str) -> Option<(&str, Option<RangeInclusive<u16>>)> {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(given) => Some((host, Some(ports(given)?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, given)) => Some((host, Some(ports(given)?))),
        None => Some((text, None)),
    }
}

impl FromStr for ListenRule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let wrong = NoRule("write an address of this machine, and ports: 0.0.0.0:8000-8999");
        let (address, ports) = split(text).ok_or(wrong.clone())?;
        Ok(ListenRule { address: address.parse().map_err(|_| wrong)?, ports })
    }
}

impl FromStr for ConnectRule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let wrong = NoRule("write a host and a port: db.example.com:5432, *.example.com, *:443");
        let (host, ports) = split(text).ok_or(wrong.clone())?;
        let host = host.to_ascii_lowercase();
        let host = match host.strip_prefix('*') {
            Some("") => Hosts::All,
            Some(rest) if rest.starts_with('.') && rest.len() > 1 && !rest.contains('*') => {
                Hosts::Below(rest.to_owned())
            }
            None if !host.is_empty() && !host.contains('*') => Hosts::One(host),
            _ => return Err(wrong),
        };
        Ok(ConnectRule { host, ports })
    }
}

fn has(ports: Option<&RangeInclusive<u16>>, port: u16) -> bool {
    ports.is_none_or(|ports| ports.contains(&port))
}

impl ConnectRule {
    fn allows(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let is_it = match &self.host {
            Hosts::All => true,
            Hosts::Below(end) => host.len() > end.len() && host.ends_with(end),
            Hosts::One(name) => *name == host,
        };
        is_it && has(self.ports.as_ref(), port)
    }
}

/// Returns the status code for an error of a socket.
pub(crate) fn code_of(error: &Error) -> u64 {
    match error.raw_os_error() {
        Some(libc::ECONNRESET) => SocketStatus::Reset.code(),
        Some(libc::ECONNABORTED) => SocketStatus::Aborted.code(),
        Some(libc::ENOTCONN) => SocketStatus::NotConnected.code(),
        Some(libc::EMFILE | libc::ENFILE) => SocketStatus::TooManyOpen.code(),
        Some(libc::ECONNREFUSED) => SocketStatus::Refused.code(),
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EADDRNOTAVAIL) => {
            SocketStatus::Unreachable.code()
        }
        Some(libc::ETIMEDOUT) => SocketStatus::TimedOut.code(),
        Some(libc::EADDRINUSE) => Status::InUse.code(),
        Some(_) => crate::streams::status_of(error).code(),
        None if error.kind() == ErrorKind::TimedOut => SocketStatus::TimedOut.code(),
        // A name that is not known.
        None => SocketStatus::Unreachable.code(),
    }
}

impl Network {
    /// Listens for a program.
    ///
    /// # Errors
    /// The status code: the operator allows it nowhere, or the ports are taken.
    pub(crate) fn listen(&self, request: &Listen) -> Result<TcpListener, u64> {
        let Listen { deployment, socket, port } = request;
        let mut failure = Status::Denied.code();
        for rule in &self.listen {
            let candidates = match (port, &rule.ports) {
                (Some(port), ports) if has(ports.as_ref(), *port) => *port..=*port,
                (Some(_), _) => continue,
                (None, Some(ports)) => ports.clone(),
                // The system chooses.
                (None, None) => 0..=0,
            };
            for port in candidates {
                match TcpListener::bind((rule.address, port)) {
                    Ok(listener) => {
                        if let Ok(address) = listener.local_addr() {
                            (self.log)(format_args!(
                                "<6>{deployment}: {socket} listens on {address}"
                            ));
                        }
                        return Ok(listener);
                    }
                    Err(error) => failure = code_of(&error),
                }
            }
        }
        let wish = port.map_or("a port".to_owned(), |port| format!("port {port}"));
        let cause = match Status::from_code(failure) {
            Some(Status::Denied) => "it is not allowed: --allow-listen",
            Some(Status::InUse) => "it is in use",
            _ => "the system refuses it",
        };
        (self.log)(format_args!("<4>{deployment}: {socket} does not listen on {wish}: {cause}"));
        Err(failure)
    }

    /// Whether a program may connect there.
    pub(crate) fn allows(&self, request: &Connect) -> bool {
        let Connect { deployment, socket, host, port, .. } = request;
        let allowed = self.connect.iter().any(|rule| rule.allows(host, *port));
        if !allowed {
            (self.log)(format_args!(
                "<4>{deployment}: {socket} does not connect to {host} port {port}: it is not \
                 allowed: --allow-connect"
            ));
        }
        allowed
    }
}

/// Connects to a host. Waits.
///
/// # Errors
/// The status code for the last address that was tried.
pub(crate) fn connect(host: &str, port: u16) -> Result<TcpStream, u64> {
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|_| SocketStatus::Unreachable.code())?.collect();
    let mut failure = SocketStatus::Unreachable.code();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = code_of(&error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_to_connect_match_hosts_and_ports() {
        for (rule, host, port, allowed) in [
            ("db.example.com:5432", "DB.example.com", 5432, true),
            ("db.example.com:5432", "db.example.com", 5433, false),
            ("db.example.com", "db.example.com", 1, true),
            ("db.example.com", "xdb.example.com", 1, false),
            ("*.example.com:443", "a.b.example.com", 443, true),
            ("*.example.com:443", "example.com", 443, false),
            ("*.example.com:443", "evilexample.com", 443, false),
            ("*:8000-8999", "10.0.0.1", 8500, true),
            ("*:8000-8999", "10.0.0.1", 9000, false),
            ("[::1]:80", "::1", 80, true),
            ("::1", "::1", 81, true),
            ("10.0.0.1", "10.0.0.10", 81, false),
        ] {
            let parsed: ConnectRule = rule.parse().unwrap();
            assert_eq!(parsed.allows(host, port), allowed, "{rule} {host} {port}");
        }
        for wrong in ["", "*x", "a*", "*.", "*.*", "a:0", "a:70000", "a:9-8", "a:", "[::1]x"] {
            assert!(wrong.parse::<ConnectRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_listens_where_a_rule_has_its_port() {
        let request = |port| Listen { deployment: "d".into(), socket: "s".into(), port };
        let network = |rules: &[&str]| Network {
            listen: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            ..Network::default()
        };
        let denied = Some(Status::Denied.code());
        assert_eq!(Network::default().listen(&request(None)).err(), denied);
        let free = network(&["127.0.0.1"]).listen(&request(None)).unwrap();
        let port = free.local_addr().unwrap().port();
        let taken = network(&["127.0.0.1"]).listen(&request(Some(port))).err();
        assert_eq!(taken, Some(Status::InUse.code()));
        let other = network(&[&format!("127.0.0.1:{port}")]);
        assert_eq!(other.listen(&request(Some(port ^ 1))).err(), denied);
        drop(free);
        let again = other.listen(&request(None)).unwrap();
        assert_eq!(again.local_addr().unwrap().port(), port);
        for wrong in ["", "localhost", "127.0.0.1:0", "127.0.0.1:", ":80", "[::]:9-8"] {
            assert!(wrong.parse::<ListenRule>().is_err(), "{wrong}");
        }
    }
}
