//! The command in environments where something usual is missing, small or closed. It works in a
//! documented way, or says what is missing and what to do.

mod common;

use common::{Ended, Folder, built, cache, run, twine};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 16) "hello\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 6))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A path at which no user can create anything.
const NOWHERE: &str = "/proc/self/nowhere";

/// Returns `twine` with an empty environment, and a folder with a program.
fn bare() -> (Command, Folder, PathBuf) {
    let folder = Folder::new();
    let program = folder.file("hello.wat", HELLO);
    let mut command = twine();
    command.env_clear();
    (command, folder, program)
}

/// Runs the program from a shell that first runs `before`.
fn run_after(before: &str, options: &[&str]) -> Ended {
    let folder = Folder::new();
    let program = folder.file("hello.wat", HELLO);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\"")).arg(built("release/twine"));
    shell.args(["run", "--quiet", "--tee", "sim"]).args(options).arg(&program);
    shell.env("TWINE_CACHE", cache()).env("XDG_STATE_HOME", folder.path());
    run(shell.stdin(Stdio::null()))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn without_any_environment_the_list_of_users_names_the_home() {
    for home in [None, Some("")] {
        let (mut command, folder, program) = bare();
        command.env("TWINE_CACHE", folder.path().join("cache"));
        home.map(|home| command.env("HOME", home));
        // A user without an entry in that file needs no home.
        run(command.args(["run", "--quiet"]).arg(program)).printed("hello\n");
    }
}

#[test]
fn without_a_root_secret_programs_run_unless_they_need_sealing() {
    let (mut command, _folder, program) = bare();
    let ended = run(command.env("HOME", NOWHERE).args(["run", "--tee", "sim"]).arg(program));
    ended.printed("hello\n");
    let said: Vec<&str> = ended.err.lines().collect();
    assert!(said.len() == 2 && said[1].contains("nothing can be sealed"), "{ended:?}");
    assert!(said[1].contains(NOWHERE), "{ended:?}");
}

#[test]
fn without_a_root_secret_nothing_is_sealed() {
    let (_, folder, program) = bare();
    let volume = folder.path().join("v.vol");
    let key = folder.file("key", [7; 32]);
    let command = || {
        let mut command = twine();
        command.env_clear().env("HOME", NOWHERE).env("TWINE_CACHE", folder.path().join("cache"));
        command
    };
    let ended =
        run(command().args(["run", "-q", "--tee", "sim", "--dir"]).arg(&volume).arg(&program));
    ended.failed_with(1, "has no root secret");
    assert!(ended.err.contains("XDG_STATE_HOME"), "{ended:?}");
    assert!(!volume.exists(), "no file is left");
    let compiled = run(command().args(["compile", "-q", "--tee", "sim"]).arg(&program));
    compiled.failed_with(1, "has no root secret");

    // With a key of another kind, nothing is sealed.
    let key = format!("file:{}", key.display());
    let mut with_key = command();
    with_key.args(["run", "-q", "--tee", "sim", "--key", &key, "--dir"]).arg(&volume);
    run(with_key.arg(&program)).printed("hello\n");
    run(command().args(["volume", "ls", "-q", "--tee", "sim", "--key", &key]).arg(&volume))
        .printed("");

    // The remedy in the message works.
    let state = folder.path().join("state");
    let sealed = folder.path().join("sealed.vol");
    for _ in 0..2 {
        let mut command = command();
        command.env("XDG_STATE_HOME", &state).args(["run", "-q", "--tee", "sim", "--dir"]);
        run(command.arg(&sealed).arg(&program)).printed("hello\n");
    }
    let secret = state.join("sgx-sim/root-secret");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_or_shared_root_secret_is_refused_and_kept() {
    let (_, folder, program) = bare();
    let state = folder.path().join("sgx-sim");
    fs::create_dir(&state).unwrap();
    let secret = state.join("root-secret");
    let sealing = || {
        let volume = folder.path().join("v.vol");
        let mut command = twine();
        command.env("XDG_STATE_HOME", folder.path()).args(["run", "-q", "--tee", "sim", "--dir"]);
        run(command.arg(volume).arg(&program))
    };
    fs::write(&secret, [7; 16]).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = sealing();
    ended.failed_with(1, "open to others (mode 644)");
    assert!(ended.err.contains("chmod 600"), "{ended:?}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    sealing().printed("hello\n");
    fs::write(&secret, [7; 15]).unwrap();
    sealing().failed_with(1, "damaged");
    assert_eq!(fs::read(&secret).unwrap(), [7; 15]);
}

#[test]
fn concurrent_first_commands_share_one_root_secret() {
    let (_, folder, program) = bare();
    let key = folder.path().join("home");
    let start = |number: u32| {
        let mut command = twine();
        command.env_clear().env("HOME", &key);
        let volume = folder.path().join(format!("{number}.vol"));
        command.args(["run", "-q", "--tee", "sim", "--dir"]).arg(volume).arg(&program);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..4).map(start).collect();
    for child in all {
        common::ended(child.wait_with_output().unwrap()).printed("hello\n");
    }
    for number in 0..4 {
        common::ended(start(number).wait_with_output().unwrap()).printed("hello\n");
    }
}

#[test]
fn another_user_runs_a_program_with_the_images_of_this_one() {
    if !is_root() {
        eprintln!("not tested: only root can become another user");
        return;
    }
    let (_, folder, program) = bare();
    // Another user can read these copies, wherever this checkout is.
    for name in ["twine", "twine.sgxs", "twine.sig", "twine.toml"] {
        fs::copy(built(&format!("release/{name}")), folder.path().join(name)).unwrap();
    }
    let other = |options: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]);
        command.arg(folder.path().join("twine")).args(options).env_clear();
        command.current_dir(folder.path()).stdin(Stdio::null());
        command
    };
    let ended = run(other(&["run", "--tee", "sim"]).arg(&program));
    ended.printed("hello\n");
    assert!(ended.err.contains("this user has no home"), "{ended:?}");
    run(&mut other(&["cache", "ls"])).failed_with(1, "the code cache has no folder");
    run(&mut other(&["image", "sign", "twine.sgxs"]))
        .failed_with(1, "the development key has no folder");

    let home = folder.path().join("home/.local/state/sgx-sim");
    fs::create_dir_all(&home).unwrap();
    let secret = home.join("root-secret");
    fs::write(&secret, [7; 16]).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let theirs = folder.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = other(&["run", "--tee", "sim", "-q", "--dir", "theirs/v.vol"]);
    let ended = run(command.env("HOME", folder.path().join("home")).arg(&program));
    ended.failed_with(1, "it belongs to user 0");
}

#[test]
fn relative_folders_of_the_environment_do_not_count() {
    let (_, folder, _) = bare();
    let image = folder.path().join("a.sgxs");
    fs::copy(built("release/twine.sgxs"), &image).unwrap();
    fs::copy(built("release/twine.toml"), image.with_extension("toml")).unwrap();
    for data in ["", "relative"] {
        let mut command = twine();
        command.current_dir(folder.path()).env("XDG_DATA_HOME", data);
        let signed = run(command.env("HOME", folder.path()).args(["image", "sign"]).arg(&image));
        assert_eq!(signed.code, Some(0), "{signed:?}");
        let key = folder.path().join(".local/share/twine/development-key.pem");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!folder.path().join("twine").exists() && !folder.path().join("relative").exists());
}

#[test]
fn an_unwritable_code_cache_is_ignored_by_run_and_an_error_for_cache() {
    let (_, folder, program) = bare();
    let file = folder.file("file", "");
    for cache in [Path::new(NOWHERE), &file] {
        let twine = |arguments: &[&str]| {
            let mut command = twine();
            command.env("TWINE_CACHE", cache).env("XDG_STATE_HOME", folder.path()).args(arguments);
            command
        };
        let ended = run(twine(&["run", "-q"]).arg(&program));
        ended.printed("hello\n");
        assert_eq!(ended.err, "");
        let ended = run(twine(&["run", "-q", "--stats"]).arg(&program));
        assert!(ended.err.contains("warning: the compiled code was not cached"), "{ended:?}");
        let ended = run(twine(&["compile", "-q"]).arg(&program));
        ended.failed_with(1, &cache.display().to_string());
        assert!(ended.err.contains("TWINE_CACHE"), "{ended:?}");
    }
    run(twine().env("TWINE_CACHE", &file).args(["cache", "ls"])).failed_with(1, "can't be read");
    // A cache that does not exist is empty.
    run(twine().env("TWINE_CACHE", folder.path().join("no")).args(["cache", "ls"])).printed("");
}

#[test]
fn limits_that_are_too_small_are_named() {
    for (before, limit, remedy) in [
        ("ulimit -v 40000000", "RLIMIT_AS is 40000000 KiB", "LimitAS=infinity"),
        ("ulimit -d 10000", "RLIMIT_DATA is 10000 KiB", "LimitDATA=infinity"),
        ("ulimit -n 7", "RLIMIT_NOFILE is 7", "LimitNOFILE="),
    ] {
        let ended = run_after(before, &[]);
        ended.failed_with(1, limit);
        assert!(ended.err.contains(remedy) && !ended.err.contains("changed"), "{ended:?}");
    }
    // The command raises the soft limit, and does not use a small stack.
    run_after("ulimit -S -n 7", &[]).printed("hello\n");
    run_after("ulimit -s 64", &[]).printed("hello\n");
}

#[test]
fn with_any_limit_of_data_the_command_runs_or_names_it() {
    let runs = |kib: u32| {
        // With RUST_BACKTRACE, the standard library may wait for ever after memory has run out.
        let backtrace = kib / 500 % 2;
        let before = format!("ulimit -d {kib}; export RUST_BACKTRACE={backtrace}");
        let ended = run_after(&before, &["--no-code-cache"]);
        if ended.code == Some(0) {
            ended.printed("hello\n");
            return true;
        }
        ended.failed_with(1, &format!("RLIMIT_DATA is {kib} KiB"));
        assert!(ended.err.contains("LimitDATA=infinity"), "{ended:?}");
        false
    };
    assert!(!runs(2000) && !runs(10_000));
    for kib in (20_000..120_000).step_by(500) {
        runs(kib);
    }
    assert!(runs(400_000) && runs(2_000_000));
}

#[test]
fn a_limit_is_named_whichever_file_meets_it() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let key = format!("file:{}", folder.file("key", [7; 32]).display());
    let ended = run_after("ulimit -n 4", &["--key", &key, "--dir", &path("v.vol")]);
    ended.failed_with(1, "key can't be read: Too many open files");
    assert!(ended.err.contains("LimitNOFILE="), "{ended:?}");
    assert!(!folder.path().join("v.vol").exists(), "no file is left");
    let ended = run_after("ulimit -f 0", &["--no-code-cache", "--stats-json", &path("stats.json")]);
    ended.failed_with(1, "stats.json can't be written: File too large");
    assert!(ended.err.contains("LimitFSIZE=infinity"), "{ended:?}");
    // A large program is mapped, not read. The bytes after its header do not matter here.
    let large = folder.file("large.wasm", [&b"\0asm\x01\0\0\0"[..], &[0; 64 << 20]].concat());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("ulimit -v 60000; exec \"$0\" run --quiet --tee sim \"$1\"");
    let ended = run(shell.arg(built("release/twine")).arg(large));
    ended.failed_with(1, "the program's file can't be read: Cannot allocate memory");
    assert!(ended.err.contains("LimitAS=infinity"), "{ended:?}");
}

#[test]
fn an_unusable_development_key_is_an_error_and_kept() {
    let folder = Folder::new();
    let image = folder.path().join("a.sgxs");
    fs::copy(built("release/twine.sgxs"), &image).unwrap();
    fs::copy(built("release/twine.toml"), image.with_extension("toml")).unwrap();
    let sign =
        |data: &Path| run(twine().env("XDG_DATA_HOME", data).args(["image", "sign"]).arg(&image));
    let key = folder.path().join("twine/development-key.pem");
    assert_eq!(sign(folder.path()).code, Some(0));
    let whole = fs::read(&key).unwrap();
    for damaged in [&whole[..100], b""] {
        fs::write(&key, damaged).unwrap();
        let ended = sign(folder.path());
        ended.failed_with(1, &format!("the development key {} can't be used", key.display()));
        assert!(ended.err.contains(&format!("`rm {}`", key.display())), "{ended:?}");
        assert_eq!(fs::read(&key).unwrap(), damaged);
    }
    // The remedy in the message works.
    fs::remove_file(&key).unwrap();
    assert_eq!(sign(folder.path()).code, Some(0));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = sign(folder.path());
    ended.failed_with(1, "other users can read the private key");
    assert!(ended.err.contains("chmod 600"), "{ended:?}");
    let ended = sign(Path::new(NOWHERE));
    ended.failed_with(1, NOWHERE);
    assert!(ended.err.contains("XDG_DATA_HOME") && ended.err.contains("--key"), "{ended:?}");
}

#[test]
fn without_proc_an_image_that_is_named_runs_and_the_machine_is_shown() {
    let without_proc = |arguments: &str| {
        let folder = Folder::new();
        let program = folder.file("hello.wat", HELLO);
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c"]);
        shell.arg(format!("umount -l /proc && exec \"$0\" {arguments}"));
        shell.arg(built("release/twine")).arg(built("release/twine.sgxs")).arg(program);
        run(shell.env("XDG_STATE_HOME", folder.path()).env("TWINE_CACHE", cache()))
    };
    if run(Command::new("unshare").args(["--mount", "umount", "-l", "/proc"])).code != Some(0) {
        eprintln!("not tested: /proc can't be unmounted");
        return;
    }
    without_proc("run --quiet --image \"$1\" \"$2\"").printed("hello\n");
    let ended = without_proc("run --quiet \"$2\"");
    ended.failed_with(1, "Is /proc mounted?");
    assert!(ended.err.contains("--image"), "{ended:?}");
    let ended = without_proc("info");
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("image        not known: "), "{ended:?}");
}

/// The kernel gives the first process of a PID namespace no default action for signals.
#[test]
fn each_ending_signal_ends_the_first_process_of_a_container() {
    let folder = Folder::new();
    let program = folder
        .file("loop.wat", HELLO.replace("(i32.const 8)))", "(i32.const 8))) (loop $on (br $on))"));
    let container = ["--pid", "--fork", "--kill-child"];
    if run(Command::new("unshare").args(container).arg("true")).code != Some(0) {
        eprintln!("not tested: there can be no PID namespace");
        return;
    }
    for (signal, number) in [("HUP", 1), ("INT", 2), ("QUIT", 3), ("TERM", 15)] {
        let mut command = Command::new("unshare");
        // Where the tests run, signals may be ignored.
        command.args(container).args(["env", "--default-signal=HUP,INT,QUIT,TERM"]);
        command.arg(built("release/twine")).args(["run", "--quiet"]).arg(&program);
        command.env("XDG_STATE_HOME", folder.path()).env("TWINE_CACHE", cache());
        let mut outside = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(outside.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "hello\n");
        let id = outside.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let kill = format!("kill -{signal} {}", children.trim());
        run(Command::new("sh").args(["-c", &kill])).printed("");
        assert_eq!(outside.wait().unwrap().code(), Some(128 + number), "{signal}");
    }
}

#[test]
fn a_limit_of_threads_is_named() {
    let (_, folder, program) = bare();
    for name in ["twine", "twine.sgxs", "twine.sig", "twine.toml"] {
        fs::copy(built(&format!("release/{name}")), folder.path().join(name)).unwrap();
    }
    let mut shell = Command::new("prlimit");
    shell.arg("--nproc=1");
    if is_root() {
        // The limit does not apply to root.
        shell.args(["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups"]);
    }
    shell.args(["./twine", "run", "-q", "--tee", "sim"]).arg(program);
    shell.current_dir(folder.path()).env("HOME", NOWHERE);
    let ended = run(shell.stdin(Stdio::null()));
    ended.failed_with(1, "RLIMIT_NPROC is 1");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_signal() {
    let folder = Folder::new();
    let volume = folder.path().join("v.vol");
    let ended =
        run_after("ulimit -f 100", &["--no-code-cache", "--dir", &volume.display().to_string()]);
    ended.failed_with(1, "the volume for /");
    assert!(ended.err.contains("ulimit -f unlimited"), "{ended:?}");
    assert!(!volume.exists(), "no file is left");
    // This volume exists, and may not grow.
    let (volume, large) = (volume.display().to_string(), folder.file("large", vec![7; 2 << 20]));
    let key = format!("file:{}", folder.file("key", [7; 32]).display());
    let volumes = |before: &str, arguments: &[&str]| {
        let line = format!("{before}; exec \"$0\" volume \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(line).arg(built("release/twine")).args(arguments);
        run(shell.args(["-q", "--tee", "sim", "--key", &key]))
    };
    volumes("true", &["create", &volume]).printed("");
    let inside = format!("{volume}::large");
    let ended = volumes("ulimit -f 1200", &["cp", &large.display().to_string(), &inside]);
    ended.failed_with(1, "large: file too large");
    assert!(ended.err.contains("ulimit -f unlimited"), "{ended:?}");
    let check = volumes("true", &["check", &volume]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn an_image_is_reported_as_changed_only_if_it_was_changed() {
    let (_, folder, program) = bare();
    let image = fs::read(built("release/twine.sgxs")).unwrap();
    let signature = fs::read(built("release/twine.sig")).unwrap();
    let of = |image: &[u8], signature: &[u8]| {
        let path = folder.file("i.sgxs", image);
        folder.file("i.sig", signature);
        run(twine().args(["run", "-q", "--tee", "sim", "--image"]).arg(path).arg(&program))
    };
    let mut changed = image.clone();
    changed[500_000] ^= 1;
    of(&changed, &signature).failed_with(1, "is not the image that was signed");
    let mut forged = signature.clone();
    forged[700] ^= 1;
    for (ended, cause) in [
        (of(&image[..1_000_000], &signature), "is damaged, or not an image"),
        (of(b"", &signature), "is damaged, or not an image"),
        (of(&image, &forged), "i.sig is not valid: it was changed after it was signed"),
        (of(&image, &signature[1..]), "i.sig is not valid"),
    ] {
        ended.failed_with(1, cause);
        assert!(!ended.err.contains("image was changed"), "{ended:?}");
    }
    let mut command = twine();
    let ended = run(command.args(["run", "-q", "--image"]).arg(folder.path()).arg(&program));
    ended.failed_with(1, "Is a directory");
}

#[test]
fn lost_output_is_an_error_and_unread_error_messages_are_ignored() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let lost = |arguments: &[&str]| run_to(twine().args(arguments), full());
    for arguments in [&["info"][..], &["--help"], &["info", "--json"]] {
        lost(arguments).failed_with(1, "the standard output can't be written");
    }
    let (_, _folder, program) = bare();
    let mut command = twine();
    let ended = command.args(["run"]).arg(&program).stderr(full()).output().unwrap();
    assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(0), &b"hello\n"[..]));
    let ended = twine().args(["run", "/nonexistent.wasm"]).stderr(full()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    // These streams are closed.
    run_after("exec <&- 2>&-", &[]).printed("hello\n");
    run_after("exec >&-", &[]).printed("");
}

/// Runs a command with `out` as its standard output.
fn run_to(command: &mut Command, out: File) -> Ended {
    common::ended(
        command.stdout(out).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap(),
    )
}

/// Writes its arguments and its environment, with a NUL after each text.
const TELLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $arguments (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
      (func $environment (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $get_all (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $arguments (i32.const 0) (i32.const 20)))
      (drop (call $get (i32.const 1000) (i32.const 4096)))
      (drop (call $environment (i32.const 0) (i32.const 28)))
      (drop (call $get_all (i32.const 1000) (i32.const 8192)))
      (i32.store (i32.const 16) (i32.const 4096))
      (i32.store (i32.const 24) (i32.const 8192))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 2) (i32.const 0)))))"#;

#[test]
fn arguments_and_environment_that_are_not_utf_8_arrive_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes;
    let folder = Folder::new();
    let program = folder.file("tells.wat", TELLS);
    let mut command = twine();
    command.env("V", bytes(b"a\xff")).args(["run", "-q", "--env", "V", "--env", "NOT_SET_AT_ALL"]);
    command.arg("--env").arg(bytes(b"W=\xfe=b")).arg(&program).arg(bytes(b"\xc3\x28"));
    let output = command.output().unwrap();
    let expected: &[u8] = b"tells.wat\0\xc3\x28\0V=a\xff\0W=\xfe=b\0";
    assert_eq!(output.stdout, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
