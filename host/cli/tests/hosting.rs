//! An owner elsewhere: `twine host`, `twine deploy`, and what comes with them.

mod common;

use common::hosting::{Deployer, ECHO, Host};
use common::{Folder, built, ended, run_with_input, twine};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

/// Runs for ever.
const LOOP: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $a (br $a))))"#;

/// Takes all memory that it can get, writes to it, and says so by its exit code: the number of MiB.
const GREEDY: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (loop $more
        (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1))
          (then
            (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)) (i32.const 1))
            (br $more))))
      (call $exit (i32.shr_u (memory.size) (i32.const 4)))))"#;

/// Traps.
const TRAP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;

#[test]
fn a_program_runs_elsewhere_as_if_it_were_here() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    let ran = owner.deploy(&host, "echo", &[], b"in and out\n");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(7), "in and out\n", ""));
    // More than any buffer on the way.
    let much: Vec<u8> = (0..3_000_000_u32).map(|at| b'a' + (at % 23) as u8).collect();
    let ran = owner.deploy(&host, "echo", &[], &much);
    assert!(ran.out.as_bytes() == much, "{} bytes came back", ran.out.len());
    // The host has the program now.
    let again = ["deploy", "--quiet", &host.address, "echo.manifest"];
    let ran = run_with_input(&mut owner.command(&again), b"again");
    assert_eq!((ran.code, ran.out.as_str()), (Some(7), "again"));
    owner.program("trap", TRAP, &[]);
    owner.deploy(&host, "trap", &[], b"").trapped_with("unreachable");
    // What has ended, and whose client has got the end, is not kept.
    let shown = owner.manage(&host, "ps", "echo", &[]);
    assert_eq!(shown.out.lines().count(), 1, "{shown:?}");
    assert!(host.log().contains("/echo: ended\n"), "{}", host.log());
}

#[test]
fn a_deployment_is_left_running_and_looked_after() {
    let mut host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    owner.deploy(&host, "echo", &["--detach"], b"").printed("");
    owner.wait(&host, "echo", "running");
    let second = owner.deploy(&host, "echo", &[], b"");
    second.failed_with(1, "echo runs already");
    let attach = ["attach", "--quiet", "echo.manifest", "--at", &host.address];
    let ran = run_with_input(&mut owner.command(&attach), b"from a client\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(7), "from a client\n"));
    owner.wait(&host, "echo", "exited (7)");
    owner.manage(&host, "logs", "echo", &[]).printed("from a client\n");
    owner.manage(&host, "rm", "echo", &[]).printed("");
    owner.manage(&host, "logs", "echo", &[]).failed_with(1, "no deployment \"echo\"");

    owner.program("loop", LOOP, &[]);
    owner.deploy(&host, "loop", &["--detach"], b"").printed("");
    owner.wait(&host, "loop", "running");
    owner.manage(&host, "rm", "loop", &[]).failed_with(1, "still runs");
    owner.manage(&host, "stop", "loop", &["--kill"]).printed("");
    owner.wait(&host, "loop", "stopped");
    // A program that runs does not keep the host from ending.
    owner.deploy(&host, "loop", &["--detach"], b"").printed("");
    owner.wait(&host, "loop", "running");
    assert_eq!(host.end("TERM"), Some(0), "{}", host.log());
}

#[test]
fn a_host_that_was_killed_resumes_what_its_manifest_allows() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("never", ECHO, &[]);
    owner.program("echo", ECHO, &["--secret", "TOKEN", "--dir", "::/data"]);
    owner.0.edit("echo", "# restart = \"always\"", "restart = \"always\"");
    owner.0.sign("echo");
    owner.deploy(&host, "never", &["--detach"], b"").printed("");
    owner.deploy(&host, "echo", &["--detach", "--secret", "TOKEN=x"], b"").printed("");
    owner.wait(&host, "echo", "running");
    owner.wait(&host, "never", "running");
    let host = host.restart();
    owner.wait(&host, "echo", "running");
    assert!(host.log().contains("/echo: resumed\n"), "{}", host.log());
    let attach = ["attach", "--quiet", "echo.manifest", "--at", &host.address];
    let ran = run_with_input(&mut owner.command(&attach), b"still here\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(7), "still here\n"));
    let shown = owner.manage(&host, "ps", "never", &[]);
    assert!(!shown.out.contains("never"), "{shown:?}");
    // It has ended by itself, and is not started again.
    let host = host.restart();
    let shown = owner.manage(&host, "ps", "echo", &[]);
    assert!(!shown.out.contains("echo"), "{shown:?}");
}

#[test]
fn one_that_traps_loops_or_takes_all_memory_harms_no_other() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    owner.program("loop", LOOP, &["--timeout", "3s"]);
    owner.program("greedy", GREEDY, &[]);
    owner.program("trap", TRAP, &[]);
    let mut echo: Child = {
        let arguments = ["deploy", "--quiet", &host.address, "echo.manifest", "echo.wat"];
        let mut command = owner.command(&arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let input: ChildStdin = echo.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            owner.deploy(&host, "loop", &[], b"").trapped_with("longer than its manifest allows")
        });
        scope.spawn(|| {
            // 16 MiB are allowed, and the module has its first page from the start.
            assert_eq!(owner.deploy(&host, "greedy", &[], b"").code, Some(15));
        });
        scope.spawn(|| owner.deploy(&host, "trap", &[], b"").trapped_with("unreachable"));
    });
    drop(input);
    let echo = ended(echo.wait_with_output().unwrap());
    assert_eq!((echo.code, echo.out.as_str()), (Some(7), ""), "{}", host.log());
}

#[test]
fn a_host_that_is_not_what_the_manifest_demands_gets_nothing() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    // Another image: that of `twine run`.
    let image = built("release/twine.sgxs").display().to_string();
    owner.program("other", ECHO, &["--image", &image]);
    let refused = owner.deploy(&host, "other", &[], b"");
    refused.failed_with(1, "is not an enclave that the manifest accepts: measurement");
    // Simulated SGX, and the manifest wants Intel's.
    owner.0.edit("echo", "root = \"simulation\"", "# root = \"simulation\"");
    owner.0.sign("echo");
    owner.deploy(&host, "echo", &[], b"").failed_with(1, "its SGX is simulated");
    assert!(!host.log().contains("/echo"), "{}", host.log());
    assert!(!host.log().contains("/other"), "{}", host.log());
    assert_eq!(fs::read_dir(host.state.path().join("records")).unwrap().count(), 0);
}

#[test]
fn who_has_not_the_key_of_an_owner_gets_nothing_of_his() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    owner.deploy(&host, "echo", &["--detach"], b"").printed("");
    owner.wait(&host, "echo", "running");
    let other = Deployer::new();
    for file in ["echo.manifest", "echo.wat"] {
        fs::copy(owner.0.folder().path().join(file), other.0.folder().path().join(file)).unwrap();
    }
    other.deploy(&host, "echo", &[], b"").failed_with(1, "neither that of the manifest's owner");
    for command in ["logs", "attach", "stop", "rm"] {
        other.manage(&host, command, "echo", &[]).failed_with(1, "there is no deployment");
    }
    let shown = other.manage(&host, "ps", "echo", &[]);
    assert_eq!(shown.out.lines().count(), 1, "{shown:?}");
    // He knows the hash of the program, and can't run it without having it.
    other.program("copy", ECHO, &[]);
    let copy = ["deploy", "--quiet", &host.address, "copy.manifest"];
    let wanted = ended(other.command(&copy).output().unwrap());
    wanted.failed_with(2, "has not got the program of copy");
    owner.wait(&host, "echo", "running");
}

#[test]
fn a_program_that_waits_for_input_ends_when_it_is_stopped() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    for (options, state, code) in [(&[][..], "interrupted", 130), (&["--kill"], "stopped", 143)] {
        let arguments = ["deploy", "--quiet", &host.address, "echo.manifest", "echo.wat"];
        let mut command = owner.command(&arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut attached = command.spawn().unwrap();
        let input = attached.stdin.take().unwrap();
        owner.wait(&host, "echo", "running");
        owner.manage(&host, "stop", "echo", options).printed("");
        let stopped = ended(attached.wait_with_output().unwrap());
        assert_eq!(stopped.code, Some(code), "{stopped:?}");
        assert_eq!(stopped.err, format!("error: echo was {state}\n"));
        drop(input);
        // One that nobody is attached to shows how it ended.
        owner.deploy(&host, "echo", &["--detach"], b"").printed("");
        owner.wait(&host, "echo", "running");
        owner.manage(&host, "stop", "echo", options).printed("");
        owner.wait(&host, "echo", state);
        owner.manage(&host, "rm", "echo", &[]).printed("");
    }
}

#[test]
fn an_update_replaces_the_version_that_runs() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &[]);
    owner.deploy(&host, "echo", &["--detach"], b"").printed("");
    owner.wait(&host, "echo", "running");
    owner.0.edit("echo", "version = 1", "version = 2");
    owner.0.sign("echo");
    owner.deploy(&host, "echo", &["--detach"], b"").failed_with(1, "echo runs already");
    let update = ["update", "--quiet", &host.address, "echo.manifest"];
    let updated = run_with_input(&mut owner.command(&update), b"newer");
    assert_eq!((updated.code, updated.out.as_str()), (Some(7), "newer"), "{updated:?}");
}

/// What was kept for a deployment goes with it, and what one owner has kept is bounded.
#[test]
fn a_removed_deployment_leaves_no_program_behind() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    let records = || fs::read_dir(host.state.path().join("records")).unwrap().count();
    owner.program("echo", ECHO, &[]);
    owner.deploy(&host, "echo", &["--detach"], b"").printed("");
    owner.wait(&host, "echo", "running");
    assert!(records() >= 3, "the program, its code, and the list of the owner's programs");
    owner.manage(&host, "stop", "echo", &["--kill"]).printed("");
    owner.wait(&host, "echo", "stopped");
    owner.manage(&host, "rm", "echo", &[]).printed("");
    assert_eq!(records(), 0);
    // The last 32 programs of an owner stay, each with its code.
    for at in 0..35 {
        let text = format!(
            r#"(module (memory (export "memory") 1) (func (export "_start"))
            (data (i32.const {at}) "x"))"#
        );
        owner.program("many", &text, &[]);
        owner.deploy(&host, "many", &[], b"").printed("");
    }
    assert_eq!(records(), 2 * 32 + 1);
    let again = ["deploy", "--quiet", &host.address, "many.manifest"];
    ended(owner.command(&again).output().unwrap()).printed("");
}

#[test]
fn an_operator_admits_owners_and_sets_limits() {
    let (known, unknown) = (Deployer::new(), Deployer::new());
    let key = known.0.folder().path().join("owner.pub").display().to_string();
    let host = Host::start(&["--owner", &key, "--max-memory-each", "64MiB"]);
    known.program("echo", ECHO, &[]);
    assert_eq!(known.deploy(&host, "echo", &[], b"").code, Some(7));
    unknown.program("echo", ECHO, &[]);
    unknown.deploy(&host, "echo", &[], b"").failed_with(1, "does not admit the owner");
    known.0.edit("echo", "memory = \"16MiB\"", "memory = \"65MiB\"");
    known.0.sign("echo");
    known.deploy(&host, "echo", &[], b"").failed_with(1, "this host has 67108864");
    known.0.edit("echo", "memory = \"65MiB\"", "# memory = \"65MiB\"");
    known.0.sign("echo");
    known.deploy(&host, "echo", &[], b"").failed_with(1, "sets no limit of memory");
}

#[test]
fn one_owner_has_no_more_deployments_than_the_operator_says() {
    let host = Host::start(&["--per-owner", "1", "--max-memory-owner", "40MiB"]);
    let (one, two) = (Deployer::new(), Deployer::new());
    for owner in [&one, &two] {
        for name in ["first", "second"] {
            owner.program(name, ECHO, &[]);
        }
        owner.deploy(&host, "first", &["--detach"], b"").printed("");
        let second = owner.deploy(&host, "second", &["--detach"], b"");
        second.failed_with(1, "this owner has the 1 deployments");
    }
    one.0.edit("first", "memory = \"16MiB\"", "memory = \"41MiB\"");
    one.0.sign("first");
    one.deploy(&host, "first", &["--replace"], b"").failed_with(1, "this host has 41943040");
}

#[test]
fn an_image_with_too_few_threads_is_refused_with_what_it_can_do() {
    let image = built("release/twine.sgxs").display().to_string();
    let host = |options: &[&str]| {
        let mut command = twine();
        let state = Folder::new();
        command.args(["host", "--listen", "nowhere", "--image", &image, "--state"]);
        ended(command.arg(state.path()).args(options).output().unwrap())
    };
    let refused = host(&[]);
    refused.failed_with(2, "64 programs at once take 66");
    // The remedy works.
    let most = refused.err.split("--max-running ").nth(1).unwrap();
    let most: u64 = most.split(')').next().unwrap().parse().unwrap();
    host(&["--max-running", &(most + 1).to_string()]).failed_with(2, "programs at once take");
    host(&["--max-running", &most.to_string()]).failed_with(1, "--listen nowhere");
}

#[test]
fn a_database_elsewhere_is_its_owners_alone_and_survives_its_host() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    let other = Deployer::new();
    owner.sqlite(&host, "notes", "CREATE TABLE t(x); INSERT INTO t VALUES('kept');").printed("");
    let host = host.restart();
    owner.sqlite(&host, "notes", "SELECT x FROM t").printed("kept\n");
    // The same name is another database for another owner.
    let shown = other.sqlite(&host, "notes", "SELECT x FROM t");
    assert!(shown.err.contains("no such table"), "{shown:?}");
    let volumes = fs::read_dir(host.state.path().join("volumes")).unwrap().count();
    assert_eq!(volumes, 2);
}

/// Whether a text is anywhere below a folder.
fn is_in(folder: &Path, text: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_in(&path, text);
        }
        fs::read(&path).unwrap().windows(text.len()).any(|part| part == text)
    })
}

/// Returns the addresses of a process's memory where a text is, apart from the enclave's.
fn in_memory(process: u32, text: &[u8]) -> Vec<String> {
    /// More than any other mapping has, and less than the enclave's addresses.
    const LARGE: u64 = 64 << 30;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let range = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let parse = |text| u64::from_str_radix(text, 16).ok();
        Some((parse(start)?, parse(end)?))
    };
    let ranges: Vec<_> = maps.lines().filter_map(|line| Some((range(line)?, line))).collect();
    let enclave = ranges.iter().map(|((start, end), _)| (*start, *end)).max_by_key(|(a, b)| b - a);
    let (first, last) = enclave.unwrap();
    assert!(last - first > LARGE, "the largest mapping is not the enclave's guard range");
    let elrange = {
        // ELRANGE is naturally aligned, and the guard range is in it.
        let size = 512 << 30;
        let base = first / size * size;
        base..base + size
    };
    let mut found = Vec::new();
    let mut buffer = Vec::new();
    // Searching is for a program that was built to be fast.
    let finds = |bytes: &[u8]| {
        let mut grep = Command::new("grep");
        grep.args(["-q", "-a", "-F", "-e", std::str::from_utf8(text).unwrap()]);
        run_with_input(&mut grep, bytes).code == Some(0)
    };
    for ((start, end), line) in ranges {
        // Nothing was ever put where nothing may be read.
        let is_readable = line.split(' ').nth(1).is_some_and(|flags| flags.starts_with('r'));
        if elrange.contains(&start) || line.contains("[v") || end - start >= LARGE || !is_readable {
            continue;
        }
        buffer.resize((end - start) as usize, 0);
        let read = memory.seek(SeekFrom::Start(start)).and_then(|_| memory.read(&mut buffer));
        let count = read.unwrap_or(0);
        if finds(&buffer[..count]) {
            found.push(line.to_owned());
        }
    }
    found
}

#[test]
fn secrets_and_streams_are_nowhere_on_the_host_but_in_the_enclave() {
    const SECRET: &[u8] = b"the-treasure-is-under-the-old-oak-93A71C";
    let host = Host::start(&[]);
    let owner = Deployer::new();
    owner.program("echo", ECHO, &["--secret", "TOKEN", "--dir", "::/data"]);
    owner.0.folder().file("token", SECRET);
    let arguments = ["deploy", "--quiet", "--secret", "TOKEN=@token", &host.address];
    let mut client = owner
        .command(&[&arguments[..], &["echo.manifest", "echo.wat"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, SECRET).unwrap();
    let mut back = vec![0; SECRET.len()];
    client.stdout.as_mut().unwrap().read_exact(&mut back).unwrap();
    assert_eq!(back, SECRET);
    // The program waits for more input, and its streams and secrets are in the enclave.
    let found = in_memory(host.child.id(), SECRET);
    assert!(found.is_empty(), "{found:?}");
    // The search finds what is there: the address of the host's own log.
    assert!(!in_memory(host.child.id(), b"listening on ").is_empty());
    drop(input);
    assert_eq!(client.wait().unwrap().code(), Some(7));
    assert!(!is_in(host.state.path(), SECRET));
    assert!(!host.log().contains("treasure"));
}

#[test]
fn anybody_can_verify_what_a_host_is() {
    let host = Host::start(&[]);
    let folder = Folder::new();
    let policy = folder.path().join("policy.toml");
    let mut init = twine();
    init.args(["policy", "init", "--host", "--root", "simulation", "--output"]).arg(&policy);
    let made = ended(init.output().unwrap());
    assert_eq!(made.code, Some(0), "{made:?}");
    let verify = twine().arg("verify").arg(&host.address).arg("--policy").arg(&policy).output();
    let verdict = ended(verify.unwrap());
    assert_eq!(verdict.code, Some(0), "{verdict:?}");
    assert!(verdict.out.contains("waits for deployments"), "{verdict:?}");
}

#[test]
fn mistakes_have_a_cause_and_a_remedy() {
    let owner = Deployer::new();
    owner.program("echo", ECHO, &["--secret", "TOKEN"]);
    let deploy = |arguments: &[&str]| {
        let usual = ["deploy", "--quiet"];
        ended(owner.command(&[&usual[..], arguments].concat()).output().unwrap())
    };
    deploy(&["nowhere", "echo.manifest", "--secret", "TOKEN=x"]).failed_with(2, "no address");
    deploy(&["127.0.0.1:1", "echo.manifest"]).failed_with(2, "TOKEN has no value");
    let twice = ["127.0.0.1:1", "echo.manifest", "--secret", "TOKEN=x", "--secret", "TOKEN=y"];
    deploy(&twice).failed_with(2, "given twice");
    let unknown = ["127.0.0.1:1", "echo.manifest", "--secret", "TOKEN=x", "--secret", "OTHER=y"];
    deploy(&unknown).failed_with(2, "no such secret");
    deploy(&["127.0.0.1:1", "echo.manifest", "--secret", "TOKEN=x"])
        .failed_with(1, "can't be reached");
    deploy(&["127.0.0.1:1", "echo.toml"]).failed_with(1, "not a signed manifest");
    owner.0.folder().file("wrong.wat", LOOP);
    deploy(&["127.0.0.1:1", "echo.manifest", "wrong.wat", "--secret", "TOKEN=x"])
        .failed_with(1, "is another program");
    // A host follows none of the options of a shell on this machine.
    let mut local = twine();
    local.args([
        "sqlite",
        "--at",
        "127.0.0.1:1",
        "--owner-key",
        "owner.pem",
        "--read-only",
        "notes",
    ]);
    let refused = ended(local.output().unwrap());
    assert!(refused.code == Some(2) && refused.err.contains("cannot be used with"), "{refused:?}");
    let mut idle = twine();
    idle.args(["host", "--listen", "127.0.0.1:0", "--max-running", "0"]);
    let refused = ended(idle.output().unwrap());
    assert!(refused.code == Some(2) && refused.err.contains("--max-running"), "{refused:?}");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let state = Folder::new();
    let mut host = twine();
    host.args(["host", "--listen", &address, "--state"]).arg(state.path());
    ended(host.output().unwrap()).failed_with(1, "--listen");
    // Two hosts can't share a state.
    let first = Host::start(&[]);
    let mut second = twine();
    second.args(["host", "--listen", "127.0.0.1:0", "--state"]).arg(first.state.path());
    ended(second.output().unwrap()).failed_with(1, "in use");
}
