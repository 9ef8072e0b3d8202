//! The work that hosting is for: owners deploy programs, and have their streams.

mod common;

use common::*;
use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use twine_channel::frame::Kind;
use twine_channel::message::{Answer, Deploy, End, Position, Request, State, Which};
use twine_client::{Attached, Error, Event, Streams};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Restart;
use twine_evidence::terms::{Mount, MountKind};
use twine_hosting::{Admission, Id, WINDOW};

#[test]
fn a_program_gets_its_input_and_its_owner_the_output_and_the_exit_code() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let ran = owner.run(server.port, &deploy(manifest.clone()), b"echo", b"some input").unwrap();
    assert_eq!((ran.end, &ran.output[..]), (Some(exited(0)), &b"some input"[..]));
    // It was there for this client only, which has got its end.
    until("it goes", || owner.list(server.port).is_empty());
    // The program was kept: it is not sent again.
    let (proven, answer) = owner.start(server.port, &deploy(manifest), b"never sent").unwrap();
    assert!(matches!(answer, Answer::Started { .. }), "{answer:?}");
    drop(proven);

    let exit = owner.manifest("exit", b"exit 7", |_| ());
    let ran = owner.run(server.port, &deploy(exit), b"exit 7", b"").unwrap();
    assert_eq!(ran.end, Some(exited(7)));
    let trap = owner.manifest("trap", b"trap", |_| ());
    let ran = owner.run(server.port, &deploy(trap), b"trap", b"").unwrap();
    assert_eq!(ran.end, Some(trapped()));
    let none = owner.manifest("none", b"what is this", |_| ());
    let ran = owner.run(server.port, &deploy(none), b"what is this", b"").unwrap();
    assert!(matches!(ran.end, Some(End::Refused { .. })), "{ran:?}");
    server.end();
}

#[test]
fn a_program_of_another_owner_is_not_used_though_it_is_the_same() {
    let server = Server::new();
    for seed in [1, 2] {
        let owner = Owner::new(seed);
        let manifest = owner.manifest("hello", b"hello", |_| ());
        let mut proven = owner.connect(server.port).unwrap();
        let answer = proven.ask(&Request::Deploy(deploy(manifest)), limit()).unwrap();
        assert_eq!(answer, Answer::Wanted);
        let answer = proven.upload(b"hello", |_| (), limit()).unwrap();
        assert!(matches!(answer, Answer::Started { .. }));
    }
    server.end();
}

#[test]
fn secrets_reach_the_program() {
    let server = Server::new();
    let owner = Owner::new(1);
    let names = vec!["A".into(), "B".into()];
    let manifest = owner.manifest("s", b"secrets", |manifest| manifest.terms.secrets = names);
    let secrets = vec![secret("B", "two"), secret("A", "one")];
    let ran =
        owner.run(server.port, &Deploy { secrets, ..deploy(manifest) }, b"secrets", b"").unwrap();
    assert_eq!(ran.output, b"B=two\nA=one\n");
    let log = server.world.log.lock().unwrap().join("\n");
    assert!(log.contains("/s: started") && !log.contains("two"), "{log}");
    server.end();
}

#[test]
fn a_host_that_starts_again_resumes_what_its_manifest_allows() {
    let server = Server::new();
    let owner = Owner::new(1);
    let names = vec!["A".into()];
    let manifest = owner.manifest("always", b"wait", |manifest| {
        manifest.restart = Restart::Always;
        manifest.terms.secrets = names;
    });
    let deploy = Deploy { secrets: vec![secret("A", "one")], ..detached(manifest) };
    owner.start(server.port, &deploy, b"wait").unwrap();
    owner.start(server.port, &detached(owner.manifest("never", b"wait", |_| ())), b"wait").unwrap();
    let echo = owner.manifest("short", b"hello", |manifest| manifest.restart = Restart::Always);
    owner.start(server.port, &detached(echo), b"hello").unwrap();
    let running = [("always", State::Running), ("never", State::Running), ("short", State::Ended)];
    let running = running.map(|(name, state)| (name.to_owned(), state)).into();
    until("they run", || states(&owner, server.port) == running);
    let world = server.world.clone();
    server.ask_to_end();
    until("it ends", || world.live.load(Ordering::SeqCst) == 0);
    let second = Server::after(&world);
    drop(world);
    server.ended();
    // What had ended by itself is not started again.
    let running = [("always".to_owned(), State::Running)].into();
    until("it runs again", || states(&owner, second.port) == running);
    let log = second.world.log.lock().unwrap().join("\n");
    assert!(log.contains("/always: resumed") && !log.contains("one"), "{log}");
    // What its owner stops stays so.
    let which = Which { owner: None, name: "always".into() };
    owner.ask(second.port, &Request::Stop { which, kill: true }).unwrap();
    until("it is stopped", || states(&owner, second.port).get("always") == Some(&State::Ended));
    let world = second.world.clone();
    second.ask_to_end();
    let third = Server::after(&world);
    drop(world);
    second.ended();
    assert!(owner.list(third.port).is_empty());
    third.end();
}

#[test]
fn a_kept_deployment_whose_manifest_allows_no_restart_is_not_resumed() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("never", b"wait", |_| ());
    let id = Id { owner: owner.public().id(), name: "never".into() };
    // A bug could keep it, or an older enclave of the image.
    server.world.records.lock().unwrap().insert(id, (manifest, Vec::new()));
    let second = Server::after(&server.world);
    until("it is refused", || {
        second.world.log.lock().unwrap().iter().any(|line| line.contains("allows no restart"))
    });
    assert!(owner.list(second.port).is_empty());
    server.end();
    second.end();
}

#[test]
fn a_detached_program_is_listed_shown_attached_stopped_and_removed() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("w", b"wait", |_| ());
    let (_, answer) = owner.start(server.port, &detached(manifest.clone()), b"wait").unwrap();
    assert_eq!(answer, Answer::Done);
    until("it runs", || states(&owner, server.port).get("w") == Some(&State::Running));
    until("it writes", || owner.logs(server.port, "w", false).unwrap().0 == b"waiting\n");
    // Others don't see it.
    let other = Owner::new(2);
    assert!(other.list(server.port).is_empty());
    let which = Which { owner: Some(owner.public().id()), name: "w".into() };
    let request = Request::Stop { which, kill: true };
    let cause = refusal(other.ask(server.port, &request));
    assert!(cause.contains("no deployment"), "{cause}");
    // A second one of this name is refused, and so is its removal.
    let cause = refusal(owner.start(server.port, &detached(manifest), b"wait"));
    assert!(cause.contains("runs already"), "{cause}");
    let remove = Request::Remove { which: common::which("w"), volumes: true };
    let cause = refusal(owner.ask(server.port, &remove));
    assert!(cause.contains("still runs"), "{cause}");

    let port = server.port;
    let follows = thread::spawn(move || Owner::new(1).logs(port, "w", true).unwrap());
    let attach = Request::Attach { which: common::which("w"), from: None };
    let mut proven = owner.connect(server.port).unwrap();
    let answer = proven.ask(&attach, limit()).unwrap();
    let mut streams = Streams::new(None).unwrap();
    let mut ran = Ran::default();
    let interrupts = streams.sender();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        interrupts.send(Event::Interrupt).unwrap();
    });
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    let end = attached.run(|kind, bytes| ran.take(kind, bytes)).unwrap();
    assert_eq!((end, &ran.output[..]), (exited(130), &b"waiting\n"[..]));
    assert_eq!(follows.join().unwrap().0, b"waiting\n");
    // A detached one stays with its end and its log.
    let entry = &owner.list(server.port)[0];
    assert_eq!((entry.state, &entry.end), (State::Ended, &Some(exited(130))));
    assert_eq!(owner.logs(server.port, "w", true).unwrap().0, b"waiting\n");
    owner.connect(server.port).unwrap().do_it(&remove, limit()).unwrap();
    assert!(owner.list(server.port).is_empty());
    // What an older version may have left goes at its start, and its volumes on request.
    let forgotten = [("w".to_owned(), false), ("w".to_owned(), true)];
    assert_eq!(*server.world.forgotten.lock().unwrap(), forgotten);
    server.end();
}

#[test]
fn stopping_ends_programs_that_run_that_wait_and_that_ignore_interrupts() {
    let server = Server::admitting(Admission { running: 1, ..plenty() });
    server.world.faults.sleeps.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    for name in ["a", "b", "c"] {
        let manifest = owner.manifest(name, b"stubborn", |_| ());
        owner.start(server.port, &detached(manifest), b"stubborn").unwrap();
    }
    until("a runs", || states(&owner, server.port)["a"] == State::Running);
    // One that waits for room is stopped without a kill too.
    owner.stop(server.port, "b", false);
    assert_eq!(states(&owner, server.port)["b"], State::Ended);
    owner.stop(server.port, "a", false);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(states(&owner, server.port)["a"], State::Running);
    owner.stop(server.port, "a", true);
    until("a ends and c runs", || {
        let states = states(&owner, server.port);
        states["a"] == State::Ended && states["c"] == State::Running
    });
    let ends: Vec<_> = owner.list(server.port).into_iter().map(|entry| entry.end).collect();
    assert_eq!(ends, [Some(End::Stopped), Some(End::Stopped), None]);
    owner.stop(server.port, "c", true);
    server.end();
}

#[test]
fn a_newer_version_takes_the_place_of_an_older_one_and_never_the_reverse() {
    let server = Server::new();
    let owner = Owner::new(1);
    let version = |version, program: &[u8]| {
        owner.manifest("v", program, |manifest| manifest.version = version)
    };
    owner.start(server.port, &detached(version(3, b"wait")), b"wait").unwrap();
    until("it runs", || states(&owner, server.port)["v"] == State::Running);
    let old = Deploy { replace: true, ..detached(version(2, b"hello")) };
    let cause = refusal(owner.start(server.port, &old, b"hello"));
    assert!(cause.contains("version 3"), "{cause}");
    let new = Deploy { replace: true, ..detached(version(4, b"hello")) };
    owner.start(server.port, &new, b"hello").unwrap();
    until("it has ended", || states(&owner, server.port)["v"] == State::Ended);
    let entry = &owner.list(server.port)[0];
    assert_eq!((entry.version, &entry.end), (4, &Some(exited(0))));
    assert_eq!(server.world.most_live.load(Ordering::SeqCst), 1, "one after the other");
    // It has ended, and an older version is refused still.
    let cause = refusal(owner.start(server.port, &old, b"hello"));
    assert!(cause.contains("version 4"), "{cause}");
    server.end();
}

#[test]
fn a_thousand_versions_one_after_the_other_leave_one() {
    let server = Server::new();
    let owner = Owner::new(1);
    for version in 1..=300 {
        let manifest = owner.manifest("v", b"wait", |manifest| manifest.version = version);
        let deploy = Deploy { replace: true, ..detached(manifest) };
        owner.start(server.port, &deploy, b"wait").unwrap();
    }
    until("the last one runs", || {
        let all = owner.list(server.port);
        all.len() == 1 && all[0].version == 300 && all[0].state == State::Running
    });
    server.end();
}

#[test]
fn much_output_reaches_a_slow_client_whole() {
    const SIZE: usize = 64 << 20;
    let server = Server::new();
    server.world.faults.sleeps.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    let program = format!("flood {SIZE}").into_bytes();
    let manifest = owner.manifest("flood", &program, |_| ());
    let (proven, answer) = owner.start(server.port, &deploy(manifest), &program).unwrap();
    let mut streams = Streams::new(None).unwrap();
    let (mut output, mut errors, mut pauses) = (Vec::new(), Vec::new(), 0);
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    let end = attached.run(|kind, bytes| {
        match kind {
            Kind::Output => output.extend_from_slice(bytes),
            _ => errors.extend_from_slice(bytes),
        }
        if output.len() >> 20 > pauses {
            pauses += 1;
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    assert_eq!(end.unwrap(), exited(0));
    assert_eq!(output.len(), SIZE);
    assert!(output == pattern(0, SIZE));
    assert_eq!(errors, b"that was all");
    server.end();
}

#[test]
fn of_much_output_of_a_detached_program_the_newest_is_kept() {
    const SIZE: usize = 8 << 20;
    let server = Server::new();
    let owner = Owner::new(1);
    let program = format!("flood {SIZE}").into_bytes();
    let manifest = owner.manifest("flood", &program, |_| ());
    owner.start(server.port, &detached(manifest), &program).unwrap();
    until("it ends", || states(&owner, server.port)["flood"] == State::Ended);
    let (output, errors) = owner.logs(server.port, "flood", false).unwrap();
    assert!(output == pattern((SIZE - WINDOW) as u64, WINDOW), "{}", output.len());
    assert_eq!(errors, b"that was all");
    // Who attaches is told how much is missing.
    let request = Request::Attach { which: which("flood"), from: Some(Position::default()) };
    let mut proven = owner.connect(server.port).unwrap();
    let answer = proven.ask(&request, limit()).unwrap();
    let mut streams = Streams::new(None).unwrap();
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    assert_eq!(attached.missed().output, (SIZE - WINDOW) as u64);
    assert_eq!(attached.run(|_, _| Ok(())).unwrap(), exited(0));
    server.end();
}

#[test]
fn much_input_reaches_the_program_whole() {
    let server = Server::new();
    server.world.faults.sleeps.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    let input = pattern(0, 16 << 20);
    let manifest = owner.manifest("digest", b"digest", |_| ());
    let ran = owner.run(server.port, &deploy(manifest), b"digest", &input).unwrap();
    assert_eq!(ran.output, Digest::of(&input).to_string().as_bytes());
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let ran = owner.run(server.port, &deploy(manifest), b"echo", &input).unwrap();
    assert!(ran.output == input);
    server.end();
}

#[test]
fn a_large_program_is_sent() {
    let server = Server::new();
    let owner = Owner::new(1);
    let mut program = b"hello ".to_vec();
    program.resize(20 << 20, b' ');
    let manifest = owner.manifest("large", &program, |_| ());
    let mut proven = owner.connect(server.port).unwrap();
    assert_eq!(proven.ask(&Request::Deploy(deploy(manifest)), limit()).unwrap(), Answer::Wanted);
    let mut steps = Vec::new();
    let answer = proven.upload(&program, |sent| steps.push(sent), limit()).unwrap();
    assert!(matches!(answer, Answer::Started { .. }));
    assert_eq!(steps.last(), Some(&(20 << 20)));
    assert!(steps.is_sorted());
    server.end();
}

/// Cuts connections at random places, at first early ones and then later and later ones.
fn cut_at_random(owner: &Owner, server: &Server, program: &[u8], input: Vec<u8>, seed: u64) -> Ran {
    let random = Mutex::new(Random(seed));
    let proxy = Proxy::new(server.port, move |number| {
        let scale = 1 << (12 + (number / 4).min(12));
        let mut left = random.lock().unwrap().below(scale) as usize;
        Box::new(move |_, bytes: Vec<u8>| {
            if bytes.len() > left {
                return None;
            }
            left -= bytes.len();
            Some(bytes)
        })
    });
    let manifest = owner.manifest("cut", program, |_| ());
    let (ran, tries) = run_resuming(owner, proxy.port, "cut", &deploy(manifest), program, input);
    assert!(tries > 3, "{tries} tries");
    ran
}

#[test]
fn a_connection_that_is_lost_again_and_again_loses_and_doubles_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    for seed in 0..12 {
        let input = pattern(seed, 1 << 20);
        let ran = cut_at_random(&owner, &server, b"echo", input.clone(), seed);
        assert_eq!(ran.end, Some(exited(0)));
        assert_eq!(ran.output.len(), input.len(), "seed {seed}");
        assert!(ran.output == input, "seed {seed}");
        until("it goes", || owner.list(server.port).is_empty());
    }
    for seed in 0..6 {
        let ran = cut_at_random(&owner, &server, b"flood 3000000", Vec::new(), seed);
        assert!(ran.output == pattern(0, 3_000_000), "seed {seed}");
        assert_eq!(ran.errors, b"that was all");
        until("it goes", || owner.list(server.port).is_empty());
    }
    server.end();
}

#[test]
fn a_host_that_sends_a_few_bytes_at_a_time_loses_none() {
    let server = Server::new();
    server.world.faults.short_sends.store(1000, Ordering::SeqCst);
    let owner = Owner::new(1);
    let input = pattern(0, 2 << 20);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let ran = owner.run(server.port, &deploy(manifest), b"echo", &input).unwrap();
    assert!(ran.output == input);
    server.end();
}

#[test]
fn two_hundred_deployments_at_once_are_served() {
    let server = Server::new();
    let port = server.port;
    let threads: Vec<_> = (0..200)
        .map(|number| {
            thread::spawn(move || {
                let owner = Owner::new(1 + (number % 5) as u8);
                let name = format!("echo-{number}");
                let manifest = owner.manifest(&name, b"echo", |_| ());
                let input = pattern(number, 20_000);
                let ran = owner.run(port, &deploy(manifest), b"echo", &input).unwrap();
                assert_eq!(ran.end, Some(exited(0)));
                assert!(ran.output == input);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(server.world.runs.load(Ordering::SeqCst), 200);
    for seed in 1..=5 {
        until("they go", || Owner::new(seed).list(port).is_empty());
    }
    server.quiet();
    server.end();
}

#[test]
fn a_thousand_deployments_one_after_the_other_are_served() {
    let server = Server::new();
    let owner = Owner::new(1);
    let start = Instant::now();
    let manifest = owner.manifest("hello", b"hello", |_| ());
    for _ in 0..1000 {
        let ran = owner.run(server.port, &deploy(manifest.clone()), b"hello", b"").unwrap();
        assert_eq!((ran.end, &ran.output[..]), (Some(exited(0)), &b"hello\n"[..]));
    }
    println!("{:?} each", start.elapsed() / 1000);
    server.quiet();
    assert!(owner.list(server.port).is_empty());
    server.end();
}

/// A file tree of 400 KiB in memory.
fn tree(guest: &str) -> Mount {
    Mount {
        guest: guest.into(),
        kind: MountKind::Memory,
        key: None,
        read_only: false,
        size: Some(400 << 10),
        main: None,
        former: None,
    }
}

#[test]
fn what_an_operator_does_not_admit_is_refused_and_what_has_no_room_waits() {
    let (one, two) = (Owner::new(1), Owner::new(2));
    let server = Server::admitting(Admission {
        owners: vec![one.public().id()],
        deployments: 4,
        running: 10,
        // Two of them with what each takes beside.
        memory: 2 * ((1 << 20) + (16 << 20)),
        each: 1 << 20,
        ..plenty()
    });
    let deploy_with = |owner: &Owner, name: &str, memory| {
        let manifest =
            owner.manifest(name, b"wait", |manifest| manifest.terms.limits.memory = memory);
        owner.start(server.port, &detached(manifest), b"wait")
    };
    assert!(refusal(deploy_with(&two, "a", Some(1 << 20))).contains("does not admit"));
    assert!(refusal(deploy_with(&one, "a", None)).contains("no limit of memory"));
    assert!(refusal(deploy_with(&one, "a", Some(2 << 20))).contains("bytes of memory"));
    // File trees in memory count too.
    let with_trees = one.manifest("a", b"wait", |manifest| {
        manifest.terms.limits.memory = Some(1 << 19);
        manifest.terms.mounts = ["/a", "/b"].map(tree).to_vec();
    });
    let refused = refusal(one.start(server.port, &detached(with_trees), b"wait"));
    assert!(
        refused.contains(&format!("{} bytes of memory", (1 << 19) + 2 * (400 << 10))),
        "{refused}"
    );
    for name in ["a", "b", "c", "d"] {
        deploy_with(&one, name, Some(1 << 20)).unwrap();
    }
    assert!(refusal(deploy_with(&one, "e", Some(1 << 20))).contains("4 deployments"));
    until("two run", || server.world.live.load(Ordering::SeqCst) == 2);
    assert_eq!(states(&one, server.port)["c"], State::Starting);
    one.stop(server.port, "a", false);
    until("c runs", || states(&one, server.port)["c"] == State::Running);
    one.stop(server.port, "b", false);
    until("d runs", || states(&one, server.port)["d"] == State::Running);
    assert_eq!(server.world.most_live.load(Ordering::SeqCst), 2);
    server.end();
}

#[test]
fn a_program_that_runs_for_too_long_is_ended_whether_anybody_looks_or_not() {
    let server = Server::new();
    server.world.faults.sleeps.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    let manifest = |name: &str| {
        owner.manifest(name, b"stubborn", |manifest| {
            manifest.terms.limits.timeout = Some(300_000_000);
        })
    };
    let start = Instant::now();
    let ran = owner.run(server.port, &deploy(manifest("a")), b"stubborn", b"").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    let Some(End::Trapped { cause, .. }) = ran.end else { panic!("{ran:?}") };
    assert!(cause.contains("longer than its manifest allows"), "{cause}");
    owner.start(server.port, &detached(manifest("b")), b"stubborn").unwrap();
    until("it is ended", || server.world.live.load(Ordering::SeqCst) == 0);
    server.end();
}

#[test]
fn a_host_whose_clients_are_silent_sleeps() {
    let server = Server::new();
    server.world.faults.sleeps.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let (_proven, answer) = owner.start(server.port, &deploy(manifest), b"echo").unwrap();
    assert!(matches!(answer, Answer::Started { .. }), "{answer:?}");
    let polls = || server.world.polls.load(Ordering::SeqCst);
    // After what happened it looks around once or twice.
    until("it sleeps", || {
        let before = polls();
        thread::sleep(Duration::from_millis(500));
        polls() == before
    });
    server.end();
}

#[test]
fn the_end_of_the_host_ends_programs_and_tells_their_clients() {
    let server = Server::admitting(Admission { running: 2, ..plenty() });
    let port = server.port;
    let owner = Owner::new(1);
    let runs = |name: &'static str| {
        thread::spawn(move || {
            let owner = Owner::new(1);
            let manifest = owner.manifest(name, b"wait", |_| ());
            owner.run(port, &deploy(manifest), b"wait", b"")
        })
    };
    let (first, second) = (runs("a"), runs("b"));
    until("both run", || server.world.live.load(Ordering::SeqCst) == 2);
    let third = runs("c");
    until("it waits", || states(&owner, port).get("c") == Some(&State::Starting));
    server.ask_to_end();
    for thread in [first, second] {
        assert_eq!(thread.join().unwrap().unwrap().end, Some(exited(130)));
    }
    // What waited never starts.
    assert_eq!(third.join().unwrap().unwrap().end, Some(End::Stopped));
    server.ended();
}

#[test]
fn another_client_takes_over_and_the_former_one_is_told() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let (first, answer) = owner.start(server.port, &deploy(manifest), b"echo").unwrap();
    let (input, mut typed) = io::pipe().unwrap();
    let mut streams = Streams::new(Some(Box::new(input))).unwrap();
    let taken = thread::spawn(move || {
        Attached::new(first, &answer, &mut streams).unwrap().run(|_, _| Ok(()))
    });
    until("it is attached", || owner.list(server.port)[0].attached);
    let request = Request::Attach { which: which("echo"), from: None };
    let mut second = owner.connect(server.port).unwrap();
    let answer = second.ask(&request, limit()).unwrap();
    let cause = refusal(taken.join().unwrap());
    assert!(cause.contains("another client"), "{cause}");
    let _ = io::Write::write_all(&mut typed, b"not for anybody");
    let mut streams = Streams::new(Some(Box::new(&b"second"[..]))).unwrap();
    let mut ran = Ran::default();
    let attached = Attached::new(second, &answer, &mut streams).unwrap();
    let end = attached.run(|kind, bytes| ran.take(kind, bytes)).unwrap();
    assert_eq!((end, &ran.output[..]), (exited(0), &b"second"[..]));
    server.quiet();
    server.end();
}

#[test]
fn a_client_that_never_returns_is_waited_for_and_then_no_more() {
    let server = Server::new();
    let owner = Owner::new(1);
    let program = b"flood 2000000";
    let manifest = owner.manifest("flood", program, |_| ());
    let (proven, _) = owner.start(server.port, &deploy(manifest), program).unwrap();
    drop(proven);
    server.quiet();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(states(&owner, server.port)["flood"], State::Running, "it waits");
    server.world.faults.later.store(6 * 60 * 1000, Ordering::SeqCst);
    until("it goes on", || states(&owner, server.port)["flood"] == State::Ended);
    // Its owner may see its log.
    assert_eq!(owner.logs(server.port, "flood", false).unwrap().1, b"that was all");

    // One that had ended goes altogether.
    let manifest = owner.manifest("hello", b"hello", |_| ());
    let (proven, _) = owner.start(server.port, &deploy(manifest), b"hello").unwrap();
    drop(proven);
    until("it ends", || states(&owner, server.port)["hello"] == State::Ended);
    thread::sleep(Duration::from_millis(1200));
    server.world.faults.later.store(12 * 60 * 1000, Ordering::SeqCst);
    until("it goes", || !states(&owner, server.port).contains_key("hello"));
    server.end();
}

#[test]
fn a_client_whose_output_can_not_be_written_ends_and_the_program_waits_for_it() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("hello", b"hello", |_| ());
    let (proven, answer) = owner.start(server.port, &deploy(manifest), b"hello").unwrap();
    let mut streams = Streams::new(None).unwrap();
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    let error = attached.run(|_, _| Err(io::Error::other("full"))).unwrap_err();
    assert!(matches!(error, Error::Stream(_)), "{error:?}");
    let request = Request::Attach { which: which("hello"), from: Some(streams.received()) };
    let mut proven = owner.connect(server.port).unwrap();
    let answer = proven.ask(&request, limit()).unwrap();
    let mut ran = Ran::default();
    let attached = Attached::new(proven, &answer, &mut streams).unwrap();
    attached.run(|kind, bytes| ran.take(kind, bytes)).unwrap();
    assert_eq!(ran.output, b"hello\n");
    server.end();
}

#[test]
fn input_that_nobody_reads_does_not_hold_up_others() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("wait", b"wait", |_| ());
    let (proven, answer) = owner.start(server.port, &deploy(manifest), b"wait").unwrap();
    struct Endless(Arc<Mutex<u64>>);
    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            *self.0.lock().unwrap() += bytes.len() as u64;
            Ok(bytes.len())
        }
    }
    let read = Arc::new(Mutex::new(0));
    let mut streams = Streams::new(Some(Box::new(Endless(read.clone())))).unwrap();
    let client = thread::spawn(move || {
        Attached::new(proven, &answer, &mut streams).unwrap().run(|_, _| Ok(()))
    });
    let other = owner.manifest("hello", b"hello", |_| ());
    for _ in 0..20 {
        owner.run(server.port, &deploy(other.clone()), b"hello", b"").unwrap();
    }
    assert!(*read.lock().unwrap() < 3 * WINDOW as u64, "the client does not read on for ever");
    owner.stop(server.port, "wait", false);
    assert_eq!(client.join().unwrap().unwrap(), exited(130));
    server.end();
}

/// How a program ends that waits for input, after this was done to it.
fn ended_by(act: impl FnOnce(&Owner, u16)) -> Option<End> {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("one", b"grab", |_| ());
    owner.start(server.port, &detached(manifest), b"grab").unwrap();
    until("it waits", || {
        owner.logs(server.port, "one", false).is_ok_and(|(output, _)| output == b"waiting\n")
    });
    act(&owner, server.port);
    until("it ends", || states(&owner, server.port)["one"] == State::Ended);
    let end = owner.list(server.port).remove(0).end;
    server.end();
    end
}

#[test]
fn a_program_that_waits_ends_at_once_and_does_not_choose_its_exit_code() {
    assert_eq!(ended_by(|owner, port| owner.stop(port, "one", false)), Some(End::Interrupted));
    assert_eq!(ended_by(|owner, port| owner.stop(port, "one", true)), Some(End::Stopped));
}

#[test]
fn one_owner_can_not_take_all_places_nor_all_memory() {
    let (one, two) = (Owner::new(1), Owner::new(2));
    // What two programs take, each with what it takes beside.
    let share = 2 * ((1 << 20) + (16 << 20));
    let server = Server::admitting(Admission {
        per_owner: 3,
        memory: 2 * share,
        each_owner: share,
        ..plenty()
    });
    let start = |owner: &Owner, name: &str| {
        let manifest = owner.manifest(name, b"wait", |_| ());
        owner.start(server.port, &detached(manifest), b"wait")
    };
    for name in ["a", "b", "c"] {
        start(&one, name).unwrap();
    }
    let refused = refusal(start(&one, "d"));
    assert!(refused.contains("this owner has the 3 deployments"), "{refused}");
    // Its third program waits for its share; those of others do not wait for it.
    until("two run", || server.world.live.load(Ordering::SeqCst) == 2);
    start(&two, "a").unwrap();
    start(&two, "b").unwrap();
    until("four run", || server.world.live.load(Ordering::SeqCst) == 4);
    assert_eq!(states(&one, server.port)["c"], State::Starting);
    one.stop(server.port, "a", true);
    until("it has its turn", || states(&one, server.port)["c"] == State::Running);
    // A version that replaces another takes no place of its own.
    let newer = one.manifest("b", b"wait", |manifest| manifest.version += 1);
    let deploy = Deploy { replace: true, ..detached(newer) };
    one.start(server.port, &deploy, b"wait").unwrap();
    let large = one.manifest("b", b"wait", |manifest| {
        manifest.version += 2;
        manifest.terms.limits.memory = Some(share + 1);
    });
    let refused = refusal(one.start(server.port, &detached(large), b"wait"));
    assert!(refused.contains("bytes of memory; this host has"), "{refused}");
    server.end();
}

#[test]
fn a_program_goes_with_the_last_deployment_that_names_it() {
    let server = Server::new();
    let owner = Owner::new(1);
    let has = || {
        let mut proven = owner.connect(server.port).unwrap();
        let manifest = owner.manifest("probe", b"exit 0", |_| ());
        proven.ask(&Request::Deploy(deploy(manifest)), limit()).unwrap() != Answer::Wanted
    };
    for name in ["one", "two"] {
        let manifest = owner.manifest(name, b"exit 0", |_| ());
        owner.start(server.port, &detached(manifest), b"exit 0").unwrap();
        until("it ends", || states(&owner, server.port)[name] == State::Ended);
    }
    let remove = |name: &str| {
        let request = Request::Remove { which: which(name), volumes: false };
        owner.connect(server.port).unwrap().do_it(&request, limit()).unwrap();
    };
    let kept = || server.world.keeps_program(owner.public().id(), b"exit 0");
    remove("one");
    assert!(kept(), "the other one names it");
    remove("two");
    assert!(!kept());
    assert!(!has());
    server.end();
}
