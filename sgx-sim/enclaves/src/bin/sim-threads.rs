//! Starts threads that park, lock, wait and send.

use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

fn main() {
    let (send, receive) = mpsc::channel();
    let counter = Arc::new(Mutex::new(0u64));
    let barrier = Arc::new(Barrier::new(3));
    let threads: Vec<_> = (0..3)
        .map(|i| {
            let (send, counter, barrier) = (send.clone(), counter.clone(), barrier.clone());
            thread::spawn(move || {
                for _ in 0..200 {
                    *counter.lock().unwrap() += 1;
                    thread::yield_now();
                }
                barrier.wait();
                send.send(i).unwrap();
                i
            })
        })
        .collect();
    drop(send);
    let mut received: Vec<u32> = receive.iter().collect();
    received.sort();
    let sum: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    println!("counted {}, received {received:?}, sum {sum}", counter.lock().unwrap());

    let parked = thread::spawn(|| {
        thread::park();
        "unparked"
    });
    parked.thread().unpark();
    println!("{}", parked.join().unwrap());

    let pair = (Mutex::new(false), Condvar::new());
    let (_held, timeout) =
        pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(10)).unwrap();
    println!("timed out: {}", timeout.timed_out());

    thread_local! {
        static LOCAL: std::cell::Cell<u32> = const { std::cell::Cell::new(1) };
    }
    LOCAL.set(2);
    let elsewhere = thread::spawn(|| LOCAL.get()).join().unwrap();
    println!("thread-local: {} here, {elsewhere} there", LOCAL.get());
}
