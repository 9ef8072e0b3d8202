//! Operations on an ordinary folder of the host's.

use crate::{Boundary, count, status};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::folder::{Answer, Failure, MAX_DATA, MAX_MESSAGE, Request};

/// Why an operation on a folder failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// As the host says.
    #[error("the host says {0:?}")]
    Failed(Failure),
    /// The host's answer makes no sense.
    #[error("the host's answer makes no sense")]
    Senseless,
    /// The request is larger than a message may be.
    #[error("the request is too large")]
    TooLarge,
}

impl<R: RawCall> Boundary<R> {
    /// Asks folder `folder` for an operation. `out` follows the request; `into` takes what
    /// follows the answer, and how many bytes that were comes with it.
    ///
    /// # Errors
    /// The host's failure, or that its answer makes no sense.
    pub fn folder(
        &self,
        folder: u64,
        request: &Request,
        out: &[u8],
        into: &mut [u8],
    ) -> Result<(Answer, usize), FolderError> {
        let mut message = request.encode();
        message.resize(message.len().next_multiple_of(8), 0);
        let buffer = self.transfer().map_err(|_| FolderError::Senseless)?;
        if message.len() > MAX_MESSAGE || out.len() > MAX_DATA {
            return Err(FolderError::TooLarge);
        }
        let (head, tail) = buffer
            .part(0, message.len())
            .zip(buffer.part(message.len() as u64, out.len()))
            .ok_or(FolderError::TooLarge)?;
        head.copy_out(&message);
        tail.copy_out(out);
        let sent = (message.len() + out.len()) as u64;
        let (code, answered) = stub::folder(&self.raw, folder, buffer.address(), sent);
        status(code).map_err(|_| FolderError::Senseless)?;

        let length = count(answered, MAX_MESSAGE).map_err(|_| FolderError::Senseless)?;
        let head = buffer.part(0, length).ok_or(FolderError::Senseless)?;
        message.clear();
        message.resize(length, 0);
        head.copy_in(&mut message);
        let answer = match Answer::decode(&message).ok_or(FolderError::Senseless)? {
            Answer::Failed(failure) => return Err(FolderError::Failed(failure)),
            answer => answer,
        };
        let mut taken = 0;
        if let Answer::Count(read) = answer
            && !into.is_empty()
        {
            taken = count(read, into.len()).map_err(|_| FolderError::Senseless)?;
            let (data, into) = buffer
                .part(length.next_multiple_of(8) as u64, taken)
                .zip(into.get_mut(..taken))
                .ok_or(FolderError::Senseless)?;
            data.copy_in(into);
        }
        Ok((answer, taken))
    }
}
