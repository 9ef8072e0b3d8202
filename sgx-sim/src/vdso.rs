//! The kernel's own `__vdso_sgx_enter_enclave`, and the simulator's function of the same name.

use std::sync::OnceLock;

use crate::enter::EnterFn;

/// Returns the kernel's entry function for hardware enclaves, if this kernel has one.
pub fn kernel_vdso_enter() -> Option<EnterFn> {
    static FOUND: OnceLock<Option<EnterFn>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the auxiliary vector has the address of the vDSO, or zero.
        let image = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
        if image == 0 {
            return None;
        }
        // SAFETY: as above; the mapping is never removed.
        let address = unsafe { elf::find_symbol(image, c"__vdso_sgx_enter_enclave") }?;
        // SAFETY: the symbol is a function, whose interface `EnterFn` leaves to the caller.
        Some(unsafe { std::mem::transmute::<usize, EnterFn>(address) })
    })
}

/// The part of ELF that is needed to find a symbol in the vDSO.
mod elf {
    use core::ffi::CStr;
    use libc::{Elf64_Ehdr, Elf64_Phdr, Elf64_Sym};

    const DT_STRTAB: u64 = 5;
    const DT_SYMTAB: u64 = 6;
    const DT_HASH: u64 = 4;
    const DT_GNU_HASH: u64 = 0x6fff_fef5;

    #[derive(Default)]
    struct Dynamic {
        strings: usize,
        symbols: usize,
        hash: usize,
        gnu_hash: usize,
    }

    /// # Safety
    /// `image` is a shared object that the kernel has mapped.
    pub(super) unsafe fn find_symbol(image: usize, name: &CStr) -> Option<usize> {
        // SAFETY: the kernel's image is well-formed, so every offset leads to the structure that it
        // names.
        unsafe {
            let (bias, dynamic) = dynamic(image)?;
            if dynamic.strings == 0 || dynamic.symbols == 0 {
                return None;
            }
            let symbols = dynamic.symbols as *const Elf64_Sym;
            (0..symbol_count(&dynamic)?)
                .map(|index| &*symbols.add(index))
                .find(|symbol| {
                    let found = (dynamic.strings + symbol.st_name as usize) as *const libc::c_char;
                    symbol.st_shndx != 0 && CStr::from_ptr(found) == name
                })
                .map(|symbol| bias.wrapping_add(symbol.st_value as usize))
        }
    }

    unsafe fn dynamic(image: usize) -> Option<(usize, Dynamic)> {
        // SAFETY: as in `find_symbol`.
        unsafe {
            let header = &*(image as *const Elf64_Ehdr);
            let programs = std::slice::from_raw_parts(
                (image + header.e_phoff as usize) as *const Elf64_Phdr,
                header.e_phnum.into(),
            );
            let load = programs.iter().find(|p| p.p_type == libc::PT_LOAD)?;
            let bias = (image + load.p_offset as usize).wrapping_sub(load.p_vaddr as usize);
            let table = programs.iter().find(|p| p.p_type == libc::PT_DYNAMIC)?;
            let mut entry = bias.wrapping_add(table.p_vaddr as usize) as *const [u64; 2];
            let mut found = Dynamic::default();
            loop {
                let [tag, value] = *entry;
                let address = bias.wrapping_add(value as usize);
                match tag {
                    0 => return Some((bias, found)),
                    DT_STRTAB => found.strings = address,
                    DT_SYMTAB => found.symbols = address,
                    DT_HASH => found.hash = address,
                    DT_GNU_HASH => found.gnu_hash = address,
                    _ => {}
                }
                entry = entry.add(1);
            }
        }
    }

    unsafe fn symbol_count(dynamic: &Dynamic) -> Option<usize> {
        // SAFETY: as in `find_symbol`; the tables' layouts are those of the ELF and GNU ABIs.
        unsafe {
            if dynamic.hash != 0 {
                let [_buckets, chains] = *(dynamic.hash as *const [u32; 2]);
                return Some(chains as usize);
            }
            if dynamic.gnu_hash == 0 {
                return None;
            }
            let [buckets, first, bloom, _shift] = *(dynamic.gnu_hash as *const [u32; 4]);
            let bucket = (dynamic.gnu_hash + 16 + bloom as usize * 8) as *const u32;
            let chain = bucket.add(buckets as usize);
            let mut last = (0..buckets as usize).map(|i| *bucket.add(i)).max()?;
            if last < first {
                return Some(first as usize);
            }
            while *chain.add((last - first) as usize) & 1 == 0 {
                last += 1;
            }
            Some(last as usize + 1)
        }
    }
}

/// Makes the linker include our definition of the symbol.
#[cfg(feature = "vdso")]
pub(crate) fn link() {
    std::hint::black_box(symbol::__vdso_sgx_enter_enclave as *const ());
}

/// Does nothing: the program defines the symbol itself, if it wants it.
#[cfg(not(feature = "vdso"))]
pub(crate) fn link() {}

#[cfg(feature = "vdso")]
mod symbol {
    use std::arch::global_asm;

    use crate::enter::{EnclaveRun, EnterFn, enter_enclave_fn};
    use crate::registry;

    unsafe extern "C" {
        pub(super) fn __vdso_sgx_enter_enclave();
        fn sgx_sim_no_sgx();
    }

    global_asm!(
        ".pushsection .text.__vdso_sgx_enter_enclave,\"ax\",@progbits",
        // The symbol is weak: a program's own definition wins, also where Cargo has united the
        // features.
        ".weak __vdso_sgx_enter_enclave",
        ".type __vdso_sgx_enter_enclave,@function",
        "__vdso_sgx_enter_enclave:",
        "    .cfi_startproc",
        "    push rdi",
        "    push rsi",
        "    push rdx",
        "    push rcx",
        "    push r8",
        "    push r9",
        "    push r10",
        "    push r11",
        "    push rbp",
        "    .cfi_adjust_cfa_offset 72",
        "    mov rdi, [rsp + 80]",
        "    call {choose}",
        "    pop rbp",
        "    pop r11",
        "    pop r10",
        "    pop r9",
        "    pop r8",
        "    pop rcx",
        "    pop rdx",
        "    pop rsi",
        "    pop rdi",
        "    .cfi_adjust_cfa_offset -72",
        "    jmp rax",
        "    .cfi_endproc",
        ".size __vdso_sgx_enter_enclave, . - __vdso_sgx_enter_enclave",
        ".type sgx_sim_no_sgx,@function",
        ".hidden sgx_sim_no_sgx",
        ".globl sgx_sim_no_sgx",
        "sgx_sim_no_sgx:",
        "    mov eax, {enosys}",
        "    ret",
        ".size sgx_sim_no_sgx, . - sgx_sim_no_sgx",
        ".popsection",
        choose = sym choose,
        enosys = const -libc::ENOSYS,
    );

    unsafe extern "C" fn choose(run: *const EnclaveRun) -> EnterFn {
        // SAFETY: every caller of this symbol passes this argument.
        let tcs = unsafe { (*run).tcs };
        if registry::owns_tcs(tcs as *const _) {
            enter_enclave_fn()
        } else {
            super::kernel_vdso_enter().unwrap_or(sgx_sim_no_sgx)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_the_kernels_image_are_found() {
        // SAFETY: as in `kernel_vdso_enter`.
        let (image, time) = unsafe {
            let image = libc::getauxval(libc::AT_SYSINFO_EHDR) as usize;
            (image, elf::find_symbol(image, c"__vdso_clock_gettime"))
        };
        if image != 0 {
            assert!(time.is_some_and(|address| address > image));
        }
        // SAFETY: as above.
        let missing = unsafe { elf::find_symbol(image, c"no_such_symbol") };
        assert_eq!(missing, None);
    }
}
