//! Serves the host calls.

use crate::code::CodeFile;
use crate::driver::Memory;
use crate::mapping::PAGE;
use crate::service::{NoQuote, Service};
use crate::storage::Storage;
use crate::streams;
use twine_protocol::calls::{HostCalls, HostRange};
use twine_protocol::wire::{MAX_POLL_RECORDS, Piece, PollRecord, Status, TRANSFER_BUFFER_SIZE};

/// A thread of an enclave that made a host call.
pub(crate) struct Caller<'a> {
    pub service: &'a Service,
    pub tcs: u64,
}

fn done(result: Result<u64, Status>) -> (u64, u64) {
    match result {
        Ok(value) => (Status::Ok.code(), value),
        Err(status) => (status.code(), 0),
    }
}

impl Caller<'_> {
    /// Returns a range of this thread's transfer buffer.
    fn bytes(&mut self, pointer: u64, length: u64) -> Result<&mut [u8], Status> {
        let range = HostRange { pointer, length };
        if !self.service.transfer(self.tcs).contains(range) {
            return Err(Status::Invalid);
        }
        // SAFETY: the range is within the buffer of this TCS, which lives as long as the
        // service. The thread with this TCS is here and not in the enclave, and no other
        // thread was given the buffer.
        Ok(unsafe { std::slice::from_raw_parts_mut(pointer as *mut u8, length as usize) })
    }

    /// Writes bytes of the transfer buffer to a storage with the function `write`.
    fn write_storage(
        &mut self,
        storage: u64,
        offset: u64,
        HostRange { pointer, length }: HostRange,
        write: impl FnOnce(&Storage, u64, &[u8]) -> Result<(), Status>,
    ) -> (u64, u64) {
        let service = self.service;
        let result = service
            .storage(storage)
            .and_then(|storage| write(storage, offset, self.bytes(pointer, length)?));
        done(result.map(|()| 0))
    }

    /// Returns the enclave's memory, and the offset of the range in it. `None` unless the range
    /// consists of whole pages in the enclave.
    fn memory(&self, address: u64, length: u64) -> Option<(&Memory, u64)> {
        let memory = self.service.memory.get()?;
        let offset = address.checked_sub(memory.base() as u64)?;
        let inside = offset.checked_add(length)? <= memory.size() as u64;
        (inside && length != 0 && (address | length).is_multiple_of(PAGE))
            .then_some((memory, offset))
    }
}

impl HostCalls for Caller<'_> {
    fn nothing(&mut self) -> (u64, u64) {
        (0, 0)
    }

    fn transfer_buffer(&mut self) -> HostRange {
        self.service.transfer(self.tcs)
    }

    fn launch_request(&mut self) -> HostRange {
        self.service.launch()
    }

    fn program(&mut self) -> HostRange {
        self.service.program()
    }

    fn report(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let result = self.bytes(pointer, length).map(|bytes| bytes.to_vec());
        done(result.map(|outcome| {
            self.service.end(|said| said.outcome = Some(outcome));
            0
        }))
    }

    fn memory_exhausted(&mut self, size: u64) -> (u64, u64) {
        self.service.said().exhausted = Some(size);
        (0, 0)
    }

    fn panicked(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        if let Ok(bytes) = self.bytes(pointer, length) {
            let place = String::from_utf8_lossy(bytes).into_owned();
            self.service.said().panic_place = Some(place);
        }
        (0, 0)
    }

    fn progress(&mut self, done: u64, total: u64, unit: u64) -> (u64, u64) {
        self.service.progress(done, total, unit);
        (0, 0)
    }

    fn stream_read(&mut self, stream: u64, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        done(self.bytes(pointer, length).and_then(|bytes| service.read(stream, bytes)))
    }

    fn stream_write(&mut self, stream: u64, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        done(self.bytes(pointer, length).and_then(|bytes| service.write(stream, bytes)))
    }

    fn stream_kind(&mut self, stream: u64) -> (u64, u64) {
        done(streams::kind(stream).map(|kind| kind.code()))
    }

    fn poll(&mut self, pointer: u64, count: u64, timeout: u64) -> (u64, u64) {
        if count > MAX_POLL_RECORDS {
            return done(Err(Status::Invalid));
        }
        let service = self.service;
        if count == 0 {
            return done(service.sleep(timeout).map(|()| 0));
        }
        let bytes = match self.bytes(pointer, count * PollRecord::SIZE as u64) {
            Ok(bytes) => bytes,
            Err(status) => return done(Err(status)),
        };
        let mut records: Vec<PollRecord> =
            bytes.as_chunks().0.iter().map(PollRecord::from_bytes).collect();
        let result = service.poll(&mut records, timeout);
        for (bytes, record) in bytes.as_chunks_mut().0.iter_mut().zip(&records) {
            *bytes = record.to_bytes();
        }
        done(result)
    }

    fn socket_accept(&mut self, listener: u64, wait: u64) -> (u64, u64) {
        self.service.sockets().accept(listener, wait != 0).unwrap_or_else(|code| (code, 0))
    }

    fn socket_receive(&mut self, socket: u64, pointer: u64, length: u64, flags: u64) -> (u64, u64) {
        let sockets = self.service.sockets();
        match self.bytes(pointer, length) {
            Ok(bytes) => sockets.receive(socket, bytes, flags).unwrap_or_else(|code| (code, 0)),
            Err(status) => done(Err(status)),
        }
    }

    fn socket_send(&mut self, socket: u64, pointer: u64, length: u64, flags: u64) -> (u64, u64) {
        let sockets = self.service.sockets();
        match self.bytes(pointer, length) {
            Ok(bytes) => sockets.send(socket, bytes, flags).unwrap_or_else(|code| (code, 0)),
            Err(status) => done(Err(status)),
        }
    }

    fn socket_shut_down(&mut self, socket: u64, flags: u64) -> (u64, u64) {
        self.service.sockets().shut_down(socket, flags).unwrap_or_else(|code| (code, 0))
    }

    fn socket_close(&mut self, socket: u64) -> (u64, u64) {
        self.service.sockets().close(socket);
        done(Ok(0))
    }

    fn clock_time(&mut self, clock: u64) -> (u64, u64) {
        done(streams::time(clock))
    }

    fn clock_resolution(&mut self, clock: u64) -> (u64, u64) {
        done(streams::resolution(clock))
    }

    fn yield_now(&mut self) -> (u64, u64) {
        std::thread::yield_now();
        done(Ok(0))
    }

    fn storage_size(&mut self, storage: u64) -> (u64, u64) {
        done(self.service.storage(storage).and_then(Storage::size))
    }

    fn storage_resize(&mut self, storage: u64, size: u64) -> (u64, u64) {
        done(self.service.storage(storage).and_then(|storage| storage.resize(size)).map(|()| 0))
    }

    fn storage_map(&mut self, storage: u64) -> HostRange {
        // If the file can't be mapped, the pointer is null, and the enclave refuses it.
        self.service.storage(storage).and_then(Storage::map).unwrap_or(HostRange::NONE)
    }

    fn storage_write(
        &mut self,
        storage: u64,
        offset: u64,
        pointer: u64,
        length: u64,
    ) -> (u64, u64) {
        self.write_storage(storage, offset, HostRange { pointer, length }, Storage::write)
    }

    fn storage_write_through(
        &mut self,
        storage: u64,
        offset: u64,
        pointer: u64,
        length: u64,
    ) -> (u64, u64) {
        self.write_storage(storage, offset, HostRange { pointer, length }, Storage::write_through)
    }

    fn storage_write_pieces(
        &mut self,
        storage: u64,
        pointer: u64,
        length: u64,
        count: u64,
    ) -> (u64, u64) {
        let service = self.service;
        let result = service.storage(storage).and_then(|storage| {
            let (bytes, places) = pieces(self.bytes(pointer, length)?, count)?;
            storage.write_pieces(places, bytes)
        });
        done(result.map(|()| 0))
    }

    fn storage_sync(&mut self, storage: u64) -> (u64, u64) {
        done(self.service.storage(storage).and_then(Storage::sync).map(|()| 0))
    }

    fn storage_unread(&mut self, storage: u64) -> HostRange {
        let storage = self.service.storage(storage);
        storage.map_or(HostRange::NONE, |storage| storage.unread().location())
    }

    fn storage_read(&mut self, storage: u64, offset: u64, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        let result = service
            .storage(storage)
            .and_then(|storage| storage.read(offset, self.bytes(pointer, length)?));
        done(result.map(|()| 0))
    }

    fn storage_ahead(&mut self, storage: u64, length: u64) -> (u64, u64) {
        if let Ok(storage) = self.service.storage(storage) {
            storage.ahead(length);
        }
        (0, 0)
    }

    fn code_load(&mut self) -> HostRange {
        self.service.code().map_or(HostRange::NONE, CodeFile::load)
    }

    fn code_buffer(&mut self, length: u64) -> HostRange {
        // If there is no memory, the pointer is null, and the enclave refuses it.
        self.service.code().map_or(HostRange::NONE, |code| code.buffer(length))
    }

    fn code_store(&mut self, length: u64) -> (u64, u64) {
        let code = self.service.code().ok_or(Status::NotSupported);
        done(code.and_then(|code| code.store(length)).map(|()| 0))
    }

    fn quote(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        let start = service.transfer(self.tcs).pointer;
        let result = service.attestation().ok_or(Status::NotSupported).and_then(|attestation| {
            let report = self.bytes(pointer, length)?.to_vec();
            let quote = attestation.quote(&report).map_err(|NoQuote| Status::Io)?;
            self.bytes(start, quote.len() as u64)?.copy_from_slice(&quote);
            Ok(quote.len() as u64)
        });
        done(result)
    }

    fn evidence(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        let result = service.attestation().ok_or(Status::NotSupported).and_then(|attestation| {
            let evidence = self.bytes(pointer, length)?;
            attestation.evidence(evidence).map_err(|_| Status::Io)
        });
        done(result.map(|()| 0))
    }

    fn folder(&mut self, folder: u64, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        let result = service.folder(folder).and_then(|folder| {
            folder.serve(self.bytes(pointer, TRANSFER_BUFFER_SIZE)?, length as usize)
        });
        done(result)
    }

    fn restrict_pages(&mut self, address: u64, length: u64, permissions: u64) -> (u64, u64) {
        let status = match self.memory(address, length) {
            Some((memory, offset)) => memory.restrict(offset, length, permissions),
            None => Status::Invalid,
        };
        (status.code(), 0)
    }

    fn add_pages(&mut self, address: u64, length: u64) -> (u64, u64) {
        let status = match self.memory(address, length) {
            Some((memory, _)) => memory.add(address, length),
            None => Status::Invalid,
        };
        (status.code(), 0)
    }

    fn extend_pages(&mut self, address: u64, length: u64, permissions: u64) -> (u64, u64) {
        let status = match self.memory(address, length) {
            Some((memory, _)) => memory.protect(address, length, permissions),
            None => Status::Invalid,
        };
        (status.code(), 0)
    }
}

/// Splits a buffer into the bytes of `count` pieces and their places.
fn pieces(buffer: &[u8], count: u64) -> Result<(&[u8], &[[u8; Piece::SIZE]]), Status> {
    let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(Piece::SIZE));
    let bytes = size.and_then(|size| buffer.len().checked_sub(size)).ok_or(Status::Invalid)?;
    let (bytes, places) = buffer.split_at(bytes);
    Ok((bytes, places.as_chunks().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_pieces_come_before_their_places() {
        let buffer = [7; 50];
        assert_eq!(
            pieces(&buffer, 3).map(|(bytes, places)| (bytes.len(), places.len())),
            Ok((2, 3))
        );
        for count in [4, u64::MAX / 16 + 1, u64::MAX] {
            assert_eq!(pieces(&buffer, count), Err(Status::Invalid));
        }
    }
}
