//! Programs that attest each other through the imports `twine:attestation`.

mod common;

use common::hosting::{Deployer, Host};
use common::peers::Side::{Client, Server};
use common::peers::{
    EVIDENCE, Frame, MESSAGE, Met, NONCE, Side, honest, meet, other, peer, peer_with,
};
use common::{Ended, Folder, built, peers, run, twine};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

fn pair(middle: &mut peers::Middle<'_>) -> Met {
    let program = peers::rust();
    let (client, server) = (peer(&program, "client", "to you"), peer(&program, "server", "to me"));
    meet(client, server, middle)
}

/// Returns the policy for what a program says, here.
fn policy(program: &Path) -> String {
    let program = program.display().to_string();
    let made = run(twine().args(["policy", "init", "--guest", "--root", "simulation", &program]));
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("kind = \"guest\"\n"), "{made:?}");
    made.out
}

/// Returns the frame with other bytes.
fn with(frame: &Frame, bytes: &[u8]) -> Frame {
    Frame { bytes: bytes.to_vec(), ..frame.clone() }
}

/// Leads each frame to the other side, but this one changed.
fn changing<'a>(
    from: Side,
    place: usize,
    change: impl Fn(&[u8]) -> Vec<u8> + 'a,
) -> impl FnMut(&Frame) -> Vec<(Side, Frame)> + 'a {
    move |frame| {
        let mut sent = honest(frame);
        if frame.is(from, place) {
            for (_, frame) in &mut sent {
                frame.bytes = change(&frame.bytes);
            }
        }
        sent
    }
}

#[test]
fn two_programs_attest_each_other_and_exchange_a_message() {
    let met = pair(&mut honest);
    met.heard(Client, "to me");
    met.heard(Server, "to you");
    let program = peers::c();
    let (client, server) = (peer(&program, "client", "c to c"), peer(&program, "server", "c"));
    let met = meet(client, server, &mut honest);
    met.heard(Client, "c");
    met.heard(Server, "c to c");
}

#[test]
fn programs_of_two_languages_attest_each_other_by_policies_that_name_them() {
    let (rust, c) = (peers::rust(), peers::c());
    let client = peer_with(&policy(&c), &rust, "client", "in Rust");
    let server = peer_with(&policy(&rust), &c, "server", "in C");
    let met = meet(client, server, &mut honest);
    met.heard(Client, "in C");
    met.heard(Server, "in Rust");
    // Each is another program than it accepts by default.
    let met = meet(peer(&rust, "client", ""), peer(&c, "server", ""), &mut honest);
    for side in [Client, Server] {
        met.refused(side, "program: ");
    }
}

#[test]
fn what_was_said_before_is_refused() {
    let before = pair(&mut honest);
    let met = pair(&mut |frame| {
        let mut sent = honest(frame);
        if frame.from == Server {
            sent = vec![(Client, with(frame, before.frame(Server, frame.place)))];
        }
        sent
    });
    met.refused(Client, "nonce: the nonce is another than the one that was asked for");
    // Evidence alone, with the nonce and the message of now.
    let old = before.frame(Server, EVIDENCE).to_vec();
    let met = pair(&mut changing(Server, EVIDENCE, |_| old.clone()));
    met.refused(Client, "nonce: the nonce is another than the one that was asked for");
    met.heard(Server, "to you");
}

#[test]
fn a_program_does_not_take_its_own_evidence_for_its_peers() {
    let met = pair(&mut |frame| vec![(frame.from, frame.clone())]);
    for side in [Client, Server] {
        met.refused(side, "data: the program says something else");
    }
}

#[test]
fn evidence_of_another_program_is_refused() {
    let folder = Folder::new();
    let program = peers::rust();
    let another = folder.file("another.wasm", other(&fs::read(&program).unwrap()));
    let met = meet(peer(&program, "client", ""), peer(&another, "server", ""), &mut honest);
    for side in [Client, Server] {
        met.refused(side, "program: ");
    }
}

#[test]
fn what_is_changed_or_cut_on_the_way_is_refused() {
    let met = pair(&mut changing(Server, MESSAGE, |_| b"to mf".to_vec()));
    met.refused(Client, "data: the program says something else");
    let met = pair(&mut changing(Client, NONCE, |nonce| [&nonce[..31], &[nonce[31] ^ 1]].concat()));
    met.refused(Client, "nonce: the nonce is another than the one that was asked for");
    met.refused(Server, "data: the program says something else");
    let met =
        pair(&mut changing(Server, EVIDENCE, |evidence| evidence[..evidence.len() / 2].into()));
    met.refused(Client, "format: the evidence: ");
    let met = pair(&mut changing(Server, EVIDENCE, |_| Vec::new()));
    met.refused(Client, "format: neither a quote");
    // One bit: in the report of the quote, in its signature, in the statement.
    for (at, reason) in [
        (120, "signature: "),
        (460, "signature: "),
        (usize::MAX, "report-data: the report data is not the SHA-256 of the claims"),
    ] {
        let met = pair(&mut changing(Server, EVIDENCE, |evidence| {
            let mut changed = evidence.to_vec();
            let at = at.min(evidence.len() - 100);
            changed[at] ^= 1;
            changed
        }));
        met.refused(Client, reason);
    }
}

#[test]
fn evidence_of_the_runtime_is_not_what_a_program_says_and_the_reverse() {
    let folder = Folder::new();
    let program = peers::rust();
    let path = folder.path().join("evidence");
    // The runtime says the nonce, and the program is the right one.
    let mut nonce = Vec::new();
    let met = pair(&mut |frame| {
        let mut sent = honest(frame);
        if frame.is(Client, NONCE) {
            nonce.clone_from(&frame.bytes);
        }
        if frame.is(Server, EVIDENCE) {
            let hex: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut made = twine();
            made.args(["run", "--quiet", "--evidence"]).arg(&path).args(["--nonce", &hex]);
            let made = run(made.arg(&program).arg("nothing"));
            assert_eq!(made.code, Some(1), "{made:?}");
            sent = vec![(Client, with(frame, &fs::read(&path).unwrap()))];
        }
        sent
    });
    let reason = "data: no program says anything in it; kind: it is a local launch, on the terms of \
                  whoever started it, not what a program says of itself";
    met.refused(Client, reason);

    // What the program says, to `twine verify`.
    let made = twine()
        .args(["run", "--quiet"])
        .arg(&program)
        .args(["evidence", "00112233445566778899aabbccddeeff", "hello"])
        .output()
        .unwrap();
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let evidence = folder.file("evidence", made.stdout);
    let text = policy(&program);
    let (guest, plain) = (
        folder.file("guest.toml", &text),
        folder.file("plain.toml", text.replace("kind = \"guest\"\n", "")),
    );
    let verify = |policy: &Path, more: &[&str]| -> Ended {
        let mut command = twine();
        command.arg("verify").arg(&evidence).arg("--policy").arg(policy);
        run(command.args(["--nonce", "00112233445566778899aabbccddeeff"]).args(more))
    };
    assert_eq!(verify(&guest, &["--data", "68656c6c6f"]).code, Some(0));
    let refused = verify(&guest, &["--data", "68656c6c6e"]);
    assert_eq!((refused.code, refused.err.contains("refused: data\n")), (Some(3), true));
    let refused = verify(&plain, &["--data", "68656c6c6f"]);
    assert_eq!((refused.code, refused.err.contains("refused: kind\n")), (Some(3), true));
}

#[test]
fn programs_meet_through_sockets() {
    let program = peers::rust();
    let (c, policy_of_c) = (peers::c(), policy(&peers::c()));
    let listening = |command: Command| -> (std::process::Child, String) {
        let mut with_listener = twine();
        with_listener.args(["run", "--listen", "127.0.0.1:0"]);
        let given: Vec<_> = command.get_args().skip(2).map(ToOwned::to_owned).collect();
        let mut child =
            with_listener.args(given).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
            if let Some(at) = line.find("127.0.0.1:") {
                let address: String = line[at..]
                    .chars()
                    .take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter))
                    .collect();
                break address;
            }
            assert!(!line.is_empty(), "the command says where it listens");
        };
        thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        (child, address)
    };
    let (mut one, first) = listening(peer_with(&policy_of_c, &program, "client", "here"));
    let (mut two, second) = listening(peer_with(&policy(&program), &c, "server", "there"));
    let (client, server) =
        (TcpStream::connect(first).unwrap(), TcpStream::connect(second).unwrap());
    let pump = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to))
    };
    let pumps = [pump(&client, &server), pump(&server, &client)];
    assert_eq!(one.wait().unwrap().code(), Some(0));
    assert_eq!(two.wait().unwrap().code(), Some(0));
    drop(pumps);
}

#[test]
fn without_a_quoting_enclave_the_program_gets_an_error_and_its_user_the_cause() {
    let home = Folder::new();
    let not_a_folder = home.file("file", "");
    let mut command = twine();
    command.env("HOME", &not_a_folder).env_remove("XDG_STATE_HOME");
    command.args(["run", "--quiet"]).arg(peers::rust());
    let ran = run(command.args(["evidence", "0011223344556677", "x"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("error: the host made no quote"), "{ran:?}");
    assert!(ran.err.contains("warning: "), "{ran:?}");
}

/// Runs a command of the example with `input`.
fn sealing(program: &Path, arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut command = twine();
    command.args(["run", "--quiet"]).arg(program).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_a_program_seals_only_this_program_unseals_with_the_same_context() {
    let program = peers::rust();
    let secret = b"a secret that no file of the host has in the clear";
    let (code, sealed, _) = sealing(&program, &["seal", "notes"], secret);
    assert_eq!(code, Some(0));
    assert!(sealed.len() > secret.len() && sealed.len() <= secret.len() + 128);
    assert!(!sealed.windows(8).any(|part| secret.windows(8).any(|secret| secret == part)));
    let (code, unsealed, _) = sealing(&program, &["unseal", "notes"], &sealed);
    assert_eq!((code, &unsealed[..]), (Some(0), &secret[..]));
    let damaged = "error: it was not sealed here for this, or it was changed\n".to_owned();
    let refused = (Some(1), Vec::new(), damaged);
    assert_eq!(sealing(&program, &["unseal", "other notes"], &sealed), refused);
    let folder = Folder::new();
    let another = folder.file("another.wasm", other(&fs::read(&program).unwrap()));
    assert_eq!(sealing(&another, &["unseal", "notes"], &sealed), refused);
    for at in [0, 8, 9, 10, 12, 40, sealed.len() - secret.len() - 1, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(sealing(&program, &["unseal", "notes"], &changed), refused, "byte {at}");
    }
    for length in [0, 8, 60, sealed.len() - 1] {
        assert_eq!(sealing(&program, &["unseal", "notes"], &sealed[..length]), refused);
    }
    let (code, most, _) = sealing(&program, &["seal", ""], &vec![7; 262_144]);
    assert_eq!(code, Some(0));
    let (code, unsealed, _) = sealing(&program, &["unseal", ""], &most);
    assert_eq!((code, unsealed), (Some(0), vec![7; 262_144]));
    let (code, _, err) = sealing(&program, &["seal", ""], &vec![7; 262_145]);
    assert_eq!((code, &err[..]), (Some(1), "error: an argument is too long or too short\n"));
}

#[test]
fn an_unknown_function_of_the_module_is_named() {
    let folder = Folder::new();
    let program = folder.file(
        "unknown.wat",
        r#"(module (import "twine:attestation" "prove" (func)) (func (export "_start")))"#,
    );
    let ran = run(twine().args(["run", "--quiet"]).arg(&program));
    ran.failed_with(1, "imports what Twine does not provide: twine:attestation::prove");
    let program = folder.file(
        "typed.wat",
        r#"(module (import "twine:attestation" "seal" (func)) (func (export "_start")))"#,
    );
    let ran = run(twine().args(["run", "--quiet"]).arg(&program));
    ran.failed_with(1, "imports twine:attestation::seal as");
}

/// Signs manifests for the example as the client and the server of an owner.
fn deployments(owner: &Deployer, program: &str, root: &str) {
    let bytes = fs::read(built(program)).unwrap();
    for (name, arguments) in [("client", ["client", "hello"]), ("server", ["server", "welcome"])] {
        let file = format!("{name}.wat");
        owner.0.folder().file(&file, &bytes);
        let options = ["--elsewhere", "--root", "simulation", "--max-memory", "16MiB"];
        owner.0.init(name, &file, &[&options[..], &["--env", root]].concat(), &arguments);
        owner.0.sign(name);
    }
}

/// Returns the command that deploys one of them.
fn deploy(owner: &Deployer, host: &Host, name: &str) -> Command {
    let (manifest, program) = (format!("{name}.manifest"), format!("{name}.wat"));
    owner.command(&["deploy", "--quiet", &host.address, &manifest, &program])
}

#[test]
fn deployments_attest_each_other_on_hosts() {
    let (one, two) = (Host::start(&[]), Host::start(&[]));
    let owner = Deployer::new();
    let program = "guests/peer-rust.wasm";
    deployments(&owner, program, "PEER_ROOT=simulation");
    // A deployment's own policy demands the same deployment: not the other name.
    let met = meet(deploy(&owner, &one, "client"), deploy(&owner, &two, "server"), &mut honest);
    for side in [Client, Server] {
        met.refused(side, "manifest: it is of the deployment");
    }
    // A policy that names the owner, whatever the name.
    let shown = run(twine()
        .args(["policy", "init", "--guest", "--root", "simulation", "--manifest"])
        .arg(owner.0.folder().path().join("client.manifest")));
    let policy: String = shown
        .out
        .lines()
        .filter(|line| !line.starts_with("name") && !line.starts_with("least-version"))
        .map(|line| format!("{line}\n"))
        .collect();
    deployments(&owner, program, &format!("PEER_POLICY={policy}"));
    let met = meet(deploy(&owner, &one, "client"), deploy(&owner, &two, "server"), &mut honest);
    met.heard(Client, "welcome");
    met.heard(Server, "hello");
    // A replay is refused here too.
    let old = met.frame(Server, EVIDENCE).to_vec();
    let met = meet(
        deploy(&owner, &one, "client"),
        deploy(&owner, &two, "server"),
        &mut changing(Server, EVIDENCE, |_| old.clone()),
    );
    met.refused(Client, "nonce: the nonce is another than the one that was asked for");
    // So is the same program of another owner, and in a local run.
    let stranger = Deployer::new();
    deployments(&stranger, program, &format!("PEER_POLICY={policy}"));
    let met = meet(deploy(&owner, &one, "client"), deploy(&stranger, &two, "server"), &mut honest);
    met.refused(Client, "manifest: its owner is ");
    // The stranger's program accepts what it has been told to accept.
    met.heard(Server, "hello");
    let local = peer_with(&policy, &built(program), "server", "");
    let met = meet(deploy(&owner, &one, "client"), local, &mut honest);
    met.refused(Client, "manifest: a local launch, without a manifest");
}

#[test]
fn a_program_that_asks_for_thousands_of_quotes_starves_nobody() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    let options = ["--elsewhere", "--root", "simulation", "--max-memory", "16MiB"];
    let bytes = fs::read(peers::rust()).unwrap();
    for name in ["flood", "calm"] {
        owner.0.folder().file(&format!("{name}.wat"), &bytes);
    }
    owner.0.init("flood", "flood.wat", &options, &["flood", "5000"]);
    owner.0.init("calm", "calm.wat", &options, &["evidence", "0011223344556677", "calm"]);
    for name in ["flood", "calm"] {
        owner.0.sign(name);
    }
    let mut command = deploy(&owner, &host, "flood");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let flood = command.spawn().unwrap();
    // Each of these needs a quote for its client, and one for the program.
    for _ in 0..3 {
        let ran = deploy(&owner, &host, "calm").stdin(Stdio::null()).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        assert!(ran.stdout.len() > 4000);
    }
    let flood = flood.wait_with_output().unwrap();
    let said = String::from_utf8(flood.stderr).unwrap();
    let counts: Vec<u32> = said
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect();
    let [made, again, failed] = counts[..] else { panic!("{said}") };
    assert!(made >= 16 && again > 0, "{said}");
    assert_eq!((made + again, failed), (5000, 0), "{said}");
}

#[test]
fn what_a_deployment_seals_only_this_deployment_unseals() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    let options = ["--elsewhere", "--root", "simulation", "--max-memory", "16MiB"];
    let bytes = fs::read(peers::rust()).unwrap();
    for (name, argument) in [("app", "seal"), ("other", "unseal")] {
        owner.0.folder().file(&format!("{name}.wat"), &bytes);
        owner.0.init(name, &format!("{name}.wat"), &options, &[argument, "notes"]);
        owner.0.sign(name);
    }
    let run = |name: &str, input: &[u8]| {
        let mut command = deploy(&owner, &host, name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        child.wait_with_output().unwrap()
    };
    let sealed = run("app", b"a secret").stdout;
    assert!(sealed.len() > 16);
    // The next version of the same deployment.
    owner.0.init("app", "app.wat", &options, &["unseal", "notes"]);
    owner.0.edit("app", "version = 1", "version = 2");
    owner.0.sign("app");
    assert_eq!(run("app", &sealed).stdout, b"a secret");
    let refused = run("other", &sealed);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{refused:?}");
    // The same program without the manifest.
    let (code, unsealed, _) = sealing(&peers::rust(), &["unseal", "notes"], &sealed);
    assert_eq!((code, unsealed.len()), (Some(1), 0));
    let local = sealing(&peers::rust(), &["seal", "notes"], b"a secret").1;
    assert_eq!(run("app", &local).status.code(), Some(1));
}
