//! Links a compiled program to its system and runs it.

use crate::backtrace;
use crate::error::Error;
use crate::invoke::{self, Invoke};
use crate::limits::Limiter;
use crate::memory::Refusals;
use crate::program::{Code, Compiled, one_line};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twine_guest::{Guest, Proof};
use twine_vfs::FileSystem;
use twine_wasi::{CommandPre, Exit, SyncError, System, Wasi};
use wasmtime::component::{self, Component};
use wasmtime::{
    Engine, ExternType, Func, Instance, InstancePre, Linker, Module, Store, StoreContextMut, Trap,
    TypedFunc, UpdateDeadline, Val, ValType, WasmBacktrace,
};

/// The data of a store.
pub(crate) struct World {
    wasi: Wasi,
    guest: Guest,
    limiter: Limiter,
    /// The program's function that raises a signal in it, if it exports one.
    raise: Option<TypedFunc<i32, i32>>,
    /// Whether the program must end because its time is over.
    over: Arc<AtomicBool>,
}

/// Limit on what a component passes in one call, in bytes. The copy is memory of the enclave that
/// `--max-memory` does not count.
const MOST_PASSED: usize = 8 << 20;
/// The name of the function that raises a signal in a program, as WASI's C library exports it.
const RAISE: &str = "raise";

/// The number of the signal in WASI's C library.
const SIGINT: i32 = 2;

/// Interrupts a running program, from another thread.
#[derive(Clone)]
pub struct Interrupter {
    engine: Engine,
    over: Arc<AtomicBool>,
    handled: bool,
}

impl Interrupter {
    /// Makes the program trap at the next loop or call.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.engine.increment_epoch();
    }

    /// Raises SIGINT in the program at the next loop or call, or makes it trap there if it can't handle
    /// signals. Returns whether it can.
    pub fn interrupt(&self) -> bool {
        self.engine.increment_epoch();
        self.handled
    }
}

/// Handles an interrupt, at the program's first loop or call after it.
fn interrupted(mut store: StoreContextMut<'_, World>) -> wasmtime::Result<UpdateDeadline> {
    let world = store.data();
    let over = world.over.load(Ordering::Relaxed);
    match world.raise.clone().filter(|_| !over) {
        Some(raise) => {
            // The handler has loops and calls too.
            store.set_epoch_deadline(1);
            raise.call(&mut store, SIGINT)?;
            Ok(UpdateDeadline::Continue(1))
        }
        None => Err(Trap::Interrupt.into()),
    }
}

impl std::fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupter")
    }
}

/// The parameters that a program is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The arguments that the program sees, its name first.
    pub arguments: Vec<Vec<u8>>,
    /// The environment that the program sees, as names and values.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The exported function to call instead of `_start`.
    pub invoke: Option<Invoke>,
    /// The sockets that the program gets, in this order.
    pub sockets: Vec<Socket>,
}

/// A socket that a program gets, with the system's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// It listens.
    Listening(u64),
    /// It connects at its first use.
    Connecting(u64),
}

impl Start {
    /// The name of the function that is called first.
    pub fn function(&self) -> &str {
        self.invoke.as_ref().map_or("_start", |invoke| &invoke.function)
    }
}

/// The function that is called first.
#[derive(Debug)]
enum Entry {
    /// `_start`, for a WASI command.
    Command,
    /// An export and the values for its parameters.
    Invoke(String, Vec<Val>),
}

/// How a program ended.
#[derive(Debug)]
pub enum End {
    /// The program returned or called `proc_exit`.
    Exited {
        /// The exit code.
        code: u32,
        /// Results of the invoked function, as text.
        results: Vec<String>,
    },
    /// The program trapped.
    Trapped {
        /// The cause, in one line.
        cause: String,
        /// The WebAssembly frames, innermost first, one line each.
        backtrace: Vec<String>,
    },
    /// The program could not be instantiated.
    Refused(Error),
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// How the program ended.
    pub end: End,
    /// Whether everything that it wrote is durable.
    pub synced: Result<(), SyncError>,
}

/// A program with all its imports.
enum Ready {
    /// A module, and the function to call.
    Module(InstancePre<World>, Entry),
    /// A component that is a command.
    Command(CommandPre<World>),
}

/// A linked program: it has all its imports and fits. It can be instantiated and run.
pub struct Linked {
    store: Store<World>,
    ready: Ready,
    refusals: Refusals,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entry = match &self.ready {
            Ready::Module(_, entry) => Some(entry),
            Ready::Command(_) => None,
        };
        f.debug_struct("Linked").field("entry", &entry).finish_non_exhaustive()
    }
}

impl Compiled {
    /// Links the program to its system and its files.
    ///
    /// # Errors
    /// Imports are missing, the function to start at is missing, or the arguments do not fit.
    pub fn link(
        self,
        system: Box<dyn System>,
        files: Vec<(String, Box<dyn FileSystem>)>,
        start: Start,
    ) -> Result<Linked, Error> {
        let engine = self.code.engine();
        let Start { arguments, environment, invoke, sockets } = start;
        let mut wasi = Wasi::new(system, arguments, environment)?;
        for (path, files) in files {
            wasi.mount(&path, files)?;
        }
        let has_sockets = !sockets.is_empty();
        for socket in sockets {
            match socket {
                Socket::Listening(number) => wasi.listen(number)?,
                Socket::Connecting(number) => wasi.dial(number)?,
            }
        }
        let limiter = Limiter::new(&self.limits);
        let over = Arc::default();
        let mut store =
            Store::new(engine, World { wasi, guest: Guest::default(), limiter, raise: None, over });
        store.limiter(|world| &mut world.limiter);
        let set_up = |error: wasmtime::Error| Error::Engine(one_line(&error));
        if let Some(fuel) = self.limits.fuel {
            store.set_fuel(fuel).map_err(set_up)?;
        }
        if self.limits.interruptible {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(interrupted);
        }

        let ready = match &self.code {
            Code::Module(module) => module_with(module, &mut store, invoke.as_ref())?,
            Code::Component(_) if invoke.is_some() => return Err(Error::ComponentInvoke),
            Code::Component(_) if has_sockets => return Err(Error::ComponentSockets),
            Code::Component(component) => {
                store.set_hostcall_fuel(MOST_PASSED);
                command_of(component)?
            }
        };
        Ok(Linked { store, ready, refusals: self.refusals })
    }

    /// Whether the program imports functions of `twine:attestation`. Components get none yet.
    pub fn attests(&self) -> bool {
        match &self.code {
            Code::Module(module) => {
                module.imports().any(|import| import.module() == twine_guest::MODULE)
            }
            Code::Component(_) => false,
        }
    }
}

/// Links a module to its imports.
fn module_with(
    module: &Module,
    store: &mut Store<World>,
    invoke: Option<&Invoke>,
) -> Result<Ready, Error> {
    let mut linker = Linker::new(module.engine());
    twine_wasi::add_to_linker(&mut linker, |world: &mut World| &mut world.wasi)
        .map_err(|error| Error::Engine(one_line(&error)))?;
    twine_guest::add_to_linker(&mut linker, |world: &mut World| &mut world.guest)
        .map_err(|error| Error::Engine(one_line(&error)))?;
    check_imports(module, &linker, store)?;
    let entry = entry(module, invoke)?;
    let instance =
        linker.instantiate_pre(module).map_err(|error| Error::Instantiate(one_line(&error)))?;
    Ok(Ready::Module(instance, entry))
}

/// Links a component to its imports.
fn command_of(component: &Component) -> Result<Ready, Error> {
    let engine = component.engine();
    let mut linker = component::Linker::new(engine);
    twine_wasi::add_component_to_linker(&mut linker, |world: &mut World| &mut world.wasi)
        .map_err(|error| Error::Engine(one_line(&error)))?;
    let ty = component.component_type();
    let names = ty.imports(engine).map(|(name, _)| name);
    let missing: Vec<_> =
        names.filter(|name| !twine_wasi::provides_interface(name)).map(String::from).collect();
    if !missing.is_empty() {
        return Err(Error::UnknownImports(missing));
    }
    let instance = linker
        .instantiate_pre(component)
        .map_err(|error| Error::UnknownImports(vec![one_line(&error)]))?;
    Ok(Ready::Command(CommandPre::new(instance).map_err(|_| Error::NoRun)?))
}

/// Checks the imports, and names all that are missing.
fn check_imports(
    module: &Module,
    linker: &Linker<World>,
    store: &mut Store<World>,
) -> Result<(), Error> {
    let mut missing = Vec::new();
    for import in module.imports() {
        let name = format!("{}::{}", import.module(), import.name());
        match linker.get(&mut *store, import.module(), import.name()) {
            Err(_) => missing.push(name),
            Ok(provided) => {
                let expected = import.ty();
                let provided = provided.ty(&*store);
                if let (ExternType::Func(expected), ExternType::Func(provided)) =
                    (&expected, &provided)
                    && provided.matches(expected)
                {
                    continue;
                }
                return Err(Error::ImportType {
                    import: name,
                    expected: describe(&expected),
                    provided: describe(&provided),
                });
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::UnknownImports(missing)) }
}

fn entry(module: &Module, invoke: Option<&Invoke>) -> Result<Entry, Error> {
    let function = |name: &str| match module.get_export(name) {
        Some(ExternType::Func(ty)) => Ok(ty),
        _ => Err(Error::NoFunction(name.into())),
    };
    let Some(invoke) = invoke else {
        let ty = function("_start")?;
        if ty.params().len() != 0 || ty.results().len() != 0 {
            return Err(Error::StartType);
        }
        return Ok(Entry::Command);
    };
    let ty = function(&invoke.function)?;
    let values = invoke::parse(&invoke.function, &ty, &invoke.arguments)?;
    Ok(Entry::Invoke(invoke.function.clone(), values))
}

fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => ty.to_string(),
        ExternType::Global(_) => "a global".into(),
        ExternType::Table(_) => "a table".into(),
        ExternType::Memory(_) => "a memory".into(),
        ExternType::Tag(_) => "a tag".into(),
    }
}

impl Linked {
    /// Sets what serves the functions of `twine:attestation`. Without it they say that they are not
    /// supported.
    pub fn attest_with(&mut self, proof: Box<dyn Proof>) {
        self.store.data_mut().guest = Guest::new(proof);
    }

    /// Returns a handle that can interrupt this program.
    pub fn interrupter(&self) -> Interrupter {
        let over = self.store.data().over.clone();
        let raise = match &self.ready {
            Ready::Module(pre, _) => pre.module().get_export(RAISE),
            Ready::Command(_) => None,
        };
        let handled = raise.is_some_and(|export| {
            let ExternType::Func(ty) = export else { return false };
            let is_number = |ty: Option<ValType>| matches!(ty, Some(ValType::I32));
            let (given, returned) = (ty.params().len(), ty.results().len());
            (given, returned) == (1, 1) && is_number(ty.param(0)) && is_number(ty.result(0))
        });
        Interrupter { engine: self.store.engine().clone(), over, handled }
    }

    /// Instantiates the program, calls `instantiated`, runs the program to its end, and makes
    /// everything that it wrote durable.
    pub fn run(mut self, instantiated: impl FnOnce()) -> Ended {
        let end = match &self.ready {
            Ready::Module(pre, _) => match pre.instantiate(&mut self.store) {
                Ok(instance) => {
                    instantiated();
                    let raise = instance.get_typed_func(&mut self.store, RAISE).ok();
                    self.store.data_mut().raise = raise;
                    self.call(instance)
                        .map(|results| End::Exited { code: 0, results })
                        .unwrap_or_else(|error| self.ended(&error))
                }
                Err(error) => self.instantiation_failed(&error),
            },
            Ready::Command(pre) => match pre.instantiate(&mut self.store) {
                Ok(command) => {
                    instantiated();
                    match command.wasi_cli_run().call_run(&mut self.store) {
                        Ok(result) => {
                            End::Exited { code: result.is_err().into(), results: Vec::new() }
                        }
                        Err(error) => self.ended(&error),
                    }
                }
                Err(error) => self.instantiation_failed(&error),
            },
        };
        let synced = self.store.data_mut().wasi.finish();
        Ended { end, synced }
    }

    /// Calls the function of a module.
    fn call(&mut self, instance: Instance) -> wasmtime::Result<Vec<String>> {
        let Ready::Module(_, entry) = &self.ready else { return Ok(Vec::new()) };
        let mut function =
            |name: &str| -> Option<Func> { instance.get_func(&mut self.store, name) };
        match entry {
            Entry::Command => {
                let start = function("_start").expect("`entry` found it in the module");
                start.call(&mut self.store, &[], &mut [])?;
                Ok(Vec::new())
            }
            Entry::Invoke(name, arguments) => {
                let initialize = function("_initialize");
                let function = function(name).expect("`entry` found it in the module");
                if let Some(initialize) = initialize {
                    initialize.call(&mut self.store, &[], &mut [])?;
                }
                let ty = function.ty(&self.store);
                let mut results: Vec<Val> = ty
                    .results()
                    .map(|ty| Val::default_for_ty(&ty).unwrap_or(Val::I32(0)))
                    .collect();
                function.call(&mut self.store, arguments, &mut results)?;
                Ok(results.iter().map(invoke::show).collect())
            }
        }
    }

    fn ended(&self, error: &wasmtime::Error) -> End {
        ended(error, self.store.data().over.load(Ordering::Relaxed))
    }

    fn instantiation_failed(&self, error: &wasmtime::Error) -> End {
        if error.is::<Exit>() || error.is::<Trap>() {
            return self.ended(error);
        }
        let limiter = &self.store.data().limiter;
        let message = one_line(error);
        End::Refused(match (limiter.refused, limiter.refused_table) {
            (Some(wanted), _) => Error::MemoryLimit { wanted, limit: limiter.most() },
            (None, Some((wanted, most))) => Error::TableLimit { wanted, most },
            (None, None) if self.refusals.take() => Error::NoMemory(message),
            (None, None) => Error::Instantiate(message),
        })
    }
}

/// Converts the error of a call to the end of the program.
fn ended(error: &wasmtime::Error, over: bool) -> End {
    if let Some(Exit(code)) = error.downcast_ref() {
        return End::Exited { code: *code, results: Vec::new() };
    }
    let trap = error.downcast_ref::<Trap>();
    let cause = match trap {
        Some(Trap::Interrupt) if over => {
            "wasm trap: interrupt: the time given by --timeout is over".into()
        }
        Some(trap) => format!("wasm trap: {}", trap_text(*trap)),
        None => error.root_cause().to_string(),
    };
    // The host chose the place. If it learned the place, it could step through a program's secrets.
    let chosen = matches!(trap, Some(Trap::Interrupt | Trap::OutOfFuel));
    let frames = match error.downcast_ref().map(WasmBacktrace::frames) {
        Some(frames) if !chosen => frames,
        _ => &[],
    };
    let backtrace =
        frames.iter().enumerate().map(|(at, frame)| backtrace::line(at, frame)).collect();
    End::Trapped { cause, backtrace }
}

fn trap_text(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_the_end_of_its_time_only_if_that_is_over() {
        let cause = |over| match ended(&Trap::Interrupt.into(), over) {
            End::Trapped { cause, backtrace } if backtrace.is_empty() => cause,
            end => panic!("{end:?}"),
        };
        assert!(cause(true).contains("--timeout"));
        assert_eq!(cause(false), "wasm trap: interrupt");
    }
}
