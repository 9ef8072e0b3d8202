//! Frames: a kind, a length, and the body.
//!
//! A frame is one byte for the kind, four bytes for the length of the body (the highest first), and
//! the body. A body of kind [`Kind::Message`] is a message in CBOR. All other kinds are pieces of
//! byte streams. Frames follow each other on a connection, and in a [parcel](crate::parcel).

use std::collections::VecDeque;
use std::fmt;

/// Size of a frame without its body, in bytes.
pub const HEAD_BYTES: usize = 5;

/// Limit on the size of a piece of a byte stream, in bytes. The largest frame of a piece fills four
/// records of TLS.
pub const MAX_PIECE: usize = (64 << 10) - HEAD_BYTES;

/// Limit on the size of a message, in bytes. A signed manifest and its secrets fit.
pub const MAX_MESSAGE: usize = 2 << 20;

/// Limit on the size of a message from a client that has not proved who it is, in bytes.
pub const MAX_EARLY_MESSAGE: usize = 8 << 10;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message ([`crate::message`]).
    Message,
    /// A piece of the program's standard input.
    Input,
    /// A piece of its standard output.
    Output,
    /// A piece of its standard error.
    Errors,
    /// A piece of the program's bytes.
    Program,
    /// A piece of a file in a [parcel](crate::parcel), which never stands on a connection itself.
    Contents,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Message => 0,
            Kind::Input => 1,
            Kind::Output => 2,
            Kind::Errors => 3,
            Kind::Program => 4,
            Kind::Contents => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        let all =
            [Kind::Message, Kind::Input, Kind::Output, Kind::Errors, Kind::Program, Kind::Contents];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why bytes are not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A kind that is not known.
    Kind(u8),
    /// A body that is longer than its kind may be.
    TooLong {
        /// The length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Kind(code) => write!(f, "a frame of kind {code}, which is not known"),
            Error::TooLong { length, limit } => {
                write!(f, "a frame of {length} bytes, where at most {limit} are allowed")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Returns the head of a frame with a body of `length` bytes, which are at most [`MAX_MESSAGE`].
pub fn head(kind: Kind, length: usize) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(length).expect("bodies have at most 2 MiB");
    let [a, b, c, d] = length.to_be_bytes();
    [kind.code(), a, b, c, d]
}

/// Returns at most `most` of the bytes from the place `from` on, in two parts.
pub fn part(bytes: &VecDeque<u8>, from: usize, most: usize) -> [&[u8]; 2] {
    let (first, second) = bytes.as_slices();
    let until = from.saturating_add(most).min(bytes.len());
    let part = |slice: &'_ [u8], before: usize| {
        let end = until.saturating_sub(before).min(slice.len());
        from.saturating_sub(before).min(end)..end
    };
    let (in_first, in_second) = (part(first, 0), part(second, first.len()));
    [first.get(in_first).unwrap_or_default(), second.get(in_second).unwrap_or_default()]
}

/// Takes frames out of a stream of bytes, which comes in pieces of any size.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// The start of the bytes that are not taken yet.
    at: usize,
    max_message: usize,
}

impl Decoder {
    /// Makes a decoder that refuses messages of more than `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Decoder { bytes: Vec::new(), at: 0, max_message }
    }

    /// Sets the limit for messages.
    pub fn allow(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the bytes that are not taken yet.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.at.min(self.bytes.len()))
    }

    /// How many bytes the next frame has, as far as that is known: those that its head announces, or
    /// those that are here.
    pub fn announced(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.split_first_chunk::<HEAD_BYTES>() {
            Some((&[_, a, b, c, d], _)) => {
                let length = usize::try_from(u32::from_be_bytes([a, b, c, d]));
                length.unwrap_or(usize::MAX).saturating_add(HEAD_BYTES)
            }
            None => rest.len(),
        }
    }

    /// Takes the next frame. `None` if it is not complete yet.
    ///
    /// # Errors
    /// The bytes are not a frame. Then the rest of the stream can't be read either.
    pub fn take(&mut self) -> Result<Option<Frame>, Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((&[code, a, b, c, d], body)) = rest.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let kind = Kind::from_code(code).ok_or(Error::Kind(code))?;
        let limit = if kind == Kind::Message { self.max_message } else { MAX_PIECE };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > limit {
            return Err(Error::TooLong { length, limit });
        }
        let Some(body) = body.get(..length) else { return Ok(None) };
        let frame = Frame { kind, body: body.to_vec() };
        self.at += HEAD_BYTES + length;
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(kind: Kind, body: &[u8]) -> Vec<u8> {
        [&head(kind, body.len())[..], body].concat()
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let frames =
            [(Kind::Message, vec![1; 300]), (Kind::Input, vec![]), (Kind::Program, vec![2])];
        let stream: Vec<u8> = frames.iter().flat_map(|(kind, body)| encoded(*kind, body)).collect();
        for size in [1, 2, 5, 7, 306, stream.len()] {
            let mut decoder = Decoder::new(MAX_MESSAGE);
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                decoder.push(piece);
                while let Some(Frame { kind, body }) = decoder.take().unwrap() {
                    found.push((kind, body));
                }
            }
            assert_eq!(found, frames, "in pieces of {size}");
        }
    }

    #[test]
    fn a_part_of_a_queue_is_what_the_queue_has_there() {
        for turned in 0..8 {
            let mut queue: VecDeque<u8> = VecDeque::with_capacity(8);
            queue.extend(vec![0; turned]);
            queue.drain(..turned);
            queue.extend(1..=7);
            let all: Vec<u8> = queue.iter().copied().collect();
            for from in 0..10 {
                for most in [0, 1, 3, 7, 8, usize::MAX] {
                    let expected: Vec<u8> = all.iter().skip(from).take(most).copied().collect();
                    assert_eq!(part(&queue, from, most).concat(), expected, "{from}, {most}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_or_unknown_is_refused_by_its_head() {
        let mut decoder = Decoder::new(MAX_EARLY_MESSAGE);
        decoder.push(&head(Kind::Message, MAX_EARLY_MESSAGE + 1));
        let wrong = Error::TooLong { length: MAX_EARLY_MESSAGE + 1, limit: MAX_EARLY_MESSAGE };
        assert_eq!(decoder.take(), Err(wrong));
        assert_eq!(decoder.announced(), HEAD_BYTES + MAX_EARLY_MESSAGE + 1);
        decoder.allow(MAX_MESSAGE);
        assert_eq!(decoder.take(), Ok(None));

        let mut decoder = Decoder::new(MAX_MESSAGE);
        decoder.push(&head(Kind::Output, MAX_PIECE + 1));
        assert_eq!(decoder.take(), Err(Error::TooLong { length: MAX_PIECE + 1, limit: MAX_PIECE }));

        let mut decoder = Decoder::new(MAX_MESSAGE);
        decoder.push(&[9, 0, 0, 0, 0]);
        assert_eq!(decoder.take(), Err(Error::Kind(9)));
    }
}
