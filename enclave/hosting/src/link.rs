//! A TLS connection with a client.

use crate::outside::{Lost, Outside};
use rustls::ServerConnection;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_channel::frame::{Kind, head};
use twine_channel::message::Answer;

/// How much is received in one turn, in bytes, so that one client does not hold up others.
const TURN: usize = 1 << 20;

/// A connection. The event loop receives from it; any thread may send.
pub(crate) struct Link {
    outside: Arc<dyn Outside>,
    socket: u64,
    tls: Mutex<Tls>,
}

struct Tls {
    connection: ServerConnection,
    /// Records that the socket has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    lost: bool,
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

impl Link {
    pub(crate) fn new(
        outside: Arc<dyn Outside>,
        socket: u64,
        mut connection: ServerConnection,
    ) -> Self {
        // Whoever sends looks at `is_full` first.
        connection.set_buffer_limit(None);
        let tls = Tls { connection, outgoing: Vec::new(), sent: 0, lost: false };
        Link { outside, socket, tls: Mutex::new(tls) }
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

    /// Whether records wait until the socket takes them.
    pub(crate) fn is_full(&self) -> bool {
        let tls = self.tls();
        !tls.lost && tls.sent < tls.outgoing.len()
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
            let processed = tls.connection.process_new_packets();
            if processed.is_err() {
                // The alert that says why.
                let _ = tls.flush(&*self.outside, self.socket);
                return Err(Lost);
            }
            let mut reader = tls.connection.reader();
            let mut piece = [0; 16 << 10];
            loop {
                match reader.read(&mut piece) {
                    Ok(0) => {
                        received.end = true;
                        break;
                    }
                    Ok(count) => {
                        received.bytes.extend_from_slice(piece.get(..count).ok_or(Lost)?);
                    }
                    Err(_) => break,
                }
            }
            if read == 0 {
                break;
            }
        }
        tls.flush(&*self.outside, self.socket)
    }

    /// Sends a message, as far as the socket takes it; [`Link::flush`] sends the rest.
    pub(crate) fn answer(&self, answer: &Answer) {
        self.put(&answer.to_frame(), &[]);
    }

    /// Sends a piece of a stream in the same way.
    pub(crate) fn piece(&self, kind: Kind, piece: &[u8]) {
        self.put(&head(kind, piece.len()), piece);
    }

    fn put(&self, head: &[u8], body: &[u8]) {
        let mut tls = self.tls();
        if tls.lost {
            return;
        }
        // Writing fails only if a limit is set.
        let _ = tls.connection.writer().write_all(head);
        let _ = tls.connection.writer().write_all(body);
        let _ = tls.flush(&*self.outside, self.socket);
    }

    /// Sends what waits. Returns whether nothing waits any more.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn flush(&self) -> Result<bool, Lost> {
        let mut tls = self.tls();
        tls.flush(&*self.outside, self.socket)?;
        Ok(tls.sent == tls.outgoing.len())
    }

    /// Tells the client that nothing more follows.
    pub(crate) fn finish(&self) {
        let mut tls = self.tls();
        tls.connection.send_close_notify();
        let _ = tls.flush(&*self.outside, self.socket);
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        self.tls().lost = true;
        self.outside.close(self.socket);
    }
}

impl Tls {
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
                Some(count) if count <= rest.len() => self.sent += count,
                Some(_) => return Err(Lost),
                None => return Ok(()),
            }
        }
    }
}
