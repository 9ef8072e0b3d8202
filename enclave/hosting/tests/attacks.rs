//! Hostile clients and networks: nothing panics, hangs, leaks, or gets what is another's.

mod common;

use common::raw::{NONCE, Raw, client_config, fitting, terminator};
use common::*;
use graviola::signing::ecdsa::{P256, SigningKey};
use rustls::pki_types::ServerName;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use twine_channel::VERSION;
use twine_channel::frame::{Frame, Kind, MAX_EARLY_MESSAGE, MAX_MESSAGE, MAX_PIECE, head};
use twine_channel::message::{Answer, Deploy, Position, Request, State};
use twine_client::{Connection, Error};
use twine_evidence::bytes::Digest;
use twine_evidence::channel;
use twine_evidence::terms::{Mount, MountKind, Stream};
use twine_hosting::{Admission, TlsIdentity, WINDOW};

/// Whether an honest client is served.
fn serves(server: &Server) {
    let owner = Owner::new(9);
    let manifest = owner.manifest("honest", b"hello", |_| ());
    let ran = owner.run(server.port, &deploy(manifest), b"hello", b"").unwrap();
    assert_eq!(ran.output, b"hello\n");
}

/// Connects and asks for evidence. Returns whether it is for this connection.
fn verdict(port: u16) -> Result<bool, Error> {
    let connection = Connection::open("127.0.0.1", port, limit())?;
    let (_, fresh) = connection.evidence(limit())?;
    Ok(is_fresh(&fresh))
}

// ------------------------------------------------------------------ somebody in the middle

#[test]
fn bytes_that_are_changed_dropped_repeated_or_turned_around_change_no_stream() {
    type Change = fn(&mut Vec<u8>, usize);
    let changes: [Change; 5] = [
        |bytes, at| bytes[at] ^= 0x10,
        |bytes, at| {
            bytes.remove(at);
        },
        |bytes, at| bytes.insert(at, bytes[at]),
        |bytes, at| bytes.truncate(at),
        |bytes, at| bytes[at..].reverse(),
    ];
    let server = Server::new();
    let owner = Owner::new(1);
    let input = pattern(0, 300_000);
    for (number, change) in changes.into_iter().enumerate() {
        for seed in 0..6 {
            let random = Arc::new(Mutex::new(Random(seed)));
            let proxy = Proxy::new(server.port, move |connection| {
                // Later connections are left alone for longer.
                let mut next = random.lock().unwrap().below(1000 << connection.min(12));
                let random = random.clone();
                Box::new(move |_, mut bytes: Vec<u8>| {
                    let length = bytes.len() as u64;
                    if next < length {
                        change(&mut bytes, next as usize);
                        next += random.lock().unwrap().below(1_000_000);
                    }
                    next -= length.min(next);
                    Some(bytes)
                })
            });
            let manifest = owner.manifest("cut", b"echo", |_| ());
            let deploy = deploy(manifest);
            let mut streams =
                twine_client::Streams::new(Some(Box::new(std::io::Cursor::new(input.clone()))))
                    .unwrap();
            let (mut ran, mut began) = (Ran::default(), false);
            // What is lost in silence is no fault: then the client's time limit ends it.
            let short = || twine_client::TimeLimit::new(Duration::from_millis(400));
            for _ in 0..40 {
                let attempt = || {
                    let connection = Connection::open("127.0.0.1", proxy.port, short())?;
                    let (unproven, fresh) = connection.evidence(short())?;
                    assert!(is_fresh(&fresh));
                    let sign = |message: &[u8]| Ok(owner.sign(message));
                    let mut proven = unproven.prove(&owner.public(), sign, short())?;
                    let request = match began {
                        false => Request::Deploy(Deploy { replace: true, ..deploy.clone() }),
                        true => {
                            Request::Attach { which: which("cut"), from: Some(streams.received()) }
                        }
                    };
                    let answer = match proven.ask(&request, short())? {
                        Answer::Wanted => proven.upload(b"echo", |_| (), short())?,
                        answer => answer,
                    };
                    Ok((proven, answer))
                };
                let result: Result<_, Error> = attempt();
                let Ok((proven, answer)) = result else { continue };
                began = true;
                let attached = twine_client::Attached::new(proven, &answer, &mut streams).unwrap();
                // A byte that is missing makes both sides wait: somebody else ends that.
                let stuck = streams_end(&server, &owner);
                match attached.run(|kind, bytes| ran.take(kind, bytes)) {
                    Ok(end) => {
                        assert_eq!(end, exited(0));
                        ran.end = Some(end);
                        break;
                    }
                    Err(error) => assert!(
                        error.is_lost() || matches!(error, Error::Refused { .. }),
                        "{error:?}"
                    ),
                }
                drop(stuck);
            }
            assert!(input.starts_with(&ran.output), "change {number}, seed {seed}");
            if ran.end.is_some() {
                assert!(ran.output == input, "change {number}, seed {seed}");
            }
            owner_clears(&server, &owner, "cut");
        }
    }
    serves(&server);
    server.end();
}

/// Ends a client's wait after a while, as a user does who tries again elsewhere: attaches another.
fn streams_end(server: &Server, owner: &Owner) -> thread::JoinHandle<()> {
    let (port, public) = (server.port, owner.public());
    assert_eq!(public, Owner::new(1).public());
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        let owner = Owner::new(1);
        let attach = Request::Attach { which: which("cut"), from: Some(Position::default()) };
        // It does not matter whether it is there still.
        let _ = owner.ask(port, &attach);
    })
}

fn owner_clears(server: &Server, owner: &Owner, name: &str) {
    if states(owner, server.port).contains_key(name) {
        // It may go by itself.
        let _ = owner.ask(server.port, &Request::Stop { which: which(name), kill: true });
        until("it ends", || {
            states(owner, server.port).get(name).is_none_or(|state| *state == State::Ended)
        });
        let remove = Request::Remove { which: which(name), volumes: false };
        let _ = owner.connect(server.port).unwrap().do_it(&remove, limit());
    }
}

#[test]
fn a_relay_that_ends_tls_is_noticed_whichever_key_it_has() {
    let server = Server::new();
    let pass = || -> raw::Reader { Box::new(|_, frame| Some(vec![frame])) };
    let own = terminator(server.port, tls_identity(), pass);
    assert!(!verdict(own).unwrap(), "its key is another one");
    // Even the enclave's own key, stolen, does not help: the two connections have other secrets.
    let stolen = terminator(server.port, server.world.stolen_identity(), pass);
    let connection = Connection::open("127.0.0.1", stolen, limit()).unwrap();
    let (_, fresh) = connection.evidence(limit()).unwrap();
    assert!(!is_fresh(&fresh));
    let all = [&Digest::of(&fresh.public_key).0[..], &fresh.nonce].concat();
    assert_eq!(fresh.evidence[8..72], all, "only the connection differs");
    server.end();
}

#[test]
fn a_proof_that_is_relayed_proves_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    let refused = Arc::new(Mutex::new(Vec::new()));
    let seen = refused.clone();
    let relay = terminator(server.port, server.world.stolen_identity(), move || {
        let seen = seen.clone();
        Box::new(move |way, frame: Frame| {
            if let (Way::ToClient, Ok(Answer::Refused { cause, .. })) =
                (way, Answer::decode(&frame.body))
            {
                seen.lock().unwrap().push(cause);
            }
            Some(vec![frame])
        })
    });
    // A careless client, which does not look at the evidence.
    let connection = Connection::open("127.0.0.1", relay, limit()).unwrap();
    let (unproven, _) = connection.evidence(limit()).unwrap();
    let sign = |message: &[u8]| Ok(owner.sign(message));
    let cause = refusal(unproven.prove(&owner.public(), sign, limit()));
    assert!(cause.contains("did not prove"), "{cause}");
    assert_eq!(refused.lock().unwrap().len(), 1);
    server.end();
}

#[test]
fn evidence_that_was_recorded_or_is_of_another_server_does_not_fit() {
    let (server, other) = (Server::new(), Server::new());
    let mut raw = Raw::connect(server.port);
    let recorded = raw.hello().unwrap();
    let mut elsewhere = Raw::connect(other.port);
    let genuine = elsewhere.hello().unwrap();
    for evidence in [recorded, genuine] {
        let replay = terminator(server.port, server.world.stolen_identity(), move || {
            let evidence = evidence.clone();
            Box::new(move |way, frame| match way {
                Way::ToServer => Some(vec![frame]),
                Way::ToClient => {
                    let answer = Answer::Evidence { evidence: evidence[..].into() };
                    let body = answer.to_frame().split_off(5);
                    Some(vec![Frame { kind: Kind::Message, body }])
                }
            })
        });
        assert!(!verdict(replay).unwrap());
    }
    drop((raw, elsewhere));
    // A connection that leads to another server has evidence of that one, for its own key.
    let diverted = Proxy::new(other.port, |_| Box::new(|_, bytes| Some(bytes)));
    let connection = Connection::open("127.0.0.1", diverted.port, limit()).unwrap();
    let (_, fresh) = connection.evidence(limit()).unwrap();
    assert_eq!(Digest::of(&fresh.public_key), other.world.stolen_identity().public);
    server.end();
    other.end();
}

#[test]
fn what_a_client_sent_leads_to_nothing_if_it_comes_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
        }
    });
    let error = in_time("a reflection", move || verdict(port)).unwrap_err();
    assert!(matches!(error, Error::Handshake { .. }), "{error:?}");

    // Frames that come back over TLS.
    let server = Server::new();
    let mirror = terminator(server.port, tls_identity(), || {
        let mut last = None;
        Box::new(move |way, frame| match way {
            Way::ToServer => {
                last = Some(frame.clone());
                Some(vec![frame])
            }
            Way::ToClient => last.take().map(|frame| vec![frame]),
        })
    });
    let error = in_time("a mirror", move || verdict(mirror)).unwrap_err();
    assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    server.end();
}

// ------------------------------------------------------------------ proofs

#[test]
fn who_proves_nothing_gets_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    let requests = || {
        let manifest = owner.manifest("x", b"hello", |_| ());
        vec![
            Request::Deploy(deploy(manifest)),
            Request::List,
            Request::Logs { which: which("x"), follow: true },
            Request::Attach { which: which("x"), from: None },
            Request::Stop { which: which("x"), kill: true },
            Request::Remove { which: which("x"), volumes: true },
            Request::Upload { length: 1 },
            Request::InputEnd,
            Request::Interrupt,
            Request::Received(Position::default()),
            Request::Thanks,
        ]
    };
    for request in requests() {
        let mut raw = Raw::connect(server.port);
        raw.ask(&request).unwrap();
        raw.refused();
        let mut raw = Raw::connect(server.port);
        raw.hello().unwrap();
        raw.ask(&request).unwrap();
        raw.refused();
    }
    // A proof before the nonce, and the nonce twice.
    let mut raw = Raw::connect(server.port);
    let proof = raw.proof(&owner, &NONCE);
    raw.ask(&proof).unwrap();
    raw.refused();
    let mut raw = Raw::connect(server.port);
    raw.hello().unwrap();
    raw.ask(&Request::Hello { version: VERSION, nonce: NONCE[..].into() }).unwrap();
    raw.refused();
    assert_eq!(server.world.runs.load(Ordering::SeqCst), 0);
    server.quiet();
    server.end();
}

#[test]
fn proofs_of_other_keys_connections_nonces_and_forms_are_refused() {
    let server = Server::new();
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let mut raw = Raw::connect(server.port);
    raw.hello().unwrap();
    let recorded = raw.proof(&owner, &NONCE);
    let key = SigningKey::<P256>::generate().unwrap();
    let mut room = [0; 128];
    let p256 = key.to_spki_der(&mut room).unwrap().to_vec();
    type Forge<'a> = Box<dyn Fn(&Raw) -> Request + 'a>;
    let (mine, theirs) = (owner.public().der().to_vec(), other.public().der().to_vec());
    let signed = |raw: &Raw, nonce: &[u8]| match raw.proof(&owner, nonce) {
        Request::Prove { signature, .. } => signature.0,
        _ => unreachable!(),
    };
    let prove = |key: &[u8], signature: &[u8]| Request::Prove {
        key: key.into(),
        signature: signature.into(),
    };
    let forgeries: Vec<Forge<'_>> = vec![
        Box::new(|_| recorded.clone()),
        Box::new(|raw| raw.proof(&owner, &[6; 32])),
        Box::new(|raw| prove(&theirs, &signed(raw, &NONCE))),
        Box::new(|raw| prove(&p256, &signed(raw, &NONCE))),
        Box::new(|raw| prove(b"", &signed(raw, &NONCE))),
        Box::new(|raw| prove(&[0; 5000], &signed(raw, &NONCE))),
        Box::new(|_| prove(&mine, b"")),
        Box::new(|_| prove(&mine, &[0; 64])),
        Box::new(|raw| prove(&mine, &signed(raw, &NONCE)[..63])),
        // Of the evidence's exporter instead of the owner's.
        Box::new(|raw| {
            let exporter = raw.exporter(channel::EVIDENCE_LABEL, &NONCE);
            prove(&mine, &owner.sign(&channel::owner_message(&exporter)))
        }),
    ];
    for (number, forge) in forgeries.iter().enumerate() {
        let mut raw = Raw::connect(server.port);
        raw.hello().unwrap();
        let forged = forge(&raw);
        raw.ask(&forged).unwrap();
        assert!(raw.refused().contains("did not prove"), "{number}");
    }
    server.end();
}

#[test]
fn evidence_is_for_the_connection_that_asked() {
    let server = Server::new();
    let mut raw = Raw::connect(server.port);
    let evidence = raw.hello().unwrap();
    assert_eq!(evidence, fitting(&raw, server.world.stolen_identity().public));
    for (version, nonce) in [(VERSION + 1, 32), (VERSION, 31), (VERSION, 33), (VERSION, 0)] {
        let mut raw = Raw::connect(server.port);
        raw.ask(&Request::Hello { version, nonce: vec![7; nonce][..].into() }).unwrap();
        raw.refused();
    }
    // It may be long.
    server.world.faults.long_evidence.store(300_000, Ordering::SeqCst);
    let evidence = Raw::connect(server.port).hello().unwrap();
    assert_eq!(evidence.len(), 300_000);
    server.world.faults.no_evidence.store(true, Ordering::SeqCst);
    let mut raw = Raw::connect(server.port);
    raw.ask(&Request::Hello { version: VERSION, nonce: NONCE[..].into() }).unwrap();
    assert!(raw.refused().contains("no evidence"));
    let log = server.world.log.lock().unwrap().join("\n");
    assert!(log.contains("nobody makes quotes"), "{log}");
    server.quiet();
    server.end();
}

// ------------------------------------------------------------------ floods

#[test]
fn garbage_instead_of_tls_ends_the_connection() {
    let server = Server::new();
    let mut random = Random(1);
    let texts: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100_000],
        vec![22, 3, 1, 0xff, 0xff],
        (0..50_000).map(|_| random.below(256) as u8).collect(),
    ];
    for text in texts {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let _ = stream.write_all(&text);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 100, "an alert at most");
    }
    serves(&server);
    server.quiet();
    server.end();
}

#[test]
fn a_thousand_connections_that_say_nothing_leave_room_for_honest_clients() {
    let server = Server::new();
    let silent: Vec<TcpStream> =
        (0..1000).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    serves(&server);
    assert!(server.world.open() <= 300, "{}", server.world.open());
    // Their time is over some day.
    server.world.faults.later.store(60_000, Ordering::SeqCst);
    server.quiet();
    drop(silent);
    serves(&server);
    server.end();
}

#[test]
fn clients_that_prove_who_they_are_and_ask_nothing_leave_room_too() {
    let server = Server::new();
    let silent: Vec<Raw> = (0..300).map(|_| Raw::proven(server.port, &Owner::new(3))).collect();
    serves(&server);
    assert!(server.world.open() <= 300, "{}", server.world.open());
    server.world.faults.later.store(60_000, Ordering::SeqCst);
    server.quiet();
    drop(silent);
    server.end();
}

#[test]
fn many_requests_for_slow_evidence_hold_up_nobody_who_is_attached() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let mut raw = Raw::proven(server.port, &owner);
    raw.ask(&Request::Deploy(deploy(manifest))).unwrap();
    assert_eq!(raw.answer(), Some(Answer::Wanted));
    raw.ask(&Request::Upload { length: 4 }).unwrap();
    raw.frame(Kind::Program, b"echo").unwrap();
    assert!(matches!(raw.answer(), Some(Answer::Started { .. })));
    assert!(matches!(raw.answer(), Some(Answer::Credit { .. })));
    server.world.faults.slow_evidence.store(200, Ordering::SeqCst);
    let flood: Vec<Raw> = (0..60)
        .map(|_| {
            let mut raw = Raw::connect(server.port);
            raw.ask(&Request::Hello { version: VERSION, nonce: NONCE[..].into() }).unwrap();
            raw
        })
        .collect();
    raw.frame(Kind::Input, b"quick").unwrap();
    let mut output = None;
    while output.is_none() {
        output = raw.next().filter(|frame| frame.kind == Kind::Output);
    }
    assert_eq!(output.unwrap().body, b"quick");
    // It did not wait until all of them had theirs.
    assert!(server.world.evidence_made.load(Ordering::SeqCst) < 60);
    drop(flood);
    server.world.faults.slow_evidence.store(0, Ordering::SeqCst);
    until("others are served", || verdict(server.port).unwrap());
    drop(raw);
    server.end();
}

#[test]
fn a_byte_at_a_time_is_served_and_one_that_takes_for_ever_is_not() {
    let server = Server::new();
    let slow = Proxy::new(server.port, |_| {
        Box::new(|_, bytes| {
            thread::sleep(Duration::from_millis(1));
            Some(bytes)
        })
    });
    assert!(verdict(slow.port).unwrap());
    // A ClientHello, a byte at a time, each just in time if the time were for each byte.
    let mut config =
        rustls::ClientConnection::new(client_config(), ServerName::try_from("127.0.0.1").unwrap())
            .unwrap();
    let mut hello = Vec::new();
    config.write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    for byte in &hello[..20] {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(5));
        server.world.faults.later.fetch_add(2000, Ordering::SeqCst);
    }
    server.quiet();
    serves(&server);
    server.end();
}

#[test]
fn absurd_lengths_kinds_and_messages_are_refused() {
    let server = Server::new();
    let owner = Owner::new(1);
    let heads: Vec<Vec<u8>> = vec![
        vec![0, 0xff, 0xff, 0xff, 0xff],
        vec![1, 0xff, 0xff, 0xff, 0xff],
        vec![200, 0, 0, 0, 0],
        [&head(Kind::Message, 3)[..], &[0xff; 3]].concat(),
        [&head(Kind::Message, 1)[..], &[0x80]].concat(),
        head(Kind::Message, 0).to_vec(),
        head(Kind::Input, MAX_PIECE + 1).to_vec(),
    ];
    for bytes in &heads {
        let mut raw = Raw::connect(server.port);
        raw.send(bytes).unwrap();
        raw.refused();
        let mut raw = Raw::proven(server.port, &owner);
        raw.send(bytes).unwrap();
        raw.refused();
    }
    let mut raw = Raw::connect(server.port);
    raw.send(&head(Kind::Message, MAX_EARLY_MESSAGE + 1)).unwrap();
    raw.refused();
    let mut raw = Raw::proven(server.port, &owner);
    raw.send(&head(Kind::Message, MAX_MESSAGE + 1)).unwrap();
    raw.refused();
    // A long message that never ends takes memory, of which there is so much for all.
    let mut long: Vec<Raw> = (0..32)
        .map(|_| {
            let mut raw = Raw::proven(server.port, &owner);
            raw.send(&head(Kind::Message, MAX_MESSAGE - 5)).unwrap();
            raw
        })
        .collect();
    let mut raw = Raw::proven(server.port, &owner);
    raw.send(&head(Kind::Message, MAX_MESSAGE - 5)).unwrap();
    assert!(raw.refused().contains("no memory"));
    serves(&server);
    long.pop();
    until("memory is given back", || {
        let mut raw = Raw::proven(server.port, &owner);
        raw.send(&head(Kind::Message, MAX_MESSAGE - 5)).unwrap();
        raw.frame(Kind::Message, &vec![0xff; MAX_MESSAGE - 10]).unwrap();
        !raw.refused().contains("no memory")
    });
    drop(long);
    // Much that follows what was refused is not kept.
    let mut raw = Raw::connect(server.port);
    raw.send(&[200; 5]).unwrap();
    for _ in 0..200 {
        if raw.send(&[0; 60_000]).is_err() {
            break;
        }
    }
    drop(raw);
    server.quiet();
    serves(&server);
    server.end();
}

// ------------------------------------------------------------------ messages in wrong states

/// Connections in each state, made anew.
fn in_each_state(server: &Server, owner: &Owner) -> Vec<(&'static str, Raw)> {
    let manifest = |name: &str| {
        let program = format!("echo {name}");
        (owner.manifest(name, program.as_bytes(), |_| ()), program.into_bytes())
    };
    let wanted = |name: &str| {
        let mut raw = Raw::proven(server.port, owner);
        raw.ask(&Request::Deploy(Deploy { replace: true, ..deploy(manifest(name).0) })).unwrap();
        raw
    };
    let mut upload = wanted("upload");
    assert_eq!(upload.answer(), Some(Answer::Wanted));
    upload.ask(&Request::Upload { length: 100 }).unwrap();
    let mut waits = wanted("wanted");
    assert_eq!(waits.answer(), Some(Answer::Wanted));
    let mut attached = wanted("attached");
    if attached.answer() == Some(Answer::Wanted) {
        let program = manifest("attached").1;
        attached.ask(&Request::Upload { length: program.len() as u64 }).unwrap();
        attached.frame(Kind::Program, &program).unwrap();
        assert!(matches!(attached.answer(), Some(Answer::Started { .. })));
    }
    let mut follows = Raw::proven(server.port, owner);
    follows.ask(&Request::Logs { which: which("attached"), follow: true }).unwrap();
    vec![
        ("ready", Raw::proven(server.port, owner)),
        ("wanted", waits),
        ("upload", upload),
        ("attached", attached),
        ("follows", follows),
    ]
}

#[test]
fn messages_in_wrong_states_are_refused() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("x", b"hello", |_| ());
    let requests = [
        ("hello", Request::Hello { version: VERSION, nonce: NONCE[..].into() }),
        (
            "prove",
            Request::Prove { key: owner.public().der().into(), signature: [0; 64][..].into() },
        ),
        ("deploy", Request::Deploy(deploy(manifest))),
        ("upload", Request::Upload { length: 4 }),
        ("list", Request::List),
        ("input end", Request::InputEnd),
        ("interrupt", Request::Interrupt),
        ("received", Request::Received(Position { output: u64::MAX, errors: u64::MAX })),
        ("thanks", Request::Thanks),
    ];
    let allowed = |state: &str, request: &str| match state {
        "ready" => ["deploy", "list"].contains(&request),
        "wanted" => request == "upload",
        "attached" => ["input end", "interrupt", "received", "thanks"].contains(&request),
        "follows" => request == "thanks",
        _ => false,
    };
    for (name, request) in &requests {
        for (state, mut raw) in in_each_state(&server, &owner) {
            if !allowed(state, name) {
                let _ = raw.ask(request);
                let cause = raw.refused();
                assert!(cause.contains("not expected"), "{state}, {name}: {cause}");
            }
        }
    }
    for kind in [Kind::Input, Kind::Output, Kind::Errors, Kind::Program] {
        for (state, mut raw) in in_each_state(&server, &owner) {
            let allowed = (kind == Kind::Input && state == "attached")
                || (kind == Kind::Program && state == "upload");
            if !allowed {
                raw.frame(kind, b"x").unwrap();
                raw.refused();
            }
        }
    }
    server.quiet();
    owner_clears(&server, &owner, "attached");
    serves(&server);
    server.end();
}

#[test]
fn a_client_that_goes_away_at_any_step_leaves_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    for _ in 0..5 {
        for (_, raw) in in_each_state(&server, &owner) {
            drop(raw);
        }
        drop(Raw::connect(server.port));
        let mut raw = Raw::connect(server.port);
        raw.ask(&Request::Hello { version: VERSION, nonce: NONCE[..].into() }).unwrap();
        drop(raw);
    }
    server.quiet();
    owner_clears(&server, &owner, "attached");
    serves(&server);
    server.end();
}

// ------------------------------------------------------------------ deployments

#[test]
fn input_beyond_what_was_allowed_is_refused() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("wait", b"wait", |_| ());
    let start = || {
        let (_, mut raw) = attached(&server, &owner, &manifest, b"wait");
        let mut room = WINDOW;
        while room > 0 {
            let length = room.min(MAX_PIECE);
            raw.frame(Kind::Input, &vec![1; length]).unwrap();
            room -= length;
        }
        raw
    };
    let mut raw = start();
    raw.frame(Kind::Input, b"x").unwrap();
    raw.refused();
    owner_clears(&server, &owner, "wait");
    let mut raw = start();
    raw.ask(&Request::InputEnd).unwrap();
    raw.frame(Kind::Input, b"").unwrap();
    raw.refused();
    owner_clears(&server, &owner, "wait");
    server.end();
}

/// Starts a deployment with a raw client. Returns where its output begins.
fn attached(server: &Server, owner: &Owner, manifest: &[u8], program: &[u8]) -> (Position, Raw) {
    let mut raw = Raw::proven(server.port, owner);
    raw.ask(&Request::Deploy(deploy(manifest.to_vec()))).unwrap();
    let mut answer = raw.answer().unwrap();
    if answer == Answer::Wanted {
        raw.ask(&Request::Upload { length: program.len() as u64 }).unwrap();
        for piece in program.chunks(MAX_PIECE) {
            raw.frame(Kind::Program, piece).unwrap();
        }
        answer = raw.answer().unwrap();
    }
    let Answer::Started { from, .. } = answer else { panic!("{answer:?}") };
    (from, raw)
}

#[test]
fn a_client_whose_place_was_taken_feeds_ends_and_acknowledges_nothing() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    for sent in [Kind::Input, Kind::Message] {
        let (_, mut first) = attached(&server, &owner, &manifest, b"echo");
        let mut second = Raw::proven(server.port, &owner);
        // Sent at once, so that it may come before the first is told.
        let attach = Request::Attach { which: which("echo"), from: None };
        second.ask(&attach).unwrap();
        assert!(matches!(second.answer(), Some(Answer::Started { .. })));
        match sent {
            Kind::Input => first.frame(Kind::Input, b"of the first").unwrap(),
            _ => first.ask(&Request::InputEnd).unwrap(),
        }
        assert!(first.refused().contains("another client"));
        second.frame(Kind::Input, b"of the second").unwrap();
        let output = loop {
            let frame = second.next().unwrap();
            if frame.kind == Kind::Output {
                break frame.body;
            }
        };
        assert_eq!(output, b"of the second");
        second.ask(&Request::InputEnd).unwrap();
        while second
            .next()
            .is_some_and(|frame| !matches!(Answer::decode(&frame.body), Ok(Answer::Ended(_))))
        {
        }
        second.ask(&Request::Thanks).unwrap();
        until("it goes", || owner.list(server.port).is_empty());
    }
    server.end();
}

#[test]
fn programs_that_are_too_long_too_short_or_others_are_refused() {
    let server = Server::new();
    let owner = Owner::new(1);
    let manifest = owner.manifest("x", b"hello", |_| ());
    let upload = |length| {
        let mut raw = Raw::proven(server.port, &owner);
        raw.ask(&Request::Deploy(deploy(manifest.clone()))).unwrap();
        assert_eq!(raw.answer(), Some(Answer::Wanted));
        raw.ask(&Request::Upload { length }).unwrap();
        raw
    };
    for length in [0, u64::MAX, 1 << 30] {
        assert!(upload(length).refused().contains("bytes; this host takes"));
    }
    let mut raw = upload(5);
    raw.frame(Kind::Program, b"HELLO").unwrap();
    assert!(raw.refused().contains("SHA-256"));
    let mut raw = upload(5);
    raw.frame(Kind::Program, b"hello!").unwrap();
    raw.refused();
    // All clients together can't take all memory.
    let many = [upload(100 << 20), upload(100 << 20)];
    assert!(upload(100 << 20).refused().contains("no memory"));
    // A client that sends much does not send on.
    let large = vec![b' '; 100 << 20];
    let manifest_of_large = owner.manifest("large", &large, |_| ());
    let cause = refusal(owner.start(server.port, &deploy(manifest_of_large), &large));
    assert!(cause.contains("no memory"), "{cause}");
    // One that never ends is ended.
    server.world.faults.later.store(3 * 60 * 60 * 1000, Ordering::SeqCst);
    server.quiet();
    drop(many);
    let mut raw = upload(100 << 20);
    raw.frame(Kind::Program, b"some").unwrap();
    drop(raw);
    server.quiet();
    assert_eq!(server.world.runs.load(Ordering::SeqCst), 0);
    server.end();
}

#[test]
fn secrets_that_are_not_those_of_the_manifest_are_refused() {
    let server = Server::new();
    let owner = Owner::new(1);
    let names = vec!["A".into(), "B".into()];
    let manifest = owner.manifest("s", b"secrets", |manifest| manifest.terms.secrets = names);
    let large = "x".repeat(300_000);
    let (a, b) = (secret("A", "1"), secret("B", "2"));
    let wrong = [
        vec![],
        vec![a.clone()],
        vec![a.clone(), b.clone(), secret("C", "3")],
        vec![a.clone(), a.clone(), b.clone()],
        vec![a.clone(), a.clone()],
        vec![a.clone(), secret("b", "2")],
        vec![a, secret("B", &large)],
    ];
    for secrets in wrong {
        let deploy = Deploy { secrets, ..deploy(manifest.clone()) };
        assert!(refusal(owner.start(server.port, &deploy, b"secrets")).contains("secrets"));
    }
    server.end();
}

#[test]
fn manifests_of_others_changed_ones_and_those_that_ask_for_the_host_are_refused() {
    let server = Server::new();
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let refused =
        |manifest: Vec<u8>| refusal(owner.start(server.port, &deploy(manifest), b"hello"));
    let theirs = other.manifest("x", b"hello", |_| ());
    assert!(refused(theirs).contains("client's key"));
    let mut changed = owner.manifest("x", b"hello", |_| ());
    *changed.last_mut().unwrap() ^= 1;
    assert!(refused(changed).contains("signature"));
    refused(Vec::new());
    refused(vec![0; 100_000]);
    let host = owner.manifest("x", b"hello", |manifest| {
        manifest.terms.streams.stderr = Stream::Host;
    });
    assert!(refused(host).contains("to the host"));
    let folder = owner.manifest("x", b"hello", |manifest| {
        manifest.terms.mounts = vec![Mount {
            guest: "/plain".into(),
            kind: MountKind::Folder,
            key: None,
            read_only: false,
            size: None,
            main: None,
            former: None,
        }];
    });
    assert!(refused(folder).contains("folder of the host"));
    let elsewhere = owner.manifest("x", b"hello", |manifest| {
        manifest.images.truncate(1);
        manifest.images[0].measurement = Some(Digest([0x55; 32]));
    });
    let mut raw = Raw::proven(server.port, &owner);
    raw.ask(&Request::Deploy(deploy(elsewhere))).unwrap();
    raw.refused();
    assert!(owner.list(server.port).is_empty());
    server.end();
}

#[test]
fn clients_that_never_read_take_little_and_hold_up_nobody() {
    let server = Server::new();
    let owner = Owner::new(1);
    let program = b"flood 1000000000000";
    let manifest = owner.manifest("flood", program, |_| ());
    owner.start(server.port, &detached(manifest), program).unwrap();
    let mut looks: Vec<Raw> = (0..20)
        .map(|_| {
            let mut raw = Raw::proven(server.port, &owner);
            raw.ask(&Request::Logs { which: which("flood"), follow: true }).unwrap();
            raw
        })
        .collect();
    serves(&server);
    // Not all of them: the first had to go.
    until("the first are told", || server.world.open() <= 8);
    while let Some(frame) = looks[0].next() {
        if frame.kind == Kind::Message {
            let answer = Answer::decode(&frame.body).unwrap();
            assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
        }
    }
    // Credit is not sent again and again to one that does not read.
    let echo = owner.manifest("echo", b"echo", |_| ());
    let (_, mut echoes) = attached(&server, &owner, &echo, b"echo");
    for _ in 0..2000 {
        echoes.frame(Kind::Input, b"x").unwrap();
    }
    serves(&server);
    // In the end they are gone.
    until("they are ended", || {
        // The buffers of their sockets may not be full yet.
        thread::sleep(Duration::from_millis(200));
        server.world.faults.later.fetch_add(6 * 60 * 1000, Ordering::SeqCst);
        server.world.open() <= 1
    });
    drop((looks, echoes));
    owner_clears(&server, &owner, "flood");
    owner_clears(&server, &owner, "echo");
    server.end();
}

#[test]
fn a_client_that_claims_to_have_got_what_was_never_sent_gets_the_rest() {
    let server = Server::new();
    let owner = Owner::new(1);
    let program = b"flood 1000000";
    let manifest = owner.manifest("flood", program, |_| ());
    let (_, mut raw) = attached(&server, &owner, &manifest, program);
    raw.ask(&Request::Received(Position { output: u64::MAX, errors: u64::MAX })).unwrap();
    let mut output = Vec::new();
    while output.len() < 1_000_000 {
        let Frame { kind, body } = raw.next().unwrap();
        if kind == Kind::Output {
            output.extend_from_slice(&body);
            raw.ask(&Request::Received(Position { output: u64::MAX, errors: 0 })).unwrap();
        }
    }
    assert!(output == pattern(0, 1_000_000));
    drop(raw);
    // A place beyond the end is the end.
    let attach = Request::Attach {
        which: which("flood"),
        from: Some(Position { output: u64::MAX, errors: u64::MAX }),
    };
    let answer = owner.ask(server.port, &attach).unwrap();
    let Answer::Started { from, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((from.output, from.errors), (1_000_000, 12));
    server.end();
}

#[test]
fn many_keys_at_once_do_not_get_more_than_there_is() {
    let server = Server::admitting(Admission { deployments: 10, running: 3, ..plenty() });
    let port = server.port;
    let threads: Vec<_> = (0..40)
        .map(|number| {
            thread::spawn(move || {
                let owner = Owner::new(number);
                let manifest = owner.manifest("wait", b"wait", |_| ());
                owner.start(port, &detached(manifest), b"wait").map(|_| ())
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
    for result in results.into_iter().filter(Result::is_err) {
        assert!(refusal(result).contains("10 deployments"));
    }
    assert_eq!(server.world.most_live.load(Ordering::SeqCst), 3);
    server.end();
}

// ------------------------------------------------------------------ the host

#[test]
fn a_host_that_returns_absurd_counts_ends_connections_and_nothing_else() {
    let server = Server::new();
    for fault in [&server.world.faults.absurd_receive, &server.world.faults.absurd_send] {
        fault.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(verdict(server.port).is_err());
        }
        fault.store(false, Ordering::SeqCst);
        serves(&server);
    }
    server.quiet();
    server.end();
}

#[test]
fn a_host_whose_polling_and_accepting_fail_is_served_when_they_work_again() {
    let server = Server::new();
    let faults = &server.world.faults;
    faults.no_accept.store(true, Ordering::SeqCst);
    let waiting = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.world.open(), 0);
    faults.no_accept.store(false, Ordering::SeqCst);
    serves(&server);
    faults.all_ready.store(true, Ordering::SeqCst);
    serves(&server);
    faults.all_ready.store(false, Ordering::SeqCst);
    faults.none_ready.store(300, Ordering::SeqCst);
    serves(&server);
    drop(waiting);
    server.quiet();
    server.end();
}

#[test]
fn a_host_that_gives_two_connections_one_number_serves_neither_and_breaks_nothing() {
    let server = Server::new();
    let held = Raw::proven(server.port, &Owner::new(1));
    server.world.faults.repeats_accept.store(true, Ordering::SeqCst);
    let port = server.port;
    for _ in 0..5 {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(stream);
    }
    thread::sleep(Duration::from_millis(200));
    drop(held);
    server.world.faults.repeats_accept.store(false, Ordering::SeqCst);
    server.world.faults.later.store(60_000, Ordering::SeqCst);
    until("honest clients are served", || verdict(port).unwrap_or(false));
    serves(&server);
    server.end();
}

#[test]
fn clocks_that_stand_still_or_jump_only_change_when_things_end() {
    let server = Server::new();
    let faults = &server.world.faults;
    faults.frozen.store(true, Ordering::SeqCst);
    let owner = Owner::new(1);
    let input = pattern(0, 1 << 20);
    let manifest = owner.manifest("echo", b"echo", |_| ());
    let ran = owner.run(server.port, &deploy(manifest.clone()), b"echo", &input).unwrap();
    assert!(ran.output == input);
    faults.frozen.store(false, Ordering::SeqCst);
    for _ in 0..5 {
        faults.later.fetch_add(u64::from(u32::MAX), Ordering::SeqCst);
        serves(&server);
    }
    faults.later.store(u64::MAX / 4, Ordering::SeqCst);
    serves(&server);
    faults.frozen.store(true, Ordering::SeqCst);
    let wait = owner.manifest("wait", b"wait", |_| ());
    owner.start(server.port, &detached(wait), b"wait").unwrap();
    // The end comes even then.
    server.end();
}

#[test]
fn a_program_that_does_not_end_does_not_keep_the_host_from_its_end() {
    let server = Server::new();
    let owner = Owner::new(1);
    let program = b"deaf 2500";
    let manifest = owner.manifest("deaf", program, |_| ());
    owner.start(server.port, &detached(manifest), program).unwrap();
    until("it runs", || states(&owner, server.port)["deaf"] == State::Running);
    server.ask_to_end();
    thread::sleep(Duration::from_millis(100));
    server.world.faults.later.store(11_000, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(200));
    server.world.faults.later.store(22_000, Ordering::SeqCst);
    until("it is said", || {
        server.world.log.lock().unwrap().iter().any(|line| line.contains("does not end"))
    });
    server.ended();
}

#[test]
fn a_certificate_is_renewed() {
    let server = Server::new();
    let first = server.world.stolen_identity().public;
    let old = Raw::proven(server.port, &Owner::new(1));
    server.world.faults.later.store(7 * 60 * 60 * 1000, Ordering::SeqCst);
    until("it is renewed", || server.world.stolen_identity().public != first);
    serves(&server);
    drop(old);
    let identity: TlsIdentity = server.world.stolen_identity();
    let connection = Connection::open("127.0.0.1", server.port, limit()).unwrap();
    let (_, fresh) = connection.evidence(limit()).unwrap();
    assert_eq!(Digest::of(&fresh.public_key), identity.public);
    server.end();
}
