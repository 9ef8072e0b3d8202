//! The functions of WASI preview 1, each with the errno that POSIX has for the case.

use crate::descriptor::{Descriptor, Stream};
use crate::{Exit, Strings, Wasi};
use twine_protocol::wire::{Clock, PollRecord, Status, StreamKind, poll};
use wiggle::{GuestError, GuestMemory, GuestPtr};

wiggle::from_witx!({
    witx: ["witx/wasi_snapshot_preview1.witx"],
    errors: { errno => trappable Error },
    wasmtime: false,
    tracing: false,
});

use types::{Errno, Error, Fd};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Most bytes of one read or write; a program gets a short count beyond.
const MOST_BYTES: usize = twine_protocol::wire::TRANSFER_BUFFER_SIZE as usize;

impl wiggle::GuestErrorType for Errno {
    fn success() -> Self {
        Errno::Success
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::InvalidFlagValue { .. } | GuestError::InvalidEnumValue { .. } => {
                Errno::Inval.into()
            }
            // The witx conventions say that a function traps for these.
            GuestError::PtrOverflow
            | GuestError::PtrOutOfBounds { .. }
            | GuestError::PtrNotAligned { .. } => Error::trap(error.into()),
            GuestError::InvalidUtf8 { .. } => Errno::Ilseq.into(),
            GuestError::TryFromIntError { .. } => Errno::Overflow.into(),
            GuestError::SliceLengthsDiffer => Errno::Fault.into(),
            GuestError::InFunc { err, .. } => Error::from(*err),
        }
    }
}

impl From<Status> for Errno {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Errno::Success,
            Status::Io => Errno::Io,
            Status::BadStream => Errno::Badf,
            Status::BrokenPipe => Errno::Pipe,
            Status::NoSpace => Errno::Nospc,
            Status::WouldBlock => Errno::Again,
            Status::Interrupted => Errno::Intr,
            Status::Invalid => Errno::Inval,
            Status::NotSupported => Errno::Notsup,
            Status::Denied => Errno::Acces,
            Status::NoMemory => Errno::Nomem,
            Status::FileTooBig => Errno::Fbig,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Errno::from(status).into()
    }
}

pub(crate) fn clock(id: types::Clockid) -> Clock {
    match id {
        types::Clockid::Realtime => Clock::Realtime,
        types::Clockid::Monotonic => Clock::Monotonic,
        types::Clockid::ProcessCputimeId => Clock::ProcessCpu,
        types::Clockid::ThreadCputimeId => Clock::ThreadCpu,
    }
}

impl Strings {
    fn sizes(&self) -> (types::Size, types::Size) {
        (self.strings.len() as u32, self.size)
    }

    fn write(
        &self,
        memory: &mut GuestMemory<'_>,
        mut pointers: GuestPtr<GuestPtr<u8>>,
        mut bytes: GuestPtr<u8>,
    ) -> Result<()> {
        for string in &self.strings {
            let length = string.len() as u32;
            memory.write(pointers, bytes)?;
            memory.copy_from_slice(string, bytes.as_array(length))?;
            pointers = pointers.add(1)?;
            bytes = bytes.add(length)?;
        }
        Ok(())
    }
}

impl Wasi {
    /// A stream that may be used so, or why not.
    fn stream_for(&mut self, fd: Fd, right: types::Rights) -> Result<&mut Stream> {
        let stream = self.descriptors.stream(fd.into())?;
        if stream.rights.contains(right) { Ok(stream) } else { Err(Errno::Badf.into()) }
    }

    /// An open descriptor that can't be the directory a path starts from.
    fn not_a_directory<T>(&self, fd: Fd) -> Result<T> {
        match self.descriptors.get(fd.into())? {
            Descriptor::Stream(_) => Err(Errno::Notdir.into()),
        }
    }

    /// An open descriptor that can't do what only a file can.
    fn not_a_file<T>(&self, fd: Fd, errno: Errno) -> Result<T> {
        match self.descriptors.get(fd.into())? {
            Descriptor::Stream(_) => Err(errno.into()),
        }
    }

    fn file_type(&mut self, number: u64) -> Result<types::Filetype, Errno> {
        Ok(match self.system.kind(number)? {
            StreamKind::Terminal | StreamKind::Device => types::Filetype::CharacterDevice,
            StreamKind::File => types::Filetype::RegularFile,
            StreamKind::Pipe => types::Filetype::Unknown,
        })
    }

    /// With `NONBLOCK` set, says `AGAIN` where a call would have to wait.
    fn ready_or_again(&mut self, stream: u64, events: u64) -> Result<()> {
        let mut records = [PollRecord { stream, events, bytes: 0 }];
        self.system.poll(&mut records, 0)?;
        if records[0].events == 0 { Err(Errno::Again.into()) } else { Ok(()) }
    }
}

impl wasi_snapshot_preview1::WasiSnapshotPreview1 for Wasi {
    fn args_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        argv: GuestPtr<GuestPtr<u8>>,
        argv_buf: GuestPtr<u8>,
    ) -> Result<()> {
        self.arguments.write(memory, argv, argv_buf)
    }

    fn args_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(types::Size, types::Size)> {
        Ok(self.arguments.sizes())
    }

    fn environ_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        environ: GuestPtr<GuestPtr<u8>>,
        environ_buf: GuestPtr<u8>,
    ) -> Result<()> {
        self.environment.write(memory, environ, environ_buf)
    }

    fn environ_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(types::Size, types::Size)> {
        Ok(self.environment.sizes())
    }

    fn clock_res_get(
        &mut self,
        _: &mut GuestMemory<'_>,
        id: types::Clockid,
    ) -> Result<types::Timestamp> {
        Ok(self.system.resolution(clock(id))?)
    }

    fn clock_time_get(
        &mut self,
        _: &mut GuestMemory<'_>,
        id: types::Clockid,
        _precision: types::Timestamp,
    ) -> Result<types::Timestamp> {
        Ok(self.system.time(clock(id))?)
    }

    fn fd_advise(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _offset: types::Filesize,
        _len: types::Filesize,
        _advice: types::Advice,
    ) -> Result<()> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_allocate(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _offset: types::Filesize,
        _len: types::Filesize,
    ) -> Result<()> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        Ok(self.descriptors.close(fd.into())?)
    }

    fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        self.not_a_file(fd, Errno::Inval)
    }

    fn fd_fdstat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Fdstat> {
        let stream = self.descriptors.stream(fd.into())?.clone();
        Ok(types::Fdstat {
            fs_filetype: self.file_type(stream.number)?,
            fs_flags: stream.flags(),
            fs_rights_base: stream.rights,
            fs_rights_inheriting: types::Rights::empty(),
        })
    }

    fn fd_fdstat_set_flags(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        flags: types::Fdflags,
    ) -> Result<()> {
        let stream = self.stream_for(fd, types::Rights::FD_FDSTAT_SET_FLAGS)?;
        if flags.intersects(types::Fdflags::DSYNC | types::Fdflags::SYNC | types::Fdflags::RSYNC) {
            return Err(Errno::Inval.into());
        }
        stream.nonblocking = flags.contains(types::Fdflags::NONBLOCK);
        Ok(())
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        base: types::Rights,
        inheriting: types::Rights,
    ) -> Result<()> {
        let stream = self.descriptors.stream(fd.into())?;
        if !stream.rights.contains(base) || !inheriting.is_empty() {
            return Err(Errno::Notcapable.into());
        }
        stream.rights = base;
        Ok(())
    }

    fn fd_filestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Filestat> {
        let number = self.stream_for(fd, types::Rights::FD_FILESTAT_GET)?.number;
        Ok(types::Filestat {
            dev: 0,
            ino: 0,
            filetype: self.file_type(number)?,
            nlink: 1,
            size: 0,
            atim: 0,
            mtim: 0,
            ctim: 0,
        })
    }

    fn fd_filestat_set_size(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _size: types::Filesize,
    ) -> Result<()> {
        self.not_a_file(fd, Errno::Inval)
    }

    fn fd_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _atim: types::Timestamp,
        _mtim: types::Timestamp,
        _flags: types::Fstflags,
    ) -> Result<()> {
        self.not_a_file(fd, Errno::Inval)
    }

    fn fd_pread(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _iovs: types::IovecArray,
        _offset: types::Filesize,
    ) -> Result<types::Size> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_prestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Prestat> {
        // wasi-libc looks for the end of the preopened directories by this errno.
        self.not_a_file(fd, Errno::Badf)
    }

    fn fd_prestat_dir_name(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _path: GuestPtr<u8>,
        _path_len: types::Size,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn fd_pwrite(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _ciovs: types::CiovecArray,
        _offset: types::Filesize,
    ) -> Result<types::Size> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: types::IovecArray,
    ) -> Result<types::Size> {
        let stream = self.stream_for(fd, types::Rights::FD_READ)?.clone();
        let mut targets = Vec::new();
        let mut room = 0usize;
        for iov in iovs.iter() {
            let iov = memory.read(iov?)?;
            let length = (iov.buf_len as usize).min(MOST_BYTES - room);
            if length > 0 {
                let target = iov.buf.as_array(length as u32);
                // A buffer out of bounds traps before a byte is taken from the stream.
                memory.as_cow(target)?;
                targets.push(target);
                room += length;
            }
            if room == MOST_BYTES {
                break;
            }
        }
        if room == 0 {
            return Ok(0);
        }
        if stream.nonblocking {
            self.ready_or_again(stream.number, poll::READ)?;
        }
        let mut bytes = vec![0; room];
        let read = self.system.read(stream.number, &mut bytes)?;
        let mut rest = &bytes[..read];
        for target in targets {
            let length = rest.len().min(target.len() as usize);
            let (part, after) = rest.split_at(length);
            memory.copy_from_slice(part, target.as_ptr().as_array(length as u32))?;
            rest = after;
        }
        Ok(read as types::Size)
    }

    fn fd_readdir(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _buf: GuestPtr<u8>,
        _buf_len: types::Size,
        _cookie: types::Dircookie,
    ) -> Result<types::Size> {
        self.not_a_directory(fd)
    }

    fn fd_renumber(&mut self, _: &mut GuestMemory<'_>, from: Fd, to: Fd) -> Result<()> {
        Ok(self.descriptors.renumber(from.into(), to.into())?)
    }

    fn fd_seek(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _offset: types::Filedelta,
        _whence: types::Whence,
    ) -> Result<types::Filesize> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        self.not_a_file(fd, Errno::Inval)
    }

    fn fd_tell(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Filesize> {
        self.not_a_file(fd, Errno::Spipe)
    }

    fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        ciovs: types::CiovecArray,
    ) -> Result<types::Size> {
        let stream = self.stream_for(fd, types::Rights::FD_WRITE)?.clone();
        // All pieces leave in one host call: a line of `printf` is one exit.
        let mut bytes = Vec::new();
        for ciov in ciovs.iter() {
            let ciov = memory.read(ciov?)?;
            let length = (ciov.buf_len as usize).min(MOST_BYTES - bytes.len());
            bytes.extend_from_slice(&memory.as_cow(ciov.buf.as_array(length as u32))?);
            if bytes.len() == MOST_BYTES {
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if stream.nonblocking {
            self.ready_or_again(stream.number, poll::WRITE)?;
        }
        Ok(self.system.write(stream.number, &bytes)? as types::Size)
    }

    fn path_create_directory(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _path: GuestPtr<str>,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn path_filestat_get(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _flags: types::Lookupflags,
        _path: GuestPtr<str>,
    ) -> Result<types::Filestat> {
        self.not_a_directory(fd)
    }

    fn path_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _flags: types::Lookupflags,
        _path: GuestPtr<str>,
        _atim: types::Timestamp,
        _mtim: types::Timestamp,
        _fst_flags: types::Fstflags,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn path_link(
        &mut self,
        _: &mut GuestMemory<'_>,
        old_fd: Fd,
        _old_flags: types::Lookupflags,
        _old_path: GuestPtr<str>,
        new_fd: Fd,
        _new_path: GuestPtr<str>,
    ) -> Result<()> {
        self.descriptors.get(new_fd.into())?;
        self.not_a_directory(old_fd)
    }

    fn path_open(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _dirflags: types::Lookupflags,
        _path: GuestPtr<str>,
        _oflags: types::Oflags,
        _fs_rights_base: types::Rights,
        _fs_rights_inheriting: types::Rights,
        _fdflags: types::Fdflags,
    ) -> Result<Fd> {
        self.not_a_directory(fd)
    }

    fn path_readlink(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _path: GuestPtr<str>,
        _buf: GuestPtr<u8>,
        _buf_len: types::Size,
    ) -> Result<types::Size> {
        self.not_a_directory(fd)
    }

    fn path_remove_directory(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _path: GuestPtr<str>,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn path_rename(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _old_path: GuestPtr<str>,
        new_fd: Fd,
        _new_path: GuestPtr<str>,
    ) -> Result<()> {
        self.descriptors.get(new_fd.into())?;
        self.not_a_directory(fd)
    }

    fn path_symlink(
        &mut self,
        _: &mut GuestMemory<'_>,
        _old_path: GuestPtr<str>,
        fd: Fd,
        _new_path: GuestPtr<str>,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn path_unlink_file(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _path: GuestPtr<str>,
    ) -> Result<()> {
        self.not_a_directory(fd)
    }

    fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<types::Subscription>,
        events: GuestPtr<types::Event>,
        count: types::Size,
    ) -> Result<types::Size> {
        self.poll(memory, subscriptions, events, count)
    }

    fn proc_exit(&mut self, _: &mut GuestMemory<'_>, code: types::Exitcode) -> wasmtime::Error {
        wasmtime::Error::new(Exit(code))
    }

    fn proc_raise(&mut self, _: &mut GuestMemory<'_>, _signal: types::Signal) -> Result<()> {
        Err(Errno::Notsup.into())
    }

    fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> Result<()> {
        self.system.yield_now();
        Ok(())
    }

    fn random_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        buf: GuestPtr<u8>,
        buf_len: types::Size,
    ) -> Result<()> {
        let mut chunk = [0; 4096];
        let mut done = 0;
        while done < buf_len {
            let length = (buf_len - done).min(chunk.len() as u32);
            let part = &mut chunk[..length as usize];
            getrandom::fill(part).map_err(|_| Errno::Io)?;
            memory.copy_from_slice(part, buf.add(done)?.as_array(length))?;
            done += length;
        }
        Ok(())
    }

    fn sock_accept(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _flags: types::Fdflags,
    ) -> Result<Fd> {
        self.not_a_file(fd, Errno::Notsock)
    }

    fn sock_recv(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _ri_data: types::IovecArray,
        _ri_flags: types::Riflags,
    ) -> Result<(types::Size, types::Roflags)> {
        self.not_a_file(fd, Errno::Notsock)
    }

    fn sock_send(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _si_data: types::CiovecArray,
        _si_flags: types::Siflags,
    ) -> Result<types::Size> {
        self.not_a_file(fd, Errno::Notsock)
    }

    fn sock_shutdown(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _how: types::Sdflags,
    ) -> Result<()> {
        self.not_a_file(fd, Errno::Notsock)
    }
}
