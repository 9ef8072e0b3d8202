//! Two programs that attest each other, and a man in the middle.

use super::{Ended, built, ended, twine};
use std::fmt;
use std::io::{Read, Write, sink};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// The frames of each side, in their order.
pub const NONCE: usize = 0;
pub const MESSAGE: usize = 1;
pub const EVIDENCE: usize = 2;

/// A side of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

use Side::{Client, Server};

/// A frame on its way.
#[derive(Clone)]
pub struct Frame {
    pub from: Side,
    /// Its place among the frames of its side.
    pub place: usize,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {} bytes", self.from, self.place, self.bytes.len())
    }
}

impl Frame {
    /// Whether it is this one.
    pub fn is(&self, from: Side, place: usize) -> bool {
        (self.from, self.place) == (from, place)
    }

    fn encoded(&self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap();
        [&length.to_be_bytes(), &self.bytes[..]].concat()
    }
}

/// What the man in the middle makes of a frame: where frames go, and which.
pub type Middle<'a> = dyn FnMut(&Frame) -> Vec<(Side, Frame)> + 'a;

/// Leads each frame to the other side.
pub fn honest(frame: &Frame) -> Vec<(Side, Frame)> {
    let to = if frame.from == Client { Server } else { Client };
    vec![(to, frame.clone())]
}

/// How a conversation ended.
#[derive(Debug)]
pub struct Met {
    pub client: Ended,
    pub server: Ended,
    /// All frames that the sides sent.
    pub frames: Vec<Frame>,
}

impl Met {
    /// The bytes of a frame.
    pub fn frame(&self, from: Side, place: usize) -> &[u8] {
        &self.frames.iter().find(|frame| frame.is(from, place)).unwrap().bytes
    }

    /// Checks that a side has heard this from its peer.
    #[track_caller]
    pub fn heard(&self, side: Side, message: &str) {
        let ended = self.side(side);
        let said = format!("the peer says: {message}\n");
        assert_eq!((ended.code, ended.err.ends_with(&said)), (Some(0), true), "{self:?}");
    }

    /// Checks that a side has refused its peer, for this reason or also for others.
    #[track_caller]
    pub fn refused(&self, side: Side, reason: &str) {
        let ended = self.side(side);
        assert_eq!(ended.code, Some(3), "{self:?}");
        assert!(ended.err.contains("the evidence is refused: "), "{self:?}");
        assert!(ended.err.contains(reason), "{reason} is not in {ended:?}");
    }

    pub fn side(&self, side: Side) -> &Ended {
        if side == Client { &self.client } else { &self.server }
    }
}

/// Reads the frames of a side until it closes.
fn read(from: Side, mut output: impl Read + Send + 'static, frames: Sender<Option<Frame>>) {
    thread::spawn(move || {
        for place in 0.. {
            let mut length = [0; 4];
            if output.read_exact(&mut length).is_err() {
                break;
            }
            let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
            if output.read_exact(&mut bytes).is_err() {
                break;
            }
            let _ = frames.send(Some(Frame { from, place, bytes }));
        }
        let _ = frames.send(None);
    });
}

/// The two sides as the man in the middle sees them.
struct Ends {
    client: Box<dyn Write>,
    server: Box<dyn Write>,
}

/// How long a side is given to send what it has, after the other one has ended.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Carries frames until both sides have ended. If one has, and the other waits for more, its input ends.
fn carry(mut ends: Ends, frames: &Receiver<Option<Frame>>, middle: &mut Middle<'_>) -> Vec<Frame> {
    let mut all = Vec::new();
    let mut open = 2;
    while open > 0 {
        let next = match open {
            2 => frames.recv().map_err(|_| RecvTimeoutError::Disconnected),
            _ => frames.recv_timeout(LAST_WORDS),
        };
        match next {
            Ok(Some(frame)) => {
                for (to, frame) in middle(&frame) {
                    let end = if to == Client { &mut ends.client } else { &mut ends.server };
                    // A side may be gone.
                    let _ = end.write_all(&frame.encoded()).and_then(|()| end.flush());
                }
                all.push(frame);
            }
            Ok(None) => open -= 1,
            Err(RecvTimeoutError::Timeout) => {
                ends = Ends { client: Box::new(sink()), server: Box::new(sink()) };
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    all
}

/// Lets two commands talk through their standard streams, and a man in the middle.
pub fn meet(mut client: Command, mut server: Command, middle: &mut Middle<'_>) -> Met {
    let spawn = |command: &mut Command| -> Child {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (mut client, mut server) = (spawn(&mut client), spawn(&mut server));
    let (sender, frames) = channel();
    read(Client, client.stdout.take().unwrap(), sender.clone());
    read(Server, server.stdout.take().unwrap(), sender);
    let input = |child: &mut Child| -> Box<ChildStdin> { Box::new(child.stdin.take().unwrap()) };
    let ends = Ends { client: input(&mut client), server: input(&mut server) };
    let frames = carry(ends, &frames, middle);
    let end = |child: Child| ended(child.wait_with_output().unwrap());
    Met { client: end(client), server: end(server), frames }
}

/// Returns the command that runs a peer here, on software SGX.
pub fn peer(program: &Path, side: &str, message: &str) -> Command {
    let mut command = twine();
    command.args(["run", "--quiet", "--env", "PEER_ROOT=simulation"]);
    command.arg(program).args([side, message]);
    command
}

/// Returns the command that runs a peer here, under a policy.
pub fn peer_with(policy: &str, program: &Path, side: &str, message: &str) -> Command {
    let mut command = twine();
    command.args(["run", "--quiet", "--env", &format!("PEER_POLICY={policy}")]);
    command.arg(program).args([side, message]);
    command
}

/// The example in Rust.
pub fn rust() -> std::path::PathBuf {
    built("guests/peer-rust.wasm")
}

/// The example in C.
pub fn c() -> std::path::PathBuf {
    built("guests/peer.wasm")
}

/// A program that does the same as another one, and is another one: a custom section is added.
pub fn other(program: &[u8]) -> Vec<u8> {
    [program, &[0, 5, 4, b'm', b'o', b'r', b'e']].concat()
}
