//! The host calls.
//!
//! A host call is an EDP usercall with a number of [`USER_DEFINED`] or above. The enclave leaves
//! with EEXIT, with the number in `RDI` and the arguments in `RSI`, `RDX`, `R8` and `R9`. The host
//! serves the call on the same thread, and enters the enclave again with the two results in `RSI`
//! and `RDX`. Each call is one exit and one entry, and involves no other thread.

/// The first number that the EDP ABI leaves to its users.
pub const USER_DEFINED: u64 = 0x8000_0000;

/// The enclave's answers, in `RDI`, after an exception has stopped a thread and the host has
/// entered that thread again with EENTER. The host can then only resume the thread, with ERESUME.
pub mod exception {
    /// The enclave has handled the exception: ERESUME continues the thread.
    pub const DEALT_WITH: u64 = super::USER_DEFINED + 0x7fff_0000;
    /// The enclave finds no cause for the exception any more: ERESUME tries again.
    pub const GONE: u64 = super::USER_DEFINED + 0x7fff_0001;
    /// The enclave does not handle the exception, and has changed nothing.
    pub const UNKNOWN: u64 = super::USER_DEFINED + 0x7fff_0002;
}

/// One host call, as the document and the statistics see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// The number in `RDI`.
    pub number: u64,
    /// The name, as in the source.
    pub name: &'static str,
    /// Names of the arguments, in the order of their registers.
    pub arguments: &'static [&'static str],
    /// Names of the results, in the order of their registers.
    pub results: &'static [&'static str],
    /// What the call does, line by line.
    pub doc: &'static [&'static str],
}

/// Memory of the host: the results `pointer` and `length` of a host call. Inside the enclave these
/// are two untrusted words until `twine_boundary::HostSlice` has checked them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostRange {
    /// The address of the first byte.
    pub pointer: u64,
    /// The number of bytes.
    pub length: u64,
}

impl HostRange {
    /// No memory. The enclave refuses a null pointer, unless the call allows a length of 0.
    pub const NONE: HostRange = HostRange { pointer: 0, length: 0 };

    /// Whether `other` lies within this range.
    pub fn contains(&self, other: HostRange) -> bool {
        let end = |range: HostRange| range.pointer.checked_add(range.length);
        self.pointer <= other.pointer
            && matches!((end(other), end(*self)), (Some(other), Some(end)) if other <= end)
    }
}

impl From<(u64, u64)> for HostRange {
    fn from((pointer, length): (u64, u64)) -> Self {
        HostRange { pointer, length }
    }
}

impl From<HostRange> for (u64, u64) {
    fn from(HostRange { pointer, length }: HostRange) -> Self {
        (pointer, length)
    }
}

/// The way out of the enclave that [`stub`] uses.
pub trait RawCall {
    /// Leaves the enclave with `number` and four arguments, and returns the host's two results,
    /// which are not trusted.
    fn raw_call(&self, number: u64, arguments: [u64; 4]) -> (u64, u64);
}

macro_rules! host_calls {
    // A pointer and a length are a range of the host's memory; other results are words.
    (@results pointer length) => { HostRange };
    (@results $($result:ident)*) => { (u64, u64) };
    (@pad) => { [0, 0, 0, 0] };
    (@pad $a:ident) => { [$a, 0, 0, 0] };
    (@pad $a:ident $b:ident) => { [$a, $b, 0, 0] };
    (@pad $a:ident $b:ident $c:ident) => { [$a, $b, $c, 0] };
    (@pad $a:ident $b:ident $c:ident $d:ident) => { [$a, $b, $c, $d] };
    ($(
        $(#[doc = $doc:literal])+
        $number:literal $name:ident($($argument:ident),*) -> ($($result:ident),*);
    )+) => {
        /// The numbers of the host calls.
        #[expect(non_upper_case_globals, reason = "each has the name of its call")]
        pub mod number {
            $($(#[doc = $doc])+ pub const $name: u64 = super::USER_DEFINED + $number;)+
        }

        /// The enclave's side: one function for each host call.
        pub mod stub {
            use super::{HostRange, RawCall};
            $($(#[doc = $doc])+
            pub fn $name<R: RawCall + ?Sized>(
                raw: &R $(, $argument: u64)*
            ) -> host_calls!(@results $($result)*) {
                raw.raw_call(super::number::$name, host_calls!(@pad $($argument)*)).into()
            })+
        }

        /// The host's side: one method for each host call.
        pub trait HostCalls {
            $($(#[doc = $doc])+
            fn $name(&mut self $(, $argument: u64)*) -> host_calls!(@results $($result)*);)+
        }

        /// Serves the call with this number. Returns `None` if the number is not a host call.
        pub fn dispatch<H: HostCalls + ?Sized>(
            host: &mut H,
            number: u64,
            arguments: [u64; 4],
        ) -> Option<(u64, u64)> {
            match number {
                $(self::number::$name => {
                    let [$($argument,)* ..] = arguments;
                    Some(host.$name($($argument),*).into())
                })+
                _ => None,
            }
        }

        /// All host calls, by number.
        pub const DECLARATIONS: &[Declaration] = &[$(Declaration {
            number: number::$name,
            name: stringify!($name),
            arguments: &[$(stringify!($argument)),*],
            results: &[$(stringify!($result)),*],
            doc: &[$($doc),+],
        }),+];
    };
}

host_calls! {
    /// Does nothing. It serves to measure the cost of an exit and an entry.
    0x00 nothing() -> ();

    /// The thread's transfer buffer: host memory through which the calls below pass bytes.
    /// The host gives each thread one, and keeps it until the enclave ends. The enclave checks
    /// that all of it is outside the enclave, that it is aligned to 8 bytes, and that its
    /// length is at most `wire::TRANSFER_BUFFER_SIZE`.
    0x01 transfer_buffer() -> (pointer, length);

    /// The launch request (`launch::Launch`), encoded, in host memory. The enclave copies it in
    /// once and decodes the copy. At most `wire::MAX_LAUNCH` bytes.
    0x02 launch_request() -> (pointer, length);

    /// The bytes of the program in host memory. The enclave copies them in once, then hashes and
    /// compiles the copy. If it has opened cached code, it only hashes them, and copies them in
    /// piece by piece. At most `wire::MAX_PROGRAM` bytes.
    0x03 program() -> (pointer, length);

    /// The outcome of the run (`launch::Outcome`), encoded, in the transfer buffer. The
    /// enclave makes this call once, before it ends.
    0x04 report(pointer, length) -> (status);

    /// Reports that an allocation of `size` bytes failed, because the enclave's heap is used up.
    /// If the enclave ends abnormally after this call, the host names the failed allocation as the
    /// cause.
    0x05 memory_exhausted(size) -> ();

    /// Reports that the enclave panicked. The `length` bytes at `pointer` in the transfer buffer
    /// name the place in its source. The enclave ends after this call.
    0x06 panicked(pointer, length) -> ();

    /// Reports the progress of a long operation: `done` of `total` units (`wire::Unit`) are
    /// complete. A `total` of 0 means that the total is not known.
    0x07 progress(done, total, unit) -> ();

    /// Reads at most `length` bytes from stream `stream` (0) into the transfer buffer at
    /// `pointer`. Waits for at least one byte, or for the end of the stream. `count` is 0 only at
    /// the end.
    0x10 stream_read(stream, pointer, length) -> (status, count);

    /// Writes the `length` bytes at `pointer` in the transfer buffer to stream `stream` (1 or 2).
    /// `count` is the number of bytes written, at least one unless `length` is 0.
    0x11 stream_write(stream, pointer, length) -> (status, count);

    /// The kind of file that stream `stream` (0, 1 or 2) is connected to: a `wire::StreamKind`.
    0x12 stream_kind(stream) -> (status, kind);

    /// Waits until one of the streams, sockets or wakers in the `count` poll records
    /// (`wire::PollRecord`) at `pointer` is ready, or until `timeout` nanoseconds have passed
    /// (`u64::MAX`: no limit), and fills in the results of the records. Without records the call
    /// sleeps. A sleep without a limit returns `wire::Status::Interrupted` when the user interrupts
    /// the program.
    0x13 poll(pointer, count, timeout) -> (status, ready);

    /// Accepts a connection on listening socket `listener`, and returns the number of the new
    /// socket, which the host chooses. Sockets and streams share one range of numbers: the
    /// listening sockets of the launch request have the numbers from 3 on. If `wait` is not 0,
    /// waits for a connection.
    0x14 socket_accept(listener, wait) -> (status, socket);

    /// Receives at most `length` bytes from connection `socket` into the transfer buffer at
    /// `pointer`. `flags` holds bits of `wire::socket`. `count` is 0 only at the end.
    0x15 socket_receive(socket, pointer, length, flags) -> (status, count);

    /// Sends some of the `length` bytes at `pointer` in the transfer buffer on connection
    /// `socket`. `flags` holds bits of `wire::socket`.
    0x16 socket_send(socket, pointer, length, flags) -> (status, count);

    /// Shuts down receiving, sending or both on connection `socket`. `flags` holds bits of
    /// `wire::socket`.
    0x17 socket_shut_down(socket, flags) -> (status);

    /// Closes a socket.
    0x18 socket_close(socket) -> (status);

    /// Makes a listening socket for a deployment's program, and returns its number. The transfer
    /// buffer holds a `network::Listen` of `length` bytes at `pointer`. The host chooses the address,
    /// within what the operator allows: `wire::Status::Denied` if that is nothing, and
    /// `wire::Status::InUse` if the port is taken.
    0x19 socket_listen(pointer, length) -> (status, socket);

    /// Begins to connect to a host for a deployment's program, and returns the number of the new
    /// socket. It does not wait: until the connection is there or has failed, the socket is neither
    /// ready to be read nor to be written, and calls on it return `wire::Status::WouldBlock`; after a
    /// failure they return its cause. The transfer buffer holds a `network::Connect` of `length` bytes
    /// at `pointer`. The host resolves the name. `wire::Status::Denied` if the operator does not allow
    /// it.
    0x1a socket_connect(pointer, length) -> (status, socket);

    /// Makes a waker, and returns its number, of the range of sockets. `poll` reports it as ready to
    /// be read once after each `waker_wake`. `socket_close` closes it.
    0x1b waker_open() -> (status, waker);

    /// Makes a waker ready, and so ends the `poll` that waits for it.
    0x1c waker_wake(waker) -> (status);

    /// The time of a clock (`wire::Clock`) in nanoseconds. It is not trusted; the enclave makes sure
    /// that the monotonic clock never goes back.
    0x20 clock_time(clock) -> (status, nanoseconds);

    /// The resolution of a clock (`wire::Clock`) in nanoseconds.
    0x21 clock_resolution(clock) -> (status, nanoseconds);

    /// Lets other threads of the host run.
    0x22 yield_now() -> (status);

    /// Asks the operating system to give the pages from `address` on the permissions in
    /// `permissions` (bits of `wire::permission`). On SGX2 this is EMODPR if permissions are
    /// taken away, then a change of the page tables. The enclave relies on it only after EACCEPT.
    /// `address` and `length`, in bytes, are multiples of 4096. Returns
    /// `wire::Status::NotSupported` if the platform has no SGX2.
    0x30 restrict_pages(address, length, permissions) -> (status);

    /// Asks the operating system to allow `permissions` in the page tables for the pages from
    /// `address` on, after the enclave has extended their permissions (EMODPE).
    0x31 extend_pages(address, length, permissions) -> (status);

    /// Asks the operating system to add zeroed pages from `address` on, where there are none. On
    /// SGX2 this is EAUG, either at once or when EACCEPT first touches a page. The enclave uses no
    /// page before EACCEPT. `address` and `length`, in bytes, are multiples of 4096. Returns
    /// `wire::Status::NotSupported` if the platform has no SGX2.
    0x32 add_pages(address, length) -> (status);

    /// The size, in bytes, of the file of storage `storage`: a number from the launch request, or one
    /// that `storage_open` returned.
    0x40 storage_size(storage) -> (status, size);

    /// Makes that file `size` bytes long. Bytes that are added read as zero.
    0x41 storage_resize(storage, size) -> (status);

    /// A mapping of that file for reading, from its start on. The mapping may be longer than the
    /// file; the enclave must not read beyond the end of the file. The host keeps the mapping until
    /// the enclave ends or closes the storage. The enclave reads the file by copying from the mapping, without a call,
    /// except for pages that `storage_unread` reports.
    0x42 storage_map(storage) -> (pointer, length);

    /// Writes the `length` bytes at `pointer`, in the transfer buffer, to byte `offset` of that
    /// file. On success all bytes were written.
    0x43 storage_write(storage, offset, pointer, length) -> (status);

    /// Returns when everything that was written to that file is durable (`fdatasync`).
    0x44 storage_sync(storage) -> (status);

    /// Writes as `storage_write` does, and returns when these bytes are durable. Bytes that were
    /// written before need not be durable then.
    0x45 storage_write_through(storage, offset, pointer, length) -> (status);

    /// Writes as `storage_write` does, to several places. The `length` bytes at `pointer`, in the
    /// transfer buffer, are the contents of `count` pieces, one after the other, followed by the
    /// place of each piece (`wire::Piece`), in the same order. After an error any of the pieces
    /// may have been written.
    0x46 storage_write_pieces(storage, pointer, length, count) -> (status);

    /// Two words of host memory, a `wire::Unread`: the part of that file with pages that could
    /// not be read when the enclave touched them in the mapping. The mapping has zeros in place of
    /// these pages. The host keeps the words as long as the mapping, and updates them before it
    /// resumes the enclave. The enclave reads the words after each copy from the mapping. If the
    /// copy overlaps that part, the enclave reads the bytes again, with `storage_read`.
    0x47 storage_unread(storage) -> (pointer, length);

    /// Reads the `length` bytes at byte `offset` of that file into the transfer buffer at
    /// `pointer`. On success all bytes were read. Returns `wire::Status::Short` if the file ends
    /// before them.
    0x48 storage_read(storage, offset, pointer, length) -> (status);

    /// A hint: the host should enter the first `length` bytes of the mapping of that file into the
    /// page tables, because the enclave has read enough of the mapping to make this worthwhile. The
    /// host enters `wire::AHEAD` bytes without this call.
    0x49 storage_ahead(storage, length) -> ();

    /// Opens a storage of the host's state folder. The `length` bytes at `pointer` in the transfer
    /// buffer are its name (`state::name`). `flags` holds bits of `state::open`. The host chooses the
    /// number `storage`, above those of the launch request, and uses no number twice. A file that was
    /// created, or that holds an unfinished volume and is opened with `state::open::CREATE`, is
    /// empty. Returns `wire::Status::Missing` if there is no such storage and it must not be created,
    /// `wire::Status::InUse` if it is open already, here or in another process, and
    /// `wire::Status::NotSupported` if the host has no state folder.
    0x4a storage_open(pointer, length, flags) -> (status, storage);

    /// Closes a storage that `storage_open` has opened. Its mapping and its words about unread pages
    /// end, so the enclave must not read them any more.
    0x4b storage_close(storage) -> (status);

    /// Removes a storage of the state folder, durably. The `length` bytes at `pointer` in the transfer
    /// buffer are its name. Returns `wire::Status::Missing` if there is none, and
    /// `wire::Status::InUse` if it is open.
    0x4c storage_remove(pointer, length) -> (status);

    /// An operation on folder `folder` of the host, a number from the launch request. The transfer
    /// buffer holds an encoded `folder::Request` of `length` bytes, followed by the bytes to
    /// write. After the call it holds an encoded `folder::Answer` of `count` bytes, followed by
    /// the bytes that were read.
    0x50 folder(folder, pointer, length) -> (status, count);

    /// The program's compiled code, sealed by an enclave of this image in an earlier run and
    /// stored with `code_store`. The length is 0 if there is none. At most `wire::MAX_CODE`
    /// bytes.
    0x60 code_load() -> (pointer, length);

    /// A buffer of `length` bytes in host memory for sealed code, at most `wire::MAX_CODE`.
    0x61 code_buffer(length) -> (pointer, length);

    /// Stores the first `length` bytes of that buffer for later runs of this program.
    0x62 code_store(length) -> (status);

    /// Has a quoting enclave turn a report into a quote. The transfer buffer holds the report of
    /// `length` bytes (432) at `pointer`, for the target of the launch request. After the call it
    /// holds the quote, of `count` bytes, at its start: at most `wire::MAX_QUOTE` bytes.
    0x70 quote(pointer, length) -> (status, count);

    /// Takes the evidence of the launch: the `length` bytes at `pointer` in the transfer buffer, in
    /// the form of the launch request.
    0x71 evidence(pointer, length) -> (status);

    /// The TARGETINFO (SDM Vol. 3D, table 37-20) of enclaves of an older image that the host can
    /// start, in the transfer buffer: `count` bytes (512) at its start. `number` counts these images
    /// from 0. Returns `wire::Status::Missing` if there are fewer.
    0x72 handover_target(number) -> (status, count);

    /// Starts an enclave of the older image `number`, has it answer a request
    /// (`task::Task::Handover`), and ends it. The `length` bytes at `pointer` in the transfer buffer
    /// are a piece of the request. `flags` holds bits of `state::write`: a thread passes the pieces
    /// one after the other, from one with `state::write::FIRST` to one with `state::write::LAST`.
    /// After the last one the transfer buffer holds, at its start, the answer of `count` bytes: at
    /// most `wire::MAX_HANDOVER_ANSWER`. Returns `wire::Status::Denied` if the enclave refuses;
    /// the host tells its operator why. A request has at most `wire::MAX_HANDOVER_REQUEST` bytes.
    0x73 handover(number, pointer, length, flags) -> (status, count);

    /// Collateral for the quotes of one kind of platform, as JSON in host memory, which the host keeps
    /// until this thread makes the call again. `fmspc` is the platform's FMSPC, six bytes as a
    /// big-endian number, and `issuer` (`wire::Issuer`) says who certified it. The length is 0 if the
    /// host has none. At most `wire::MAX_COLLATERAL` bytes. Collateral is signed, and the enclave
    /// verifies it; the host chooses only among what its issuer has signed.
    0x74 collateral(fmspc, issuer) -> (pointer, length);

    /// The TARGETINFO of the quoting enclave (SDM Vol. 3D, "Report Target Info"), for which reports are
    /// made while the enclave runs. After the call the transfer buffer holds, at its start, its `count`
    /// bytes (512).
    0x75 quoting_target() -> (status, count);

    /// Reads a record of the host's state folder. The `length` bytes at `pointer` in the transfer
    /// buffer are its name (`state::name`). After the call the transfer buffer holds, at its start,
    /// `count` bytes of the record from byte `offset` on; `count` is 0 only at the end. A thread that
    /// reads on from an offset other than 0 gets the content that the record had at its first read.
    /// Returns `wire::Status::Missing` if there is no such record. This call and the next three return
    /// `wire::Status::NotSupported` if the host has no state folder.
    0x80 record_read(pointer, length, offset) -> (status, count);

    /// Writes a piece of a record. The transfer buffer holds the name, `name_length` bytes at
    /// `pointer`, and from the next multiple of 8 bytes on the piece, `data_length` bytes. `flags`
    /// holds bits of `state::write`. A thread writes one record at a time: its pieces follow each
    /// other, from one with `state::write::FIRST` to one with `state::write::LAST`. With the last one
    /// the new content replaces the old one and is durable when the call returns. Until then, and
    /// after a crash, the record has the old content or the new one, whole. After an error the host
    /// has dropped the pieces, unless the error came while it made the new content durable.
    0x81 record_write(pointer, name_length, data_length, flags) -> (status);

    /// Removes a record, durably. The `length` bytes at `pointer` in the transfer buffer are its name.
    /// Returns `wire::Status::Missing` if there is none.
    0x82 record_remove(pointer, length) -> (status);

    /// Finds the record whose name comes next, in the order of bytes, after the name of `length` bytes
    /// at `pointer` in the transfer buffer. With a `length` of 0, the first one. After the call the
    /// transfer buffer holds the found name, of `count` bytes, at its start. `count` is 0 if there is
    /// none.
    0x83 record_next(pointer, length) -> (status, count);
}
