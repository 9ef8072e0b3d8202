//! The module `spectest`, from which scripts import.

use super::context::World;
use wasmtime::{
    Global, GlobalType, Linker, Memory, MemoryType, Mutability, Ref, RefType, Result, SharedMemory,
    Store, Table, TableType, Val, ValType,
};

/// Defines the module, with a shared memory if the engine has these. Its functions print nothing.
pub(super) fn define(linker: &mut Linker<World>, store: &mut Store<World>) -> Result<()> {
    const NAME: &str = "spectest";
    linker.func_wrap(NAME, "print", || {})?;
    linker.func_wrap(NAME, "print_i32", |_: i32| {})?;
    linker.func_wrap(NAME, "print_i64", |_: i64| {})?;
    linker.func_wrap(NAME, "print_f32", |_: f32| {})?;
    linker.func_wrap(NAME, "print_f64", |_: f64| {})?;
    linker.func_wrap(NAME, "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap(NAME, "print_f64_f64", |_: f64, _: f64| {})?;

    let globals = [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::from(666.6_f32)),
        ("global_f64", ValType::F64, Val::from(666.6_f64)),
    ];
    for (name, ty, value) in globals {
        let global = Global::new(&mut *store, GlobalType::new(ty, Mutability::Const), value)?;
        linker.define(&mut *store, NAME, name, global)?;
    }
    let tables = [
        ("table", TableType::new(RefType::FUNCREF, 10, Some(20))),
        ("table64", TableType::new64(RefType::FUNCREF, 10, Some(20))),
    ];
    for (name, ty) in tables {
        let table = Table::new(&mut *store, ty, Ref::Func(None))?;
        linker.define(&mut *store, NAME, name, table)?;
    }
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&mut *store, NAME, "memory", memory)?;
    if let Ok(shared) = SharedMemory::new(store.engine(), MemoryType::shared(1, 1)) {
        linker.define(&mut *store, NAME, "shared_memory", shared)?;
    }
    Ok(())
}
