//! The functions of WASI preview 1, which call their implementations. Each returns the errno of
//! POSIX for the case. If wasmtime's errno differs and programs depend on it, it returns
//! wasmtime's.

use crate::fd::io::At;
use crate::path::open::Opening;
use crate::path::operations::path;
use crate::types::{self, Errno, Fd, Result, clock, wasi_snapshot_preview1};
use crate::{Exit, Wasi};
use twine_vfs::Change;
use wiggle::{GuestMemory, GuestPtr};

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
        offset: types::Filesize,
        len: types::Filesize,
        advice: types::Advice,
    ) -> Result<()> {
        self.file_advise(fd, offset, len, advice)
    }

    fn fd_allocate(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        offset: types::Filesize,
        len: types::Filesize,
    ) -> Result<()> {
        self.file_allocate(fd, offset, len)
    }

    fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        self.close_number(fd)
    }

    fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        self.file_sync(fd, types::Rights::FD_DATASYNC, Change::Data)
    }

    fn fd_fdstat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Fdstat> {
        self.fdstat(fd)
    }

    fn fd_fdstat_set_flags(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        flags: types::Fdflags,
    ) -> Result<()> {
        self.set_flags(fd, flags)
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        base: types::Rights,
        inheriting: types::Rights,
    ) -> Result<()> {
        self.narrow_rights(fd, base, inheriting)
    }

    fn fd_filestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Filestat> {
        self.descriptor_filestat(fd)
    }

    fn fd_filestat_set_size(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        size: types::Filesize,
    ) -> Result<()> {
        self.set_size(fd, size)
    }

    fn fd_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        atim: types::Timestamp,
        mtim: types::Timestamp,
        flags: types::Fstflags,
    ) -> Result<()> {
        self.set_times(fd, atim, mtim, flags)
    }

    fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: types::IovecArray,
        offset: types::Filesize,
    ) -> Result<types::Size> {
        self.read(memory, fd, iovs, At::Offset(offset))
    }

    fn fd_prestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Prestat> {
        self.prestat(fd)
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<u8>,
        path_len: types::Size,
    ) -> Result<()> {
        self.prestat_name(memory, fd, path, path_len)
    }

    fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        ciovs: types::CiovecArray,
        offset: types::Filesize,
    ) -> Result<types::Size> {
        self.write(memory, fd, ciovs, At::Offset(offset))
    }

    fn fd_read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: types::IovecArray,
    ) -> Result<types::Size> {
        self.read(memory, fd, iovs, At::Position)
    }

    fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buf: GuestPtr<u8>,
        buf_len: types::Size,
        cookie: types::Dircookie,
    ) -> Result<types::Size> {
        self.read_directory(memory, fd, buf, buf_len, cookie)
    }

    fn fd_renumber(&mut self, _: &mut GuestMemory<'_>, from: Fd, to: Fd) -> Result<()> {
        self.renumber(from, to)
    }

    fn fd_seek(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        offset: types::Filedelta,
        whence: types::Whence,
    ) -> Result<types::Filesize> {
        self.seek(fd, offset, whence)
    }

    fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        self.file_sync(fd, types::Rights::FD_SYNC, Change::All)
    }

    fn fd_tell(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<types::Filesize> {
        self.tell(fd)
    }

    fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        ciovs: types::CiovecArray,
    ) -> Result<types::Size> {
        self.write(memory, fd, ciovs, At::Position)
    }

    fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        at: GuestPtr<str>,
    ) -> Result<()> {
        self.create_directory(fd, &path(memory, at)?)
    }

    fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        flags: types::Lookupflags,
        at: GuestPtr<str>,
    ) -> Result<types::Filestat> {
        self.path_filestat(fd, flags, &path(memory, at)?)
    }

    fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        flags: types::Lookupflags,
        at: GuestPtr<str>,
        atim: types::Timestamp,
        mtim: types::Timestamp,
        fst_flags: types::Fstflags,
    ) -> Result<()> {
        self.set_path_times(fd, flags, &path(memory, at)?, (atim, mtim, fst_flags))
    }

    fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_fd: Fd,
        old_flags: types::Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let (old, new) = (path(memory, old_path)?, path(memory, new_path)?);
        self.link((old_fd, old_flags, &old), (new_fd, &new))
    }

    fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        lookup: types::Lookupflags,
        at: GuestPtr<str>,
        oflags: types::Oflags,
        fs_rights_base: types::Rights,
        _fs_rights_inheriting: types::Rights,
        fdflags: types::Fdflags,
    ) -> Result<Fd> {
        let opening =
            Opening { lookup, flags: oflags, rights: fs_rights_base, descriptor_flags: fdflags };
        self.open(fd, &path(memory, at)?, &opening)
    }

    fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        at: GuestPtr<str>,
        buf: GuestPtr<u8>,
        buf_len: types::Size,
    ) -> Result<types::Size> {
        self.read_link(memory, fd, at, buf, buf_len)
    }

    fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        at: GuestPtr<str>,
    ) -> Result<()> {
        self.remove_directory(fd, &path(memory, at)?)
    }

    fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let (old, new) = (path(memory, old_path)?, path(memory, new_path)?);
        self.rename((fd, &old), (new_fd, &new))
    }

    fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_path: GuestPtr<str>,
        fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let (target, at) = (path(memory, old_path)?, path(memory, new_path)?);
        self.symlink(&target, fd, &at)
    }

    fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        at: GuestPtr<str>,
    ) -> Result<()> {
        self.unlink(fd, &path(memory, at)?)
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
        const CHUNK: u32 = 4096;
        let mut chunk = [0; CHUNK as usize];
        let mut done = 0;
        while done < buf_len {
            let length = (buf_len - done).min(CHUNK);
            let (part, _) = chunk.split_at_mut(length as usize);
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
        flags: types::Fdflags,
    ) -> Result<Fd> {
        self.accept(fd, flags)
    }

    fn sock_recv(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        ri_data: types::IovecArray,
        ri_flags: types::Riflags,
    ) -> Result<(types::Size, types::Roflags)> {
        self.socket_receive(memory, fd, ri_data, ri_flags)
    }

    fn sock_send(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        si_data: types::CiovecArray,
        si_flags: types::Siflags,
    ) -> Result<types::Size> {
        self.socket_send(memory, fd, si_data, si_flags)
    }

    fn sock_shutdown(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        how: types::Sdflags,
    ) -> Result<()> {
        self.socket_shut_down(fd, how)
    }
}
