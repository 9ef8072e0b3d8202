//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder panics, or if it accepts bytes that are
//! not the one encoding of what it returns. Only the fuzz targets need the feature of this module.

use crate::frame::{Decoder, Frame, Kind, MAX_EARLY_MESSAGE, MAX_MESSAGE, MAX_PIECE, head};
use crate::message::{
    Answer, Deploy, End, Entry, OnVolume, Position, Request, Secret, State, Which,
};
use crate::parcel::{self, Opener, Part, Step};
use crate::peer;
use crate::volume::{Form, Repair, Work};
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

/// Opens a parcel that comes in pieces, as either side does. The first byte sets the size of the
/// pieces.
pub fn parcel(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = usize::from(input.u8()) + 1;
    let stream = input.bytes(usize::MAX);
    let mut opener = Opener::default();
    let mut encoded = Vec::new();
    let mut depth = 0_u64;
    let mut place: Option<u64> = None;
    for piece in stream.chunks(size) {
        opener.push(piece);
        loop {
            let part = match opener.take() {
                Ok(None) => break,
                Ok(Some(part)) => part,
                Err(_) => {
                    assert!(stream.starts_with(&encoded), "a parcel has one encoding");
                    return;
                }
            };
            match part {
                Part::Contents(bytes) => {
                    *place.as_mut().expect("a file is open") += bytes.len() as u64;
                    encoded.extend_from_slice(&head(Kind::Contents, bytes.len()));
                    encoded.extend_from_slice(&bytes);
                }
                Part::Step(step) => {
                    match &step {
                        Step::Directory(_) => depth += 1,
                        Step::Leave => depth -= 1,
                        Step::File { .. } => place = Some(0),
                        Step::Hole { length } => *place.as_mut().expect("one is open") += length,
                        Step::Closed | Step::Broken => assert!(place.take().is_some()),
                        Step::End => assert_eq!((depth, place), (0, None)),
                        Step::Link { .. } | Step::Again { .. } => {}
                    }
                    encoded.extend(step.to_frame());
                }
            }
            assert!(place.is_none_or(|place| place <= parcel::MAX_SIZE));
        }
    }
    assert!(stream.starts_with(&encoded), "a parcel has one encoding");
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

/// Each kind of work on a volume.
fn works() -> Vec<Work> {
    let paths = || vec!["a".to_owned(), "/b/c".to_owned()];
    vec![
        Work::List { path: "a".into(), form: Form::Json },
        Work::Tree { path: String::new(), json: false },
        Work::Print { paths: paths() },
        Work::MakeDirectories { paths: paths(), parents: true },
        Work::Remove { paths: paths(), recursive: true, force: false },
        Work::Move { sources: paths(), target: "d".into() },
        Work::Copy { sources: paths(), target: "d/".into(), recursive: true },
        Work::Send { sources: paths(), recursive: true },
        Work::Receive { target: "d".into(), several: false },
        Work::Write { target: "e".into() },
        Work::Info { json: true },
        Work::Check { json: false, repair: Repair::Ask },
        Work::Compact { json: false },
    ]
}

/// A parcel with a step of each kind.
fn steps() -> Vec<Step> {
    let entry = |name: &str| parcel::Entry {
        name: name.into(),
        mode: Some(0o755),
        accessed: 1,
        modified: 1 << 60,
    };
    vec![
        Step::Directory(entry("")),
        Step::Directory(entry("d")),
        Step::File { entry: entry("f"), size: 100, numbered: true },
        Step::Hole { length: 4096 },
        Step::Closed,
        Step::Again { name: "g".into(), number: 0 },
        Step::File { entry: entry("h"), size: 1, numbered: false },
        Step::Broken,
        Step::Link { entry: entry("l"), target: "f".into() },
        Step::Leave,
        Step::Leave,
        Step::End,
    ]
}

/// A message of each kind of the enclave.
fn answers() -> Vec<Answer> {
    let ends = [
        End::Exited { code: 1, results: vec!["2".into()] },
        End::Trapped { cause: "cause".into(), backtrace: vec!["main".into()] },
        End::Refused { cause: "cause".into(), remedy: "remedy".into() },
        End::Stopped,
        End::Interrupted,
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
        Answer::Reads,
    ];
    answers.extend(ends.map(Answer::Ended));
    answers
}

/// The first inputs of the targets.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let (mut requests, answers) = (requests(), answers());
    requests.extend(works().into_iter().map(|work| {
        Request::Volume(OnVolume {
            manifest: [4; 50][..].into(),
            mount: "/data".into(),
            work,
            terminals: [false, true, false],
        })
    }));
    let to_enclave: Vec<u8> = requests.iter().flat_map(Request::to_frame).collect();
    let mut parcel = vec![9];
    for step in steps() {
        parcel.extend(step.to_frame());
        if matches!(step, Step::File { .. }) {
            parcel.extend(encoded(&Frame { kind: Kind::Contents, body: vec![8; 9] }));
        }
    }
    seeds.push(("parcel", parcel));
    seeds.push(("frames", [&[30][..], &to_enclave].concat()));
    let piece = encoded(&Frame { kind: Kind::Output, body: vec![6; 100] });
    seeds.push(("frames", [&[0][..], &piece, &Answer::Done.to_frame()].concat()));
    seeds.extend(requests.iter().map(|request| ("asked", body(&request.to_frame()))));
    seeds.extend(peers().iter().map(|message| ("peer", body(&message.to_frame()))));
    seeds.extend(answers.iter().map(|answer| ("answered", body(&answer.to_frame()))));
    seeds
}
