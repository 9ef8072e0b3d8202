//! A client that is attached to the streams of a deployment.

use crate::connection::Proven;
use crate::error::Error;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use twine_channel::WINDOW;
use twine_channel::frame::{Frame, Kind, MAX_PIECE, head, part};
use twine_channel::message::{Answer, End, Position, Request};

/// Something that happened while a client is attached.
#[derive(Debug)]
pub enum Event {
    /// Records came from the socket of this connection; none at its end.
    Net(u64, io::Result<Vec<u8>>),
    /// Input of this process came; none at its end.
    Input(Vec<u8>),
    /// The user interrupts the program.
    Interrupt,
}

/// How many events may wait.
const EVENTS: usize = 16;

/// The streams of this process, for a program elsewhere. They outlive a connection.
pub struct Streams {
    events: Receiver<Event>,
    sender: SyncSender<Event>,
    /// Asks the thread that reads the input for more.
    more: Option<Sender<()>>,
    /// Whether it was asked, and has not answered.
    asked: bool,
    /// Whether input is read only when the program waits for it, and then whether it does.
    demand: Option<bool>,
    input: Input,
    received: Position,
    /// The number of the connection.
    connection: u64,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("received", &self.received).finish_non_exhaustive()
    }
}

/// Input that the program's side may not have got.
#[derive(Debug, Default)]
struct Input {
    bytes: VecDeque<u8>,
    /// The place of the first of them.
    start: u64,
    /// The place of the first byte that was not sent on this connection.
    sent: u64,
    /// The place up to which bytes may be sent.
    allowed: u64,
    ended: bool,
    /// Whether the end was sent on this connection.
    told: bool,
}

impl Input {
    /// Begins a connection on whose other side the input up to `received` has come.
    fn begin(&mut self, received: u64) -> Result<(), Error> {
        let end = self.start + self.bytes.len() as u64;
        if !(self.start..=end).contains(&received) {
            return Err(Error::StartedAgain);
        }
        self.forget(received);
        self.sent = received;
        self.allowed = received;
        self.told = false;
        Ok(())
    }

    /// Forgets the bytes before a place.
    fn forget(&mut self, place: u64) {
        let count = usize::try_from(place.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.start += count as u64;
    }

    /// Returns the next piece that may be sent, as a frame.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let from = usize::try_from(self.sent - self.start).unwrap_or(usize::MAX);
        let most = usize::try_from(self.allowed - self.sent).unwrap_or(usize::MAX).min(MAX_PIECE);
        let [first, second] = part(&self.bytes, from, most);
        let length = first.len() + second.len();
        self.sent += length as u64;
        (length > 0).then(|| [&head(Kind::Input, length)[..], first, second].concat())
    }

    /// Whether everything was sent, and nothing follows.
    fn is_over(&self) -> bool {
        self.ended && self.sent == self.start + self.bytes.len() as u64
    }
}

impl Streams {
    /// Makes the streams. `input` is read on a thread of its own, and only as fast as the program
    /// reads; `None` is no input.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(input: Option<Box<dyn Read + Send>>) -> io::Result<Self> {
        let (sender, events) = sync_channel(EVENTS);
        let (more, wanted) = channel();
        let ended = input.is_none();
        if let Some(input) = input {
            let sender = sender.clone();
            thread::Builder::new().spawn(move || read_input(input, &wanted, &sender))?;
        }
        Ok(Streams {
            events,
            sender,
            more: (!ended).then_some(more),
            asked: false,
            demand: None,
            input: Input { ended, ..Input::default() },
            received: Position::default(),
            connection: 0,
        })
    }

    /// Makes the streams of a terminal on which a user edits lines: `input` is read only while the
    /// program waits for it, after all output that came before.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn on_demand(input: Box<dyn Read + Send>) -> io::Result<Self> {
        Ok(Streams { demand: Some(false), ..Streams::new(Some(input))? })
    }

    /// Where events from other threads go, such as [`Event::Interrupt`].
    pub fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
    }

    /// How much of the program's output has come.
    pub fn received(&self) -> Position {
        self.received
    }

    /// Lets the thread read more input, if there is room for it.
    fn ask_for_input(&mut self) {
        let wanted = self.demand.unwrap_or(self.input.bytes.len() < 2 * WINDOW);
        if wanted && !self.asked && !self.input.ended {
            self.asked = self.more.as_ref().is_some_and(|more| more.send(()).is_ok());
            self.demand = self.demand.map(|_| false);
        }
    }

    /// The program waits for input.
    fn is_read(&mut self) {
        // What is on its way to the program is not wanted a second time.
        let idle = self.input.sent == self.input.start + self.input.bytes.len() as u64;
        self.demand = self.demand.map(|_| idle);
    }
}

/// Reads a piece of input each time that it is wanted.
fn read_input(mut input: Box<dyn Read + Send>, wanted: &Receiver<()>, sender: &SyncSender<Event>) {
    let mut piece = vec![0; MAX_PIECE];
    while wanted.recv().is_ok() {
        let count = loop {
            match input.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // An input that can't be read has ended, as for a program that reads a pipe.
                read => break read.unwrap_or(0),
            }
        };
        let sent = sender.send(Event::Input(piece[..count].to_vec()));
        if count == 0 || sent.is_err() {
            return;
        }
    }
}

/// Reads the socket of a connection until it ends.
fn read_socket(mut stream: TcpStream, connection: u64, sender: &SyncSender<Event>) {
    let mut records = vec![0; 128 << 10];
    loop {
        let read = match stream.read(&mut records) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map(|count| records[..count].to_vec()),
        };
        let over = read.as_ref().map_or(true, Vec::is_empty);
        if sender.send(Event::Net(connection, read)).is_err() || over {
            return;
        }
    }
}

/// A client that is attached.
#[derive(Debug)]
pub struct Attached<'a> {
    proven: Proven,
    streams: &'a mut Streams,
    missed: Position,
}

impl<'a> Attached<'a> {
    /// Takes over a connection whose last answer was [`Answer::Started`].
    ///
    /// # Errors
    /// The answer was another one, the streams have begun anew, or no thread can be started.
    pub fn new(
        proven: Proven,
        answer: &Answer,
        streams: &'a mut Streams,
    ) -> Result<Attached<'a>, Error> {
        let Answer::Started { from, input } = answer else {
            return Err(Error::Unexpected("an answer to another request".into()));
        };
        let Position { output, errors } = streams.received;
        let missed = (from.output.checked_sub(output), from.errors.checked_sub(errors));
        let (Some(output), Some(errors)) = missed else {
            return Err(Error::StartedAgain);
        };
        let missed = Position { output, errors };
        streams.input.begin(*input)?;
        streams.received = *from;
        streams.connection += 1;
        let stream = &proven.wire.stream;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        let (copy, connection, sender) =
            (stream.try_clone()?, streams.connection, streams.sender.clone());
        thread::Builder::new().spawn(move || read_socket(copy, connection, &sender))?;
        Ok(Attached { proven, streams, missed })
    }

    /// How much output was dropped while nobody was attached, or before.
    pub fn missed(&self) -> Position {
        self.missed
    }

    /// Passes streams on, until the program ends. `write` gets the program's output.
    ///
    /// # Errors
    /// The connection is lost: another one can go on. Or `write` failed.
    pub fn run(
        mut self,
        mut write: impl FnMut(Kind, &[u8]) -> io::Result<()>,
    ) -> Result<End, Error> {
        let ended = self.pass(&mut write);
        let _ = self.proven.wire.stream.shutdown(Shutdown::Both);
        ended
    }

    fn pass(&mut self, write: &mut dyn FnMut(Kind, &[u8]) -> io::Result<()>) -> Result<End, Error> {
        loop {
            // What came with the answer is here already.
            if let Some(ended) = self.take_frames(write)? {
                return Ok(ended);
            }
            self.send_input()?;
            let Ok(event) = self.streams.events.recv() else {
                return Err(Error::Client("no thread reads any more".into()));
            };
            match event {
                Event::Net(connection, _) if connection != self.streams.connection => {}
                Event::Net(_, records) => {
                    let records = records?;
                    if records.is_empty() {
                        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
                    }
                    self.proven.wire.take(&records)?;
                }
                Event::Input(bytes) => {
                    self.streams.asked = false;
                    self.streams.input.ended |= bytes.is_empty();
                    self.streams.input.bytes.extend(bytes);
                }
                Event::Interrupt => self.proven.wire.ask(&Request::Interrupt)?,
            }
        }
    }

    fn take_frames(
        &mut self,
        write: &mut dyn FnMut(Kind, &[u8]) -> io::Result<()>,
    ) -> Result<Option<End>, Error> {
        let before = self.streams.received;
        while let Some(Frame { kind, body }) = self.proven.wire.next()? {
            let received = &mut self.streams.received;
            match kind {
                Kind::Output | Kind::Errors => {
                    write(kind, &body).map_err(Error::Stream)?;
                    let place = match kind {
                        Kind::Output => &mut received.output,
                        _ => &mut received.errors,
                    };
                    *place += body.len() as u64;
                }
                Kind::Message => {
                    let answer = Answer::decode(&body);
                    match answer.map_err(|error| Error::Unexpected(error.to_string()))? {
                        Answer::Credit { bytes } => {
                            let input = &mut self.streams.input;
                            input.allowed = input.allowed.saturating_add(bytes);
                            let received = input.allowed.saturating_sub(WINDOW as u64);
                            input.forget(received.min(input.sent));
                        }
                        Answer::Reads => self.streams.is_read(),
                        Answer::Ended(end) => {
                            // The enclave keeps the end until then.
                            self.proven.wire.ask(&Request::Thanks)?;
                            return Ok(Some(end));
                        }
                        Answer::Refused { cause, remedy } => {
                            return Err(Error::Refused { cause, remedy });
                        }
                        _ => {
                            return Err(Error::Unexpected("an answer to another request".into()));
                        }
                    }
                }
                Kind::Input | Kind::Program | Kind::Contents => {
                    return Err(Error::Unexpected(format!("a frame of kind {kind:?}")));
                }
            }
        }
        if self.streams.received != before {
            self.proven.wire.ask(&Request::Received(self.streams.received))?;
        }
        Ok(None)
    }

    fn send_input(&mut self) -> Result<(), Error> {
        while let Some(frame) = self.streams.input.next_frame() {
            self.proven.wire.send(&frame)?;
        }
        if self.streams.input.is_over() && !self.streams.input.told {
            self.proven.wire.ask(&Request::InputEnd)?;
            self.streams.input.told = true;
        }
        self.streams.ask_for_input();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the bodies of all frames that may be sent.
    fn sent(input: &mut Input) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(frame) = input.next_frame() {
            let (start, body) = frame.split_at(twine_channel::frame::HEAD_BYTES);
            assert_eq!(start, head(Kind::Input, body.len()));
            all.extend_from_slice(body);
        }
        all
    }

    #[test]
    fn no_more_input_is_sent_than_was_allowed_and_none_is_lost_with_a_connection() {
        let all: Vec<u8> = (0..200_000_u32).map(|place| (place % 253) as u8).collect();
        let mut input = Input::default();
        input.begin(0).unwrap();
        input.bytes.extend(&all);
        assert!(sent(&mut input).is_empty(), "nothing was allowed");
        input.allowed += 100_000;
        assert!(sent(&mut input) == all[..100_000]);
        // Another connection, on whose other side less has come.
        input.begin(70_001).unwrap();
        assert!(sent(&mut input).is_empty());
        input.allowed += 10;
        assert!(sent(&mut input) == all[70_001..70_011]);
        input.allowed = u64::MAX;
        assert!(!input.is_over());
        assert!(sent(&mut input) == all[70_011..]);
        assert!(!input.is_over(), "more may come");
        input.ended = true;
        assert!(input.is_over());
        input.begin(200_000).unwrap();
        assert!(input.is_over() && input.bytes.is_empty());
    }

    #[test]
    fn a_place_in_the_input_that_was_never_sent_or_is_gone_is_refused() {
        let mut input = Input::default();
        input.bytes.extend([1, 2, 3]);
        assert!(matches!(input.begin(4), Err(Error::StartedAgain)));
        input.begin(2).unwrap();
        assert!(input.begin(1).is_err());
        assert!(input.begin(u64::MAX).is_err());
        input.forget(u64::MAX);
        assert_eq!((input.start, input.bytes.len()), (3, 0));
    }
}
