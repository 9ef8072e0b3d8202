//! Makes `docs/host-calls.md` from the declarations.

use crate::calls::DECLARATIONS;
use alloc::format;
use alloc::string::String;

/// The text of `docs/host-calls.md`.
pub fn host_calls() -> String {
    let mut text = format!(
        "# Host calls, version {}\n\n\
         The calls that a Twine enclave makes to its untrusted host. This file is made from `protocol/src/calls.rs`;\n\
         `cargo xtask docs` writes it and a test compares it.\n\n\
         A host call is an EDP usercall with a number of 0x80000000 or above. The number is in `RDI`, the\n\
         arguments are in `RSI`, `RDX`, `R8` and `R9`, and the results come back in `RSI` and `RDX`. Pointers are\n\
         to host memory. The enclave checks that they lie outside of it, that they are aligned to 8 bytes and\n\
         that the length is within bounds, copies what they point to once, and reads only the copy. Where a\n\
         call has a `status`, it is a `Status` of `protocol/src/wire.rs`; one that the enclave does not know\n\
         counts as an input or output error.\n",
        crate::VERSION
    );
    for call in DECLARATIONS {
        text += &format!(
            "\n## 0x{:08x} `{}({})`{}\n\n",
            call.number,
            call.name,
            call.arguments.join(", "),
            match call.results {
                [] => String::new(),
                results => format!(" → {}", results.join(", ")),
            }
        );
        for line in call.doc {
            text += line.trim_start();
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_in_the_tree_is_the_one_made_from_the_declarations() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/host-calls.md");
        assert_eq!(
            include_str!("../../docs/host-calls.md"),
            super::host_calls(),
            "{path} is out of date: run `cargo xtask docs`"
        );
    }
}
