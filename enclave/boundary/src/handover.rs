//! Older images of the host, whose enclaves hand over what they keep.

use crate::{Boundary, count, status};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::state::write::{FIRST, LAST};
use twine_protocol::wire::{MAX_HANDOVER_ANSWER, Status, TRANSFER_BUFFER_LENGTH};

/// Size of a TARGETINFO in bytes.
const TARGET_BYTES: usize = 512;

impl<R: RawCall> Boundary<R> {
    /// Returns the TARGETINFO of enclaves of an older image that the host can start, by the image's
    /// number. `None` if the host has fewer such images. The contents are not trusted.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if the host's answer is invalid.
    pub fn handover_target(&self, number: u64) -> Result<Option<[u8; TARGET_BYTES]>, Status> {
        // The host writes to the buffer, so it must be there.
        let part = self.transfer_of(TARGET_BYTES)?;
        let (code, counted) = stub::handover_target(&self.raw, number);
        match status(code) {
            Err(Status::Missing) => return Ok(None),
            result => result?,
        }
        if counted != TARGET_BYTES as u64 {
            return Err(Status::Io);
        }
        let mut target = [0; TARGET_BYTES];
        part.copy_in(&mut target);
        Ok(Some(target))
    }

    /// Has an enclave of the older image with this number answer a request. The answer is not
    /// trusted.
    ///
    /// # Errors
    /// The host's status: [`Status::Denied`] if that enclave refuses, and [`Status::Io`] if the
    /// host's answer is invalid.
    pub fn handover(&self, number: u64, request: &[u8]) -> Result<Vec<u8>, Status> {
        let (mut rest, mut flags) = (request, FIRST);
        loop {
            let (piece, after) = rest.split_at(rest.len().min(TRANSFER_BUFFER_LENGTH));
            if after.is_empty() {
                flags |= LAST;
            }
            let part = self.put_whole(piece)?;
            let (pointer, length) = (part.address(), part.len() as u64);
            let (code, counted) = stub::handover(&self.raw, number, pointer, length, flags);
            status(code)?;
            if after.is_empty() {
                let most = usize::try_from(MAX_HANDOVER_ANSWER).unwrap_or(usize::MAX);
                let part = self.transfer_of(count(counted, most)?)?;
                if part.len() as u64 != counted {
                    return Err(Status::Io);
                }
                let mut answer = vec![0; part.len()];
                part.copy_in(&mut answer);
                return Ok(answer);
            }
            (rest, flags) = (after, 0);
        }
    }
}
