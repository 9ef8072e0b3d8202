//! Programs as components do what they do as modules.

mod common;

use common::{Ended, Folder, built, run, run_with_input, twine};
use std::path::PathBuf;
use std::process::Command;

fn guest(name: &str) -> PathBuf {
    built("guests").join(name).with_extension("wasm")
}

/// Returns `twine run` with these options and arguments, for a module and for its component.
fn both(program: &str, options: &[&str], arguments: &[&str]) -> [Command; 2] {
    [program.to_owned(), format!("{program}-component")].map(|name| {
        let mut command = twine();
        command.args(["run", "--quiet"]).args(options).arg(guest(&name)).args(arguments);
        command
    })
}

/// Checks that a program does the same as a module and as a component, and returns what.
#[track_caller]
fn same(program: &str, options: &[&str], arguments: &[&str], input: &[u8]) -> Ended {
    let [module, component] = both(program, options, arguments)
        .map(|mut command| run_with_input(command.env("TWINE_TEST", "1"), input));
    let seen = |ended: &Ended| (ended.code, ended.out.clone(), ended.err.clone());
    assert_eq!(seen(&component), seen(&module), "{program}");
    component
}

#[test]
fn streams_arguments_and_exit_codes_are_the_same() {
    let hello = same("hello", &[], &["a", "b c"], b"");
    assert_eq!(hello.code, Some(0), "{hello:?}");
    let lua = same(
        "lua",
        &["--env", "A=1"],
        &["-e", "print(os.getenv('A'), #io.read('a'))"],
        &[b'x'; 300_000],
    );
    lua.printed("1\t300000\n");
    let code = same("lua", &[], &["-e", "io.stderr:write('bad\\n') os.exit(1)"], b"");
    assert_eq!((code.code, code.err.as_str()), (Some(1), "bad\n"));
}

/// A C program that calls everything about files does the same in all places. Where it does not do
/// what the module does, that is the adapter's doing: it writes the first buffer of a vector alone,
/// has 128 descriptors and no `posix_fallocate`, and finds its place in a directory by counting.
#[test]
fn files_are_the_same_on_volumes_in_memory_and_in_folders() {
    let expected = include_str!("../../../guests/posix/expected-component.txt");
    for place in ["--dir", "--tmpfs", "--plain-dir"] {
        let folder = Folder::new();
        let mut command = twine();
        command.args(["run", "--quiet", place]);
        match place {
            "--dir" => command.arg(format!("{}::/", folder.path().join("v").display())),
            "--tmpfs" => command.arg("/"),
            _ => command.arg(format!("{}::/", folder.path().display())),
        };
        let ended = run(command.arg(guest("posix-component")).arg("/"));
        let counts = |line: &&str| !line.starts_with("of 150 that stayed");
        let lines: Vec<&str> = ended.out.lines().filter(counts).collect();
        assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{place}");
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{place}");
    }
}

/// What a component writes to a volume, a module reads, and the reverse.
#[test]
fn python_as_a_component_shares_a_volume_with_the_module() {
    let folder = Folder::new();
    let volume = format!("{}::/", folder.path().join("v").display());
    let write = "open('/a.txt', 'w').write('from the component'); print(sorted(__import__('os').listdir('/')))";
    let [_, mut component] =
        both("python", &["--dir", &volume, "--key", "sealed:any-program"], &["-c", write]);
    run(&mut component).printed("['a.txt']\n");
    let [mut module, _] = both(
        "python",
        &["--dir", &volume, "--key", "sealed:any-program"],
        &["-c", "print(open('/a.txt').read())"],
    );
    run(&mut module).printed("from the component\n");
}

#[test]
fn limits_hold_for_components() {
    let loops = r#"(component
        (core module $m (func (export "run") (result i32) (loop (br 0)) i32.const 0))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#;
    let folder = Folder::new();
    let path = folder.path().join("loop.wat");
    std::fs::write(&path, loops).unwrap();
    let ended = run(twine().args(["run", "--quiet", "--timeout", "300ms"]).arg(&path));
    ended.trapped_with("--timeout");
    let ended = run(twine().args(["run", "--quiet", "--fuel", "100000"]).arg(&path));
    ended.trapped_with("fuel");
    let large = loops.replace("(func (export", "(memory 100) (func (export");
    std::fs::write(&path, large).unwrap();
    let ended = run(twine().args(["run", "--quiet", "--max-memory", "1MiB"]).arg(&path));
    ended.failed_with(1, "wants 6553600 bytes");
    let ended = run(twine().args(["run", "--quiet", "--invoke", "f"]).arg(&path));
    ended.failed_with(1, "can't be called by name");
    std::fs::write(&path, loops).unwrap();
    let ended = run(twine().args(["run", "--quiet", "--listen", "127.0.0.1:0"]).arg(&path));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("components get no sockets"), "{ended:?}");
}

#[test]
fn what_components_lack_is_named() {
    let folder = Folder::new();
    let path = folder.path().join("c.wat");
    std::fs::write(
        &path,
        r#"(component (import "wasi:http/types@0.2.3" (instance))
            (import "wasi:cli/stdin@0.2.77" (instance)))"#,
    )
    .unwrap();
    let ended = run(twine().args(["run", "--quiet"]).arg(&path));
    ended.failed_with(1, "wasi:http/types@0.2.3, wasi:cli/stdin@0.2.77");
    std::fs::write(&path, "(component)").unwrap();
    run(twine().args(["run", "--quiet"]).arg(&path)).failed_with(1, "no `wasi:cli/run`");
}
