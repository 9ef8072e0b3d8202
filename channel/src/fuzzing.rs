//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder panics, or if it accepts bytes that are
//! not the one encoding of what it returns. Only the fuzz targets need the feature of this module.

use crate::frame::{Decoder, Frame, Kind, MAX_EARLY_MESSAGE, MAX_MESSAGE, MAX_PIECE, head};
use crate::message::{Answer, Deploy, End, Entry, Position, Request, Secret, State, Which};
use crate::peer;
use crate::{NONCE_BYTES, VERSION};
use twine_evidence::bytes::Digest;
use twine_fuzz_input::Input;

/// Takes frames out of a stream that comes in pieces, as either side does. The first byte sets the
/// size of the pieces.
pub fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = usize::from(input.u8()) + 1;
    let stream = input.bytes(usize::MAX);
    let (found, ended) = decoded(stream, size);
    let encoded: Vec<u8> = found.iter().flat_map(encoded).collect();
    assert!(stream.starts_with(&encoded), "frames have one encoding");
    assert_eq!((found, ended), decoded(stream, stream.len().max(1)), "pieces change nothing");
}

/// Returns the frames of a stream, and whether it ends with what is none.
fn decoded(stream: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let mut decoder = Decoder::new(MAX_EARLY_MESSAGE);
    let mut found = Vec::new();
    for piece in stream.chunks(size) {
        decoder.push(piece);
        loop {
            match decoder.take() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let message = frame.kind == Kind::Message;
                    let limit = if message { MAX_EARLY_MESSAGE } else { MAX_PIECE };
                    assert!(frame.body.len() <= limit);
                    found.push(frame);
                }
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

fn encoded(frame: &Frame) -> Vec<u8> {
    [&head(frame.kind, frame.body.len())[..], &frame.body].concat()
}

/// Returns the body of the one frame that these bytes are.
fn body(frame: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    decoder.push(frame);
    let frame = decoder.take().expect("a frame").expect("a whole one");
    assert_eq!(decoder.take(), Ok(None), "one frame");
    frame.body
}

/// Decodes a message of a client, as the enclave does.
pub fn asked(bytes: &[u8]) {
    let Ok(request) = Request::decode(bytes) else { return };
    assert_eq!(body(&request.to_frame()), bytes, "a message has one encoding");
}

/// Decodes a message of the enclave, as a client does.
pub fn answered(bytes: &[u8]) {
    let Ok(answer) = Answer::decode(bytes) else { return };
    assert_eq!(body(&answer.to_frame()), bytes, "a message has one encoding");
}

/// Decodes a message of another deployment, as the enclave does.
pub fn peer(bytes: &[u8]) {
    let Ok(message) = peer::Message::decode(bytes) else { return };
    assert_eq!(body(&message.to_frame()), bytes, "a message has one encoding");
}

/// A message of each kind of another deployment.
fn peers() -> [peer::Message; 4] {
    [
        peer::Message::Hello { nonce: [7; NONCE_BYTES][..].into() },
        peer::Message::Evidence { evidence: [8; 60][..].into() },
        peer::Message::Welcome,
        peer::Message::Refused,
    ]
}

/// A message of each kind of a client.
fn requests() -> Vec<Request> {
    let which = || Which { owner: Some(Digest([1; 32])), name: "name".into() };
    let own = || Which { owner: None, name: "name".into() };
    vec![
        Request::Hello { version: VERSION, nonce: [7; NONCE_BYTES][..].into() },
        Request::Prove { key: [2; 44][..].into(), signature: [3; 64][..].into() },
        Request::Deploy(Deploy {
            manifest: [4; 50][..].into(),
            secrets: vec![Secret { name: "A".into(), value: "B".into() }],
            detach: true,
            replace: false,
            terminals: [true, false, true],
        }),
        Request::Upload { length: 1 << 20 },
        Request::List,
        Request::Logs { which: own(), follow: true },
        Request::Attach { which: which(), from: Some(Position { output: 1, errors: 1 << 40 }) },
        Request::Stop { which: which(), kill: true },
        Request::Remove { which: own(), volumes: false },
        Request::InputEnd,
        Request::Interrupt,
        Request::Received(Position { output: 300, errors: 0 }),
        Request::Thanks,
    ]
}

/// A message of each kind of the enclave.
fn answers() -> Vec<Answer> {
    let ends = [
        End::Exited { code: 1, results: vec!["2".into()] },
        End::Trapped { cause: "cause".into(), backtrace: vec!["main".into()] },
        End::Refused { cause: "cause".into(), remedy: "remedy".into() },
        End::Stopped,
    ];
    let entry = |end: &End| Entry {
        owner: Digest([1; 32]),
        name: "name".into(),
        version: 3,
        program: Digest([2; 32]),
        state: State::Ended,
        end: Some(end.clone()),
        seconds: 60,
        attached: true,
    };
    let mut answers = vec![
        Answer::Evidence { evidence: [5; 60][..].into() },
        Answer::Welcome,
        Answer::refused("cause", "remedy"),
        Answer::Wanted,
        Answer::Started { from: Position { output: 5, errors: 6 }, input: 7 },
        Answer::Credit { bytes: 1 << 18 },
        Answer::Listing(ends.iter().map(entry).collect()),
        Answer::Done,
    ];
    answers.extend(ends.map(Answer::Ended));
    answers
}

/// The first inputs of the targets.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let (requests, answers) = (requests(), answers());
    let to_enclave: Vec<u8> = requests.iter().flat_map(Request::to_frame).collect();
    seeds.push(("frames", [&[30][..], &to_enclave].concat()));
    let piece = encoded(&Frame { kind: Kind::Output, body: vec![6; 100] });
    seeds.push(("frames", [&[0][..], &piece, &Answer::Done.to_frame()].concat()));
    seeds.extend(requests.iter().map(|request| ("asked", body(&request.to_frame()))));
    seeds.extend(peers().iter().map(|message| ("peer", body(&message.to_frame()))));
    seeds.extend(answers.iter().map(|answer| ("answered", body(&answer.to_frame()))));
    seeds
}
