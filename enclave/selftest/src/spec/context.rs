//! The state of a script: a store, its instances and their names.

use super::modules::Modules;
use super::{Failure, spectest, value};
use json_from_wast::{Action, Const, WasmFile};
use std::collections::HashMap;
use std::sync::Arc;
use twine_engine::MAX_TABLE_ELEMENTS;
use wasmtime::{Error, Extern, Instance, Linker, Module, ResourceLimiter, Store, Val};

/// Limits tables like those of a program: a table takes memory as soon as it is made.
pub(super) struct World;

impl ResourceLimiter for World {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

pub(super) struct Context {
    pub(super) modules: Arc<Modules>,
    pub(super) store: Store<World>,
    linker: Linker<World>,
    /// The instance for commands without a name.
    current: Option<Instance>,
    /// Modules that were defined; they may be instantiated too.
    definitions: HashMap<Option<String>, Module>,
}

/// The result of an action: its values, or the trap or exception that ended it.
pub(super) type End = Result<Vec<Val>, Error>;

fn owned(name: Option<&str>) -> Option<String> {
    name.map(str::to_owned)
}

impl Context {
    /// Makes a context with only the module `spectest`.
    pub(super) fn new(modules: Arc<Modules>) -> Result<Self, Failure> {
        let mut context = Context::empty(modules);
        spectest::define(&mut context.linker, &mut context.store)
            .map_err(|error| format!("`spectest`: {error:#}"))?;
        Ok(context)
    }

    fn empty(modules: Arc<Modules>) -> Self {
        let mut store = Store::new(modules.engine(), World);
        store.limiter(|world| world);
        let mut linker = Linker::new(modules.engine());
        // Scripts use a name several times, and mean the latest module with it.
        linker.allow_shadowing(true);
        Context { modules, store, linker, current: None, definitions: HashMap::new() }
    }

    /// Makes the context of a thread, which shares one registered module and the definitions.
    pub(super) fn fork(&mut self, shared: Option<&str>) -> Result<Self, Failure> {
        let mut forked = Context::empty(self.modules.clone());
        forked.definitions = self.definitions.clone();
        let shared: Vec<_> = self
            .linker
            .iter(&mut self.store)
            .filter(|(module, _, _)| Some(*module) == shared)
            .map(|(module, name, item)| (module.to_owned(), name.to_owned(), item))
            .collect();
        for (module, name, item) in shared {
            forked
                .linker
                .define(&mut forked.store, &module, &name, item)
                .map_err(|error| format!("{module}::{name} can't be shared: {error:#}"))?;
        }
        Ok(forked)
    }

    pub(super) fn define(
        &mut self,
        name: Option<&str>,
        file: &WasmFile<'_>,
    ) -> Result<(), Failure> {
        let module = self.modules.compile(file)?;
        self.definitions.insert(owned(name), module);
        Ok(())
    }

    pub(super) fn definition(&self, name: Option<&str>) -> Result<Module, Failure> {
        let found = self.definitions.get(&owned(name)).cloned();
        found.ok_or_else(|| format!("no module definition {name:?}"))
    }

    /// Instantiates a module and makes it the current one. Returns the engine's error.
    pub(super) fn instantiate(&mut self, name: Option<&str>, module: &Module) -> Result<(), Error> {
        let instance = self.linker.instantiate(&mut self.store, module)?;
        if let Some(name) = name {
            self.linker.instance(&mut self.store, name, instance)?;
        }
        self.current = Some(instance);
        Ok(())
    }

    pub(super) fn register(&mut self, name: Option<&str>, as_name: &str) -> Result<(), Failure> {
        let registered = match (name, self.current) {
            (Some(name), _) => self.linker.alias_module(name, as_name).map(drop),
            (None, Some(current)) => {
                self.linker.instance(&mut self.store, as_name, current).map(drop)
            }
            (None, None) => return Err("no instance to register".into()),
        };
        registered.map_err(|error| format!("{error:#}"))
    }

    fn export(&mut self, module: Option<&str>, name: &str) -> Result<Extern, Failure> {
        let found = match module {
            Some(module) => self.linker.get(&mut self.store, module, name).ok(),
            None => self.current.and_then(|current| current.get_export(&mut self.store, name)),
        };
        found.ok_or_else(|| format!("no export `{name}` of {}", module.unwrap_or("the instance")))
    }

    /// Calls a function or reads a global.
    pub(super) fn perform(&mut self, action: &Action<'_>) -> Result<End, Failure> {
        match action {
            Action::Invoke { module, field, args } => {
                let export = self.export(module.as_deref(), field)?;
                let function =
                    export.into_func().ok_or_else(|| format!("`{field}` is no function"))?;
                let arguments = args
                    .iter()
                    .map(|argument| match argument {
                        Const::Core(argument) => value::make(&mut self.store, argument),
                        Const::Component(_) => Err("a component's value".into()),
                    })
                    .collect::<Result<Vec<Val>, Failure>>()?;
                let count = function.ty(&self.store).results().len();
                let mut results = vec![Val::null_func_ref(); count];
                let end = function.call(&mut self.store, &arguments, &mut results);
                Ok(end.map(|()| results))
            }
            Action::Get { module, field } => {
                let export = self.export(module.as_deref(), field)?;
                let global =
                    export.into_global().ok_or_else(|| format!("`{field}` is no global"))?;
                Ok(Ok(vec![global.get(&mut self.store)]))
            }
        }
    }
}
