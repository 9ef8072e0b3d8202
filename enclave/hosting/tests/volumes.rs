//! Work on volumes of deployments: who may, what stands in its way, and clients that are lost, slow or
//! many.

mod common;

use common::{
    Owner, Proxy, Ran, Server, Way, deploy, detached, exited, in_time, limit, on_volume, pattern,
    plenty, print, refusal, states, until, volume, which,
};
use std::io::{self, Cursor, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;
use twine_channel::message::{Answer, End, Request};
use twine_channel::volume::Work;
use twine_client::{Attached, Error, Proven, Streams};
use twine_evidence::access::Access;
use twine_evidence::bytes::Bytes;
use twine_evidence::terms::Mount;
use twine_hosting::{Admission, WINDOW};

fn mounts() -> Vec<Mount> {
    vec![volume("/data"), volume("/more")]
}

/// A manifest with two volumes for a program that waits.
fn manifest(owner: &Owner, name: &str) -> Vec<u8> {
    owner.manifest(name, b"wait", |manifest| manifest.terms.mounts = mounts())
}

/// Starts work on a volume.
fn begin(owner: &Owner, port: u16, request: &Request) -> Result<(Proven, Answer), Error> {
    let mut proven = owner.connect(port)?;
    let answer = proven.ask(request, limit())?;
    Ok((proven, answer))
}

/// Does work on a volume, with this input.
fn work(
    owner: &Owner,
    port: u16,
    request: &Request,
    input: impl Read + Send + 'static,
) -> Result<Ran, Error> {
    let (proven, answer) = begin(owner, port, request)?;
    let mut streams = Streams::new(Some(Box::new(input))).unwrap();
    let mut ran = Ran::default();
    let attached = Attached::new(proven, &answer, &mut streams)?;
    ran.end = Some(attached.run(|kind, bytes| ran.take(kind, bytes))?);
    Ok(ran)
}

fn write(target: &str) -> Work {
    Work::Write { target: target.into() }
}

#[test]
fn an_owner_works_on_a_volume_and_gets_all_of_it() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = manifest(&owner, "one");
    let read = on_volume(&manifest, "/data", Work::Print { paths: vec!["5000000".into(); 4] });
    let ran = work(&owner, server.port, &read, io::empty()).unwrap();
    assert_eq!(ran.end, Some(exited(3)));
    assert!(ran.output == pattern(0, 5_000_000), "{} bytes came", ran.output.len());
    let sent = pattern(7, 4_000_003);
    let ran = work(
        &owner,
        server.port,
        &on_volume(&manifest, "/more", write("a")),
        Cursor::new(sent.clone()),
    );
    assert_eq!(ran.unwrap().end, Some(exited(0)));
    assert!(server.world.files.lock().unwrap()["/more::a"] == sent);
    // It is none of the deployments.
    assert!(owner.list(server.port).is_empty());
    server.end();
}

#[test]
fn only_who_has_the_right_and_only_a_volume_of_the_manifest() {
    let server = Server::new();
    let (owner, helper, other) = (Owner::new(1), Owner::new(2), Owner::new(3));
    let key = |owner: &Owner| Bytes(owner.public().der().to_vec());
    let manifest = owner.manifest("one", b"wait", |manifest| {
        manifest.terms.mounts = mounts();
        manifest.access = Access {
            deploy: vec![key(&other)],
            look: vec![key(&other)],
            stop: vec![key(&other)],
            files: vec![key(&helper)],
        };
    });
    let request = on_volume(&manifest, "/data", print(10));
    let ran = work(&helper, server.port, &request, io::empty()).unwrap();
    assert_eq!((ran.end, ran.output), (Some(exited(0)), pattern(0, 10)));
    let refused = refusal(begin(&other, server.port, &request));
    assert!(refused.contains("neither that of the manifest's owner"), "{refused}");
    // No right contains another one.
    let deploys = refusal(helper.start(server.port, &deploy(manifest.clone()), b"wait"));
    assert!(deploys.contains("neither that of the manifest's owner"), "{deploys}");
    for mount in ["/", "/data/", "/data/sub", "data", "", "/etc", "../data"] {
        let refused = refusal(begin(&owner, server.port, &on_volume(&manifest, mount, print(1))));
        assert!(refused.contains("mounts no volume at"), "{mount}: {refused}");
    }
    // A manifest for another enclave, or that somebody changed.
    let foreign = owner.manifest("one", b"wait", |manifest| {
        manifest.terms.mounts = mounts();
        manifest.images.retain(|image| image.measurement.is_some());
        manifest.images[0].measurement = Some(twine_evidence::bytes::Digest([9; 32]));
    });
    let refused = refusal(begin(&owner, server.port, &on_volume(&foreign, "/data", print(1))));
    assert!(refused.contains("image"), "{refused}");
    let mut broken = manifest.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    refusal(begin(&owner, server.port, &on_volume(&broken, "/data", print(1))));
    server.end();
}

#[test]
fn a_volume_has_one_user_at_a_time() {
    let server = Server::new();
    let (owner, port) = (Owner::new(1), server.port);
    let one = manifest(&owner, "one");
    owner.start(port, &detached(one.clone()), b"wait").unwrap();
    until("it runs", || server.world.live.load(Ordering::SeqCst) == 1);
    let refused = refusal(begin(&owner, port, &on_volume(&one, "/data", print(1))));
    assert!(refused.contains("one runs, and has the volume for /data"), "{refused}");
    // Keys of another generation, and another deployment, have other volumes.
    let next = owner.manifest("one", b"wait", |manifest| {
        manifest.terms.mounts = mounts();
        manifest.generation += 1;
    });
    work(&owner, port, &on_volume(&next, "/data", print(1)), io::empty()).unwrap();
    let two = manifest(&owner, "two");
    work(&owner, port, &on_volume(&two, "/data", print(1)), io::empty()).unwrap();
    owner.stop(port, "one", true);
    until("it ends", || server.world.live.load(Ordering::SeqCst) == 0);
    until("it is told", || states(&owner, port)["one"] == twine_channel::message::State::Ended);

    // While a client works on it, neither a program nor another client has it.
    let (holding, answer) = begin(&owner, port, &on_volume(&one, "/data", write("a"))).unwrap();
    assert!(matches!(answer, Answer::Started { .. }), "{answer:?}");
    let refused = refusal(begin(&owner, port, &on_volume(&one, "/data", print(1))));
    assert!(refused.contains("another client works on the volume for /data"), "{refused}");
    let refused = refusal(owner.start(port, &detached(one.clone()), b"wait"));
    assert!(refused.contains("a client works on the volume for /data"), "{refused}");
    work(&owner, port, &on_volume(&one, "/more", print(1)), io::empty()).unwrap();
    drop(holding);
    until("it is free", || {
        work(&owner, port, &on_volume(&one, "/data", print(1)), io::empty()).is_ok()
    });
    assert!(server.world.files.lock().unwrap().is_empty(), "what was cut off is not kept");
    owner.start(port, &detached(one), b"wait").unwrap();
    server.end();
}

#[test]
fn an_older_manifest_than_the_one_that_is_here_opens_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    let version = |version| {
        owner.manifest("one", b"exit 0", |manifest| {
            manifest.terms.mounts = mounts();
            manifest.version = version;
        })
    };
    owner.start(server.port, &detached(version(5)), b"exit 0").unwrap();
    until("it ends", || states(&owner, server.port)["one"] == twine_channel::message::State::Ended);
    let refused = refusal(begin(&owner, server.port, &on_volume(&version(4), "/data", print(1))));
    assert!(refused.contains("one is here in version 5"), "{refused}");
    for newer in [5, 6] {
        let request = on_volume(&version(newer), "/data", print(1));
        work(&owner, server.port, &request, io::empty()).unwrap();
    }
    server.end();
}

/// Cuts the connection after so many bytes in one direction, wherever that is.
#[test]
fn a_lost_connection_ends_the_work_and_frees_all_that_it_took() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = manifest(&owner, "one");
    for (way, after) in [
        (Way::ToServer, 20_000),
        (Way::ToServer, 900_000),
        (Way::ToClient, 20_000),
        (Way::ToClient, 2_000_000),
    ] {
        let proxy = Proxy::new(server.port, move |_| {
            let mut passed = 0;
            Box::new(move |which, bytes: Vec<u8>| {
                passed += if which == way { bytes.len() } else { 0 };
                (passed < after).then_some(bytes)
            })
        });
        let request = match way {
            Way::ToServer => on_volume(&manifest, "/data", write("a")),
            Way::ToClient => on_volume(&manifest, "/data", print(9_000_000)),
        };
        let lost = work(&owner, proxy.port, &request, io::repeat(7).take(9_000_000));
        assert!(lost.as_ref().is_err_and(Error::is_lost), "{way:?} {after}: {lost:?}");
        until("its thread is free", || server.world.live.load(Ordering::SeqCst) == 0);
        server.quiet();
        assert!(server.world.files.lock().unwrap().is_empty());
    }
    work(&owner, server.port, &on_volume(&manifest, "/data", print(1)), io::empty()).unwrap();
    server.end();
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else_and_not_for_ever() {
    let server = Server::new();
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let slow = manifest(&owner, "one");
    let (holding, _) =
        begin(&owner, server.port, &on_volume(&slow, "/data", print(1 << 32))).unwrap();
    until("it writes", || server.world.live.load(Ordering::SeqCst) == 1);
    let quick = manifest(&other, "one");
    let request = on_volume(&quick, "/data", print(3 * WINDOW as u64));
    let ran = work(&other, server.port, &request, io::empty()).unwrap();
    assert_eq!(ran.output.len(), 3 * WINDOW);
    assert_eq!(server.world.live.load(Ordering::SeqCst), 1, "it waits for its client");
    server.world.faults.later.fetch_add(301_000, Ordering::SeqCst);
    until("its time is over", || server.world.live.load(Ordering::SeqCst) == 0);
    drop(holding);
    server.end();
}

#[test]
fn a_client_that_sends_nothing_has_no_volume_for_ever() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = manifest(&owner, "one");
    let (holding, _) =
        begin(&owner, server.port, &on_volume(&manifest, "/data", write("a"))).unwrap();
    until("it waits", || server.world.live.load(Ordering::SeqCst) == 1);
    server.world.faults.later.fetch_add(299_000, Ordering::SeqCst);
    let refused = refusal(begin(&owner, server.port, &on_volume(&manifest, "/data", print(1))));
    assert!(refused.contains("another client"), "{refused}");
    server.world.faults.later.fetch_add(2_000, Ordering::SeqCst);
    until("its time is over", || server.world.live.load(Ordering::SeqCst) == 0);
    drop(holding);
    server.end();
}

#[test]
fn many_clients_take_no_more_threads_memory_and_shares_than_there_are() {
    let admission = Admission { running: 4, per_owner: 3, ..plenty() };
    let server = Server::admitting(admission);
    let owners: Vec<Owner> = (1..=3).map(Owner::new).collect();
    let hold = |owner: &Owner, name: &str| {
        let request = on_volume(&manifest(owner, name), "/data", write("a"));
        begin(owner, server.port, &request)
    };
    let mut held = Vec::new();
    for name in ["a", "b", "c"] {
        held.push(hold(&owners[0], name).unwrap());
    }
    let refused = refusal(hold(&owners[0], "d"));
    assert!(refused.contains("works on 3 volumes at once"), "{refused}");
    held.push(hold(&owners[1], "a").unwrap());
    for at in 0..50 {
        let refused = refusal(hold(&owners[at % 2 + 1], "b"));
        assert!(refused.contains("no room"), "{refused}");
    }
    // A program waits until there is room.
    let waiting = owners[2].manifest("w", b"exit 0", |_| ());
    owners[2].start(server.port, &detached(waiting), b"exit 0").unwrap();
    assert_eq!(states(&owners[2], server.port)["w"], twine_channel::message::State::Starting);
    drop(held);
    until("it runs", || {
        states(&owners[2], server.port)["w"] == twine_channel::message::State::Ended
    });
    assert_eq!(server.world.most_live.load(Ordering::SeqCst), 4);
    server.end();

    let server =
        Server::admitting(Admission { memory: 40 << 20, each_owner: 40 << 20, ..plenty() });
    let one =
        begin(&owners[0], server.port, &on_volume(&manifest(&owners[0], "a"), "/data", write("a")));
    let other = on_volume(&manifest(&owners[1], "a"), "/data", write("a"));
    let refused = refusal(begin(&owners[1], server.port, &other));
    assert!(refused.contains("no room"), "{refused}");
    drop(one);
    until("there is room", || begin(&owners[1], server.port, &other).is_ok());
    server.end();
}

#[test]
fn what_a_client_may_not_send_ends_its_work() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = manifest(&owner, "one");
    // Input for work that reads none.
    let request = on_volume(&manifest, "/data", print(1 << 32));
    let (mut proven, _) = begin(&owner, server.port, &request).unwrap();
    until("it writes", || server.world.live.load(Ordering::SeqCst) == 1);
    let _ = proven.ask(&Request::Stop { which: which("one"), kill: true }, limit());
    until("it ends", || server.world.live.load(Ordering::SeqCst) == 0);
    // An interrupt ends it, and the client is told.
    let (mut proven, _) =
        begin(&owner, server.port, &on_volume(&manifest, "/data", write("a"))).unwrap();
    let told = in_time("it ends", move || {
        let mut answer = proven.ask(&Request::Interrupt, limit());
        while let Ok(Answer::Credit { .. }) = answer {
            answer = proven
                .ask(&Request::Received(twine_channel::message::Position::default()), limit());
        }
        answer
    });
    assert_eq!(told.unwrap(), Answer::Ended(End::Stopped));
    until("it is over", || server.world.live.load(Ordering::SeqCst) == 0);
    assert!(server.world.files.lock().unwrap().is_empty());
    server.end();
}

#[test]
fn a_host_that_stops_does_not_wait_for_clients_at_volumes() {
    let server = Server::new();
    let owner = Owner::new(1);
    let request = on_volume(&manifest(&owner, "one"), "/data", write("a"));
    let held = begin(&owner, server.port, &request).unwrap();
    until("it waits", || server.world.live.load(Ordering::SeqCst) == 1);
    in_time("it stops", move || server.end());
    drop(held);
    std::thread::sleep(Duration::ZERO);
}
