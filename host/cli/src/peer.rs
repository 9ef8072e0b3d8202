//! The certificate of a TLS server, for `twine verify HOST:PORT`.

use crate::failure::Failure;
use std::time::Duration;
use twine_client::{Error, TimeLimit, open};

/// How long all of it may take: to connect, and to make the handshake.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Splits `HOST:PORT`, where HOST may be a name, an IPv4 address, or an IPv6 address in brackets.
/// `None` if `text` has another form.
pub(crate) fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty() && !host.contains('/')).then(|| (host.to_owned(), port))
}

/// Makes a handshake (TLS 1.3, RFC 8446) with the server, and returns its certificate in DER. The
/// server has proved that it has the certificate's key.
///
/// # Errors
/// The server can't be reached, or makes no handshake within 20 seconds.
pub(crate) fn certificate(host: &str, port: u16) -> Result<Vec<u8>, Failure> {
    let opened = open(host, port, &[], TimeLimit::new(TIME_LIMIT));
    opened.map(|opened| opened.certificate).map_err(|error| {
        let remedy = match error {
            Error::Unreachable { .. } => "check the address, and that the server runs",
            _ => "name a server that speaks TLS 1.3",
        };
        Failure::new(error, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let parsed = |text| address(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(parsed("example.org:443").as_deref(), Some("example.org 443"));
        assert_eq!(parsed("127.0.0.1:1").as_deref(), Some("127.0.0.1 1"));
        assert_eq!(parsed("[::1]:8443").as_deref(), Some("::1 8443"));
        for wrong in ["", ":", ":443", "a", "a:", "a:b", "a:70000", "::1:443", "[::1:443", "a/b:1"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
