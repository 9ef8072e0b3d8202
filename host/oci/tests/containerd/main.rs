//! Containers of WebAssembly programs under a real containerd, beside ordinary ones. The tests need
//! root, and containerd, runc and busybox; elsewhere they say that they were left out.

mod cri;
mod node;
mod ordinary;
mod programs;

use node::{Ended, Node, built};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use twine_oci_image::Recipe;

#[test]
fn a_program_gets_arguments_environment_and_working_directory() {
    let Some(node) = Node::start() else { return };
    let recipe = Recipe {
        program: fs::read(built("guests/report.wasm")).unwrap(),
        path: "bin/report.wasm".into(),
        arguments: vec!["of the image".into()],
        environment: vec!["A=1".into(), "B=2".into()],
        directory: Some("/srv".into()),
        ..Recipe::default()
    };
    node.import_recipe("report", recipe);
    let Ended { out, .. } = node.run(&["--rm", "report:1", "one"]).expect(0);
    assert!(out.contains("  text         of the image\n"), "{out}");
    assert!(out.contains("  environment  A=1 B=2 PWD=/srv\n"), "{out}");
    let changed = ["--rm", "--env", "B=3", "--cwd", "/tmp", "report:1", "two"];
    let Ended { out, .. } =
        node.run(&[&changed[..], &["/bin/report.wasm", "of the user"]].concat()).expect(0);
    assert!(out.contains("  text         of the user\n"), "{out}");
    assert!(out.contains("  environment  A=1 B=3 PWD=/tmp\n"), "{out}");
}

#[test]
fn exit_codes_and_traps_reach_the_user() {
    let Some(node) = Node::start() else { return };
    for code in [0, 7, 255] {
        let name = format!("exits-{code}");
        node.import(&name, programs::exits(code));
        node.run(&["--rm", &format!("{name}:1"), "exits"]).expect(code as i32);
    }
    node.import("traps", programs::traps());
    let ended = node.run(&["--rm", "traps:1", "traps"]).expect(134);
    assert!(ended.err.contains("unreachable"), "{ended:?}");
}

#[test]
fn signals_end_a_program_as_they_end_any_process() {
    let Some(node) = Node::start() else { return };
    node.import("waits", programs::waits());
    for (signal, code) in [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129), ("SIGKILL", 137)] {
        let mut waits = node
            .run_command(&["--rm", "waits:1", "waits"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(waits.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        node.ctr(&["task", "kill", "--signal", signal, "waits"]).expect(0);
        assert_eq!(waits.wait().unwrap().code(), Some(code), "{signal}");
    }
}

#[test]
fn standard_input_reaches_a_program_while_it_runs() {
    let Some(node) = Node::start() else { return };
    node.import("copies", programs::copies());
    let mut copies = node
        .run_command(&["--rm", "copies:1", "copies"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = copies.stdin.take().unwrap();
    let mut output = BufReader::new(copies.stdout.take().unwrap());
    for sent in ["one\n", "two\n"] {
        input.write_all(sent.as_bytes()).unwrap();
        let mut received = String::new();
        output.read_line(&mut received).unwrap();
        assert_eq!(received, sent);
    }
    node.ctr(&["task", "kill", "--signal", "SIGTERM", "copies"]).expect(0);
    assert_eq!(copies.wait().unwrap().code(), Some(143));
}

#[test]
fn a_terminal_is_one_for_the_program() {
    let Some(node) = Node::start() else { return };
    node.import("input", programs::tells_its_input());
    let without = node.run(&["--rm", "input:1", "input"]);
    assert_ne!(without.code, Some(2), "{without:?}");
    let command = node.run_command(&["--rm", "--tty", "input:1", "input"]);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let line: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    // `script` runs a command at a terminal of its own.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    let ended: Ended = script.stdin(Stdio::null()).output().unwrap().into();
    ended.expect(2);
}

#[test]
fn a_volume_is_kept_over_restarts_and_its_contents_are_hidden_from_the_node() {
    let Some(node) = Node::start() else { return };
    node.import("sqlite", fs::read(built("guests/sqlite.wasm")).unwrap());
    let data = node.path("data");
    fs::create_dir(&data).unwrap();
    let mount = format!("type=bind,src={},dst=/data,options=rbind:rw", data.display());
    let sqlite = |text: &str| {
        let options = ["--rm", "--mount", &mount, "--annotation", "io.twine.rootfs=none"];
        let volume = ["--annotation", "io.twine.volume.data=/data/app.vol::/"];
        let rest = ["sqlite:1", "sqlite", "/app.wasm", "app.db", text];
        node.run(&[&options[..], &volume, &rest].concat()).expect(0).out
    };
    sqlite("create table secrets (text); insert into secrets values ('unheard-of');");
    assert_eq!(sqlite("select * from secrets;"), "unheard-of\n");
    let stored = fs::read(data.join("app.vol")).unwrap();
    assert!(!stored.windows(10).any(|window| window == b"unheard-of"));
    // A volume for another program is not opened.
    node.import("other", programs::copies());
    let other = node.run(&[
        "--rm",
        "--mount",
        &mount,
        "--annotation",
        "io.twine.volume.data=/data/app.vol::/volume",
        "other:1",
        "other",
    ]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.err.contains("app.vol") || other.err.contains("volume"), "{other:?}");
}

#[test]
fn a_program_under_a_manifest_does_what_that_says_and_nothing_else() {
    let Some(node) = Node::start() else { return };
    let program = built("guests/sqlite.wasm").display().to_string();
    node.import("sqlite", fs::read(&program).unwrap());
    let data = node.path("data");
    fs::create_dir(&data).unwrap();
    let twine = |arguments: &[&str]| {
        let mut command = Command::new(built("release/twine"));
        let ended: Ended = command.current_dir(&data).args(arguments).output().unwrap().into();
        ended.expect(0);
    };
    let statements = "create table if not exists t (x); insert into t values ('unheard-of'); \
                      select count(*) from t;";
    twine(&["key", "new", "--output", "owner.pem", "--public", "owner.pub"]);
    let options = ["--dir", "::/", "--secret", "TOKEN", "--stream", "stdout"];
    let rest = ["--output", "app.toml", &program, "--", "app.db", statements];
    twine(&[&["manifest", "init"], &options[..], &rest].concat());
    twine(&["manifest", "sign", "app.toml", "--key", "owner.pem", "--output", "app.manifest"]);

    let mount = format!("type=bind,src={},dst=/data,options=rbind:rw", data.display());
    let run = |annotations: &[&str]| {
        let mut arguments = vec!["--rm", "--mount", &mount, "--env", "TOKEN=x"];
        for annotation in ["io.twine.volume.data=/data/app.vol::/"].iter().chain(annotations) {
            arguments.extend(["--annotation", annotation]);
        }
        // What a curious operator asks for.
        arguments.extend(["sqlite:1", "sqlite", "/app.wasm", "app.db", ".dump"]);
        node.run(&arguments)
    };
    let held = ["io.twine.manifest=/data/app.manifest", "io.twine.secrets=TOKEN"];
    assert_eq!(run(&held).expect(0).out, "1\n");
    assert_eq!(run(&held).expect(0).out, "2\n");
    let free = run(&["io.twine.rootfs=none"]);
    assert_eq!(free.code, Some(1), "{free:?}");
    assert!(!free.out.contains("unheard-of"), "{free:?}");
}

#[test]
fn a_program_runs_as_another_user_on_a_read_only_root() {
    let Some(node) = Node::start() else { return };
    let recipe = Recipe {
        program: programs::exits(5),
        path: "app.wasm".into(),
        user: Some("1234:1234".into()),
        ..Recipe::default()
    };
    node.import_recipe("exits", recipe);
    node.run(&["--rm", "--read-only", "exits:1", "exits"]).expect(5);
    // Each user has its own state on the node, which others can't read.
    use std::os::unix::fs::MetadataExt;
    let state = node.path("twine/1234").metadata().unwrap();
    assert_eq!((state.uid(), state.gid(), state.mode() & 0o777), (1234, 1234, 0o700));
}

#[test]
fn a_program_reaches_the_files_of_its_container_but_not_those_of_twine() {
    let Some(node) = Node::start() else { return };
    // WASI's numbers of success, EACCES and ENOENT.
    for (name, path, error) in [
        ("own", "app.wasm", 0),
        ("state", ".twine/state", 2),
        ("root", ".twine", 2),
        ("around", "etc/../.twine/state/sgx-sim", 2),
        ("missing", "nothing", 44),
    ] {
        let recipe = Recipe {
            program: programs::looks_at(path),
            path: "app.wasm".into(),
            files: vec![(node.path("config.toml"), "etc/config.toml".into())],
            ..Recipe::default()
        };
        node.import_recipe(name, recipe);
        let ended = node.run(&["--rm", &format!("{name}:1"), name]);
        assert_eq!(ended.code, Some(error), "{path}: {ended:?}");
    }
}

#[test]
fn a_program_that_wants_more_than_its_limit_is_refused_memory_and_not_killed() {
    let Some(node) = Node::start() else { return };
    node.import("memory", programs::takes_all_memory());
    let limit = (256_u64 << 20).to_string();
    let ended = node.run(&["--rm", "--memory-limit", &limit, "memory:1", "memory"]);
    let mib = ended.code.unwrap() * 16;
    assert!((128..256).contains(&mib), "{mib} MiB: {ended:?}");
}

#[test]
fn fifty_containers_run_at_once() {
    let Some(node) = Node::start() else { return };
    node.import("waits", programs::waits());
    let names: Vec<String> = (0..50).map(|number| format!("waits-{number}")).collect();
    for name in &names {
        node.start_container(&[], "waits:1", name);
    }
    for name in &names {
        node.wait("the program's output", || node.log(name).contains("ready\n"));
    }
    let running = node.tasks().into_iter().filter(|(_, state)| state == "RUNNING").count();
    assert_eq!(running, names.len());
    let [_, own] = node.memory(&names);
    let each = own / names.len() as u64;
    assert!((1 << 20..64 << 20).contains(&each), "{each} bytes each");
}

#[test]
fn a_volume_opens_again_after_its_shim_was_killed() {
    let Some(node) = Node::start() else { return };
    node.import("waits", programs::waits());
    let data = node.path("data");
    fs::create_dir(&data).unwrap();
    let mount = format!("type=bind,src={},dst=/data,options=rbind:rw", data.display());
    let options =
        ["--mount", &mount, "--annotation", "io.twine.volume.data=/data/app.vol::/volume"];
    node.start_container(&options, "waits:1", "waits");
    node.wait("the program's output", || node.log("waits").contains("ready\n"));
    let shim = node.shim("waits");
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    // containerd ends the container whose shim is gone.
    node.wait("the container to be gone", || node.tasks().is_empty());
    node.start_container(&options, "waits:1", "again");
    node.wait("the program's output", || node.log("again").contains("ready\n"));
}

#[test]
fn an_ordinary_container_is_left_as_it_is() {
    let Some(node) = Node::start() else { return };
    let own = node.ordinary_arguments();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    const TEXT: &str = "echo $PATH; cat /proc/1/cmdline; true";
    let hello = ["--rm", "busybox:1", "through", "sh", "-c", TEXT];
    let through = node.ctr(&[&own[..], &hello].concat()).expect(0).out;
    assert_eq!(through, format!("/bin\nsh\0-c\0{TEXT}\0"));
    // Its configuration is the one that containerd wrote, byte for byte.
    let detached = ["--detach", "busybox:1", "same", "sleep", "60"];
    let plain = ["run", "--runtime", "io.containerd.runc.v2"];
    let configuration = |begin: &[&str]| {
        node.ctr(&[begin, &detached].concat()).expect(0);
        let bytes = fs::read(node.bundle("same").join("config.json")).unwrap();
        node.ctr(&["task", "kill", "--signal", "SIGKILL", "same"]).expect(0);
        node.remove("same");
        bytes
    };
    assert_eq!(configuration(&own), configuration(&plain));
}

#[test]
fn a_wrong_annotation_is_explained_to_the_user() {
    let Some(node) = Node::start() else { return };
    node.import("exits", programs::exits(0));
    let ended =
        node.run(&["--rm", "--annotation", "io.twine.rootfs=maybe", "exits:1", "exits"]).expect(1);
    for words in ["io.twine.rootfs", "maybe", "write \"rw\", \"ro\" or \"none\""] {
        assert!(ended.err.replace('\\', "").contains(words), "{ended:?}");
    }
}

#[test]
fn a_pod_of_kubernetes_runs_programs_and_ordinary_containers() {
    let Some(node) = Node::of_kubernetes() else { return };
    node.import("waits", programs::waits());
    let recipe = Recipe {
        program: fs::read(built("guests/report.wasm")).unwrap(),
        path: "report.wasm".into(),
        ..Recipe::default()
    };
    node.import_recipe("report", recipe);
    let cri = cri::Cri::connect(&node.path("sock"));
    let logs = node.path("logs");
    let log = |name: &str| fs::read_to_string(logs.join(name)).unwrap_or_default();
    // The annotations are the pod's. Its sandbox has them too, and is no program.
    let annotations = [("io.twine.program", "true"), ("io.twine.rootfs", "none")];
    let pod = cri.run_pod("programs", "twine", &annotations, &logs).unwrap();
    let report = "docker.io/library/report:1";
    let id = cri.start(&pod, "report", report, &[], &["from", "a", "pod"]).unwrap();
    node.wait("the program to end", || cri.exit_code(&id).is_some());
    assert_eq!(cri.exit_code(&id), Some(0), "{}", log("report"));
    assert!(log("report").contains("  text         from a pod\n"), "{}", log("report"));
    assert!(log("report").contains("POD=yes"), "{}", log("report"));
    let id = cri.start(&pod, "waits", "docker.io/library/waits:1", &[], &[]).unwrap();
    node.wait("the program's output", || log("waits").contains("ready\n"));
    assert_eq!(cri.exit_code(&id), None);
    cri.stop(&id);
    node.wait("the program to end", || cri.exit_code(&id).is_some());
    assert_eq!(cri.exit_code(&id), Some(143));
    cri.remove(pod);
    // Without the annotation, programs and ordinary containers share a pod.
    let pod = cri.run_pod("both", "twine", &[], &logs).unwrap();
    let command = ["sh", "-c", "echo ordinary; exit 3"];
    let id = cri.start(&pod, "busybox", "docker.io/library/busybox:1", &command, &[]).unwrap();
    node.wait("the container to end", || cri.exit_code(&id).is_some());
    assert_eq!((cri.exit_code(&id), log("busybox").contains("ordinary\n")), (Some(3), true));
    let id = cri.start(&pod, "again", report, &[], &["beside"]).unwrap();
    node.wait("the program to end", || cri.exit_code(&id).is_some());
    assert_eq!(cri.exit_code(&id), Some(0), "{}", log("again"));
    cri.remove(pod);
    // The default runtime is still there.
    let pod = cri.run_pod("plain", "", &[], &logs).unwrap();
    cri.remove(pod);
    let unknown = [("io.twine.manifest", "signed")];
    let pod = cri.run_pod("refused", "twine", &unknown, &logs).unwrap();
    let refused = cri.start(&pod, "refused", report, &[], &[]).unwrap_err();
    assert!(refused.contains("io.twine.manifest"), "{refused}");
    cri.remove(pod);
}
