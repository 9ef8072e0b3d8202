//! Parcels: trees of files on their way, as a stream of bytes.
//!
//! A parcel is a stream of frames: [`Step`]s in frames of kind [`Kind::Message`], and the contents of
//! files in frames of kind [`Kind::Contents`]. It names no place: whoever receives it decides where
//! its top goes. [`Step::End`] is its last step, so that a parcel that was cut off is known.
//!
//! ```text
//! Directory "photos"
//!   File "a.jpg"   Contents ... Hole Contents ... Closed
//!   Link "newest"
//! Leave
//! End
//! ```

use crate::frame::{self, Decoder, Frame, Kind, MAX_EARLY_MESSAGE};
use crate::message::Framed;
use minicbor::{Decode, Encode};
use std::fmt;
use twine_evidence::cbor;

/// Limit on the size of a name, in bytes.
pub const MAX_NAME: usize = 255;

/// Limit on the size of a link's target, in bytes.
pub const MAX_TARGET: usize = 4095;

/// Limit on the files with several names that a parcel knows as such. Each name of a further one is a
/// file of its own.
pub const MAX_NUMBERED: u64 = 1 << 16;

/// Limit on the size of a file, in bytes: that of the file systems on either side.
pub const MAX_SIZE: u64 = 1 << 60;

/// A step of a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// A directory. What follows is in it, until [`Step::Leave`].
    #[n(0)]
    Directory(#[n(0)] Entry),
    /// A file. Its contents follow, until [`Step::Closed`] or [`Step::Broken`].
    #[n(1)]
    File {
        /// Its name and attributes.
        #[n(0)]
        entry: Entry,
        /// Its size in bytes, which the contents may miss if somebody changes it meanwhile.
        #[n(1)]
        size: u64,
        /// Whether it has other names, which may follow. The files of which this is said are numbered
        /// from 0 on.
        #[n(2)]
        numbered: bool,
    },
    /// The next bytes of the file are zero.
    #[n(2)]
    Hole {
        /// Their number, which is not 0.
        #[n(0)]
        length: u64,
    },
    /// All of the file has come.
    #[n(3)]
    Closed,
    /// The rest of the file can't be read.
    #[n(4)]
    Broken,
    /// A symbolic link.
    #[n(5)]
    Link {
        /// Its name and attributes.
        #[n(0)]
        entry: Entry,
        /// Where it leads.
        #[n(1)]
        target: String,
    },
    /// Another name of a file that has come.
    #[n(6)]
    Again {
        /// The name.
        #[n(0)]
        name: String,
        /// The file's number.
        #[n(1)]
        number: u64,
    },
    /// The end of a directory.
    #[n(7)]
    Leave,
    /// The end of the parcel.
    #[n(8)]
    End,
}

/// A name with attributes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The name. Empty for a directory at the top whose contents go to the target itself.
    #[n(0)]
    pub name: String,
    /// The permission bits, if it has any.
    #[n(1)]
    pub mode: Option<u32>,
    /// When it was last read, in nanoseconds since 1970.
    #[n(2)]
    pub accessed: u64,
    /// When it was last changed, in nanoseconds since 1970.
    #[n(3)]
    pub modified: u64,
}

/// A part of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A step.
    Step(Step),
    /// Contents of the file that is open, which are not empty.
    Contents(Vec<u8>),
}

/// Why bytes are not a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// They are not frames.
    Frame(frame::Error),
    /// A frame is not a step.
    Step(cbor::Error),
    /// A step or contents where they can't be.
    Order,
    /// A name or the target of a link that can't be one.
    Name,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Frame(error) => error.fmt(f),
            Error::Step(error) => error.fmt(f),
            Error::Order => f.write_str("files that are not in order"),
            Error::Name => f.write_str("a name that can't be one"),
        }
    }
}

impl std::error::Error for Error {}

impl Framed for Step {}

impl Step {
    /// The step as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        self.frame()
    }
}

/// Whether this can be a name in a directory.
pub fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME && !name.contains(['/', '\0'])
}

/// Takes a parcel out of a stream of bytes, which comes in pieces of any size, and checks that its
/// steps are in order.
#[derive(Debug)]
pub struct Opener {
    frames: Decoder,
    /// How many directories are open.
    depth: u64,
    /// How much of the open file has come.
    file: Option<u64>,
    /// How many files were numbered.
    numbered: u64,
    ended: bool,
}

impl Default for Opener {
    fn default() -> Self {
        let frames = Decoder::new(MAX_EARLY_MESSAGE);
        Opener { frames, depth: 0, file: None, numbered: 0, ended: false }
    }
}

impl Opener {
    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// Whether the last step was taken.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes the next part. `None` if it is not complete yet.
    ///
    /// # Errors
    /// The bytes are not a parcel. Then the rest of the stream can't be read either.
    pub fn take(&mut self) -> Result<Option<Part>, Error> {
        let Some(Frame { kind, body }) = self.frames.take().map_err(Error::Frame)? else {
            return Ok(None);
        };
        match kind {
            _ if self.ended => Err(Error::Order),
            Kind::Message => {
                let step = cbor::decode(&body, MAX_EARLY_MESSAGE).map_err(Error::Step)?;
                self.follow(&step)?;
                Ok(Some(Part::Step(step)))
            }
            Kind::Contents if !body.is_empty() => {
                self.grow(body.len() as u64)?;
                Ok(Some(Part::Contents(body)))
            }
            _ => Err(Error::Order),
        }
    }

    /// Adds bytes to the open file.
    fn grow(&mut self, length: u64) -> Result<(), Error> {
        let place = self.file.as_mut().ok_or(Error::Order)?;
        let end = place.checked_add(length).filter(|end| *end <= MAX_SIZE);
        *place = end.ok_or(Error::Order)?;
        Ok(())
    }

    /// Checks that a step can come now.
    fn follow(&mut self, step: &Step) -> Result<(), Error> {
        let inside = matches!(step, Step::Hole { .. } | Step::Closed | Step::Broken);
        if self.file.is_some() != inside {
            return Err(Error::Order);
        }
        match step {
            Step::Directory(entry) => {
                let unnamed = entry.name.is_empty() && self.depth == 0;
                named(unnamed || is_name(&entry.name))?;
                self.depth = self.depth.checked_add(1).ok_or(Error::Order)?;
            }
            Step::File { entry, size, numbered } => {
                named(is_name(&entry.name))?;
                if *size > MAX_SIZE || (*numbered && self.numbered >= MAX_NUMBERED) {
                    return Err(Error::Order);
                }
                self.numbered += u64::from(*numbered);
                self.file = Some(0);
            }
            Step::Hole { length: 0 } => return Err(Error::Order),
            Step::Hole { length } => self.grow(*length)?,
            Step::Closed | Step::Broken => self.file = None,
            Step::Link { entry, target } => {
                let target = !target.is_empty() && target.len() <= MAX_TARGET;
                named(is_name(&entry.name) && target)?;
            }
            Step::Again { name, number } => {
                named(is_name(name))?;
                if *number >= self.numbered {
                    return Err(Error::Order);
                }
            }
            Step::Leave => self.depth = self.depth.checked_sub(1).ok_or(Error::Order)?,
            Step::End if self.depth > 0 => return Err(Error::Order),
            Step::End => self.ended = true,
        }
        Ok(())
    }
}

fn named(is_named: bool) -> Result<(), Error> {
    if is_named { Ok(()) } else { Err(Error::Name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{MAX_PIECE, head};

    fn entry(name: &str) -> Entry {
        Entry { name: name.into(), mode: Some(0o640), accessed: 1, modified: u64::MAX }
    }

    fn file(name: &str, numbered: bool) -> Step {
        Step::File { entry: entry(name), size: 3, numbered }
    }

    fn contents(bytes: &[u8]) -> Vec<u8> {
        [&head(Kind::Contents, bytes.len())[..], bytes].concat()
    }

    /// Takes all parts.
    fn opened(bytes: &[u8], size: usize) -> Result<Vec<Part>, Error> {
        let mut opener = Opener::default();
        let mut parts = Vec::new();
        for piece in bytes.chunks(size) {
            opener.push(piece);
            while let Some(part) = opener.take()? {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    fn of(steps: &[Step]) -> Result<Vec<Part>, Error> {
        let bytes: Vec<u8> = steps.iter().flat_map(Step::to_frame).collect();
        opened(&bytes, bytes.len().max(1))
    }

    #[test]
    fn a_parcel_comes_out_as_it_went_in_however_the_stream_is_cut() {
        let steps = [
            Step::Directory(entry("")),
            file("a", true),
            Step::Hole { length: 1 << 40 },
            Step::Closed,
            Step::Again { name: "b".into(), number: 0 },
            Step::Directory(entry("c")),
            Step::Link { entry: entry("d"), target: "../..".into() },
            Step::Leave,
            Step::Leave,
            file("e", false),
            Step::Broken,
            Step::End,
        ];
        let mut bytes: Vec<u8> = steps.iter().take(2).flat_map(Step::to_frame).collect();
        bytes.extend(contents(&[7; MAX_PIECE]));
        bytes.extend(steps.iter().skip(2).flat_map(Step::to_frame));
        let mut parts: Vec<Part> = steps.into_iter().map(Part::Step).collect();
        parts.insert(2, Part::Contents(vec![7; MAX_PIECE]));
        for size in [1, 3, 1000, bytes.len()] {
            assert_eq!(opened(&bytes, size).as_ref(), Ok(&parts), "in pieces of {size}");
        }
    }

    #[test]
    fn steps_that_are_not_in_order_are_refused() {
        let close = [file("a", true), Step::Closed];
        for steps in [
            vec![Step::Leave],
            vec![Step::Closed],
            vec![Step::Hole { length: 1 }],
            vec![file("a", false), file("b", false)],
            vec![file("a", false), Step::Leave],
            vec![file("a", false), Step::End],
            vec![file("a", false), Step::Hole { length: 0 }],
            vec![file("a", false), Step::Hole { length: MAX_SIZE + 1 }],
            vec![file("a", false), Step::Hole { length: MAX_SIZE }, Step::Hole { length: 1 }],
            vec![Step::File { entry: entry("a"), size: MAX_SIZE + 1, numbered: false }],
            vec![Step::Directory(entry("a")), Step::End],
            vec![Step::Again { name: "b".into(), number: 0 }],
            [&close[..], &[Step::Again { name: "b".into(), number: 1 }]].concat(),
            vec![Step::End, Step::End],
            [&vec![&close[..]; MAX_NUMBERED as usize].concat()[..], &close[..1]].concat(),
        ] {
            assert_eq!(of(&steps), Err(Error::Order), "{:?}", steps.last());
        }
        assert_eq!(opened(&contents(b"x"), 9), Err(Error::Order), "no file is open");
        let empty = [file("a", false).to_frame(), contents(b"")].concat();
        assert_eq!(opened(&empty, 99), Err(Error::Order));
        let foreign = [&head(Kind::Output, 1)[..], b"x"].concat();
        assert_eq!(opened(&foreign, 99), Err(Error::Order));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "n".repeat(MAX_NAME + 1);
        for name in [".", "..", "a/b", "/", "a\0", &long] {
            assert_eq!(of(&[file(name, false)]), Err(Error::Name), "{name:?}");
            assert_eq!(of(&[Step::Directory(entry(name))]), Err(Error::Name), "{name:?}");
            let link = Step::Link { entry: entry(name), target: "x".into() };
            assert_eq!(of(&[link]), Err(Error::Name), "{name:?}");
            let again = Step::Again { name: name.into(), number: 0 };
            assert_eq!(of(&[file("a", true), Step::Closed, again]), Err(Error::Name), "{name:?}");
        }
        assert_eq!(of(&[file("", false)]), Err(Error::Name));
        let below = [Step::Directory(entry("a")), Step::Directory(entry(""))];
        assert_eq!(of(&below), Err(Error::Name), "only the top has no name");
        for target in [String::new(), "t".repeat(MAX_TARGET + 1)] {
            assert_eq!(of(&[Step::Link { entry: entry("a"), target }]), Err(Error::Name));
        }
    }
}
