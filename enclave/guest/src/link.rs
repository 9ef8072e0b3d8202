//! Links the generated glue to wasmtime, with one line for each function and its WebAssembly type.

use crate::functions::Guest;
use crate::types::twine_attestation as generated;
use twine_wasi::with_memory;
use wasmtime::{Caller, Linker, Result};

/// The name of the module that programs import from.
pub const MODULE: &str = "twine:attestation";

macro_rules! functions {
    ($($name:ident($($argument:ident),*);)+) => {
        /// Whether [`add_to_linker`] defines a function of this name.
        pub fn provides(module: &str, name: &str) -> bool {
            module == MODULE && [$(stringify!($name)),+].contains(&name)
        }

        /// Defines all functions of `twine:attestation`.
        ///
        /// # Errors
        /// One of them is defined already.
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            guest: impl Fn(&mut T) -> &mut Guest + Send + Sync + Copy + 'static,
        ) -> Result<()> {
            $(linker.func_wrap(
                MODULE,
                stringify!($name),
                move |mut caller: Caller<'_, T> $(, $argument: i32)*| {
                    with_memory(&mut caller, guest, |guest, memory| {
                        generated::$name(guest, memory $(, $argument)*)
                    })
                },
            )?;)+
            Ok(())
        }
    };
}

functions! {
    evidence(a, b, c, d, e, f, g);
    verify(a, b, c, d, e, f, g, h, i, j, k);
    own_policy(a, b, c, d, e);
    seal(a, b, c, d, e, f, g);
    unseal(a, b, c, d, e, f, g);
}
