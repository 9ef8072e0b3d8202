//! `cargo bench --package twine-oci`: the time to run a container, and the memory of many, for
//! programs in enclaves beside ordinary containers. It needs what the tests in `tests/containerd`
//! need. All figures are medians of turns in which each kind of container runs once.

#[path = "../tests/containerd/node.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod node;
#[path = "../tests/containerd/ordinary.rs"]
mod ordinary;
#[path = "../tests/containerd/programs.rs"]
#[allow(dead_code, reason = "the tests use all of them")]
mod programs;

use node::{Ended, Node};
use std::time::Instant;

/// How often each kind of container runs.
const TURNS: usize = 25;

/// How many containers run at once.
const MANY: usize = 50;

/// A kind of container, and how one runs from its creation to its end.
type Kind<'n> = (&'static str, Box<dyn Fn() -> Ended + 'n>);

fn main() {
    let Some(node) = Node::start() else { return };
    node.import("hello", programs::exits(0));
    node.import("waits", programs::waits());
    starts(&node);
    memory(&node);
}

fn starts(node: &Node) {
    let through = node.ordinary_arguments();
    let through: Vec<&str> = through.iter().map(String::as_str).collect();
    let busybox = ["--rm", "busybox:1", "through", "true"];
    let kinds: [Kind<'_>; 3] = [
        ("busybox, runc", Box::new(|| node.busybox(&["true"]))),
        ("busybox, twine-oci and runc", Box::new(|| node.ctr(&[&through[..], &busybox].concat()))),
        ("program in an enclave", Box::new(|| node.run(&["--rm", "hello:1", "hello"]))),
    ];
    let mut times = kinds.each_ref().map(|_| Vec::new());
    // The first turn warms caches up, and caches the program's code.
    for turn in 0..=TURNS {
        for ((_, run), times) in kinds.iter().zip(&mut times) {
            let begun = Instant::now();
            run().expect(0);
            if turn > 0 {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    println!("time of `ctr run`, in milliseconds; median of {TURNS} turns [quartiles]");
    let mut first = None;
    for ((name, _), times) in kinds.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |quarter: usize| times[quarter * (times.len() - 1) / 4];
        let first = *first.get_or_insert(at(2));
        let more = at(2) - first;
        println!("  {name:28} {:6.1} [{:.1}-{:.1}], {more:+.1}", at(2), at(1), at(3));
    }
}

fn memory(node: &Node) {
    println!("memory of {MANY} containers at once, in MiB for each");
    for (name, program) in [("busybox, sleep", false), ("program in an enclave, sleeps", true)] {
        let names: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
        let begun = Instant::now();
        for name in &names {
            match program {
                true => node.start_container(&[], "waits:1", name),
                false => {
                    let sleep = ["--detach", "busybox:1", name, "sleep", "3600"];
                    let own = ["run", "--runtime", "io.containerd.runc.v2"];
                    node.ctr(&[&own[..], &sleep].concat()).expect(0);
                }
            }
        }
        for name in names.iter().filter(|_| program) {
            node.wait("the program's output", || node.log(name).contains("ready\n"));
        }
        let seconds = begun.elapsed().as_secs_f64();
        let [total, own] = node.memory(&names).map(|bytes| bytes as f64 / f64::from(1 << 20));
        let each = |mib: f64| mib / MANY as f64;
        println!(
            "  {name:28} {:6.1} with the page cache, {:.1} without; started in {seconds:.1} s",
            each(total),
            each(own)
        );
        for name in &names {
            node.ctr(&["task", "kill", "--signal", "SIGKILL", name]).expect(0);
        }
        names.iter().for_each(|name| node.remove(name));
    }
}
