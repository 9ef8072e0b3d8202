//! A TLS connection with a client.

use crate::outside::{Lost, Outside};
use crate::pulse::Pulse;
use rustls::ServerConnection;
use std::io::{IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_channel::frame::{Kind, head};
use twine_channel::message::Answer;

/// How much is received in one turn, in bytes, so that one client does not hold up others.
const TURN: usize = 1 << 20;

/// How much memory for records is kept when none wait, in bytes.
const SPARE: usize = 128 << 10;

/// A connection. The event loop receives from it; any thread may send.
///
/// Sending never waits. What the socket does not take stays here, so whoever sends much looks at
/// [`Link::is_full`] first.
pub(crate) struct Link {
    outside: Arc<dyn Outside>,
    socket: u64,
    tls: Mutex<Tls>,
    /// Wakes the event loop.
    pulse: Arc<Pulse>,
}

struct Tls {
    connection: ServerConnection,
    /// Records that the socket has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// How many bytes the socket has taken.
    total: u64,
    lost: bool,
    /// Whether the client was told that nothing more follows.
    finished: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What came in one turn.
#[derive(Debug)]
pub(crate) struct Received {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether no more will come.
    pub(crate) end: bool,
}

/// How a connection is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Whether records wait until the socket takes them.
    pub(crate) full: bool,
    /// Whether it can't be used any more.
    pub(crate) lost: bool,
    /// Whether the client was told that nothing more follows.
    pub(crate) finished: bool,
    /// How many bytes the socket has taken.
    pub(crate) total: u64,
}

impl Link {
    pub(crate) fn new(
        outside: Arc<dyn Outside>,
        socket: u64,
        mut connection: ServerConnection,
        pulse: Arc<Pulse>,
    ) -> Self {
        // With a limit, the end of a frame would be dropped. Who sends looks at `is_full`.
        connection.set_buffer_limit(None);
        let tls = Tls {
            connection,
            outgoing: Vec::new(),
            sent: 0,
            total: 0,
            lost: false,
            finished: false,
        };
        Link { outside, socket, tls: Mutex::new(tls), pulse }
    }

    pub(crate) fn socket(&self) -> u64 {
        self.socket
    }

    fn tls(&self) -> MutexGuard<'_, Tls> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns 32 bytes that only the two ends of this connection know (RFC 8446, section 7.5).
    pub(crate) fn exporter(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], Lost> {
        let exported = self.tls().connection.export_keying_material([0; 32], label, Some(context));
        exported.map_err(|_| Lost)
    }

    /// How the connection is.
    pub(crate) fn standing(&self) -> Standing {
        let tls = self.tls();
        let Tls { lost, finished, total, .. } = *tls;
        Standing { full: tls.is_full(), lost, finished, total }
    }

    /// Whether records wait until the socket takes them.
    pub(crate) fn is_full(&self) -> bool {
        self.tls().is_full()
    }

    /// Receives what has come, by way of `buffer`.
    ///
    /// # Errors
    /// The connection is lost, or the client breaks the rules of TLS.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Received, Lost> {
        let mut received = Received { bytes: Vec::new(), end: false };
        let mut taken = 0;
        while taken < TURN {
            let Some(count) = self.outside.receive(self.socket, buffer)? else { break };
            if count == 0 {
                received.end = true;
                break;
            }
            taken += count;
            self.decrypt(buffer.get(..count).ok_or(Lost)?, &mut received)?;
            if count < buffer.len() {
                break;
            }
        }
        Ok(received)
    }

    fn decrypt(&self, mut records: &[u8], received: &mut Received) -> Result<(), Lost> {
        let mut tls = self.tls();
        while !records.is_empty() {
            let read = tls.connection.read_tls(&mut records).map_err(|_| Lost)?;
            let Ok(state) = tls.connection.process_new_packets() else {
                // The alert that says why.
                let _ = tls.flush(&*self.outside, self.socket);
                return Err(Lost);
            };
            received.end |= state.peer_has_closed();
            let (start, count) = (received.bytes.len(), state.plaintext_bytes_to_read());
            received.bytes.resize(start + count, 0);
            let room = received.bytes.get_mut(start..).unwrap_or_default();
            tls.connection.reader().read_exact(room).map_err(|_| Lost)?;
            // Nothing is read after the end.
            if read == 0 {
                break;
            }
        }
        tls.flush(&*self.outside, self.socket)
    }

    /// Sends a message, as far as the socket takes it; [`Link::flush`] sends the rest.
    pub(crate) fn answer(&self, answer: &Answer) {
        self.put(&[&answer.to_frame()]);
    }

    /// Sends a piece of a stream in the same way, which is in two parts.
    pub(crate) fn piece(&self, kind: Kind, parts: [&[u8]; 2]) {
        let [first, second] = parts;
        self.put(&[&head(kind, first.len() + second.len()), first, second]);
    }

    fn put(&self, parts: &[&[u8]]) {
        let mut tls = self.tls();
        if tls.lost || tls.finished {
            return;
        }
        // As one, so that they share records. Without a limit, all of it is taken.
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let taken = tls.connection.writer().write_vectored(&slices);
        tls.lost |= !taken.is_ok_and(|taken| taken == length);
        let _ = tls.flush(&*self.outside, self.socket);
        if tls.is_full() || tls.lost {
            // The event loop sends the rest, or ends the session.
            self.pulse.wake();
        }
    }

    /// Sends what waits. Returns whether nothing waits any more.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn flush(&self) -> Result<bool, Lost> {
        let mut tls = self.tls();
        tls.flush(&*self.outside, self.socket)?;
        Ok(!tls.is_full())
    }

    /// Tells the client that nothing more follows.
    pub(crate) fn finish(&self) {
        let mut tls = self.tls();
        if !tls.finished {
            tls.finished = true;
            tls.connection.send_close_notify();
            let _ = tls.flush(&*self.outside, self.socket);
            self.pulse.wake();
        }
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        let mut tls = self.tls();
        tls.lost = true;
        tls.outgoing = Vec::new();
        tls.sent = 0;
        drop(tls);
        self.outside.close(self.socket);
    }
}

impl Tls {
    fn is_full(&self) -> bool {
        !self.lost && self.sent < self.outgoing.len()
    }

    fn flush(&mut self, outside: &dyn Outside, socket: u64) -> Result<(), Lost> {
        if self.lost {
            return Err(Lost);
        }
        let flushed = self.try_flush(outside, socket);
        self.lost |= flushed.is_err();
        flushed
    }

    fn try_flush(&mut self, outside: &dyn Outside, socket: u64) -> Result<(), Lost> {
        loop {
            if self.sent == self.outgoing.len() {
                self.outgoing.clear();
                self.outgoing.shrink_to(SPARE);
                self.sent = 0;
                // Writing to a Vec has no error of its own.
                while self.connection.wants_write() {
                    self.connection.write_tls(&mut self.outgoing).map_err(|_| Lost)?;
                }
                if self.outgoing.is_empty() {
                    return Ok(());
                }
            }
            let rest = self.outgoing.get(self.sent..).unwrap_or_default();
            match outside.send(socket, rest)? {
                None | Some(0) => return Ok(()),
                Some(count) if count <= rest.len() => {
                    self.sent += count;
                    self.total += count as u64;
                }
                Some(_) => return Err(Lost),
            }
        }
    }
}
