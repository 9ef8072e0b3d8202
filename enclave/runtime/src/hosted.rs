//! Runs the program of a deployment, as its manifest says.

use crate::attestation::identity;
use crate::code_cache;
use crate::guest::Guest;
use crate::hosted_system::HostedSystem;
use crate::launch::{compilation_for, end_of, engine_of, refused_program};
use crate::mounts::{self, Mounted, Refused};
use crate::network::HostNetwork;
use crate::peering::Peering;
use crate::sealing_keys::SealingKeys;
use crate::state::State;
use crate::takeover::Takeover;
use std::sync::{Arc, Mutex, PoisonError};
use twine_channel::message::{End, Secret};
use twine_engine::{
    Compiled, Ended, Identified, Interrupter, Invoke, Limits, Linked, Socket, Start,
};
use twine_evidence::bytes::Bytes;
use twine_evidence::sockets::{self, Way};
use twine_evidence::statement::{Program, Subject};
use twine_evidence::terms::{MountKind, Terms};
use twine_hosting::{Attestation, Control, Job, NoSockets, Sockets};
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::{self, Compiler, Mount, Source, VolumeSource};

/// Size, in bytes, of the stack for the frames of a deployment's program. The stacks of the image's
/// threads have twice as much, for the functions that it calls and for compiling.
const WASM_STACK: usize = 2 << 20;

/// Limit on the elements of all tables of a program. They have up to 8 bytes each, which are part of
/// the memory that `twine_hosting` reserves for a deployment beside its linear memories.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Programs are compiled one after the other, because it takes much memory.
static COMPILING: Mutex<()> = Mutex::new(());

/// Ends a program from another thread.
struct Interrupts(Interrupter);

impl Control for Interrupts {
    fn interrupt(&self) -> bool {
        !self.0.interrupt()
    }

    fn end(&self) {
        self.0.end();
    }
}

fn refused(cause: impl Into<String>, remedy: impl Into<String>) -> End {
    End::Refused { cause: cause.into(), remedy: remedy.into() }
}

/// Converts the end of a launch to one that a client understands.
pub(crate) fn told(end: launch::End) -> End {
    match end {
        launch::End::Exited { code, results } => End::Exited { code, results },
        launch::End::Trapped { cause, backtrace } => End::Trapped { cause, backtrace },
        launch::End::Refused { cause, remedy } => End::Refused { cause, remedy },
    }
}

/// Runs the program of a deployment to its end.
///
/// `target` is that of the quoting enclave for reports.
pub(crate) fn run(
    job: &Job,
    state: &State,
    target: &[u8],
    started: &mut dyn FnMut(Box<dyn Control>),
) -> End {
    prepare_and_run(job, state, target, started).unwrap_or_else(|end| end)
}

fn prepare_and_run(
    job: &Job,
    state: &State,
    target: &[u8],
    started: &mut dyn FnMut(Box<dyn Control>),
) -> Result<End, End> {
    let manifest = job.manifest.manifest();
    let terms = &manifest.terms;
    let not_allowed = |refusal: twine_evidence::manifest::Refusal| {
        refused(
            refusal.to_string(),
            "deploy it to an enclave that the manifest names, or have its owner add this one",
        )
    };
    manifest.allow(terms, &identity()).map_err(not_allowed)?;
    let secrets = job.take_secrets();
    let mut start = start(terms, &secrets.0)?;
    let takeover = Takeover::new(&job.manifest, &job.signed);
    let compiled = compiled(job, state, &start, &takeover)?;
    if compiled.sha256() != terms.program.0 {
        return Err(refused(
            "the program is another one than the manifest names",
            "send the program that the manifest was made for",
        ));
    }
    let engine = engine_of(&compiled);
    manifest.allow_code(&engine).map_err(not_allowed)?;
    let deployment = takeover.deployment();
    let keys = SealingKeys::of_program(compiled.sha256());
    let storages = state
        .open_volumes(&takeover.deployment(), terms)
        .map_err(|Refused { cause, remedy }| refused(cause, remedy))?;
    let mounts = mounts_of(terms, &storages);
    let warn = |line: String| {
        let _ = job.stdio.write(2, format!("{line}\n").as_bytes());
    };
    let mounted = mounts::open(&mounts, keys, Some(&takeover), warn);
    let Mounted { files, volumes } = match mounted {
        Ok(mounted) => mounted,
        Err(Refused { cause, remedy }) => {
            storages.discard();
            return Err(refused(cause, remedy));
        }
    };
    let guest = compiled.attests().then(|| {
        let program = Program { terms: terms.clone(), engine };
        Guest::new(program, Some(deployment.clone()))
    });
    let attestation = has_attested(terms).then(|| {
        let program = Program { terms: terms.clone(), engine };
        let subject = Subject::Deployment { program, deployment: deployment.clone() };
        let peering =
            Peering::new(target.to_vec(), subject, manifest.clone(), job.manifest.owner().id());
        Arc::new(peering) as Arc<dyn Attestation>
    });
    let sockets = sockets(job, terms, &secrets.0, attestation)?;
    drop(secrets);
    start.sockets = descriptors(&sockets);
    let system = Box::new(HostedSystem::new(job.stdio.clone(), sockets));
    let end = match compiled.link(system, files, start) {
        Ok(mut linked) => {
            if let Some(guest) = guest {
                linked.attest_with(Box::new(guest));
            }
            run_linked(linked, terms, started, &warn)
        }
        Err(error) => told(refused_program(&error)),
    };
    let (troubles, _) = volumes.finish();
    for trouble in troubles {
        warn(format!("error: {trouble}"));
    }
    drop(storages);
    Ok(end)
}

/// Returns the parameters that the program is started with.
fn start(terms: &Terms, secrets: &[Secret]) -> Result<Start, End> {
    let mut environment: Vec<(Vec<u8>, Vec<u8>)> = terms
        .environment
        .iter()
        .map(|variable| (variable.name.0.clone(), variable.value.0.clone()))
        .collect();
    // The program does not see those of its sockets.
    let of_sockets: Vec<_> = terms.sockets.iter().flat_map(sockets::Socket::secrets).collect();
    for name in &terms.secrets {
        let found = secrets.iter().find(|secret| secret.name == *name);
        let found = found.ok_or_else(|| {
            let name = name.escaped();
            refused(
                format!("the secret {name} has no value"),
                format!("give it one: --secret {name}=@FILE"),
            )
        })?;
        if !of_sockets.contains(&name) {
            environment.push((name.0.clone(), found.value.0.clone()));
        }
    }
    Ok(Start {
        arguments: terms.arguments.iter().map(|Bytes(argument)| argument.clone()).collect(),
        environment,
        invoke: terms.export.as_ref().map(|export| Invoke {
            function: export.function.clone(),
            arguments: export.arguments.clone(),
        }),
        sockets: Vec::new(),
    })
}

/// Whether a socket has attested TLS.
fn has_attested(terms: &Terms) -> bool {
    terms.sockets.iter().any(|socket| socket.attested.is_some())
}

/// Opens the sockets of a deployment.
fn sockets(
    job: &Job,
    terms: &Terms,
    secrets: &[Secret],
    attestation: Option<Arc<dyn Attestation>>,
) -> Result<Sockets, End> {
    let network = Arc::new(HostNetwork { deployment: job.id.to_string() });
    let stdio = job.stdio.clone();
    let report = move |line: String| {
        let _ = stdio.write(2, format!("twine: {line}\n").as_bytes());
    };
    Sockets::open(network, job.stdio.clone(), &terms.sockets, secrets, attestation, report)
        .map_err(|NoSockets { cause, remedy }| refused(cause, remedy))
}

/// Returns the sockets of a deployment as its program gets them.
fn descriptors(sockets: &Sockets) -> Vec<Socket> {
    let descriptor = |(number, way)| match way {
        Way::Listen => Socket::Listening(number),
        Way::Connect => Socket::Connecting(number),
    };
    sockets.numbers().into_iter().map(descriptor).collect()
}

/// Returns the program's code: that of an earlier run, or else compiles the program.
fn compiled(
    job: &Job,
    state: &State,
    start: &Start,
    takeover: &Takeover<'_>,
) -> Result<Compiled, End> {
    let terms = &job.manifest.manifest().terms;
    let limits = Limits {
        memory: terms.limits.memory,
        tables: Some(TABLE_ELEMENTS),
        fuel: terms.limits.fuel,
        interruptible: true,
    };
    let wanted = compilation_for(limits, WASM_STACK, true, Compiler::Optimizing);
    let (owner, program) = (job.id.owner, terms.program);
    let sent = job.take_program();
    if let Some(bytes) = &sent {
        // If it can't be kept, the client sends it again the next time.
        state.keep_program(owner, program, bytes);
    }
    state.used_program(owner, program, sent.as_deref());
    if let Some(compiled) = state.code(owner, program, &wanted) {
        return Ok(compiled);
    }
    let kept = || state.program(owner, program, Some(takeover));
    let bytes = sent.or_else(kept).ok_or_else(|| {
        refused("the program that was kept here is gone", "deploy it again: it is sent again")
    })?;
    let program = Identified::new(bytes);
    let _one = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let checked = program.check(&wanted.limits, Some(start.function()));
    let compiled = checked
        .and_then(|()| code_cache::compile(&program, &wanted))
        .map_err(|error| told(refused_program(&error)))?;
    // If this fails, the next run compiles again.
    state.keep_code(owner, &compiled, &wanted.limits);
    Ok(compiled)
}

/// Returns the mounts of a deployment, whose volumes are in these storages.
fn mounts_of(terms: &Terms, storages: &crate::state::Volumes) -> Vec<Mount> {
    let mut numbers = storages.numbers();
    terms
        .mounts
        .iter()
        .filter_map(|mount| {
            let source = match mount.kind {
                MountKind::Volume => {
                    let (storage, create) = numbers.next()?;
                    let key = VolumeKey::Sealed(Sealing::DEPLOYMENT);
                    Source::Volume(VolumeSource { storage, key, create, cache: None, main: None })
                }
                MountKind::Memory => Source::Memory(mount.size.unwrap_or_default()),
                // `twine_hosting` refuses manifests with folders.
                MountKind::Folder => return None,
            };
            Some(Mount { guest: mount.guest.clone(), source, read_only: mount.read_only })
        })
        .collect()
}

fn run_linked(
    linked: Linked,
    terms: &Terms,
    started: &mut dyn FnMut(Box<dyn Control>),
    warn: &dyn Fn(String),
) -> End {
    started(Box::new(Interrupts(linked.interrupter())));
    let Ended { end, synced } = linked.run(|| ());
    if let Err(error) = synced {
        warn(format!("error: {error}"));
    }
    told(end_of(end, terms.diagnostics.backtraces))
}
