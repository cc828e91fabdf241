//! What a simulated machine has besides its network, without chance: disks, a wall clock, threads.

#![cfg(feature = "testing")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use trine::concurrency::{Bounds, WorkerOptions};
use trine::service::{Reply, respond};
use trine::storage::{
    Condition, Health, Operation, Outcomes, Request as Job, Session, StorageUnit, Store,
    Submission, UnitOptions,
};
use trine::testing::{Disk, Faults, Sim};
use trine::{Request, Response, Signal, Sources};

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const YEARS: Duration = Duration::from_secs(5 * 365 * 24 * 3600);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn content(disk: &Disk) -> Vec<u8> {
    let mut bytes = vec![0; disk.size().unwrap() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_synced_outlasts_the_loss_of_power_and_any_part_of_the_rest_may() {
    let (mut none, mut some, mut all) = (0, 0, 0);
    for seed in 0..300 {
        let disk = Sim::seeded(seed).disk();
        disk.write_at(0, &[1; 10_000]).unwrap();
        disk.sync().unwrap();
        disk.write_at(0, &[2; 8_192]).unwrap();
        assert_eq!(content(&disk)[..8_192], [2; 8_192]);
        disk.lose_power();
        assert!(disk.write_at(0, &[3]).is_err() && disk.sync().is_err());
        assert!(disk.read_at(0, &mut [0]).is_err());
        let image = disk.image_after_power_loss();
        assert_eq!(image[8_192..], [1; 10_000 - 8_192]);
        // Whole sectors are there or not.
        let sectors: Vec<u8> = image[..8_192].chunks(512).map(|sector| sector[0]).collect();
        let is_whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(image[..8_192].chunks(512).all(is_whole));
        match sectors.iter().filter(|byte| **byte == 2).count() {
            0 => none += 1,
            16 => all += 1,
            _ => some += 1,
        }
    }
    assert!(none > 20 && some > 20 && all > 20, "{none}, {some}, {all}");
}

#[test]
fn after_a_sync_that_failed_a_later_one_says_nothing_of_what_was_written_before() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..100 {
        let mut sim = Sim::seeded(seed);
        let disk = sim.disk();
        sim.set_faults(Faults {
            sync_errors: 1.0,
            ..Faults::none()
        });
        disk.write_at(0, b"before").unwrap();
        assert!(disk.sync().is_err());
        sim.set_faults(Faults::none());
        disk.write_at(6, b" and behind").unwrap();
        disk.sync().unwrap();
        assert_eq!(content(&disk), b"before and behind", "the cache has it");
        let image = disk.image_after_power_loss();
        assert_eq!(&image[6..], b" and behind");
        match &image[..6] {
            b"before" => kept += 1,
            _ => lost += 1,
        }
    }
    assert!(lost > 10 && kept > 10, "{lost}, {kept}");
}

#[test]
fn the_power_goes_at_the_io_that_was_named() {
    let disk = Sim::seeded(1).disk();
    disk.lose_power_after(2);
    disk.write_at(0, b"one").unwrap();
    disk.write_at(3, b"two").unwrap();
    assert!(disk.has_power());
    assert!(disk.write_at(6, b"three").is_err());
    assert!(!disk.has_power());
    assert_eq!(disk.failed(), Some("write"));
}

#[test]
fn a_full_disk_refuses_writes_for_a_while_and_lets_read() {
    let mut sim = Sim::seeded(1);
    let disk = sim.disk();
    disk.write_at(0, b"there").unwrap();
    sim.set_faults(Faults {
        disk_full: 1.0,
        ..Faults::none()
    });
    let error = disk.write_at(5, b"more").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(disk.set_size(100).is_err());
    assert_eq!(content(&disk), b"there");
    sim.set_faults(Faults::none());
    disk.write_at(5, b"more").unwrap();
}

/// Counts its puts on a disk: a store of somebody's own.
struct Tally {
    disk: Disk,
}

struct Pen {
    disk: Disk,
    puts: u64,
}

impl Store for Tally {
    fn capabilities(&self) -> trine::storage::Capabilities {
        use trine::storage::{Atomic, Durability};
        trine::storage::Capabilities {
            name: "tally",
            durability_max: Durability::Synced,
            is_ordered: false,
            atomic: Atomic::Operation,
            lanes: 1,
            readers: 0,
            key_bytes_max: 100,
            value_bytes_max: 100,
        }
    }

    fn writer(&self, _: u16) -> Result<Box<dyn Session>, trine::storage::Fault> {
        let disk = self.disk.clone();
        Ok(Box::new(Pen { disk, puts: 0 }))
    }

    fn reader(&self) -> Result<Box<dyn Session>, trine::storage::Fault> {
        Err(trine::storage::Fault::Refused("no readers"))
    }

    fn close(self: Box<Self>) -> Result<(), trine::storage::Fault> {
        Ok(())
    }
}

impl Session for Pen {
    fn run(&mut self, batch: &[Job], outcomes: &mut Outcomes<'_>) {
        self.puts += batch.len() as u64;
        let written = self.disk.write_at(0, &self.puts.to_be_bytes());
        let synced = written.and_then(|()| self.disk.sync());
        for index in 0..batch.len() {
            outcomes.set(
                index,
                match synced {
                    Ok(()) => Ok(trine::storage::Reply::Deleted(true)),
                    Err(_) => Err(trine::storage::Fault::Unknown("the disk")),
                },
            );
        }
    }

    fn reopen(&mut self) -> Result<(), trine::storage::Fault> {
        Ok(())
    }
}

fn delete(unit: &StorageUnit, reply: Reply<'_>) -> trine::Answered {
    let operation = Operation::Delete {
        key: "key".into(),
        condition: Condition::Any,
    };
    match unit.submit(Job::new(operation)) {
        Submission::Queued(place) => {
            let (deferred, answered) = reply.defer();
            place.answer(deferred, |outcome| {
                Response::text(format!("{}", outcome.is_ok()))
            });
            answered
        }
        Submission::Done(outcome) => reply.text(format!("{outcome:?}")),
    }
}

#[test]
fn a_slow_disk_makes_its_thread_wait_and_not_the_loop() {
    let mut sim = Sim::seeded(1);
    let disk = sim.disk();
    let store = Box::new(Tally { disk: disk.clone() });
    let unit = sim.storage(store, UnitOptions::default());
    sim.set_faults(Faults {
        disk_delays: 1.0,
        disk_delay_max: seconds(8),
        ..Faults::none()
    });
    let own = unit.clone();
    let service = move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| match request.path() {
        "/" => reply.text("at once"),
        _ => delete(&own, reply),
    };
    let address = sim.serve(sim.server(), service);
    let (mut slow, mut quick) = (sim.connect(address), sim.connect(address));
    slow.send("POST /put HTTP/1.1\r\nhost: x\r\n\r\n");
    sim.advance(millis(1));
    assert_eq!(disk.syncs(), 1, "done, but nobody is told yet");
    quick.send(GET);
    assert_eq!(quick.reply().text(), "at once");
    assert!(slow.try_reply().is_none());
    assert_eq!(unit.metrics().running, 1);
    sim.advance(seconds(16));
    assert_eq!(slow.reply().text(), "true");
    assert_eq!((unit.metrics().done, unit.health()), (1, Health::Ready));
}

#[test]
fn an_alarm_on_the_wall_clock_follows_it_forwards_and_back() {
    let mut sim = Sim::with_state(1, 0);
    let start = sim.wall_clock();
    let set = |sim: &mut Sim<u32>, after: Duration| {
        let alarm = sim.with(|events, _| events.at(start + after, |rung: &mut u32, _| *rung += 1));
        alarm.unwrap();
    };
    let rung = |sim: &mut Sim<u32>| sim.with(|_, rung| *rung);
    set(&mut sim, seconds(10));
    sim.advance(seconds(10) - Duration::from_nanos(1));
    assert_eq!(rung(&mut sim), 0);
    sim.advance(Duration::from_nanos(1));
    assert_eq!(rung(&mut sim), 1);
    // Back: what was due in ten seconds is due in an hour.
    set(&mut sim, seconds(20));
    sim.set_wall_clock(start + seconds(20) - seconds(3600));
    sim.advance(seconds(3599));
    assert_eq!(rung(&mut sim), 1);
    sim.advance(seconds(1));
    assert_eq!(rung(&mut sim), 2);
    // Forwards, past it: at once.
    set(&mut sim, YEARS);
    sim.set_wall_clock(start + YEARS + YEARS);
    sim.settle();
    assert_eq!(rung(&mut sim), 3);
    sim.advance(YEARS);
    assert_eq!(rung(&mut sim), 3, "once");
}

#[test]
fn no_deadline_moves_when_the_wall_clock_is_set_and_dates_follow_within_a_second() {
    for back in [false, true] {
        let mut sim = Sim::seeded(1);
        let server = sim.server().idle_timeout(seconds(75));
        let address = sim.serve(server, respond(|_| Response::text("ok")));
        let mut client = sim.connect(address);
        client.send(GET);
        assert_eq!(
            client.reply().field("date"),
            Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..])
        );
        let start = sim.wall_clock();
        sim.set_wall_clock(if back { start - YEARS } else { start + YEARS });
        sim.advance(seconds(1));
        let mut other = sim.connect(address);
        other.send(GET);
        let expected = match back {
            true => &b"Tue, 07 Nov 1989 08:49:38 GMT"[..],
            false => &b"Fri, 05 Nov 1999 08:49:38 GMT"[..],
        };
        assert_eq!(other.reply().field("date"), Some(expected));
        sim.advance(seconds(73));
        assert!(client.is_open());
        sim.advance(seconds(1));
        assert!(!client.is_open());
    }
}

fn workers(sim: &mut Sim, workers: usize, items_max: usize) -> std::net::SocketAddr {
    let options = WorkerOptions {
        workers,
        queue: Bounds {
            items_max,
            bytes_max: 1 << 20,
        },
        retry_after: seconds(3),
        ..WorkerOptions::default()
    };
    let service = sim.workers(&options, || respond(|_| Response::text("done")), || ());
    sim.serve(sim.server().handler_timeout(seconds(20)), service)
}

#[test]
fn beyond_a_full_queue_503_is_said_at_once_and_the_rest_is_done() {
    let mut sim = Sim::seeded(1);
    let address = workers(&mut sim, 1, 2);
    sim.set_faults(Faults {
        pauses: 1.0,
        pause_max: seconds(5),
        ..Faults::none()
    });
    let mut clients: Vec<_> = (0..10).map(|_| sim.connect(address)).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    sim.settle();
    let refused = clients.iter_mut().filter_map(|client| client.try_reply());
    let refused: Vec<_> = refused.filter(|reply| reply.status() == 503).collect();
    assert!((7..=8).contains(&refused.len()), "{}", refused.len());
    assert!(
        refused
            .iter()
            .all(|reply| reply.field("retry-after") == Some(b"3"))
    );
    sim.advance(seconds(60));
    let done = clients.iter_mut().filter_map(|client| client.try_reply());
    let done = done.filter(|reply| reply.text() == "done").count();
    assert_eq!(done + refused.len(), 10);
}

#[test]
fn a_worker_that_hangs_takes_its_request_along_and_no_other() {
    let mut sim = Sim::seeded(1);
    let address = workers(&mut sim, 2, 10);
    sim.advance(millis(1)); // both are made
    sim.set_faults(Faults {
        vanishes: 1.0,
        ..Faults::none()
    });
    let mut unlucky = sim.connect(address);
    unlucky.send(GET);
    sim.advance(millis(1));
    assert_eq!(sim.threads(), (2, 1));
    // The other one goes on: what hangs does so, though nothing else does any more.
    sim.set_faults(Faults {
        vanishes: 1e-300,
        ..Faults::none()
    });
    for _ in 0..20 {
        let mut client = sim.connect(address);
        client.send(GET);
        assert_eq!(client.reply().text(), "done");
    }
    sim.advance(seconds(19));
    assert!(unlucky.try_reply().is_none());
    sim.advance(seconds(1));
    assert_eq!(unlucky.reply().status(), 504, "its time is over");
    sim.set_faults(Faults::none());
    sim.settle();
    assert_eq!(sim.threads(), (2, 0));
}

#[test]
fn signals_come_to_who_asked_for_them_and_others_are_lost() {
    let mut sim = Sim::seeded(1);
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let asked = sim.with(|events, ()| {
        events.signals([Signal::USR1], move |(), _, _| {
            counted.set(counted.get() + 1)
        })
    });
    asked.unwrap();
    sim.signal(Signal::HUP);
    sim.signal(Signal::USR1);
    sim.advance(seconds(1));
    assert_eq!(count.get(), 1);
    sim.set_faults(Faults {
        signals: 1.0,
        ..Faults::none()
    });
    sim.signal(Signal::USR1);
    sim.settle();
    assert!(count.get() >= 2);
}
