//! Why a program was not started.

/// Why a program was not started. `Display` is the cause in one line;
/// [`remedy`](Error::remedy) says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes don't start as a WebAssembly binary does.
    #[error("the program is not a WebAssembly binary")]
    NotWasm,
    /// The bytes end in the middle.
    #[error("the program is truncated: {0}")]
    Truncated(String),
    /// The baseline compiler relies on guard pages, and there are none.
    #[error("the baseline compiler needs memories with guard pages, which there are none of here")]
    NoBaseline,
    /// The baseline compiler does not compile the program.
    #[error("the baseline compiler can't compile the program: {0}")]
    Baseline(String),
    /// A version of the binary format that isn't known.
    #[error("the program has version {0} of the WebAssembly binary format, not 1")]
    Version(u16),
    /// A component, where a core module is run.
    #[error("the program is a component, not a module")]
    Component,
    /// The module does not validate, or uses a proposal that is off.
    #[error("the program is not valid: {0}")]
    Invalid(String),
    /// Imports that nobody provides.
    #[error("the program imports what Twine does not provide: {}", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// Imports that have another type than what is provided.
    #[error("the program imports {import} as {expected}, but it is {provided}")]
    ImportType {
        /// The import's module and name.
        import: String,
        /// The type the program expects.
        expected: String,
        /// The type that it has.
        provided: String,
    },
    /// There is no function to start at.
    #[error("the program has no function `{0}` to start at")]
    NoFunction(String),
    /// `_start` takes arguments or returns something.
    #[error("the program's `_start` takes arguments or returns results")]
    StartType,
    /// Arguments of `--invoke` that don't fit.
    #[error("{0}")]
    Invoke(String),
    /// Memories want more than is allowed.
    #[error(
        "the program's memory wants {wanted} bytes at its start, more than the {limit} allowed"
    )]
    MemoryLimit {
        /// Bytes that it wants.
        wanted: u64,
        /// Bytes that `--max-memory` allows.
        limit: u64,
    },
    /// A memory that threads share.
    #[error("the program shares its memory with threads, which Twine does not run")]
    SharedMemory,
    /// A table is larger than any may be.
    #[error("the program wants a table of {wanted} elements, more than the {most} allowed")]
    TableLimit {
        /// Elements that it wants.
        wanted: usize,
        /// Elements that a table may have.
        most: usize,
    },
    /// Memories want more than the enclave has.
    #[error("the program does not fit into the enclave's memory: {0}")]
    NoMemory(String),
    /// The compiled code is larger than the code arena.
    #[error(
        "the compiled program wants {wanted} bytes of code memory; this image has {arena} in all"
    )]
    CodeTooLarge {
        /// Bytes that it wants.
        wanted: u64,
        /// Bytes of the arena.
        arena: u64,
    },
    /// Arguments or environment that can't be given to a program.
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
    /// What to do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::NotWasm => "give a .wasm or .wat file: compile with a wasm32-wasip1 target".into(),
            Error::NoBaseline => "leave out --no-guard-pages, or use --compiler optimizing".into(),
            Error::Baseline(_) => "use --compiler optimizing".into(),
            Error::Truncated(_) => "copy or download the file again; its end is missing".into(),
            Error::Version(_) => "build the program again with a current toolchain".into(),
            Error::Component => {
                "build a core module (target wasm32-wasip1); components are not run yet".into()
            }
            Error::Invalid(_) => {
                "check the file with `wasm-tools validate`, and that it needs no proposal that is off"
                    .into()
            }
            Error::UnknownImports(_) | Error::ImportType { .. } => {
                "build for WASI preview 1 (wasm32-wasip1), whose functions are all there".into()
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
            Error::TableLimit { .. } => "build it with a smaller table".into(),
            Error::NoMemory(_) | Error::CodeTooLarge { .. } => {
                "use an image with more memory".into()
            }
            Error::Setup(_) => "leave it out, or change it".into(),
            Error::Instantiate(_) => "look at the program's start function and data segments".into(),
            Error::Engine(_) => "report this: it is a fault of Twine's".into(),
        }
    }
}
