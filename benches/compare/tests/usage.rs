//! What a process uses; alone in its file, since tests beside it would be threads of the same process.

use std::hint::black_box;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use trine_compare::process::{busy, own_run_time, usage};

#[test]
fn what_one_of_its_threads_spins_a_process_has_used() {
    let spin = || {
        let (before, began) = (own_run_time().unwrap(), Instant::now());
        while own_run_time().unwrap() - before < Duration::from_millis(100) {
            assert!(began.elapsed() < Duration::from_secs(20), "never ran");
            for number in 0..100_000 {
                black_box(number); // in the program, not in the kernel
            }
        }
        let parked = Duration::from_secs(60); // it has to be there when it is looked at
        thread::park_timeout(parked);
    };
    let (before, machine) = (usage(process::id()).unwrap(), busy().unwrap());
    let began = Instant::now();
    let thread = thread::spawn(spin);
    let used = || usage(process::id()).unwrap().run - before.run;
    while used() < Duration::from_millis(100) {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", used());
        thread::sleep(Duration::from_millis(5));
    }
    let after = usage(process::id()).unwrap();
    let (user, system) = (
        after.user_ticks - before.user_ticks,
        after.system_ticks - before.system_ticks,
    );
    assert!(user > 0 && user > system, "{user} {system}");
    assert!(busy().unwrap() - machine >= Duration::from_millis(90));
    thread.thread().unpark();
    thread.join().unwrap();
}
