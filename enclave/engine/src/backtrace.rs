//! Formats backtraces with the names that the programmer gave.

use cpp_demangle::DemangleOptions;
use wasmtime::FrameInfo;

/// Formats a frame as a line: its number, its offset in the program's file, and its function.
pub(crate) fn line(number: usize, frame: &FrameInfo) -> String {
    let offset = frame.module_offset().map_or("?".to_owned(), |offset| format!("{offset:#x}"));
    let name = match frame.func_name() {
        Some(name) => demangle(name),
        None => format!("<function {}>", frame.func_index()),
    };
    match frame.module().name() {
        Some(module) => format!("{number:>2}: {offset:>8} - {module}!{name}"),
        None => format!("{number:>2}: {offset:>8} - {name}"),
    }
}

/// Demangles a name of Rust or C++. Returns any other name as it is.
fn demangle(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let mangled = name.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok()).flatten();
    mangled
        .and_then(|symbol| symbol.demangle(&DemangleOptions::default()).ok())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn only_mangled_names_are_demangled() {
        assert_eq!(
            demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt"
        );
        assert_eq!(demangle("_ZNSt6vectorIiE4pushEi"), "std::vector<int>::push(int)");
        assert_eq!(demangle("f"), "f");
        assert_eq!(demangle("main"), "main");
        assert_eq!(demangle("_Znonsense"), "_Znonsense");
    }
}
