//! Serves the host calls.

use crate::code::CodeFile;
use crate::driver::Memory;
use crate::mapping::PAGE;
use crate::service::{NoAnswer, NoQuote, Service};
use crate::state::State;
use crate::storage::Storage;
use crate::streams;
use twine_protocol::calls::{HostCalls, HostRange};
use twine_protocol::network::{Connect, Listen};
use twine_protocol::state;
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
            .and_then(|storage| write(&storage, offset, self.bytes(pointer, length)?));
        done(result.map(|()| 0))
    }

    /// Calls `serve` with the state folder and the name in the transfer buffer.
    fn named(
        &mut self,
        pointer: u64,
        length: u64,
        serve: impl FnOnce(&State, &str) -> Result<u64, Status>,
    ) -> (u64, u64) {
        let service = self.service;
        let result = service.state().and_then(|state| {
            let name = state::name(self.bytes(pointer, length)?).ok_or(Status::Invalid)?;
            serve(state, name)
        });
        done(result)
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

    fn socket_listen(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let (sockets, network) = (self.service.sockets(), self.service.network());
        let request = self.bytes(pointer, length).map(|bytes| Listen::decode(bytes));
        match request {
            Ok(Some(request)) => sockets.listen(network, &request).unwrap_or_else(|code| (code, 0)),
            _ => done(Err(Status::Invalid)),
        }
    }

    fn socket_connect(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let (sockets, network) = (self.service.sockets(), self.service.network());
        let request = self.bytes(pointer, length).map(|bytes| Connect::decode(bytes));
        match request {
            Ok(Some(request)) => sockets.connect(network, request).unwrap_or_else(|code| (code, 0)),
            _ => done(Err(Status::Invalid)),
        }
    }

    fn waker_open(&mut self) -> (u64, u64) {
        self.service.sockets().waker().unwrap_or_else(|code| (code, 0))
    }

    fn waker_wake(&mut self, waker: u64) -> (u64, u64) {
        self.service.sockets().wake(waker).unwrap_or_else(|code| (code, 0))
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
        done(self.service.storage(storage).and_then(|storage| storage.size()))
    }

    fn storage_resize(&mut self, storage: u64, size: u64) -> (u64, u64) {
        done(self.service.storage(storage).and_then(|storage| storage.resize(size)).map(|()| 0))
    }

    fn storage_map(&mut self, storage: u64) -> HostRange {
        // If the file can't be mapped, the pointer is null, and the enclave refuses it.
        let mapped = self.service.storage(storage).and_then(|storage| storage.map());
        mapped.unwrap_or(HostRange::NONE)
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
        done(self.service.storage(storage).and_then(|storage| storage.sync()).map(|()| 0))
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

    fn storage_open(&mut self, pointer: u64, length: u64, flags: u64) -> (u64, u64) {
        let storages = self.service.storages();
        self.named(
            pointer,
            length,
            |state, name| Ok(storages.add(state.open_storage(name, flags)?)),
        )
    }

    fn storage_close(&mut self, storage: u64) -> (u64, u64) {
        done(self.service.storages().close(storage).map(|()| 0))
    }

    fn storage_remove(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        self.named(pointer, length, |state, name| state.remove_storage(name).map(|()| 0))
    }

    fn record_read(&mut self, pointer: u64, length: u64, offset: u64) -> (u64, u64) {
        let (service, tcs) = (self.service, self.tcs);
        let buffer = service.transfer(tcs);
        let result = service.state().and_then(|state| {
            let name = state::name(self.bytes(pointer, length)?).ok_or(Status::Invalid)?.to_owned();
            let bytes = self.bytes(buffer.pointer, buffer.length)?;
            state.records().read(tcs, &name, offset, bytes)
        });
        done(result)
    }

    fn record_write(
        &mut self,
        pointer: u64,
        name_length: u64,
        data_length: u64,
        flags: u64,
    ) -> (u64, u64) {
        let (service, tcs) = (self.service, self.tcs);
        let result = service.state().and_then(|state| {
            let (name, data) =
                name_and_data(name_length, data_length, |length| self.bytes(pointer, length))?;
            state.records().write(tcs, name, data, flags)
        });
        done(result.map(|()| 0))
    }

    fn record_remove(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        self.named(pointer, length, |state, name| state.records().remove(name).map(|()| 0))
    }

    fn record_next(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let service = self.service;
        let start = service.transfer(self.tcs).pointer;
        let result = service.state().and_then(|state| {
            let last = match self.bytes(pointer, length)? {
                [] => None,
                name => Some(state::name(name).ok_or(Status::Invalid)?),
            };
            let Some(next) = state.records().next(last)? else { return Ok(0) };
            self.bytes(start, next.len() as u64)?.copy_from_slice(next.as_bytes());
            Ok(next.len() as u64)
        });
        done(result)
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

    fn handover_target(&mut self, number: u64) -> (u64, u64) {
        let service = self.service;
        let start = service.transfer(self.tcs).pointer;
        let result = service.former(number).and_then(|former| {
            let target = former.target();
            self.bytes(start, target.len() as u64)?.copy_from_slice(&target);
            Ok(target.len() as u64)
        });
        done(result)
    }

    fn handover(&mut self, number: u64, pointer: u64, length: u64, flags: u64) -> (u64, u64) {
        let (service, tcs) = (self.service, self.tcs);
        let start = service.transfer(tcs).pointer;
        let result = service.former(number).and_then(|former| {
            let piece = self.bytes(pointer, length)?;
            let Some(request) = service.request_piece(tcs, piece, flags)? else { return Ok(0) };
            let answer = former.answer(request).map_err(|NoAnswer| Status::Denied)?;
            self.bytes(start, answer.len() as u64)?.copy_from_slice(&answer);
            Ok(answer.len() as u64)
        });
        done(result)
    }

    fn quoting_target(&mut self) -> (u64, u64) {
        let service = self.service;
        let start = service.transfer(self.tcs).pointer;
        let result = service.attestation().ok_or(Status::NotSupported).and_then(|attestation| {
            let target = attestation.target().map_err(|NoQuote| Status::Io)?;
            self.bytes(start, target.len() as u64)?.copy_from_slice(&target);
            Ok(target.len() as u64)
        });
        done(result)
    }

    fn collateral(&mut self, fmspc: u64, issuer: u64) -> HostRange {
        self.service.collateral(self.tcs, fmspc, issuer).unwrap_or(HostRange::NONE)
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

/// Returns a name, and the data that follow from the next multiple of 8 bytes on, out of the range of
/// the length that `bytes` gets.
fn name_and_data<'a>(
    name: u64,
    data: u64,
    bytes: impl FnOnce(u64) -> Result<&'a mut [u8], Status>,
) -> Result<(&'a str, &'a [u8]), Status> {
    let at = name.checked_next_multiple_of(8).ok_or(Status::Invalid)?;
    let bytes = &*bytes(at.checked_add(data).ok_or(Status::Invalid)?)?;
    // `bytes` has this many, so they fit a `usize`.
    let (head, data) = bytes.split_at(at as usize);
    let name = state::name(&head[..name as usize]).ok_or(Status::Invalid)?;
    Ok((name, data))
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
    use crate::program::Program;
    use crate::service::Resources;
    use std::cell::Cell;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering};
    use twine_boundary::{Access, Boundary};
    use twine_protocol::calls::{RawCall, dispatch, number};

    thread_local! {
        /// A number in place of this thread's TCS.
        static TCS: Cell<u64> = {
            static COUNT: AtomicU64 = AtomicU64::new(1);
            Cell::new(COUNT.fetch_add(1, Ordering::Relaxed))
        };
    }

    /// Makes calls without an enclave.
    struct Direct(Service);

    impl RawCall for Direct {
        fn raw_call(&self, number: u64, arguments: [u64; 4]) -> (u64, u64) {
            let mut caller = Caller { service: &self.0, tcs: TCS.get() };
            dispatch(&mut caller, number, arguments).unwrap()
        }
    }

    fn direct(state: Option<State>) -> Direct {
        let resources = Resources { state, ..Resources::default() };
        Direct(Service::new(&[], Program::from(Vec::new()), resources, None))
    }

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("twine-call-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_enclaves_side_keeps_records_and_storages_on_this_one() {
        let folder = folder("state");
        let host = Boundary::new(direct(Some(State::open(&folder).unwrap())), 0..8);
        assert_eq!(host.records(), Ok(Vec::new()));
        assert_eq!(host.record("a", 9), Ok(None));
        let large: Vec<u8> = (0..700_003_u32).map(|at| (at / 3) as u8).collect();
        let names = ["-", "0", "a", "a-b", &"z".repeat(128)].map(str::to_owned);
        for (name, content) in names.iter().zip([&large[..], b"", b"1", &large[1..], b"12345678"]) {
            host.write_record(name, content).unwrap();
            assert_eq!(host.record(name, 1 << 20).unwrap().as_deref(), Some(content));
        }
        assert_eq!(host.record("-", 700_002), Err(Status::FileTooBig));
        assert_eq!(host.records(), Ok(names.to_vec()));
        assert_eq!(host.remove_record("a"), Ok(()));
        assert_eq!(host.remove_record("a"), Err(Status::Missing));

        let mut file = host.open_storage("data", Access::Create).unwrap();
        assert_eq!(file.size(), Ok(0));
        file.write(0, &large).unwrap();
        file.sync().unwrap();
        let mut bytes = [0; 4096];
        assert_eq!(file.read(8192, &mut bytes), Ok(()));
        assert_eq!(bytes, large[8192..][..4096]);
        assert_eq!(host.open_storage("data", Access::Read).map(drop), Err(Status::InUse));
        drop(file);
        let mut file = host.open_storage("data", Access::Read).unwrap();
        assert_eq!((file.size(), file.write(0, b"x")), (Ok(700_003), Err(Status::Denied)));
        drop(file);
        assert_eq!(host.remove_storage("data"), Ok(()));
        assert_eq!(host.open_storage("data", Access::Write).map(drop), Err(Status::Missing));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_state_folder_there_are_no_records_and_no_named_storages() {
        let host = Boundary::new(direct(None), 0..8);
        assert_eq!(host.open_storage("a", Access::Create).map(drop), Err(Status::NotSupported));
        assert_eq!(host.remove_storage("a"), Err(Status::NotSupported));
        assert_eq!(host.record("a", 9), Err(Status::NotSupported));
        assert_eq!(host.write_record("a", b"x"), Err(Status::NotSupported));
        assert_eq!(host.remove_record("a"), Err(Status::NotSupported));
        assert_eq!(host.records(), Err(Status::NotSupported));
    }

    #[test]
    fn names_that_lead_elsewhere_and_ranges_beyond_the_buffer_are_refused() {
        let folder = folder("names");
        let host = direct(Some(State::open(&folder).unwrap()));
        let buffer = host.0.transfer(TCS.get());
        let calls = [
            number::storage_open,
            number::storage_remove,
            number::record_read,
            number::record_write,
            number::record_remove,
            number::record_next,
        ];
        let invalid = (Status::Invalid.code(), 0);
        let long = "x".repeat(129);
        for name in ["..", "../x", "/x", "x/y", "x\0", "X", "x.twine", "ä", &long] {
            let mut caller = Caller { service: &host.0, tcs: TCS.get() };
            let bytes = caller.bytes(buffer.pointer, name.len() as u64).unwrap();
            bytes.copy_from_slice(name.as_bytes());
            for call in calls {
                let arguments = [buffer.pointer, name.len() as u64, 1, 3];
                assert_eq!(host.raw_call(call, arguments), invalid, "{call:#x} {name}");
            }
        }
        let ends = [buffer.length - 7, buffer.length + 1, 1 << 32, u64::MAX - 7, u64::MAX];
        for length in ends {
            for call in calls {
                let arguments = [buffer.pointer + 8, length, 1, 3];
                assert_eq!(host.raw_call(call, arguments), invalid, "{call:#x} {length}");
            }
            let data = [buffer.pointer, 1, length, 3];
            assert_eq!(host.raw_call(number::record_write, data), invalid, "{length}");
        }
        for call in calls.into_iter().filter(|&call| call != number::record_next) {
            assert_eq!(host.raw_call(call, [buffer.pointer, 0, 1, 3]), invalid, "{call:#x}");
        }
        assert_eq!(host.raw_call(number::storage_close, [0; 4]), invalid);
        assert_eq!(host.raw_call(number::storage_close, [u64::MAX; 4]), invalid);
        std::fs::remove_dir_all(folder).unwrap();
    }

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
