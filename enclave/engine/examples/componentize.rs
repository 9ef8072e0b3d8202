//! Turns WASI preview 1 commands into components, with the adapter of wasmtime's project. The tests
//! run both. Usage: `componentize MODULE COMPONENT`.

use std::error::Error;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, component] = &arguments[..] else {
        return Err("usage: componentize MODULE COMPONENT".into());
    };
    let module = std::fs::read(module)?;
    let bytes = ComponentEncoder::default()
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?
        .validate(true)
        .encode()?;
    std::fs::write(component, bytes)?;
    Ok(())
}
