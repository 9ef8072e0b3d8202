//! A connection with TLS, whose plain bytes the program reads and writes.

use super::attested::{Exchange, Refusal, Step};
use super::network::{Failure, Network, Polled, Wait};
use super::tls::Tls;
use super::{Around, PATIENCE};
use rustls::{ClientConnection, Connection, Error, ServerConnection};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// How much is received from the host at a time, in bytes.
const PIECE: usize = 16 << 10;

/// How many decrypted bytes wait for the program before no more is received.
const PLAIN: usize = 256 << 10;

/// How much one call sends, in bytes.
const SENT_AT_ONCE: usize = 64 << 10;

/// How much memory for records is kept when none wait, in bytes.
const SPARE: usize = 32 << 10;

/// How far a connection is.
enum Stage {
    Handshake(Option<Exchange>),
    Exchange(Exchange),
    Open,
}

/// A connection with TLS.
pub(super) struct Stream {
    /// The host's number.
    socket: u64,
    /// The name of the socket in the manifest.
    name: Arc<str>,
    tls: Connection,
    stage: Stage,
    /// Decrypted bytes, which the program has not read yet.
    plain: VecDeque<u8>,
    /// Records that the host has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Whether the other end said that it sends no more.
    ended: bool,
    /// Whether nothing comes from the host any more.
    over: bool,
    failure: Option<Failure>,
    /// Whether the program receives no more.
    deaf: bool,
    /// Whether the other end was told that nothing more follows, and the host too.
    finished: bool,
    shut: bool,
    /// When the handshake must be complete.
    deadline: Duration,
}

impl Stream {
    /// Makes one end of a connection, whose handshake is still to come.
    ///
    /// # Errors
    /// The cause, in one line.
    pub(super) fn new(
        socket: u64,
        name: Arc<str>,
        tls: &Tls,
        network: &Arc<dyn Network>,
    ) -> Result<Self, String> {
        let shown = |error: Error| error.to_string();
        let (mut tls, exchange): (Connection, _) = match tls {
            Tls::Server(config) => {
                (ServerConnection::new(config.clone()).map_err(shown)?.into(), None)
            }
            Tls::Client(config, name) => {
                let client = ClientConnection::new(config.clone(), name.clone());
                (client.map_err(shown)?.into(), None)
            }
            Tls::Attested(attested) => {
                let (tls, exchange) = attested.connection(network)?;
                (tls, Some(exchange))
            }
        };
        // Who sends looks at what waits.
        tls.set_buffer_limit(None);
        Ok(Stream {
            socket,
            name,
            tls,
            stage: Stage::Handshake(exchange),
            plain: VecDeque::new(),
            outgoing: Vec::new(),
            sent: 0,
            ended: false,
            over: false,
            failure: None,
            deaf: false,
            finished: false,
            shut: false,
            deadline: network.now().saturating_add(PATIENCE),
        })
    }

    pub(super) fn socket(&self) -> u64 {
        self.socket
    }

    /// Whether the other end is known, so that bytes of the program may follow.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Whether records wait until the host takes them.
    pub(super) fn is_full(&self) -> bool {
        self.failure.is_none() && self.sent < self.outgoing.len()
    }

    /// When the handshake must be complete, unless it is.
    pub(super) fn deadline(&self) -> Option<Duration> {
        (!self.is_open() && self.failure.is_none()).then_some(self.deadline)
    }

    /// What to wait for at the host: `write` if the program waits to write, or else to read.
    pub(super) fn waits(&self, write: bool, waits: &mut Vec<Wait>) {
        if self.failure.is_some() {
            return;
        }
        let reads = !self.is_open() || (!write && self.plain.len() < PLAIN);
        let mut add = |write| waits.push(Wait { socket: self.socket, write, ready: None });
        if reads && !self.over {
            add(false);
        }
        if self.is_full() {
            add(true);
        }
    }

    /// What it is ready for.
    pub(super) fn ready(&self, write: bool) -> Option<Polled> {
        if write {
            let ready = self.is_open() && (!self.is_full() || self.finished);
            let hangup = self.failure.is_some();
            return (ready || hangup).then_some(Polled { bytes: SENT_AT_ONCE as u64, hangup });
        }
        let end = self.deaf || self.ended || self.failure.is_some();
        let bytes = if self.deaf || !self.is_open() { 0 } else { self.plain.len() as u64 };
        (bytes > 0 || end).then_some(Polled { bytes, hangup: end })
    }

    /// Sends and receives as far as it goes without a wait. What fails is kept.
    pub(super) fn advance(&mut self, around: &Around) {
        if self.failure.is_some() {
            return;
        }
        let network = &*around.network;
        if let Err(failure) = self.try_advance(around) {
            self.failure = Some(failure);
        } else if !self.is_open() && network.now() >= self.deadline {
            self.failure = Some(Failure::TimedOut);
        }
    }

    fn try_advance(&mut self, around: &Around) -> Result<(), Failure> {
        let network = &*around.network;
        self.flush(network)?;
        let mut piece = [0; PIECE];
        while !self.over && self.plain.len() < PLAIN {
            let count = match network.receive(self.socket, &mut piece, false) {
                Err(Failure::WouldBlock) => break,
                Ok(0) | Err(_) if self.ended => {
                    self.over = true;
                    break;
                }
                // Without a word: it may have been cut off.
                Ok(0) => return Err(Failure::Reset),
                Err(failure) => return Err(failure),
                Ok(count) => count,
            };
            self.decrypt(piece.get(..count).ok_or(Failure::Io)?, around)?;
            // What came last may need an answer.
            self.flush(network)?;
        }
        Ok(())
    }

    fn decrypt(&mut self, mut records: &[u8], around: &Around) -> Result<(), Failure> {
        while !records.is_empty() {
            let read = self.tls.read_tls(&mut records).map_err(|_| Failure::Protocol)?;
            let state = match self.tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The alert that says why.
                    let _ = self.flush(&*around.network);
                    return Err(self.refused(&error, around));
                }
            };
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut bytes).map_err(|_| Failure::Protocol)?;
            self.ended |= state.peer_has_closed();
            match &mut self.stage {
                Stage::Exchange(exchange) => exchange.push(&bytes),
                _ => self.plain.extend(bytes),
            }
            self.step(around)?;
            // Nothing is read after the end.
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Says why TLS failed.
    fn refused(&self, error: &Error, around: &Around) -> Failure {
        match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
                around.report(&self.name, &error.to_string());
                Failure::Denied
            }
            Error::AlertReceived(_) if !self.is_open() => Failure::Denied,
            _ => Failure::Protocol,
        }
    }

    /// Goes on to the next stage, if it is time for it.
    fn step(&mut self, around: &Around) -> Result<(), Failure> {
        loop {
            let next = match &mut self.stage {
                Stage::Open => return Ok(()),
                Stage::Handshake(_) if self.tls.is_handshaking() => return self.not_ended(),
                Stage::Handshake(None) => {
                    self.stage = Stage::Open;
                    return Ok(());
                }
                Stage::Handshake(Some(exchange)) => exchange.start(&self.tls),
                Stage::Exchange(exchange) => exchange.step(&self.tls),
            };
            match next {
                Ok(Step::More) => return self.not_ended(),
                Ok(Step::Send(message)) => {
                    self.enter(Stage::Exchange)?;
                    self.put(&message)?;
                }
                Ok(Step::Done(message)) => {
                    self.put(&message)?;
                    let mut rest = Vec::new();
                    self.enter(|exchange| {
                        rest = exchange.into_rest();
                        Stage::Open
                    })?;
                    self.plain.extend(rest);
                    return Ok(());
                }
                Err(Refusal { failure, cause, last }) => {
                    around.report(&self.name, &cause);
                    self.put(&last)?;
                    self.tls.send_close_notify();
                    let _ = self.flush(&*around.network);
                    return Err(failure);
                }
            }
        }
    }

    /// Fails if the other end has ended before the connection is open.
    fn not_ended(&self) -> Result<(), Failure> {
        if self.ended { Err(Failure::Reset) } else { Ok(()) }
    }

    /// Changes the stage of a connection with an exchange. Bytes that came with the end of the
    /// handshake are the exchange's.
    fn enter(&mut self, next: impl FnOnce(Exchange) -> Stage) -> Result<(), Failure> {
        let stage = std::mem::replace(&mut self.stage, Stage::Open);
        let (Stage::Handshake(Some(mut exchange)) | Stage::Exchange(mut exchange)) = stage else {
            return Err(Failure::Protocol);
        };
        let (first, second) = self.plain.as_slices();
        exchange.push(first);
        exchange.push(second);
        self.plain.clear();
        self.stage = next(exchange);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.tls.writer().write_all(bytes).map_err(|_| Failure::Io)
    }

    /// Sends what waits, as far as the host takes it.
    pub(super) fn flush(&mut self, network: &dyn Network) -> Result<(), Failure> {
        loop {
            if self.sent == self.outgoing.len() {
                self.outgoing.clear();
                self.outgoing.shrink_to(SPARE);
                self.sent = 0;
                while self.tls.wants_write() {
                    self.tls.write_tls(&mut self.outgoing).map_err(|_| Failure::Io)?;
                }
                if self.outgoing.is_empty() {
                    if self.finished && !self.shut {
                        self.shut = true;
                        // The other end knows it already.
                        let _ = network.shut_down(self.socket, false, true);
                    }
                    return Ok(());
                }
            }
            let rest = self.outgoing.get(self.sent..).unwrap_or_default();
            match network.send(self.socket, rest) {
                Ok(0) | Err(Failure::WouldBlock) => return Ok(()),
                Ok(count) if count <= rest.len() => self.sent += count,
                Ok(_) => return Err(Failure::Io),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Receives bytes for the program.
    pub(super) fn receive(
        &mut self,
        bytes: &mut [u8],
        peek: bool,
        around: &Around,
    ) -> Result<usize, Failure> {
        if self.deaf {
            return Ok(0);
        }
        if self.plain.is_empty() || !self.is_open() {
            self.advance(around);
        }
        if self.is_open() && !self.plain.is_empty() {
            let count = bytes.len().min(self.plain.len());
            let (first, second) = self.plain.as_slices();
            for (to, from) in bytes.iter_mut().zip(first.iter().chain(second)) {
                *to = *from;
            }
            if !peek {
                self.plain.drain(..count);
            }
            return Ok(count);
        }
        match self.failure {
            Some(failure) => Err(failure),
            None if self.ended => Ok(0),
            None => Err(Failure::WouldBlock),
        }
    }

    /// Sends bytes of the program.
    pub(super) fn send(&mut self, bytes: &[u8], around: &Around) -> Result<usize, Failure> {
        match self.is_open() {
            true if self.failure.is_none() => self.flush_or_fail(around),
            true => {}
            false => self.advance(around),
        }
        match self.failure {
            Some(Failure::Reset) if self.is_open() => return Err(Failure::BrokenPipe),
            Some(failure) => return Err(failure),
            None if self.finished => return Err(Failure::BrokenPipe),
            None if !self.is_open() || self.is_full() => return Err(Failure::WouldBlock),
            None => {}
        }
        let piece = bytes.get(..SENT_AT_ONCE).unwrap_or(bytes);
        self.put(piece)?;
        self.flush_or_fail(around);
        self.failure.map_or(Ok(piece.len()), Err)
    }

    fn flush_or_fail(&mut self, around: &Around) {
        if let Err(failure) = self.flush(&*around.network) {
            self.failure = Some(failure);
        }
    }

    /// Has the program receive no more.
    pub(super) fn close_receiving(&mut self) {
        self.deaf = true;
        self.plain.clear();
    }

    /// Tells the other end that nothing more follows.
    pub(super) fn finish(&mut self, around: &Around) {
        if !self.finished && self.failure.is_none() && self.is_open() {
            self.finished = true;
            self.tls.send_close_notify();
            self.flush_or_fail(around);
        }
    }

    /// Whether nothing is lost if the socket is closed: the other end has got all, or is gone.
    pub(super) fn is_over(&self) -> bool {
        self.failure.is_some() || !self.finished || (self.over && !self.is_full())
    }

    /// Goes on with the end of a connection that the program has closed. What still comes is dropped:
    /// bytes that nobody takes would make the system drop those that were sent.
    pub(super) fn linger(&mut self, around: &Around) {
        self.advance(around);
        self.plain.clear();
    }
}
