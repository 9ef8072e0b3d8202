//! The functions of WASI preview 1, each with the errno that POSIX has for the case.

use crate::descriptor::Descriptor;
use crate::{Exit, Wasi};
use twine_protocol::wire::Clock;
use wiggle::{GuestMemory, GuestPtr};

wiggle::from_witx!({
    witx: ["witx/wasi_snapshot_preview1.witx"],
    errors: { errno => trappable Error },
    wasmtime: false,
    tracing: false,
});

use types::{Errno, Error, Fd};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) fn clock(id: types::Clockid) -> Clock {
    match id {
        types::Clockid::Realtime => Clock::Realtime,
        types::Clockid::Monotonic => Clock::Monotonic,
        types::Clockid::ProcessCputimeId => Clock::ProcessCpu,
        types::Clockid::ThreadCputimeId => Clock::ThreadCpu,
    }
}

impl Wasi {
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
        self.read_stream(memory, fd, iovs)
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
        self.write_stream(memory, fd, ciovs)
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
