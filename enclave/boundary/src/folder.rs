//! Operations on an ordinary folder of the host.

use crate::{Boundary, count, status};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::folder::{Answer, Failure, MAX_DATA, MAX_MESSAGE, Request};

/// Why an operation on a folder failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The failure that the host reports.
    #[error("the host says {0:?}")]
    Failed(Failure),
    /// The host's answer is invalid.
    #[error("the host's answer is not valid")]
    Invalid,
    /// The request exceeds the limits on messages and data.
    #[error("the request is too large")]
    TooLarge,
}

impl<R: RawCall> Boundary<R> {
    /// Asks the host for an operation on folder `folder`. Sends `out` after the request. Copies the
    /// bytes after the answer to `into`, and returns their number with the answer.
    ///
    /// # Errors
    /// The host's failure; an invalid answer; a request that is too large.
    pub fn folder(
        &self,
        folder: u64,
        request: &Request,
        out: &[u8],
        into: &mut [u8],
    ) -> Result<(Answer, usize), FolderError> {
        let mut message = request.encode();
        message.resize(message.len().next_multiple_of(8), 0);
        let buffer = self.transfer().map_err(|_| FolderError::Invalid)?;
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
        status(code).map_err(|_| FolderError::Invalid)?;

        let length = count(answered, MAX_MESSAGE).map_err(|_| FolderError::Invalid)?;
        let head = buffer.part(0, length).ok_or(FolderError::Invalid)?;
        message.clear();
        message.resize(length, 0);
        head.copy_in(&mut message);
        let answer = match Answer::decode(&message).ok_or(FolderError::Invalid)? {
            Answer::Failed(failure) => return Err(FolderError::Failed(failure)),
            answer => answer,
        };
        let mut taken = 0;
        if let Answer::Count(read) = answer
            && !into.is_empty()
        {
            taken = count(read, into.len()).map_err(|_| FolderError::Invalid)?;
            let (data, into) = buffer
                .part(length.next_multiple_of(8) as u64, taken)
                .zip(into.get_mut(..taken))
                .ok_or(FolderError::Invalid)?;
            data.copy_in(into);
        }
        Ok((answer, taken))
    }
}
