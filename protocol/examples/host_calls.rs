//! Prints `docs/host-calls.md`.

fn main() {
    print!("{}", twine_protocol::document::host_calls());
}
