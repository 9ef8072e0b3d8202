//! EDP enclaves (`sgx-sim/enclaves`), run by Fortanix' `enclave-runner` on the device.

mod output;

use std::path::PathBuf;

use enclave_runner::EnclaveBuilder;
use sgx_sim::Device;
use twine_image::Manifest;

use output::Output;

/// Reads a file that `cargo xtask enclaves` builds.
fn built(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("SGX_SIM_ENCLAVES").map_or_else(
        || {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../target/sgx/x86_64-fortanix-unknown-sgx/release")
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask enclaves`", path.display()))
}

/// Returns an image of the enclave `name`.
fn image(name: &str, manifest: &Manifest) -> Vec<u8> {
    let elf = built(name);
    let mut image = Vec::new();
    twine_image::build(&elf, manifest, &mut image).unwrap();
    image
}

fn manifest() -> Manifest {
    let mut manifest = Manifest::default();
    manifest.debug = true;
    manifest.heap_size = 32 << 20;
    manifest.threads = 6;
    manifest
}

fn device() -> Device {
    Device::with_root_secret(*b"a test's machine").unwrap()
}

/// Returns the enclave's output, and how it ended.
fn run_image(image: &[u8], device: Device, arguments: &[&str]) -> (String, Result<(), String>) {
    let sgx = enclave_runner_sgx::EnclaveBuilder::new_from_memory(image);
    let mut builder = EnclaveBuilder::new(sgx);
    let output = Output::default();
    builder.stream_router(output.router());
    builder.args(arguments);
    let command: enclave_runner::Command = builder.build(device).unwrap();
    let result = command.run().map_err(|error| format!("{error:#}"));
    (output.text(), result)
}

fn run(name: &str, arguments: &[&str]) -> (String, Result<(), String>) {
    run_image(&image(name, &manifest()), device(), arguments)
}

#[test]
fn hello() {
    let (text, result) = run("sim-hello", &["a", "b", "a"]);
    assert_eq!(text, "hello from inside: {\"a\": 2, \"b\": 1}\nfloating point: 1.000\n");
    assert_eq!(result, Ok(()));
}

/// Runs a program from crates.io, whose image Fortanix' own tool has made.
#[test]
fn an_enclave_that_knows_nothing_of_this_project_runs() {
    let image = built("jsonxf-1.1.1.sgxs");
    let (text, result) = run_image(&image, device(), &["-s", r#"{"a":[1,{"b":"c"}]}"#]);
    let expected = r#"{
  "a": [
    1,
    {
      "b": "c"
    }
  ]
}
"#;
    assert_eq!((text.as_str(), result), (expected, Ok(())));
    let (text, result) = run_image(&image, device(), &["-m", "-s", "{ \"a\" : [ 1 ] }"]);
    assert_eq!((text.as_str(), result), ("{\"a\":[1]}", Ok(())));
    let (_, result) = run_image(&image, device(), &["--no-such-option"]);
    assert!(result.is_err(), "exit code 1");
}

#[test]
fn threads_park_lock_and_send() {
    let (text, result) = run("sim-threads", &[]);
    assert_eq!(
        text,
        "counted 600, received [0, 1, 2], sum 3\nunparked\ntimed out: true\n\
         thread-local: 2 here, 1 there\n"
    );
    assert_eq!(result, Ok(()));
}

#[test]
fn many_host_calls() {
    let (text, result) = run("sim-calls", &["20000"]);
    assert_eq!((text.as_str(), result), ("20000 calls\n", Ok(())));
}

#[test]
fn panics_are_reported() {
    let (_, result) = run("sim-trap", &["panic"]);
    let error = result.unwrap_err();
    assert!(error.contains("as asked"), "{error}");
}

#[test]
fn exceptions_are_reported_with_their_vector() {
    for (way, vector) in [
        ("ud2", 6),
        ("divide", 0),
        ("null", 14),
        ("breakpoint", 3),
        ("privileged", 13),
        ("stack", 14),
    ] {
        let (text, result) = run("sim-trap", &[way]);
        assert_eq!(text, format!("ending by {way}\n"));
        let error = result.unwrap_err();
        let expected = format!("exception_vector: {vector},");
        assert!(error.contains(&expected), "{way}: {error}");
    }
}

#[test]
fn enclaves_run_beside_each_other() {
    let image = image("sim-threads", &manifest());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (text, result) = run_image(&image, device(), &[]);
                assert!(text.starts_with("counted 600"), "{text}");
                assert_eq!(result, Ok(()));
            });
        }
    });
}

#[test]
fn sealing_keys_follow_their_policy() {
    let one = image("sim-attest", &manifest());
    let mut other_manifest = manifest();
    other_manifest.heap_size = 16 << 20;
    let other = image("sim-attest", &other_manifest);
    let key = |image: &[u8], policy| run_image(image, device(), &["key", policy]).0;
    assert_eq!(key(&one, "mrenclave").len(), 33, "16 bytes and a newline");
    assert_eq!(key(&one, "mrenclave"), key(&one, "mrenclave"));
    assert_ne!(key(&one, "mrenclave"), key(&other, "mrenclave"));
    assert_eq!(key(&one, "mrsigner"), key(&other, "mrsigner"));
}

#[test]
fn enclaves_attest_to_each_other_on_one_machine() {
    let verifier = image("sim-attest", &manifest());
    let mut other = manifest();
    other.heap_size = 16 << 20;
    let prover = image("sim-attest", &other);
    let ask = |image: &[u8], arguments: &[&str]| {
        let (text, result) = run_image(image, device(), arguments);
        assert_eq!(result, Ok(()));
        text.trim_end().to_owned()
    };
    let target = ask(&verifier, &["target"]);
    let report = ask(&prover, &["prove", &target]);
    assert_eq!(ask(&verifier, &["verify", &report]), "genuine");
    assert_eq!(ask(&prover, &["verify", &report]), "forged", "another's");

    let forged = report.replacen("42424242", "42424243", 1);
    assert_ne!(forged, report);
    assert_eq!(ask(&verifier, &["verify", &forged]), "forged");
    let elsewhere = Device::with_root_secret([1; 16]).unwrap();
    let (text, _) = run_image(&verifier, elsewhere, &["verify", &report]);
    assert_eq!(text, "forged\n", "another machine");
}

/// Signals interrupt the runner's threads everywhere, and nothing is lost.
#[test]
fn results_do_not_depend_on_signals() {
    extern "C" fn ignore(_: i32) {}
    let image = image("sim-compute", &manifest());
    let (undisturbed, _) = run_image(&image, device(), &["3000000"]);
    let handler = ignore as extern "C" fn(i32);
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGPROF, handler as *const () as usize) };
    let every = libc::timeval { tv_sec: 0, tv_usec: 100 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: starts and stops a timer of this process, whose signal is handled.
    let disturbed = unsafe {
        libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut());
        let result = run_image(&image, device(), &["3000000"]);
        let off: libc::itimerval = std::mem::zeroed();
        libc::setitimer(libc::ITIMER_PROF, &off, std::ptr::null_mut());
        result
    };
    assert_eq!(disturbed, (undisturbed, Ok(())));
}
