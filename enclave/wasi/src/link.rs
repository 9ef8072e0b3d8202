//! Links the generated glue to wasmtime, with one line for each function and its WebAssembly type.

use crate::Wasi;
use crate::types::Errno;
use crate::types::wasi_snapshot_preview1 as generated;
use wasmtime::{Caller, Extern, Linker, Result, Trap, bail};
use wiggle::{GuestError, GuestMemory};

/// Calls `body` with the program's memory and what serves its call.
///
/// # Errors
/// The program exports no memory, or the error of `body`.
pub fn with_memory<T, C, R>(
    caller: &mut Caller<'_, T>,
    context: impl Fn(&mut T) -> &mut C,
    body: impl FnOnce(&mut C, &mut GuestMemory<'_>) -> Result<R>,
) -> Result<R> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            let (bytes, data) = memory.data_and_store_mut(caller);
            body(context(data), &mut GuestMemory::Unshared(bytes))
        }
        Some(Extern::SharedMemory(memory)) => {
            body(context(caller.data_mut()), &mut GuestMemory::Shared(memory.data()))
        }
        _ => bail!("a program that calls WASI must export its memory as `memory`"),
    }
}

/// The result type of a function.
trait Answer: Sized {
    /// Returns an errno, if the type is an errno.
    fn errno(errno: Errno) -> Option<Self>;
}

impl Answer for i32 {
    fn errno(errno: Errno) -> Option<Self> {
        Some(errno as i32)
    }
}

impl Answer for () {
    fn errno(_: Errno) -> Option<Self> {
        None
    }
}

/// Returns `INVAL` for a value outside a parameter's type. C libraries pass on values of the
/// program, and other systems answer such values with an error.
fn answered<R: Answer>(result: Result<R>) -> Result<R> {
    fn is_out_of_range(error: &GuestError) -> bool {
        match error {
            GuestError::InvalidFlagValue(_)
            | GuestError::InvalidEnumValue(_)
            | GuestError::TryFromIntError(_) => true,
            GuestError::InFunc { err, .. } => is_out_of_range(err),
            _ => false,
        }
    }
    result.or_else(|error| match error.downcast_ref() {
        Some(guest) if is_out_of_range(guest) => R::errno(Errno::Inval).ok_or(error),
        _ => Err(error),
    })
}

/// The name of the module that programs import from.
const MODULE: &str = "wasi_snapshot_preview1";

macro_rules! functions {
    ($($name:ident($($argument:ident: $ty:ty),*);)+) => {
        /// Whether [`add_to_linker`] defines a function of this name.
        pub fn provides(module: &str, name: &str) -> bool {
            module == MODULE && [$(stringify!($name)),+].contains(&name)
        }

        /// Defines all functions of `wasi_snapshot_preview1`.
        ///
        /// # Errors
        /// One of them is defined already.
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            wasi: impl Fn(&mut T) -> &mut Wasi + Send + Sync + Copy + 'static,
        ) -> Result<()> {
            $(linker.func_wrap(
                MODULE,
                stringify!($name),
                move |mut caller: Caller<'_, T> $(, $argument: $ty)*| {
                    with_memory(&mut caller, wasi, |wasi, memory| {
                        let answer = answered(generated::$name(wasi, memory $(, $argument)*));
                        // What the call returned would let the program go on, or choose its end.
                        if wasi.is_over() { Err(Trap::Interrupt.into()) } else { answer }
                    })
                },
            )?;)+
            Ok(())
        }
    };
}

functions! {
    args_get(a: i32, b: i32);
    args_sizes_get(a: i32, b: i32);
    clock_res_get(a: i32, b: i32);
    clock_time_get(a: i32, b: i64, c: i32);
    environ_get(a: i32, b: i32);
    environ_sizes_get(a: i32, b: i32);
    fd_advise(a: i32, b: i64, c: i64, d: i32);
    fd_allocate(a: i32, b: i64, c: i64);
    fd_close(a: i32);
    fd_datasync(a: i32);
    fd_fdstat_get(a: i32, b: i32);
    fd_fdstat_set_flags(a: i32, b: i32);
    fd_fdstat_set_rights(a: i32, b: i64, c: i64);
    fd_filestat_get(a: i32, b: i32);
    fd_filestat_set_size(a: i32, b: i64);
    fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32);
    fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_prestat_dir_name(a: i32, b: i32, c: i32);
    fd_prestat_get(a: i32, b: i32);
    fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_read(a: i32, b: i32, c: i32, d: i32);
    fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_renumber(a: i32, b: i32);
    fd_seek(a: i32, b: i64, c: i32, d: i32);
    fd_sync(a: i32);
    fd_tell(a: i32, b: i32);
    fd_write(a: i32, b: i32, c: i32, d: i32);
    path_create_directory(a: i32, b: i32, c: i32);
    path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32);
    path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32);
    path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32);
    path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32);
    path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    path_remove_directory(a: i32, b: i32, c: i32);
    path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32);
    path_unlink_file(a: i32, b: i32, c: i32);
    poll_oneoff(a: i32, b: i32, c: i32, d: i32);
    proc_exit(a: i32);
    proc_raise(a: i32);
    random_get(a: i32, b: i32);
    sched_yield();
    sock_accept(a: i32, b: i32, c: i32);
    sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    sock_send(a: i32, b: i32, c: i32, d: i32, e: i32);
    sock_shutdown(a: i32, b: i32);
}
