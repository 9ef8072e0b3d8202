//! Why a program was not started.

/// Why a program was not started. `Display` prints the cause in one line; [`remedy`](Error::remedy)
/// returns the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not start like a WebAssembly binary.
    #[error("the program is not a WebAssembly binary")]
    NotWasm,
    /// The bytes end in the middle of a section.
    #[error("the program is truncated: {0}")]
    Truncated(String),
    /// The baseline compiler needs guard pages, and the environment has none.
    #[error("the baseline compiler needs memories with guard pages, which there are none of here")]
    NoBaseline,
    /// The baseline compiler does not support the program.
    #[error("the baseline compiler can't compile the program: {0}")]
    Baseline(String),
    /// The version of the binary format is unknown.
    #[error("the program has version {0} of the WebAssembly binary format, not 1")]
    Version(u16),
    /// The version of the binary format of components is unknown.
    #[error("the program is a component of version {0} of the binary format, not 13")]
    ComponentVersion(u16),
    /// A component exports nothing that can be started.
    #[error("the component has no `wasi:cli/run` to start at")]
    NoRun,
    /// A function of a component was named to be called.
    #[error("functions of components can't be called by name")]
    ComponentInvoke,
    /// A component would get sockets.
    #[error("the program is a component, and components get no sockets")]
    ComponentSockets,
    /// The module does not validate, or uses a disabled proposal.
    #[error("the program is not valid: {0}")]
    Invalid(String),
    /// Twine does not provide these imports.
    #[error("the program imports what Twine does not provide: {}", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// An import has another type than Twine provides.
    #[error("the program imports {import} as {expected}, but it is {provided}")]
    ImportType {
        /// The import's module and name.
        import: String,
        /// The type that the program expects.
        expected: String,
        /// The type that Twine provides.
        provided: String,
    },
    /// The module does not export the function to start at.
    #[error("the program has no function `{0}` to start at")]
    NoFunction(String),
    /// `_start` takes arguments or returns results.
    #[error("the program's `_start` takes arguments or returns results")]
    StartType,
    /// Arguments of `--invoke` do not fit the function.
    #[error("{0}")]
    Invoke(String),
    /// The initial memories exceed the limit.
    #[error(
        "the program's memory wants {wanted} bytes at its start, more than the {limit} allowed"
    )]
    MemoryLimit {
        /// Their size in bytes.
        wanted: u64,
        /// The limit of `--max-memory`, in bytes.
        limit: u64,
    },
    /// The program has a memory that threads share.
    #[error("the program shares its memory with threads, which Twine does not run")]
    SharedMemory,
    /// A table, or all of them together, exceed the limit.
    #[error("the program wants tables of {wanted} elements, more than the {most} allowed")]
    TableLimit {
        /// Number of their elements.
        wanted: usize,
        /// Limit on the number of elements.
        most: usize,
    },
    /// The enclave has too little memory for the program's memories.
    #[error("the program does not fit into the enclave's memory: {0}")]
    NoMemory(String),
    /// The compiled code is larger than the code arena.
    #[error(
        "the compiled program wants {wanted} bytes of code memory; this image has {arena} in all"
    )]
    CodeTooLarge {
        /// Size, in bytes, of code memory that would be enough.
        wanted: u64,
        /// Size of the arena in bytes.
        arena: u64,
    },
    /// The arguments or the environment cannot be passed to a program.
    #[error("the program can't be given {0}")]
    Setup(#[from] twine_wasi::SetupError),
    /// A start function or segment of the module failed while it was instantiated.
    #[error("the program could not be instantiated: {0}")]
    Instantiate(String),
    /// The engine refused its settings.
    #[error("the engine can't be set up: {0}")]
    Engine(String),
}

impl Error {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::NotWasm => "give a .wasm or .wat file: compile with a wasm32-wasip1 or wasm32-wasip2 target".into(),
            Error::NoBaseline => "leave out --no-guard-pages, or use --compiler optimizing".into(),
            Error::Baseline(_) => "use --compiler optimizing".into(),
            Error::Truncated(_) => "copy or download the file again; its end is missing".into(),
            Error::Version(_) | Error::ComponentVersion(_) => "build the program again with a current toolchain".into(),
            Error::NoRun => "build a command: a component for the world wasi:cli/command".into(),
            Error::ComponentInvoke => {
                "leave the function out: a component starts at its wasi:cli/run".into()
            }
            Error::ComponentSockets => {
                "leave the sockets out, or build it for WASI preview 1 (wasm32-wasip1)".into()
            }
            Error::Invalid(_) => {
                "check the file with `wasm-tools validate`, and that it needs no proposal that is off"
                    .into()
            }
            Error::UnknownImports(_) | Error::ImportType { .. } => {
                "build for WASI preview 1 (wasm32-wasip1) or 0.2 (wasm32-wasip2), which are all there".into()
            }
            Error::NoFunction(name) if name == "_start" => {
                "build a command with a `main`, or name an exported function with --invoke".into()
            }
            Error::NoFunction(_) => "name a function that the module exports".into(),
            Error::StartType => "build the program as a WASI command".into(),
            Error::Invoke(_) => "give one number for each parameter of the function".into(),
            Error::MemoryLimit { wanted, .. } => {
                format!("allow it with --max-memory {wanted} or more")
            }
            Error::SharedMemory => {
                "build it without threads: for wasm32-wasip1, not wasm32-wasip1-threads".into()
            }
            Error::TableLimit { .. } => "build it with smaller tables".into(),
            Error::NoMemory(_) | Error::CodeTooLarge { .. } => {
                "use an image with more memory".into()
            }
            Error::Setup(_) => "leave it out, or change it".into(),
            Error::Instantiate(_) => "look at the program's start function and data segments".into(),
            Error::Engine(_) => "report this: it is a fault of Twine's".into(),
        }
    }
}
