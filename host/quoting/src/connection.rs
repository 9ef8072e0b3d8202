//! One request to AESM: a connection, the request and its answer, each after its length.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use prost::Message;

use crate::error::Error;
use crate::message::{Answer, AnswerMessage, Request, RequestMessage};
use crate::refusal::Refusal;

/// The time without a byte after which the daemon is given up. It gives up itself some seconds before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(35);

/// The longest answer, in bytes. A quote has 4 to 5 KB.
const MAX_ANSWER: usize = 1 << 20;

/// Makes a request, and returns an answer without an error code.
///
/// # Errors
/// What [`crate::Quoting::open`] says, for hardware.
pub(crate) fn ask(socket: &Path, request: Request) -> Result<Answer, Error> {
    let name = request.name();
    let wrong = |problem| Error::Answer { request: name, problem };
    let bytes = RequestMessage { request: Some(request) }.encode_to_vec();
    let mut stream = UnixStream::connect(socket).map_err(|error| not_reached(socket, error))?;
    let answer = exchange(&mut stream, &bytes).map_err(|error| broken(socket, error))?;
    let answer = answer.ok_or(wrong("is too long"))?;
    let message = AnswerMessage::decode(&answer[..]).map_err(|_| wrong("can't be decoded"))?;
    let answer = message.answer.ok_or(wrong("is to another request"))?;
    match Refusal::from_code(answer.error()) {
        Some(refusal) => Err(Error::Refused { request: name, refusal }),
        None => Ok(answer),
    }
}

/// Sends a request and receives the answer. `None` if it is too long. Lengths are in the machine's byte
/// order.
fn exchange(stream: &mut UnixStream, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = u32::try_from(request.len()).expect("a request has some kilobytes");
    stream.write_all(&[&length.to_ne_bytes(), request].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length) as usize;
    if length > MAX_ANSWER {
        return Ok(None);
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(Some(answer))
}

fn not_reached(socket: &Path, source: io::Error) -> Error {
    let socket = socket.to_owned();
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NoDaemon { socket },
        ErrorKind::PermissionDenied => Error::NotPermitted { socket },
        _ => Error::Connection { socket, source },
    }
}

fn broken(socket: &Path, source: io::Error) -> Error {
    let socket = socket.to_owned();
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Silent { socket },
        _ => Error::Connection { socket, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_errors_become_causes() {
        let socket = Path::new("/a/socket");
        let text = |error: Error| error.to_string();
        let refused = not_reached(socket, ErrorKind::PermissionDenied.into());
        assert_eq!(text(refused), "this user may not connect to the AESM daemon at /a/socket");
        let silent = broken(socket, ErrorKind::WouldBlock.into());
        assert_eq!(text(silent), "the AESM daemon at /a/socket gave no answer in 35 seconds");
        let closed = broken(socket, ErrorKind::BrokenPipe.into());
        let expected = "the connection to the AESM daemon at /a/socket failed: broken pipe";
        assert_eq!(text(closed), expected);
    }
}
