//! The host calls.
//!
//! A host call is an EDP usercall with a number of [`USER_DEFINED`] or above: the
//! enclave leaves with EEXIT, `RDI` holds the number and `RSI`, `RDX`, `R8`, `R9` the
//! arguments; the host serves it on the same thread and enters again with the two
//! results in `RSI` and `RDX`. One exit, one entry, no other thread involved.

/// The first number that the EDP ABI leaves to its users.
pub const USER_DEFINED: u64 = 0x8000_0000;

/// What the enclave says, in `RDI`, when the host has entered a thread with EENTER that an
/// exception has stopped: the only other thing that a host can do with such a thread is ERESUME.
pub mod exception {
    /// It is dealt with: ERESUME goes on.
    pub const DEALT_WITH: u64 = super::USER_DEFINED + 0x7fff_0000;
    /// The enclave sees nothing that would stop the thread any more: ERESUME tries again.
    pub const GONE: u64 = super::USER_DEFINED + 0x7fff_0001;
    /// The enclave has no answer to it, and nothing was changed.
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

/// The one way out of the enclave, as [`stub`] needs it.
pub trait RawCall {
    /// Leaves the enclave with `number` and four arguments, and returns what the host
    /// answered: two values that are not to be trusted.
    fn raw_call(&self, number: u64, arguments: [u64; 4]) -> (u64, u64);
}

macro_rules! host_calls {
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
            use super::RawCall;
            $($(#[doc = $doc])+
            pub fn $name<R: RawCall + ?Sized>(raw: &R $(, $argument: u64)*) -> (u64, u64) {
                raw.raw_call(super::number::$name, host_calls!(@pad $($argument)*))
            })+
        }

        /// The host's side: one method for each host call.
        pub trait HostCalls {
            $($(#[doc = $doc])+
            fn $name(&mut self $(, $argument: u64)*) -> (u64, u64);)+
        }

        /// Serves the call with that number, or answers `None` for a number that is no
        /// host call.
        pub fn dispatch<H: HostCalls + ?Sized>(
            host: &mut H,
            number: u64,
            arguments: [u64; 4],
        ) -> Option<(u64, u64)> {
            match number {
                $(self::number::$name => {
                    let [$($argument,)* ..] = arguments;
                    Some(host.$name($($argument),*))
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
    /// Does nothing. What an exit and an entry cost is measured with it.
    0x00 nothing() -> ();

    /// A buffer of host memory for this thread, through which the calls below pass
    /// bytes. The host gives each thread one and keeps it until the thread ends. The
    /// enclave checks that all of it lies outside, that it is aligned to 8 bytes and
    /// that its length is within `wire::TRANSFER_BUFFER_SIZE`.
    0x01 transfer_buffer() -> (pointer, length);

    /// The launch request (`launch::Launch`) as bytes in host memory, copied in once and
    /// then decoded. At most `wire::MAX_LAUNCH` bytes.
    0x02 launch_request() -> (pointer, length);

    /// The bytes of the program in host memory. The enclave copies them in once, hashes
    /// the copy and compiles the copy; or, where it has opened kept code, copies them in piece
    /// by piece, for nothing but their hash. At most `wire::MAX_PROGRAM` bytes.
    0x03 program() -> (pointer, length);

    /// The outcome of the run (`launch::Outcome`), encoded, in the transfer buffer. The
    /// enclave makes this call once, before it ends.
    0x04 report(pointer, length) -> (status);

    /// An allocation of `size` bytes failed: the enclave's heap is used up. The enclave
    /// ends soon, most often, and the host can then say why.
    0x05 memory_exhausted(size) -> ();

    /// The enclave panicked at the place in its source that the `length` bytes at
    /// `pointer` in host memory name. It ends after this call.
    0x06 panicked(pointer, length) -> ();

    /// Long work has come so far: `done` of `total` (0: not known) units, a `wire::Unit`.
    0x07 progress(done, total, unit) -> ();

    /// Reads at most `length` bytes from stream `stream` (0) into host memory at
    /// `pointer`. Waits until there is a byte or the end. `count` is 0 at the end only.
    0x10 stream_read(stream, pointer, length) -> (status, count);

    /// Writes the `length` bytes at `pointer` in host memory to stream `stream` (1 or 2).
    /// `count` is how many were written, at least one unless `length` is 0.
    0x11 stream_write(stream, pointer, length) -> (status, count);

    /// What stream `stream` (0, 1 or 2) is connected to: a `wire::StreamKind`.
    0x12 stream_kind(stream) -> (status, kind);

    /// Waits until one of the `count` poll records (`wire::PollRecord`) at `pointer`, of
    /// streams or sockets, is
    /// ready or `timeout` nanoseconds have gone by (`u64::MAX`: no limit); fills in
    /// their results. With no records it sleeps, and a sleep without a limit is
    /// `wire::Status::Interrupted` when the user interrupts the program.
    0x13 poll(pointer, count, timeout) -> (status, ready);

    /// Accepts a connection on listening socket `listener`; its number, which the host
    /// chooses. Sockets share their numbers with the streams: the listening ones of the
    /// launch request are 3 and so on. If `wait` is not 0, waits for one.
    0x14 socket_accept(listener, wait) -> (status, socket);

    /// Receives at most `length` bytes from connection `socket` into the transfer buffer at
    /// `pointer`; with the bits `wire::socket` in `flags`. `count` is 0 at the end only.
    0x15 socket_receive(socket, pointer, length, flags) -> (status, count);

    /// Sends some of the `length` bytes at `pointer` in the transfer buffer on connection
    /// `socket`; with the bits `wire::socket` in `flags`.
    0x16 socket_send(socket, pointer, length, flags) -> (status, count);

    /// Ends receiving, sending or both on connection `socket`: bits `wire::socket`.
    0x17 socket_shut_down(socket, flags) -> (status);

    /// Closes a socket.
    0x18 socket_close(socket) -> (status);

    /// The time of a clock (`wire::Clock`) in nanoseconds. Not trusted; the enclave lets
    /// the monotonic clock never go back.
    0x20 clock_time(clock) -> (status, nanoseconds);

    /// The resolution of a clock (`wire::Clock`) in nanoseconds.
    0x21 clock_resolution(clock) -> (status, nanoseconds);

    /// Lets other threads of the host run.
    0x22 yield_now() -> (status);

    /// Asks the operating system to give the pages from `address` on the permissions
    /// `wire::permission` in `permissions` (on SGX2: EMODPR where they become fewer, then
    /// the page tables). The enclave believes it only after EACCEPT. `length` is in
    /// bytes; both are multiples of 4096. `wire::Status::NotSupported` where the platform
    /// has no SGX2.
    0x30 restrict_pages(address, length, permissions) -> (status);

    /// Asks the operating system to let the pages from `address` on be used with
    /// `permissions` in its page tables, after the enclave has extended them (EMODPE).
    0x31 extend_pages(address, length, permissions) -> (status);

    /// Asks the operating system for zeroed pages from `address` on, where there are none (on
    /// SGX2: EAUG, at once or when EACCEPT first touches them). The enclave uses none before
    /// EACCEPT. `length` is in bytes; both are multiples of 4096. `wire::Status::NotSupported`
    /// where the platform has no SGX2.
    0x32 add_pages(address, length) -> (status);

    /// Bytes of the file behind storage `storage`, a number of the launch request's.
    0x40 storage_size(storage) -> (status, size);

    /// Makes that file `size` bytes long; what is added reads as zero.
    0x41 storage_resize(storage, size) -> (status);

    /// A mapping of that file for reading, from its start on. It may be longer than the
    /// file: what lies beyond its end must not be read. The host keeps it until the
    /// enclave ends. The enclave copies from it what it wants to read, with no call, unless
    /// `storage_unread` tells of pages there.
    0x42 storage_map(storage) -> (pointer, length);

    /// Writes the `length` bytes at `pointer`, in the transfer buffer, at byte `offset` of
    /// that file; all of them or an error.
    0x43 storage_write(storage, offset, pointer, length) -> (status);

    /// Returns when all that was written to that file is durable (`fdatasync`).
    0x44 storage_sync(storage) -> (status);

    /// Writes as `storage_write` does, and returns when these bytes, and all that was
    /// written to that file before, are durable.
    0x45 storage_write_through(storage, offset, pointer, length) -> (status);

    /// Writes as `storage_write` does, to several places: at `pointer`, in the transfer
    /// buffer, lie the bytes of `count` pieces, one after the other, and behind them, in the same
    /// order, where each goes (`wire::Piece`); `length` bytes in all. After an error any of them
    /// may have been written.
    0x46 storage_write_pieces(storage, pointer, length, count) -> (status);

    /// Two words of host memory, a `wire::Unread`: in which part of that file there are pages
    /// that could not be read when the enclave touched them in the mapping. The mapping has
    /// zeros in their place. The host keeps the words until the enclave ends, and writes them
    /// before the enclave goes on. The enclave reads them after each copy from the mapping; what
    /// overlaps that part it takes by `storage_read` instead.
    0x47 storage_unread(storage) -> (pointer, length);

    /// Reads the `length` bytes at byte `offset` of that file into the transfer buffer at
    /// `pointer`: all of them or an error, `wire::Status::Short` where the file ends before.
    0x48 storage_read(storage, offset, pointer, length) -> (status);

    /// The enclave has read so much of the mapping of that file that it is worth while to enter
    /// its first `length` bytes into the page tables. `wire::AHEAD` bytes are entered without it.
    0x49 storage_ahead(storage, length) -> ();

    /// An operation on folder `folder` of the host's, a number of the launch request's. The
    /// transfer buffer holds a `folder::Request` of `length` bytes, encoded, and after
    /// it what is to be written; after the call, an encoded `folder::Answer` of `count`
    /// bytes, and after it what was read.
    0x50 folder(folder, pointer, length) -> (status, count);

    /// The program's compiled code, as an enclave of this image sealed it in an earlier run
    /// and gave it to `code_store`; a length of 0 where there is none. At most
    /// `wire::MAX_CODE` bytes.
    0x60 code_load() -> (pointer, length);

    /// A buffer of `length` bytes in host memory, at most `wire::MAX_CODE`, for sealed code.
    0x61 code_buffer(length) -> (pointer, length);

    /// Keeps the first `length` bytes of that buffer for later runs of this program.
    0x62 code_store(length) -> (status);
}
