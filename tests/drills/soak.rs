//! The soak: everything at once for long, and nothing grows.
//!
//! `TRINE_SOAK_SECONDS` says for how long, 60 unless it is said; `.ci/nightly soak` takes 30 minutes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::bystander::{Seen, ask};
use super::crowd::crowd;
use super::drill::Drill;
use super::floods::churn;
use super::slow::{dripping_body, dripping_head, unread};

/// Memory may grow by so much in ten minutes, in bytes, and once by as much for chance.
const GROWTH: f64 = 1048576.0;

/// What goes on until `over`.
struct Load {
    address: SocketAddr,
    over: AtomicBool,
    answered: AtomicUsize,
    cut: AtomicUsize,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Honest clients, as fast as they are answered.
    fn ask(&self) {
        while self.goes_on() {
            ask(self.address).unwrap();
            self.answered.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Slow ones of three kinds, in waves.
    fn drag(&self) {
        let kinds = [dripping_head(), dripping_body(), unread()];
        for kind in kinds.iter().cycle() {
            if !self.goes_on() {
                return;
            }
            let cuts = crowd(self.address, kind, 100, 200, Duration::from_secs(20));
            assert_eq!(cuts.left, 0);
            self.cut.fetch_add(cuts.after.len(), Ordering::Relaxed);
        }
    }

    /// Those that reset.
    fn come_and_go(&self) {
        let mut first = 0;
        while self.goes_on() {
            self.answered
                .fetch_add(churn(self.address, first, 20), Ordering::Relaxed);
            first += 20;
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
#[ignore = "a soak: .ci/nightly soak"]
fn nothing_grows_under_mixed_hostile_load() {
    let said = std::env::var("TRINE_SOAK_SECONDS").ok();
    let third = Duration::from_secs(said.map_or(60, |said| said.parse().unwrap())) / 3;
    let mut drill = Drill::begin("soak", &[]);
    let load = Load {
        address: drill.address(),
        over: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        cut: AtomicUsize::new(0),
    };
    let load = &load;
    let thirds = thread::scope(|scope| {
        let tasks: [fn(&Load); 3] = [Load::ask, Load::drag, Load::come_and_go];
        let tasks = tasks.map(|task| scope.spawn(move || task(load)));
        let thirds = [(); 3].map(|()| watch(&mut drill, third));
        load.over.store(true, Ordering::Relaxed);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        thirds
    });
    let [first, second, last] = &thirds;
    let grown = last.resident - second.resident;
    let bar = GROWTH * (1.0 + third.as_secs_f64() / 600.0);
    let (p99_first, p99_last) = (first.seen.quantile(0.99), last.seen.quantile(0.99));
    drill.say(&format!(
        "{} answered, {} cut in {:.0?}; memory {:.2}, {:.2}, {:.2} MiB on average of each third, grown by {:.0} KiB \
         (bar {:.0}); bystander's p99 {p99_first:.1?} in the first third, {p99_last:.1?} in the last",
        load.answered.load(Ordering::Relaxed),
        load.cut.load(Ordering::Relaxed),
        third * 3,
        first.resident / GROWTH,
        second.resident / GROWTH,
        last.resident / GROWTH,
        grown / 1024.0,
        bar / 1024.0,
    ));
    assert!(grown <= bar, "memory grows");
    drill.end();
}

/// What was seen in a while.
struct Third {
    /// On average, in bytes.
    resident: f64,
    seen: Seen,
}

/// Looks on, and interrupts the server ten times a second.
fn watch(drill: &mut Drill, span: Duration) -> Third {
    let (began, mut sum, mut looks) = (Instant::now(), 0.0, 0.0);
    while began.elapsed() < span {
        drill.signal(Signal::Stop);
        drill.signal(Signal::Cont);
        thread::sleep(Duration::from_millis(100));
        sum += drill.vitals().resident as f64;
        looks += 1.0;
    }
    let seen = drill.pause_bystander();
    drill.resume_bystander();
    Third {
        resident: sum / looks,
        seen,
    }
}
